// SPDX-License-Identifier: MIT
/*
 * egress: see egress.h.
 *
 * The life of a send_op: claimed by the first packet of an output in a burst (or the first that
 * does not fit the previous op), grown by egress_add, submitted, completed, settled: its packets
 * are counted, its holds dropped, and it is free again. Its index is the user_data of its
 * completion.
 *
 * No send waits for room in its socket's buffer: a full one fails with EAGAIN, counted for that
 * output alone. Waiting would hold up the other outputs, and io_uring does not keep the order of
 * waiting sends.
 *
 * Whether the kernel can segment for an output depends on its route. Until it has done so for
 * packets of a size, such a send ends what is queued for its output: refused, it is repeated packet
 * by packet before anything behind it is sent. A route that changes under way can still put packets
 * of one burst out of order, once: those behind a refused send have left when it is known.
 *
 * Reap mode sync submits and reaps in one go, so that a receive buffer lives for one turn of the
 * loop. eager does not wait for sends that have not finished; deferred submits at the end of a turn
 * and reaps in the next, which doubles the buffers that a given rate needs: it is there to be
 * measured.
 */
#include "worker/egress.h"
#include "common/log.h"
#include "worker/uring.h"

#include <errno.h>
#include <linux/udp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifndef SOL_UDP
#define SOL_UDP 17
#endif

/* ------------------------------------------------------------------------- set-up */

enum { OP_PENDING = 1 };
enum { MESSAGES_MAX = 1024 }; /* of one sendmmsg(2) */
enum { LOG_AGAIN_S = 60 };    /* that sends of an output fail, by cause */

static void init_op(struct send_op *op)
{
	op->message.msg_iov = op->iov;
	op->control.header.cmsg_level = SOL_UDP;
	op->control.header.cmsg_type = UDP_SEGMENT;
	op->control.header.cmsg_len = CMSG_LEN(sizeof(uint16_t));
}

static void drop_directly(void *context, struct hold hold)
{
	(void)context;
	hold_drop(hold);
}

int egress_init(struct egress *egress, const struct worker_settings *settings,
		struct counters *counters, egress_drop drop, void *drop_context)
{
	const unsigned depth = settings->queue_depth;
	int rc = -ENOMEM;

	*egress = (struct egress){
		.depth = depth,
		.mode = settings->egress,
		.reap = settings->reap,
		.gso = settings->gso,
		.counters = counters,
		.drop = drop ? drop : drop_directly,
		.drop_context = drop_context,
	};
	egress->ops = calloc(depth, sizeof(*egress->ops));
	egress->free = calloc(depth, sizeof(*egress->free));
	egress->queued = calloc(depth, sizeof(*egress->queued));
	egress->vector = calloc(depth, sizeof(*egress->vector));
	if (egress->ops && egress->free && egress->queued && egress->vector)
		rc = uring_init(&egress->uring, depth);
	if (rc < 0) {
		free(egress->ops);
		egress->ops = NULL;
		free(egress->free);
		free(egress->queued);
		free(egress->vector);
		return rc;
	}
	for (unsigned i = 0; i < depth; i++) {
		init_op(&egress->ops[i]);
		egress->free[egress->num_free++] = depth - 1 - i;
	}
	return 0;
}

void egress_exit(struct egress *egress)
{
	if (!egress->ops)
		return;
	io_uring_queue_exit(&egress->uring);
	free(egress->ops);
	free(egress->free);
	free(egress->queued);
	free(egress->vector);
	egress->ops = NULL;
}

/* ------------------------------------------------------------------------- queueing */

/* Rarely: what traffic, or an interface for hours, can cause must not fill the log. */
static void log_failure(struct output *output, int error)
{
	uint32_t *logged_s = &output->logged_s[send_cause(error)];
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	if (*logged_s && now.tv_sec - *logged_s < LOG_AGAIN_S)
		return;
	*logged_s = (uint32_t)now.tv_sec + !now.tv_sec;
	log_warning("Egress", "sends through %s fail: %s (%s); their packets are counted",
		    output->interface, send_cause_name[send_cause(error)], strerror(error));
}

