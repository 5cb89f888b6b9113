// SPDX-License-Identifier: MIT
/* json_file: see json_file.h. */
#include "common/json_file.h"
#include "common/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What is no file may keep a writer waiting for so long without progress, a reader in all: whoever
 * writes or reads here has others to answer to within a second. */
enum { WRITE_PATIENCE_MS = 250, READ_PATIENCE_MS = 700 };

/* What `path` is. Until it is opened, somebody may put something else there: all that follows holds
 * against that, too. */
enum kind { FILE_OR_NOTHING, DEVICE, SYSTEM_LINK };

static bool is_system_path(const char *path)
{
	return strncmp(path, "/dev/", 5) == 0 || strncmp(path, "/proc/", 6) == 0;
}

static int find_kind(const char *path, enum kind *kind)
{
	struct stat status;

	*kind = FILE_OR_NOTHING;
	if (lstat(path, &status) < 0)
		return errno == ENOENT ? 0 : -errno;
	switch (status.st_mode & S_IFMT) {
	case S_IFREG:
		return 0;
	case S_IFDIR:
		return -EISDIR;
	case S_IFCHR:
	case S_IFBLK:
		*kind = DEVICE;
		return 0;
	case S_IFLNK:
		*kind = SYSTEM_LINK;
		return is_system_path(path) ? 0 : -ELOOP;
	default:
		return -ENXIO;
	}
}

/* As it is, and never waiting for a reader. */
static int open_as_it_is(const char *path, enum kind kind)
{
	const int flags = O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	int fd = open(path, kind == SYSTEM_LINK ? flags : flags | O_NOFOLLOW);

	return fd < 0 ? -errno : fd;
}

/* Waits until something can be read or written there, or a signal comes. 0, -ETIMEDOUT when it is
 * too late, or another negative errno. A file is ready at any time. */
static int await(int fd, short events, int64_t deadline_ms)
{
	struct pollfd some = {.fd = fd, .events = events};
	const int64_t left = deadline_ms - now_ms();
	const int ready = poll(&some, 1, left > 0 ? (int)left : 0);

	if (ready == 0)
		return -ETIMEDOUT;
	return ready < 0 && errno != EINTR ? -errno : 0;
}

/* ------------------------------------------------------------------------- writing */

/* Waits for a slow reader, but not for one that sleeps. */
static int write_all(int fd, const char *text, size_t length)
{
	int64_t deadline_ms = now_ms() + WRITE_PATIENCE_MS;
	int rc = 0;

	while (length > 0 && rc == 0) {
		ssize_t written = write(fd, text, length);

		if (written >= 0) {
			text += written;
			length -= (size_t)written;
			deadline_ms = now_ms() + WRITE_PATIENCE_MS;
		} else if (errno == EAGAIN) {
			rc = await(fd, POLLOUT, deadline_ms);
		} else if (errno != EINTR) {
			rc = -errno;
		}
	}
	return rc;
}

static int write_and_close(int fd, const char *text, size_t length)
{
	int rc = write_all(fd, text, length);

	if (close(fd) < 0 && rc == 0)
		rc = -errno;
	return rc;
}

/* The file that is to be replaced, if its mode and owner are to stay. In a folder that is open to
 * all, another user may have put it there, to have a hand in the new one. */
static bool find_old(const char *path, struct stat *old)
{
	const char *slash = strrchr(path, '/');
	char folder[PATH_MAX] = ".";
	struct stat status;

	if (lstat(path, old) < 0 || !S_ISREG(old->st_mode))
		return false;
	if (old->st_uid == geteuid())
		return true;
	if (slash)
		snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path) + 1, path);
	return stat(folder, &status) == 0 && !(status.st_mode & S_IWOTH);
}

/* Before there is anything in it. Where the owner cannot be given, the mode stays all the same: it
 * opens the file to nobody else. */
static void make_like(int fd, const struct stat *old)
{
	int ignored = fchmod(fd, old->st_mode & 0777);

	if (fchown(fd, old->st_uid, old->st_gid) < 0)
		ignored = fchown(fd, (uid_t)-1, old->st_gid);
	(void)ignored;
}

/* One that was left behind under that name, or planted, goes. */
static int open_temporary(const char *path, mode_t mode, char temporary[PATH_MAX])
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	int fd, length = snprintf(temporary, PATH_MAX, "%s.tmp.%d", path, (int)getpid());

	if (length < 0 || length >= PATH_MAX)
		return -ENAMETOOLONG;
	fd = open(temporary, flags, mode);
	if (fd < 0 && errno == EEXIST && unlink(temporary) == 0)
		fd = open(temporary, flags, mode);
	return fd < 0 ? -errno : fd;
}

static int replace(const char *path, const char *text, size_t length)
{
	char temporary[PATH_MAX];
	struct stat old;
	const bool keep = find_old(path, &old);
	int fd = open_temporary(path, keep ? 0600 : 0666, temporary), rc;

	if (fd < 0)
		return fd;
	if (keep)
		make_like(fd, &old);
	rc = write_and_close(fd, text, length);
	if (rc == 0 && rename(temporary, path) < 0)
		rc = -errno;
	if (rc < 0)
		unlink(temporary);
	return rc;
}

