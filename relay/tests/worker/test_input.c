// SPDX-License-Identifier: MIT
/*
 * input: frames of two sockets are lent in the order in which they came, also those that come while
 * the worker looks. The sockets are played: each has a list of times, of which the first `come` are
 * there.
 */
#include "worker/input.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { MANY = 4000 };

static struct played {
	uint64_t times[MANY];
	unsigned come, lent;
} played[FRAME_CLASSES];

static struct input input;
static void (*meanwhile)(void); /* between the looks at one socket and at the other */

static struct played *played_by(const struct ingress *ingress)
{
	return &played[ingress - input.ingress];
}

static unsigned peek(struct ingress *ingress, struct frame *frames, unsigned max)
{
	struct played *socket = played_by(ingress);
	unsigned n;

	for (n = 0; n < max && socket->lent < socket->come; n++)
		frames[n] = (struct frame){.time = socket->times[socket->lent++]};
	if (meanwhile)
		meanwhile();
	return n;
}

static uint64_t next_time(struct ingress *ingress)
{
	const struct played *socket = played_by(ingress);

	return socket->lent < socket->come ? socket->times[socket->lent] : UINT64_MAX;
}

static void unpeek(struct ingress *ingress, unsigned count)
{
	assert_in_range(count, 1, played_by(ingress)->lent);
	played_by(ingress)->lent -= count;
}

static const struct ingress_ops ops = {.peek = peek, .next_time = next_time, .unpeek = unpeek};

static int setup(void **state)
{
	(void)state;
	memset(played, 0, sizeof(played));
	memset(&input, 0, sizeof(input));
	for (int class = 0; class < FRAME_CLASSES; class ++)
		input.ingress[class] = (struct ingress){.ops = &ops, .fd = 0};
	meanwhile = NULL;
	return 0;
}

static void come(enum frame_class class, uint64_t time)
{
	played[class].times[played[class].come++] = time;
}

/* Takes what is there, `max` at a time. The times go up from *last; returns how many there were. */
static unsigned take(unsigned max, uint64_t *last)
{
	struct frame frames[64];
	struct ingress *from;
	unsigned count, total = 0;

	while ((count = input_peek(&input, frames, max, &from)) > 0) {
		assert_in_range(count, 1, max);
		for (unsigned i = 0; i < count; i++) {
			assert_true(frames[i].time > *last);
			*last = frames[i].time;
		}
		total += count;
	}
	return total;
}

static void test_one_busy(void **state)
{
	uint64_t last = 0;

	(void)state;
	for (int class = 0; class < FRAME_CLASSES; class ++) {
		for (unsigned i = 0; i < 200; i++)
			come((enum frame_class) class, 1000 * (unsigned)class + i + 1);
		assert_int_equal(take(64, &last), 200);
	}
	assert_int_equal(take(64, &last), 0);
}

static void test_mixed(void **state)
{
	uint32_t chance = 1;

	(void)state;
	for (unsigned max = 1; max <= 64; max += 9) {
		uint64_t last = 0, time = 0;

		setup(NULL);
		for (unsigned i = 0; i < 3000; i++) {
			chance = chance * 1664525 + 1013904223;
			come(chance >> 30 ? FRAMES_SMALL : FRAMES_LARGE, ++time);
		}
		assert_int_equal(take(max, &last), 3000);
		assert_int_equal(last, 3000);
	}
}

static uint64_t arrivals;

/* Of one flow: a large one, then a small one. */
static void one_of_each(void)
{
	if (arrivals >= 1000)
		return;
	come(FRAMES_LARGE, ++arrivals);
	come(FRAMES_SMALL, ++arrivals);
}

static void test_while_it_looks(void **state)
{
	uint64_t last = 0;

	(void)state;
	arrivals = 0;
	meanwhile = one_of_each;
	come(FRAMES_SMALL, ++arrivals);
	take(64, &last);
	assert_int_equal(last, arrivals);
}

/* With uring ingress, or when small slots hold all, there is no other socket. */
static void test_one_socket(void **state)
{
	uint64_t last = 0;

	(void)state;
	input.ingress[FRAMES_LARGE] = (struct ingress){.fd = -1};
	for (unsigned i = 0; i < 100; i++)
		come(FRAMES_SMALL, i + 1);
	assert_int_equal(take(64, &last), 100);
	input.ingress[FRAMES_SMALL] = (struct ingress){.fd = -1};
	assert_int_equal(take(64, &last), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, NULL)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_one_busy),
		TEST(test_mixed),
		TEST(test_while_it_looks),
		TEST(test_one_socket),
	};

	return cmocka_run_group_tests_name("input", tests, NULL, NULL);
}
