/* SPDX-License-Identifier: MIT
 *
 * made_up_clock: time stands still until a test moves it. A test program that has these functions
 * is linked without those of common/clock.c.
 */
#ifndef MADE_UP_CLOCK_H
#define MADE_UP_CLOCK_H

#include "common/clock.h"

static int64_t time_ms = 1000000;
static int64_t look_ms; /* so much passes with each look at the clock: nothing is waited for */

int64_t now_ms(void)
{
	time_ms += look_ms;
	return time_ms;
}

uint64_t now_ns(void)
{
	return (uint64_t)now_ms() * 1000000U;
}

int64_t now_about_ms(void)
{
	return now_ms();
}

#endif
