/* SPDX-License-Identifier: MIT
 *
 * drill: a relay that does more than it needs, by a known amount for each packet received, or that
 * damages some of them, for the gates to prove that they notice. Compiled only into
 * build/drill/mcrelay (make drill), which has --drill-delay-ns and the like (supervisor/config.c);
 * nothing of it is in any other build.
 */
#ifndef DRILL_H
#define DRILL_H

#include <stdbool.h>
#include <stdint.h>

#ifdef DRILL

#include "common/clock.h"

#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Each member that is set is 0 for none. */
struct drill {
	/* in vain for every packet: */
	uint32_t delay_ns;    /* spinning */
	uint32_t syscalls;    /* the shortest one that the sandbox allows */
	uint32_t allocations; /* malloc and free of a few bytes */
	/* standing still for stall_us, once in so many bursts, or at the first burst after so many
	 * milliseconds: */
	uint32_t stall_us, stall_bursts, stall_ms;
	/* once in so many frames: */
	uint32_t corrupt_every; /* one bit of the payload is another */
	uint32_t cut_every;	/* the last byte of the payload is missing */
	uint32_t swap_every;	/* a frame goes behind the next one */

	/* since it was last done: */
	uint32_t since_corrupt, since_cut, since_swap, since_stall;
	uint64_t stalled_ns; /* when it did so last */
	bool swapped;	     /* the frame before went in front of this one */
};

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

static inline bool drill_due(uint32_t every, uint32_t *since)
{
	if (every == 0 || ++*since < every)
		return false;
	*since = 0;
	return true;
}

/* After each burst. */
static inline void drill_stall(struct drill *drill)
{
	const uint64_t now = drill->stall_us ? now_ns() : 0;
	const bool late =
		drill->stall_ms && now >= drill->stalled_ns + drill->stall_ms * 1000000ULL;

	if (!late && !drill_due(drill->stall_bursts, &drill->since_stall))
		return;
	drill->stalled_ns = now;
	while (now_ns() < now + drill->stall_us * 1000ULL)
		;
}

/* A payload that is about to be sent; returns how many of its bytes are left. */
static inline uint32_t drill_payload(struct drill *drill, const unsigned char *payload,
				     uint32_t bytes)
{
	if (bytes == 0)
		return 0;
	if (drill_due(drill->corrupt_every, &drill->since_corrupt))
		((unsigned char *)(uintptr_t)payload)[bytes - 1] ^= 1;
	return bytes - drill_due(drill->cut_every, &drill->since_cut);
}

/* Which frame of a burst of `count` comes as the i-th. */
static inline unsigned drill_order(struct drill *drill, unsigned i, unsigned count)
{
	if (drill->swapped) {
		drill->swapped = false;
		return i - 1;
	}
	if (i + 1 == count || !drill_due(drill->swap_every, &drill->since_swap))
		return i;
	drill->swapped = true;
	return i + 1;
}

#else

struct drill {
};

static inline void drill_stall(struct drill *drill)
{
	(void)drill;
}

static inline void drill_burst(const struct drill *drill, uint64_t packets)
{
	(void)drill;
	(void)packets;
}

static inline uint32_t drill_payload(struct drill *drill, const unsigned char *payload,
				     uint32_t bytes)
{
	(void)drill;
	(void)payload;
	return bytes;
}

static inline unsigned drill_order(struct drill *drill, unsigned i, unsigned count)
{
	(void)drill;
	(void)count;
	return i;
}

#endif

#endif
