// SPDX-License-Identifier: MIT
/* sources: prefixes as text, their order, and what two lists have in common. */
#include "contract/sources.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

enum { LIST_MAX = 16 };

struct list {
	struct prefix prefix[LIST_MAX];
	unsigned count;
};

/* Of words between blanks. */
static struct list list_of(const char *text)
{
	struct list list = {.count = 0};
	char copy[256], *rest = copy, *word;

	strcpy(copy, text);
	while ((word = strsep(&rest, " ")))
		if (word[0])
			assert_true(prefix_parse(word, &list.prefix[list.count++]));
	return list;
}

static void assert_list(const struct list *list, const char *text)
{
	char all[256] = "", one[PREFIX_TEXT_BYTES];

	for (unsigned i = 0; i < list->count; i++) {
		strcat(all, i ? " " : "");
		strcat(all, prefix_format(&list->prefix[i], one));
	}
	assert_string_equal(all, text);
}

static void test_text(void **state)
{
	static const char *const pairs[][2] = {
		{"192.0.2.7", "192.0.2.7"},
		{"192.0.2.7/32", "192.0.2.7"},
		{"10.1.0.0/16", "10.1.0.0/16"},
		{"10.1.2.3/16", "10.1.0.0/16"}, /* bits behind the length */
		{"255.255.255.255/1", "128.0.0.0/1"},
		{"255.255.255.255", "255.255.255.255"},
		{"1.2.3.4/0", "0.0.0.0/0"},
		{"255.255.255.254/31", "255.255.255.254/31"},
	};
	char text[PREFIX_TEXT_BYTES];

	(void)state;
	for (unsigned i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		struct prefix prefix;

		assert_true(prefix_parse(pairs[i][0], &prefix));
		assert_string_equal(prefix_format(&prefix, text), pairs[i][1]);
	}
}

static void test_no_prefix(void **state)
{
	static const char *const wrong[] = {"",
					    "/",
					    "/8",
					    "10.0.0.0/",
					    "10.0.0.0/33",
					    "10.0.0.0/8 ",
					    "10.0.0.0/ 8",
					    " 10.0.0.0/8",
					    "10.0.0.0/+8",
					    "10.0.0.0/008",
					    "10.0.0/8",
					    "10.0.0.0.0",
					    "eth0",
					    "::1",
					    "10.0.0.0/8/8",
					    "10.0.0.256",
					    "10.0.0.0/255",
					    "10.0.0.0/-1",
					    "100.100.100.1000/8"};
	struct prefix prefix;

	(void)state;
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		if (prefix_parse(wrong[i], &prefix))
			fail_msg("'%s' was taken", wrong[i]);
}

static void test_last(void **state)
{
	const struct list list = list_of("0.0.0.0/0 10.0.0.0/8 192.0.2.7 128.0.0.0/1");

	(void)state;
	assert_int_equal(prefix_last(&list.prefix[0]), 0xffffffff);
	assert_int_equal(prefix_last(&list.prefix[1]), 0x0affffff);
	assert_int_equal(prefix_last(&list.prefix[2]), 0xc0000207);
	assert_int_equal(prefix_last(&list.prefix[3]), 0xffffffff);
}

static void test_normalize(void **state)
{
	static const char *const pairs[][2] = {
		{"", ""},
		{"10.0.0.1", "10.0.0.1"},
		{"10.0.0.2 10.0.0.1", "10.0.0.1 10.0.0.2"},
		{"10.0.0.1 10.0.0.1 10.0.0.1", "10.0.0.1"},
		{"10.1.2.3 10.1.0.0/16 10.0.0.0/8 11.0.0.0", "10.0.0.0/8 11.0.0.0"},
		{"10.255.255.255 10.0.0.0/8", "10.0.0.0/8"},
		{"10.0.0.0/9 10.0.0.0/8 10.128.0.0/9", "10.0.0.0/8"},
		{"10.0.0.0/9 10.128.0.0/9", "10.0.0.0/9 10.128.0.0/9"},
		{"1.2.3.4 0.0.0.0/0 255.255.255.255", "0.0.0.0/0"},
		{"255.255.255.255 128.0.0.0/1 127.255.255.255", "127.255.255.255 128.0.0.0/1"},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		struct list list = list_of(pairs[i][0]);

		list.count = sources_normalize(list.prefix, list.count);
		assert_list(&list, pairs[i][1]);
	}
}

static void test_common(void **state)
{
	static const struct {
		const char *a, *b, *common;
	} pairs[] = {
		{"", "", NULL},
		{"10.0.0.1", "", NULL},
		{"10.0.0.1", "10.0.0.1", "10.0.0.1"},
		{"10.0.0.1", "10.0.0.2", NULL},
		{"10.0.0.0/8", "10.1.0.0/16", "10.1.0.0/16"},
		{"10.1.0.0/16", "10.0.0.0/8", "10.1.0.0/16"},
		{"9.255.255.255 11.0.0.0/8", "10.0.0.0/8", NULL},
		{"9.0.0.0/8 10.255.255.255 12.0.0.0/8", "10.0.0.0/8 11.0.0.0/8", "10.255.255.255"},
		{"1.0.0.0/8 2.0.0.0/8 3.0.0.0/8", "0.0.0.1 3.3.3.3", "3.3.3.3"},
		{"0.0.0.0/0", "255.255.255.255", "255.255.255.255"},
	};
	char text[PREFIX_TEXT_BYTES];

	(void)state;
	for (unsigned i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		const struct list a = list_of(pairs[i].a), b = list_of(pairs[i].b);
		const struct prefix *common = sources_common(a.prefix, a.count, b.prefix, b.count);

		if (!pairs[i].common)
			assert_null(common);
		else
			assert_string_equal(prefix_format(common, text), pairs[i].common);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),   cmocka_unit_test(test_no_prefix),
		cmocka_unit_test(test_last),   cmocka_unit_test(test_normalize),
		cmocka_unit_test(test_common),
	};

	return cmocka_run_group_tests_name("sources", tests, NULL, NULL);
}
