/* SPDX-License-Identifier: MIT
 *
 * histogram: counts of durations in ns in buckets that grow with the value: 128 to each power of
 * two, so that a quantile is off by at most 0.4 %, from 1 ns to 2^48 ns (3.2 days).
 */
#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_BITS	  48u
#define HISTOGRAM_BUCKETS ((HISTOGRAM_BITS - 7u) * 128u + 128u)

struct histogram {
	uint64_t count;
	uint64_t sum_ns;
	uint64_t min_ns; /* of an empty histogram: 0 */
	uint64_t max_ns;
	uint64_t buckets[HISTOGRAM_BUCKETS];
};

/* Zeroed memory is an empty histogram. Longer durations count as 2^48 - 1 ns. */
void histogram_add(struct histogram *histogram, uint64_t ns);

/* The smallest duration that `permille` (0..1000) of all do not exceed; 0 when empty. */
uint64_t histogram_quantile(const struct histogram *histogram, unsigned permille);

double histogram_mean(const struct histogram *histogram);

#endif
