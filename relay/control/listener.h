/* SPDX-License-Identifier: MIT
 *
 * listener: the control socket's place in the file system. Its folder is made if it is missing, and
 * goes with the socket if nothing else is in it; a socket that a dead process has left is replaced;
 * one that is in use is not, and the log says whose it is. Of several relays that start at once,
 * one gets the place.
 */
#ifndef LISTENER_H
#define LISTENER_H

#include <stdbool.h>
#include <sys/types.h>

struct listener {
	int fd; /* -1: there is no socket */
	const char *path;
	bool made_folder;
	dev_t device; /* of the socket's file, */
	ino_t inode;  /* if it is still the same */
};

/* Listens on `path`, for its owner alone (mode 0600), or also for group `gid` (0660) unless that is
 * (gid_t)-1. A folder that is made has mode 0755; the one above it has to be there. `path` stays
 * the caller's. 0 or negative errno after one line in the log; then there is no socket. */
int listener_open(struct listener *listener, const char *path, gid_t gid);

/* Removes the socket as well, if it is still this one. Harmless when there is none. */
void listener_close(struct listener *listener);

#endif
