/* SPDX-License-Identifier: MIT
 *
 * chance: random numbers, the same ones in each run of a test program.
 */
#ifndef CHANCE_H
#define CHANCE_H

#include <stdint.h>

static uint64_t next_random(void)
{
	static uint64_t seed = 0x2545f4914f6cdd1dULL;

	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static uint32_t below(uint32_t limit)
{
	return (uint32_t)((next_random() >> 32) % limit);
}

#endif
