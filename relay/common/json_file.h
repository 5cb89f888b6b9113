/* SPDX-License-Identifier: MIT
 *
 * json_file: JSON on disk, never half-written; and read, without waiting for what is no file.
 *
 * A path is where others may have put something: a symbolic link, which would have another file
 * overwritten, is refused, and so is a FIFO, which would be waited for. Links below /dev and /proc
 * are the system's own: /dev/stdout is what it says. None of these functions waits as long as a
 * second for whoever is at the other end. What they return is negative errno; nothing is printed.
 */
#ifndef JSON_FILE_H
#define JSON_FILE_H

#include <jansson.h>

/* Writes `value` to `path` under a temporary name beside it, then renames it. The old file
 * stays whole if anything fails (disk full, no permission); the temporary one is removed.
 * The new file has the old one's mode, and its owner and group as far as we may give them; unless
 * it is another user's in a folder that is open to all.
 * A device, or what /dev/stdout is, is written to as it is. */
int json_file_write(const char *path, const json_t *value);

/* Appends `value` as one line to `path`, which is made if it is not there. One write(2), so that a
 * reader sees whole lines; a disk that took half of it gives it back. */
int json_file_append(const char *path, const json_t *value);

/* 0 when json_file_write could write to `path`, so that a long run does not find out at its end.
 * Leaves nothing behind. */
int json_file_check(const char *path);

/* The same for json_file_append. */
int json_file_check_append(const char *path);

/* The document in `path`, which may be a pipe or a device here, a new reference, decoded with these
 * flags of jansson's. NULL: *rc is the
 * errno, or 0 and *error says what is wrong with the text. */
json_t *json_file_read(const char *path, size_t flags, json_error_t *error, int *rc);

/* What one of these results means, for people: "it is a FIFO". */
const char *json_file_reason(int rc);

#endif
