/* SPDX-License-Identifier: MIT
 *
 * clock: time that only goes forward (CLOCK_MONOTONIC). Code that decides by time takes "now" as an
 * argument where it can, so that tests choose it.
 */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>

/* Milliseconds; nanoseconds. */
int64_t now_ms(void);
uint64_t now_ns(void);

/* Milliseconds, to the next few: without a look at the hardware's clock. */
int64_t now_about_ms(void);

/* The shorter of two times to wait, of which -1 means: for ever. */
static inline int64_t sooner(int64_t a, int64_t b)
{
	return a < 0 ? b : b < 0 || a < b ? a : b;
}

#endif
