// SPDX-License-Identifier: MIT
/*
 * waiter: sleeping on pipes and sockets, in an io_uring and in poll(2). That something does not
 * wake it is known when a bell that is rung after it does, alone. A sleep that should end by itself
 * and does not is ended by an alarm, and the test program with it.
 */
#include "worker/waiter.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "../asleep.h"

enum { SIZE = 65, BELL = SIZE - 1, TOO_LONG_S = 800 };

static enum waiter_mode mode;
static struct waiter waiter;
static struct counters counters;
static int bell = -1;

static int setup(void **state)
{
	int rc;

	mode = *(enum waiter_mode *)*state;
	rc = waiter_init(&waiter, mode, SIZE);
	memset(&counters, 0, sizeof(counters));
	if (rc == -EPERM || rc == -ENOSYS) {
		print_message("no io_uring here: %s\n", strerror(-rc));
		skip();
	}
	bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	alarm(TOO_LONG_S);
	return rc;
}

static int teardown(void **state)
{
	(void)state;
	alarm(0);
	waiter_exit(&waiter);
	close(bell);
	bell = -1;
	return 0;
}

static int new_eventfd(unsigned value)
{
	int fd = eventfd(value, EFD_CLOEXEC | EFD_NONBLOCK);

	assert_true(fd >= 0);
	return fd;
}

static void ring(int fd)
{
	assert_int_equal(eventfd_write(fd, 1), 0);
}

static void drain(int fd)
{
	eventfd_t value;

	assert_int_equal(eventfd_read(fd, &value), 0);
}

/* Sleeps until something is ready; returns how many are. */
static unsigned sleep_until_ready(void)
{
	unsigned ready = 0;

	while (ready == 0) {
		assert_int_equal(waiter_sleep(&waiter, &counters), 0);
		for (unsigned i = 0; i < SIZE; i++)
			ready += waiter.events[i] != 0;
	}
	return ready;
}

static void set(unsigned index, int fd)
{
	assert_int_equal(waiter_set(&waiter, index, fd), 0);
}

static void assert_only(unsigned index, unsigned events)
{
	assert_int_equal(sleep_until_ready(), 1);
	assert_int_equal(waiter.events[index], events);
}

/* All that is set is armed, and nothing of it is ready: only the bell, which is rung last. */
static void assert_asleep(void)
{
	ring(bell);
	set(BELL, bell);
	assert_only(BELL, POLLIN);
	drain(bell);
	set(BELL, -1);
}

/* ------------------------------------------------------------------------- waking */

static void test_ready_before(void **state)
{
	int fd = new_eventfd(1);

	(void)state;
	set(3, fd);
	assert_only(3, POLLIN);
	close(fd);
}

/* A child makes it readable when we sleep. */
static void test_wakes_up(void **state)
{
	int fd = new_eventfd(0), status;
	pid_t pid;

	(void)state;
	set(3, fd);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		await_sleep(getppid());
		_exit(eventfd_write(fd, 1) == 0 ? 0 : 1);
	}
	assert_only(3, POLLIN);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(fd);
}

/* Once read, it does not wake us again until there is more. */
static void test_once(void **state)
{
	int fd = new_eventfd(0);

	(void)state;
	set(0, fd);
	for (unsigned i = 0; i < 3; i++) {
		ring(fd);
		assert_only(0, POLLIN);
		drain(fd);
		assert_asleep();
	}
	close(fd);
}

/* What is left unread wakes us each time. */
static void test_again_until_read(void **state)
{
	int fd = new_eventfd(1);

	(void)state;
	set(0, fd);
	for (unsigned i = 0; i < 5; i++)
		assert_only(0, POLLIN);
	drain(fd);
	assert_asleep();
	close(fd);
}

/* What becomes ready between two sleeps is there in the next, also when its request had fired. */
static void test_between_sleeps(void **state)
{
	int one = new_eventfd(0), other = new_eventfd(0);

	(void)state;
	set(0, one);
	set(1, other);
	ring(one);
	assert_only(0, POLLIN);
	drain(one);
	ring(other); /* armed since the first sleep */
	assert_only(1, POLLIN);
	drain(other);
	ring(one);
	ring(other);
	ring(other);
	while (waiter.events[0] == 0 || waiter.events[1] == 0)
		assert_int_equal(waiter_sleep(&waiter, &counters), 0);
	close(one);
	close(other);
}

/* One system call a sleep, however much there is to read; and one completion. */
static void test_counts_system_calls(void **state)
{
	int fd = new_eventfd(0);
	uint64_t sleeps = 0;

	(void)state;
	set(0, fd);
	assert_asleep();
	memset(&counters, 0, sizeof(counters));
	for (unsigned i = 0; i < 100; i++)
		ring(fd);
	do {
		assert_int_equal(waiter_sleep(&waiter, &counters), 0);
		sleeps++;
	} while (!waiter.events[0]);
	assert_in_range(sleeps, 1, 2); /* the first may find no more than an old completion */
	assert_int_equal(counter_get(&counters, COUNTER_waits), sleeps);
	assert_int_equal(counter_get(&counters, COUNTER_system_calls), sleeps);
	if (mode == WAITER_URING)
		assert_int_equal(io_uring_cq_ready(&waiter.uring), 0);
	close(fd);
}

