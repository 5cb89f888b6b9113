// SPDX-License-Identifier: MIT
/*
 * egress_gso: what the kernel can segment, found out by trying.
 *
 * Whether it can for an output depends on the output's route. Until it has done so for packets of a
 * size, such a send ends what is queued for its output: refused, it is repeated packet by packet
 * before anything behind it is sent. A route that changes under way can still put packets of one
 * burst out of order, once: those behind a refused send have left when it is known.
 */
#include "common/log.h"
#include "worker/egress_parts.h"

#include <errno.h>
#include <string.h>

bool egress_gso_untried(const struct send_op *op)
{
	return op->segments > 1 && op->segment_bytes > op->output->gso_proven;
}

void egress_gso_end_trial(const struct send_op *op)
{
	struct output *output = op->output;

	if (op->segments == 1 || op->segment_bytes <= output->gso_proven)
		return;
	output->gso_on_trial = false;
	if (op->result >= 0)
		output->gso_proven = op->segment_bytes;
}

/* These say that the kernel cannot segment this send on this route; plain sends still can work. */
bool egress_gso_refused(const struct send_op *op)
{
	return op->segments > 1 &&
	       (op->result == -EINVAL || op->result == -EIO || op->result == -EMSGSIZE);
}

static void send_plainly(struct egress *egress, struct send_op *op, const uint8_t *payload,
			 size_t bytes)
{
	const struct send_op one = {.output = op->output, .segments = 1, .bytes = (uint32_t)bytes};
	struct iovec iov = {(void *)payload, bytes};
	const struct msghdr message = send_op_single(op, &iov);
	ssize_t sent = sendmsg(op->output->fd, &message, MSG_DONTWAIT);

	counter_add(egress->counters, COUNTER_system_calls, 1);
	if (sent < 0)
		egress_count_errors(egress, op->output, errno, 1);
	else
		egress_count_sent(egress, &one);
}

/* A refused GSO send, packet by packet; unless told to, its output will not try packets of that
 * size again. */
void egress_gso_resend(struct egress *egress, struct send_op *op)
{
	struct output *output = op->output;

	if (egress->gso == GSO_AUTO && output->gso_limit >= op->segment_bytes)
		output->gso_limit = op->result == -EIO ? 0 : op->segment_bytes - 1;
	if (output->notes)
		log_limited(
			&output->notes->gso_refused, LEVEL_WARNING, "Egress",
			"%s refuses UDP_SEGMENT for %u-byte packets (%s); sending them one by one",
			output->interface, op->segment_bytes, strerror(-op->result));
	counter_add(egress->counters, COUNTER_gso_refused, 1);
	for (unsigned i = 0; i < op->parts; i++) {
		const uint8_t *payload = op->iov[i].iov_base;
		size_t left = op->iov[i].iov_len;

		while (left > 0) {
			size_t bytes = left < op->segment_bytes ? left : op->segment_bytes;

			send_plainly(egress, op, payload, bytes);
			payload += bytes;
			left -= bytes;
		}
	}
}