static void count_errors(struct egress *egress, struct output *output, int error, unsigned packets)
{
	counter_add(egress->counters, COUNTER_egress_errors, packets);
	counter_bump(&output->counters->errors[send_cause(error)], packets);
	log_failure(output, error);
}

/* Only the last packet of a send may be shorter than the others. */
static bool op_takes(const struct send_op *op, const struct run *run)
{
	if (!op || op->segments + run->segments > GSO_SEGMENTS_MAX ||
	    op->bytes + run->bytes > GSO_BYTES_MAX)
		return false;
	return run->segments == 1 ? run->bytes > 0 && run->bytes <= op->segment_bytes
				  : run->segment_bytes == op->segment_bytes;
}

static struct send_op *claim_op(struct egress *egress, struct output *output,
				uint32_t segment_bytes)
{
	struct send_op *op;
	uint32_t index;

	if (egress->num_free == 0)
		egress_drain(egress);
	index = egress->free[--egress->num_free];
	egress->queued[egress->num_queued++] = index;
	op = &egress->ops[index];
	op->output = output;
	op->segments = 0;
	op->parts = 0;
	op->segment_bytes = segment_bytes;
	op->bytes = 0;
	op->result = OP_PENDING;
	return op;
}

static void append(struct send_op *op, const struct run *run, struct hold hold)
{
	op->iov[op->parts] = (struct iovec){(void *)run->payload, run->bytes};
	op->holds[op->parts++] = hold;
	op->segments += run->segments;
	op->bytes += run->bytes;
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
		append(claim_op(egress, output, one.bytes), &one, i < run->segments ? none : hold);
		one.payload += one.bytes;
	}
	output->open_op = NULL;
}

void egress_add(struct egress *egress, struct output *output, const struct run *run,
		struct hold hold)
{
	struct send_op *op = output->open_op;

	counter_add(egress->counters, COUNTER_egress_queued, run->segments);
	if (output->fd < 0) {
		count_errors(egress, output, output->error, run->segments);
		egress->drop(egress->drop_context, hold);
		return;
	}
	/* a refusal lowers gso_limit, so this comes before anything else is decided */
	if (output->gso_on_trial && !op_takes(op, run)) {
		egress_drain(egress);
		op = NULL;
	}
	if (run->segment_bytes > output->gso_limit && run->segments > 1) {
		add_apart(egress, output, run, hold);
		return;
	}
	if (!op_takes(op, run))
		op = claim_op(egress, output, run->segment_bytes);
	append(op, run, hold);
	output->gso_on_trial = op->segments > 1 && op->segment_bytes > output->gso_proven;
	/* a packet shorter than its predecessors, or too large to coalesce, closes the op */
	output->open_op = op->bytes == op->segments * op->segment_bytes && op->bytes > 0 &&
					  op->segment_bytes <= output->gso_limit
				  ? op
				  : NULL;
}

/* ------------------------------------------------------------------------- settling */

static void count_submitted(struct egress *egress, const struct send_op *op)
{
	counter_add(egress->counters, COUNTER_egress_submitted, op->segments);
	histogram_add(egress->counters, HISTOGRAM_segments_per_send, op->segments);
}

static void count_sent(struct egress *egress, const struct send_op *op)
{
	counter_add(egress->counters, COUNTER_egress_sent, op->segments);
	counter_add(egress->counters, COUNTER_egress_bytes, op->bytes);
	counter_bump(&op->output->counters->packets, op->segments);
	counter_bump(&op->output->counters->bytes, op->bytes);
	if (op->segments > 1) {
		counter_add(egress->counters, COUNTER_gso_sends, 1);
		counter_add(egress->counters, COUNTER_gso_packets, op->segments);
	}
}

/* These say that the kernel cannot segment this send on this route; plain sends still can work. */
static bool refused_as_gso(const struct send_op *op)
{
	return op->segments > 1 &&
	       (op->result == -EINVAL || op->result == -EIO || op->result == -EMSGSIZE);
}

static void send_plainly(struct egress *egress, struct output *output, const uint8_t *payload,
			 size_t bytes)
{
	const struct send_op one = {.output = output, .segments = 1, .bytes = (uint32_t)bytes};
	ssize_t sent = send(output->fd, payload, bytes, MSG_DONTWAIT);

	counter_add(egress->counters, COUNTER_system_calls, 1);
	if (sent < 0)
		count_errors(egress, output, errno, 1);
	else
		count_sent(egress, &one);
}

