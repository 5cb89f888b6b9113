// SPDX-License-Identifier: MIT
/*
 * egress: what goes in comes out, over real sockets and a real io_uring: what is sent as one, and
 * with what marks. The random tests run bursts of sizes around every limit there is.
 */
#include "egress_fixture.h"

/* ------------------------------------------------------------------------- what is coalesced */

struct burst {
	const char *what;
	uint32_t mtu;
	unsigned sends; /* as which it leaves */
	struct {
		unsigned count;
		uint32_t bytes;
	} runs[4];
};

static void test_coalescing(void **state)
{
	static const struct burst bursts[] = {
		{"one packet", LO_MTU, 1, {{1, 1400}}},
		{"two equal ones", LO_MTU, 1, {{2, 1400}}},
		{"as many as a send may have", LO_MTU, 1, {{64, 100}}},
		{"one more than that", LO_MTU, 2, {{65, 100}}},
		{"two full sends", LO_MTU, 2, {{128, 100}}},
		{"two full sends and one packet", LO_MTU, 3, {{129, 100}}},
		{"a short last one", LO_MTU, 1, {{10, 100}, {1, 99}}},
		{"a short one closes the send", LO_MTU, 2, {{10, 100}, {2, 99}}},
		{"a short one as the 64th", LO_MTU, 1, {{63, 100}, {1, 1}}},
		{"a short one as the 65th", LO_MTU, 2, {{64, 100}, {1, 1}}},
		{"a short one in between", LO_MTU, 2, {{5, 100}, {1, 50}, {5, 100}}},
		{"a longer one", LO_MTU, 2, {{5, 100}, {5, 101}}},
		{"empty packets", LO_MTU, 3, {{3, 0}}},
		{"an empty one in between", LO_MTU, 3, {{2, 100}, {1, 0}, {2, 100}}},
		{"one byte each", LO_MTU, 1, {{64, 1}}},
		{"as many bytes as a send may have", LO_MTU, 1, {{1, 32754}, {1, 32753}}},
		{"one byte more than that", LO_MTU, 2, {{2, 32754}}},
		{"the same with more packets", LO_MTU, 1, {{6, 10000}, {1, 5507}}},
		{"and one byte more", LO_MTU, 2, {{6, 10000}, {1, 5508}}},
		{"1400 bytes: 46 to a send", LO_MTU, 2, {{92, 1400}}},
		{"the largest", LO_MTU, 3, {{3, MAX_PAYLOAD}}},
		{"the largest but one, and one byte", LO_MTU, 1, {{1, MAX_PAYLOAD - 1}, {1, 1}}},
		{"just below the MTU", 1028, 1, {{3, 999}}},
		{"just the MTU", 1028, 1, {{3, 1000}}},
		{"just above the MTU", 1028, 3, {{3, 1001}}},
		{"small behind large", 1028, 2, {{1, 1001}, {3, 1000}}},
		{"large behind small", 1028, 3, {{3, 1000}, {2, 1001}}},
		{"no room for payload in the MTU", 28, 4, {{4, 1}}},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(bursts) / sizeof(bursts[0]); i++) {
		const struct burst *burst = &bursts[i];

		start(64, burst->mtu, GSO_AUTO);
		for (unsigned j = 0; j < 4; j++)
			for (unsigned k = 0; k < burst->runs[j].count; k++)
				add(0, burst->runs[j].bytes);
		flush_and_receive();
		if (count(COUNTER_sqes) != burst->sends)
			fail_msg("%s: left in %u sends instead of %u", burst->what,
				 (unsigned)count(COUNTER_sqes), burst->sends);
		assert_int_equal(count(COUNTER_submits), 1);
		stop(NULL);
	}
}

/* Packets of several outputs alternate, and yet each output gets one send. */
static void interleaved_outputs(void)
{
	start(64, LO_MTU, GSO_AUTO);
	for (unsigned i = 0; i < 60; i++)
		add(i % 3, 100 + i % 3);
	flush_and_receive();
	assert_int_equal(count(COUNTER_sqes), mode == EGRESS_URING ? 3 : 0);
	assert_int_equal(count(COUNTER_gso_sends), 3);
	assert_int_equal(count(COUNTER_gso_packets), 60);
	assert_int_equal(output_counters[1].packets, 20);
	assert_int_equal(output_counters[1].bytes, 20 * 101);
}

