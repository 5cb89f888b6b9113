/* SPDX-License-Identifier: MIT
 *
 * drill: a relay that does more than it needs, by a known amount for each packet received, for the
 * gates to prove that they notice. Compiled only into build/drill/mcrelay (make drill), which has
 * --drill-delay-ns, --drill-syscalls and --drill-allocations; nothing of it is in any other build.
 */
#ifndef DRILL_H
#define DRILL_H

#include <stdint.h>

/* What is done in vain for every packet. Each member is 0 for none. */
struct drill {
	uint32_t delay_ns;    /* spinning */
	uint32_t syscalls;    /* the shortest one that the sandbox allows */
	uint32_t allocations; /* malloc and free of a few bytes */
};

#ifdef DRILL

#include "common/clock.h"

#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* The compiler must not find out that nobody needs the memory. */
static inline void drill_allocate(void)
{
	void *memory = malloc(64);

	__asm__ volatile("" : : "r"(memory) : "memory");
	free(memory);
}

/* After a burst of `packets`; the delay is spun once for all of them, which costs one look at the
 * clock more. */
static inline void drill_burst(const struct drill *drill, uint64_t packets)
{
	const uint64_t end = drill->delay_ns ? now_ns() + drill->delay_ns * packets : 0;
	struct timespec unused;

	for (uint64_t i = 0; i < drill->syscalls * packets; i++)
		syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &unused);
	for (uint64_t i = 0; i < drill->allocations * packets; i++)
		drill_allocate();
	while (drill->delay_ns && now_ns() < end)
		;
}

#else

static inline void drill_burst(const struct drill *drill, uint64_t packets)
{
	(void)drill;
	(void)packets;
}

#endif

#endif
