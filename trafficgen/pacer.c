// SPDX-License-Identifier: MIT
/*
 * pacer: see pacer.h. Plain arithmetic on a struct that its sender thread owns; the caller fills in
 * rate, limit, start and end, then pacer_set_burst, and asks from there on.
 */
#include "pacer.h"

#define NS_PER_SECOND 1000000000ull

__extension__ typedef unsigned __int128 u128; /* ns * pps exceeds 64 bits within minutes */

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t packets_in(const struct pacer *pacer, uint64_t ns)
{
	return (uint64_t)((u128)ns * pacer->rate_pps / NS_PER_SECOND);
}

/* The first nanosecond at which that many packets are due: rounds up. */
static uint64_t ns_for(const struct pacer *pacer, uint64_t packets)
{
	return (uint64_t)(((u128)packets * NS_PER_SECOND + pacer->rate_pps - 1) / pacer->rate_pps);
}

void pacer_set_burst(struct pacer *pacer, uint64_t burst, uint64_t batch)
{
	uint64_t bursts = packets_in(pacer, PACER_QUANTUM_NS) / burst;

	pacer->burst = burst;
	pacer->quantum = burst * max_u64(1, min_u64(bursts, batch));
}

static uint64_t scheduled(const struct pacer *pacer, uint64_t now_ns)
{
	return packets_in(pacer, min_u64(now_ns, pacer->end_ns) - pacer->start_ns);
}

static void slip(struct pacer *pacer, uint64_t behind)
{
	uint64_t most = max_u64(packets_in(pacer, PACER_CATCH_UP_NS),
				max_u64(pacer->quantum, 2 * pacer->at_once));
	uint64_t ns;

	if (behind <= most)
		return;
	ns = ns_for(pacer, behind - most);
	pacer->start_ns += ns;
	pacer->slip_ns += ns;
}

/* Packets on the schedule that have not had their turn. */
static uint64_t late(const struct pacer *pacer, uint64_t now_ns)
{
	uint64_t total;

	if (now_ns < pacer->start_ns || pacer->end_ns < pacer->start_ns)
		return 0;
	total = scheduled(pacer, now_ns);
	return total > pacer->released ? total - pacer->released : 0;
}

/* What is due of whole turns: that one of them has begun changes nothing. */
static uint64_t due_at_once(const struct pacer *pacer, uint64_t now_ns)
{
	uint64_t total = scheduled(pacer, now_ns);
	uint64_t whole = total - total % pacer->at_once;

	return whole > pacer->released ? whole - pacer->released : 0;
}

uint64_t pacer_due(struct pacer *pacer, uint64_t now_ns)
{
	uint64_t left = pacer->limit - pacer->released;
	uint64_t due;

	if (now_ns < pacer->start_ns)
		return 0;
	if (pacer->rate_pps == 0)
		return left;
	slip(pacer, late(pacer, now_ns));
	due = late(pacer, now_ns);
	if (due >= left)
		return left;
	if (pacer->at_once > 0 && now_ns < pacer->end_ns)
		return due_at_once(pacer, now_ns);
	return now_ns < pacer->end_ns ? due - due % pacer->burst : due;
}

void pacer_release(struct pacer *pacer, uint64_t packets)
{
	pacer->released += packets;
}

uint64_t pacer_wake_ns(const struct pacer *pacer)
{
	uint64_t left = pacer->limit - pacer->released;

	if (pacer->rate_pps == 0)
		return pacer->start_ns;
	if (pacer->at_once > 0) {
		uint64_t next = (pacer->released / pacer->at_once + 1) * pacer->at_once;

		return min_u64(pacer->start_ns + ns_for(pacer, min_u64(next, pacer->limit)),
			       pacer->end_ns);
	}
	return min_u64(pacer->start_ns +
			       ns_for(pacer, pacer->released + min_u64(pacer->quantum, left)),
		       pacer->end_ns);
}

bool pacer_done(const struct pacer *pacer, uint64_t now_ns)
{
	if (pacer->released >= pacer->limit)
		return true;
	if (now_ns < pacer->end_ns)
		return false;
	/* what fell due in time may still go, unless the sender is too slow for its rate anyway */
	return pacer->rate_pps == 0 || late(pacer, now_ns) == 0 ||
	       now_ns - pacer->end_ns >= PACER_CATCH_UP_NS;
}