static void test_interleaved_outputs(void **state)
{
	(void)state;
	in_every_mode(interleaved_outputs);
}

struct aggregates {
	const char *what;
	unsigned sends;
	struct {
		uint32_t segments, segment_bytes, last_bytes;
	} runs[4];
};

/* What has been received as one leaves as one, with more of its size where there is room. */
static void test_aggregates(void **state)
{
	static const struct aggregates bursts[] = {
		{"one", 1, {{46, 1400, 1400}}},
		{"as many as a send may have", 1, {{64, 1000, 1000}}},
		{"as many bytes as a send may have", 1, {{2, 40000, 25507}}},
		{"two that fit", 1, {{32, 100, 100}, {32, 100, 100}}},
		{"two that do not", 2, {{32, 100, 100}, {33, 100, 100}}},
		{"two of too many bytes", 2, {{32, 1400, 1400}, {32, 1400, 1400}}},
		{"a short last one", 1, {{32, 100, 100}, {20, 100, 7}}},
		{"a short last one closes the send", 2, {{20, 100, 7}, {20, 100, 100}}},
		{"of two sizes", 2, {{20, 100, 100}, {20, 101, 101}}},
		{"a packet and more of them", 1, {{1, 100, 100}, {20, 100, 100}}},
		{"more of them and a short packet", 1, {{20, 100, 100}, {1, 99, 99}}},
		{"a short packet and more of them", 2, {{1, 99, 99}, {20, 100, 100}}},
		{"a mixture", 3, {{5, 9, 9}, {1, 9, 9}, {3, 300, 20}, {9, 300, 300}}},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(bursts) / sizeof(bursts[0]); i++) {
		const struct aggregates *burst = &bursts[i];

		start(64, LO_MTU, GSO_AUTO);
		for (unsigned j = 0; j < 4 && burst->runs[j].segments; j++)
			add_run(0, burst->runs[j].segments, burst->runs[j].segment_bytes,
				burst->runs[j].last_bytes);
		flush_and_receive();
		if (count(COUNTER_sqes) != burst->sends)
			print_error("%s: %d sends instead of %u\n", burst->what,
				    (int)count(COUNTER_sqes), burst->sends);
		assert_int_equal(count(COUNTER_sqes), burst->sends);
		stop(NULL);
	}
}

/* To an output that takes no GSO sends, or none of that size, packets go one by one. */
static void aggregates_apart(void)
{
	start(16, 1500, GSO_OFF);
	add_run(0, 50, 100, 30);
	add_run(1, 3, 1400, 1400);
	flush_and_receive();
	assert_int_equal(count(COUNTER_gso_sends), 0);
	stop(NULL);
	start(16, 1500, GSO_AUTO);
	add_run(0, 10, 1473, 20);
	add_run(0, 10, 1472, 20);
	flush_and_receive();
	assert_int_equal(count(COUNTER_gso_sends), 1);
	assert_int_equal(count(COUNTER_gso_packets), 10);
}

static void test_aggregates_apart(void **state)
{
	(void)state;
	in_every_mode(aggregates_apart);
}

/* A number of packets that come with this TTL, to be one less, and this TOS. */
static void add_marked(unsigned output, unsigned packets, unsigned ttl, unsigned tos)
{
	came_with = marks_of(ttl, tos);
	for (unsigned i = 0; i < packets; i++)
		add(output, 100);
}

/* Output 0 takes over what packets come with, output 1 their DSCP, output 2 nothing. Neighbours
 * that differ in what an output takes over leave it in sends of their own. */
static void taken_over(void)
{
	static const struct {
		uint8_t ttl, tos;
	} comes[] = {{9, 0}, {9, 184}, {8, 184}, {8, 187}, {8, 0}, {255, 252}, {2, 3}};
	const unsigned count_of_each = 5;

	start(256, LO_MTU, gso);
	outputs[0].marks = MARKS_TTL | MARKS_DSCP;
	outputs[1].marks = MARKS_DSCP;
	for (unsigned i = 0; i < sizeof(comes) / sizeof(comes[0]); i++)
		for (unsigned output = 0; output < OUTPUTS; output++)
			add_marked(output, count_of_each, comes[i].ttl, comes[i].tos);
	for (unsigned output = 0; output < OUTPUTS; output++)
		add_run(output, 40, 300, 7); /* an aggregate, as the last ones */
	flush_and_receive();
	if (mode == EGRESS_URING && gso == GSO_AUTO) /* 6, 5 and 1 sends, and the aggregates */
		assert_int_equal(count(COUNTER_sqes), 6 + 5 + 1 + OUTPUTS);
	assert_int_equal(count(COUNTER_drop_ttl), 0);
}

