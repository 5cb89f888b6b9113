// SPDX-License-Identifier: MIT
/*
 * flows: see flows.h. The table owns its flows: allocated by the first packet, freed by flows_exit.
 * A flow's window only moves forward; losses are not counted when they leave it but computed at the
 * end from the span of numbers, so that a late packet that fills a gap needs no correction.
 */
#include "flows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool window_test(const struct flow *flow, uint64_t sequence)
{
	return flow->seen[sequence % FLOW_WINDOW / 64] >> (sequence % 64) & 1;
}

static void window_set(struct flow *flow, uint64_t sequence)
{
	flow->seen[sequence % FLOW_WINDOW / 64] |= 1ull << (sequence % 64);
}

static void window_clear(struct flow *flow, uint64_t sequence)
{
	flow->seen[sequence % FLOW_WINDOW / 64] &= ~(1ull << (sequence % 64));
}

/* The numbers skipped take over the bits of those that leave the window. */
static void window_advance(struct flow *flow, uint64_t sequence)
{
	if (sequence - flow->last_sequence >= FLOW_WINDOW)
		memset(flow->seen, 0, sizeof(flow->seen));
	else
		for (uint64_t gap = flow->last_sequence + 1; gap < sequence; gap++)
			window_clear(flow, gap);
	flow->last_sequence = sequence;
}

static bool flow_receive(struct flow *flow, uint64_t sequence)
{
	if (sequence > flow->last_sequence) {
		window_advance(flow, sequence);
	} else if (flow->last_sequence - sequence >= FLOW_WINDOW) {
		flow->counts.stale++;
		return false;
	} else if (window_test(flow, sequence)) {
		flow->counts.duplicated++;
		return false;
	} else {
		flow->counts.reordered++;
		if (sequence < flow->first_sequence)
			flow->first_sequence = sequence;
	}
	window_set(flow, sequence);
	flow->counts.received++;
	return true;
}

static struct flow *flow_new(uint64_t sequence)
{
	struct flow *flow = calloc(1, sizeof(*flow));

	if (!flow)
		return NULL;
	flow->first_sequence = sequence;
	flow->last_sequence = sequence;
	flow->counts.received = 1;
	window_set(flow, sequence);
	return flow;
}

int flows_receive(struct flows *flows, uint16_t id, uint64_t sequence)
{
	bool received = true;

	if (flows->by_id[id])
		received = flow_receive(flows->by_id[id], sequence);
	else if (!(flows->by_id[id] = flow_new(sequence)))
		return -ENOMEM;
	flows->received += received;
	return received;
}

void flows_corrupt(struct flows *flows, uint16_t id)
{
	/* the id may be what was damaged: it does not make a flow */
	if (flows->by_id[id])
		flows->by_id[id]->counts.corrupt++;
	flows->corrupt++;
}

struct flow_counts flow_counts_of(const struct flow *flow)
{
	struct flow_counts counts = flow->counts;

	counts.lost = flow->last_sequence - flow->first_sequence + 1 - counts.received;
	return counts;
}

struct flow_counts flows_total(const struct flows *flows)
{
	struct flow_counts total = {0};

	for (unsigned id = 0; id < FLOW_COUNT; id++) {
		struct flow_counts counts;

		if (!flows->by_id[id])
			continue;
		counts = flow_counts_of(flows->by_id[id]);
		total.received += counts.received;
		total.lost += counts.lost;
		total.duplicated += counts.duplicated;
		total.reordered += counts.reordered;
		total.stale += counts.stale;
	}
	total.corrupt = flows->corrupt;
	return total;
}

void flows_exit(struct flows *flows)
{
	for (unsigned id = 0; id < FLOW_COUNT; id++)
		free(flows->by_id[id]);
}
