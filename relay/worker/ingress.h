/* SPDX-License-Identifier: MIT
 *
 * ingress: frames of one interface, lent in bursts. peek lends the oldest frames that have come;
 * each sits in a slot (of a ring, or a buffer of the pool) that stays put until it is released. A
 * slot that several sends need is held by each: `holds` counts them, and the last one releases it.
 */
#ifndef INGRESS_H
#define INGRESS_H

#include "contract/shared.h"
#include "worker/packet.h"
#include "worker/pool.h"

#include <liburing.h>
#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ingress;

struct ingress_ops {
	/* Gets ready to receive from ingress->fd. 0 or negative errno. */
	int (*open)(struct ingress *ingress);
	/* Lends up to `max` frames, oldest first. Returns how many. */
	unsigned (*peek)(struct ingress *ingress, struct frame *frames, unsigned max);
	/* Gives one lent slot back; in any order. */
	void (*release)(struct ingress *ingress, uint32_t slot);
	/* What becomes readable when frames have come. */
	int (*wait_fd)(const struct ingress *ingress);
	/* Undoes open; the descriptor stays open, and all slots have been released. */
	void (*close)(struct ingress *ingress);
};

struct ingress {
	const struct ingress_ops *ops;
	char interface[IFNAMSIZ];
	int fd; /* -1: there is none */
	unsigned slots, slot_bytes;
	uint32_t *holds;	/* [slots] sends that need the slot */
	unsigned lent;		/* slots peeked that have not gone back yet */
	bool truncation_logged; /* it has been said that frames do not fit */
	struct counters *counters;

	/* ring: */
	struct ring_place *place; /* in shared memory */
	uint8_t *ring;
	size_t ring_bytes;
	bool *released; /* [slots] lent slots that wait for their elders */

	/* uring: */
	struct receiver *receiver; /* shared by the worker's inputs */
	uint32_t frame_bytes;	   /* the longest to be expected; chooses the class of buffers */
	unsigned pool_class;
	uint64_t tag; /* of its requests: another one each time it is opened */
	bool armed;   /* a request is waiting for packets */
};

/* What the uring inputs of a worker share: one io_uring, and buffers of each class that wait in it.
 */
struct receiver {
	struct io_uring uring;
	struct pool *pool;
	struct {
		struct io_uring_buf_ring *ring;
		unsigned entries, posted;
	} groups[POOL_CLASSES];
	unsigned num_recv_buffers; /* in each group, at most */
	uint64_t last_tag;
	struct ingress *live[INPUTS_MAX]; /* the inputs that are open; NULL: free */
};

/* By the thread that will receive. 0 or negative errno; receiver_exit is harmless then. */
int receiver_init(struct receiver *receiver, struct pool *pool, unsigned num_recv_buffers);
void receiver_exit(struct receiver *receiver);

/* A send's claim on a slot. */
struct hold {
	struct ingress *ingress;
	uint32_t slot;
};

static inline void hold_drop(struct hold hold)
{
	if (--hold.ingress->holds[hold.slot] == 0)
		hold.ingress->ops->release(hold.ingress, hold.slot);
}

extern const struct ingress_ops ingress_ring_ops, ingress_uring_ops;

#endif
