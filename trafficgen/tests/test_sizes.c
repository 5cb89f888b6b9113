// SPDX-License-Identifier: MIT
/* sizes: what is a pattern and what is not, and runs of equal packets across its end. */
#include "../sizes.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static struct sizes sizes;

static void assert_sizes(const uint16_t *expected, unsigned count)
{
	assert_int_equal(sizes.count, count);
	for (unsigned i = 0; i < 3 * count; i++)
		assert_int_equal(sizes_of(&sizes, i), expected[i % count]);
}

static void test_one_size(void **state)
{
	static const uint16_t expected[] = {1400};
	static const char *const same[] = {"1400", "1400x1", "1400x7", "1400,1400x3", "01400"};

	(void)state;
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		assert_int_equal(sizes_parse(&sizes, same[i]), 0);
		assert_sizes(expected, 1);
		assert_int_equal(sizes.smallest, 1400);
		assert_int_equal(sizes.largest, 1400);
		assert_int_equal(sizes_run(&sizes, 12345, 64), 64);
	}
}

static void test_pattern(void **state)
{
	static const uint16_t expected[] = {64, 64, 64, 1, 65507, 65507};

	(void)state;
	assert_int_equal(sizes_parse(&sizes, "64x3,1,65507x2"), 0);
	assert_sizes(expected, 6);
	assert_int_equal(sizes.smallest, 1);
	assert_int_equal(sizes.largest, 65507);
}

static void test_imix(void **state)
{
	unsigned sum = 0;

	(void)state;
	assert_int_equal(sizes_parse(&sizes, "imix"), 0);
	assert_int_equal(sizes.count, 12);
	for (unsigned i = 0; i < sizes.count; i++)
		sum += sizes_of(&sizes, i) + 46u; /* IP, UDP, Ethernet and its checksum */
	assert_int_equal(sum, 7 * 64 + 4 * 594 + 1518);
}

static void test_runs(void **state)
{
	(void)state;
	assert_int_equal(sizes_parse(&sizes, "64x3,576,64x2"), 0);
	assert_int_equal(sizes_run(&sizes, 0, 64), 3);
	assert_int_equal(sizes_run(&sizes, 2, 64), 1);
	assert_int_equal(sizes_run(&sizes, 3, 64), 1);
	assert_int_equal(sizes_run(&sizes, 4, 64), 5); /* over the end */
	assert_int_equal(sizes_run(&sizes, 4, 4), 4);
	assert_int_equal(sizes_run(&sizes, 6 * 1000000007ull + 5, 64), 4);
}

static void test_longest_pattern(void **state)
{
	(void)state;
	assert_int_equal(sizes_parse(&sizes, "64x4095,65"), 0);
	assert_int_equal(sizes.count, SIZES_COUNT);
	assert_int_equal(sizes_parse(&sizes, "64x4096,65"), -E2BIG);
	assert_int_equal(sizes_parse(&sizes, "64x4097"), -E2BIG);
	assert_int_equal(sizes_parse(&sizes, "64x4095,65x2"), -E2BIG);
	assert_int_equal(sizes_parse(&sizes, "64x100000000"), -E2BIG);
}

static void test_not_a_pattern(void **state)
{
	static const char *const wrong[] = {"",
					    "0",
					    "65508",
					    "64,",
					    ",64",
					    "64x",
					    "64x0",
					    "x7",
					    "64x7x2",
					    "64 ",
					    " 64",
					    "-1",
					    "+64",
					    "64;65",
					    "IMIX",
					    "imix,1",
					    "0x40",
					    "64,,65",
					    "64.5",
					    "64x-1",
					    "1e3",
					    "64X7",
					    "video",
					    "64x7 ",
					    "99999999999999999999",
					    "64x99999999999"};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(sizes_parse(&sizes, wrong[i]), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_size),
		cmocka_unit_test(test_pattern),
		cmocka_unit_test(test_imix),
		cmocka_unit_test(test_runs),
		cmocka_unit_test(test_longest_pattern),
		cmocka_unit_test(test_not_a_pattern),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
