// SPDX-License-Identifier: MIT
/* listener: see listener.h. */
#include "control/listener.h"
#include "common/clock.h"
#include "common/errno_reason.h"
#include "common/log.h"
#include "supervisor/requester.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 256, TRIES = 3, LOCK_PATIENCE_MS = 2000, LOCK_PAUSE_MS = 10 };

/* ------------------------------------------------------------------------- its folder */

/* The folder of a path that has a slash. */
static bool folder_of(const char *path, char folder[PATH_MAX])
{
	const char *slash = strrchr(path, '/');

	if (!slash || slash == path)
		return false;
	snprintf(folder, PATH_MAX, "%.*s", (int)(slash - path), path);
	return true;
}

/* Open to all, as the socket has its own mode. */
static int make_folder(struct listener *listener)
{
	char folder[PATH_MAX];
	mode_t before;
	int rc;

	if (!folder_of(listener->path, folder))
		return 0;
	before = umask(022);
	rc = mkdir(folder, 0755) < 0 ? -errno : 0;
	umask(before);
	if (rc == 0)
		listener->made_folder = true;
	return rc == -EEXIST ? 0 : rc;
}

/* Between another relay's bind(2) and listen(2) its socket looks like one that was left behind, and
 * of two that find such a one the second would remove what the first has put in its place: so one
 * relay at a time looks and acts. Anybody can lock a folder that is open to all, so nobody waits
 * for ever. The lock, to be closed; negative: there is none, and it goes on without. */
static int lock_folder(const char *path)
{
	const int64_t deadline_ms = now_ms() + LOCK_PATIENCE_MS;
	char folder[PATH_MAX];
	int fd = open(folder_of(path, folder) ? folder
		      : path[0] == '/'	      ? "/"
					      : ".",
		      O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	while (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK &&
	       now_ms() < deadline_ms)
		poll(NULL, 0, LOCK_PAUSE_MS);
	return fd;
}

/* Only if nothing else is in it. */
static void remove_folder(struct listener *listener)
{
	char folder[PATH_MAX];

	if (listener->made_folder && folder_of(listener->path, folder))
		rmdir(folder);
	listener->made_folder = false;
}

/* ------------------------------------------------------------------------- the socket */

/* The process that listens at the other end of `fd`; 0: unknown. */
static pid_t listening_process(int fd)
{
	struct ucred peer = {0};
	socklen_t length = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0 ? 0 : peer.pid;
}

/* A socket that nobody answers on was left behind; one that is answered on is in use: *holder is
 * the process, 0 if that is not known. */
static int remove_stale(const struct sockaddr_un *address, pid_t *holder)
{
	/* one whose backlog is full would let us wait for ever, if we let it */
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct stat status;
	int rc = 0;

	if (fd < 0)
		return -errno;
	if (lstat(address->sun_path, &status) < 0) {
		rc = errno == ENOENT ? 0 : -errno;
	} else if (!S_ISSOCK(status.st_mode)) {
		rc = -EEXIST;
	} else if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0) {
		rc = -EADDRINUSE;
		*holder = listening_process(fd);
	} else if (errno == EAGAIN) {
		rc = -EADDRINUSE;
	} else if (errno != ECONNREFUSED) {
		rc = -errno; /* another kind of socket, or another's */
	} else if (unlink(address->sun_path) < 0) {
		rc = -errno;
	}
	close(fd);
	return rc;
}

static int bind_and_listen(int fd, const struct sockaddr_un *address, gid_t gid)
{
	const mode_t before = umask(0177);
	int rc = bind(fd, (const struct sockaddr *)address, sizeof(*address));

	umask(before);
	if (rc < 0)
		return -errno;
	if (gid != (gid_t)-1 &&
	    (chown(address->sun_path, (uid_t)-1, gid) < 0 || chmod(address->sun_path, 0660) < 0))
		rc = -errno;
	if (rc == 0 && listen(fd, BACKLOG) < 0)
		rc = -errno;
	if (rc < 0)
		unlink(address->sun_path);
	return rc;
}

/* The socket, or negative errno. */
static int open_socket(const struct sockaddr_un *address, gid_t gid)
{
	int rc, fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	rc = bind_and_listen(fd, address, gid);
	if (rc == 0)
		return fd;
	close(fd);
	return rc;
}

static bool find_file(const struct listener *listener, struct stat *status)
{
	return lstat(listener->path, status) == 0 && S_ISSOCK(status->st_mode);
}

/* The socket, or negative errno. */
static int place_socket(struct listener *listener, const struct sockaddr_un *address, gid_t gid,
			pid_t *holder)
{
	int lock, rc = make_folder(listener);
	struct stat status;

	if (rc < 0)
		return rc;
	lock = lock_folder(listener->path);
	rc = remove_stale(address, holder);
	if (rc == 0)
		rc = open_socket(address, gid);
	if (rc >= 0 && find_file(listener, &status)) {
		listener->device = status.st_dev;
		listener->inode = status.st_ino;
	}
	if (lock >= 0)
		close(lock);
	return rc;
}

static const char *hint(int rc)
{
	switch (rc) {
	case -EADDRINUSE:
		return "; another process uses it";
	case -EEXIST:
		return "; what has this name is no socket: remove it, or name another";
	case -ENAMETOOLONG:
		return "; a socket's path has at most 107 bytes";
	default:
		return reason_of_shortage(rc);
	}
}

/* The folder that has to be there for that of the socket to be made, and is not. */
static bool find_missing(const char *path, char missing[PATH_MAX])
{
	char folder[PATH_MAX];

	return folder_of(path, folder) && folder_of(folder, missing) && access(missing, F_OK) < 0 &&
	       errno == ENOENT;
}

static void complain(const char *path, int rc, pid_t holder)
{
	char name[REQUESTER_BYTES], missing[PATH_MAX];

	if (rc == -EADDRINUSE && holder)
		log_error("Control",
			  "cannot listen on %s: %s uses it; end that one, or give this one another "
			  "--control-socket-path, or none",
			  path, process_format(holder, name));
	else if (rc == -ENOENT && find_missing(path, missing))
		log_error("Control",
			  "cannot listen on %s: there is no folder %s; make it: the relay makes "
			  "only the last one of a path",
			  path, missing);
	else
		log_error("Control", "cannot listen on %s: %s%s", path, strerror(-rc), hint(rc));
}

/* ------------------------------------------------------------------------- life */

int listener_open(struct listener *listener, const char *path, gid_t gid)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	pid_t holder = 0;
	int rc = -ENAMETOOLONG;

	*listener = (struct listener){.fd = -1, .path = path};
	if (strlen(path) < sizeof(address.sun_path)) {
		strcpy(address.sun_path, path);
		/* a relay that ends may take the folder away in between */
		for (int i = 0; i < TRIES && (i == 0 || rc == -ENOENT); i++)
			rc = place_socket(listener, &address, gid, &holder);
	}
	if (rc < 0) {
		complain(path, rc, holder);
		remove_folder(listener);
		return rc;
	}
	listener->fd = rc;
	return 0;
}

void listener_close(struct listener *listener)
{
	struct stat status;

	if (listener->fd < 0)
		return;
	close(listener->fd);
	/* somebody may have removed it, and another relay made its own */
	if (find_file(listener, &status) && status.st_dev == listener->device &&
	    status.st_ino == listener->inode)
		unlink(listener->path);
	remove_folder(listener);
	listener->fd = -1;
}