static volatile sig_atomic_t signals;

static void count_signal(int signal)
{
	(void)signal;
	signals++;
}

/* A signal is no error; it may wake us with nothing ready. */
static void test_signal(void **state)
{
	const struct sigaction action = {.sa_handler = count_signal};
	int fd = new_eventfd(0), status;
	pid_t pid;

	(void)state;
	signals = 0;
	assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
	set(0, fd);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		await_sleep(getppid());
		kill(getppid(), SIGUSR1);
		await_sleep(getppid());
		_exit(eventfd_write(fd, 1) == 0 ? 0 : 1);
	}
	assert_only(0, POLLIN);
	assert_int_equal(signals, 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(fd);
}

/* What is ready all the time does not keep anybody from sleeping, until it is waited for again. */
static void test_paused(void **state)
{
	int fd = new_eventfd(1);

	(void)state;
	set(5, fd);
	waiter_pause(&waiter, 5, true);
	for (unsigned i = 0; i < 3; i++)
		assert_asleep();
	waiter_pause(&waiter, 5, false);
	assert_only(5, POLLIN);
	waiter_pause(&waiter, 5, true);
	assert_asleep();
	close(fd);
}

/* A request that was armed before may end one more sleep. */
static void test_paused_when_armed(void **state)
{
	int fd = new_eventfd(0);

	(void)state;
	set(5, fd);
	assert_asleep(); /* armed now */
	waiter_pause(&waiter, 5, true);
	ring(fd);
	if (mode == WAITER_URING)
		assert_only(5, POLLIN);
	for (unsigned i = 0; i < 3; i++)
		assert_asleep();
	close(fd);
}

/* ------------------------------------------------------------------------- changing */

static void test_not_after_minus_one(void **state)
{
	int fd = new_eventfd(0);

	(void)state;
	set(5, fd);
	assert_asleep(); /* armed now */
	set(5, -1);
	ring(fd);
	assert_asleep();
	set(5, fd);
	assert_only(5, POLLIN);
	close(fd);
}

static void test_another_in_its_place(void **state)
{
	int one = new_eventfd(0), other = new_eventfd(0);

	(void)state;
	set(5, one);
	assert_asleep();
	set(5, other);
	ring(one);
	assert_asleep();
	ring(other);
	assert_only(5, POLLIN);
	close(one);
	close(other);
}

/* One that has just fired and was not looked at. */
static void test_set_when_ready(void **state)
{
	int one = new_eventfd(0), other = new_eventfd(0);

	(void)state;
	set(5, one);
	set(6, other);
	assert_asleep();
	ring(one);
	ring(other);
	set(5, -1);
	assert_only(6, POLLIN); /* that of another index is not lost with it */
	drain(other);
	assert_asleep();
	close(one);
	close(other);
}

static void test_set_twice(void **state)
{
	int fd = new_eventfd(0);

	(void)state;
	set(5, -1);
	set(5, fd);
	set(5, fd);
	assert_asleep();
	set(5, fd);
	set(5, -1);
	set(5, -1);
	assert_asleep();
	close(fd);
}

/* What was ready of one that is waited for no more is not said again. */
static void test_gone_when_ready(void **state)
{
	int low = new_eventfd(0), high = new_eventfd(1);

	(void)state;
	set(2, low);
	set(7, high);
	assert_only(7, POLLIN);
	set(7, -1);
	assert_int_equal(waiter.events[7], 0);
	ring(low);
	assert_only(2, POLLIN);
	close(low);
	close(high);
}

