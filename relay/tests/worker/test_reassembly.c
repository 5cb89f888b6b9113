// SPDX-License-Identifier: MIT
/* reassembly: a datagram cut into fragments is whole again whatever their order; each fragment is
 * counted once; what does not fit, or never comes, costs only its own datagram. */
#include "worker/reassembly.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../chance.h"

enum { ETHERNET = 14, HEADER = 20, UDP = 8, MAX_FRAGMENTS = 64 };

static struct counters counters;
static struct reassembly reassembly;
static uint8_t datagram[65536]; /* UDP header and payload */
static uint32_t datagram_bytes;
static uint64_t now;

static int setup(void **state)
{
	(void)state;
	memset(&counters, 0, sizeof(counters));
	now = 1000ULL << 32;
	return reassembly_init(&reassembly, &counters);
}

static int teardown(void **state)
{
	(void)state;
	reassembly_exit(&reassembly);
	return 0;
}

static void make_datagram(uint32_t payload_bytes, unsigned seed)
{
	datagram_bytes = UDP + payload_bytes;
	for (uint32_t i = 0; i < payload_bytes; i++)
		datagram[UDP + i] = (uint8_t)(i * 31 + (i >> 8) + seed);
	datagram[0] = 0x12;
	datagram[1] = 0x34;
	datagram[2] = 5000 >> 8;
	datagram[3] = 5000 & 0xff;
	datagram[4] = (uint8_t)(datagram_bytes >> 8);
	datagram[5] = (uint8_t)datagram_bytes;
	datagram[6] = datagram[7] = 0; /* no checksum */
}

static void set16(uint8_t *p, unsigned value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

/* The frame of a fragment, valid until the next one is made. */
static struct frame fragment_of(unsigned id, const char *source, uint32_t begin, uint32_t end,
				bool last)
{
	static uint8_t bytes[ETHERNET + HEADER + 65536];
	uint8_t *ip = bytes + ETHERNET;
	const uint32_t from = inet_addr(source), to = inet_addr("239.1.2.3");

	memset(bytes, 0, ETHERNET + HEADER);
	bytes[12] = 0x08;
	ip[0] = 0x45;
	set16(ip + 2, HEADER + end - begin);
	set16(ip + 4, id);
	set16(ip + 6, begin / 8 | (last ? 0 : 0x2000));
	ip[8] = 8;
	ip[9] = 17;
	memcpy(ip + 12, &from, 4);
	memcpy(ip + 16, &to, 4);
	memcpy(ip + HEADER, datagram + begin, end - begin);
	return (struct frame){.data = bytes,
			      .captured = ETHERNET + HEADER + end - begin,
			      .original = ETHERNET + HEADER + end - begin,
			      .time = now};
}

static bool add(unsigned id, uint32_t begin, uint32_t end, struct frame *whole)
{
	const struct frame frame = fragment_of(id, "10.0.0.1", begin, end, end == datagram_bytes);

	return reassembly_add(&reassembly, 0, &frame, whole);
}

/* It parses as a packet, and has the datagram's bytes. */
static void assert_whole(const struct frame *whole)
{
	struct packet packet;

	assert_int_equal(packet_parse(whole, &packet), PACKET_OK);
	assert_int_equal(packet.group, inet_addr("239.1.2.3"));
	assert_int_equal(packet.port, 5000);
	assert_int_equal(packet.payload_bytes, datagram_bytes - UDP);
	assert_memory_equal(packet.payload, datagram + UDP, packet.payload_bytes);
}

static void give_back(const struct frame *whole)
{
	reassembly.ingress.ops->release(&reassembly.ingress, whole->slot);
}

static void assert_counts(uint64_t joined, uint64_t dropped)
{
	assert_int_equal(counter_get(&counters, COUNTER_joined_fragments), joined);
	assert_int_equal(counter_get(&counters, COUNTER_drop_fragment), dropped);
	assert_int_equal(counter_get(&counters, COUNTER_recv_packets), joined + dropped);
}

static void test_in_order(void **state)
{
	struct frame whole = {0};

	(void)state;
	make_datagram(4000, 1);
	assert_false(add(7, 0, 1480, &whole));
	assert_false(add(7, 1480, 2960, &whole));
	assert_counts(0, 0);
	assert_true(add(7, 2960, datagram_bytes, &whole));
	assert_whole(&whole);
	assert_counts(2, 0);
	give_back(&whole);
	assert_int_equal(reassembly.ingress.lent, 0);
}

/* Sizes from 2 fragments of 8 bytes to the largest datagram, in any order. */
static void test_any_order(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 300; round++) {
		unsigned count = 2 + below(MAX_FRAGMENTS - 2), order[MAX_FRAGMENTS];
		uint32_t size = round % 10 ? 8 * (1 + below(180)) : 8 * 1023, joined;
		struct frame whole = {0};

		while (count > 2 && count * size > 65507)
			count--;
		make_datagram((count - 1) * size + below(size) + 1 - UDP, round);
		joined = (uint32_t)counter_get(&counters, COUNTER_joined_fragments);
		for (unsigned i = 0; i < count; i++)
			order[i] = i;
		for (unsigned i = count - 1; i > 0; i--) {
			const unsigned j = below(i + 1), other = order[i];

			order[i] = order[j];
			order[j] = other;
		}
		for (unsigned i = 0; i < count; i++) {
			const uint32_t begin = order[i] * size;
			const uint32_t end =
				begin + size < datagram_bytes ? begin + size : datagram_bytes;

			assert_int_equal(add(round, begin, end, &whole), i == count - 1);
		}
		assert_whole(&whole);
		give_back(&whole);
		assert_counts(joined + count - 1, 0);
	}
}

