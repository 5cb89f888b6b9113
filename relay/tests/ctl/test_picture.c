// SPDX-License-Identifier: MIT
/* picture: reports as the relay makes them, and what is shown of them. */
#include "ctl/picture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct picture picture;
static char *text;

static int setup(void **state)
{
	(void)state;
	picture = (struct picture){0};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	picture_exit(&picture);
	free(text);
	text = NULL;
	return 0;
}

/* A report that has one rule with one output, `seconds` after the first one of process `pid`. */
static json_t *report(int pid, double seconds, int packets, int drops)
{
	return json_pack("{s:i, s:s, s:I, s:{s:i, s:i, s:i, s:i, s:i}, s:{s:i, s:i}, s:[{}],"
			 " s:[{s:s, s:{s:s, s:s, s:i}, s:i, s:i, s:[i]}],"
			 " s:[{s:s, s:s, s:i, s:i, s:i, s:{s:i, s:i}}]}",
			 "pid", pid, "utc", "2026-11-20T10:00:00Z", "time_ns",
			 (json_int_t)(1e15 + 1e9 * seconds), "total", "recv_packets",
			 packets + drops, "recv_bytes", 100 * (packets + drops), "matched", packets,
			 "egress_sent", packets, "egress_bytes", 1250 * packets, "drops",
			 "drop_no_match", drops, "drop_checksum", 0, "workers", "rules", "id",
			 "video", "input", "interface", "eth0", "group", "239.1.1.1", "port", 5000,
			 "matched", packets, "matched_bytes", 1250 * packets, "outputs", 0,
			 "outputs", "interface", "eth1", "group", "239.2.2.2", "port", 6000, "sent",
			 packets, "sent_bytes", 1250 * packets, "errors", "ENOBUFS", drops, "EPERM",
			 0);
}

/* Takes over the reference. */
static void draw(json_t *value)
{
	assert_non_null(value);
	free(text);
	text = picture_draw(&picture, "/run/s", value);
	json_decref(value);
	assert_non_null(text);
}

/* There is a line of these words, whatever blanks are between them. */
static void assert_line(const char *words)
{
	char line[512];

	for (const char *at = text; *at; at += strcspn(at, "\n") + 1) {
		const size_t length = strcspn(at, "\n");
		size_t used = 0;

		for (size_t i = 0; i < length && used < sizeof(line) - 1; i++)
			if (at[i] != ' ' || (used && line[used - 1] != ' '))
				line[used++] = at[i];
		while (used && line[used - 1] == ' ')
			used--;
		line[used] = '\0';
		if (strcmp(line, words) == 0)
			return;
	}
	fail_msg("no line '%s' in:\n%s", words, text);
}

static void refute_text(const char *part)
{
	if (strstr(text, part))
		fail_msg("'%s' in:\n%s", part, text);
}

static void test_first_picture_has_no_rates(void **state)
{
	(void)state;
	assert_true(picture_is_first(&picture));
	draw(report(7, 0, 100, 0));
	assert_false(picture_is_first(&picture));
	assert_line("mcrelay, process 7, /run/s, 2026-11-20T10:00:00Z");
	assert_line("1 rules, 0 waiting, 0 stopped; 1 outputs, 1 workers");
	assert_line("received - - 100");
	assert_line("sent - - 100");
	assert_line("video: 239.1.1.1:5000 on eth0 - - 100");
	assert_line("to 239.2.2.2:6000 on eth1 - - 100");
	assert_line("no drops");
}

static void test_rates_are_of_the_time_since_the_last_picture(void **state)
{
	(void)state;
	draw(report(7, 0, 100, 0));
	draw(report(7, 2, 2100, 50));
	assert_line("received 1025 0.82 2150");
	assert_line("matched 1000 2100");
	assert_line("sent 1000 10.00 2100");
	assert_line("video: 239.1.1.1:5000 on eth0 1000 10.00 2100");
	draw(report(7, 2.5, 2200, 60));
	assert_line("sent 200 2.00 2200");
	assert_line("drop_no_match 20 60");
	assert_line("failed: ENOBUFS 20 60");
	refute_text("drop_checksum"); /* has not happened */
	refute_text("EPERM");
}

static void test_another_relay_begins_anew(void **state)
{
	(void)state;
	draw(report(7, 0, 100, 0));
	draw(report(8, 1, 300, 0));
	assert_line("sent - - 300");
	draw(report(8, 2, 400, 0));
	assert_line("sent 100 1.00 400");
}

