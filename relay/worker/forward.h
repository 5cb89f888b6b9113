/* SPDX-License-Identifier: MIT
 *
 * forward: what happens to a burst of frames between ingress and egress: parse, match, fan out.
 */
#ifndef FORWARD_H
#define FORWARD_H

#include "contract/counters.h"
#include "contract/drill.h"
#include "contract/plan.h"
#include "worker/rule_table.h"
#include "worker/egress.h"
#include "worker/handoff.h"
#include "worker/ingress.h"
#include "worker/loops.h"
#include "worker/packet.h"
#include "worker/reassembly.h"

/* Where the packets of one rule go. */
struct route {
	struct output **outputs;
	unsigned num_outputs;
	struct rule_counters *counters;
	struct loop_watch watch;
	uint32_t number; /* of the rule */
	bool stopped;	 /* nothing goes there, because it comes back */
	bool marks;	 /* an output takes over something of each packet */
};

/* All that forwarding needs; nothing in it changes while a burst is under way. */
struct forwarder {
	struct rule_table table;
	struct route *routes; /* [num_routes] by rule */
	uint32_t num_routes;
	struct counters *counters;
	struct egress *egress;	 /* unified thread model: packets are queued here */
	struct handoff *handoff; /* split thread model: they are handed over here; else NULL */
	struct reassembly *reassembly;
	struct loops *loops; /* NULL: loops are not looked for */
	uint32_t tick;	     /* the last burst's time in ms, from its frames; not 0 */
	bool log_packets;
	struct drill drill;
};

/* Fills table and routes from a plan; its numbers are places in `outputs` and `counters`. 0 or
 * -ENOMEM. */
int forwarder_init(struct forwarder *forwarder, const struct plan *plan, struct output *outputs,
		   struct rule_counters *counters);
void forwarder_exit(struct forwarder *forwarder);

/* Queues every packet of these frames for each of its outputs, with a hold on its slot; the slots
 * of all others are released, and counted by the reason. `index`: the number of the ingress in rule
 * keys. */
void forward_burst(struct forwarder *forwarder, struct ingress *ingress, uint16_t index,
		   const struct frame *frames, unsigned count);

/* Queues a packet once more for all outputs of a route, each with a hold on slot `slot`. */
void forward_again(struct forwarder *forwarder, struct route *route, const struct run *run,
		   struct ingress *ingress, uint32_t slot);

/* The end of a turn's burst, of so many packets in all; it may have come in several pieces. */
void forward_end(struct forwarder *forwarder, uint64_t packets);

#endif
