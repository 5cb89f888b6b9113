// SPDX-License-Identifier: MIT
/* standard_fds: whichever of the three are closed, they are /dev/null afterwards, and what is
 * opened next is none of them. And what has been printed and is lost is no success. */
#include "common/standard_fds.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static bool is_null(int fd)
{
	struct stat status;

	return fstat(fd, &status) == 0 && S_ISCHR(status.st_mode) &&
	       status.st_rdev == makedev(1, 3);
}

/* In a child: those whose bits are set are closed, the others something else than /dev/null. */
static bool holds(unsigned closed)
{
	int ends[2], next;

	if (pipe(ends) < 0)
		return false;
	for (int fd = 0; fd < 3; fd++)
		if (closed & 1U << fd)
			close(fd);
		else
			dup2(ends[1], fd);
	standard_fds_open();
	for (int fd = 0; fd < 3; fd++)
		if (is_null(fd) != !!(closed & 1U << fd) || fcntl(fd, F_GETFD) != 0)
			return false;
	next = dup(ends[1]);
	return next == ends[1] + 1; /* nothing else stays open */
}

static void test_each_of_them(void **state)
{
	(void)state;
	for (unsigned closed = 0; closed < 8; closed++) {
		int status;
		pid_t child = fork();

		if (child == 0)
			_exit(holds(closed) ? EXIT_SUCCESS : EXIT_FAILURE);
		assert_true(child > 0);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), EXIT_SUCCESS);
	}
}

/* The exit status, of `status` before, of a child that has printed so many bytes to the file. */
static int prints(const char *path, unsigned bytes, int status)
{
	pid_t child = fork();

	if (child == 0) {
		if (!freopen(path, "w", stdout) || !freopen("/dev/null", "w", stderr))
			_exit(99);
		while (bytes--)
			putchar('.');
		_exit(standard_output_finish("test", status));
	}
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void test_lost_output(void **state)
{
	(void)state;
	assert_int_equal(prints("/dev/null", 100, EXIT_SUCCESS), EXIT_SUCCESS);
	assert_int_equal(prints("/dev/full", 0, EXIT_SUCCESS), EXIT_SUCCESS);
	assert_int_equal(prints("/dev/full", 1, EXIT_SUCCESS), EXIT_FAILURE);
	/* which finds out long before its end */
	assert_int_equal(prints("/dev/full", 100000, EXIT_SUCCESS), EXIT_FAILURE);
	assert_int_equal(prints("/dev/full", 1, 64), 64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_of_them),
		cmocka_unit_test(test_lost_output),
	};

	return cmocka_run_group_tests_name("standard_fds", tests, NULL, NULL);
}
