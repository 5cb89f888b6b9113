// SPDX-License-Identifier: MIT
/* payload: the layout on the wire, and that every kind of damage to a sealed payload is seen. */
#include "../payload.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#define SIZE 200u

static const struct payload sample = {
	.flow = 0x1234, .sequence = 0x56789abcdef0, .sent_ns = 0x13579bdf0246};

static void sealed(uint8_t *buffer, size_t size, const struct payload *payload)
{
	payload_fill(buffer, size, 7);
	payload_write(buffer, payload);
	payload_seal(buffer, size);
}

static void test_layout(void **state)
{
	static const uint8_t expected[PAYLOAD_MIN] = {'m',  'c',  0x12, 0x34, 0x56, 0x78,
						      0x9a, 0xbc, 0xde, 0xf0, 0x13, 0x57,
						      0x9b, 0xdf, 0x02, 0x46, 0,    0};
	uint8_t buffer[PAYLOAD_MIN];

	(void)state;
	payload_write(buffer, &sample);
	assert_memory_equal(buffer, expected, PAYLOAD_MIN);
}

static void test_round_trip(void **state)
{
	static const uint64_t numbers[] = {0, 1, 0xffff, 0x10000, 0xffffffff, (1ull << 48) - 1};
	uint8_t buffer[PAYLOAD_MIN];

	(void)state;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		struct payload in = {(uint16_t)numbers[i], numbers[i], numbers[i]}, out;

		payload_write(buffer, &in);
		assert_int_equal(payload_read(buffer, sizeof(buffer), &out), PAYLOAD_PLAIN);
		assert_int_equal(out.flow, in.flow);
		assert_int_equal(out.sequence, in.sequence);
		assert_int_equal(out.sent_ns, in.sent_ns);
		payload_seal(buffer, sizeof(buffer));
		assert_int_equal(payload_read(buffer, sizeof(buffer), &out), PAYLOAD_SEALED);
		assert_int_equal(out.sequence, in.sequence);
	}
}

static void test_foreign(void **state)
{
	uint8_t buffer[SIZE] = {0};
	struct payload out;

	(void)state;
	assert_int_equal(payload_read(buffer, 0, &out), PAYLOAD_FOREIGN);
	assert_int_equal(payload_read(buffer, SIZE, &out), PAYLOAD_FOREIGN);
	payload_write(buffer, &sample);
	assert_int_equal(payload_read(buffer, PAYLOAD_MIN - 1, &out), PAYLOAD_FOREIGN);
}

static void test_every_flipped_bit_shows(void **state)
{
	uint8_t buffer[SIZE];
	struct payload out;

	(void)state;
	sealed(buffer, SIZE, &sample);
	assert_true(payload_intact(buffer, SIZE));
	for (unsigned bit = 0; bit < SIZE * 8; bit++) {
		buffer[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_false(payload_read(buffer, SIZE, &out) == PAYLOAD_SEALED &&
			     payload_intact(buffer, SIZE));
		buffer[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	assert_true(payload_intact(buffer, SIZE)); /* checking leaves the buffer as it was */
}

static void test_smallest_payload_is_sealed_too(void **state)
{
	uint8_t buffer[PAYLOAD_MIN];

	(void)state;
	sealed(buffer, sizeof(buffer), &sample);
	assert_true(payload_intact(buffer, sizeof(buffer)));
	buffer[5] ^= 1;
	assert_false(payload_intact(buffer, sizeof(buffer)));
}

static void test_a_wiped_check_shows(void **state)
{
	uint8_t buffer[SIZE];

	(void)state;
	sealed(buffer, SIZE, &sample);
	buffer[16] = buffer[17] = 0;
	assert_false(payload_intact(buffer, SIZE));
}

static void test_other_length_shows(void **state)
{
	uint8_t buffer[SIZE];

	(void)state;
	sealed(buffer, SIZE, &sample);
	assert_false(payload_intact(buffer, SIZE - 1));
	assert_false(payload_intact(buffer, PAYLOAD_MIN));
}

static void test_swapped_and_shifted_fillers_show(void **state)
{
	uint8_t one[SIZE], two[SIZE], keep[SIZE];
	struct payload next = sample;

	(void)state;
	next.sequence++;
	sealed(one, SIZE, &sample);
	payload_fill(two, SIZE, 8);
	payload_write(two, &next);
	payload_seal(two, SIZE);
	memcpy(keep, one, SIZE);

	memcpy(one + PAYLOAD_MIN, two + PAYLOAD_MIN, SIZE - PAYLOAD_MIN);
	assert_false(payload_intact(one, SIZE));

	memcpy(one, keep, SIZE);
	memmove(one + PAYLOAD_MIN, one + PAYLOAD_MIN + 1, SIZE - PAYLOAD_MIN - 1);
	assert_false(payload_intact(one, SIZE));
}

static void test_filler_differs_and_stays_inside(void **state)
{
	uint8_t one[SIZE + 1], two[SIZE + 1];

	(void)state;
	for (size_t size = 0; size <= SIZE; size++) {
		one[size] = two[size] = 0xa5;
		payload_fill(one, size, 1);
		payload_fill(two, size, 2);
		assert_int_equal(one[size], 0xa5);
		assert_int_equal(two[size], 0xa5);
	}
	assert_memory_not_equal(one, two, SIZE);
}

static void test_age(void **state)
{
	const uint64_t wrap = 1ull << 48;

	(void)state;
	assert_int_equal(payload_age_ns(1500, 1000), 500);
	assert_int_equal(payload_age_ns(1000, 1000), 0);
	/* the receiver's clock is not cut to 48 bits, and may have wrapped since */
	assert_int_equal(payload_age_ns(5 * wrap + 1500, 1000), 500);
	assert_int_equal(payload_age_ns(5 * wrap + 100, wrap - 100), 200);
	assert_int_equal(payload_age_ns(1000, 1001), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_foreign),
		cmocka_unit_test(test_every_flipped_bit_shows),
		cmocka_unit_test(test_smallest_payload_is_sealed_too),
		cmocka_unit_test(test_a_wiped_check_shows),
		cmocka_unit_test(test_other_length_shows),
		cmocka_unit_test(test_swapped_and_shifted_fillers_show),
		cmocka_unit_test(test_filler_differs_and_stays_inside),
		cmocka_unit_test(test_age),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
