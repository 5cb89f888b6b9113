// SPDX-License-Identifier: MIT
/* egress_sendmmsg: the back end that sends by sendmmsg(2), a call per output of a burst, and needs
 * no io_uring. As with that, no send waits for room in its socket's buffer. */
#include "worker/egress_parts.h"

#include <errno.h>

enum { MESSAGES_MAX = 1024 }; /* of one call */

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

/* A send that the kernel would not segment, packet by packet. */
static void send_apart(struct egress *egress, struct send_op *op)
{
	struct packet_cursor cursor = {0};
	struct iovec packet;
	struct mmsghdr one = {.msg_hdr = send_op_single(op, &packet)};

	egress_gso_note_refusal(egress, op);
	while (send_op_next_packet(op, &cursor, &packet)) {
		int sent = sendmmsg(op->output->fd, &one, 1, MSG_DONTWAIT);

		counter_add(egress->counters, COUNTER_system_calls, 1);
		egress_count_apart(egress, op->output, sent < 0 ? -errno : (int)packet.iov_len);
	}
}

static void complete(struct egress *egress, uint32_t index)
{
	struct send_op *op = &egress->pool.ops[index];

	if (!egress_gso_refused(op)) {
		egress_complete(egress, index);
		return;
	}
	send_apart(egress, op);
	egress_release(egress, index);
}

/* Output by output, in the order of their first packets. */
void egress_sendmmsg_flush(struct egress *egress)
{
	struct send_op *same[MESSAGES_MAX];

	for (unsigned i = 0; i < egress->num_queued; i++) {
		const struct send_op *first = &egress->pool.ops[egress->queued[i]];
		unsigned count = 0;

		if (first->result != OP_PENDING)
			continue;
		for (unsigned j = i; j < egress->num_queued && count < MESSAGES_MAX; j++) {
			struct send_op *op = &egress->pool.ops[egress->queued[j]];

			if (op->output != first->output || op->result != OP_PENDING)
				continue;
			send_op_prepare(op);
			egress->vector[count].msg_hdr = op->message;
			same[count++] = op;
		}
		send_vector(egress, first->output, same, count);
	}
	for (unsigned i = 0; i < egress->num_queued; i++) {
		struct send_op *op = &egress->pool.ops[egress->queued[i]];

		op->output->open_op = NULL;
		egress_count_submitted(egress, op);
		complete(egress, egress->queued[i]);
	}
	egress->num_queued = 0;
}
