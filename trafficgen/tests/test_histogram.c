// SPDX-License-Identifier: MIT
/* histogram: quantiles against exact ones, over the whole range. */
#include "../histogram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static struct histogram histogram;

static int reset(void **state)
{
	(void)state;
	memset(&histogram, 0, sizeof(histogram));
	return 0;
}

static void assert_close(uint64_t found, uint64_t exact)
{
	uint64_t error = found > exact ? found - exact : exact - found;

	assert_true((double)error <= (double)exact * 0.004);
}

static void test_empty(void **state)
{
	(void)state;
	assert_int_equal(histogram_quantile(&histogram, 500), 0);
	assert_true(histogram_mean(&histogram) < 1e-9);
}

static void test_single_values_over_the_whole_range(void **state)
{
	for (unsigned bit = 0; bit < HISTOGRAM_BITS; bit++)
		for (int off = -1; off <= 1; off++) {
			uint64_t value = (1ull << bit) + (uint64_t)off;

			reset(state);
			histogram_add(&histogram, value);
			assert_int_equal(histogram_quantile(&histogram, 0), value);
			assert_int_equal(histogram_quantile(&histogram, 500), value);
			assert_int_equal(histogram_quantile(&histogram, 1000), value);
		}
}

static void test_error_of_any_value(void **state)
{
	uint64_t value = 1;

	reset(state);
	histogram_add(&histogram, 0);
	histogram_add(&histogram, 0);
	histogram_add(&histogram, (1ull << 48) - 1);
	histogram_add(&histogram, (1ull << 48) - 1);
	/* neighbours on both sides keep min and max from helping */
	for (; value < 1ull << 47; value += value / 97 + 1) {
		struct histogram one = histogram;

		histogram_add(&one, value);
		assert_close(histogram_quantile(&one, 500), value);
	}
}

static void test_quantiles_of_a_uniform_distribution(void **state)
{
	(void)state;
	for (uint64_t value = 1; value <= 100000; value++)
		histogram_add(&histogram, value);
	assert_int_equal(histogram.count, 100000);
	assert_int_equal(histogram.min_ns, 1);
	assert_int_equal(histogram.max_ns, 100000);
	assert_close(histogram_quantile(&histogram, 500), 50000);
	assert_close(histogram_quantile(&histogram, 990), 99000);
	assert_close(histogram_quantile(&histogram, 999), 99900);
	assert_int_equal(histogram_quantile(&histogram, 1000), 100000);
	assert_close((uint64_t)histogram_mean(&histogram), 50000);
}

static void test_one_outlier_in_a_thousand(void **state)
{
	(void)state;
	for (int i = 0; i < 999; i++)
		histogram_add(&histogram, 100);
	histogram_add(&histogram, 5000000);
	assert_int_equal(histogram_quantile(&histogram, 999), 100);
	assert_int_equal(histogram_quantile(&histogram, 1000), 5000000);
}

static void test_longer_than_the_range(void **state)
{
	(void)state;
	histogram_add(&histogram, UINT64_MAX);
	assert_int_equal(histogram.max_ns, (1ull << 48) - 1);
	assert_int_equal(histogram_quantile(&histogram, 500), (1ull << 48) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_empty, reset),
		cmocka_unit_test_setup(test_single_values_over_the_whole_range, reset),
		cmocka_unit_test_setup(test_error_of_any_value, reset),
		cmocka_unit_test_setup(test_quantiles_of_a_uniform_distribution, reset),
		cmocka_unit_test_setup(test_one_outlier_in_a_thousand, reset),
		cmocka_unit_test_setup(test_longer_than_the_range, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
