// SPDX-License-Identifier: MIT
/*
 * input_filter: what rules name gets in, and nothing else. The kernel runs the programs: on Unix
 * datagrams, which any socket filter sees as a packet socket's sees frames, without privileges.
 */
#include "supervisor/input_filter.h"
#include "worker/packet.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

enum { PORT = 5000, PAYLOAD = 30, PRIORITY = 0xa000, VLAN = 100 };

static const struct filter_frames all_sizes = {.max = UINT32_MAX};
static struct filter_keys keys;
static int pair[2];

static struct in_addr group_number(unsigned number)
{
	return (struct in_addr){htonl(0xef010000U + number)};
}

static int setup(void **state)
{
	(void)state;
	memset(&keys, 0, sizeof(keys));
	return socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair);
}

static int teardown(void **state)
{
	(void)state;
	close(pair[0]);
	close(pair[1]);
	return 0;
}

/* ------------------------------------------------------------------------- frames */

static struct {
	uint8_t bytes[256];
	unsigned ip, length;
} made;

static void put16(unsigned at, unsigned value)
{
	made.bytes[at] = (uint8_t)(value >> 8);
	made.bytes[at + 1] = (uint8_t)value;
}

static void set_checksum(void)
{
	const unsigned header = (made.bytes[made.ip] & 0xfU) * 4;
	uint32_t sum = 0;

	put16(made.ip + 10, 0);
	for (unsigned i = 0; i < header; i += 2)
		sum += (uint32_t)made.bytes[made.ip + i] << 8 | made.bytes[made.ip + i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	put16(made.ip + 10, ~sum & 0xffff);
}

/* Behind tags with these contents, -1: none; `options`: words of them. */
static void make(struct in_addr group, uint16_t port, int first_tag, int second_tag,
		 unsigned options)
{
	const int tags[] = {first_tag, second_tag};
	const unsigned header = 20 + 4 * options;
	unsigned at = 12;

	memset(&made, 0, sizeof(made));
	for (unsigned i = 0; i < 2 && tags[i] >= 0; i++, at += 4) {
		put16(at, i == 0 ? 0x8100 : 0x88a8);
		put16(at + 2, (unsigned)tags[i]);
	}
	put16(at, 0x0800);
	made.ip = at + 2;
	made.bytes[made.ip] = (uint8_t)(0x40 + header / 4);
	put16(made.ip + 2, header + 8 + PAYLOAD);
	made.bytes[made.ip + 9] = IPPROTO_UDP;
	memcpy(&made.bytes[made.ip + 16], &group, sizeof(group));
	memset(&made.bytes[made.ip + 20], 1, 4 * options);
	put16(made.ip + header + 2, port);
	put16(made.ip + header + 4, 8 + PAYLOAD);
	made.length = made.ip + header + 8 + PAYLOAD;
	set_checksum();
}

static void make_plain(struct in_addr group, uint16_t port)
{
	make(group, port, -1, -1, 0);
}

static void make_fragment(struct in_addr group, unsigned flags_and_offset)
{
	make_plain(group, 1);
	put16(made.ip + 6, flags_and_offset);
	set_checksum();
}

/* ------------------------------------------------------------------------- the kernel */

static unsigned attach(const struct filter_frames *frames)
{
	struct input_filter filter;
	struct sock_fprog program = {.filter = filter.code};

	input_filter_build(&filter, frames, &keys);
	program.len = (unsigned short)filter.length;
	assert_int_equal(
		setsockopt(pair[1], SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)), 0);
	return filter.length;
}

static bool gets_in(void)
{
	uint8_t bytes[sizeof(made.bytes)];

	assert_int_equal(send(pair[0], made.bytes, made.length, 0), made.length);
	return recv(pair[1], bytes, sizeof(bytes), 0) == (ssize_t)made.length;
}

static void take_one_group(void)
{
	filter_keys_add(&keys, group_number(1), PORT);
	attach(&all_sizes);
}

/* ------------------------------------------------------------------------- tests */

static void test_named(void **state)
{
	(void)state;
	take_one_group();
	make_plain(group_number(1), PORT);
	assert_true(gets_in());
	make(group_number(1), PORT, -1, -1, 10);
	assert_true(gets_in());
	make_plain(group_number(1), PORT + 1);
	assert_false(gets_in());
	make_plain(group_number(2), PORT);
	assert_false(gets_in());
	make_plain(group_number(1), PORT);
	made.bytes[made.ip + 9] = IPPROTO_TCP;
	assert_false(gets_in());
	make_plain(group_number(1), PORT);
	put16(12, 0x86dd);
	assert_false(gets_in());
}

static void test_nothing_named(void **state)
{
	(void)state;
	attach(&all_sizes);
	make_plain(group_number(0), 0);
	assert_false(gets_in());
	make_plain((struct in_addr){0}, 0);
	assert_false(gets_in());
}

static void test_fragments(void **state)
{
	(void)state;
	take_one_group();
	make_fragment(group_number(1), 0x2000);
	assert_true(gets_in());
	make_fragment(group_number(1), 0x2010);
	assert_true(gets_in());
	make_fragment(group_number(1), 0x0010);
	assert_true(gets_in());
	make_fragment(group_number(1), 0x4000); /* must not be fragmented, and is none */
	assert_false(gets_in());
	make_fragment(group_number(2), 0x2000);
	assert_false(gets_in());
}

static void test_tags(void **state)
{
	static const struct {
		int first, second;
		bool in;
	} cases[] = {
		{0, -1, true},	     {PRIORITY, -1, true},
		{VLAN, -1, false},   {PRIORITY | 1, -1, false},
		{0, PRIORITY, true}, {0, VLAN, false},
		{VLAN, 0, false},    {VLAN, VLAN + 1, false},
	};

	(void)state;
	take_one_group();
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		make(group_number(1), PORT, cases[i].first, cases[i].second, 1);
		assert_int_equal(gets_in(), cases[i].in);
	}
}