static void taken_over_apart(void)
{
	gso = GSO_OFF;
	taken_over();
}

static void test_taken_over(void **state)
{
	(void)state;
	in_every_mode(taken_over);
	in_every_mode(taken_over_apart);
}

/* For the output that is to send on with one less, packets at the end of their TTL are not queued.
 */
static void ttl_at_its_end(void)
{
	start(64, LO_MTU, GSO_AUTO);
	outputs[0].marks = MARKS_TTL;
	for (unsigned ttl = 0; ttl < 4; ttl++)
		add_marked(1, 10, ttl, 0);
	for (unsigned ttl = 2; ttl < 4; ttl++)
		add_marked(0, 10, ttl, 0);
	flush_and_receive();
	forget();
	add_marked(0, 10, 1, 0);
	add_marked(0, 10, 0, 0);
	assert_int_equal(count(COUNTER_drop_ttl), 20);
	assert_int_equal(released, 20);
	forget();
}

static void test_ttl_at_its_end(void **state)
{
	(void)state;
	in_every_mode(ttl_at_its_end);
}

/* Where the socket is told, packets bring nothing. */
static void test_dscp_of_the_output(void **state)
{
	const struct config config = {.socket_sndbuf = 65536};

	(void)state;
	start(64, LO_MTU, GSO_AUTO);
	close_output(0);
	keys[0].dscp = 46;
	keys[0].ttl = 7;
	assert_int_equal(open_output(0, &config), 0);
	add_marked(0, 10, 200, 8);
	add_marked(1, 10, 200, 8);
	flush_and_receive();
}

/* A port that nobody has. */
static uint16_t free_port(void)
{
	struct sockaddr_in address;

	close(open_socket(&address));
	return ntohs(address.sin_port);
}

/* Several outputs, and several sockets of one, may send from one port. */
static void test_source_port(void **state)
{
	const struct config config = {.socket_sndbuf = 65536};
	const uint16_t port = free_port();
	int another_worker;

	(void)state;
	start(64, LO_MTU, GSO_AUTO);
	for (unsigned i = 0; i < 2; i++) {
		close_output(i);
		keys[i].source_port = port;
		keys[i].source.s_addr = htonl(INADDR_LOOPBACK);
		assert_int_equal(open_output(i, &config), 0);
		assert_int_equal(ntohs(address_of(outputs[i].fd).sin_port), port);
		assert_int_equal(address_of(outputs[i].fd).sin_addr.s_addr, keys[i].source.s_addr);
	}
	another_worker = sockets_open_output(&keys[0], &netifs[0], &config);
	assert_true(another_worker >= 0);
	for (unsigned i = 0; i < 30; i++)
		add(i % 3, 100);
	flush_and_receive();
	close(another_worker);
}

/* A program that does not share its port keeps it. */
static void test_source_port_taken(void **state)
{
	const struct config config = {.socket_sndbuf = 65536};
	struct sockaddr_in taken;
	int fd = open_socket(&taken);

	(void)state;
	start(64, LO_MTU, GSO_AUTO);
	close_output(0);
	keys[0].source_port = ntohs(taken.sin_port);
	assert_int_equal(open_output(0, &config), -EADDRINUSE);
	close(fd);
	assert_int_equal(open_output(0, &config), 0);
}

static void test_histogram(void **state)
{
	static const uint32_t sizes[] = {1, 1, 2, 3, 4, 7, 8, 63, 64};
	static const uint64_t expect_buckets[HISTOGRAM_BUCKETS] = {2, 2, 2, 1, 0, 1, 1};

	(void)state;
	start(64, LO_MTU, GSO_AUTO);
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		add_run(0, sizes[i], 100, 100);
		flush_and_receive();
	}
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		assert_int_equal(counters.histogram[HISTOGRAM_segments_per_send][i],
				 expect_buckets[i]);
}

static void test_no_gso(void **state)
{
	(void)state;
	start(64, LO_MTU, GSO_OFF);
	for (unsigned i = 0; i < 60; i++)
		add(i % 3, 100);
	flush_and_receive();
	assert_int_equal(count(COUNTER_sqes), 60);
	assert_int_equal(count(COUNTER_gso_sends), 0);
	assert_int_equal(count(COUNTER_gso_packets), 0);
}