/* A refused GSO send, packet by packet; unless told to, its output will not try packets of that
 * size again. */
static void resend_plainly(struct egress *egress, struct send_op *op)
{
	struct output *output = op->output;

	if (egress->gso == GSO_AUTO && output->gso_limit >= op->segment_bytes)
		output->gso_limit = op->result == -EIO ? 0 : op->segment_bytes - 1;
	if (!output->gso_refused)
		log_warning(
			"Egress",
			"%s refuses UDP_SEGMENT for %u-byte packets (%s); sending them one by one",
			output->interface, op->segment_bytes, strerror(-op->result));
	output->gso_refused = true;
	counter_add(egress->counters, COUNTER_gso_refused, 1);
	for (unsigned i = 0; i < op->parts; i++) {
		const uint8_t *payload = op->iov[i].iov_base;
		size_t left = op->iov[i].iov_len;

		while (left > 0) {
			size_t bytes = left < op->segment_bytes ? left : op->segment_bytes;

			send_plainly(egress, output, payload, bytes);
			payload += bytes;
			left -= bytes;
		}
	}
}

static void end_trial(const struct send_op *op)
{
	struct output *output = op->output;

	if (op->segments == 1 || op->segment_bytes <= output->gso_proven)
		return;
	output->gso_on_trial = false;
	if (op->result >= 0)
		output->gso_proven = op->segment_bytes;
}

/* The end of an op whose result is known. */
static void settle(struct egress *egress, uint32_t index)
{
	struct send_op *op = &egress->ops[index];

	end_trial(op);
	if (op->result >= 0)
		count_sent(egress, op);
	else if (refused_as_gso(op))
		resend_plainly(egress, op);
	else
		count_errors(egress, op->output, -op->result, op->segments);
	for (unsigned i = 0; i < op->parts; i++)
		if (op->holds[i].ingress)
			egress->drop(egress->drop_context, op->holds[i]);
	egress->free[egress->num_free++] = index;
}

/* ------------------------------------------------------------------------- io_uring */

static void prepare_message(struct send_op *op)
{
	const uint16_t segment_bytes = (uint16_t)op->segment_bytes;

	op->message.msg_iovlen = op->parts;
	op->message.msg_control = op->segments > 1 ? &op->control : NULL;
	op->message.msg_controllen = op->segments > 1 ? sizeof(op->control) : 0;
	memcpy(CMSG_DATA(&op->control.header), &segment_bytes, sizeof(segment_bytes));
}

static void prepare_entry(struct egress *egress, uint32_t index)
{
	struct send_op *op = &egress->ops[index];
	/* cannot fail: the ring has an entry for each op */
	struct io_uring_sqe *sqe = io_uring_get_sqe(&egress->uring);

	if (op->segments == 1) {
		io_uring_prep_send(sqe, op->output->fd, op->iov[0].iov_base, op->iov[0].iov_len,
				   MSG_DONTWAIT);
	} else {
		prepare_message(op);
		io_uring_prep_sendmsg(sqe, op->output->fd, &op->message, MSG_DONTWAIT);
	}
	sqe->user_data = index;
}

static void reap(struct egress *egress)
{
	struct io_uring_cqe *cqe;
	unsigned head, count = 0;

	io_uring_for_each_cqe(&egress->uring, head, cqe)
	{
		egress->ops[cqe->user_data].result = cqe->res < 0 ? cqe->res : 0;
		settle(egress, (uint32_t)cqe->user_data);
		count++;
	}
	io_uring_cq_advance(&egress->uring, count);
	egress->in_flight -= count;
}

/* Nothing of what is in flight or queued will complete any more. */
static void fail(struct egress *egress, int rc)
{
	egress->error = rc;
	for (unsigned i = 0; i < egress->depth && egress->in_flight > 0; i++) {
		if (egress->ops[i].result != OP_PENDING || !egress->ops[i].output)
			continue;
		egress->ops[i].result = rc;
		settle(egress, i);
		egress->in_flight--;
	}
}

