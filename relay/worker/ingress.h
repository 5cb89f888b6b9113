/* SPDX-License-Identifier: MIT
 *
 * ingress: the worker's end of one socket of an input: frames, lent in bursts. peek lends the
 * oldest frames that have come; each sits in a slot (of a ring, or a buffer of the pool) that stays
 * put until it is released. A slot that several sends need is held by each: `holds` counts them,
 * and the last one releases it.
 */
#ifndef INGRESS_H
#define INGRESS_H

#include "contract/shared.h"
#include "worker/ingress_ring.h"
#include "worker/ingress_uring.h"
#include "worker/packet.h"

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
	/* The time of the next frame to be lent; UINT64_MAX: there is none. */
	uint64_t (*next_time)(struct ingress *ingress);
	/* Takes the last `count` frames back that have been lent, as if they had not been. */
	void (*unpeek)(struct ingress *ingress, unsigned count);
	/* Gives one lent slot back; in any order. */
	void (*release)(struct ingress *ingress, uint32_t slot);
	/* What becomes readable when frames have come. */
	int (*wait_fd)(const struct ingress *ingress);
	/* It stays so while slots are lent: then it tells nothing. */
	bool readable_while_lent;
	/* Undoes open; the descriptor stays open, and all slots have been released. */
	void (*close)(struct ingress *ingress);
};

struct ingress {
	const struct ingress_ops *ops;
	char interface[IFNAMSIZ];
	int fd; /* -1: there is none */
	unsigned slots, slot_bytes;
	bool bare;		/* its link is not Ethernet */
	uint32_t *holds;	/* [slots] sends that need the slot */
	unsigned lent;		/* slots peeked that have not gone back yet */
	bool truncation_logged; /* it has been said that frames do not fit */
	struct counters *counters;

	struct ring_position *position; /* in shared memory */
	uint64_t *in_hand; /* packets counted as matched that a predecessor had in hand; or NULL */

	struct ingress_ring ring; /* one of the two back ends */
	struct ingress_uring uring;
};

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

#endif
