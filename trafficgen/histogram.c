// SPDX-License-Identifier: MIT
/*
 * histogram: see histogram.h. Values below 256 have a bucket each; above, the leading 8 bits
 * choose:
 *
 *     value   1xxxxxxx yyyy     shift = length of yyyy     bucket = shift * 128 + 1xxxxxxx
 *
 * The shift's multiples of 128 continue where the 8 bits of the shift before ended.
 */
#include "histogram.h"

static unsigned bucket_of(uint64_t ns)
{
	unsigned length = 64u - (unsigned)__builtin_clzll(ns | 255u);
	unsigned shift = length - 8;

	return shift * 128 + (unsigned)(ns >> shift);
}

/* The middle of the bucket's values. */
static uint64_t value_of(unsigned bucket)
{
	unsigned shift = bucket < 256 ? 0 : bucket / 128 - 1;
	uint64_t first = (uint64_t)(bucket - shift * 128) << shift;

	return first + ((1ull << shift) - 1) / 2;
}

void histogram_add(struct histogram *histogram, uint64_t ns)
{
	if (ns >> HISTOGRAM_BITS)
		ns = (1ull << HISTOGRAM_BITS) - 1;
	if (histogram->count == 0 || ns < histogram->min_ns)
		histogram->min_ns = ns;
	if (ns > histogram->max_ns)
		histogram->max_ns = ns;
	histogram->count++;
	histogram->sum_ns += ns;
	histogram->buckets[bucket_of(ns)]++;
}

uint64_t histogram_quantile(const struct histogram *histogram, unsigned permille)
{
	uint64_t rank = (histogram->count * permille + 999) / 1000;
	uint64_t seen = 0, value;
	unsigned bucket = 0;

	if (rank <= 1)
		return histogram->min_ns;
	if (rank >= histogram->count)
		return histogram->max_ns;
	while ((seen += histogram->buckets[bucket]) < rank)
		bucket++;
	/* the middle of a bucket may lie outside of what was added */
	value = value_of(bucket);
	if (value < histogram->min_ns)
		return histogram->min_ns;
	return value > histogram->max_ns ? histogram->max_ns : value;
}

double histogram_mean(const struct histogram *histogram)
{
	return histogram->count ? (double)histogram->sum_ns / (double)histogram->count : 0.0;
}
