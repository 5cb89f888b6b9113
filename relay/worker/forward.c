// SPDX-License-Identifier: MIT
/* forward: see forward.h. */
#include "worker/forward.h"
#include "common/log.h"

#include <errno.h>
#include <stdlib.h>

void forwarder_exit(struct forwarder *forwarder)
{
	rule_table_exit(&forwarder->table);
	if (forwarder->routes)
		free(forwarder->routes[0].outputs);
	free(forwarder->routes);
	forwarder->routes = NULL;
}

static void insert_rule(struct rule_table *table, const struct plan *plan, uint32_t index)
{
	const struct plan_rule *rule = &plan->rules[index];
	const struct plan_source *sources = plan_sources(plan) + rule->first_source;
	const struct rule_key key = {rule->group, rule->port, rule->input};

	if (rule->num_sources == 0)
		rule_table_insert(table, key, (int32_t)index);
	for (uint32_t i = 0; i < rule->num_sources; i++)
		rule_table_insert_source(table, key, sources[i].first, sources[i].last,
					 (int32_t)index);
}

/* All routes' outputs are in one allocation, which the first route points to the start of. */
int forwarder_init(struct forwarder *forwarder, const struct plan *plan, struct output *outputs,
		   struct rule_counters *counters)
{
	const uint32_t *numbers = plan_outputs(plan);
	struct output **list = calloc(plan->num_outputs + 1, sizeof(*list));
	int rc = rule_table_init(&forwarder->table, plan->num_rules, plan->num_sources);

	forwarder->routes = calloc(plan->num_rules + 1, sizeof(*forwarder->routes));
	if (rc < 0 || !list || !forwarder->routes) {
		free(list);
		forwarder_exit(forwarder);
		return -ENOMEM;
	}
	forwarder->routes[0].outputs = list;
	forwarder->num_routes = plan->num_rules;
	for (uint32_t i = 0; i < plan->num_outputs; i++)
		list[i] = &outputs[numbers[i]];
	for (uint32_t i = 0; i < plan->num_rules; i++) {
		const struct plan_rule *rule = &plan->rules[i];

		forwarder->routes[i] = (struct route){
			.outputs = list + rule->first_output,
			.num_outputs = rule->num_outputs,
			.counters = &counters[rule->number],
			.number = rule->number,
			.watch.bytes = LOOP_NOTHING,
		};
		for (uint32_t j = 0; j < rule->num_outputs; j++)
			forwarder->routes[i].marks |= list[rule->first_output + j]->marks != 0;
		insert_rule(&forwarder->table, plan, i);
	}
	rule_table_complete(&forwarder->table);
	return 0;
}

static enum counter drop_counter(enum packet_verdict verdict)
{
	switch (verdict) {
	case PACKET_TRUNCATED:
		return COUNTER_drop_truncated;
	case PACKET_CHECKSUM:
		return COUNTER_drop_checksum;
	default:
		return COUNTER_drop_malformed;
	}
}

/* In the split thread model. */
static __attribute__((noinline)) void hand_over(struct forwarder *forwarder, struct output *output,
						const struct run *run, struct hold hold)
{
	if (handoff_push(forwarder->handoff, &(struct handoff_run){output, *run, hold}))
		return;
	counter_bump(&output->counters->queued, -(uint64_t)run->segments);
	counter_add(forwarder->counters, COUNTER_drop_handoff, run->segments);
	hold_drop(hold);
}

static void send_to(struct forwarder *forwarder, struct output *output, const struct run *run,
		    struct hold hold)
{
	counter_bump(&output->counters->queued, run->segments);
	if (!forwarder->handoff) {
		egress_add(forwarder->egress, output, run, hold);
		return;
	}
	hand_over(forwarder, output, run, hold);
}

/* The most packets of that size that one send can take. */
static uint32_t run_limit(uint32_t segment_bytes)
{
	const uint32_t fit = segment_bytes ? GSO_BYTES_MAX / segment_bytes : 1;

	return fit < GSO_SEGMENTS_MAX ? fit : GSO_SEGMENTS_MAX;
}

