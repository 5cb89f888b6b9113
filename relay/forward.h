/* SPDX-License-Identifier: MIT
 *
 * forward: what happens to a burst of frames between ingress and egress: parse, match, fan out.
 */
#ifndef FORWARD_H
#define FORWARD_H

#include "counters.h"
#include "egress.h"
#include "packet.h"
#include "rules.h"

/* Where the packets of one rule go. */
struct route {
	struct output **outputs;
	unsigned num_outputs;
};

/* All that forwarding needs; nothing in it changes while a burst is under way. */
struct forwarder {
	struct rule_table table;
	struct route *routes;		     /* [rule] */
	struct rule_counters *rule_counters; /* [rule] */
	struct counters *counters;
	struct egress *egress;
};

/* Queues every packet of the burst for each of its outputs, or counts why not. The frames must
 * stay until the next egress_flush. `ingress` is the number they arrived on. */
void forward_burst(struct forwarder *forwarder, uint16_t ingress, const struct frame *frames,
		   unsigned count);

#endif
