// SPDX-License-Identifier: MIT
/* log: whole lines of printable text, limits that say what they held back, lines that are lost. */
#include "common/log.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "../made_up_clock.h"

static int kept;
static FILE *file; /* standard error in the test */

static int setup(void **state)
{
	(void)state;
	kept = dup(STDERR_FILENO);
	file = tmpfile();
	return kept >= 0 && file && dup2(fileno(file), STDERR_FILENO) >= 0 ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	dup2(kept, STDERR_FILENO);
	close(kept);
	fclose(file);
	return 0;
}

/* What has been written since the last call. */
static void assert_written(const char *expected)
{
	static char text[8192];
	ssize_t length = pread(fileno(file), text, sizeof(text) - 1, 0);

	assert_true(length >= 0);
	text[length] = '\0';
	assert_string_equal(text, expected);
	assert_int_equal(ftruncate(fileno(file), 0), 0);
	assert_int_equal(lseek(fileno(file), 0, SEEK_SET), 0);
}

static void test_text_is_made_printable(void **state)
{
	(void)state;
	log_warning("Egress", "interface %s", "a\nb\x1b[31m\xc2\x9b\xed\xa0\x80\x7f \xc3\xa9");
	assert_written("[WARNING:Egress] interface a?b?[31m?????? \xc3\xa9\n");
}

static void test_long_text_is_cut(void **state)
{
	char text[5000], expected[2048];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_warning("Egress", "%s", text);
	snprintf(expected, sizeof(expected), "[WARNING:Egress] %.1023s\n", text);
	assert_written(expected);
}

static void test_limit_of_a_second(void **state)
{
	struct log_limit limit = {0};

	(void)state;
	time_ms = 5000000;
	for (int i = 0; i < 3 * LOG_PER_SECOND; i++)
		log_limited(&limit, LEVEL_ERROR, "Http", "no");
	assert_written("[ERROR:Http] no\n[ERROR:Http] no\n[ERROR:Http] no\n[ERROR:Http] no\n"
		       "[ERROR:Http] no\n");
	time_ms += 999;
	log_limited(&limit, LEVEL_ERROR, "Http", "no");
	assert_written("");
	time_ms += 1;
	log_limited(&limit, LEVEL_ERROR, "Http", "once more");
	assert_written("[ERROR:Http] once more (and 11 more lines like this)\n");
	log_limited(&limit, LEVEL_ERROR, "Http", "and again");
	assert_written("[ERROR:Http] and again\n");
}

static void test_limit_of_its_own(void **state)
{
	struct log_limit limit = {.lines = 1, .seconds = 3600};

	(void)state;
	for (int i = 0; i < 1000; i++)
		log_limited(&limit, LEVEL_WARNING, "Egress", "sends fail");
	assert_written("[WARNING:Egress] sends fail\n");
	time_ms += 3599999;
	log_limited(&limit, LEVEL_WARNING, "Egress", "sends fail");
	assert_written("");
	time_ms += 1;
	log_limited(&limit, LEVEL_WARNING, "Egress", "sends fail");
	assert_written("[WARNING:Egress] sends fail (and 1000 more lines like this)\n");
}

/* Else it would be written no sooner than a minute after somebody asked for it. */
static void test_a_line_of_no_level_uses_no_limit(void **state)
{
	struct log_limit limit = {.lines = 1, .seconds = 3600};

	(void)state;
	log_limited(&limit, LEVEL_DEBUG, "Egress", "not wanted");
	log_limited(&limit, LEVEL_WARNING, "Egress", "wanted");
	assert_written("[WARNING:Egress] wanted\n");
}

/* A full pipe that does not wait. */
static void test_a_line_that_cannot_be_written_is_counted(void **state)
{
	static uint32_t lost;
	int ends[2];
	char byte = 'x';

	(void)state;
	assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
	while (write(ends[1], &byte, 1) == 1)
		;
	log_count_lost(&lost);
	assert_int_equal(log_lost(), 0);
	dup2(ends[1], STDERR_FILENO);
	log_error("Egress", "one");
	log_error("Egress", "two");
	dup2(fileno(file), STDERR_FILENO);
	log_error("Egress", "three");
	assert_int_equal(lost, 2);
	assert_int_equal(log_lost(), 2);
	assert_written("[ERROR:Egress] three\n");
	close(ends[0]);
	close(ends[1]);
}

static void test_a_line_about_lost_ones(void **state)
{
	char line[4096];
	size_t length = log_format_lost(1, line, sizeof(line));

	(void)state;
	assert_true(length > 0);
	line[length] = '\0';
	assert_string_equal(line, "[WARNING:Supervisor] 1 line was lost: standard error was not "
				  "read in time\n");
	assert_int_equal(log_format_lost(1, line, 100), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_text_is_made_printable),
		TEST(test_long_text_is_cut),
		TEST(test_limit_of_a_second),
		TEST(test_limit_of_its_own),
		TEST(test_a_line_of_no_level_uses_no_limit),
		TEST(test_a_line_that_cannot_be_written_is_counted),
		TEST(test_a_line_about_lost_ones),
	};

	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
