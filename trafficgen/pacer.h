/* SPDX-License-Identifier: MIT
 *
 * pacer: how many packets are due at an instant, and when to look again. It never looks at a clock
 * itself. Packet number k (from 1) is due at start + k / rate, computed from the start each time:
 * rounding and late wake-ups do not add up.
 *
 *     loop: now = clock; if pacer_done(now) stop
 *           n = pacer_due(now);  n > 0: send up to n, pacer_release(those);  n == 0: sleep until
 *           pacer_wake_ns()
 */
#ifndef PACER_H
#define PACER_H

#include <stdbool.h>
#include <stdint.h>

/* A sender that sleeps this long between bursts hits its rate and leaves the core to others. */
#define PACER_QUANTUM_NS 100000ull

/* After a stall this much is caught up in one go; a longer burst would overrun any buffer. */
#define PACER_CATCH_UP_NS 10000000ull

#define PACER_NO_LIMIT UINT64_MAX

struct pacer {
	uint64_t rate_pps; /* 0: as fast as possible */
	uint64_t limit;	   /* packets in all, or PACER_NO_LIMIT */
	uint64_t start_ns; /* moves on when the schedule slips */
	uint64_t end_ns;   /* nothing falls due later, or PACER_NO_LIMIT */
	uint64_t burst;	   /* packets that leave together (one GSO message) */
	uint64_t quantum;  /* packets to wait for before the next wake-up */
	uint64_t at_once; /* on and off: so many packets as fast as they go, then none; 0: evenly */
	uint64_t released; /* packets that have had their turn */
	uint64_t slip_ns;  /* how much of the schedule was given up */
};

/* Sets the quantum: 100 us worth of packets, whole bursts, at least one, at most `batch` of them.
 * Again whenever burst changes. */
void pacer_set_burst(struct pacer *pacer, uint64_t burst, uint64_t batch);

/* Packets due now, in whole bursts unless they are the last; on and off, what is left of a whole
 * turn. Slips the schedule when too late. */
uint64_t pacer_due(struct pacer *pacer, uint64_t now_ns);

/* `packets` of those that were due have had their turn. */
void pacer_release(struct pacer *pacer, uint64_t packets);

/* When the next quantum is due. */
uint64_t pacer_wake_ns(const struct pacer *pacer);

/* All packets had their turn, or the time is up. */
bool pacer_done(const struct pacer *pacer, uint64_t now_ns);

#endif
