// SPDX-License-Identifier: MIT
/*
 * options: every type from default, environment and command line, and what each refusal says.
 */
#include "common/options.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../caught.h"

struct settings {
	bool flag;
	uint64_t depth, depth_limit, pause_ms;
	const char *file, *label;
	struct in_addr address;
	struct option_list list;
};

#define FIELD(member) .offset = offsetof(struct settings, member)

/* clang-format off */
static const struct option_def settings_options[] = {
	{OPTION_HEADING, .help = "Things"},
	{OPTION_STRING, "file", .arg = "FILE", .env = "TEST_FILE", .required = true, FIELD(file),
	 .help = "the file"},
	{OPTION_STRING, "label", .arg = "TEXT", FIELD(label), .help = "a label"},
	{OPTION_FLAG, "flag", FIELD(flag), .help = "a flag"},
	{OPTION_HEADING, .help = "Numbers"},
	{OPTION_UINT, "depth", .arg = "N", .env = "TEST_DEPTH", .min = 4, .max = 1024,
	 .preset = "64", FIELD(depth), .help = "how deep"},
	{OPTION_UINT, "depth-limit", .arg = "N", .max = UINT64_MAX, FIELD(depth_limit),
	 .help = "no deeper"},
	{OPTION_SECONDS, "pause", .arg = "SECONDS", .env = "TEST_PAUSE", .min = 500, .max = 60000,
	 .preset = "1.5", FIELD(pause_ms), .help = "how long"},
	{OPTION_IPV4, "address", .arg = "IP", .env = "TEST_ADDRESS", .preset = "0.0.0.0",
	 FIELD(address), .help = "where"},
	{OPTION_LIST, "item", .arg = "TEXT", .env = "TEST_ITEM", FIELD(list), .help = "one of many"},
	{OPTION_END},
};
/* clang-format on */

static const struct program program = {
	.name = "prog",
	.usage = "--file FILE [OPTION]...",
	.purpose = "Tests.",
	.closing = "The end.\n",
	.options = settings_options,
};

static struct settings settings;

static int parse_settings(int argc, char **argv, void *config)
{
	return options_parse(&program, argc, argv, config);
}

static int given(const char *first, ...) __attribute__((sentinel));

/* The words of a command line, NULL at the end. */
static int given(const char *first, ...)
{
	va_list args;
	int rc;

	(void)first;
	settings = (struct settings){0};
	va_start(args, first);
	rc = caught_parse(parse_settings, &settings, "prog", args);
	va_end(args);
	return rc;
}

#define GIVEN(...)	      given("", __VA_ARGS__, (char *)NULL)
#define ACCEPTED(...)	      assert_accepted(GIVEN(__VA_ARGS__))
#define REFUSED(message, ...) assert_refused(GIVEN(__VA_ARGS__), "prog", message)

static int clear_environment(void **state)
{
	(void)state;
	unsetenv("TEST_FILE");
	unsetenv("TEST_DEPTH");
	unsetenv("TEST_PAUSE");
	unsetenv("TEST_ADDRESS");
	unsetenv("TEST_ITEM");
	return 0;
}

/* ------------------------------------------------------------------------- tests */

static void test_defaults(void **state)
{
	(void)state;
	ACCEPTED("--file", "f");
	assert_string_equal(settings.file, "f");
	assert_null(settings.label);
	assert_false(settings.flag);
	assert_int_equal(settings.depth, 64);
	assert_int_equal(settings.depth_limit, 0);
	assert_int_equal(settings.pause_ms, 1500);
	assert_int_equal(settings.address.s_addr, 0);
}

static void test_all_given(void **state)
{
	(void)state;
	ACCEPTED("--file=f", "--label", "a b", "--flag", "--depth=4", "--depth-limit",
		 "18446744073709551615", "--pause", "60", "--address", "239.1.2.3");
	assert_string_equal(settings.label, "a b");
	assert_true(settings.flag);
	assert_int_equal(settings.depth, 4);
	assert_int_equal(settings.depth_limit, UINT64_MAX);
	assert_int_equal(settings.pause_ms, 60000);
	assert_int_equal(settings.address.s_addr, inet_addr("239.1.2.3"));
}

