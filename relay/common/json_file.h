/* SPDX-License-Identifier: MIT
 *
 * json_file: JSON on disk, never half-written.
 */
#ifndef JSON_FILE_H
#define JSON_FILE_H

#include <jansson.h>

/* Writes `value` to `path` under a temporary name beside it, then renames it. The old file
 * stays whole if anything fails (disk full, no permission); the temporary one is removed.
 * What is not a regular file (a device, a pipe, /dev/stdout) is written to as it is.
 * 0 or negative errno; nothing is printed. */
int json_file_write(const char *path, const json_t *value);

/* 0 when json_file_write could write to `path`, so that a long run does not find out at its end;
 * else negative errno. Leaves nothing behind. */
int json_file_check(const char *path);

#endif
