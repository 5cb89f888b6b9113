// SPDX-License-Identifier: MIT
/* forward: see forward.h. */
#include "forward.h"

static enum counter drop_counter(enum packet_verdict verdict)
{
	switch (verdict) {
	case PACKET_FRAGMENT:
		return COUNTER_drop_fragment;
	case PACKET_TRUNCATED:
		return COUNTER_drop_truncated;
	case PACKET_CHECKSUM:
		return COUNTER_drop_checksum;
	default:
		return COUNTER_drop_malformed;
	}
}

static void forward_frame(struct forwarder *forwarder, uint16_t ingress, const struct frame *frame)
{
	struct counters *counters = forwarder->counters;
	struct packet packet;
	const struct route *route;
	enum packet_verdict verdict = packet_parse(frame, &packet);
	int32_t rule;

	if (verdict != PACKET_OK) {
		counter_add(counters, drop_counter(verdict), 1);
		return;
	}
	rule = rule_table_find(&forwarder->table,
			       (struct rule_key){packet.group, packet.port, ingress});
	if (rule < 0) {
		counter_add(counters, COUNTER_drop_no_match, 1);
		return;
	}
	counter_add(counters, COUNTER_matched, 1);
	counter_bump(&forwarder->rule_counters[rule].packets, 1);
	counter_bump(&forwarder->rule_counters[rule].bytes, packet.payload_bytes);
	route = &forwarder->routes[rule];
	for (unsigned i = 0; i < route->num_outputs; i++)
		egress_add(forwarder->egress, route->outputs[i], packet.payload,
			   packet.payload_bytes);
}

void forward_burst(struct forwarder *forwarder, uint16_t ingress, const struct frame *frames,
		   unsigned count)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < count; i++) {
		bytes += frames[i].original;
		forward_frame(forwarder, ingress, &frames[i]);
	}
	counter_add(forwarder->counters, COUNTER_recv_packets, count);
	counter_add(forwarder->counters, COUNTER_recv_bytes, bytes);
	counter_add(forwarder->counters, COUNTER_bursts, 1);
}
