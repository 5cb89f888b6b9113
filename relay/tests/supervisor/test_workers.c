// SPDX-License-Identifier: MIT
/*
 * workers: what becomes of messages that a worker cannot take at once, and of a worker that dies.
 * The processes here are children of the test that only do what the test is about. Time stands
 * still until a test moves it.
 */
#include "supervisor/workers.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "../asleep.h"

static const struct config config = {.num_workers = 2};
static struct workers workers;
static struct worker_handle *worker;
static int64_t time_ms, step_ms; /* the time; how much later it is each time that one looks */
static unsigned looks;

static int64_t clock_ms(void)
{
	looks++;
	return time_ms += step_ms;
}

static int setup(void **state)
{
	(void)state;
	workers = (struct workers){0};
	if (workers_init(&workers, &config) < 0)
		return -1;
	for (unsigned i = 0; i < workers.count; i++)
		workers.worker[i].clock_ms = clock_ms;
	worker = &workers.worker[1];
	time_ms = 1000000;
	step_ms = 0;
	looks = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (unsigned i = 0; i < workers.count; i++)
		if (workers.worker[i].pid) {
			kill(workers.worker[i].pid, SIGKILL);
			waitpid(workers.worker[i].pid, NULL, 0);
		}
	workers_exit(&workers);
	return 0;
}

/* In place of workers_start: a child that runs `life` on its end of the channel, which holds far
 * fewer than MANY messages, whatever the host's net.core.wmem_default. */
static void start(int (*life)(int channel))
{
	const int room = 65536; /* bytes */
	int pair[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	assert_int_equal(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)), 0);
	worker->pid = fork();
	assert_true(worker->pid >= 0);
	if (worker->pid == 0) {
		close(pair[0]);
		_exit(life(pair[1]));
	}
	close(pair[1]);
	worker->channel = pair[0];
	worker->restart_at_ms = 0;
	worker->started_ms = time_ms;
}

static int sleeps(int channel)
{
	(void)channel;
	return pause();
}

static int ends(int channel)
{
	(void)channel;
	return 3;
}

/* Waits until the child has ended, which workers_reap is to find out. */
static void await_end(void)
{
	siginfo_t info;

	assert_int_equal(waitid(P_PID, (id_t)worker->pid, &info, WEXITED | WNOWAIT), 0);
}