/* How many runs it makes that one send can take. */
static uint32_t runs_of(const struct run *all)
{
	uint32_t limit;

	if (all->segments == 1)
		return 1;
	limit = run_limit(all->segment_bytes);
	return (all->segments + limit - 1) / limit;
}

static void fan_out(struct forwarder *forwarder, const struct route *route, const struct run *all,
		    struct ingress *ingress, uint32_t slot)
{
	const uint32_t limit = all->segments == 1 ? 1 : run_limit(all->segment_bytes);

	for (unsigned i = 0; i < route->num_outputs; i++) {
		struct run left = *all;

		do {
			struct run run = left;

			if (left.segments > limit) {
				run.segments = limit;
				run.bytes = limit * all->segment_bytes;
			}
			send_to(forwarder, route->outputs[i], &run, (struct hold){ingress, slot});
			left.payload += run.bytes;
			left.bytes -= run.bytes;
			left.segments -= run.segments;
		} while (left.segments > 0);
	}
}

/* A frame of one packet: nearly all are, where links carry no aggregates. */
static void fan_out_one(struct forwarder *forwarder, const struct route *route,
			const struct run *run, struct ingress *ingress, uint32_t slot)
{
	ingress->holds[slot] = (uint32_t)route->num_outputs;
	for (unsigned i = 0; i < route->num_outputs; i++)
		send_to(forwarder, route->outputs[i], run, (struct hold){ingress, slot});
}

/* The packets of a frame go on as one run, or as a few if one send cannot take them all. `pieces`:
 * what they are, nearly always one. */
static __attribute__((noinline)) void fan_out_all(struct forwarder *forwarder,
						  const struct route *route,
						  const struct run *pieces, unsigned count,
						  struct ingress *ingress, uint32_t slot)
{
	uint32_t runs = 0;

	for (unsigned i = 0; i < count; i++)
		runs += runs_of(&pieces[i]);
	ingress->holds[slot] = (uint32_t)route->num_outputs * runs;
	for (unsigned i = 0; i < count; i++)
		fan_out(forwarder, route, &pieces[i], ingress, slot);
}

void forward_again(struct forwarder *forwarder, struct route *route, const struct run *run,
		   struct ingress *ingress, uint32_t slot)
{
	ingress->holds[slot] += (uint32_t)route->num_outputs;
	fan_out(forwarder, route, run, ingress, slot);
}

static void log_truncation_once(struct ingress *ingress, const struct frame *frame)
{
	if (ingress->truncation_logged)
		return;
	ingress->truncation_logged = true;
	log_warning(
		"Ingress",
		"a frame of %u bytes on %s does not fit a slot of %u and is dropped, as all such "
		"are",
		frame->original, ingress->interface, ingress->slot_bytes);
}

static void log_run(const struct packet *packet, const struct run *run)
{
	for (uint32_t left = run->bytes, i = 1; i <= run->segments; i++) {
		uint32_t bytes = i < run->segments ? run->segment_bytes : left;

		log_packet(packet->group, packet->port, bytes);
		left -= bytes;
	}
}

static void forward_fragment(struct forwarder *forwarder, uint16_t index,
			     const struct frame *frame);

static __attribute__((noinline)) int32_t
find_rule_by_source(const struct rule_table *table, const struct packet *packet, uint16_t input)
{
	const struct rule_key key = {packet->group, packet->port, input};

	return rule_table_find_source(table, key, packet_source(packet));
}

static int32_t find_rule(const struct rule_table *table, const struct packet *packet,
			 uint16_t input)
{
	const struct rule_key key = {packet->group, packet->port, input};
	const int32_t rule = rule_table_find(table, key);

	return rule == RULE_BY_SOURCE ? find_rule_by_source(table, packet, input) : rule;
}

/* Packets that match a rule go to its outputs. True when sends hold the slot now. */
static bool hand_out(struct forwarder *forwarder, struct route *route, const struct packet *packet,
		     const struct run *run, struct ingress *ingress, uint32_t slot)
{
	const struct run *pieces = run;
	unsigned count = 1;

	if (route->num_outputs == 0)
		return false;
	if ((loop_watch_due(&route->watch, forwarder->tick, run->payload, run->segment_bytes) ||
	     (run->segments > 1 && loop_watch_within(&route->watch, run))) &&
	    forwarder->loops)
		count = loops_look(forwarder, route, packet, run, &pieces);
	if (count == 0)
		return false;
	if (run->segments == 1)
		fan_out_one(forwarder, route, pieces, ingress, slot);
	else
		fan_out_all(forwarder, route, pieces, count, ingress, slot);
	return true;
}

