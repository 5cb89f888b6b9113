// SPDX-License-Identifier: MIT
/* loop_test: a loop is found, whatever it does with packets; a sender never is taken for one, and
 * gets back all that was withheld. Time is made up. */
#include "worker/loop_test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

enum { WINDOW = 1000 };

/* How many packets come in the next window, when so many were let go. */
typedef uint64_t (*come)(uint64_t let_go, unsigned window);

static struct {
	struct loop_test test;
	uint64_t now, withheld; /* in all, less those let go */
	unsigned windows;
} run;

static enum loop_verdict play(come next, uint64_t withheld, uint64_t random)
{
	enum loop_verdict verdict = LOOP_NOT_KNOWN;
	uint64_t let_go = 0;

	run.now = 77;
	run.windows = 0;
	loop_test_begin(&run.test, WINDOW, random, run.now);
	loop_test_withhold(&run.test, withheld);
	while (verdict == LOOP_NOT_KNOWN) {
		loop_test_withhold(&run.test, next(let_go, run.windows));
		run.now += WINDOW;
		verdict = loop_test_step(&run.test, true, run.now, &let_go);
		run.windows++;
	}
	return verdict;
}

static uint64_t comes_back(uint64_t let_go, unsigned window)
{
	(void)window;
	return let_go;
}

static uint64_t comes_back_twice(uint64_t let_go, unsigned window)
{
	(void)window;
	return 2 * let_go;
}

static uint64_t comes_back_beside_others(uint64_t let_go, unsigned window)
{
	return let_go + 3 + window % 2;
}

static uint64_t comes_late(uint64_t let_go, unsigned window)
{
	static uint64_t before;
	const uint64_t late = before;

	(void)window;
	before = let_go;
	return late;
}

static uint64_t steady(uint64_t let_go, unsigned window)
{
	(void)let_go, (void)window;
	return 4;
}

static uint64_t silent(uint64_t let_go, unsigned window)
{
	(void)let_go, (void)window;
	return 0;
}

static uint64_t now_and_then(uint64_t let_go, unsigned window)
{
	(void)let_go, (void)window;
	return rand() % 2 ? (uint64_t)rand() % 9 : 0;
}

static uint64_t alternating(uint64_t let_go, unsigned window)
{
	(void)let_go;
	return window % 2;
}

static void test_loops(void **state)
{
	(void)state;
	for (uint64_t random = 0; random < 1000; random++) {
		assert_int_equal(play(comes_back, 1, random), LOOP_FOUND);
		assert_int_equal(run.windows, LOOP_WINDOWS + 1);
		assert_int_equal(run.test.withheld, 1);
		assert_int_equal(play(comes_back_twice, 20, random), LOOP_FOUND);
		assert_int_equal(play(comes_back_beside_others, 200, random), LOOP_FOUND);
	}
}

static void test_senders(void **state)
{
	static const come senders[] = {steady, silent, now_and_then, alternating};
	unsigned windows = 0;

	(void)state;
	srand(1);
	for (uint64_t random = 0; random < 20000; random++)
		for (unsigned i = 0; i < sizeof(senders) / sizeof(senders[0]); i++) {
			assert_int_equal(play(senders[i], 16, random), LOOP_NONE);
			windows += run.windows;
		}
	assert_in_range(windows / (20000 * 4), 2, 6); /* soon */
}

/* Longer windows will tell. */
static void test_slower_than_a_window(void **state)
{
	(void)state;
	for (uint64_t random = 0; random < 100; random++)
		assert_int_equal(play(comes_late, 16, random), LOOP_NONE);
}

static void test_lots(void **state)
{
	uint32_t first, others = 0;

	(void)state;
	loop_test_begin(&run.test, WINDOW, 0, 0);
	first = run.test.lots;
	for (uint64_t random = 0; random < 1000; random++) {
		loop_test_begin(&run.test, WINDOW, random, 0);
		assert_int_equal(__builtin_popcount(run.test.lots), LOOP_WINDOWS / 2);
		others += run.test.lots != first;
	}
	assert_in_range(others, 900, 1000);
}

/* A busy worker may have packets waiting that came in time. */
static void test_window_of_a_busy_worker(void **state)
{
	uint64_t let_go;

	(void)state;
	loop_test_begin(&run.test, WINDOW, 1, 0);
	loop_test_step(&run.test, true, WINDOW - 1, &let_go);
	assert_int_equal(run.test.window, LOOP_WINDOWS);
	loop_test_step(&run.test, false, 2 * WINDOW - 1, &let_go);
	assert_int_equal(run.test.window, LOOP_WINDOWS);
	loop_test_step(&run.test, false, 2 * WINDOW, &let_go);
	assert_int_equal(run.test.window, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_loops),
		cmocka_unit_test(test_senders),
		cmocka_unit_test(test_slower_than_a_window),
		cmocka_unit_test(test_lots),
		cmocka_unit_test(test_window_of_a_busy_worker),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
