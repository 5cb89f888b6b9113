// SPDX-License-Identifier: MIT
/* loop_test: see loop_test.h. */
#include "worker/loop_test.h"

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Half of the windows. */
static uint32_t draw_lots(uint64_t random)
{
	unsigned wanted = LOOP_WINDOWS / 2;
	uint32_t lots = 0;

	random |= 1; /* not 0, which would stay so */
	for (unsigned left = LOOP_WINDOWS; left > 0; left--) {
		if (next_random(&random) % left >= wanted)
			continue;
		lots |= 1U << (left - 1);
		wanted--;
	}
	return lots;
}

void loop_test_begin(struct loop_test *test, uint64_t window_ns, uint64_t random, uint64_t now_ns)
{
	*test = (struct loop_test){
		.lots = draw_lots(random),
		.window = LOOP_WINDOWS,
		.window_ns = window_ns,
		.ends_ns = now_ns + window_ns,
		.least = UINT64_MAX,
	};
}

static bool lets_go(const struct loop_test *test)
{
	return test->lots >> test->window & 1;
}

/* Whether the window that is over fits a loop. */
static bool fits(struct loop_test *test)
{
	if (lets_go(test))
		test->least = test->come < test->least ? test->come : test->least;
	else
		test->most = test->come > test->most ? test->come : test->most;
	return test->least > 2 * test->most;
}

enum loop_verdict loop_test_step(struct loop_test *test, bool idle, uint64_t now_ns,
				 uint64_t *let_go)
{
	*let_go = 0;
	/* packets that have come in time may still wait to be withheld */
	if (now_ns < test->ends_ns || (!idle && now_ns < test->ends_ns + test->window_ns))
		return LOOP_NOT_KNOWN;
	if (test->window < LOOP_WINDOWS && !fits(test))
		return LOOP_NONE;
	if (test->window == LOOP_WINDOWS || !lets_go(test))
		test->noise = test->come > test->noise ? test->come : test->noise;
	test->window = test->window == LOOP_WINDOWS ? 0 : test->window + 1;
	if (test->window == LOOP_WINDOWS)
		return LOOP_FOUND;
	test->come = 0;
	test->ends_ns = now_ns + test->window_ns;
	if (!lets_go(test))
		return LOOP_NOT_KNOWN;
	/* so many that they show beside what comes anyway; not all, for each may come back as two
	 */
	*let_go = 1 + 2 * test->noise;
	if (*let_go > test->withheld)
		*let_go = test->withheld;
	test->withheld -= *let_go;
	return LOOP_NOT_KNOWN;
}