/* egress_add flushes by itself when all operations are taken. */
static void small_queue(void)
{
	const enum egress_mode each_mode = mode;
	const enum reap_mode each_reap = reap;

	for (unsigned depth = 1; depth <= 5; depth++) {
		mode = each_mode;
		reap = each_reap;
		start(depth, LO_MTU, GSO_OFF);
		for (unsigned i = 0; i < 50; i++)
			add(i % 3, 100 + i);
		assert_int_equal(count(COUNTER_egress_sent), 49 / depth * depth);
		flush_and_receive();
		if (mode == EGRESS_URING && reap == REAP_SYNC)
			assert_int_equal(count(COUNTER_submits), (50 + depth - 1) / depth);
		stop(NULL);
	}
}

static void test_small_queue(void **state)
{
	(void)state;
	in_every_mode(small_queue);
}

/* Deferred: the sends of a turn are reaped in the next one, and their slots held until then. */
static void test_deferred(void **state)
{
	(void)state;
	reap = REAP_DEFERRED;
	start(64, LO_MTU, GSO_AUTO);
	for (unsigned turn = 0; turn < 5; turn++) {
		for (unsigned i = 0; i < 30; i++)
			add(i % 3, 100);
		assert_int_equal(released, turn ? 30 * (turn - 1) : 0);
		assert_int_equal(egress_flush(&egress), 0);
		assert_int_equal(released, 30 * turn);
		assert_int_equal(count(COUNTER_egress_sent), 30 * turn);
		assert_int_equal(egress.in_flight, 3);
		assert_int_equal(count(COUNTER_submits), turn + 1);
	}
	assert_int_equal(egress_flush(&egress), 0); /* an empty turn does as well */
	assert_all_settled();
	assert_ledger();
	receive_all();
}

/* Drained with nothing to drain: no system call. */
static void test_nothing_to_drain(void **state)
{
	(void)state;
	start(4, LO_MTU, GSO_AUTO);
	assert_int_equal(egress_drain(&egress), 0);
	add(0, 10);
	assert_int_equal(egress_drain(&egress), 0);
	assert_int_equal(egress_drain(&egress), 0);
	assert_int_equal(count(COUNTER_system_calls), 1);
	assert_all_settled();
	receive_all();
}

static void test_nothing_to_flush(void **state)
{
	(void)state;
	start(4, LO_MTU, GSO_AUTO);
	flush_and_receive();
	assert_int_equal(count(COUNTER_system_calls), 0);
	add(0, 10);
	flush_and_receive();
	flush_and_receive();
	assert_int_equal(count(COUNTER_system_calls), 1);
}

/* ------------------------------------------------------------------------- at random */

/* Sizes at and around the limits, else any. */
static uint32_t random_size(uint32_t gso_limit)
{
	const uint32_t edges[] = {0,
				  1,
				  2,
				  64,
				  1400,
				  1472,
				  gso_limit - 1,
				  gso_limit,
				  gso_limit + 1,
				  MAX_PAYLOAD / 2,
				  MAX_PAYLOAD / 2 + 1,
				  MAX_PAYLOAD - 1,
				  MAX_PAYLOAD};
	uint32_t size = edges[below(sizeof(edges) / sizeof(edges[0]))];

	if (below(3) == 0)
		size = below(below(4) ? 2000 : MAX_PAYLOAD + 1);
	return size > MAX_PAYLOAD ? MAX_PAYLOAD : size;
}

/* What a packet takes of a receive buffer, at most about. */
static unsigned room_for(uint32_t bytes)
{
	return 2 * bytes + 2304;
}

/* An aggregate, as one that was received can be. False if there is no room for it. */
static bool add_random_aggregate(unsigned output, uint32_t size, unsigned *room)
{
	uint32_t segments = 1 + below(GSO_SEGMENTS_MAX);

	if (size == 0)
		size = 1;
	if (segments > GSO_BYTES_MAX / size)
		segments = GSO_BYTES_MAX / size;
	if (*room < segments * room_for(size))
		return false;
	*room -= segments * room_for(size);
	add_run(output, segments, size, below(3) ? size : 1 + below(size));
	return true;
}

/* Aggregates, and runs of equal packets with a short one at the end, over one output or all in
 * turn. */
