/* SPDX-License-Identifier: MIT
 *
 * ingress_uring: an ingress whose frames io_uring receives into buffers of the pool.
 */
#ifndef INGRESS_URING_H
#define INGRESS_URING_H

#include "contract/limits.h"
#include "worker/pool.h"

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>

struct frame;
struct ingress;

struct ingress_uring {
	struct recv_uring *shared;
	uint32_t frame_bytes; /* the longest to be expected, if slot_bytes does not say; chooses
			       * the class of buffers */
	unsigned pool_class;
	uint64_t tag; /* of its requests: another one each time it is opened */
	bool armed;   /* a request is waiting for packets */
	/* [slots] round: `queued` frames from `next` on have been received and are not lent, and
	 * those before it were lent last */
	struct frame *frames;
	unsigned next, queued;
};

/* What all of a worker share: one io_uring, and buffers of each class that wait in it. */
struct recv_uring {
	struct io_uring uring;
	struct pool *pool;
	struct {
		struct io_uring_buf_ring *ring;
		unsigned entries, posted;
	} groups[POOL_CLASSES];
	unsigned num_recv_buffers; /* in each group, at most */
	uint64_t last_tag;
	struct ingress *live[INPUT_NUMBERS]; /* those that are open; NULL: free */
};

/* By the thread that will receive. 0 or negative errno; recv_uring_exit is harmless then. */
int recv_uring_init(struct recv_uring *shared, struct pool *pool, unsigned num_recv_buffers);
void recv_uring_exit(struct recv_uring *shared);

extern const struct ingress_ops ingress_uring_ops;

#endif
