// SPDX-License-Identifier: MIT
/*
 * books: whenever a worker dies, its successor's totals are what rules and outputs say, every
 * packet has one fate, and nothing is counted twice.
 *
 * A worker is played: in a turn it takes packets, matches each with a rule and queues it for two
 * outputs, has them sent, and publishes. It dies after each of its steps.
 */
#include "worker/books.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { INPUT = 3, RULE = 5, FIRST = 7, SECOND = 9, TURN = 10, UNMATCHED = 3, EXPIRED = 2 };

static struct shared *shared;
static struct worker_settings settings;
static struct counters receiving, sending; /* the worker's own */

static int setup(void **state)
{
	(void)state;
	shared = calloc(1, sizeof(*shared));
	settings = (struct worker_settings){0};
	receiving = sending = (struct counters){0};
	return shared ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	free(shared);
	return 0;
}

static struct ring_position *position(void)
{
	return &shared->positions[INPUT][FRAMES_SMALL];
}

static struct counters *egress(void)
{
	return settings.threads == THREADS_SPLIT ? &sending : &receiving;
}

/* ------------------------------------------------------------------------- a worker */

static void take(void)
{
	position()->ring = 1;
	books_begin_turn(position(), &shared->receiving);
	position()->uncounted += TURN;
}

static void match(void)
{
	const unsigned matched = TURN - UNMATCHED;

	for (unsigned i = 0; i < matched; i++) {
		counter_bump(&shared->outputs[FIRST].queued, 1);
		counter_bump(&shared->outputs[SECOND].queued, 1);
		counter_bump(&shared->rules[RULE].packets, 1);
	}
	counter_add(&receiving, COUNTER_recv_packets, TURN);
	counter_add(&receiving, COUNTER_matched, matched);
	counter_add(&receiving, COUNTER_drop_no_match, UNMATCHED);
	counter_add(egress(), COUNTER_egress_queued, 2 * matched - EXPIRED);
	counter_bump(&position()->frames, TURN);
	counter_bump(&position()->packets, TURN);
}

static void send_first(void)
{
	counter_bump(&shared->outputs[FIRST].packets, TURN - UNMATCHED);
	counter_bump(&shared->outputs[FIRST].bytes, 100);
	counter_add(egress(), COUNTER_egress_submitted, TURN - UNMATCHED);
	counter_add(egress(), COUNTER_egress_sent, TURN - UNMATCHED);
	counter_add(egress(), COUNTER_egress_bytes, 100);
}

static void fail_second(void)
{
	counter_bump(&shared->outputs[SECOND].errors[CAUSE_ENOBUFS], TURN - UNMATCHED - EXPIRED);
	counter_add(egress(), COUNTER_egress_errors, TURN - UNMATCHED - EXPIRED);
	counter_bump(&shared->outputs[SECOND].expired, EXPIRED);
	counter_add(egress(), COUNTER_drop_ttl, EXPIRED);
}

static void publish(void)
{
	counters_publish(&shared->receiving, &receiving);
	if (settings.threads == THREADS_SPLIT)
		counters_publish(&shared->sending, &sending);
}

static void (*const steps[])(void) = {take, match, send_first, fail_second, publish};
enum { STEPS = sizeof(steps) / sizeof(steps[0]) };

static void do_steps(unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		steps[i]();
}

/* The next one closes its predecessor's books, and knows how many frames its ring has lost. */
static void succeed(void)
{
	uint64_t in_hand = books_close(shared, &settings);

	receiving = sending = (struct counters){0};
	published_add_up(&receiving, &shared->receiving);
	published_add_up(&sending, &shared->sending);
	books_count_lost(&receiving, &in_hand, position()->uncounted);
	position()->uncounted = 0;
	assert_int_equal(in_hand, 0);
	publish();
}

static uint64_t total(enum counter which)
{
	struct counters sum = {0};

	shared_add_up(&sum, shared);
	return counter_get(&sum, which);
}

static uint64_t errors_of(unsigned output)
{
	uint64_t sum = 0;

	for (int i = 0; i < CAUSE_COUNT; i++)
		sum += shared->outputs[output].errors[i];
	return sum;
}

static void assert_closed(void)
{
	struct counters sum = {0};

	shared_add_up(&sum, shared);
	assert_int_equal(counters_arrived(&sum), counters_filtered(&sum) +
							 counter_get(&sum, COUNTER_matched) +
							 counter_get(&sum, COUNTER_drop_no_match));
	assert_int_equal(total(COUNTER_matched), shared->rules[RULE].packets);
	assert_int_equal(total(COUNTER_egress_queued) + total(COUNTER_drop_ttl),
			 2 * total(COUNTER_matched));
	assert_int_equal(total(COUNTER_egress_queued),
			 total(COUNTER_egress_sent) + total(COUNTER_egress_errors));
	assert_int_equal(total(COUNTER_egress_sent),
			 shared->outputs[FIRST].packets + shared->outputs[SECOND].packets);
	assert_int_equal(total(COUNTER_egress_errors), errors_of(FIRST) + errors_of(SECOND));
	assert_true(total(COUNTER_egress_submitted) >= total(COUNTER_egress_sent));
}

/* ------------------------------------------------------------------------- deaths */