static void random_burst(uint32_t gso_limit, unsigned room)
{
	unsigned packets = 0;

	while (packets < 200) {
		const uint32_t size = random_size(gso_limit);
		const unsigned run = below(4) ? 1 + below(6) : 1 + below(130);
		const bool all = below(2), short_last = below(3) == 0;
		const unsigned output = below(OUTPUTS);

		if (num_expected[output] >= MAX_PACKETS - 200)
			return;
		if (below(2)) {
			if (!add_random_aggregate(output, size, &room))
				return;
			packets += 20;
			continue;
		}
		for (unsigned i = 0; i < run; i++, packets++) {
			if (room < room_for(size) || num_expected[output] >= MAX_PACKETS - 200)
				return;
			room -= room_for(size);
			add(all ? i % OUTPUTS : output,
			    short_last && i + 1 == run && size ? below(size) : size);
		}
	}
}

static unsigned receive_buffer_bytes(void)
{
	int bytes = 0;
	socklen_t size = sizeof(bytes);

	assert_int_equal(getsockopt(receivers[0], SOL_SOCKET, SO_RCVBUF, &bytes, &size), 0);
	assert_true(bytes >= 2 * 65536);
	return (unsigned)bytes;
}

static void test_random_bursts(void **state)
{
	static const struct {
		unsigned depth;
		uint32_t mtu;
		enum gso_mode gso;
		enum egress_mode mode;
		enum reap_mode reap;
	} settings[] = {
		{1024, LO_MTU, GSO_AUTO, EGRESS_URING, REAP_SYNC},
		{1024, 1500, GSO_AUTO, EGRESS_URING, REAP_SYNC},
		{1024, 9000, GSO_AUTO, EGRESS_URING, REAP_SYNC},
		{7, LO_MTU, GSO_AUTO, EGRESS_URING, REAP_SYNC},
		{2, 1500, GSO_AUTO, EGRESS_URING, REAP_SYNC},
		{1, 1500, GSO_AUTO, EGRESS_URING, REAP_SYNC},
		{64, 1500, GSO_OFF, EGRESS_URING, REAP_SYNC},
		{1024, 1500, GSO_AUTO, EGRESS_URING, REAP_EAGER},
		{7, LO_MTU, GSO_AUTO, EGRESS_URING, REAP_EAGER},
		{1024, 1500, GSO_AUTO, EGRESS_URING, REAP_DEFERRED},
		{7, LO_MTU, GSO_OFF, EGRESS_URING, REAP_DEFERRED},
		{1024, LO_MTU, GSO_AUTO, EGRESS_SENDMMSG, REAP_SYNC},
		{7, 1500, GSO_AUTO, EGRESS_SENDMMSG, REAP_SYNC},
		{64, 1500, GSO_OFF, EGRESS_SENDMMSG, REAP_SYNC},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		unsigned room;

		mode = settings[i].mode;
		reap = settings[i].reap;
		start(settings[i].depth, settings[i].mtu, settings[i].gso);
		room = receive_buffer_bytes();
		for (unsigned burst = 0; burst < 20; burst++) {
			random_burst(settings[i].mtu - 28, room);
			flush_and_receive();
		}
		assert_true(added_packets > 20);
		if (settings[i].mode == EGRESS_SENDMMSG)
			assert_int_equal(count(COUNTER_sqes), 0);
		else if (settings[i].gso == GSO_OFF || settings[i].depth == 1)
			assert_int_equal(count(COUNTER_sqes) + count(COUNTER_gso_packets) -
						 count(COUNTER_gso_sends),
					 added_packets);
		else
			assert_true(count(COUNTER_sqes) < added_packets);
		assert_int_equal(count(COUNTER_gso_refused), 0);
		stop(NULL);
	}
}

/* ------------------------------------------------------------------------- */

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, stop)
	const struct CMUnitTest tests[] = {
		TEST(test_coalescing),
		TEST(test_interleaved_outputs),
		TEST(test_aggregates),
		TEST(test_aggregates_apart),
		TEST(test_taken_over),
		TEST(test_ttl_at_its_end),
		TEST(test_dscp_of_the_output),
		TEST(test_source_port),
		TEST(test_source_port_taken),
		TEST(test_histogram),
		TEST(test_no_gso),
		TEST(test_small_queue),
		TEST(test_nothing_to_flush),
		TEST(test_deferred),
		TEST(test_nothing_to_drain),
		TEST(test_random_bursts),
	};

	return cmocka_run_group_tests_name("egress", tests, setup, NULL);
}
