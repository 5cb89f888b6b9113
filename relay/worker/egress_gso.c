// SPDX-License-Identifier: MIT
/*
 * egress_gso: what the kernel can segment, found out by trying.
 *
 * Whether it can for an output depends on the output's route. Until it has done so for packets of a
 * size, such a send ends what is queued for its output: refused, it is repeated packet by packet
 * before anything behind it is sent. A route that changes under way can still put packets of one
 * burst out of order, once: those behind a refused send have left when it is known.
 *
 * A route may also change for the better. So what was refused is tried again, in vain at the cost
 * of one send a second.
 */
#include "common/clock.h"
#include "common/log.h"
#include "worker/egress_parts.h"

#include <errno.h>
#include <string.h>

enum { TRY_AGAIN_MS = 1000 };

void egress_gso_try_again(struct output *output)
{
	const uint32_t now = (uint32_t)now_about_ms(); /* round after 49 days */

	if (now - output->gso_refused_ms < TRY_AGAIN_MS)
		return;
	output->gso_refused_ms = now;
	output->gso_limit = output->gso_most;
}

void egress_gso_end_trial(const struct send_op *op)
{
	struct output *output = op->output;

	if (op->segments == 1 || op->segment_bytes <= output->gso_proven)
		return;
	output->gso_on_trial = false;
	if (op->result < 0)
		return;
	output->gso_proven = op->segment_bytes;
	if (!output->gso_refused || op->segment_bytes < output->gso_refused)
		return;
	log_info("Egress", "%s takes UDP_SEGMENT for %u-byte packets again", output->interface,
		 output->gso_refused);
	output->gso_refused = 0;
}

/* These say that the kernel cannot segment this send on this route; plain sends still can work. */
bool egress_gso_refused(const struct send_op *op)
{
	return op->segments > 1 &&
	       (op->result == -EINVAL || op->result == -EIO || op->result == -EMSGSIZE);
}

/* Unless told to, the output will not try packets of that size for a while. */
void egress_gso_note_refusal(struct egress *egress, const struct send_op *op)
{
	struct output *output = op->output;

	egress_gso_end_trial(op);
	if (egress->gso == GSO_AUTO && output->gso_limit >= op->segment_bytes)
		output->gso_limit = op->result == -EIO ? 0 : op->segment_bytes - 1;
	if (output->notes)
		log_limited(
			&output->notes->gso_refused, LEVEL_WARNING, "Egress",
			"%s refuses UDP_SEGMENT for %u-byte packets (%s); sending them one by one",
			output->interface, op->segment_bytes, strerror(-op->result));
	output->gso_refused = op->segment_bytes;
	if (output->gso_proven >= op->segment_bytes)
		output->gso_proven = op->segment_bytes - 1;
	output->gso_refused_ms = (uint32_t)now_about_ms();
	counter_add(egress->counters, COUNTER_gso_refused, 1);
}
