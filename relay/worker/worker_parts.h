/* SPDX-License-Identifier: MIT
 *
 * worker_parts: what the parts of a worker have of each other; nobody else includes this.
 *
 *   worker.c           start, loop, end
 *   worker_messages.c  what the supervisor sends: inputs, outputs and rules, changed between two
 * bursts
 */
#ifndef WORKER_PARTS_H
#define WORKER_PARTS_H

#include "contract/channel.h"
#include "contract/plan.h"
#include "contract/shared.h"
#include "worker/egress.h"
#include "worker/forward.h"
#include "worker/handoff.h"
#include "worker/input.h"
#include "worker/pool.h"
#include "worker/waiter.h"

/* In the waiter. */
enum {
	CHANNEL_INDEX,
	RETURNS_INDEX,
	INPUTS_INDEX,
	WAITER_SIZE = INPUTS_INDEX + INPUT_NUMBERS * FRAME_CLASSES
};

struct worker {
	struct worker_settings settings;
	struct shared *shared;
	struct counters counters; /* published at the end of each turn */
	uint64_t in_hand;	  /* packets matched in a turn that a predecessor did not end */
	struct input inputs[INPUT_NUMBERS]; /* by their numbers */
	unsigned num_inputs;		    /* highest index in use, plus one */
	struct output outputs[OUTPUT_NUMBERS];
	struct egress_notes notes[OUTPUT_NUMBERS];
	struct forwarder forwarder;
	struct reassembly reassembly;
	struct loops loops;
	struct egress egress;	      /* unified thread model */
	struct handoff handoff;	      /* split thread model */
	struct pool pool;	      /* uring ingress */
	struct recv_uring recv_uring; /* uring ingress */
	struct waiter waiter;
	struct frame *frames; /* [send_batch] of the burst at hand */
	uint32_t doorbell_seen;
	bool messages_left; /* in the channel, perhaps */
	uint32_t complete;  /* generation of the last plan that all has been sent for */
	uint32_t answered;  /* what the supervisor has been told of it */
	bool stop;
	const char *step; /* that it is at, for people */
};

static inline bool split(const struct worker *worker)
{
	return worker->settings.threads == THREADS_SPLIT;
}

/* Waits until no send is under way, and every slot is back. */
void worker_drain(struct worker *worker);
/* The counters, as they are, to whoever looks. */
void worker_publish(struct worker *worker);

/* Takes what has come, at most so much that packets are not kept waiting, and answers. 0 or a
 * negative errno that ends the worker. */
int worker_handle_messages(struct worker *worker);
/* A forwarder for a plan; the worker's own stays as it is. 0 or -ENOMEM. */
int worker_forwarder_init(struct forwarder *next, struct worker *worker, const struct plan *plan);
/* By their numbers; one that is not open is left alone. */
void worker_input_close(struct worker *worker, unsigned index);
void worker_output_close(struct worker *worker, unsigned index);

#endif
