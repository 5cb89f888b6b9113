// SPDX-License-Identifier: MIT
/* listener: the folder of a control socket, and whose socket it is; the rest is in
 * test_control_socket. */
#include "control/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "../asleep.h"

static char top[] = "/tmp/test_listener.XXXXXX", folder[64], path[80];
static struct listener listener;

static int setup(void **state)
{
	(void)state;
	strcpy(top + sizeof(top) - 7, "XXXXXX");
	if (!mkdtemp(top))
		return -1;
	snprintf(folder, sizeof(folder), "%s/made", top);
	snprintf(path, sizeof(path), "%s/s", folder);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(path);
	rmdir(folder);
	return rmdir(top); /* nothing else is left there */
}

static bool exists(const char *name)
{
	struct stat status;

	return lstat(name, &status) == 0;
}

static void test_folder_comes_and_goes_with_the_socket(void **state)
{
	const mode_t before = umask(0077);
	struct stat status;

	(void)state;
	assert_int_equal(listener_open(&listener, path, (gid_t)-1), 0);
	assert_int_equal(umask(before), 0077); /* it has been put back */
	assert_int_equal(stat(folder, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0755);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	listener_close(&listener);
	assert_false(exists(folder));
	listener_close(&listener); /* harmless */
}

static void test_folder_that_was_there_stays(void **state)
{
	(void)state;
	assert_int_equal(mkdir(folder, 0700), 0);
	assert_int_equal(listener_open(&listener, path, (gid_t)-1), 0);
	listener_close(&listener);
	assert_true(exists(folder));
	assert_false(exists(path));
}

static void test_folder_with_something_else_in_it_stays(void **state)
{
	char other[96];

	(void)state;
	snprintf(other, sizeof(other), "%s/other", folder);
	assert_int_equal(listener_open(&listener, path, (gid_t)-1), 0);
	close(open(other, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	listener_close(&listener);
	assert_true(exists(other));
	assert_false(exists(path));
	unlink(other);
}

/* Only the last folder is made; what could not be used is not left behind. */
static void test_failure_leaves_nothing_behind(void **state)
{
	char deep[128];

	(void)state;
	snprintf(deep, sizeof(deep), "%s/deeper/s", folder);
	assert_int_equal(listener_open(&listener, deep, (gid_t)-1), -ENOENT);
	assert_int_equal(listener.fd, -1);
	assert_false(exists(folder));
	snprintf(deep, sizeof(deep), "%s/", folder);
	assert_true(listener_open(&listener, deep, (gid_t)-1) < 0);
	assert_false(exists(folder));
	listener_close(&listener); /* harmless */
}

/* The line in the log. */
static void refused(char said[512])
{
	FILE *file = tmpfile();
	int kept = dup(STDERR_FILENO);
	size_t length;

	assert_non_null(file);
	dup2(fileno(file), STDERR_FILENO);
	assert_int_equal(listener_open(&listener, path, (gid_t)-1), -EADDRINUSE);
	dup2(kept, STDERR_FILENO);
	close(kept);
	rewind(file);
	length = fread(said, 1, 511, file);
	said[length] = '\0';
	fclose(file);
}

/* Of the process that listens, not of the one that opens the socket for it. */
static void test_socket_in_use_has_a_process(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), ready[2];
	char said[512], expected[64];
	pid_t pid;

	(void)state;
	assert_int_equal(mkdir(folder, 0700), 0);
	strcpy(address.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		listen(fd, 1);
		close(ready[0]);
		if (write(ready[1], "r", 1) == 1)
			pause();
		_exit(0);
	}
	assert_int_equal(read(ready[0], said, 1), 1);
	refused(said);
	snprintf(expected, sizeof(expected), "process %d (test_listener)", (int)pid);
	assert_non_null(strstr(said, expected));
	assert_non_null(strstr(said, "--control-socket-path"));
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	close(ready[0]);
	close(ready[1]);
	close(fd);
	/* and now it is stale */
	assert_int_equal(listener_open(&listener, path, (gid_t)-1), 0);
	listener_close(&listener);
}

/* Another relay has made its socket and does not listen yet: it is waited for, not robbed. */
static void test_one_that_is_being_opened_is_waited_for(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), lock, status;
	pid_t pid;

	(void)state;
	assert_int_equal(mkdir(folder, 0700), 0);
	lock = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(flock(lock, LOCK_EX), 0);
	strcpy(address.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	pid = fork();
	if (pid == 0) {
		close(STDERR_FILENO);
		_exit(-listener_open(&listener, path, (gid_t)-1));
	}
	await_sleep(pid);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(flock(lock, LOCK_UN), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EADDRINUSE);
	assert_true(exists(path));
	close(lock);
	close(fd);
}

/* Anybody may lock a folder. */
static void test_a_lock_that_is_kept_keeps_nobody_from_starting(void **state)
{
	int lock;

	(void)state;
	assert_int_equal(mkdir(folder, 0700), 0);
	lock = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(flock(lock, LOCK_EX), 0);
	assert_int_equal(listener_open(&listener, path, (gid_t)-1), 0);
	listener_close(&listener);
	close(lock);
}

/* Removed by somebody, and made anew by another relay. */
static void test_socket_of_another_stays_at_the_end(void **state)
{
	struct listener other;

	(void)state;
	assert_int_equal(listener_open(&listener, path, (gid_t)-1), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(listener_open(&other, path, (gid_t)-1), 0);
	listener_close(&listener);
	assert_true(exists(path));
	listener_close(&other);
	assert_false(exists(path));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_folder_comes_and_goes_with_the_socket),
		TEST(test_folder_that_was_there_stays),
		TEST(test_folder_with_something_else_in_it_stays),
		TEST(test_failure_leaves_nothing_behind),
		TEST(test_socket_in_use_has_a_process),
		TEST(test_one_that_is_being_opened_is_waited_for),
		TEST(test_a_lock_that_is_kept_keeps_nobody_from_starting),
		TEST(test_socket_of_another_stays_at_the_end),
	};

	return cmocka_run_group_tests_name("listener", tests, NULL, NULL);
}
