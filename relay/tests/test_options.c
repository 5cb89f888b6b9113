// SPDX-License-Identifier: MIT
/*
 * options: every type from default, environment and command line, and what each refusal says. What
 * options_parse prints is caught in temporary files.
 */
#include "../config.h"
#include "../options.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

struct settings {
	bool flag;
	uint64_t depth, depth_limit, pause_ms;
	const char *file, *label;
	struct in_addr address;
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
static char errors[4096], output[16384];

/* ------------------------------------------------------------------------- catching output */

static int redirect(int fd, FILE *file)
{
	int kept = dup(fd);

	assert_true(kept >= 0);
	assert_true(dup2(fileno(file), fd) >= 0);
	return kept;
}

static void restore(int fd, int kept, FILE *file, char *text, size_t size)
{
	size_t length;

	assert_true(dup2(kept, fd) >= 0);
	close(kept);
	rewind(file);
	length = fread(text, 1, size - 1, file);
	text[length] = '\0';
	fclose(file);
}

/* Runs `parse` on the arguments after "prog", up to NULL. */
static int caught(int (*parse)(int argc, char **argv, void *config), void *config, va_list args)
{
	FILE *out = tmpfile(), *err = tmpfile();
	char *argv[16] = {(char *)"prog"};
	int argc = 1, kept_out, kept_err, rc;

	while ((argv[argc] = va_arg(args, char *)))
		argc++;
	assert_true(out && err);
	fflush(stdout);
	kept_out = redirect(STDOUT_FILENO, out);
	kept_err = redirect(STDERR_FILENO, err);
	rc = parse(argc, argv, config);
	fflush(stdout);
	fflush(stderr);
	restore(STDOUT_FILENO, kept_out, out, output, sizeof(output));
	restore(STDERR_FILENO, kept_err, err, errors, sizeof(errors));
	return rc;
}

static int parse_settings(int argc, char **argv, void *config)
{
	return options_parse(&program, argc, argv, config);
}

static int parse_config(int argc, char **argv, void *config)
{
	return config_parse(argc, argv, config);
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
	rc = caught(parse_settings, &settings, args);
	va_end(args);
	return rc;
}

static struct config config;

static int given_config(const char *first, ...) __attribute__((sentinel));

static int given_config(const char *first, ...)
{
	va_list args;
	int rc;

	(void)first;
	config = (struct config){0};
	va_start(args, first);
	rc = caught(parse_config, &config, args);
	va_end(args);
	return rc;
}

/* Each refusal is one line: what, where, and where to read on. */
#define GIVEN(...)		     given("", __VA_ARGS__, (char *)NULL)
#define GIVEN_CONFIG(...)	     given_config("", __VA_ARGS__, (char *)NULL)
#define ACCEPTED(...)		     accepted(GIVEN(__VA_ARGS__))
#define REFUSED(message, ...)	     refused(GIVEN(__VA_ARGS__), "prog", message)
#define CONFIG_REFUSED(message, ...) refused(GIVEN_CONFIG(__VA_ARGS__), "mcrelay", message)

static void accepted(int rc)
{
	assert_string_equal(errors, "");
	assert_string_equal(output, "");
	assert_int_equal(rc, 0);
}

static void refused(int rc, const char *name, const char *message)
{
	char line[1024];

	snprintf(line, sizeof(line), "%s: %s; see '%s --help'\n", name, message, name);
	assert_string_equal(errors, line);
	assert_string_equal(output, "");
	assert_int_equal(rc, -EINVAL);
}

static int clear_environment(void **state)
{
	(void)state;
	unsetenv("TEST_FILE");
	unsetenv("TEST_DEPTH");
	unsetenv("TEST_PAUSE");
	unsetenv("TEST_ADDRESS");
	unsetenv("MCR_SOCKET_SNDBUF");
	unsetenv("MCR_STATS_INTERVAL_MS");
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
	assert_string_equal(errors, "");
	assert_contains(output, "Usage: prog --file FILE [OPTION]...\n\nTests.\n");
	assert_contains(output, "\nNumbers:\n");
	assert_contains(output, "  --file FILE               the file (required; environment "
				"TEST_FILE)\n");
	assert_contains(output, "  --label TEXT              a label\n");
	assert_contains(output, "  --pause SECONDS           how long (default 1.5; environment "
				"TEST_PAUSE)\n");
	assert_contains(output, "\nThe end.\n");
	assert_int_equal(GIVEN("-h"), 1);
	assert_contains(output, "Usage: prog ");
	assert_int_equal(GIVEN("--version"), 1);
	assert_int_equal(strncmp(output, "prog ", 5), 0);
}

static void test_man_options(void **state)
{
	(void)state;
	assert_int_equal(GIVEN("--man-options"), 1);
	assert_contains(output, ".SS Numbers\n");
	assert_contains(output, ".TP\n.B \\-\\-depth\\-limit \\fIN\\fR\nno deeper\n");
	assert_contains(output, ".TP\n.B \\-\\-flag\na flag\n");
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

/* ------------------------------------------------------------------------- the relay's own */

static void test_config_defaults(void **state)
{
	(void)state;
	accepted(GIVEN_CONFIG("--config", "rules.json"));
	assert_string_equal(config.rule_file, "rules.json");
	assert_int_equal(config.num_workers, 1);
	assert_int_equal(config.queue_depth, 1024);
	assert_int_equal(config.send_batch, 64);
	assert_int_equal(config.socket_sndbuf, 4194304);
	assert_int_equal(config.stats_interval_ms, 10000);
	assert_int_equal(config.ring_slot_bytes, 0);
	assert_false(config.no_gso || config.exclusive);
	setenv("MCR_SOCKET_SNDBUF", "212992", 1);
	setenv("MCR_STATS_INTERVAL_MS", "0", 1);
	accepted(GIVEN_CONFIG("--config", "rules.json"));
	assert_int_equal(config.socket_sndbuf, 212992);
	assert_int_equal(config.stats_interval_ms, 0);
}

static void test_config_refusals(void **state)
{
	(void)state;
	CONFIG_REFUSED("--config FILE is missing", "--no-gso");
	CONFIG_REFUSED("--ring-slots: 100 is not a power of two", "--config", "f", "--ring-slots",
		       "100");
	CONFIG_REFUSED("--ring-slot-bytes: 1024 is neither 0 nor a power of two from 2048 on",
		       "--config", "f", "--ring-slot-bytes", "1024");
	CONFIG_REFUSED("--ring-slot-bytes: 3000 is neither 0 nor a power of two from 2048 on",
		       "--config", "f", "--ring-slot-bytes", "3000");
	CONFIG_REFUSED("--stats-file and --stats-series name the same file, 's'", "--config", "f",
		       "--stats-file", "s", "--stats-series", "s");
	/* the kernel doubles it, in an int */
	CONFIG_REFUSED("--socket-sndbuf: '1073741824' is not a whole number from 4096 to "
		       "1073741823",
		       "--config", "f", "--socket-sndbuf", "1073741824");
	accepted(GIVEN_CONFIG("--config", "f", "--ring-slots", "16", "--ring-slot-bytes", "131072",
			      "--stats-file", "s"));
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
		TEST(test_config_defaults),
		TEST(test_config_refusals),
	};

	return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
