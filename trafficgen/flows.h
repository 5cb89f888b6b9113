/* SPDX-License-Identifier: MIT
 *
 * flows: what became of the packets of each flow. A sliding window of the last FLOW_WINDOW sequence
 * numbers remembers which of them arrived:
 *
 *        stale     |   window: bit set = arrived          | ahead
 *     -------------+--------------------------------------+----------------> sequence
 *                  last - FLOW_WINDOW + 1            last
 *
 * Every intact packet is exactly one of: received (the first copy), duplicated (a further copy) or
 * stale (older than the window: too late to say which). Reordered ones are received as well, after
 * a packet with a higher number. Lost are the numbers from the first to the last that were never
 * received; a corrupt packet is not received, hence also lost unless an intact copy comes. What was
 * lost before the first or after the last one received, the receiver cannot know.
 */
#ifndef FLOWS_H
#define FLOWS_H

#include <stdbool.h>
#include <stdint.h>

#define FLOW_WINDOW 65536u /* sequence numbers; 8 KiB of bitmap per flow */
#define FLOW_COUNT  65536u

struct flow_counts {
	uint64_t received;
	uint64_t lost;
	uint64_t duplicated;
	uint64_t reordered;
	uint64_t stale;
	uint64_t corrupt;
};

struct flow {
	uint64_t first_sequence;	 /* the lowest received */
	uint64_t last_sequence;		 /* the highest received */
	struct flow_counts counts;	 /* all but lost: see flow_counts_of */
	uint64_t seen[FLOW_WINDOW / 64]; /* bit (sequence modulo FLOW_WINDOW) */
};

/* Zeroed memory is an empty table. A flow is allocated by its first packet. */
struct flows {
	struct flow *by_id[FLOW_COUNT];
	uint64_t received; /* by all flows */
	uint64_t corrupt;  /* by all flows, and those whose flow was never seen intact */
};

/* An intact packet: 1 when it was received, 0 when it is a duplicate or stale, -ENOMEM. */
int flows_receive(struct flows *flows, uint16_t id, uint64_t sequence);

/* A damaged packet that says that it belongs to flow `id`. */
void flows_corrupt(struct flows *flows, uint16_t id);

/* The counts of one flow, of all flows; lost included. */
struct flow_counts flow_counts_of(const struct flow *flow);
struct flow_counts flows_total(const struct flows *flows);

void flows_exit(struct flows *flows);

#endif
