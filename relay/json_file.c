// SPDX-License-Identifier: MIT
/* json_file: see json_file.h. */
#include "json_file.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

static int temporary_name(const char *path, char *name, size_t size)
{
	int length = snprintf(name, size, "%s.tmp.%d", path, (int)getpid());

	return length < 0 || (size_t)length >= size ? -ENAMETOOLONG : 0;
}

int json_file_write(const char *path, const json_t *value)
{
	char name[PATH_MAX];
	FILE *file;
	int rc = temporary_name(path, name, sizeof(name));

	if (rc < 0)
		return rc;
	file = fopen(name, "we");
	if (!file)
		return -errno;
	/* jansson hides errno of a failed write; stdio keeps the error flag, fclose the errno */
	errno = 0;
	if (json_dumpf(value, file, JSON_INDENT(1)) < 0 || fputc('\n', file) == EOF)
		rc = errno ? -errno : -EIO;
	if (fclose(file) != 0 && rc == 0)
		rc = -errno;
	if (rc == 0 && rename(name, path) != 0)
		rc = -errno;
	if (rc < 0)
		unlink(name);
	return rc;
}

int json_file_check(const char *path)
{
	char name[PATH_MAX];
	FILE *file;
	int rc = temporary_name(path, name, sizeof(name));

	if (rc < 0)
		return rc;
	file = fopen(name, "we");
	if (!file)
		return -errno;
	fclose(file);
	unlink(name);
	return 0;
}