/* Enters the kernel to submit what is prepared and to wait for `wait` completions. */
static void enter(struct egress *egress, unsigned wait)
{
	int rc = wait ? io_uring_submit_and_wait(&egress->uring, wait)
		      : io_uring_submit(&egress->uring);

	counter_add(egress->counters, COUNTER_submits, 1);
	counter_add(egress->counters, COUNTER_system_calls, 1);
	if (rc < 0 && rc != -EINTR && rc != -EAGAIN && rc != -EBUSY)
		fail(egress, rc);
}

/* The packets of a burst that comes after the io_uring has failed. */
static void give_up_queued(struct egress *egress)
{
	for (unsigned i = 0; i < egress->num_queued; i++) {
		struct send_op *op = &egress->ops[egress->queued[i]];

		op->output->open_op = NULL;
		op->result = egress->error;
		settle(egress, egress->queued[i]);
	}
	egress->num_queued = 0;
}

static void prepare_queued(struct egress *egress)
{
	if (egress->error) {
		give_up_queued(egress);
		return;
	}
	for (unsigned i = 0; i < egress->num_queued; i++) {
		struct send_op *op = &egress->ops[egress->queued[i]];

		op->output->open_op = NULL;
		count_submitted(egress, op);
		prepare_entry(egress, egress->queued[i]);
	}
	counter_add(egress->counters, COUNTER_sqes, egress->num_queued);
	egress->in_flight += egress->num_queued;
	egress->num_queued = 0;
}

static void wait_for_all(struct egress *egress)
{
	while (egress->in_flight > 0 && egress->error == 0) {
		enter(egress, egress->in_flight);
		reap(egress);
	}
}

/* ------------------------------------------------------------------------- sendmmsg */

/* The results of `count` messages to one output, from one or more calls: the kernel stops at the
 * first that fails, and says why at the next call. */
static void send_vector(struct egress *egress, const struct output *output, struct send_op **ops,
			unsigned count)
{
	unsigned done = 0;

	while (done < count) {
		int sent = sendmmsg(output->fd, egress->vector + done, count - done, MSG_DONTWAIT);

		counter_add(egress->counters, COUNTER_submits, 1);
		counter_add(egress->counters, COUNTER_system_calls, 1);
		if (sent <= 0) {
			ops[done++]->result = sent < 0 ? -errno : -EIO;
			continue;
		}
		for (int i = 0; i < sent; i++)
			ops[done++]->result = 0;
	}
}

/* Output by output, in the order of their first packets. */
static void send_queued(struct egress *egress)
{
	struct send_op *same[MESSAGES_MAX];

	for (unsigned i = 0; i < egress->num_queued; i++) {
		const struct send_op *first = &egress->ops[egress->queued[i]];
		unsigned count = 0;

		if (first->result != OP_PENDING)
			continue;
		for (unsigned j = i; j < egress->num_queued && count < MESSAGES_MAX; j++) {
			struct send_op *op = &egress->ops[egress->queued[j]];

			if (op->output != first->output || op->result != OP_PENDING)
				continue;
			prepare_message(op);
			egress->vector[count].msg_hdr = op->message;
			same[count++] = op;
		}
		send_vector(egress, first->output, same, count);
	}
	for (unsigned i = 0; i < egress->num_queued; i++) {
		struct send_op *op = &egress->ops[egress->queued[i]];

		op->output->open_op = NULL;
		count_submitted(egress, op);
		settle(egress, egress->queued[i]);
	}
	egress->num_queued = 0;
}

/* ------------------------------------------------------------------------- the end of a burst */

int egress_flush(struct egress *egress)
{
	if (egress->mode == EGRESS_SENDMMSG) {
		send_queued(egress);
		return 0;
	}
	if (egress->reap == REAP_DEFERRED)
		reap(egress); /* what the previous turn submitted */
	prepare_queued(egress);
	if (egress->reap == REAP_SYNC) {
		wait_for_all(egress);
	} else {
		enter(egress, 0);
		if (egress->reap == REAP_EAGER)
			reap(egress);
	}
	return egress->error;
}

int egress_drain(struct egress *egress)
{
	if (egress->mode == EGRESS_SENDMMSG) {
		send_queued(egress);
		return 0;
	}
	prepare_queued(egress);
	wait_for_all(egress);
	return egress->error;
}
