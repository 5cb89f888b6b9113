// SPDX-License-Identifier: MIT
/*
 * forward: every frame of a burst ends in exactly one counter, and its slot is released exactly
 * once. The outputs are closed, if there are any, so that no sockets are needed; test_egress.c has
 * those.
 */
#include "worker/forward.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

enum { FRAME_BYTES = 14 + 20 + 8 + 4, IP = 14, UDP = 34 };

enum { SLOTS = 32, OUTPUTS = 3 };

static struct counters counters;
static struct rule_counters rule_counters[2];
static struct route routes[2];
static struct forwarder forwarder;
static struct reassembly reassembly;
static uint8_t good[FRAME_BYTES];

static unsigned released[SLOTS];
static uint32_t holds[SLOTS];
static struct output_counters output_counters[OUTPUTS];
static struct output outputs[OUTPUTS];
static struct output *output_list[OUTPUTS] = {&outputs[0], &outputs[1], &outputs[2]};
static struct egress egress;

static void count_release(struct ingress *ingress, uint32_t slot)
{
	assert_ptr_equal(ingress->holds, holds);
	assert_in_range(slot, 0, SLOTS - 1);
	released[slot]++;
}

static const struct ingress_ops release_only = {.release = count_release};
static struct ingress ingress = {.ops = &release_only, .holds = holds};

static unsigned runs; /* handed to egress */

/* As the egress does it for the unified thread model. */
static void drop(void *context, struct hold hold)
{
	assert_ptr_equal(context, &egress);
	runs++;
	hold_drop(hold);
}

