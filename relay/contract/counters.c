// SPDX-License-Identifier: MIT
/* counters: see counters.h. */
#include "contract/counters.h"

#include <stdio.h>

const struct counter_info counter_info[COUNTER_COUNT] = {
#define COUNTER_INFO(name, unit, help) {#name, unit, help},
	COUNTERS(COUNTER_INFO)
#undef COUNTER_INFO
};

const struct histogram_info histogram_info[HISTOGRAM_COUNT] = {
#define HISTOGRAM_INFO(name, unit, sum, help) {#name, unit, help, COUNTER_##sum},
	HISTOGRAMS(HISTOGRAM_INFO)
#undef HISTOGRAM_INFO
};

const char *const send_cause_name[CAUSE_COUNT] = {
#define CAUSE_NAME(name) #name,
	SEND_CAUSES(CAUSE_NAME)
#undef CAUSE_NAME
		"other",
	"worker_died",
};

enum send_cause send_cause(int error)
{
	switch (error) {
#define CAUSE_CASE(name) \
	case name:       \
		return CAUSE_##name;
		SEND_CAUSES(CAUSE_CASE)
#undef CAUSE_CASE
	default:
		return CAUSE_OTHER;
	}
}

void counters_publish(struct published *published, const struct counters *private)
{
	const uint64_t times = published->times + 1;
	struct counters *copy = &published->copy[times % 2];

	/* whoever reads a word of what follows sees that the other copy was published before */
	__atomic_thread_fence(__ATOMIC_RELEASE);
	for (int i = 0; i < COUNTER_COUNT; i++)
		__atomic_store_n(&copy->value[i], private->value[i], __ATOMIC_RELAXED);
	for (int i = 0; i < HISTOGRAM_COUNT; i++)
		for (int j = 0; j < HISTOGRAM_BUCKETS; j++)
			__atomic_store_n(&copy->histogram[i][j], private->histogram[i][j],
					 __ATOMIC_RELAXED);
	__atomic_store_n(&published->times, times, __ATOMIC_RELEASE);
}

void counters_add_up(struct counters *sum, const struct counters *counters)
{
	for (int i = 0; i < COUNTER_COUNT; i++)
		sum->value[i] += counter_get(counters, (enum counter)i);
	for (int i = 0; i < HISTOGRAM_COUNT; i++)
		for (int j = 0; j < HISTOGRAM_BUCKETS; j++)
			sum->histogram[i][j] += counter_read(&counters->histogram[i][j]);
}

/* The copy is written again when the other one has been published, perhaps while it is read: then
 * the other one is read, and so on a few times. What is read at last is of two turns at worst. */
void published_add_up(struct counters *sum, const struct published *published)
{
	struct counters found;

	for (int attempt = 0; attempt < 4; attempt++) {
		const uint64_t times = __atomic_load_n(&published->times, __ATOMIC_ACQUIRE);

		found = (struct counters){0};
		counters_add_up(&found, &published->copy[times % 2]);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (__atomic_load_n(&published->times, __ATOMIC_RELAXED) == times)
			break;
	}
	counters_add_up(sum, &found);
}

uint64_t counters_arrived(const struct counters *counters)
{
	return counter_get(counters, COUNTER_recv_packets) +
	       counter_get(counters, COUNTER_buffer_exhaustion);
}

uint64_t counters_filtered(const struct counters *counters)
{
	return counter_get(counters, COUNTER_drop_malformed) +
	       counter_get(counters, COUNTER_joined_fragments) +
	       counter_get(counters, COUNTER_drop_fragment) +
	       counter_get(counters, COUNTER_drop_truncated) +
	       counter_get(counters, COUNTER_drop_checksum) +
	       counter_get(counters, COUNTER_drop_source) +
	       counter_get(counters, COUNTER_drop_worker_died);
}

void counters_format(const struct counters *c, const char *tag, char *text, unsigned long size)
{
	typedef unsigned long long ull;

	snprintf(text, size,
		 "[STATS:Ingress%s] total: recv=%llu matched=%llu egr_sent=%llu filtered=%llu "
		 "no_match=%llu buf_exhaust=%llu\n"
		 "[STATS:Egress%s] total: sent=%llu submitted=%llu ch_recv=%llu errors=%llu "
		 "bytes=%llu\n",
		 tag, (ull)counters_arrived(c), (ull)counter_get(c, COUNTER_matched),
		 (ull)counter_get(c, COUNTER_egress_queued), (ull)counters_filtered(c),
		 (ull)counter_get(c, COUNTER_drop_no_match),
		 (ull)counter_get(c, COUNTER_buffer_exhaustion), tag,
		 (ull)counter_get(c, COUNTER_egress_sent),
		 (ull)counter_get(c, COUNTER_egress_submitted),
		 (ull)counter_get(c, COUNTER_egress_queued),
		 (ull)counter_get(c, COUNTER_egress_errors),
		 (ull)counter_get(c, COUNTER_egress_bytes));
}
