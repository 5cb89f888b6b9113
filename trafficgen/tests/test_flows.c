// SPDX-License-Identifier: MIT
/* flows: each story of a packet once, the window's edges, and a random run against a plain model.
 */
#include "../flows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct flows flows;

static int reset(void **state)
{
	(void)state;
	flows_exit(&flows);
	memset(&flows, 0, sizeof(flows));
	return 0;
}

static void receive_range(uint16_t id, uint64_t first, uint64_t last)
{
	for (uint64_t sequence = first; sequence <= last; sequence++)
		assert_int_equal(flows_receive(&flows, id, sequence), 1);
}

static void assert_counts(const struct flow_counts *found, const struct flow_counts *expected)
{
	assert_int_equal(found->received, expected->received);
	assert_int_equal(found->lost, expected->lost);
	assert_int_equal(found->duplicated, expected->duplicated);
	assert_int_equal(found->reordered, expected->reordered);
	assert_int_equal(found->stale, expected->stale);
	assert_int_equal(found->corrupt, expected->corrupt);
}

static void assert_total(const struct flow_counts *expected)
{
	struct flow_counts found = flows_total(&flows);

	assert_counts(&found, expected);
	assert_int_equal(flows.received, expected->received);
}

#define ASSERT_TOTAL(...) assert_total(&(struct flow_counts){__VA_ARGS__})

static void test_nothing(void **state)
{
	(void)state;
	ASSERT_TOTAL(.received = 0);
}

static void test_in_order(void **state)
{
	(void)state;
	receive_range(0, 0, 3 * FLOW_WINDOW);
	ASSERT_TOTAL(.received = 3 * FLOW_WINDOW + 1);
}

static void test_late_start_loses_nothing(void **state)
{
	(void)state;
	receive_range(9, 1000000, 1000009);
	ASSERT_TOTAL(.received = 10);
	assert_int_equal(flows.by_id[9]->first_sequence, 1000000);
	assert_int_equal(flows.by_id[9]->last_sequence, 1000009);
}

static void test_gap(void **state)
{
	(void)state;
	receive_range(0, 0, 9);
	receive_range(0, 15, 20);
	ASSERT_TOTAL(.received = 16, .lost = 5);
}

static void test_gap_filled_late(void **state)
{
	(void)state;
	receive_range(0, 0, 9);
	receive_range(0, 15, 20);
	receive_range(0, 10, 13);
	ASSERT_TOTAL(.received = 20, .lost = 1, .reordered = 4);
}

static void test_duplicates(void **state)
{
	(void)state;
	receive_range(0, 0, 9);
	assert_int_equal(flows_receive(&flows, 0, 9), 0);
	assert_int_equal(flows_receive(&flows, 0, 0), 0);
	assert_int_equal(flows_receive(&flows, 0, 0), 0);
	ASSERT_TOTAL(.received = 10, .duplicated = 3);
}

static void test_earlier_than_the_first(void **state)
{
	(void)state;
	receive_range(0, 100, 101);
	assert_int_equal(flows_receive(&flows, 0, 97), 1);
	assert_int_equal(flows.by_id[0]->first_sequence, 97);
	ASSERT_TOTAL(.received = 3, .lost = 2, .reordered = 1);
}

static void test_edges_of_the_window(void **state)
{
	(void)state;
	receive_range(0, 0, 0);
	receive_range(0, FLOW_WINDOW, FLOW_WINDOW);
	assert_int_equal(flows_receive(&flows, 0, 1), 1); /* the oldest that is known */
	assert_int_equal(flows_receive(&flows, 0, 1), 0);
	assert_int_equal(flows_receive(&flows, 0, 0), 0); /* too old to say */
	ASSERT_TOTAL(.received = 3, .lost = FLOW_WINDOW - 2, .duplicated = 1, .reordered = 1,
		     .stale = 1);
}

static void test_jump_over_the_whole_window(void **state)
{
	const uint64_t far = 1ull << 40;

	(void)state;
	receive_range(0, 0, 9);
	receive_range(0, far, far);
	receive_range(0, far - 5, far - 1); /* no bits are left over from 0..9 */
	ASSERT_TOTAL(.received = 16, .lost = far + 1 - 16, .reordered = 5);
}

static void test_flows_are_apart(void **state)
{
	(void)state;
	receive_range(0, 0, 9);
	receive_range(65535, 5, 9);
	assert_int_equal(flows_receive(&flows, 65535, 11), 1);
	assert_null(flows.by_id[1]);
	ASSERT_TOTAL(.received = 16, .lost = 1);
	assert_int_equal(flow_counts_of(flows.by_id[65535]).lost, 1);
	assert_int_equal(flow_counts_of(flows.by_id[0]).lost, 0);
}

static void test_corrupt(void **state)
{
	(void)state;
	receive_range(3, 0, 1);
	flows_corrupt(&flows, 3); /* was number 2 */
	receive_range(3, 3, 3);
	flows_corrupt(&flows, 4); /* of a flow nobody has seen */
	assert_null(flows.by_id[4]);
	ASSERT_TOTAL(.received = 3, .lost = 1, .corrupt = 2);
	assert_int_equal(flow_counts_of(flows.by_id[3]).corrupt, 1);
}

/* Packets are dropped, doubled and moved by less than a window; a byte per number knows it all. */
static void test_random_run_against_a_model(void **state)
{
	enum { NUMBERS = 400000 };
	uint8_t *copies = calloc(NUMBERS, 1);
	struct flow_counts expected = {0};
	uint64_t highest = 0, first = NUMBERS;

	(void)state;
	assert_non_null(copies);
	srandom(4711);
	for (unsigned i = 0; i < NUMBERS; i++) {
		long back = random() % 100 == 0 ? random() % (FLOW_WINDOW / 2) : 0;
		uint64_t sequence = (uint64_t)back > i ? 0 : i - (uint64_t)back;

		if (random() % 10 == 0)
			continue;
		if (expected.received > 0 && sequence < highest && copies[sequence] == 0)
			expected.reordered++;
		if (copies[sequence]++ == 0)
			expected.received++;
		else
			expected.duplicated++;
		highest = sequence > highest ? sequence : highest;
		first = sequence < first ? sequence : first;
		flows_receive(&flows, 5, sequence);
	}
	expected.lost = highest - first + 1 - expected.received;
	assert_total(&expected);
	free(copies);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_nothing, reset),
		cmocka_unit_test_setup(test_in_order, reset),
		cmocka_unit_test_setup(test_late_start_loses_nothing, reset),
		cmocka_unit_test_setup(test_gap, reset),
		cmocka_unit_test_setup(test_gap_filled_late, reset),
		cmocka_unit_test_setup(test_duplicates, reset),
		cmocka_unit_test_setup(test_earlier_than_the_first, reset),
		cmocka_unit_test_setup(test_edges_of_the_window, reset),
		cmocka_unit_test_setup(test_jump_over_the_whole_window, reset),
		cmocka_unit_test_setup(test_flows_are_apart, reset),
		cmocka_unit_test_setup(test_corrupt, reset),
		cmocka_unit_test_setup_teardown(test_random_run_against_a_model, reset, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
