// SPDX-License-Identifier: MIT
/* printable: what stays as it is, and what becomes question marks, to the letter. */
#include "common/printable.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static void assert_becomes(const char *text, const char *expected)
{
	char copy[64];

	snprintf(copy, sizeof(copy), "%s", text);
	printable_make(copy);
	assert_string_equal(copy, expected);
}

static void assert_stays(const char *text)
{
	assert_becomes(text, text);
}

static void test_printable_text(void **state)
{
	(void)state;
	assert_stays("");
	assert_stays(" !\"\\'~ eth0:vip 239.1.1.1");
	assert_stays("Stra\xc3\x9f"
		     "e \xe2\x82\xac \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x93\xba");
	/* the first and the last of each length */
	assert_stays("\xc2\xa0 \xdf\xbf \xe0\xa0\x80 \xed\x9f\xbf \xee\x80\x80 \xef\xbf\xbf");
	assert_stays("\xf0\x90\x80\x80 \xf4\x8f\xbf\xbf");
}

static void test_controls(void **state)
{
	(void)state;
	assert_becomes("\x01\t\n\r\x1b[31m\x1f\x7f", "?????[31m??");
	/* C1: CSI, OSC, the first and the last */
	assert_becomes("\xc2\x9b"
		       "31m \xc2\x9d \xc2\x80 \xc2\x9f",
		       "??31m ?? ?? ??");
	assert_becomes("\x9b"
		       "31m",
		       "?31m");
}

static void test_not_utf8(void **state)
{
	(void)state;
	assert_becomes("\xff\xfe \x80 \xbf", "?? ? ?");
	/* too long forms of '/', of NUL and of a control */
	assert_becomes(
		"\xc0\xaf \xc1\xbf \xe0\x80\xaf \xe0\x9f\xbf \xf0\x80\x80\xaf \xf0\x8f\xbf\xbf",
		"?? ?? ??? ??? ???? ????");
	/* surrogates, and what is beyond Unicode */
	assert_becomes("\xed\xa0\x80 \xed\xbf\xbf \xf4\x90\x80\x80 \xf5\x80\x80\x80",
		       "??? ??? ???? ????");
	/* cut off, at the end and before */
	assert_becomes("\xe2\x82", "??");
	assert_becomes("\xe2\x82x\xf0\x9f\x93y\xc3", "??x???y?");
}

static void test_lines(void **state)
{
	char text[] = "one\ntwo\x1b\n\tthree\n";

	(void)state;
	printable_make_lines(text);
	assert_string_equal(text, "one\ntwo?\n?three\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_printable_text),
		cmocka_unit_test(test_controls),
		cmocka_unit_test(test_not_utf8),
		cmocka_unit_test(test_lines),
	};

	return cmocka_run_group_tests_name("printable", tests, NULL, NULL);
}
