/* SPDX-License-Identifier: MIT
 *
 * shared: the memory that the supervisor and one worker have in common (a memfd). The worker writes
 * its counters and its position in the rings there; the supervisor reads, and rings the doorbell.
 * It outlives the worker: its successor goes on counting where it ended.
 */
#ifndef SHARED_H
#define SHARED_H

#include "common/log.h"
#include "contract/counters.h"
#include "contract/limits.h"

#include <stdint.h>

/* The frames of an input come through two sockets: nearly all are small; an aggregate, or a
 * datagram of an MTU beyond Ethernet's, is large. So many small ones fit a ring, and none is too
 * large. */
enum frame_class { FRAMES_SMALL, FRAMES_LARGE, FRAME_CLASSES };

/* Where the worker is in a receive ring: what a successor needs to go on. Of another ring than the
 * one it has been told of, it says nothing. */
struct ring_position {
	uint32_t ring;		  /* its number, counted from 1 */
	uint32_t head;		  /* the next slot to be looked at */
	uint32_t lent;		  /* slots before it that are being worked on, */
	uint32_t uncounted;	  /* the last of which are not in the counters here yet */
	uint64_t frames, packets; /* received so far, from all rings that have been here */
};

struct shared {
	struct counters counters;
	struct counters egress_counters; /* of the sending thread, in the split model */
	struct {
		uint32_t rung; /* written by the supervisor after it has sent messages */
	} doorbell __attribute__((aligned(CACHE_LINE)));
	struct ring_position positions[INPUT_NUMBERS][FRAME_CLASSES]
		__attribute__((aligned(CACHE_LINE)));
	struct rule_counters rules[RULE_NUMBERS];	/* by the rule's number */
	struct output_counters outputs[OUTPUT_NUMBERS]; /* by the output's number */
	struct log_levels levels;		     /* written by the supervisor */
	uint32_t lines_lost;			     /* of the worker's log: see log_count_lost() */
};

/* New shared memory, all zero. Returns its descriptor, *shared mapped; or negative errno. */
int shared_create(struct shared **shared);

/* Maps what shared_create made. NULL on failure, with errno. */
struct shared *shared_map(int fd);

/* Adds up what all threads of the worker have counted: sum += counters. */
static inline void shared_add_up(struct counters *sum, const struct shared *shared)
{
	counters_add_up(sum, &shared->counters);
	counters_add_up(sum, &shared->egress_counters);
}

void shared_unmap(struct shared *shared);

#endif
