// SPDX-License-Identifier: MIT
/* json_file: see json_file.h. */
#include "common/json_file.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Where the bytes go, and the name they get at the end. */
struct target {
	char temporary[PATH_MAX]; /* empty: `path` is a device, a pipe or the like */
	char path[PATH_MAX];
};

/* Renaming replaces what has the name: fine for a file, fatal for /dev/null. A symbolic link stays
 * and its file is replaced. */
static int target_init(struct target *target, const char *path)
{
	struct stat status;
	int length;

	*target = (struct target){0};
	if (strlen(path) >= sizeof(target->path))
		return -ENAMETOOLONG;
	if (!realpath(path, target->path))
		strcpy(target->path, path);
	if (stat(path, &status) == 0 && !S_ISREG(status.st_mode)) {
		strcpy(target->path, path); /* a pipe behind /dev/stdout has no other name */
		return 0;
	}
	length = snprintf(target->temporary, sizeof(target->temporary), "%s.tmp.%d", target->path,
			  (int)getpid());
	return length < 0 || (size_t)length >= sizeof(target->temporary) ? -ENAMETOOLONG : 0;
}

static FILE *target_open(const struct target *target)
{
	return fopen(target->temporary[0] ? target->temporary : target->path, "we");
}

int json_file_write(const char *path, const json_t *value)
{
	struct target target;
	FILE *file;
	int rc = target_init(&target, path);

	if (rc < 0)
		return rc;
	file = target_open(&target);
	if (!file)
		return -errno;
	/* jansson hides errno of a failed write; stdio keeps the error flag, fclose the errno */
	errno = 0;
	if (json_dumpf(value, file, JSON_INDENT(1)) < 0 || fputc('\n', file) == EOF)
		rc = errno ? -errno : -EIO;
	if (fclose(file) != 0 && rc == 0)
		rc = -errno;
	if (!target.temporary[0])
		return rc;
	if (rc == 0 && rename(target.temporary, target.path) != 0)
		rc = -errno;
	if (rc < 0)
		unlink(target.temporary);
	return rc;
}

int json_file_check(const char *path)
{
	struct target target;
	FILE *file;
	int rc = target_init(&target, path);

	if (rc < 0)
		return rc;
	file = target_open(&target);
	if (!file)
		return -errno;
	fclose(file);
	if (target.temporary[0])
		unlink(target.temporary);
	return 0;
}
