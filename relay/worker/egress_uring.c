// SPDX-License-Identifier: MIT
/*
 * egress_uring: the back end that hands sends to the kernel through io_uring, one
 * io_uring_enter(2) for a burst.
 *
 * No send waits for room in its socket's buffer: a full one fails with EAGAIN, counted for that
 * output alone. Waiting would hold up the other outputs, and io_uring does not keep the order of
 * waiting sends.
 *
 * Reap mode sync submits and reaps in one go, so that a receive buffer lives for one turn of the
 * loop. eager does not wait for sends that have not finished; deferred submits at the end of a turn
 * and reaps in the next, which doubles the buffers that a given rate needs: it is there to be
 * measured.
 *
 * A send that the kernel would not segment is repeated packet by packet, through the io_uring as
 * well, once all is reaped that has completed with it.
 */
#include "worker/egress_parts.h"
#include "worker/uring.h"

#include <errno.h>

/* In user_data, besides the index of an op: one of its packets that goes by itself. */
static const uint64_t APART = 1ULL << 32;

int egress_uring_init(struct egress *egress, unsigned depth)
{
	static const struct uring_use use = {
		.what = "to send with",
		.num_ops = 2,
		.ops = {IORING_OP_SEND, IORING_OP_SENDMSG},
	};
	int rc = uring_init(&egress->uring, depth, &use);

	if (rc == 0)
		rc = uring_enable(&egress->uring, &use);
	if (rc < 0)
		uring_exit(&egress->uring);
	return rc;
}

static void prepare_entry(struct egress *egress, uint32_t index)
{
	struct send_op *op = &egress->pool.ops[index];
	/* cannot fail: the ring has an entry for each op */
	struct io_uring_sqe *sqe = io_uring_get_sqe(&egress->uring);

	if (op->segments == 1 && !op->marks) {
		io_uring_prep_send(sqe, op->output->fd, op->iov[0].iov_base, op->iov[0].iov_len,
				   MSG_DONTWAIT);
	} else {
		send_op_prepare(op);
		io_uring_prep_sendmsg(sqe, op->output->fd, &op->message, MSG_DONTWAIT);
	}
	sqe->user_data = index;
	op->result = OP_IN_FLIGHT;
}

static void take_result(struct egress *egress, uint32_t index, int result)
{
	struct send_op *op = &egress->pool.ops[index];

	op->result = result < 0 ? result : 0;
	if (egress_gso_refused(op))
		egress->refused[egress->num_refused++] = index;
	else
		egress_complete(egress, index);
}

static void take_completions(struct egress *egress)
{
	struct io_uring_cqe *cqe;
	unsigned head, count = 0;

	io_uring_for_each_cqe(&egress->uring, head, cqe)
	{
		const uint32_t index = (uint32_t)cqe->user_data;

		if (cqe->user_data & APART) {
			egress_count_apart(egress, egress->pool.ops[index].output, cqe->res);
			egress->apart--;
		} else {
			take_result(egress, index, cqe->res);
		}
		count++;
	}
	io_uring_cq_advance(&egress->uring, count);
	egress->in_flight -= count;
}

/* Nothing of what is in flight will complete any more. */
static void fail(struct egress *egress, int rc)
{
	egress->error = rc;
	for (unsigned i = 0; i < egress->pool.depth; i++) {
		if (egress->pool.ops[i].result != OP_IN_FLIGHT)
			continue;
		egress->pool.ops[i].result = rc;
		egress_complete(egress, i);
	}
	egress->in_flight = 0;
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

/* An entry for a packet that goes by itself; NULL: the io_uring has failed. */
static struct io_uring_sqe *entry_apart(struct egress *egress)
{
	struct io_uring_sqe *sqe;

	while (!(sqe = io_uring_get_sqe(&egress->uring)) && egress->error == 0) {
		enter(egress, 1);
		take_completions(egress);
	}
	return egress->error == 0 ? sqe : NULL;
}

/* A send that the kernel would not segment, packet by packet: all are through when this returns. */
static void send_apart(struct egress *egress, uint32_t index)
{
	struct send_op *op = &egress->pool.ops[index];
	struct packet_cursor cursor = {0};
	struct iovec packets[GSO_SEGMENTS_MAX];
	struct msghdr messages[GSO_SEGMENTS_MAX];

	egress_gso_note_refusal(egress, op);
	for (unsigned i = 0; send_op_next_packet(op, &cursor, &packets[i]); i++) {
		struct io_uring_sqe *sqe = entry_apart(egress);

		if (!sqe) {
			egress_count_apart(egress, op->output, egress->error);
			continue;
		}
		messages[i] = send_op_single(op, &packets[i]);
		io_uring_prep_sendmsg(sqe, op->output->fd, &messages[i], MSG_DONTWAIT);
		sqe->user_data = index | APART;
		counter_add(egress->counters, COUNTER_sqes, 1);
		egress->in_flight++;
		egress->apart++;
	}
	while (egress->apart > 0 && egress->error == 0) {
		enter(egress, egress->apart);
		take_completions(egress);
	}
	for (; egress->apart > 0; egress->apart--)
		egress_count_apart(egress, op->output, egress->error);
	egress_release(egress, index);
}

static void reap(struct egress *egress)
{
	take_completions(egress);
	for (unsigned i = 0; i < egress->num_refused; i++)
		send_apart(egress, egress->refused[i]);
	egress->num_refused = 0;
}

/* The packets of a burst that comes after the io_uring has failed. */
static void give_up_queued(struct egress *egress)
{
	for (unsigned i = 0; i < egress->num_queued; i++) {
		struct send_op *op = &egress->pool.ops[egress->queued[i]];

		op->output->open_op = NULL;
		op->result = egress->error;
		egress_complete(egress, egress->queued[i]);
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
		struct send_op *op = &egress->pool.ops[egress->queued[i]];

		op->output->open_op = NULL;
		egress_count_submitted(egress, op);
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

void egress_uring_flush(struct egress *egress)
{
	if (egress->reap == REAP_DEFERRED)
		reap(egress); /* what the previous turn submitted */
	prepare_queued(egress);
	if (egress->reap == REAP_SYNC) {
		wait_for_all(egress);
		return;
	}
	enter(egress, 0);
	if (egress->reap == REAP_EAGER)
		reap(egress);
}

void egress_uring_drain(struct egress *egress)
{
	prepare_queued(egress);
	wait_for_all(egress);
}