static void test_what_began_since_has_no_rate_yet(void **state)
{
	json_t *value = report(7, 1, 200, 0);

	(void)state;
	draw(report(7, 0, 100, 0));
	json_object_set_new(json_array_get(json_object_get(value, "rules"), 0), "id",
			    json_string("other"));
	json_object_set_new(json_array_get(json_object_get(value, "outputs"), 0), "sent",
			    json_integer(5)); /* less than before: counted anew */
	draw(value);
	assert_line("other: 239.1.1.1:5000 on eth0 - - 200");
	assert_line("to 239.2.2.2:6000 on eth1 - 1.00 5");
	assert_line("sent 100 1.00 200");
}

static void test_waiting_rules_say_for_what(void **state)
{
	json_t *value = report(7, 0, 0, 0),
	       *rule = json_array_get(json_object_get(value, "rules"), 0);

	(void)state;
	json_object_set_new(rule, "state", json_string("running"));
	draw(json_incref(value));
	assert_line("1 rules, 0 waiting, 0 stopped; 1 outputs, 1 workers");
	refute_text("running");
	json_object_set_new(rule, "state", json_string("waiting"));
	json_object_set_new(rule, "reason", json_string("interface eth0 is not there"));
	draw(value);
	assert_line("1 rules, 1 waiting, 0 stopped; 1 outputs, 1 workers");
	assert_line("waiting: interface eth0 is not there");
}

static void test_stopped_rules_say_why(void **state)
{
	json_t *value = report(7, 0, 0, 0),
	       *rule = json_array_get(json_object_get(value, "rules"), 0);

	(void)state;
	json_object_set_new(rule, "state", json_string("stopped"));
	json_object_set_new(rule, "reason", json_string("its packets come back"));
	draw(value);
	assert_line("1 rules, 0 waiting, 1 stopped; 1 outputs, 1 workers");
	assert_line("stopped: its packets come back");
}

/* Both have the rates of their own counts. */
static void test_outputs_that_differ_in_their_ttl(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		json_t *value = report(7, i, 100 + 50 * i, 0),
		       *outputs = json_object_get(value, "outputs"),
		       *second = json_copy(json_array_get(outputs, 0)),
		       *rule = json_array_get(json_object_get(value, "rules"), 0);

		json_object_set_new(second, "ttl", json_integer(7));
		json_object_set_new(second, "sent", json_integer(1000 + 20 * i));
		json_array_append_new(outputs, second);
		json_array_append_new(json_object_get(rule, "outputs"), json_integer(1));
		draw(value);
	}
	assert_line("to 239.2.2.2:6000 on eth1 50 0.50 150");
	assert_line("to 239.2.2.2:6000 on eth1 20 0.50 1020");
}

/* Names of interfaces may have bytes that drive a terminal. */
static void test_nothing_drives_the_terminal(void **state)
{
	json_t *value = report(7, 0, 0, 0),
	       *output = json_array_get(json_object_get(value, "outputs"), 0);

	(void)state;
	json_object_set_new(output, "interface", json_string("a\x1b[2Jb\xc2\x9b\x7f\xc3\xa9"));
	draw(value);
	refute_text("\x1b");
	refute_text("\xc2\x9b");
	refute_text("\x7f");
	assert_non_null(strstr(text, "a?[2Jb"));
	assert_non_null(strstr(text, "\xc3\xa9"));
}

/* Of another version, say. */
static void test_report_without_what_is_expected(void **state)
{
	(void)state;
	draw(json_object());
	assert_line("0 rules, 0 waiting, 0 stopped; 0 outputs, 0 workers");
	draw(json_pack("{s:[{}, i], s:[[]], s:s}", "rules", 7, "outputs", "drops", "none"));
	assert_line("2 rules, 0 waiting, 0 stopped; 1 outputs, 0 workers");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_first_picture_has_no_rates),
		TEST(test_rates_are_of_the_time_since_the_last_picture),
		TEST(test_another_relay_begins_anew),
		TEST(test_what_began_since_has_no_rate_yet),
		TEST(test_waiting_rules_say_for_what),
		TEST(test_stopped_rules_say_why),
		TEST(test_outputs_that_differ_in_their_ttl),
		TEST(test_nothing_drives_the_terminal),
		TEST(test_report_without_what_is_expected),
	};

	return cmocka_run_group_tests_name("picture", tests, NULL, NULL);
}
