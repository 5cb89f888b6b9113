/* SPDX-License-Identifier: MIT
 *
 * drill: a relay that is slower by a known amount, for the gate to prove that it notices. The delay
 * is compiled only into build/drill/mcrelay (make drill), which has --drill-delay-ns.
 */
#ifndef DRILL_H
#define DRILL_H

#include <stdint.h>
#include <time.h>

#ifdef DRILL

static inline uint64_t drill_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

/* Spins for `delay_ns` per packet, once for a burst. */
static inline void drill_delay(uint64_t delay_ns, uint64_t packets)
{
	const uint64_t end = delay_ns ? drill_now_ns() + delay_ns * packets : 0;

	while (delay_ns && drill_now_ns() < end)
		;
}

#else

static inline void drill_delay(uint64_t delay_ns, uint64_t packets)
{
	(void)delay_ns;
	(void)packets;
}

#endif

#endif
