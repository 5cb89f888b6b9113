/* SPDX-License-Identifier: MIT
 *
 * graves: sockets of rings that no rule needs any more. Whoever closes one last waits for an RCU
 * grace period, tens of milliseconds: that has to be the supervisor, not a worker between two
 * bursts. So it keeps its copy until workers have closed theirs.
 */
#ifndef GRAVES_H
#define GRAVES_H

#include <stdint.h>

enum {
	GRAVES_MAX = 16,
	GRAVE_MS = 1000, /* more than a worker ever needs to take a message */
};

struct graves {
	struct grave {
		int fd;
		int64_t due_ms;
	} grave[GRAVES_MAX]; /* the first `count`, oldest first */
	unsigned count;
};

/* Takes over the open ones of `fds`, which become -1. With all places taken, the oldest is closed
 * before its time. */
void graves_bury(struct graves *graves, int *fds, unsigned count, int64_t now_ms);

/* Closes those whose time has come. Returns milliseconds until the next one's has; -1: there is
 * none. */
int64_t graves_close_due(struct graves *graves, int64_t now_ms);

/* Closes all. */
void graves_exit(struct graves *graves);

#endif
