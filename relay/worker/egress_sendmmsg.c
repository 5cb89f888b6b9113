// SPDX-License-Identifier: MIT
/* egress_sendmmsg: the back end that sends by sendmmsg(2), a call per output of a burst. As with
 * io_uring, no send waits for room in its socket's buffer. */
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
		egress_complete(egress, egress->queued[i]);
	}
	egress->num_queued = 0;
}
