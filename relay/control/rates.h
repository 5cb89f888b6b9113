/* SPDX-License-Identifier: MIT
 *
 * rates: what is counted per second, and per 1,000 packets, since a sample of all counters was
 * taken: at the start and at each interval report. `now`: now_ms().
 */
#ifndef RATES_H
#define RATES_H

#include "contract/counters.h"
#include "supervisor/provision.h"
#include "supervisor/workers.h"

#include <jansson.h>

struct flow {
	uint64_t packets, bytes;
};

struct sample {
	int64_t time_ms;
	struct counters worker[WORKERS_MAX];
	struct flow rule[RULE_NUMBERS], output[OUTPUT_NUMBERS]; /* by number */
};

/* Packets and bytes of all workers together. */
struct flow rates_rule_flow(const struct workers *workers, const struct provision *provision,
			    uint32_t number);
struct flow rates_output_flow(const struct workers *workers, const struct provision *provision,
			      uint32_t index);

void sample_take(struct sample *sample, const struct workers *workers,
		 const struct provision *provision, int64_t now);

/* New object {"pps":N,"bits_per_second":N} of the time from `before`, or from when the flow began
 * to be counted if that was later, to now; both null when that is less than RATES_MIN_MS. */
enum { RATES_MIN_MS = 10 };
json_t *rates_rule(const struct sample *before, const struct workers *workers,
		   const struct provision *provision, uint32_t number, int64_t now);
json_t *rates_output(const struct sample *before, const struct workers *workers,
		     const struct provision *provision, uint32_t index, int64_t now);

/* Puts into `object`: "receive_rate" (bytes of frames) and "send_rate" (bytes of UDP payload) as
 * above; "drops", every drop by its counter's name, since the start; "work_per_1000_packets"
 * received, each null when there were none. Of one worker, or of all for -1. */
void rates_put(json_t *object, const struct sample *before, const struct workers *workers,
	       int worker, int64_t now);

#endif
