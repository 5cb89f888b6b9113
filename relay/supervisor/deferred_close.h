/* SPDX-License-Identifier: MIT
 *
 * deferred_close: sockets of inputs that no rule needs any more. Whoever closes one last waits for
 * an RCU grace period, tens of milliseconds: that has to be the supervisor, not a worker between
 * two bursts. So it keeps its copy until workers have closed theirs.
 */
#ifndef DEFERRED_CLOSE_H
#define DEFERRED_CLOSE_H

#include "contract/shared.h"

#include <stdint.h>

enum {
	DEFERRED_CLOSE_MAX = 4 * WORKERS_MAX * FRAME_CLASSES,
	DEFERRED_CLOSE_MS = 1000, /* more than a worker ever needs to take a message */
};

struct deferred_close {
	struct {
		int fd;
		int64_t due_ms;
	} entry[DEFERRED_CLOSE_MAX]; /* the first `count`, oldest first */
	unsigned count;
};

/* Takes over the open ones of `fds`, which become -1. When there is no more room, the oldest is
 * closed before its time. */
void deferred_close_add(struct deferred_close *deferred, int *fds, unsigned count, int64_t now_ms);

/* Closes those whose time has come. Returns milliseconds until the next one's has; -1: there is
 * none. */
int64_t deferred_close_due(struct deferred_close *deferred, int64_t now_ms);

/* Closes all. */
void deferred_close_exit(struct deferred_close *deferred);

/* Closes those of `fds` that are open, now; they become -1. */
void close_all(int *fds, unsigned count);

#endif
