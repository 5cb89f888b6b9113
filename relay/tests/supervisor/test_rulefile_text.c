// SPDX-License-Identifier: MIT
/* rulefile: files, what is no JSON in them, and what is shown of them. */
#include "rulefile_fixture.h"

#include <unistd.h>

/* ------------------------------------------------------------------------- JSON */

static void test_not_json(void **state)
{
	static const struct refusal refusals[] = {
		{"", "f:1:0: not valid JSON: '[' or '{' expected near end of file"},
		{"rules", "f:1:5: not valid JSON: '[' or '{' expected near 'rules'"},
		{"{\n  \"rules\": [,]\n}", "f:2:13: not valid JSON: unexpected token near ','"},
		{"{\"rules\":[]} x", "f:1:14: not valid JSON: end of file expected near 'x'"},
		{"{\"rules\":[]", "f:1:11: not valid JSON: '}' expected near end of file"},
		{"{\"rules\":[],\n\"rules\":[]}",
		 "f:2:7: not valid JSON: duplicate object key near '\"rules\"'"},
		{RULES("{" INPUT "," INPUT ",\"outputs\":[]}"),
		 "f:1:79: not valid JSON: duplicate object key near '\"input\"'"},
		{WITH_ID("\"a\\u0000b\""),
		 "f:1:26: not valid JSON: \\u0000 is not allowed without JSON_ALLOW_NUL near "
		 "'\"a\\u0000b\"'"},
	};

	(void)state;
	ASSERT_ALL_REFUSED(refusals);
	assert_int_equal(parse_bytes("{\"rules\":\0[]}", 13), -EINVAL);
	assert_string_equal(error, "f:1:10: not valid JSON: invalid token near end of file");
	assert_int_equal(parse(WITH_ID("\"\xff\"")), -EINVAL);
	assert_non_null(strstr(error, "not valid JSON: unable to decode byte 0xff"));
}

/* jansson stops at 2048 levels, long before the stack ends. */
static void test_deep_nesting(void **state)
{
	enum { DEPTH = 100000 };
	char *text = malloc(DEPTH);

	(void)state;
	assert_non_null(text);
	memset(text, '[', DEPTH);
	assert_int_equal(parse_bytes(text, DEPTH), -EINVAL);
	assert_non_null(strstr(error, "not valid JSON: maximum parsing depth reached"));
	for (int i = 0; i < DEPTH; i += 5)
		memcpy(&text[i], "{\"a\":", 5);
	assert_int_equal(parse_bytes(text, DEPTH), -EINVAL);
	assert_non_null(strstr(error, "not valid JSON: maximum parsing depth reached"));
	free(text);
}

/* ------------------------------------------------------------------------- what is shown */

/* A file must not be able to forge log lines or drive the terminal, whatever it is that is shown
 * of it: C0 and C1 controls in values, keys and interface names. */
static void test_control_characters(void **state)
{
	static const struct refusal refusals[] = {
		{"{\"a\\n\\u001b\\u007f\":1}", "f: $: unknown key \"a???\", expected rules"},
		{WITH_INPUT("{\"interface\":\"e\\n\\u001b0\",\"group\":\"239.1.1.1\",\"port\":1}"),
		 "f: $.rules[0].input.interface: found \"e??0\", expected " AN_INTERFACE},
		{"{\n\"\x01\":1}", "f:2:1: not valid JSON: control character 0x1 near '\"'"},
	};

	(void)state;
	ASSERT_ALL_REFUSED(refusals);
}

/* Is it well-formed, apart from overlong forms? */
static bool is_utf8(const char *text)
{
	int more = 0;

	for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
		if (more > 0) {
			if ((*c & 0xc0) != 0x80)
				return false;
			more--;
		} else if (*c >= 0x80) {
			more = *c >= 0xf0 ? 3 : *c >= 0xe0 ? 2 : 1;
			if (*c < 0xc0)
				return false;
		}
	}
	return more == 0;
}

/* What is shown of long strings is cut, but not inside a character. */
static void test_long_strings(void **state)
{
	enum { LONG = 100000 };
	static const char *const prefix[] = {"", "x", "xx", "xxx"};
	char *text = malloc(LONG + 256), *part = malloc(LONG + 1);

	(void)state;
	assert_true(text && part);
	for (unsigned i = 0; i < 4; i++) {
		strcpy(part, prefix[i]);
		for (size_t at = strlen(part); at + 4 <= LONG; at += 4)
			memcpy(part + at, "\xf0\x9f\x98\x80", 5);
		sprintf(text, RULES("{\"id\":\"%s\"," INPUT ",\"outputs\":[]}"), part);
		assert_int_equal(parse(text), -EINVAL);
		assert_in_range(strlen(error), 60, 130);
		assert_true(is_utf8(error));
		sprintf(text, "{\"%s\":1}", part);
		assert_int_equal(parse(text), -EINVAL);
		assert_in_range(strlen(error), 40, 90);
		assert_true(is_utf8(error));
	}
	free(text);
	free(part);
}

static void test_long_file_name(void **state)
{
	char name[2 * RULEFILE_ERROR_BYTES];

	(void)state;
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	for (size_t length = sizeof(name) - 1; length > 0; length--) {
		name[length] = '\0';
		memset(error, 'y', sizeof(error));
		assert_int_equal(rulefile_parse(name, "[]", 2, fake_interface, NULL, &rules, error),
				 -EINVAL);
		assert_in_range(strnlen(error, sizeof(error)), 1, sizeof(error) - 1);
		memset(error, 'y', sizeof(error));
		assert_int_equal(rulefile_parse(name, "[", 1, fake_interface, NULL, &rules, error),
				 -EINVAL);
		assert_in_range(strnlen(error, sizeof(error)), 1, sizeof(error) - 1);
	}
}

/* ------------------------------------------------------------------------- files */

static int load(const char *path)
{
	memset(error, 0, sizeof(error));
	return rulefile_load(path, fake_interface, NULL, &rules, error);
}

static void test_files(void **state)
{
	char path[] = "/tmp/test_rulefile.XXXXXX", message[256];
	const char text[] = WITH_OUTPUTS(GOOD_OUTPUT);
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(load(path), -EINVAL); /* empty */
	snprintf(message, sizeof(message),
		 "%s:1:0: not valid JSON: '[' or '{' expected near end of file", path);
	assert_string_equal(error, message);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	assert_int_equal(load(path), 0);
	assert_int_equal(rules.count, 1);
	unlink(path);
}

static void test_no_file(void **state)
{
	(void)state;
	assert_int_equal(load("/tmp/no/such/file"), -ENOENT);
	assert_string_equal(error, "/tmp/no/such/file: cannot read the rule file: No such file or "
				   "directory");
}

static void test_file_is_a_folder(void **state)
{
	(void)state;
	assert_int_equal(load("/tmp"), -EISDIR);
	assert_string_equal(error, "/tmp: cannot read the rule file: Is a directory");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_not_json),	 TEST(test_deep_nesting),     TEST(test_control_characters),
		TEST(test_long_strings), TEST(test_long_file_name),   TEST(test_files),
		TEST(test_no_file),	 TEST(test_file_is_a_folder),
	};

	return cmocka_run_group_tests_name("rulefile_text", tests, NULL, NULL);
}
