// SPDX-License-Identifier: MIT
/* arrivals: gaps, and the slowest packet of each second. */
#include "arrivals.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#define MS 1000000ull
#define S  1000000000ull

static struct arrivals *arrivals;

static int setup(void **state)
{
	(void)state;
	arrivals = calloc(1, sizeof(*arrivals));
	return arrivals ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	free(arrivals);
	return 0;
}

static void add(uint64_t at_ns, uint64_t age_ns)
{
	arrivals_add(arrivals, at_ns);
	arrivals_age(arrivals, at_ns, age_ns);
}

static void test_nothing_came(void **state)
{
	json_t *report = json_object();

	(void)state;
	arrivals_report(arrivals, report);
	assert_int_equal(json_integer_value(json_object_get(report, "longest_gap_ns")), 0);
	assert_int_equal(json_array_size(json_object_get(report, "slowest_ns")), 0);
	json_decref(report);
}

static void test_the_longest_gap_and_when(void **state)
{
	(void)state;
	add(5 * S, 1);
	add(5 * S, 1);
	add(5 * S + 2 * MS, 1);
	add(5 * S + 9 * MS, 1);
	add(5 * S + 16 * MS, 1); /* no longer than the one before */
	assert_int_equal(arrivals->longest_gap_ns, 7 * MS);
	assert_int_equal(arrivals->longest_gap_at_ns, 2 * MS);
}

static void test_the_slowest_of_each_second(void **state)
{
	const uint64_t first = 7 * S + 123;
	json_t *report = json_object(), *slowest;

	(void)state;
	add(first, 40);
	add(first + S - 1, 50);
	add(first + S, 30);
	add(first + S + 1, 20);
	add(first + 3 * S, 10); /* none in the third second */
	arrivals_report(arrivals, report);
	slowest = json_object_get(report, "slowest_ns");
	assert_int_equal(json_array_size(slowest), 4);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(json_integer_value(json_array_get(slowest, i)),
				 ((int[]){50, 30, 0, 10})[i]);
	json_decref(report);
}

static void test_what_comes_late_counts_in_the_last_second(void **state)
{
	(void)state;
	add(1, 10);
	add(1 + ARRIVALS_SECONDS * S, 20);
	add(1 + 3 * ARRIVALS_SECONDS * S, 30);
	assert_int_equal(arrivals->seconds, ARRIVALS_SECONDS);
	assert_int_equal(arrivals->slowest_ns[ARRIVALS_SECONDS - 1], 30);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_nothing_came, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_longest_gap_and_when, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_slowest_of_each_second, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_comes_late_counts_in_the_last_second,
						setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