static void test_last_one_wins(void **state)
{
	(void)state;
	ACCEPTED("--file", "f", "--depth", "5", "--depth", "6");
	assert_int_equal(settings.depth, 6);
}

static void test_environment(void **state)
{
	(void)state;
	setenv("TEST_FILE", "from environment", 1);
	setenv("TEST_DEPTH", "128", 1);
	setenv("TEST_PAUSE", "2.5", 1);
	setenv("TEST_ADDRESS", "10.0.0.1", 1);
	ACCEPTED("--flag");
	assert_string_equal(settings.file, "from environment");
	assert_int_equal(settings.depth, 128);
	assert_int_equal(settings.pause_ms, 2500);
	assert_int_equal(settings.address.s_addr, inet_addr("10.0.0.1"));

	ACCEPTED("--file", "f", "--depth", "7", "--pause", "3", "--address", "10.0.0.2");
	assert_string_equal(settings.file, "f");
	assert_int_equal(settings.depth, 7);
	assert_int_equal(settings.pause_ms, 3000);
	assert_int_equal(settings.address.s_addr, inet_addr("10.0.0.2"));
}

static void test_environment_refused(void **state)
{
	(void)state;
	setenv("TEST_DEPTH", "3", 1);
	REFUSED("environment variable TEST_DEPTH: '3' is not a whole number from 4 to 1024",
		"--file", "f");
	setenv("TEST_DEPTH", "", 1);
	REFUSED("environment variable TEST_DEPTH: '' is not a whole number from 4 to 1024",
		"--file", "f");
	unsetenv("TEST_DEPTH");
	setenv("TEST_FILE", "", 1);
	REFUSED("environment variable TEST_FILE: expected FILE, found an empty string", "--file",
		"f");
}

static void test_uint(void **state)
{
	static const char *const wrong[] = {"3",   "1025", "",	    "-5",
					    "+5",  " 5",   "5 ",    "0x10",
					    "1e2", "5.0",  "1,000", "99999999999999999999"};

	(void)state;
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		char message[128];

		snprintf(message, sizeof(message),
			 "--depth: '%s' is not a whole number from 4 to 1024", wrong[i]);
		REFUSED(message, "--file", "f", "--depth", wrong[i]);
	}
	ACCEPTED("--file", "f", "--depth", "4");
	ACCEPTED("--file", "f", "--depth", "1024");
	ACCEPTED("--file", "f", "--depth", "0010");
	assert_int_equal(settings.depth, 10);
	REFUSED("--depth-limit: '18446744073709551616' is not a whole number from 0 to "
		"18446744073709551615",
		"--file", "f", "--depth-limit", "18446744073709551616");
}

static void test_seconds(void **state)
{
	static const struct {
		const char *text;
		uint64_t milliseconds;
	} right[] = {{"0.5", 500},    {"2.5", 2500}, {"2.05", 2050},	{"2.005", 2005},
		     {"2.999", 2999}, {"60", 60000}, {"60.000", 60000}, {"00.5", 500}};
	static const char *const wrong[] = {".5",
					    "2.",
					    "1.2345",
					    "abc",
					    "",
					    "-1",
					    "+1",
					    "0.499",
					    "60.001",
					    "1.2.3",
					    "1,5",
					    "1 ",
					    "1e1",
					    "1.x",
					    "99999999999999999999",
					    "5s",
					    "18446744073709551",
					    "000000000000000000000000000001"};

	(void)state;
	for (unsigned i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
		ACCEPTED("--file", "f", "--pause", right[i].text);
		assert_int_equal(settings.pause_ms, right[i].milliseconds);
	}
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		char message[128];

		snprintf(message, sizeof(message),
			 "--pause: '%s' is not a time from 0.5 to 60 seconds", wrong[i]);
		REFUSED(message, "--file", "f", "--pause", wrong[i]);
	}
}

