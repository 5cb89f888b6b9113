// SPDX-License-Identifier: MIT
/* loop_watch: payloads that come again and again are noticed, alone and within aggregates, and none
 * other. */
#include "worker/loop_watch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { BYTES = 200, SEGMENTS = 10 };

static struct loop_watch watch;
static uint8_t payload[SEGMENTS * BYTES];
static uint32_t tick;
static uint64_t packets; /* that the rule has had */
static unsigned rate;	 /* how many each is */

static int setup(void **state)
{
	(void)state;
	watch = (struct loop_watch){.bytes = LOOP_NOTHING};
	memset(payload, 0, sizeof(payload));
	tick = 1000;
	packets = 0;
	rate = 1;
	return 0;
}

/* True when it is suspicious. */
static bool comes(const void *bytes, uint32_t length, uint32_t segment_bytes)
{
	const struct run run = {bytes, length, segment_bytes,
				segment_bytes && length > segment_bytes
					? (length + segment_bytes - 1) / segment_bytes
					: 1};

	packets += rate;
	if (!loop_watch_due(&watch, tick, bytes, segment_bytes) &&
	    (run.segments == 1 || !loop_watch_within(&watch, &run)))
		return false;
	return loop_watch_look(&watch, tick, packets, 0, &run);
}

/* A test that is taken off its CPU begins to count anew. */
static bool is_noticed(uint32_t length, uint32_t segment_bytes)
{
	for (unsigned i = 0; i < 100000; i++)
		if (comes(payload, length, segment_bytes))
			return true;
	return false;
}

static void test_the_same_again(void **state)
{
	static const uint32_t sizes[] = {0, 1, 7, 8, 9, 200, 1400};

	(void)state;
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		setup(state);
		for (unsigned j = 0; j < LOOP_RETURNS; j++)
			assert_false(comes(payload, sizes[i], sizes[i]));
		assert_true(is_noticed(sizes[i], sizes[i]));
	}
}

/* Wherever payloads differ, and however few bytes: the one that is the same is noticed in time. */
static void test_others_between(void **state)
{
	static const uint32_t places[] = {0, 8, 30, BYTES / 2, BYTES - 1};

	(void)state;
	for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		uint8_t other[BYTES] = {0};
		bool noticed = false;

		setup(state);
		/* many times as long as one is remembered */
		for (unsigned round = 0; round < 500000 && !noticed; round++) {
			tick += round % 10 == 0;
			other[places[i]] = (uint8_t)(1 + round % 255);
			other[places[i] - (places[i] == BYTES - 1)] ^= (uint8_t)(round >> 8);
			if (rand() % 2) /* either may be the one that is remembered */
				noticed = comes(other, BYTES, BYTES);
			noticed |= comes(payload, BYTES, BYTES);
		}
		assert_true(noticed);
	}
}

static void test_different_ones(void **state)
{
	(void)state;
	for (uint32_t number = 0; number < 100000; number++) {
		tick += number % 50 == 0;
		memcpy(payload + 20, &number, sizeof(number));
		assert_false(comes(payload, BYTES, BYTES));
	}
}

static void test_within_aggregates(void **state)
{
	(void)state;
	memset(payload + 3 * BYTES, 7, BYTES);
	for (unsigned i = 0; i < SEGMENTS; i++)
		payload[i * BYTES] = (uint8_t)i;
	assert_false(comes(payload + 3 * BYTES, BYTES, BYTES)); /* it is remembered */
	assert_true(is_noticed(sizeof(payload), BYTES));
}

static void test_remembered_for_a_while(void **state)
{
	uint64_t hash;

	(void)state;
	comes(payload, BYTES, BYTES);
	hash = watch.hash;
	payload[0] = 1;
	tick += 9;
	comes(payload, BYTES, BYTES);
	assert_int_equal(watch.hash, hash);
	tick += 1;
	comes(payload, BYTES, BYTES);
	assert_int_not_equal(watch.hash, hash);
}

/* Whoever says the same now and then is left in peace. */
static void test_few_packets(void **state)
{
	(void)state;
	rate = 0;
	assert_false(is_noticed(BYTES, BYTES));
}

static void test_cleared(void **state)
{
	const struct run run = {payload, BYTES, BYTES, 1};
	const uint64_t hash = loop_hash(payload, BYTES);

	(void)state;
	for (unsigned i = 0; i < 100; i++, tick++)
		assert_false(loop_watch_look(&watch, tick, i, hash, &run));
	assert_int_equal(watch.bytes, LOOP_NOTHING);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_the_same_again),
		TEST(test_others_between),
		TEST(test_different_ones),
		TEST(test_within_aggregates),
		TEST(test_remembered_for_a_while),
		TEST(test_few_packets),
		TEST(test_cleared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
