// SPDX-License-Identifier: MIT
/*
 * forward: every frame of a burst ends in exactly one counter. The rule that matches has no
 * outputs, so that no sockets are needed; test_egress.c has those.
 */
#include "../forward.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

enum { FRAME_BYTES = 14 + 20 + 8 + 4, IP = 14, UDP = 34 };

static struct counters counters;
static struct rule_counters rule_counters[2];
static struct route routes[2];
static struct forwarder forwarder;
static uint8_t good[FRAME_BYTES];

/* 4 payload bytes to 239.1.2.3:5000, UDP checksum not computed. */
static void build_good(void)
{
	static const uint8_t headers[] = {
		1,    0,    0x5e, 1,	2,   3,	 2, 0, 0, 0,  0, 1, 8, 0, /* Ethernet */
		0x45, 0,    0,	  32,	0,   0,	 0, 0, 7, 17, 0, 0,	  /* IP */
		10,   0,    0,	  1,	239, 1,	 2, 3,			  /* addresses */
		0x0f, 0xa0, 0x13, 0x88, 0,   12, 0, 0,			  /* UDP */
	};
	unsigned sum = 0;

	memset(good, 'x', sizeof(good));
	memcpy(good, headers, sizeof(headers));
	for (unsigned i = IP; i < UDP; i += 2)
		sum += (unsigned)good[i] << 8 | good[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	good[IP + 10] = (uint8_t)(~sum >> 8);
	good[IP + 11] = (uint8_t)~sum;
}

static int setup(void **state)
{
	(void)state;
	memset(&counters, 0, sizeof(counters));
	memset(rule_counters, 0, sizeof(rule_counters));
	build_good();
	forwarder = (struct forwarder){
		.routes = routes, .rule_counters = rule_counters, .counters = &counters};
	if (rule_table_init(&forwarder.table, 2) < 0)
		return -1;
	rule_table_insert(&forwarder.table, (struct rule_key){inet_addr("239.9.9.9"), 1, 0}, 0);
	rule_table_insert(&forwarder.table, (struct rule_key){inet_addr("239.1.2.3"), 5000, 3}, 1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rule_table_exit(&forwarder.table);
	return 0;
}

static struct frame frame_of(const uint8_t *data)
{
	return (struct frame){.data = data, .captured = FRAME_BYTES, .original = FRAME_BYTES};
}

/* One burst of one frame: it is counted there and nowhere else. */
static void assert_counted(struct frame frame, uint16_t ingress, enum counter where)
{
	static const enum counter ends[] = {COUNTER_drop_malformed, COUNTER_drop_fragment,
					    COUNTER_drop_truncated, COUNTER_drop_checksum,
					    COUNTER_drop_no_match,  COUNTER_matched};

	memset(&counters, 0, sizeof(counters));
	forward_burst(&forwarder, ingress, &frame, 1);
	for (unsigned i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		assert_int_equal(counter_get(&counters, ends[i]), ends[i] == where);
	assert_int_equal(counter_get(&counters, COUNTER_recv_packets), 1);
	assert_int_equal(counter_get(&counters, COUNTER_recv_bytes), frame.original);
	assert_int_equal(counter_get(&counters, COUNTER_bursts), 1);
}

static void test_matched(void **state)
{
	(void)state;
	assert_counted(frame_of(good), 3, COUNTER_matched);
	assert_counted(frame_of(good), 3, COUNTER_matched);
	assert_int_equal(rule_counters[1].packets, 2);
	assert_int_equal(rule_counters[1].bytes, 8);
	assert_int_equal(rule_counters[0].packets, 0);
}

static void test_no_match(void **state)
{
	(void)state;
	assert_counted(frame_of(good), 2, COUNTER_drop_no_match); /* another interface */
	good[UDP + 3] ^= 1;
	assert_counted(frame_of(good), 3, COUNTER_drop_no_match); /* another port */
	assert_int_equal(rule_counters[1].packets, 0);
}

static void test_drops(void **state)
{
	struct frame frame = frame_of(good);

	(void)state;
	frame.captured -= 1;
	assert_counted(frame, 3, COUNTER_drop_truncated);
	good[IP + 8]++; /* TTL */
	assert_counted(frame_of(good), 3, COUNTER_drop_checksum);
	build_good();
	good[UDP + 7] = 1;
	assert_counted(frame_of(good), 3, COUNTER_drop_checksum);
	build_good();
	good[13] = 6;
	assert_counted(frame_of(good), 3, COUNTER_drop_malformed);
	build_good();
	good[IP + 6] = 0x20; /* more fragments; the checksum follows */
	good[IP + 10] = (uint8_t)(good[IP + 10] - 0x20);
	assert_counted(frame_of(good), 3, COUNTER_drop_fragment);
}

/* The ledger of a burst: what was received went somewhere. */
static void test_burst(void **state)
{
	uint8_t bad[FRAME_BYTES] = {0};
	struct frame frames[12];

	(void)state;
	for (unsigned i = 0; i < 12; i++)
		frames[i] = frame_of(i % 3 ? good : bad);
	forward_burst(&forwarder, 3, frames, 12);
	forward_burst(&forwarder, 0, frames, 6);
	assert_int_equal(counter_get(&counters, COUNTER_recv_packets), 18);
	assert_int_equal(counter_get(&counters, COUNTER_recv_bytes), 18 * FRAME_BYTES);
	assert_int_equal(counter_get(&counters, COUNTER_matched), 8);
	assert_int_equal(counter_get(&counters, COUNTER_drop_no_match), 4);
	assert_int_equal(counters_filtered(&counters), 6);
	assert_int_equal(counter_get(&counters, COUNTER_bursts), 2);
	assert_int_equal(counter_get(&counters, COUNTER_egress_queued), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_matched),
		TEST(test_no_match),
		TEST(test_drops),
		TEST(test_burst),
	};

	return cmocka_run_group_tests_name("forward", tests, NULL, NULL);
}