/* The request holds on to the file: the peer sees the end only if it has been given up. */
static void test_file_is_released(void **state)
{
	int pair[2], pipes[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	set(0, pair[0]);
	set(1, pipes[0]);
	assert_asleep();
	set(0, -1);
	set(1, -1);
	close(pair[0]);
	close(pipes[0]);
	assert_int_equal(recv(pair[1], (char[1]){0}, 1, MSG_DONTWAIT), 0);
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(write(pipes[1], "x", 1), -1);
	assert_int_equal(errno, EPIPE);
	close(pair[1]);
	close(pipes[1]);
}

static void test_exit_releases_files(void **state)
{
	struct pollfd peer;
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	set(0, pair[0]);
	assert_asleep();
	waiter_exit(&waiter);
	close(pair[0]);
	peer = (struct pollfd){.fd = pair[1], .events = POLLIN};
	assert_int_equal(poll(&peer, 1, -1), 1); /* the kernel tears a ring down at leisure */
	assert_int_equal(recv(pair[1], (char[1]){0}, 1, MSG_DONTWAIT), 0);
	close(pair[1]);
}

/* Again and again, so that nothing is used up: as many as the ring has entries, many times. */
static void test_many_changes(void **state)
{
	int fds[2] = {new_eventfd(0), new_eventfd(0)};

	(void)state;
	for (unsigned i = 0; i < 10 * SIZE; i++) {
		set(i % BELL, fds[i % 2]);
		ring(fds[i % 2]);
		assert_true(sleep_until_ready() >= 1);
		drain(fds[i % 2]);
		set(i % BELL, -1);
	}
	assert_asleep();
	close(fds[0]);
	close(fds[1]);
}

/* ------------------------------------------------------------------------- many, errors */

static void test_all_places(void **state)
{
	int fds[BELL];

	(void)state;
	for (unsigned i = 0; i < BELL; i++) {
		fds[i] = new_eventfd(0);
		set(i, fds[i]);
	}
	assert_asleep();
	for (unsigned i = 0; i < BELL; i++) {
		ring(fds[i]);
		assert_only(i, POLLIN);
		drain(fds[i]);
	}
	for (unsigned i = 0; i < BELL; i++)
		ring(fds[i]);
	for (unsigned seen = 0; seen < BELL;) {
		seen += sleep_until_ready();
		for (unsigned i = 0; i < BELL; i++)
			if (waiter.events[i])
				drain(fds[i]);
	}
	assert_asleep();
	for (unsigned i = 0; i < BELL; i++) { /* with all of them armed */
		set(i, -1);
		close(fds[i]);
	}
	assert_asleep();
}

static void test_peer_is_gone(void **state)
{
	int pipes[2];

	(void)state;
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	set(0, pipes[0]);
	assert_asleep();
	close(pipes[1]);
	assert_only(0, POLLHUP);
	assert_only(0, POLLHUP); /* and still so */
	set(0, -1);
	assert_asleep();
	close(pipes[0]);
}

static void test_error_event(void **state)
{
	int pipes[2];

	(void)state;
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	close(pipes[0]);
	set(0, pipes[1]); /* a pipe that cannot be written any more is in error */
	assert_int_equal(sleep_until_ready(), 1);
	assert_true(waiter.events[0] & POLLERR);
	set(0, -1);
	assert_asleep();
	close(pipes[1]);
}

static void test_no_descriptor(void **state)
{
	int fd = new_eventfd(0);

	(void)state;
	close(fd);
	set(7, fd); /* a mistake, that must not put us to sleep for ever */
	assert_only(7, POLLERR);
	set(7, -1);
	assert_asleep();
}

static unsigned open_descriptors(void)
{
	unsigned count = 0;

	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* The first time gives its descriptors back; the second one leaves alone who has got them since. */
static void test_exit_twice(void **state)
{
	const unsigned before = open_descriptors();
	int fd;

	(void)state;
	assert_int_equal(fcntl(waiter.uring.ring_fd, F_GETFD), FD_CLOEXEC);
	fd = waiter.uring.ring_fd;
	waiter_exit(&waiter);
	assert_int_equal(open_descriptors(), before - 1);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	assert_int_equal(dup2(bell, fd), fd);
	waiter_exit(&waiter);
	assert_true(fcntl(fd, F_GETFD) >= 0);
	close(fd);
	assert_int_equal(waiter_init(&waiter, mode, SIZE), 0);
	set(0, bell);
	ring(bell);
	assert_only(0, POLLIN);
}

int main(void)
{
	static enum waiter_mode in_uring = WAITER_URING, in_poll = WAITER_POLL;
#define IN(mode, name) cmocka_unit_test_prestate_setup_teardown(name, setup, teardown, &(mode))
#define TEST(name)     IN(in_uring, name), IN(in_poll, name)
	const struct CMUnitTest tests[] = {
		TEST(test_ready_before),
		TEST(test_wakes_up),
		TEST(test_once),
		TEST(test_again_until_read),
		TEST(test_between_sleeps),
		TEST(test_counts_system_calls),
		TEST(test_signal),
		TEST(test_paused),
		TEST(test_paused_when_armed),
		TEST(test_not_after_minus_one),
		TEST(test_another_in_its_place),
		TEST(test_set_when_ready),
		TEST(test_set_twice),
		TEST(test_gone_when_ready),
		TEST(test_file_is_released),
		TEST(test_exit_releases_files),
		TEST(test_many_changes),
		TEST(test_all_places),
		TEST(test_peer_is_gone),
		TEST(test_error_event),
		TEST(test_no_descriptor),
		IN(in_uring, test_exit_twice),
	};

	return cmocka_run_group_tests_name("waiter", tests, NULL, NULL);
}
