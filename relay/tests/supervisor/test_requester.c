// SPDX-License-Identifier: MIT
/* requester: who has asked for something. */
#include "supervisor/requester.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static void test_process_has_a_name(void **state)
{
	char text[REQUESTER_BYTES], expected[REQUESTER_BYTES];

	(void)state;
	prctl(PR_SET_NAME, "fifteen letters");
	snprintf(expected, sizeof(expected), "process %d (fifteen letters)", (int)getpid());
	assert_string_equal(process_format(getpid(), text), expected);
	snprintf(expected, sizeof(expected), "user 4294967294, process %d (fifteen letters)",
		 (int)getpid());
	assert_string_equal(requester_format(getpid(), 4294967294, text), expected);
}

static void test_process_that_has_ended_has_none(void **state)
{
	char text[REQUESTER_BYTES], expected[REQUESTER_BYTES];
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		_exit(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	snprintf(expected, sizeof(expected), "user 0, process %d", (int)pid);
	assert_string_equal(requester_format(pid, 0, text), expected);
}

static void test_process_of_another_namespace(void **state)
{
	char text[REQUESTER_BYTES];

	(void)state;
	assert_string_equal(requester_format(0, 7, text),
			    "user 7, a process of another PID namespace");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_process_has_a_name),
		cmocka_unit_test(test_process_that_has_ended_has_none),
		cmocka_unit_test(test_process_of_another_namespace),
	};

	return cmocka_run_group_tests_name("requester", tests, NULL, NULL);
}