/* Datagrams that are told apart by id, source and input, their fragments mixed. */
static void test_side_by_side(void **state)
{
	static const char *const sources[] = {"10.0.0.1", "10.0.0.2"};
	struct frame whole = {0}, frame;

	(void)state;
	make_datagram(2000, 3);
	for (unsigned half = 0; half < 2; half++)
		for (unsigned id = 1; id <= 3; id++)
			for (unsigned source = 0; source < 2; source++)
				for (uint16_t input = 0; input < 2; input++) {
					frame = half ? fragment_of(id, sources[source], 1000,
								   datagram_bytes, true)
						     : fragment_of(id, sources[source], 0, 1000,
								   false);
					assert_int_equal(
						reassembly_add(&reassembly, input, &frame, &whole),
						half);
					if (half)
						assert_whole(&whole);
				}
	assert_int_equal(reassembly.ingress.lent, 12);
	assert_counts(12, 0);
}

static void test_refused(void **state)
{
	static const struct {
		const char *what;
		uint32_t begin, end;
		bool last;
	} second[] = {
		{"the same again, but the last now", 0, 800, true},
		{"overlaps its end", 792, 1600, false},
		{"ends beyond 64 KiB", 65528, 65536, false},
		{"not the last, and no multiple of 8", 800, 1003, false},
		{"empty", 800, 800, true},
		{"the last, before what has come", 0, 8, true},
	};
	struct frame whole = {0}, frame;

	(void)state;
	make_datagram(3000, 4);
	for (unsigned i = 0; i < sizeof(second) / sizeof(second[0]); i++) {
		print_message("%s\n", second[i].what);
		frame = fragment_of(i, "10.0.0.1", 0, 800, false);
		assert_false(reassembly_add(&reassembly, 0, &frame, &whole));
		frame = fragment_of(i, "10.0.0.1", second[i].begin, second[i].end, second[i].last);
		assert_false(reassembly_add(&reassembly, 0, &frame, &whole));
		assert_counts(0, 2 * (i + 1));
	}
	/* two ends */
	frame = fragment_of(99, "10.0.0.1", 1600, 2400, true);
	assert_false(reassembly_add(&reassembly, 0, &frame, &whole));
	frame = fragment_of(99, "10.0.0.1", 2400, 2480, false);
	assert_false(reassembly_add(&reassembly, 0, &frame, &whole));
	assert_counts(0, 2 * sizeof(second) / sizeof(second[0]) + 2);
}

