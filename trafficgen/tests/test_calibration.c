// SPDX-License-Identifier: MIT
/* calibration: the best of times is the shortest, of rates the highest; medians of odd and even. */
#include "../calibration.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_best_and_median(void **state)
{
	double calls[] = {90, 50, 70, 60}, copies[] = {9, 12, 3, 10};
	struct calibration found = calibration_of(calls, copies, 4);

	(void)state;
	assert_true(found.call_ns_best == 50 && found.call_ns_median == 65);
	assert_true(found.copy_best == 12 && found.copy_median == 9.5);
	found = calibration_of(calls, copies, 3);
	assert_true(found.call_ns_best == 50 && found.call_ns_median == 60);
	assert_true(found.copy_best == 10 && found.copy_median == 9);
	found = calibration_of(calls, copies, 1);
	assert_true(found.call_ns_median == 50 && found.copy_median == 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_best_and_median)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