static void test_string(void **state)
{
	(void)state;
	REFUSED("--label: expected TEXT, found an empty string", "--file", "f", "--label", "");
	REFUSED("--label: expected TEXT, found an empty string", "--file", "f", "--label=");
	ACCEPTED("--file", "--flag"); /* odd, but what getopt does */
	assert_string_equal(settings.file, "--flag");
	assert_false(settings.flag);
}

static void test_address(void **state)
{
	static const char *const wrong[] = {"",	   "10.0.0",	"10.0.0.256",
					    "::1", "localhost", " 1.2.3.4"};

	(void)state;
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		char message[128];

		snprintf(message, sizeof(message),
			 "--address: '%s' is not an IPv4 address such as 10.0.0.1", wrong[i]);
		REFUSED(message, "--file", "f", "--address", wrong[i]);
	}
}

static void test_unknown_or_ambiguous(void **state)
{
	(void)state;
	REFUSED("unknown or ambiguous option '--nothing'", "--file", "f", "--nothing");
	REFUSED("unknown or ambiguous option '--nothing=5'", "--nothing=5", "--file", "f");
	REFUSED("unknown or ambiguous option '--f'", "--f", "f"); /* file or flag */
	REFUSED("unknown or ambiguous option '--dep'", "--dep", "5", "--file", "f");
	REFUSED("unknown or ambiguous option '-x'", "-x");
	REFUSED("unknown or ambiguous option '-x'", "--flag", "-xyz");
	ACCEPTED("--fi", "f", "--pau", "2", "--depth", "5"); /* short, but clear */
	assert_int_equal(settings.pause_ms, 2000);
	assert_int_equal(settings.depth, 5);
}

static void test_values_out_of_place(void **state)
{
	(void)state;
	REFUSED("--flag takes no value", "--file", "f", "--flag=1");
	REFUSED("--help takes no value", "--help=me");
	REFUSED("--file needs a value", "--flag", "--file");
	REFUSED("--depth needs a value", "--file", "f", "--depth");
	REFUSED("unexpected argument 'stray'", "--file", "f", "stray");
	REFUSED("unexpected argument 'stray'", "stray", "--file", "f");
	REFUSED("unexpected argument '--flag'", "--file", "f", "--", "--flag");
}

static void test_required(void **state)
{
	(void)state;
	REFUSED("--file FILE is missing", "--flag");
	setenv("TEST_FILE", "f", 1);
	ACCEPTED("--flag");
}

static void assert_contains(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("'%s' not in:\n%s", part, text);
}

static void test_help(void **state)
{
	(void)state;
	assert_int_equal(GIVEN("--help"), 1);
	assert_string_equal(caught_errors, "");
	assert_contains(caught_output, "Usage: prog --file FILE [OPTION]...\n\nTests.\n");
	assert_contains(caught_output, "\nNumbers:\n");
	assert_contains(caught_output,
			"  --file FILE               the file (required; environment "
			"TEST_FILE)\n");
	assert_contains(caught_output, "  --label TEXT              a label\n");
	assert_contains(caught_output,
			"  --pause SECONDS           how long (default 1.5; environment "
			"TEST_PAUSE)\n");
	assert_contains(caught_output, "\nThe end.\n");
	assert_int_equal(GIVEN("-h"), 1);
	assert_contains(caught_output, "Usage: prog ");
	assert_int_equal(GIVEN("--version"), 1);
	assert_int_equal(strncmp(caught_output, "prog ", 5), 0);
}

static void test_man_options(void **state)
{
	(void)state;
	assert_int_equal(GIVEN("--man-options"), 1);
	assert_contains(caught_output, ".SS Numbers\n");
	assert_contains(caught_output, ".TP\n.B \\-\\-depth\\-limit \\fIN\\fR\nno deeper\n");
	assert_contains(caught_output, ".TP\n.B \\-\\-flag\na flag\n");
}

