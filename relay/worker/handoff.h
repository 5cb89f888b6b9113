/* SPDX-License-Identifier: MIT
 *
 * handoff: the split thread model. One thread receives, another sends; between them, two lock-free
 * queues (Concurrency Kit, one producer and one consumer each):
 *
 *     receiving thread  --- packets for outputs --->  sending thread
 *                       <--- holds to be dropped ---
 *
 * The sending thread owns the egress; slots stay the receiving thread's business alone.
 */
#ifndef HANDOFF_H
#define HANDOFF_H

#include "contract/settings.h"
#include "contract/counters.h"
#include "worker/egress.h"

#include <ck_ring.h>
#include <pthread.h>
#include <stdbool.h>

enum { HANDOFF_SIZE = 65536 }; /* of each queue, for a worker */

/* Packets for one output. */
struct handoff_run {
	struct output *output;
	struct run run;
	struct hold hold;
};

struct handoff {
	const struct worker_settings *settings;
	struct published *published; /* the sending thread's, in shared memory */

	/* receiving thread: */
	uint64_t outstanding; /* runs pushed whose holds have not come back */
	int returns_fd;	      /* eventfd: holds have come back, for one who wants to know */
	unsigned returns_wanted;

	/* sending thread: */
	struct egress egress;
	struct counters counters;
	int runs_fd; /* eventfd: there are packets, for one who sleeps */
	unsigned sleeping;
	unsigned stop;
	unsigned failed; /* its io_uring has */
	int result;	 /* of its start, then of its work: negative errno */
	pthread_t thread;
	pthread_barrier_t started;

	ck_ring_t runs __attribute__((aligned(CACHE_LINE)));
	ck_ring_t returns __attribute__((aligned(CACHE_LINE)));
	struct handoff_run *run_slots; /* [size] */
	struct hold *return_slots;     /* [size] */
};

/* Starts the sending thread. `size`: of each queue, a power of two; one less can be in it. 0 or
 * negative errno; handoff_stop is harmless then. */
int handoff_start(struct handoff *handoff, unsigned size, const struct worker_settings *settings,
		  struct published *published);

/* Ends it. What is outstanding then may be sent or not, and its holds do not come back. */
void handoff_stop(struct handoff *handoff);

/* Receiving thread: */

/* Whether the sending thread can send no more. */
bool handoff_failed(const struct handoff *handoff);

/* Hands a run over; false when the queue is full. handoff_kick once per burst gets it going. */
bool handoff_push(struct handoff *handoff, const struct handoff_run *run);
void handoff_kick(struct handoff *handoff);

/* Drops the holds that have come back. */
void handoff_collect(struct handoff *handoff);

/* Waits until nothing is outstanding. */
void handoff_drain(struct handoff *handoff);

/* Before sleeping for want of slots: true if returns_fd will tell when one has come back; false if
 * one has already. */
bool handoff_want_returns(struct handoff *handoff);

/* After returns_fd has told. */
void handoff_lower_returns(struct handoff *handoff);

/* Sending thread: */

/* Having found nothing to send: sleeps until handoff_kick or handoff_stop, unless there is
 * something by now. */
void handoff_sleep(struct handoff *handoff);

#endif
