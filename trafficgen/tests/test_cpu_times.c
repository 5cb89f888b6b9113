// SPDX-License-Identifier: MIT
/* cpu_times: what a line of /proc/stat says, what is none, and what becomes of the samples. */
#include "../cpu_times.h"
#include "../samples.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void test_a_line_has_eight_columns_or_more(void **state)
{
	static const char *const lines[] = {
		"cpu  1 2 3 4 5 6 7 18446744073709551615 9 10\ncpu0 1 2 3",
		"cpu 1 2 3 4 5 6 7 18446744073709551615\n",
	};
	uint64_t ticks[CPU_TIMES_COLUMNS];

	(void)state;
	for (unsigned i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		memset(ticks, 0, sizeof(ticks));
		assert_int_equal(cpu_times_parse(lines[i], ticks), 0);
		for (unsigned column = 0; column < CPU_TIMES_COLUMNS - 1; column++)
			assert_int_equal(ticks[column], column + 1);
		assert_int_equal(ticks[CPU_TIMES_COLUMNS - 1], UINT64_MAX);
	}
}

static void test_what_is_no_such_line_is_refused(void **state)
{
	static const char *const lines[] = {
		"",
		"cpu",
		"cpu ",
		"cpu0 1 2 3 4 5 6 7 8\n",
		"cpu  1 2 3 4 5 6 7\n8 9",
		"cpu  1 2 3 4 5 6 7 8", /* cut short in a number, perhaps */
		"cpu  1 2 3 -4 5 6 7 8\n",
		"cpu  1 2 3 4x 5 6 7 8\n",
		"cpu  1 2 3 18446744073709551616 5 6 7 8\n",
	};
	uint64_t ticks[CPU_TIMES_COLUMNS];

	(void)state;
	for (unsigned i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		assert_int_equal(cpu_times_parse(lines[i], ticks), -EINVAL);
}

static char path[] = "/tmp/test_cpu_times.XXXXXX";

static void write_stat(const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static int setup(void **state)
{
	int fd = mkstemp(strcpy(path, "/tmp/test_cpu_times.XXXXXX"));

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return unlink(path);
}

static json_int_t cell(const json_t *report, unsigned row, unsigned column)
{
	return json_integer_value(json_array_get(
		json_array_get(json_object_get(report, "cpu_samples"), row), column));
}

static void test_the_report_has_what_the_file_said_at_each_time(void **state)
{
	json_t *report = json_object();
	struct cpu_times times;

	(void)state;
	write_stat("cpu  10 20 30 40 50 60 70 80 0 0\n");
	assert_int_equal(cpu_times_init(&times, path), 0);
	cpu_times_take(&times, 1000);
	write_stat("cpu  11 20 30 40 50 60 70 81 0 0\n");
	cpu_times_take(&times, 2000);
	write_stat("something else\n");
	cpu_times_take(&times, 3000);
	cpu_times_report(&times, report);
	assert_int_equal(json_array_size(json_object_get(report, "cpu_samples")), 2);
	assert_int_equal(cell(report, 0, 0), 1000);
	assert_int_equal(cell(report, 0, 1), 10);
	assert_int_equal(cell(report, 1, 0), 2000);
	assert_int_equal(cell(report, 1, 1), 11);
	assert_int_equal(cell(report, 1, 8), 81);
	assert_int_equal(json_integer_value(json_object_get(report, "cpu_ticks_per_s")),
			 sysconf(_SC_CLK_TCK));
	json_decref(report);
	cpu_times_exit(&times);
}

static void test_without_the_file_there_are_none(void **state)
{
	json_t *report = json_object();
	struct cpu_times times;

	(void)state;
	assert_int_equal(cpu_times_init(&times, "/nonexistent"), 0);
	cpu_times_take(&times, 1000);
	cpu_times_report(&times, report);
	assert_int_equal(json_array_size(json_object_get(report, "cpu_samples")), 0);
	json_decref(report);
	cpu_times_exit(&times);
}

static void test_beyond_the_room_there_are_no_more(void **state)
{
	struct cpu_times times;

	(void)state;
	write_stat("cpu  10 20 30 40 50 60 70 80 0 0\n");
	assert_int_equal(cpu_times_init(&times, path), 0);
	for (unsigned i = 0; i <= SAMPLES_MAX; i++)
		cpu_times_take(&times, i);
	assert_int_equal(times.count, SAMPLES_MAX);
	assert_int_equal(times.list[SAMPLES_MAX - 1].at_ns, SAMPLES_MAX - 1);
	cpu_times_exit(&times);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_line_has_eight_columns_or_more),
		cmocka_unit_test(test_what_is_no_such_line_is_refused),
		cmocka_unit_test_setup_teardown(test_the_report_has_what_the_file_said_at_each_time,
						setup, teardown),
		cmocka_unit_test(test_without_the_file_there_are_none),
		cmocka_unit_test_setup_teardown(test_beyond_the_room_there_are_no_more, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