static void die_after_each_step(void)
{
	for (unsigned step = 0; step <= STEPS; step++) {
		const unsigned matched = step >= 2 ? TURN - UNMATCHED : 0;
		uint64_t died = step == 0 || step == STEPS ? 0 : TURN - matched;

		teardown(NULL);
		shared = calloc(1, sizeof(*shared));
		assert_non_null(shared);
		receiving = sending = (struct counters){0};
		do_steps(STEPS); /* one turn that it ends */
		do_steps(step);
		succeed();
		assert_closed();
		assert_int_equal(total(COUNTER_recv_packets), step ? 2 * TURN : TURN);
		assert_int_equal(total(COUNTER_drop_worker_died), died);
		assert_int_equal(total(COUNTER_egress_worker_died),
				 (step == 2 ? 2 : step == 3) * matched);
		do_steps(STEPS); /* the successor goes on */
		assert_closed();
		succeed();
		assert_closed();
		assert_int_equal(total(COUNTER_drop_worker_died), died);
	}
}

static void test_each_step(void **state)
{
	(void)state;
	die_after_each_step();
}

static void test_each_step_of_two_threads(void **state)
{
	(void)state;
	settings.threads = THREADS_SPLIT;
	die_after_each_step();
}

/* The one thread has published its turn, what it has handed to the other is on its way. */
static void test_between_two_threads(void **state)
{
	(void)state;
	settings.threads = THREADS_SPLIT;
	take();
	match();
	sending = (struct counters){0}; /* which has not looked yet */
	publish();
	assert_int_equal(position()->uncounted, TURN);
	succeed();
	assert_closed();
	assert_int_equal(total(COUNTER_recv_packets), TURN);
	assert_int_equal(total(COUNTER_drop_worker_died), 0);
	assert_int_equal(shared->outputs[FIRST].errors[CAUSE_WORKER_DIED], TURN - UNMATCHED);
	assert_int_equal(shared->outputs[SECOND].errors[CAUSE_WORKER_DIED], TURN - UNMATCHED);
}

/* Frames in buffers are gone: as if they had never come. What is in the socket will tell. */
static void test_uring(void **state)
{
	uint64_t in_hand;

	(void)state;
	settings.ingress = INGRESS_URING;
	do_steps(STEPS);
	do_steps(2);
	in_hand = books_close(shared, &settings);
	assert_int_equal(in_hand, TURN - UNMATCHED);
	assert_true(position()->doubtful);
	assert_int_equal(position()->frames, TURN);
	assert_int_equal(position()->packets, TURN); /* of so many the successor takes the mean */
	assert_int_equal(position()->uncounted, 0);
	assert_int_equal(total(COUNTER_drop_worker_died), 0);
	assert_closed();
	receiving = (struct counters){0};
	published_add_up(&receiving, &shared->receiving);
	books_count_lost(&receiving, &in_hand, TURN + 2); /* two that it had not even seen */
	publish();
	assert_int_equal(total(COUNTER_drop_worker_died), UNMATCHED + 2);
	assert_int_equal(total(COUNTER_recv_packets), 2 * TURN + 2);
	assert_closed();
}

static void test_fragments(void **state)
{
	(void)state;
	shared->fragments_waiting = 4;
	succeed();
	assert_int_equal(total(COUNTER_recv_packets), 4);
	assert_int_equal(total(COUNTER_drop_worker_died), 4);
	succeed();
	assert_int_equal(total(COUNTER_drop_worker_died), 4);
}

/* What the search for loops kept back died with the worker. */
static void test_withheld(void **state)
{
	(void)state;
	shared->withheld = 7;
	succeed();
	assert_int_equal(total(COUNTER_drop_loop), 7);
	succeed();
	assert_int_equal(total(COUNTER_drop_loop), 7);
}

/* ------------------------------------------------------------------------- new names */

/* Another rule, another output under a number: they begin at zero, the totals do not. */
static void test_born(void **state)
{
	(void)state;
	books_begin_output(shared, FIRST, 1);
	books_begin_output(shared, SECOND, 2);
	books_begin_rule(shared, RULE, 1);
	do_steps(STEPS);
	books_begin_output(shared, FIRST, 1);
	books_begin_rule(shared, RULE, 1);
	assert_int_equal(shared->outputs[FIRST].packets, TURN - UNMATCHED);
	assert_int_equal(shared->rules[RULE].packets, TURN - UNMATCHED);
	books_begin_output(shared, FIRST, 3);
	books_begin_output(shared, SECOND, 4);
	books_begin_rule(shared, RULE, 2);
	assert_int_equal(shared->outputs[FIRST].born, 3);
	assert_int_equal(shared->outputs[FIRST].packets, 0);
	assert_int_equal(shared->outputs[FIRST].queued, 0);
	assert_int_equal(errors_of(SECOND), 0);
	assert_int_equal(shared->rules[RULE].packets, 0);
	do_steps(3);
	succeed();
	assert_int_equal(total(COUNTER_matched), 2 * (TURN - UNMATCHED));
	assert_int_equal(total(COUNTER_egress_sent), 2 * (TURN - UNMATCHED));
	assert_int_equal(total(COUNTER_egress_bytes), 200);
	assert_int_equal(total(COUNTER_drop_ttl), EXPIRED);
	assert_int_equal(total(COUNTER_egress_errors), 2 * (TURN - UNMATCHED) - EXPIRED);
	assert_int_equal(total(COUNTER_egress_queued), 4 * (TURN - UNMATCHED) - EXPIRED);
	assert_int_equal(total(COUNTER_egress_worker_died), TURN - UNMATCHED);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_each_step),
		TEST(test_each_step_of_two_threads),
		TEST(test_between_two_threads),
		TEST(test_uring),
		TEST(test_fragments),
		TEST(test_withheld),
		TEST(test_born),
	};

	return cmocka_run_group_tests_name("books", tests, NULL, NULL);
}
