// SPDX-License-Identifier: MIT
/* samples: the grid of instants, what a stall leaves out, and what no longer fits. */
#include "../samples.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct samples samples;

static int setup(void **state)
{
	(void)state;
	assert_int_equal(samples_init(&samples, 100), 0);
	samples.next_ns = 1000;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	samples_exit(&samples);
	return 0;
}

static void assert_sample(unsigned index, uint64_t at_ns, uint64_t total)
{
	assert_true(index < samples.count);
	assert_int_equal(samples.list[index].at_ns, at_ns);
	assert_int_equal(samples.list[index].total, total);
}

/* Each is taken a little late; the next one is due when it would have been. */
static void test_late_samples_keep_the_grid(void **state)
{
	(void)state;
	samples_take(&samples, 1003, 7);
	assert_int_equal(samples.next_ns, 1100);
	samples_take(&samples, 1199, 9);
	assert_int_equal(samples.next_ns, 1200);
	assert_int_equal(samples.count, 2);
	assert_sample(0, 1003, 7);
	assert_sample(1, 1199, 9);
}

static void test_instants_that_a_stall_missed_are_gone(void **state)
{
	(void)state;
	samples_take(&samples, 1100, 7);
	assert_int_equal(samples.next_ns, 1200);
	samples_take(&samples, 5555, 9);
	assert_int_equal(samples.next_ns, 5655);
	assert_int_equal(samples.count, 2);
}

static void test_the_last_place_belongs_to_the_last_one(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < SAMPLES_MAX - 1; i++)
		samples_take(&samples, 1000 + 100 * i, i);
	assert_false(samples.truncated);
	samples_take(&samples, 1u << 30, 123);
	assert_true(samples.truncated);
	samples_finish(&samples, 1u << 31, 456);
	assert_int_equal(samples.count, SAMPLES_MAX);
	assert_sample(SAMPLES_MAX - 2, 1000 + 100 * (SAMPLES_MAX - 2), SAMPLES_MAX - 2);
	assert_sample(SAMPLES_MAX - 1, 1u << 31, 456);
}

static void test_the_report_says_when_some_are_missing(void **state)
{
	json_t *whole = json_object(), *cut = json_object();
	json_t *list;

	(void)state;
	samples_take(&samples, 1000, 7);
	samples_finish(&samples, 1042, 9);
	samples_report(&samples, whole);
	samples.truncated = true;
	samples_report(&samples, cut);
	list = json_object_get(whole, "samples");
	assert_int_equal(json_array_size(list), 2);
	assert_int_equal(json_integer_value(json_array_get(json_array_get(list, 1), 0)), 1042);
	assert_int_equal(json_integer_value(json_array_get(json_array_get(list, 1), 1)), 9);
	assert_null(json_object_get(whole, "samples_truncated"));
	assert_true(json_is_true(json_object_get(cut, "samples_truncated")));
	json_decref(whole);
	json_decref(cut);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_late_samples_keep_the_grid, setup, teardown),
		cmocka_unit_test_setup_teardown(test_instants_that_a_stall_missed_are_gone, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_the_last_place_belongs_to_the_last_one, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_the_report_says_when_some_are_missing, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