/* That of an IP header without options. */
static void put_checksum(uint8_t *frame)
{
	unsigned sum = 0;

	frame[IP + 10] = frame[IP + 11] = 0;
	for (unsigned i = IP; i < UDP; i += 2)
		sum += (unsigned)frame[i] << 8 | frame[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	frame[IP + 10] = (uint8_t)(~sum >> 8);
	frame[IP + 11] = (uint8_t)~sum;
}

/* 4 payload bytes to 239.1.2.3:5000, UDP checksum not computed. */
static void build_good(void)
{
	static const uint8_t headers[] = {
		1,    0,    0x5e, 1,	2,   3,	 2, 0, 0, 0,  0, 1, 8, 0, /* Ethernet */
		0x45, 0,    0,	  32,	0,   0,	 0, 0, 7, 17, 0, 0,	  /* IP */
		10,   0,    0,	  1,	239, 1,	 2, 3,			  /* addresses */
		0x0f, 0xa0, 0x13, 0x88, 0,   12, 0, 0,			  /* UDP */
	};

	memset(good, 'x', sizeof(good));
	memcpy(good, headers, sizeof(headers));
	put_checksum(good);
}

static int setup(void **state)
{
	(void)state;
	memset(&counters, 0, sizeof(counters));
	memset(rule_counters, 0, sizeof(rule_counters));
	build_good();
	for (unsigned i = 0; i < 2; i++)
		routes[i] = (struct route){.counters = &rule_counters[i]};
	memset(released, 0, sizeof(released));
	memset(holds, 0, sizeof(holds));
	memset(output_counters, 0, sizeof(output_counters));
	for (unsigned i = 0; i < OUTPUTS; i++)
		outputs[i] =
			(struct output){.fd = -1, .error = ENODEV, .counters = &output_counters[i]};
	if (reassembly_init(&reassembly, &counters) < 0)
		return -1;
	egress = (struct egress){.counters = &counters, .drop = drop, .drop_context = &egress};
	forwarder = (struct forwarder){.routes = routes,
				       .counters = &counters,
				       .egress = &egress,
				       .reassembly = &reassembly};
	if (rule_table_init(&forwarder.table, 2, 4) < 0)
		return -1;
	rule_table_insert(&forwarder.table, (struct rule_key){inet_addr("239.9.9.9"), 1, 0}, 0);
	rule_table_insert(&forwarder.table, (struct rule_key){inet_addr("239.1.2.3"), 5000, 3}, 1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rule_table_exit(&forwarder.table);
	reassembly_exit(&reassembly);
	return 0;
}

static struct frame frame_of(const uint8_t *data)
{
	return (struct frame){.data = data, .captured = FRAME_BYTES, .original = FRAME_BYTES};
}

/* The head of an aggregate of so many bytes in all; its payload is the caller's. */
static struct frame aggregate_of(uint8_t *data, uint32_t bytes, uint32_t segment_bytes)
{
	memcpy(data, good, UDP + 8);
	data[IP + 2] = (uint8_t)((bytes - IP) >> 8);
	data[IP + 3] = (uint8_t)(bytes - IP);
	data[UDP + 4] = (uint8_t)((bytes - UDP) >> 8);
	data[UDP + 5] = (uint8_t)(bytes - UDP);
	put_checksum(data);
	return (struct frame){.data = data,
			      .captured = bytes,
			      .original = bytes,
			      .segment_bytes = segment_bytes,
			      .checksum_good = true};
}

/* One burst of one frame: it is counted there and nowhere else. */
static void assert_counted(struct frame frame, uint16_t index, enum counter where)
{
	static const enum counter ends[] = {COUNTER_drop_malformed, COUNTER_drop_fragment,
					    COUNTER_drop_truncated, COUNTER_drop_checksum,
					    COUNTER_drop_no_match,  COUNTER_drop_source,
					    COUNTER_matched};

	memset(&counters, 0, sizeof(counters));
	memset(released, 0, sizeof(released));
	frame.slot = 5;
	forward_burst(&forwarder, &ingress, index, &frame, 1);
	forward_end(&forwarder, 1);
	reassembly_give_up(&reassembly); /* a fragment that waits for others */
	for (unsigned i = 0; i < SLOTS; i++)
		assert_int_equal(released[i], i == 5);
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

/* Fragments that make a datagram: it is matched, and its sends hold a place of the reassembly. */
static void test_fragments(void **state)
{
	struct output *list[] = {&outputs[0]};
	uint8_t halves[2][FRAME_BYTES];
	struct frame frames[2];

	(void)state;
	routes[1] = (struct route){list, 1, &rule_counters[1]};
	for (unsigned i = 0; i < 2; i++) {
		memcpy(halves[i], good, FRAME_BYTES);
		halves[i][IP + 3] = i ? 24 : 28; /* 8 bytes, the UDP header, and 4 */
		halves[i][IP + 6] = i ? 0 : 0x20;
		halves[i][IP + 7] = i ? 1 : 0;
		memmove(halves[i] + UDP, good + UDP + 8 * i, i ? 4 : 8);
		put_checksum(halves[i]);
		frames[i] = frame_of(halves[i]);
		frames[i].slot = i;
	}
	forward_burst(&forwarder, &ingress, 3, frames, 1);
	forward_end(&forwarder, 0); /* nothing is known of it yet */
	assert_int_equal(counter_get(&counters, COUNTER_recv_packets), 0);
	assert_int_equal(counters.histogram[HISTOGRAM_packets_per_burst][0], 0);
	forward_burst(&forwarder, &ingress, 3, frames + 1, 1);
	assert_int_equal(counter_get(&counters, COUNTER_recv_packets), 2);
	assert_int_equal(counter_get(&counters, COUNTER_joined_fragments), 1);
	assert_int_equal(counter_get(&counters, COUNTER_matched), 1);
	assert_int_equal(counter_read(&rule_counters[1].bytes), 4);
	assert_int_equal(released[0] + released[1], 2);
	assert_int_equal(counter_get(&counters, COUNTER_egress_queued), 1);
	assert_int_equal(reassembly.ingress.lent,
			 0); /* the output is closed: its hold is dropped */
}

/* The ledger of a burst: what was received went somewhere. */
static void test_burst(void **state)
{
	uint8_t bad[FRAME_BYTES] = {0};
	struct frame frames[12];

	(void)state;
	for (unsigned i = 0; i < 12; i++)
		frames[i] = frame_of(i % 3 ? good : bad);
	for (unsigned i = 0; i < 12; i++)
		frames[i].slot = i;
	forward_burst(&forwarder, &ingress, 3, frames, 12);
	forward_end(&forwarder, 12);
	forward_burst(&forwarder, &ingress, 0, frames, 6);
	forward_end(&forwarder, 6);
	assert_int_equal(counter_get(&counters, COUNTER_recv_packets), 18);
	assert_int_equal(counter_get(&counters, COUNTER_recv_bytes), 18 * FRAME_BYTES);
	assert_int_equal(counter_get(&counters, COUNTER_matched), 8);
	assert_int_equal(counter_get(&counters, COUNTER_drop_no_match), 4);
	assert_int_equal(counters_filtered(&counters), 6);
	assert_int_equal(counter_get(&counters, COUNTER_bursts), 2);
	assert_int_equal(counter_get(&counters, COUNTER_egress_queued), 0);
	for (unsigned i = 0; i < SLOTS; i++)
		assert_int_equal(released[i], (i < 12) + (i < 6));
}

/* A slot is held once per output, and released when the last one has done with it. */
static void test_fan_out(void **state)
{
	struct frame frames[4];

	(void)state;
	routes[1].outputs = output_list;
	for (unsigned num = 1; num <= OUTPUTS; num++) {
		routes[1].num_outputs = num;
		memset(released, 0, sizeof(released));
		memset(&counters, 0, sizeof(counters));
		for (unsigned i = 0; i < 4; i++) {
			frames[i] = frame_of(good);
			frames[i].slot = 7 * i;
		}
		forward_burst(&forwarder, &ingress, 3, frames, 4);
		assert_int_equal(counter_get(&counters, COUNTER_matched), 4);
		assert_int_equal(counter_get(&counters, COUNTER_egress_queued), 4 * num);
		assert_int_equal(counter_get(&counters, COUNTER_egress_errors), 4 * num);
		for (unsigned i = 0; i < SLOTS; i++) {
			assert_int_equal(released[i], i % 7 == 0 && i < 28);
			assert_int_equal(holds[i], 0);
		}
	}
	assert_int_equal(output_counters[0].errors[CAUSE_ENODEV], 12);
	assert_int_equal(output_counters[2].errors[CAUSE_ENODEV], 4);
}

/* A rule for some sources: what comes from others is counted as such, not as asked for by nobody.
 */
static void test_source(void **state)
{
	const struct rule_key key = {inet_addr("239.1.2.3"), 5000, 7};

	(void)state;
	rule_table_insert_source(&forwarder.table, key, 0x0a000001, 0x0a000001, 1);
	rule_table_insert_source(&forwarder.table, key, 0x0a000100, 0x0a0001ff, 0);
	rule_table_complete(&forwarder.table);
	assert_counted(frame_of(good), 7, COUNTER_matched); /* from 10.0.0.1 */
	assert_int_equal(rule_counters[1].packets, 1);
	good[IP + 14] = 1; /* from 10.0.1.1 */
	put_checksum(good);
	assert_counted(frame_of(good), 7, COUNTER_matched);
	assert_int_equal(rule_counters[0].packets, 1);
	good[IP + 14] = 2;
	put_checksum(good);
	assert_counted(frame_of(good), 7, COUNTER_drop_source);
	assert_int_equal(counters_filtered(&counters), 1);
	assert_counted(frame_of(good), 3, COUNTER_matched); /* this rule has no sources */
	assert_counted(frame_of(good), 6, COUNTER_drop_no_match);
	assert_int_equal(rule_counters[0].packets, 1);
	assert_int_equal(rule_counters[1].packets, 2);
}

static void set_ttl(uint8_t ttl)
{
	build_good();
	good[IP + 8] = ttl;
	put_checksum(good);
}

/* What has come to the end of its TTL is not for outputs that send it on with one less; others get
 * it. */
static void test_ttl_at_its_end(void **state)
{
	struct frame frame = frame_of(good);

	(void)state;
	routes[1].outputs = output_list;
	routes[1].num_outputs = OUTPUTS;
	outputs[0].marks = MARKS_TTL;
	outputs[1].marks = MARKS_TTL | MARKS_DSCP;
	outputs[2].marks = MARKS_DSCP;
	routes[1].marks = true;
	frame.segment_bytes = 1; /* 4 packets */
	for (unsigned ttl = 0; ttl <= 3; ttl++) {
		const unsigned outs = ttl <= 1 ? 1 : OUTPUTS;

		memset(&counters, 0, sizeof(counters));
		memset(released, 0, sizeof(released));
		set_ttl((uint8_t)ttl);
		forward_burst(&forwarder, &ingress, 3, &frame, 1);
		assert_int_equal(counter_get(&counters, COUNTER_matched), 4);
		assert_int_equal(counter_get(&counters, COUNTER_drop_ttl), 4 * (OUTPUTS - outs));
		assert_int_equal(counter_get(&counters, COUNTER_egress_queued), 4 * outs);
		assert_int_equal(released[0], 1);
		assert_int_equal(holds[0], 0);
	}
}

/* An aggregate stands for several packets, and leaves as those: the last one may be shorter. */
static void test_aggregate(void **state)
{
	static const struct {
		uint16_t segment_bytes;
		unsigned packets;
	} aggregates[] = {{0, 1}, {1, 4}, {2, 2}, {3, 2}, {4, 1}, {5, 1}, {65535, 1}};

	(void)state;
	routes[1].outputs = output_list;
	routes[1].num_outputs = OUTPUTS;
	for (unsigned i = 0; i < sizeof(aggregates) / sizeof(aggregates[0]); i++) {
		const unsigned packets = aggregates[i].packets;
		struct frame frame = frame_of(good);

		memset(&counters, 0, sizeof(counters));
		memset(rule_counters, 0, sizeof(rule_counters));
		memset(released, 0, sizeof(released));
		frame.segment_bytes = aggregates[i].segment_bytes;
		forward_burst(&forwarder, &ingress, 3, &frame, 1);
		assert_int_equal(counter_get(&counters, COUNTER_recv_frames), 1);
		assert_int_equal(counter_get(&counters, COUNTER_recv_packets), packets);
		assert_int_equal(counter_get(&counters, COUNTER_matched), packets);
		assert_int_equal(counter_get(&counters, COUNTER_egress_queued), OUTPUTS * packets);
		assert_int_equal(rule_counters[1].packets, packets);
		assert_int_equal(rule_counters[1].bytes, 4);
		assert_int_equal(released[0], 1);
		assert_int_equal(holds[0], 0);

		/* given up, it is as many */
		memset(&counters, 0, sizeof(counters));
		forward_burst(&forwarder, &ingress, 2, &frame, 1);
		frame.captured--;
		forward_burst(&forwarder, &ingress, 3, &frame, 1);
		assert_int_equal(counter_get(&counters, COUNTER_drop_no_match), packets);
		assert_int_equal(counter_get(&counters, COUNTER_drop_truncated), packets);
		assert_int_equal(counter_get(&counters, COUNTER_recv_packets), 2 * packets);
	}
}

/* No run is longer than one send can take. */
static void test_long_aggregate(void **state)
{
	static const struct {
		uint16_t segment_bytes;
		unsigned packets, runs;
	} aggregates[] = {{1, 64, 1},	 {1, 65, 2},	{1, 128, 2},   {10, 129, 3},
			  {1023, 64, 1}, {1024, 64, 2}, {1400, 46, 1}, {1400, 47, 2},
			  {32753, 2, 1}, {32754, 2, 2}, {65507, 1, 1}, {9, 6000, 94}};
	static uint8_t large[14 + 65535];

	(void)state;
	routes[1].outputs = output_list;
	routes[1].num_outputs = OUTPUTS;
	for (unsigned i = 0; i < sizeof(aggregates) / sizeof(aggregates[0]); i++) {
		const uint32_t payload = aggregates[i].segment_bytes * aggregates[i].packets;
		const uint32_t bytes = UDP + 8 + (payload < 65507 ? payload : 65507);
		const struct frame frame = aggregate_of(large, bytes, aggregates[i].segment_bytes);

		memset(&counters, 0, sizeof(counters));
		memset(released, 0, sizeof(released));
		runs = 0;
		forward_burst(&forwarder, &ingress, 3, &frame, 1);
		assert_int_equal(counter_get(&counters, COUNTER_matched), aggregates[i].packets);
		assert_int_equal(counter_get(&counters, COUNTER_egress_queued),
				 OUTPUTS * aggregates[i].packets);
		assert_int_equal(runs, OUTPUTS * aggregates[i].runs);
		assert_int_equal(released[0], 1);
		assert_int_equal(holds[0], 0);
	}
}

/* ------------------------------------------------------------------------- loops */

static struct loops loops;

static void look_for_loops(unsigned num_outputs)
{
	assert_int_equal(loops_init(&loops), 0);
	forwarder.loops = &loops;
	forwarder.num_routes = 2;
	forwarder.tick = 1;
	routes[0].number = 8;
	routes[1] = (struct route){.outputs = output_list,
				   .num_outputs = num_outputs,
				   .counters = &rule_counters[1],
				   .watch.bytes = LOOP_NOTHING,
				   .number = 9};
}

static void comes(struct frame frame)
{
	forward_burst(&forwarder, &ingress, 3, &frame, 1);
}

/* What has been given to outputs, of which each has had the same. */
static uint64_t sent(void)
{
	return counter_get(&counters, COUNTER_egress_queued) / routes[1].num_outputs;
}

/* A sender says the same a thousand times, then no more. */
static void test_same_payload_is_not_lost(void **state)
{
	(void)state;
	look_for_loops(2);
	for (unsigned i = 0; i < 1000 || loops_busy(&loops); i++) {
		forwarder.tick = 1 + i / 50;
		if (i < 1000)
			comes(frame_of(good));
		if (i == 500)
			assert_true(counter_get(&counters, COUNTER_matched) > sent());
		loops_step(&forwarder, true);
	}
	assert_int_equal(sent(), 1000);
	assert_int_equal(counter_get(&counters, COUNTER_drop_loop), 0);
	assert_int_equal(loops.found.type, 0);
	assert_false(routes[1].stopped);
	assert_int_equal(loops.lent, 0);
	loops_exit(&loops);
}

/* Rules change in the middle of a test. */
static void test_test_given_up(void **state)
{
	unsigned come = 0;

	(void)state;
	look_for_loops(3);
	while (loops.state != LOOPS_TESTING && come++ < 100000)
		comes(frame_of(good));
	comes(frame_of(good));
	assert_int_equal(sent(), come - 1);
	loops_give_up(&forwarder);
	assert_int_equal(sent(), come + 1);
	assert_false(loops_busy(&loops));
	loops_exit(&loops);
}

/* After a test that found nothing there is none for a while: until the pause is over, or the clock
 * of frames was set back so far that it cannot be a pause. Milliseconds go round after 49 days. */
static void test_pause_after_a_failure(void **state)
{
	static const struct {
		uint32_t tick, until;
		bool tested;
	} pauses[] = {{1, 0, true},
		      {1, 1, true},
		      {1, 2, false},
		      {1, 60001, false},
		      {1, 3600001, true},
		      {0x80000001, 0, true},
		      {UINT32_MAX, 99, false},
		      {100, UINT32_MAX, true}};

	(void)state;
	for (unsigned i = 0; i < sizeof(pauses) / sizeof(pauses[0]); i++) {
		look_for_loops(1);
		forwarder.tick = pauses[i].tick;
		loops.history[9].until = pauses[i].until;
		for (unsigned come = 0; come < 10000 && loops.state != LOOPS_TESTING; come++)
			comes(frame_of(good));
		assert_int_equal(loops.state == LOOPS_TESTING, pauses[i].tested);
		loops_give_up(&forwarder);
		loops_exit(&loops);
	}
}

/* Each packet that is sent comes back at once, to each output's. */
static void test_loop_is_stopped(void **state)
{
	uint64_t come = 0;

	(void)state;
	look_for_loops(1);
	comes(frame_of(good));
	for (unsigned turn = 0; !routes[1].stopped; turn++) {
		for (; come < sent() && come < 100000; come++)
			comes(frame_of(good));
		assert_in_range(come, 0, 99999);
		loops_step(&forwarder, true);
	}
	assert_in_range(come, LOOP_RETURNS, 99999);
	assert_int_equal(loops.found.type, MESSAGE_LOOP);
	assert_int_equal(loops.found.index, 9);
	assert_int_equal(loops.found.loop.source, 0x0a000001);
	assert_int_equal(loops.found.loop.source_port, 4000);
	assert_int_equal(loops.found.loop.num_rules, 0);
	assert_int_equal(counter_get(&counters, COUNTER_drop_loop), 1);
	comes(frame_of(good));
	assert_int_equal(counter_get(&counters, COUNTER_drop_loop), 2);
	assert_int_equal(sent() + 2, counter_get(&counters, COUNTER_matched));
	loops_exit(&loops);
}

/* Of more of them than can be taken out one by one, the rest goes on. */
static void test_loop_within_a_large_aggregate(void **state)
{
	enum { COUNT = 1000 };
	static uint8_t frame[UDP + 8 + COUNT];
	const struct frame whole = aggregate_of(frame, sizeof(frame), 1);
	uint64_t withheld;

	(void)state;
	look_for_loops(1);
	for (unsigned i = 0; i < COUNT; i++)
		frame[UDP + 8 + i] = i % 2;
	for (unsigned i = 0; loops.state != LOOPS_TESTING && i < 100000; i++)
		comes(whole);
	withheld = loops.test.withheld;
	assert_in_range(withheld, 32, 64);
	assert_int_equal(sent() + withheld, counter_get(&counters, COUNTER_matched));
	loops_give_up(&forwarder);
	assert_int_equal(sent(), counter_get(&counters, COUNTER_matched));
	loops_exit(&loops);
}

/* Of an aggregate only the packets in the loop are withheld, and the others go on. */
static void test_loop_within_aggregates(void **state)
{
	enum { SIZE = 100, COUNT = 20 };
	static uint8_t frame[UDP + 8 + COUNT * SIZE];
	const struct frame whole = aggregate_of(frame, sizeof(frame), SIZE);
	unsigned come = 0;

	(void)state;
	look_for_loops(2);
	for (unsigned i = 0; i < COUNT; i++)
		memset(frame + UDP + 8 + i * SIZE, (int)(i % 7), SIZE); /* 0 three times */
	while (loops.state != LOOPS_TESTING && come++ < 100000)
		comes(whole);
	assert_int_equal(sent(), come * COUNT - 3);
	assert_int_equal(loops.test.withheld, 3);
	assert_int_equal(holds[0], 0);
	loops_give_up(&forwarder);
	assert_int_equal(sent(), come * COUNT);
	loops_exit(&loops);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_same_payload_is_not_lost),
		TEST(test_test_given_up),
		TEST(test_pause_after_a_failure),
		TEST(test_loop_is_stopped),
		TEST(test_loop_within_aggregates),
		TEST(test_loop_within_a_large_aggregate),
		TEST(test_matched),
		TEST(test_no_match),
		TEST(test_drops),
		TEST(test_burst),
		TEST(test_fragments),
		TEST(test_fan_out),
		TEST(test_aggregate),
		TEST(test_long_aggregate),
		TEST(test_ttl_at_its_end),
		TEST(test_source),
	};

	return cmocka_run_group_tests_name("forward", tests, NULL, NULL);
}
