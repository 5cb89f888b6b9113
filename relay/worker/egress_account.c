// SPDX-License-Identifier: MIT
/* egress_account: every packet handed to egress is counted once more: as sent, or by why it failed.
 */
#include "common/errno_reason.h"
#include "common/log.h"
#include "worker/egress_parts.h"

/* What traffic, or an interface for hours, can cause must not fill the log. */
static void log_failure(struct output *output, int error)
{
	enum send_cause cause = send_cause(error);

	if (output->notes)
		log_limited(&output->notes->failed[cause], LEVEL_WARNING, "Egress",
			    "sends through %s fail: %s (%s); their packets are counted",
			    output->interface, send_cause_name[cause], reason_of_send(error));
}

void egress_count_errors(struct egress *egress, struct output *output, int error, unsigned packets)
{
	counter_add(egress->counters, COUNTER_egress_errors, packets);
	counter_bump(&output->counters->errors[send_cause(error)], packets);
	log_failure(output, error);
}

void egress_count_submitted(struct egress *egress, const struct send_op *op)
{
	counter_add(egress->counters, COUNTER_egress_submitted, op->segments);
	histogram_add(egress->counters, HISTOGRAM_segments_per_send, op->segments);
}

void egress_count_sent(struct egress *egress, const struct send_op *op)
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

void egress_count_apart(struct egress *egress, struct output *output, int result)
{
	const struct send_op one = {.output = output, .segments = 1, .bytes = (uint32_t)result};

	if (result < 0)
		egress_count_errors(egress, output, -result, 1);
	else
		egress_count_sent(egress, &one);
}
