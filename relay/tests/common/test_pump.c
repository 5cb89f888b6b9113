// SPDX-License-Identifier: MIT
/* pump: nothing that is written to standard error waits, whoever reads it or does not. */
#include "common/log.h"
#include "common/pump.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

enum { PATIENCE_MS = 100000, LINE_MAX_BYTES = 4096 };

static struct pump pump;
static int kept;    /* what standard error was before the test */
static int ends[2]; /* the pipe that it is in the test: reader, writer */
static FILE *reader;

static int setup(void **state)
{
	(void)state;
	kept = dup(STDERR_FILENO);
	if (kept < 0 || pipe(ends) < 0 || dup2(ends[1], STDERR_FILENO) < 0)
		return -1;
	reader = fdopen(ends[0], "r");
	return reader ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	dup2(kept, STDERR_FILENO);
	close(kept);
	close(ends[1]);
	if (reader)
		fclose(reader);
	return 0;
}

static void put(const char *text)
{
	assert_int_equal(write(STDERR_FILENO, text, strlen(text)), strlen(text));
}

static void assert_read(const char *expected)
{
	char line[LINE_MAX_BYTES];

	assert_non_null(fgets(line, sizeof(line), reader));
	assert_string_equal(line, expected);
}

/* As long as there is room, whole lines of their numbers; returns how many. */
static unsigned fill(void)
{
	char line[512];
	unsigned count = 0;
	int length;

	do {
		length = snprintf(line, sizeof(line), "%0400u\n", count);
	} while (write(STDERR_FILENO, line, (size_t)length) == length && ++count);
	assert_int_equal(errno, EAGAIN);
	return count;
}

static void assert_filled(unsigned count)
{
	char line[LINE_MAX_BYTES], expected[512];

	for (unsigned i = 0; i < count; i++) {
		snprintf(expected, sizeof(expected), "%0400u\n", i);
		assert_non_null(fgets(line, sizeof(line), reader));
		assert_string_equal(line, expected);
	}
}

/* Standard error is what it was, whatever that is. */
static void assert_as_before(void)
{
	put("directly\n");
	assert_read("directly\n");
}

static void test_all_is_passed_on(void **state)
{
	(void)state;
	assert_int_equal(pump_open(&pump), 0);
	put("before the thread\n");
	assert_int_equal(pump_start(&pump, NULL, NULL), 0);
	assert_read("before the thread\n");
	put("with it\n");
	assert_read("with it\n");
	put("at the end\n");
	pump_finish(&pump, PATIENCE_MS);
	assert_read("at the end\n");
	assert_as_before();
}

static void test_never_started(void **state)
{
	(void)state;
	assert_int_equal(pump_open(&pump), 0);
	put("waits\n");
	pump_finish(&pump, PATIENCE_MS);
	assert_read("waits\n");
	assert_as_before();
	pump_finish(&pump, PATIENCE_MS); /* not open: nothing */
}

/* Others who have the same pipe go on as they like. */
static void test_flags_of_others_stay(void **state)
{
	(void)state;
	assert_int_equal(pump_open(&pump), 0);
	assert_int_equal(pump_start(&pump, NULL, NULL), 0);
	assert_int_equal(fcntl(ends[1], F_GETFL) & O_NONBLOCK, 0);
	pump_finish(&pump, PATIENCE_MS);
	assert_int_equal(fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK, 0);
}

static void test_nobody_reads_for_a_while(void **state)
{
	unsigned count;

	(void)state;
	assert_int_equal(pump_open(&pump), 0);
	assert_int_equal(pump_start(&pump, NULL, NULL), 0);
	count = fill();
	assert_true(count > 100);
	assert_filled(count);
	put("again\n");
	assert_read("again\n");
	pump_finish(&pump, PATIENCE_MS);
	assert_as_before();
}

/* Given to us so by whoever started the program. */
static void test_standard_error_does_not_block(void **state)
{
	unsigned count;

	(void)state;
	assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(pump_open(&pump), 0);
	assert_int_equal(pump_start(&pump, NULL, NULL), 0);
	count = fill();
	assert_filled(count);
	pump_finish(&pump, PATIENCE_MS);
	assert_as_before();
}

/* Nor does the end wait for ever, or what is written after it. */
static void test_nobody_reads_at_the_end(void **state)
{
	struct pollfd room = {.fd = ends[1], .events = POLLOUT};

	(void)state;
	assert_int_equal(pump_open(&pump), 0);
	assert_int_equal(pump_start(&pump, NULL, NULL), 0);
	do
		fill();
	while (poll(&room, 1, 0) > 0);
	fill();
	pump_finish(&pump, 1);
	assert_int_equal(write(STDERR_FILENO, "x", 1), -1);
	assert_int_equal(errno, EBADF);
}

static void test_reader_is_gone(void **state)
{
	(void)state;
	assert_int_equal(pump_open(&pump), 0);
	assert_int_equal(pump_start(&pump, NULL, NULL), 0);
	fclose(reader);
	reader = NULL;
	put("nobody's\n");
	put("nobody's\n");
	pump_finish(&pump, PATIENCE_MS); /* no SIGPIPE */
}

/* Of the type pump_note, as a program has it. */
static size_t say_lost(void *context, char *line, size_t size)
{
	uint32_t *said = context, lost = log_lost(), before = *said;

	*said = lost;
	return lost == before ? 0 : log_format_lost(lost - before, line, size);
}

/* Every line is read, or among those that are said to be lost. */
static void test_lost_lines_are_counted_and_said(void **state)
{
	uint32_t said = 0;
	unsigned written = 0, read = 0, lost = 0, some;
	char line[LINE_MAX_BYTES];

	(void)state;
	assert_int_equal(pump_open(&pump), 0);
	assert_int_equal(pump_start(&pump, say_lost, &said), 0);
	while (log_lost() < 10)
		log_info("Egress", "line %0400u", written++);
	while (read + lost < written) {
		assert_non_null(fgets(line, sizeof(line), reader));
		if (sscanf(line, "[WARNING:Supervisor] %u lines were lost: ", &some) == 1)
			lost += some;
		else
			read++;
	}
	assert_int_equal(lost, 10);
	log_info("Egress", "goes on");
	assert_read("[INFO:Egress] goes on\n");
	pump_finish(&pump, PATIENCE_MS);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_all_is_passed_on),
		TEST(test_never_started),
		TEST(test_flags_of_others_stay),
		TEST(test_nobody_reads_for_a_while),
		TEST(test_standard_error_does_not_block),
		TEST(test_nobody_reads_at_the_end),
		TEST(test_reader_is_gone),
		TEST(test_lost_lines_are_counted_and_said),
	};

	return cmocka_run_group_tests_name("pump", tests, NULL, NULL);
}