/* What is no packet that a rule could ask for, or not a whole one yet. */
static __attribute__((noinline)) void drop_frame(struct forwarder *forwarder,
						 struct ingress *ingress, uint16_t index,
						 const struct frame *frame,
						 enum packet_verdict verdict)
{
	if (verdict == PACKET_FRAGMENT) {
		forward_fragment(forwarder, index, frame);
		return;
	}
	if (verdict == PACKET_TRUNCATED)
		log_truncation_once(ingress, frame);
	counter_add(forwarder->counters, drop_counter(verdict), frame_packets(frame));
	counter_add(forwarder->counters, COUNTER_recv_packets, frame_packets(frame));
}

/* True when sends hold the frame's slot now. */
static bool forward_frame(struct forwarder *forwarder, struct ingress *ingress, uint16_t index,
			  const struct frame *frame)
{
	struct counters *counters = forwarder->counters;
	struct packet packet;
	struct route *route;
	enum packet_verdict verdict = packet_parse(frame, &packet);
	struct run run;
	bool held;
	uint32_t segments;
	int32_t rule;

	if (verdict != PACKET_OK) {
		drop_frame(forwarder, ingress, index, frame, verdict);
		return false;
	}
	segments = frame_segments(frame, packet.payload_bytes);
	counter_add(counters, COUNTER_recv_packets, segments);
	rule = find_rule(&forwarder->table, &packet, index);
	if (rule < 0) {
		counter_add(counters,
			    rule == RULE_NONE ? COUNTER_drop_no_match : COUNTER_drop_source,
			    segments);
		return false;
	}
	counter_add(counters, COUNTER_matched, segments);
	packet.payload_bytes =
		drill_payload(&forwarder->drill, packet.payload, packet.payload_bytes);
	route = &forwarder->routes[rule];
	run = (struct run){packet.payload, packet.payload_bytes,
			   segments > 1 ? frame->segment_bytes : packet.payload_bytes, segments,
			   route->marks ? packet_marks(&packet) : 0};
	if (forwarder->log_packets)
		log_run(&packet, &run);
	held = hand_out(forwarder, route, &packet, &run, ingress, frame->slot);
	/* not before: should we die meanwhile, it is not said that each output has had them */
	counter_bump(&route->counters->packets, segments);
	counter_bump(&route->counters->bytes, packet.payload_bytes);
	return held;
}

/* The fragment that completes a datagram sends that on; it is no fragment itself. */
static void forward_fragment(struct forwarder *forwarder, uint16_t index, const struct frame *frame)
{
	struct reassembly *reassembly = forwarder->reassembly;
	struct frame whole;

	if (!reassembly_add(reassembly, index, frame, &whole))
		return;
	if (!forward_frame(forwarder, &reassembly->ingress, index, &whole))
		reassembly->ingress.ops->release(&reassembly->ingress, whole.slot);
}

void forward_burst(struct forwarder *forwarder, struct ingress *ingress, uint16_t index,
		   const struct frame *frames, unsigned count)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < count; i++) {
		const struct frame *frame = &frames[drill_order(&forwarder->drill, i, count)];

		bytes += frame->original;
		if (!forward_frame(forwarder, ingress, index, frame))
			ingress->ops->release(ingress, frame->slot);
	}
	counter_add(forwarder->counters, COUNTER_recv_frames, count);
	counter_add(forwarder->counters, COUNTER_recv_bytes, bytes);
}

void forward_end(struct forwarder *forwarder, uint64_t packets)
{
	if (forwarder->handoff)
		handoff_kick(forwarder->handoff);
	counter_add(forwarder->counters, COUNTER_bursts, 1);
	if (packets) /* none: fragments that wait for others */
		histogram_add(forwarder->counters, HISTOGRAM_packets_per_burst, (uint32_t)packets);
	drill_burst(&forwarder->drill, packets);
	drill_stall(&forwarder->drill);
}
