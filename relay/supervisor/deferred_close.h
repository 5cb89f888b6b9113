/* SPDX-License-Identifier: MIT
 *
 * deferred_close: sockets of inputs that no rule needs any more. Whoever closes one last waits for
 * an RCU grace period, tens of milliseconds: that has to be the supervisor, not a worker between
 * two bursts. So it keeps its copy until workers have closed theirs; and it closes one at a time,
 * to answer others between two of them.
 */
#ifndef DEFERRED_CLOSE_H
#define DEFERRED_CLOSE_H

#include <stdint.h>

enum { DEFERRED_CLOSE_MS = 1000 }; /* more than a worker ever needs to take a message */

struct deferred_close_entry {
	int fd;
	int64_t due_ms;
};

struct deferred_close {
	struct deferred_close_entry
		*entry; /* [capacity] `count` of them from the oldest on, round */
	unsigned capacity, oldest, count;
};

/* 0 or -ENOMEM. On zeroed memory, nothing may be added; the rest is harmless. */
int deferred_close_init(struct deferred_close *deferred, unsigned capacity);

/* Takes over the open ones of `fds`, which become -1. When there is no more room, the oldest is
 * closed before its time. */
void deferred_close_add(struct deferred_close *deferred, int *fds, unsigned count, int64_t now_ms);

/* Closes one whose time has come. Returns milliseconds until the next one's has, 0 if it has come;
 * -1: there is none. */
int64_t deferred_close_due(struct deferred_close *deferred, int64_t now_ms);

/* Closes all. */
void deferred_close_exit(struct deferred_close *deferred);

/* Closes those of `fds` that are open, now; they become -1. */
void close_all(int *fds, unsigned count);

#endif
