// SPDX-License-Identifier: MIT
/* control: many clients, and the time that each has. */
#include "control_fixture.h"

#include <sys/resource.h>

/* ------------------------------------------------------------------------- many clients */

static void test_more_clients_than_places(void **state)
{
	enum { MORE = 200, ALL = CONTROL_CLIENTS_MAX + MORE };
	struct pollfd fds[CONTROL_CLIENTS_MAX + 1];
	int client[ALL];

	(void)state;
	for (unsigned i = 0; i < ALL; i++) {
		client[i] = connected();
		turn();
		if (i >= CONTROL_CLIENTS_MAX)
			say(client[i], PING);
	}
	assert_int_equal(clients(), CONTROL_CLIENTS_MAX);
	turns(5);
	assert_int_equal(answered, 0);
	control_poll(&control, fds);
	assert_true(fds[0].fd < 0); /* else poll(2) would return at once, for nothing */
	for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		say(client[i], PING);
		assert_ok(client[i]);
	}
	for (unsigned i = 0; i < ALL; i++) { /* each that leaves makes room for one that waits */
		if (i >= CONTROL_CLIENTS_MAX)
			assert_ok(client[i]);
		close(client[i]);
	}
	turns(3);
	assert_int_equal(answered, ALL);
	assert_int_equal(clients(), 0);
}

static void test_many_at_once(void **state)
{
	int client[CONTROL_CLIENTS_MAX];

	(void)state;
	for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		client[i] = connected();
		say(client[i], PING PING);
	}
	for (unsigned i = CONTROL_CLIENTS_MAX; i-- > 0;) {
		assert_ok(client[i]);
		assert_ok(client[i]);
		assert_no_answer(client[i]);
		close(client[i]);
	}
	assert_int_equal(answered, 2 * CONTROL_CLIENTS_MAX);
}

/* ------------------------------------------------------------------------- the clock */

/* All that wait in vain, at once: one that takes no answer, one that takes it too slowly, one with
 * half a request, one that sends too slowly, one without any, one behind a good request. Each is
 * closed when its time is over, not before. A client that behaves is served all the while. */
static void test_deadlines(void **state)
{
	enum { DEAF, SLOW_READER, HALF, SLOW_WRITER, SILENT, DONE, WAITING };
	const int64_t deadline = time_ms + CONTROL_PATIENCE_MS;
	int client[WAITING], good = connected();
	char part[8192];

	(void)state;
	for (unsigned i = 0; i < WAITING; i++)
		client[i] = connected();
	say(client[DEAF], LARGE PING);
	say(client[SLOW_READER], LARGE PING);
	say(client[HALF], "{\"command\":");
	say(client[DONE], "{}\n");
	assert_ok(client[DONE]);
	turns(3);
	assert_int_equal(control_due_ms(&control), CONTROL_PATIENCE_MS + 1);
	for (; time_ms <= deadline; time_ms += 50) {
		/* so much that more of it is sent now and then, too little to have it all in time
		 */
		assert_true(recv(client[SLOW_READER], part, sizeof(part), 0) > 0);
		say(client[SLOW_WRITER], " ");
		say(good, PING);
		assert_ok(good);
		assert_int_equal(clients(), WAITING + 1);
		assert_int_equal(control_due_ms(&control), deadline - time_ms + 1);
	}
	time_ms = deadline + 1;
	say(good, PING);
	assert_ok(good);
	assert_int_equal(clients(), 1);
	for (unsigned i = 0; i < WAITING; i++) {
		assert_closed(client[i]);
		close(client[i]);
	}
	say(good, PING);
	assert_ok(good);
	close(good);
	turns(3);
	assert_int_equal(control_due_ms(&control), -1);
}

/* Each step of a client has its time anew: the first byte of a request, the answer, its end. */
static void test_time_of_each_step(void **state)
{
	int fd = connected();

	(void)state;
	turn();
	for (unsigned i = 0; i < 3; i++) {
		time_ms += CONTROL_PATIENCE_MS;
		say(fd, "{\"command\":");
		turn();
		time_ms += CONTROL_PATIENCE_MS;
		say(fd, "\"large\"}\n");
		turn();
		time_ms += CONTROL_PATIENCE_MS;
		assert_large(fd);
	}
	time_ms += CONTROL_PATIENCE_MS;
	turn();
	assert_int_equal(clients(), 1);
	time_ms++;
	turn();
	assert_int_equal(clients(), 0);
	close(fd);
}

/* The loop of the supervisor sleeps as long as control_due_ms says: it must neither miss the time
 * nor turn and turn. */
static void test_sleeps_until_due(void **state)
{
	int fd = connected();

	(void)state;
	turn();
	time_ms += control_due_ms(&control) - 1;
	turn();
	assert_int_equal(clients(), 1);
	assert_int_equal(control_due_ms(&control), 1);
	time_ms += 1;
	turn();
	assert_int_equal(clients(), 0);
	assert_int_equal(control_due_ms(&control), -1);
	close(fd);
}

/* A client for whom there is no descriptor waits: the socket, which stays readable, is not polled
 * for until there may be one. Those that are there are served meanwhile. */
static void test_no_descriptors(void **state)
{
	enum { LIMIT = CONTROL_CLIENTS_MAX + 64 }; /* no lower than what poll(2) is asked for */
	struct pollfd fds[CONTROL_CLIENTS_MAX + 1];
	int good = connected(), late, used[LIMIT], count = 0;
	struct rlimit before, few;

	(void)state;
	turn();
	late = connected();
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = (struct rlimit){LIMIT, before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	while ((used[count] = dup(STDERR_FILENO)) >= 0)
		count++;
	for (unsigned i = 0; i < 3; i++) {
		turn();
		assert_int_equal(clients(), 1);
		control_poll(&control, fds);
		assert_int_equal(fds[0].fd, -1);
		assert_int_equal(control_due_ms(&control), 100);
		say(good, PING);
		assert_ok(good);
		time_ms += 99;
		control_poll(&control, fds);
		assert_int_equal(fds[0].fd, -1);
		assert_int_equal(control_due_ms(&control), 1);
		time_ms += 1;
	}
	while (count--)
		close(used[count]);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	say(late, PING);
	assert_ok(late);
	close(good);
	close(late);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_more_clients_than_places),
		TEST(test_many_at_once),
		TEST(test_deadlines),
		TEST(test_time_of_each_step),
		TEST(test_sleeps_until_due),
		TEST(test_no_descriptors),
	};

	return cmocka_run_group_tests_name("control_clients", tests, NULL, NULL);
}