static void test_to_json(void **state)
{
	json_t *json, *expected;

	(void)state;
	ACCEPTED("--file", "f", "--flag", "--pause", "2.5", "--address", "10.1.2.3");
	json = options_to_json(settings_options, &settings);
	expected = json_pack("{s:s, s:n, s:b, s:i, s:i, s:f, s:s}", "file", "f", "label", "flag", 1,
			     "depth", 64, "depth-limit", 0, "pause", 2.5, "address", "10.1.2.3");
	assert_non_null(expected);
	assert_true(json_equal(json, expected));
	json_decref(expected);
	json_decref(json);
}

/* A file name need not be UTF-8, which JSON must be: the key is there all the same. */
static void test_to_json_not_utf8(void **state)
{
	json_t *json;

	(void)state;
	ACCEPTED("--file", "caf\xe9");
	json = options_to_json(settings_options, &settings);
	assert_true(json_is_null(json_object_get(json, "file")));
	json_decref(json);
}

/* ------------------------------------------------------------------------- lists and commands */

static void test_list(void **state)
{
	(void)state;
	ACCEPTED("--file", "f");
	assert_int_equal(settings.list.count, 0);
	ACCEPTED("--item", "a,b", "--file", "f", "--item=", "--item", "c");
	assert_int_equal(settings.list.count, 3);
	assert_string_equal(settings.list.item[0], "a,b");
	assert_string_equal(settings.list.item[1], "");
	assert_string_equal(settings.list.item[2], "c");
	REFUSED("--item needs a value", "--file", "f", "--item");
}

static void test_list_is_full(void **state)
{
	enum { MOST = sizeof(settings.list.item) / sizeof(settings.list.item[0]) };
	static char option[] = "--item=x", name[] = "prog", file[] = "--file=f";
	char *argv[MOST + 4] = {name, file};
	struct settings many = {0};

	(void)state;
	for (int i = 0; i < MOST; i++)
		argv[2 + i] = option;
	assert_int_equal(options_parse(&program, 2 + MOST, argv, &many), 0);
	assert_int_equal(many.list.count, MOST);
	many = (struct settings){0};
	argv[2 + MOST] = option;
	assert_int_equal(options_parse(&program, 3 + MOST, argv, &many), -EINVAL);
	assert_int_equal(many.list.count, MOST);
}

/* A program and its commands each have a table: the first one ends where the command begins. */
static void test_arguments(void **state)
{
	static const struct program commands = {
		.name = "prog", .options = settings_options, .takes_arguments = true};
	static char name[] = "prog", file[] = "--file=f", command[] = "command", flag[] = "--flag";
	char *argv[] = {name, file, command, flag, NULL};
	struct settings first = {0}, second = {0};

	(void)state;
	assert_int_equal(options_parse(&commands, 4, argv, &first), 0);
	assert_int_equal(optind, 2);
	assert_string_equal(first.file, "f");
	assert_false(first.flag);
	setenv("TEST_FILE", "f", 1);
	assert_int_equal(options_parse(&program, 2, argv + 2, &second), 0);
	assert_true(second.flag);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, clear_environment)
	const struct CMUnitTest tests[] = {
		TEST(test_defaults),
		TEST(test_all_given),
		TEST(test_last_one_wins),
		TEST(test_environment),
		TEST(test_environment_refused),
		TEST(test_uint),
		TEST(test_seconds),
		TEST(test_string),
		TEST(test_address),
		TEST(test_unknown_or_ambiguous),
		TEST(test_values_out_of_place),
		TEST(test_required),
		TEST(test_help),
		TEST(test_man_options),
		TEST(test_to_json),
		TEST(test_to_json_not_utf8),
		TEST(test_list),
		TEST(test_list_is_full),
		TEST(test_arguments),
	};

	return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
