// SPDX-License-Identifier: MIT
/* arrivals: see arrivals.h. */
#include "arrivals.h"

#define NS_PER_SECOND 1000000000ull

void arrivals_add(struct arrivals *arrivals, uint64_t at_ns)
{
	if (arrivals->first_ns == 0)
		arrivals->first_ns = arrivals->last_ns = at_ns;
	if (at_ns - arrivals->last_ns > arrivals->longest_gap_ns) {
		arrivals->longest_gap_ns = at_ns - arrivals->last_ns;
		arrivals->longest_gap_at_ns = arrivals->last_ns - arrivals->first_ns;
	}
	arrivals->last_ns = at_ns;
}

void arrivals_age(struct arrivals *arrivals, uint64_t at_ns, uint64_t age_ns)
{
	const uint64_t passed = (at_ns - arrivals->first_ns) / NS_PER_SECOND;
	const unsigned second = passed < ARRIVALS_SECONDS ? (unsigned)passed : ARRIVALS_SECONDS - 1;

	if (second >= arrivals->seconds)
		arrivals->seconds = second + 1;
	if (age_ns > arrivals->slowest_ns[second])
		arrivals->slowest_ns[second] = age_ns;
}

void arrivals_report(const struct arrivals *arrivals, json_t *report)
{
	json_t *slowest = json_array();

	for (unsigned i = 0; i < arrivals->seconds; i++)
		json_array_append_new(slowest, json_integer((json_int_t)arrivals->slowest_ns[i]));
	json_object_set_new(report, "longest_gap_ns",
			    json_integer((json_int_t)arrivals->longest_gap_ns));
	json_object_set_new(report, "longest_gap_at_ns",
			    json_integer((json_int_t)arrivals->longest_gap_at_ns));
	json_object_set_new(report, "slowest_ns", slowest);
}