/* A network that repeats packets: the datagram is whole all the same. Other bytes in the same place
 * are another matter. */
static void test_repeated(void **state)
{
	struct frame whole = {0}, frame;

	(void)state;
	make_datagram(3000, 8);
	assert_false(add(1, 0, 800, &whole));
	assert_false(add(1, 0, 800, &whole));
	assert_false(add(1, 1600, datagram_bytes, &whole));
	assert_false(add(1, 1600, datagram_bytes, &whole));
	assert_false(add(1, 80, 160, &whole));
	assert_counts(0, 3);
	assert_true(add(1, 800, 1600, &whole));
	assert_whole(&whole);
	give_back(&whole);
	assert_counts(2, 3);
	assert_false(add(2, 0, 800, &whole));
	datagram[100] ^= 1;
	frame = fragment_of(2, "10.0.0.1", 0, 800, false);
	assert_false(reassembly_add(&reassembly, 0, &frame, &whole));
	assert_counts(2, 5);
	assert_false(add(2, 800, datagram_bytes, &whole));
	assert_counts(2, 5);
}

/* The rest of a datagram that comes too late begins a new one, which is never whole. */
static void test_too_late(void **state)
{
	struct frame whole = {0};

	(void)state;
	make_datagram(2000, 5);
	assert_false(add(1, 0, 1000, &whole));
	now += (uint64_t)REASSEMBLY_S << 32;
	assert_true(add(1, 1000, datagram_bytes, &whole));
	give_back(&whole);
	assert_counts(1, 0);
	assert_false(add(2, 0, 1000, &whole));
	now += (uint64_t)(REASSEMBLY_S + 1) << 32;
	assert_false(add(2, 1000, datagram_bytes, &whole));
	assert_counts(1, 1);
	reassembly_give_up(&reassembly);
	assert_counts(1, 2);
}

/* With every place taken the oldest makes room; places that are lent stay. */
static void test_no_place(void **state)
{
	struct frame whole = {0}, kept = {0};

	(void)state;
	make_datagram(2000, 6);
	assert_false(add(1000, 0, 1000, &kept));
	assert_true(add(1000, 1000, datagram_bytes, &kept));
	for (unsigned i = 0; i < REASSEMBLY_DATAGRAMS; i++) {
		now++;
		assert_false(add(i, 0, 1000, &whole));
	}
	assert_counts(1, 1); /* of datagram 0 */
	assert_false(add(0, 1000, datagram_bytes, &whole));
	assert_counts(1, 2); /* of datagram 1 */
	assert_true(add(2, 1000, datagram_bytes, &whole));
	assert_whole(&whole);
	assert_whole(&kept);
	assert_int_not_equal(whole.slot, kept.slot);
}

static void test_all_lent(void **state)
{
	struct frame whole = {0};

	(void)state;
	make_datagram(2000, 7);
	for (unsigned i = 0; i < REASSEMBLY_DATAGRAMS; i++) {
		assert_false(add(i, 0, 1000, &whole));
		assert_true(add(i, 1000, datagram_bytes, &whole));
	}
	assert_false(add(5000, 0, 1000, &whole));
	assert_counts(REASSEMBLY_DATAGRAMS, 1);
	give_back(&whole);
	assert_false(add(5000, 0, 1000, &whole));
	assert_true(add(5000, 1000, datagram_bytes, &whole));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_in_order), TEST(test_any_order), TEST(test_side_by_side),
		TEST(test_refused),  TEST(test_repeated),  TEST(test_too_late),
		TEST(test_no_place), TEST(test_all_lent),
	};

	return cmocka_run_group_tests_name("reassembly", tests, NULL, NULL);
}
