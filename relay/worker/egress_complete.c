// SPDX-License-Identifier: MIT
/* egress_complete: the end of a send: counted, and its slots given back. */
#include "worker/egress_parts.h"

void egress_release(struct egress *egress, uint32_t index)
{
	const struct send_op *op = &egress->pool.ops[index];

	for (unsigned i = 0; i < op->parts; i++)
		if (op->holds[i].ingress)
			egress_drop_hold(egress, op->holds[i]);
	egress->pool.free[egress->pool.num_free++] = index;
}

void egress_complete(struct egress *egress, uint32_t index)
{
	const struct send_op *op = &egress->pool.ops[index];

	egress_gso_end_trial(op);
	if (op->result >= 0)
		egress_count_sent(egress, op);
	else
		egress_count_errors(egress, op->output, -op->result, op->segments);
	egress_release(egress, index);
}