static int write_as_it_is(const char *path, enum kind kind, const char *text, size_t length)
{
	int fd = open_as_it_is(path, kind);

	return fd < 0 ? fd : write_and_close(fd, text, length);
}

/* A new string with a line break at its end, which jansson does not write. */
static char *dump(const json_t *value, size_t flags, size_t *length)
{
	char *text = json_dumps(value, flags);

	if (!text)
		return NULL;
	*length = strlen(text) + 1;
	text[*length - 1] = '\n'; /* in place of the terminating 0 */
	return text;
}

/* `to_file` is for what is a file, or is to be one. */
static int put(const char *path, const json_t *value, size_t flags,
	       int (*to_file)(const char *path, const char *text, size_t length))
{
	enum kind kind;
	int rc = find_kind(path, &kind);
	size_t length;
	char *text;

	if (rc < 0)
		return rc;
	text = dump(value, flags, &length);
	if (!text)
		return -EIO;
	rc = kind == FILE_OR_NOTHING ? to_file(path, text, length)
				     : write_as_it_is(path, kind, text, length);
	free(text);
	return rc;
}

int json_file_write(const char *path, const json_t *value)
{
	return put(path, value, JSON_INDENT(1), replace);
}

static int try_replace(const char *path)
{
	char temporary[PATH_MAX];
	int fd = open_temporary(path, 0600, temporary);

	if (fd < 0)
		return fd;
	close(fd);
	unlink(temporary);
	return 0;
}

/* `file` is for what is a file, or is to be one. */
static int check(const char *path, int (*file)(const char *path))
{
	enum kind kind;
	int fd, rc = find_kind(path, &kind);

	if (rc < 0)
		return rc;
	if (kind == FILE_OR_NOTHING)
		return file(path);
	fd = open_as_it_is(path, kind);
	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

int json_file_check(const char *path)
{
	return check(path, try_replace);
}

/* ------------------------------------------------------------------------- appending */

/* A FIFO that somebody reads can be opened. */
static int open_series(const char *path)
{
	const int flags = O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
	struct stat status;
	int fd = open(path, flags, 0644);

	if (fd < 0)
		return -errno;
	if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode))
		return fd;
	close(fd);
	return -ENXIO;
}

static int append_whole(int fd, const char *text, size_t length)
{
	ssize_t written = write(fd, text, length);

	if (written == (ssize_t)length)
		return 0;
	if (written < 0)
		return -errno;
	return ftruncate(fd, lseek(fd, 0, SEEK_CUR) - written) < 0 ? -errno : -ENOSPC;
}

static int append(const char *path, const char *text, size_t length)
{
	int fd = open_series(path), rc;

	if (fd < 0)
		return fd;
	rc = append_whole(fd, text, length);
	close(fd);
	return rc;
}

int json_file_append(const char *path, const json_t *value)
{
	return put(path, value, JSON_COMPACT | JSON_REAL_PRECISION(15), append);
}

/* One that is there is opened as it will be: the kernel may refuse just that, of another user's
 * file in a sticky folder (fs.protected_regular). */
static int try_append(const char *path)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	int fd = open(path, flags, 0644);

	if (fd >= 0)
		unlink(path);
	else
		fd = errno == EEXIST ? open_series(path) : -errno;
	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

int json_file_check_append(const char *path)
{
	return check(path, try_append);
}

/* ------------------------------------------------------------------------- reading */

struct source {
	int fd, rc;
	int64_t deadline_ms;
};

/* Of the type json_load_callback_t. */
static size_t read_some(void *buffer, size_t size, void *data)
{
	struct source *source = data;
	ssize_t length = -1;

	while (length < 0 && source->rc == 0) {
		source->rc = await(source->fd, POLLIN, source->deadline_ms);
		if (source->rc == 0)
			length = read(source->fd, buffer, size);
		if (source->rc == 0 && length < 0 && errno != EAGAIN && errno != EINTR)
			source->rc = -errno;
	}
	return (size_t)length;
}

json_t *json_file_read(const char *path, size_t flags, json_error_t *error, int *rc)
{
	struct source source = {
		.fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC),
		.deadline_ms = now_ms() + READ_PATIENCE_MS,
	};
	json_t *value;

	*rc = source.fd < 0 ? -errno : 0;
	if (*rc < 0)
		return NULL;
	value = json_load_callback(read_some, &source, flags, error);
	close(source.fd);
	*rc = source.rc;
	if (*rc == 0)
		return value;
	json_decref(value);
	return NULL;
}

const char *json_file_reason(int rc)
{
	switch (rc) {
	case -ELOOP:
		return "it is a symbolic link, which may lead to another's file";
	case -ENXIO:
		return "it is a FIFO or a socket, not a file";
	case -ETIMEDOUT:
		return "it is not a file, and nobody at its other end does anything";
	default:
		return strerror(-rc);
	}
}
