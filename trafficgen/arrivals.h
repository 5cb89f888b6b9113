/* SPDX-License-Identifier: MIT
 *
 * arrivals: how evenly packets come: the longest time in which none did, and, of each second since
 * the first one, how long the slowest was on its way.
 */
#ifndef ARRIVALS_H
#define ARRIVALS_H

#include <jansson.h>
#include <stdint.h>

enum { ARRIVALS_SECONDS = 100000 }; /* a day; what comes later counts in the last one */

struct arrivals {
	uint64_t first_ns, last_ns;		    /* 0: none has come */
	uint64_t longest_gap_ns, longest_gap_at_ns; /* when it began, since the first packet */
	unsigned seconds;
	uint64_t slowest_ns[ARRIVALS_SECONDS]; /* pages are only taken when written to */
};

/* Zeroed memory is the state before the first packet. `at_ns` never goes back. */
void arrivals_add(struct arrivals *arrivals, uint64_t at_ns);

/* How long a packet that was added at `at_ns` has been on its way. */
void arrivals_age(struct arrivals *arrivals, uint64_t at_ns, uint64_t age_ns);

/* The report's "longest_gap_ns", "longest_gap_at_ns" and "slowest_ns", of each second. */
void arrivals_report(const struct arrivals *arrivals, json_t *report);

#endif
