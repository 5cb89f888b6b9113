/* SPDX-License-Identifier: MIT
 *
 * ingress: frames of one interface, lent in bursts. The vocabulary is peek and release: peek lends
 * the oldest frames that are still there, release gives the first `n` of them back. The bytes
 * of a frame belong to the ingress and stay put until release; egress sends straight from them.
 */
#ifndef INGRESS_H
#define INGRESS_H

#include "config.h"
#include "netif.h"
#include "packet.h"

#include <stdbool.h>
#include <stdint.h>

struct ingress;

struct ingress_ops {
	/* Opens sockets and memory for ingress->netif; receives from then on. 0 or negative errno;
	 * after a failure, and after close, the ingress is closed and may be opened again. */
	int (*open)(struct ingress *ingress, const struct config *config);
	/* Lends up to `max` frames, oldest first, without a system call. Returns how many. */
	unsigned (*peek)(struct ingress *ingress, struct frame *frames, unsigned max);
	/* Gives back the `n` oldest lent frames. */
	void (*release)(struct ingress *ingress, unsigned n);
	/* Frames dropped since the last call because there was no free slot. */
	uint64_t (*take_drops)(struct ingress *ingress);
	/* No new frames from now on; those already received can still be peeked. */
	void (*quiesce)(struct ingress *ingress);
	void (*close)(struct ingress *ingress);
};

struct ingress {
	const struct ingress_ops *ops;
	struct netif netif; /* as it was when opened */
	int fd;		    /* to poll for POLLIN; -1: closed */
	unsigned slots;	    /* geometry, for reports */
	unsigned slot_bytes;

	/* ring: */
	uint8_t *ring;
	size_t ring_bytes;
	unsigned head; /* oldest slot not yet released */
	unsigned lent; /* slots peeked and not released, from head on */
	unsigned mask;
};

extern const struct ingress_ops ingress_ring_ops;

#endif
