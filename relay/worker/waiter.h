/* SPDX-License-Identifier: MIT
 *
 * waiter: sleeps until one of a few descriptors is readable, like poll(2), but such that the kernel
 * wakes it once and not once per packet.
 *
 * A thread that sleeps in poll(2) stays on the sockets' wait queues until it runs again, and every
 * packet that arrives before that pays for one more wake-up. A one-shot poll request in an
 * io_uring leaves the queue with the first. Requests that have not fired stay armed. A worker that
 * is to do without io_uring (--ingress ring --egress sendmmsg) sleeps in poll(2) all the same.
 */
#ifndef WAITER_H
#define WAITER_H

#include "contract/counters.h"

#include <liburing.h>
#include <poll.h>
#include <stdbool.h>

enum waiter_mode { WAITER_URING, WAITER_POLL };

struct waiter {
	enum waiter_mode mode;
	unsigned size;
	unsigned used;	  /* none behind is waited for: those that always are come first */
	unsigned *events; /* [size] poll(2) events of the last sleep; 0: not ready */
	bool *paused;	  /* [size] */

	struct io_uring uring;
	int *fds;    /* [size] -1: none */
	bool *armed; /* [size] */

	struct pollfd *polled; /* [size] WAITER_POLL */
};

/* For `size` descriptors, all -1 at first; by the thread that will sleep. 0 or negative errno. */
int waiter_init(struct waiter *waiter, enum waiter_mode mode, unsigned size);
void waiter_exit(struct waiter *waiter);

/* Waits for `fd` at `index` from now on, -1: for nothing. An armed request holds on to its file:
 * this is to be called before a descriptor is closed. 0 or negative errno. */
int waiter_set(struct waiter *waiter, unsigned index, int fd);

/* What is paused, which nothing is at first, is not waited for: not at all with poll(2), where an
 * error ends a sleep all the same; in an io_uring but for the request that was armed before, which
 * may end one more sleep. */
void waiter_pause(struct waiter *waiter, unsigned index, bool paused);

/* Sleeps until a descriptor is readable or in error; `events` then says which. May return early
 * with none. Counts its system call. 0 or a negative errno. */
int waiter_sleep(struct waiter *waiter, struct counters *counters);

#endif