static void test_sizes(void **state)
{
	(void)state;
	filter_keys_add(&keys, group_number(1), PORT);
	make_plain(group_number(1), PORT);
	attach(&(struct filter_frames){.min = made.length, .max = made.length});
	assert_true(gets_in());
	attach(&(struct filter_frames){.min = made.length + 1, .max = UINT32_MAX});
	assert_false(gets_in());
	attach(&(struct filter_frames){.min = 0, .max = made.length - 1});
	assert_false(gets_in());
}

/* Whatever the shape of the search. */
static void test_any_number_of_keys(void **state)
{
	(void)state;
	for (unsigned count = 1; count <= 60; count++) {
		memset(&keys, 0, sizeof(keys));
		for (unsigned i = 0; i < count; i++)
			filter_keys_add(&keys, group_number(7), (uint16_t)(2 * i + 1));
		attach(&all_sizes);
		for (unsigned i = 0; i < 2 * count + 2; i++) {
			make_plain(group_number(7), (uint16_t)i);
			/* port 0 is how fragments look */
			assert_int_equal(gets_in(), i == 0 || (i % 2 == 1 && i < 2 * count));
		}
	}
}

static void test_most_keys(void **state)
{
	(void)state;
	for (unsigned i = 0; i < FILTER_KEYS_MAX / 2; i++)
		filter_keys_add(&keys, group_number(i), (uint16_t)(PORT + i % 7));
	assert_int_equal(keys.count, FILTER_KEYS_MAX);
	assert_false(keys.everything);
	assert_in_range(attach(&all_sizes), FILTER_KEYS_MAX, BPF_MAXINSNS);
	for (unsigned i = 0; i < FILTER_KEYS_MAX / 2; i++) {
		make_plain(group_number(i), (uint16_t)(PORT + i % 7));
		assert_true(gets_in());
		make_plain(group_number(i), (uint16_t)(PORT + i % 7 + 7));
		assert_false(gets_in());
	}
}

static void test_too_many_keys(void **state)
{
	(void)state;
	for (unsigned i = 0; i <= FILTER_KEYS_MAX / 2; i++)
		filter_keys_add(&keys, group_number(i), PORT);
	assert_true(keys.everything);
	attach(&all_sizes);
	make_plain(group_number(9999), 1);
	assert_true(gets_in());
	made.bytes[made.ip + 9] = IPPROTO_TCP;
	assert_false(gets_in());
	make(group_number(1), PORT, VLAN, -1, 0);
	assert_false(gets_in());
}

static void test_keys_once(void **state)
{
	struct filter_keys others = {0};

	(void)state;
	filter_keys_add(&keys, group_number(3), 10);
	filter_keys_add(&keys, group_number(3), 11);
	filter_keys_add(&keys, group_number(3), 10);
	assert_int_equal(keys.count, 3); /* one for fragments */
	filter_keys_add(&others, group_number(3), 11);
	assert_false(filter_keys_equal(&keys, &others));
	filter_keys_add(&others, group_number(3), 10);
	assert_true(filter_keys_equal(&keys, &others));
	others.everything = true;
	assert_false(filter_keys_equal(&keys, &others));
	keys.everything = true;
	keys.count = 0;
	assert_true(filter_keys_equal(&keys, &others));
}

/* Of frames with any damage: what the worker would relay gets in, and a VLAN's does not. */
static void test_agrees_with_the_worker(void **state)
{
	unsigned relayed = 0;

	(void)state;
	take_one_group();
	for (unsigned round = 0; round < 30000; round++) {
		struct frame frame = {.data = made.bytes, .checksum_good = true};
		struct packet packet;
		enum packet_verdict verdict;
		bool ours;

		make(group_number((unsigned)rand() % 8 ? 1 : 2), PORT,
		     rand() % 3 ? -1 : rand() % 2 * PRIORITY, rand() % 2 ? -1 : rand() % 2 * VLAN,
		     (unsigned)rand() % 3);
		for (int i = rand() % 3; i > 0; i--)
			made.bytes[12 + rand() % 50] = (uint8_t)rand();
		if (rand() % 4)
			set_checksum();
		if (rand() % 4 == 0)
			made.length = (unsigned)rand() % (made.length - 14) + 14;
		frame.captured = frame.original = made.length;
		verdict = packet_parse(&frame, &packet);
		ours = (verdict == PACKET_OK && packet.group == group_number(1).s_addr &&
			packet.port == PORT);
		relayed += ours;
		if (ours)
			assert_true(gets_in());
		else if (gets_in() && verdict == PACKET_OK)
			assert_int_equal((packet.group ^ group_number(1).s_addr) & htonl(INT32_MAX),
					 0);
	}
	assert_in_range(relayed, 1000, 29000);
}

/* The kernel checks a program when it is attached; real packets are in the tests with a tunnel. */
static void test_without_link_header(void **state)
{
	(void)state;
	filter_keys_add(&keys, group_number(1), PORT);
	attach(&(struct filter_frames){.bare = true, .max = UINT32_MAX});
	keys.everything = true;
	attach(&(struct filter_frames){.bare = true, .max = UINT32_MAX});
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_named),
		TEST(test_nothing_named),
		TEST(test_fragments),
		TEST(test_tags),
		TEST(test_sizes),
		TEST(test_any_number_of_keys),
		TEST(test_most_keys),
		TEST(test_too_many_keys),
		TEST(test_keys_once),
		TEST(test_agrees_with_the_worker),
		TEST(test_without_link_header),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
