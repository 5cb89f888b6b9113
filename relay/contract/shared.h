/* SPDX-License-Identifier: MIT
 *
 * shared: the memory that the supervisor and one worker have in common (a memfd). The worker writes
 * its counters and its position in the rings there; the supervisor reads, counts the rings' drops,
 * and rings the doorbell. It outlives the worker: its successor goes on counting where it ended.
 *
 * Neither takes for granted what the other one can write: the supervisor adds up and compares what
 * is here, and uses none of it as an index or a size; a successor checks the positions first.
 */
#ifndef SHARED_H
#define SHARED_H

#include "common/log.h"
#include "contract/counters.h"
#include "contract/limits.h"

#include <stdbool.h>
#include <stdint.h>

/* The frames of an input come through two sockets: nearly all are small; an aggregate, or a
 * datagram of an MTU beyond Ethernet's, is large. So many small ones fit a ring, and none is too
 * large. */
enum frame_class { FRAMES_SMALL, FRAMES_LARGE, FRAME_CLASSES };

/* Behind the slots of a receive ring, as much memory more belongs to the same mapping: a transmit
 * ring of frames that no UDP packet fits. With one, the kernel sends nothing else through the
 * socket, by whatever call: a worker that has gone bad cannot put frames on the link. */
enum { RING_END_BYTES = 4096 };

/* Where the worker is in a receive ring: what a successor needs to go on. Of another ring than the
 * one it has been told of, it says nothing. */
struct ring_position {
	uint32_t ring;		  /* its number, counted from 1 */
	uint32_t head;		  /* the next slot to be looked at */
	uint32_t lent;		  /* slots before it that are being worked on, */
	uint32_t uncounted;	  /* the last of which were taken in the turn below */
	uint64_t frames, packets; /* received so far, from all rings that have been here */

	/* The turn that took frames from here last: as many as have been published before it, and
	 * one. While it is not published, what it did is in doubt. */
	uint64_t turn;
	uint64_t frames_before, packets_before; /* that turn */

	/* For uring, whose frames go with the worker: what was put into the socket and never
	 * counted is lost. */
	uint64_t accepted; /* frames put there, as far as the supervisor has asked the kernel */
	uint32_t asking;   /* odd while it does */
	bool doubtful;	   /* a predecessor has died, and it is not known yet what was lost */
	uint64_t accepted_here;	  /* as accepted, where the worker has asked */
	uint64_t frames_at_first; /* `frames` when the socket was new */
};

/* What was counted for rules and outputs whose numbers others have now. */
struct past_counters {
	uint64_t matched;
	uint64_t queued, sent, bytes, errors, worker_died, expired;
};

/* Whether it can be one in a ring of so many slots. */
static inline bool ring_position_good(const struct ring_position *position, uint32_t slots)
{
	return position->head < slots && position->lent <= slots;
}

struct shared {
	struct counters counters;   /* by the supervisor: the rings' drops */
	struct published receiving; /* by the worker; the thread that receives, */
	struct published sending;   /* and the one that sends, in the split model */
	uint32_t fragments_waiting; /* received, and in no counter until their datagram is whole */
	uint64_t withheld;	    /* matched, and kept back by the search for loops; per output */
	struct past_counters past;
	struct {
		uint32_t rung; /* written by the supervisor after it has sent messages */
	} doorbell __attribute__((aligned(CACHE_LINE)));
	struct ring_position positions[INPUT_NUMBERS][FRAME_CLASSES]
		__attribute__((aligned(CACHE_LINE)));
	struct rule_counters rules[RULE_NUMBERS];	/* by the rule's number */
	struct output_counters outputs[OUTPUT_NUMBERS]; /* by the output's number */
	struct log_levels levels;			/* written by the supervisor */
	uint32_t lines_lost;   /* of the worker's log: see log_count_lost() */
	struct log_limit ends; /* of what each worker says when it has to give up */
};

/* New shared memory, all zero. Returns its descriptor, *shared mapped; or negative errno. */
int shared_create(struct shared **shared);

/* Maps what shared_create made. NULL on failure, with errno. */
struct shared *shared_map(int fd);

/* Adds up what supervisor and worker have counted: sum += counters. */
static inline void shared_add_up(struct counters *sum, const struct shared *shared)
{
	counters_add_up(sum, &shared->counters);
	published_add_up(sum, &shared->receiving);
	published_add_up(sum, &shared->sending);
}

void shared_unmap(struct shared *shared);

#endif