/* It has been killed, is reaped and due again. */
static void assert_killed(void)
{
	siginfo_t info;

	assert_int_equal(worker->channel, -1);
	assert_int_equal(waitid(P_PID, (id_t)worker->pid, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(info.si_code, CLD_KILLED);
	assert_int_equal(info.si_status, SIGKILL);
	workers_reap(&workers, false);
	assert_int_equal(worker->pid, 0);
	assert_int_equal(worker->restarts, 1);
}

/* ------------------------------------------------------------------------- messages */

enum { MANY = 5000 }; /* more than the channel holds */

/* Reads when the test waits for room; counts what comes, in order, until MESSAGE_STOP. */
static int reads_late(int channel)
{
	struct pollfd readable = {.fd = channel, .events = POLLIN};
	struct message message;
	unsigned count = 0;
	int passed;

	await_sleep(getppid());
	for (;;) {
		int rc = channel_receive(channel, &message, &passed);

		if (rc == 0)
			poll(&readable, 1, -1);
		if (rc < 0)
			return 1;
		if (rc > 0 && message.type == MESSAGE_STOP)
			return count == MANY ? 0 : 2;
		if (rc > 0 && (passed < 0 || message.index != count++))
			return 3;
		if (rc > 0)
			close(passed);
	}
}

/* A worker that has just been started is sent thousands of outputs before it reads the first. */
static void test_full_channel(void **state)
{
	int status;

	(void)state;
	start(reads_late);
	for (unsigned i = 0; i < MANY; i++) {
		const struct message message = {.type = MESSAGE_OUTPUT, .index = i};

		workers_send(worker, &message, STDERR_FILENO);
	}
	workers_send(worker, &(struct message){.type = MESSAGE_STOP}, -1);
	assert_int_equal(worker->shared->doorbell.rung, MANY + 1);
	assert_true(looks > MANY + 1); /* the channel was full */
	assert_int_equal(waitpid(worker->pid, &status, 0), worker->pid);
	worker->pid = 0;
	assert_int_equal(status, 0);
}

/* It is waited for as long as it may take, once, not each time. */
static void test_never_reads(void **state)
{
	unsigned sent = 0;

	(void)state;
	start(sleeps);
	step_ms = 1999; /* once too early, then too late */
	for (; worker->channel >= 0 && sent < MANY; sent++)
		workers_send(worker, &(struct message){.type = MESSAGE_PLAN}, -1);
	assert_in_range(sent, 2, MANY - 1);
	assert_int_equal(looks, sent + 2);
	workers_send(worker, &(struct message){.type = MESSAGE_PLAN}, -1);
	assert_int_equal(looks, sent + 2);
	assert_killed();
}

/* It would go on without that socket. */
static void test_message_that_cannot_be_sent(void **state)
{
	(void)state;
	start(sleeps);
	workers_send(worker, &(struct message){.type = MESSAGE_OUTPUT}, 1000000);
	assert_killed();
}

static void test_send_to_none(void **state)
{
	(void)state;
	workers_send(worker, &(struct message){.type = MESSAGE_PLAN}, -1);
	assert_int_equal(worker->shared->doorbell.rung, 0);
	workers_receive(worker); /* harmless */
}

/* Has closed its channel, but lives. */
static int hangs_up(int channel)
{
	close(channel);
	return sleeps(-1);
}

static void test_send_to_one_that_hung_up(void **state)
{
	struct pollfd end;

	(void)state;
	start(hangs_up);
	end = (struct pollfd){.fd = worker->channel, .events = POLLIN};
	assert_int_equal(poll(&end, 1, -1), 1);
	workers_send(worker, &(struct message){.type = MESSAGE_PLAN}, -1);
	assert_killed();
}

static void test_receive_from_one_that_hung_up(void **state)
{
	struct pollfd end;

	(void)state;
	start(hangs_up);
	end = (struct pollfd){.fd = worker->channel, .events = POLLIN};
	assert_int_equal(poll(&end, 1, -1), 1);
	workers_receive(worker);
	assert_killed();
}

static int answers(int channel)
{
	const struct message ready = {.type = MESSAGE_READY};
	const struct message applied = {.type = MESSAGE_APPLIED, .plan.generation = 7};

	return channel_send(channel, &ready, -1) || channel_send(channel, &applied, 0);
}

/* A descriptor that comes with an answer is not kept. */
static void test_answers(void **state)
{
	int next;

	(void)state;
	start(answers);
	await_end();
	next = dup(STDERR_FILENO);
	close(next);
	workers_receive(worker);
	assert_true(worker->ready);
	assert_int_equal(worker->applied, 7);
	assert_int_equal(worker->channel, -1); /* it has ended */
	assert_int_equal(fcntl(next, F_GETFD), -1);
}

static int says_stop(int channel)
{
	const struct message stop = {.type = MESSAGE_STOP};

	return channel_send(channel, &stop, -1) ? 1 : pause();
}

/* What no worker says: it has gone bad. */
static void test_nonsense(void **state)
{
	struct pollfd said;

	(void)state;
	start(says_stop);
	said = (struct pollfd){.fd = worker->channel, .events = POLLIN};
	assert_int_equal(poll(&said, 1, -1), 1);
	workers_receive(worker);
	assert_killed();
}

enum { MUCH = 100 };

static int talks(int channel)
{
	const struct message applied = {.type = MESSAGE_APPLIED, .plan.generation = 7};

	for (unsigned i = 0; i < MUCH; i++)
		if (channel_send(channel, &applied, -1) < 0)
			return 1;
	return 0;
}

/* However much it has to say: the supervisor listens for a while, and again later. */
static void test_never_stops_talking(void **state)
{
	struct message message;
	unsigned left = 0;
	int passed;

	(void)state;
	start(talks);
	await_end();
	workers_receive(worker);
	assert_true(worker->channel >= 0); /* its end has not been heard yet */
	while (channel_receive(worker->channel, &message, &passed) > 0)
		left++;
	assert_in_range(left, 1, MUCH - 1);
}

/* ------------------------------------------------------------------------- back-off */

/* Dies, is reaped, and due again after that time. */
static void assert_pause(int64_t expected_ms)
{
	start(ends);
	await_end();
	workers_reap(&workers, false);
	assert_int_equal(worker->pid, 0);
	assert_int_equal(worker->channel, -1);
	assert_int_equal(worker->restart_at_ms, time_ms + expected_ms);
	assert_int_equal(workers_restart_due_ms(&workers), expected_ms);
	time_ms += expected_ms - 1;
	assert_int_equal(workers_restart_due_ms(&workers), 1);
	time_ms++;
	assert_int_equal(workers_restart_due_ms(&workers), 0);
}

static void test_backoff(void **state)
{
	static const int64_t pauses[] = {10,   20,   40,   80,	 160,  320, 640,
					 1280, 2560, 5000, 5000, 5000, 5000};

	(void)state;
	assert_int_equal(workers_restart_due_ms(&workers), -1);
	for (unsigned i = 0; i < sizeof(pauses) / sizeof(pauses[0]); i++) {
		assert_pause(pauses[i]);
		assert_int_equal(worker->restarts, i + 1);
	}
	worker->failures = 1000000;
	assert_pause(5000);
}

/* Lives that long, then dies. */
static void live(int64_t ms)
{
	start(ends);
	time_ms += ms;
	await_end();
	workers_reap(&workers, false);
}

/* One that was well for long begins anew. */
static void test_backoff_ends(void **state)
{
	(void)state;
	assert_pause(10);
	assert_pause(20);
	assert_pause(40);
	live(9999);
	assert_int_equal(worker->failures, 4);
	assert_int_equal(workers_restart_due_ms(&workers), 80);
	live(10000);
	assert_int_equal(worker->failures, 1);
	assert_int_equal(workers_restart_due_ms(&workers), 10);
	assert_pause(20);
}

/* The sooner of two. */
static void test_due(void **state)
{
	(void)state;
	workers.worker[0].restart_at_ms = time_ms + 100000;
	worker->restart_at_ms = time_ms + 50000;
	assert_int_equal(workers_restart_due_ms(&workers), 50000);
	workers.worker[0].restart_at_ms = time_ms + 10000;
	assert_int_equal(workers_restart_due_ms(&workers), 10000);
	workers.worker[0].restart_at_ms = time_ms - 5;
	assert_int_equal(workers_restart_due_ms(&workers), 0);
}

static int obeys(int channel)
{
	(void)channel;
	return 0;
}

static void test_stopping(void **state)
{
	int (*const lives[])(int) = {obeys, ends};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		start(lives[i]);
		assert_true(workers_any_alive(&workers));
		await_end();
		workers_reap(&workers, true);
		assert_false(workers_any_alive(&workers));
		assert_int_equal(workers_restart_due_ms(&workers), -1);
		assert_int_equal(worker->restarts, 0);
	}
}

enum { WORK_NS = 5000000, ROUNDED_NS = 10000 };

/* Until it has used so much CPU time. */
static int works(int channel)
{
	struct timespec used = {0};

	(void)channel;
	while (used.tv_sec == 0 && used.tv_nsec < WORK_NS)
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return 3;
}

/* What it used is not forgotten with it. */
static void test_cpu_time(void **state)
{
	uint64_t before;

	(void)state;
	assert_int_equal(workers_cpu_ns(worker), 0);
	start(works);
	await_end();
	workers_reap(&workers, false);
	before = workers_cpu_ns(worker);
	assert_true(before >= WORK_NS - ROUNDED_NS);
	start(works);
	await_end();
	workers_reap(&workers, false);
	assert_true(workers_cpu_ns(worker) >= before + WORK_NS - ROUNDED_NS);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_full_channel),
		TEST(test_never_reads),
		TEST(test_message_that_cannot_be_sent),
		TEST(test_send_to_none),
		TEST(test_send_to_one_that_hung_up),
		TEST(test_receive_from_one_that_hung_up),
		TEST(test_answers),
		TEST(test_nonsense),
		TEST(test_never_stops_talking),
		TEST(test_backoff),
		TEST(test_backoff_ends),
		TEST(test_due),
		TEST(test_stopping),
		TEST(test_cpu_time),
	};

	return cmocka_run_group_tests_name("workers", tests, NULL, NULL);
}
