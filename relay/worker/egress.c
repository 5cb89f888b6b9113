// SPDX-License-Identifier: MIT
/*
 * egress: see egress.h. This file puts sends together; how they go to the kernel, what becomes of
 * them, and what the kernel can segment are parts of their own (egress_parts.h).
 */
#include "worker/egress.h"
#include "worker/egress_parts.h"
#include "worker/uring.h"

#include <errno.h>
#include <stdlib.h>

static int init_back_end(struct egress *egress, unsigned depth)
{
	if (egress->mode == EGRESS_SENDMMSG) {
		egress->vector = calloc(depth, sizeof(*egress->vector));
		return egress->vector ? 0 : -ENOMEM;
	}
	egress->refused = calloc(depth, sizeof(*egress->refused));
	return egress->refused ? egress_uring_init(egress, depth) : -ENOMEM;
}

static void free_memory(struct egress *egress)
{
	send_pool_exit(&egress->pool);
	free(egress->queued);
	free(egress->vector);
	free(egress->refused);
}

int egress_init(struct egress *egress, const struct worker_settings *settings,
		struct counters *counters, egress_drop drop, void *drop_context)
{
	const unsigned depth = settings->queue_depth;
	int rc;

	*egress = (struct egress){
		.mode = settings->egress,
		.reap = settings->reap,
		.gso = settings->gso,
		.counters = counters,
		.drop = drop,
		.drop_context = drop_context,
	};
	rc = send_pool_init(&egress->pool, depth);
	egress->queued = calloc(depth, sizeof(*egress->queued));
	if (rc == 0)
		rc = egress->queued ? init_back_end(egress, depth) : -ENOMEM;
	if (rc < 0)
		free_memory(egress);
	return rc;
}

void egress_exit(struct egress *egress)
{
	if (!egress->pool.ops)
		return;
	if (egress->mode == EGRESS_URING)
		uring_exit(&egress->uring);
	free_memory(egress);
}

static struct send_op *claim_op(struct egress *egress, struct output *output,
				uint32_t segment_bytes, uint16_t marks)
{
	uint32_t index;

	if (egress->pool.num_free == 0)
		egress_drain(egress);
	index = send_pool_claim(&egress->pool, output, segment_bytes, marks);
	egress->queued[egress->num_queued++] = index;
	return &egress->pool.ops[index];
}

/* Packet by packet. Sends of one output complete in the order they are made, so the last one drops
 * the hold for all. */
static void add_apart(struct egress *egress, struct output *output, const struct run *run,
		      struct hold hold)
{
	const uint8_t *end = run->payload + run->bytes;
	const struct hold none = {0};
	struct run one = {.payload = run->payload, .segments = 1};

	for (uint32_t i = 1; i <= run->segments; i++) {
		one.bytes = i < run->segments ? run->segment_bytes : (uint32_t)(end - one.payload);
		one.segment_bytes = one.bytes;
		send_op_append(claim_op(egress, output, one.bytes, run->marks & output->marks),
			       &one, i < run->segments ? none : hold);
		one.payload += one.bytes;
	}
	output->open_op = NULL;
}

/* Whether a run is one packet more of what the send that is open consists of already: nothing else
 * has to be decided then, and the send stays open. */
static inline bool one_more(const struct send_op *op, const struct output *output,
			    const struct run *run)
{
	return op && run->segments == 1 && run->bytes == op->segment_bytes && !output->marks &&
	       op->segments < GSO_SEGMENTS_MAX && op->bytes + run->bytes <= GSO_BYTES_MAX &&
	       op->segment_bytes <= output->gso_proven;
}

/* Apart, so that the short way has no registers to save. */
static __attribute__((noinline)) void add_any(struct egress *egress, struct output *output,
					      const struct run *run, struct hold hold)
{
	struct send_op *op = output->open_op;
	uint16_t marks = 0;

	if (output->marks)
		marks = run->marks & output->marks;
	if ((output->marks & MARKS_TTL) && !(marks & MARKS_TTL)) {
		counter_add(egress->counters, COUNTER_drop_ttl, run->segments);
		counter_bump(&output->counters->expired, run->segments);
		egress_drop_hold(egress, hold);
		return;
	}
	counter_add(egress->counters, COUNTER_egress_queued, run->segments);
	if (output->fd < 0) {
		egress_count_errors(egress, output, output->error, run->segments);
		egress_drop_hold(egress, hold);
		return;
	}
	/* a refusal lowers gso_limit, so this comes before anything else is decided */
	if (output->gso_on_trial && !send_op_takes(op, run, marks)) {
		egress_drain(egress);
		op = NULL;
	}
	if (output->gso_refused && run->segment_bytes > output->gso_limit)
		egress_gso_try_again(output);
	if (run->segment_bytes > output->gso_limit && run->segments > 1) {
		add_apart(egress, output, run, hold);
		return;
	}
	if (!send_op_takes(op, run, marks))
		op = claim_op(egress, output, run->segment_bytes, marks);
	send_op_append(op, run, hold);
	output->gso_on_trial = egress_gso_untried(op, output);
	/* a packet shorter than its predecessors, or too large to coalesce, closes the op */
	output->open_op = op->bytes == op->segments * op->segment_bytes && op->bytes > 0 &&
					  op->segment_bytes <= output->gso_limit
				  ? op
				  : NULL;
}

void egress_add(struct egress *egress, struct output *output, const struct run *run,
		struct hold hold)
{
	if (!one_more(output->open_op, output, run)) {
		add_any(egress, output, run, hold);
		return;
	}
	counter_add(egress->counters, COUNTER_egress_queued, 1);
	send_op_append(output->open_op, run, hold);
}

int egress_flush(struct egress *egress)
{
	if (egress->mode == EGRESS_SENDMMSG)
		egress_sendmmsg_flush(egress);
	else
		egress_uring_flush(egress);
	return egress->error;
}

int egress_drain(struct egress *egress)
{
	if (egress->mode == EGRESS_SENDMMSG)
		egress_sendmmsg_flush(egress);
	else
		egress_uring_drain(egress);
	return egress->error;
}
