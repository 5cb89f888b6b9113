// SPDX-License-Identifier: MIT
/* deferred_close: what is handed over is closed in order, one at a time, and not before its time
 * unless room is needed.
 */
#include "supervisor/deferred_close.h"

#include <fcntl.h>
#include <stdbool.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>
#include <cmocka.h>

enum { NOW = 1000000, CAPACITY = 48 };

static struct deferred_close deferred;

static int setup(void **state)
{
	(void)state;
	return deferred_close_init(&deferred, CAPACITY);
}

static int teardown(void **state)
{
	(void)state;
	deferred_close_exit(&deferred);
	return 0;
}

static int some_file(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

/* Hands over one descriptor. Returns its number. */
static int hand_over(int64_t now_ms)
{
	int fd = some_file(), kept = fd;

	deferred_close_add(&deferred, &fd, 1, now_ms);
	assert_int_equal(fd, -1);
	assert_true(is_open(kept));
	return kept;
}

static void test_empty(void **state)
{
	(void)state;
	assert_int_equal(deferred_close_due(&deferred, NOW), -1);
	deferred_close_add(&deferred, NULL, 0, NOW);
	assert_int_equal(deferred_close_due(&deferred, INT64_MAX), -1);
}

static void test_due(void **state)
{
	int fd = hand_over(NOW);

	(void)state;
	assert_int_equal(deferred_close_due(&deferred, NOW), DEFERRED_CLOSE_MS);
	assert_int_equal(deferred_close_due(&deferred, NOW + DEFERRED_CLOSE_MS - 1), 1);
	assert_true(is_open(fd));
	assert_int_equal(deferred_close_due(&deferred, NOW + DEFERRED_CLOSE_MS), -1);
	assert_false(is_open(fd));
}

/* The next one's time is what is returned, none when it has come; one goes with each call. */
static void test_order(void **state)
{
	int first = hand_over(NOW), second = hand_over(NOW + 10), third = hand_over(NOW + 10),
	    fourth = hand_over(NOW + 500);

	(void)state;
	assert_int_equal(deferred_close_due(&deferred, NOW + DEFERRED_CLOSE_MS), 10);
	assert_false(is_open(first));
	assert_true(is_open(second) && is_open(third) && is_open(fourth));
	assert_int_equal(deferred_close_due(&deferred, NOW + DEFERRED_CLOSE_MS + 11), 0);
	assert_false(is_open(second));
	assert_true(is_open(third));
	assert_int_equal(deferred_close_due(&deferred, NOW + DEFERRED_CLOSE_MS + 11), 489);
	assert_false(is_open(third));
	assert_true(is_open(fourth));
	assert_int_equal(deferred_close_due(&deferred, NOW + 10 * DEFERRED_CLOSE_MS), -1);
	assert_false(is_open(fourth));
}

/* One of several workers may have no socket. */
static void test_holes(void **state)
{
	int fds[4] = {-1, some_file(), -1, some_file()};
	int kept[2] = {fds[1], fds[3]};

	(void)state;
	deferred_close_add(&deferred, fds, 4, NOW);
	assert_int_equal(deferred.count, 2);
	for (int i = 0; i < 4; i++)
		assert_int_equal(fds[i], -1);
	assert_int_equal(deferred_close_due(&deferred, NOW + DEFERRED_CLOSE_MS), 0);
	assert_int_equal(deferred_close_due(&deferred, NOW + DEFERRED_CLOSE_MS), -1);
	assert_false(is_open(kept[0]) || is_open(kept[1]));
}

/* With all places taken, the oldest makes room; the newest ones have their full time. Twice round.
 */
static void test_overflow(void **state)
{
	enum { COUNT = 2 * CAPACITY + 5 };
	int fds[COUNT];

	(void)state;
	for (int i = 0; i < CAPACITY; i++)
		fds[i] = hand_over(NOW + i);
	for (int i = 0; i < CAPACITY; i++)
		assert_true(is_open(fds[i]));
	for (int i = CAPACITY; i < COUNT; i++) {
		int fd = some_file();

		fds[i] = fd;
		deferred_close_add(&deferred, &fd, 1, NOW + i);
		assert_false(is_open(fds[i - CAPACITY]));
		assert_true(is_open(fds[i - CAPACITY + 1]));
		assert_true(is_open(fds[i]));
	}
	assert_int_equal(deferred.count, CAPACITY);
	assert_int_equal(deferred_close_due(&deferred, NOW), COUNT - CAPACITY + DEFERRED_CLOSE_MS);
	for (int i = 1; i < CAPACITY; i++)
		deferred_close_due(&deferred, NOW + COUNT - 2 + DEFERRED_CLOSE_MS);
	assert_int_equal(deferred_close_due(&deferred, NOW + COUNT - 2 + DEFERRED_CLOSE_MS), 1);
	assert_false(is_open(fds[COUNT - 2]));
	assert_true(is_open(fds[COUNT - 1]));
}

/* More than there is room for, in one go: as many workers as can be. */
static void test_many_at_once(void **state)
{
	int fds[64], kept[64];

	(void)state;
	for (int i = 0; i < 64; i++)
		kept[i] = fds[i] = some_file();
	deferred_close_add(&deferred, fds, 64, NOW);
	for (int i = 0; i < 64; i++) {
		assert_int_equal(fds[i], -1);
		assert_int_equal(is_open(kept[i]), i >= 64 - CAPACITY);
	}
}

static void test_exit(void **state)
{
	int first = hand_over(NOW), second = hand_over(NOW + 1);

	(void)state;
	deferred_close_exit(&deferred);
	assert_false(is_open(first) || is_open(second));
	assert_int_equal(deferred_close_due(&deferred, INT64_MAX), -1);
	deferred_close_exit(&deferred); /* harmless */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_empty),    TEST(test_due),	      TEST(test_order), TEST(test_holes),
		TEST(test_overflow), TEST(test_many_at_once), TEST(test_exit),
	};

	return cmocka_run_group_tests_name("deferred_close", tests, NULL, NULL);
}
