// SPDX-License-Identifier: MIT
/*
 * egress: sends that fail, each counted by its cause and without harm to its neighbours; and
 * segmentation that a route refuses, when the packets go one by one.
 */
#include "egress_fixture.h"

/* ------------------------------------------------------------------------- errors */

static void closed_output(void)
{
	const struct config config = {.socket_sndbuf = 65536};

	start(4, LO_MTU, GSO_AUTO);
	close_output(0);
	netifs[0].index = 0;
	assert_int_equal(open_output(0, &config), -ENODEV);
	close_output(1);
	netifs[1].address.s_addr = INADDR_ANY;
	assert_int_equal(open_output(1, &config), -EADDRNOTAVAIL);
	assert_int_equal(outputs[0].fd, -1);
	assert_int_equal(outputs[1].fd, -1);
	for (unsigned i = 0; i < 30; i++)
		add(i % 3, 10);
	flush();
	assert_ledger();
	assert_int_equal(output_counters[0].errors[CAUSE_ENODEV], 10);
	assert_int_equal(output_counters[1].errors[CAUSE_EADDRNOTAVAIL], 10);
	assert_int_equal(count(COUNTER_egress_errors), 20);
	assert_int_equal(count(COUNTER_egress_submitted), 10);
	assert_int_equal(output_counters[2].packets, 10);
	/* the same output, once its interface is back */
	netifs[0].index = (int)if_nametoindex("lo");
	assert_int_equal(open_output(0, &config), 0);
	num_expected[0] = num_expected[1] = 0;
	receive_all();
	forget();
	add(0, 10);
	flush_and_receive();
}

static void test_closed_output(void **state)
{
	(void)state;
	in_every_mode(closed_output);
}

/* The kernel doubles what is asked for; so does no int of ours. */
static void test_largest_send_buffer(void **state)
{
	const struct config config = {.socket_sndbuf = INT32_MAX / 2};

	(void)state;
	start(4, LO_MTU, GSO_AUTO);
	close_output(0);
	assert_int_equal(open_output(0, &config), 0);
	add(0, 1400);
	flush_and_receive();
}

static void too_large(void)
{
	start(8, LO_MTU, GSO_AUTO);
	add(0, MAX_PAYLOAD + 1);
	num_expected[0] = 0;
	add(1, MAX_PAYLOAD);
	flush();
	assert_ledger();
	assert_int_equal(output_counters[0].errors[CAUSE_EMSGSIZE], 1);
	assert_int_equal(count(COUNTER_gso_refused), 0);
	receive_all();
}

static void test_too_large(void **state)
{
	(void)state;
	in_every_mode(too_large);
}

/* The error of a send that failed says nothing about its neighbours. */
static void test_refused_by_the_peer(void **state)
{
	struct sockaddr_in itself;

	(void)state;
	start(8, LO_MTU, GSO_AUTO);
	itself = address_of(receivers[0]); /* takes nothing from others any more */
	assert_int_equal(connect(receivers[0], (struct sockaddr *)&itself, sizeof(itself)), 0);
	add(0, 10);
	flush(); /* this one leaves; the answer to it is the error of the next */
	num_expected[0] = 0;
	for (unsigned i = 0; i < 5; i++) {
		add(0, 10);
		add(1, 10);
	}
	flush();
	assert_ledger();
	assert_int_equal(output_counters[0].errors[CAUSE_ECONNREFUSED], 5);
	assert_int_equal(output_counters[1].packets, 5);
}

/* An io_uring that does not work any more: said so, for good, and nothing is forgotten. */
static void test_broken_uring(void **state)
{
	(void)state;
	start(4, LO_MTU, GSO_OFF);
	add(0, 10);
	flush_and_receive();
	egress.uring.enter_ring_fd = -1;
	egress.uring.int_flags = 0; /* not the registered descriptor */
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 10; i++) {
			add(i % 3, 10);
			num_expected[i % 3] = 0;
		}
		assert_int_equal(egress_flush(&egress), -EBADF);
		assert_int_equal(egress.error, -EBADF);
		assert_all_settled();
	}
	assert_ledger();
	assert_int_equal(count(COUNTER_egress_sent), 1);
}

/* ------------------------------------------------------------------------- routes and links */

/* Runs a command of iproute2 in our own network namespace, or skips the test. */
static void need(const char *command)
{
	if (!own_network) {
		print_message("may not make a network namespace: cannot '%s'\n", command);
		skip();
	}
	if (system(command) != 0) {
		print_message("failed: %s\n", command);
		skip();
	}
}

static int restore_network(void **state)
{
	stop(state);
	if (own_network &&
	    system("ip route replace local 127.0.0.1 dev lo table local proto kernel scope host "
		   "src 127.0.0.1; ip link del far0 2>/dev/null") < 0)
		return -1;
	return 0;
}

/* A route with a smaller MTU than its interface: plain sends are fragmented, GSO sends refused. */
static void gso_refused_by_the_route(void)
{
	start(8, LO_MTU, GSO_AUTO);
	need("ip route replace local 127.0.0.1 dev lo table local proto kernel scope host "
	     "src 127.0.0.1 mtu lock 1000");
	for (unsigned i = 0; i < 30; i++)
		add(0, 1400);
	add(0, 1399); /* the short last one is repeated as well */
	add(1, 1400); /* on its own: a plain send */
	flush();
	assert_int_equal(count(COUNTER_gso_refused), 1);
	assert_int_equal(count(COUNTER_egress_errors), 0);
	assert_int_equal(count(COUNTER_egress_sent), 32);
	assert_int_equal(outputs[0].gso_limit, 1399);
	assert_ledger();
	receive_all();

	/* from now on such packets go one by one, without trying again; small ones do not */
	forget();
	for (unsigned i = 0; i < 10; i++)
		add(0, 1400);
	for (unsigned i = 0; i < 10; i++)
		add(0, 900);
	flush_and_receive();
	assert_int_equal(count(COUNTER_gso_refused), 0);
	assert_int_equal(count(COUNTER_sqes), mode == EGRESS_URING ? 11 : 0);
	assert_int_equal(count(COUNTER_gso_packets), 10);
}

static void test_gso_refused_by_the_route(void **state)
{
	(void)state;
	in_every_mode(gso_refused_by_the_route);
}

/* What is repeated packet by packet says what the packets came with as well. */
static void gso_refused_with_marks(void)
{
	start(8, LO_MTU, GSO_AUTO);
	need("ip route replace local 127.0.0.1 dev lo table local proto kernel scope host "
	     "src 127.0.0.1 mtu lock 1000");
	outputs[0].marks = MARKS_TTL | MARKS_DSCP;
	came_with = marks_of(77, 40);
	for (unsigned i = 0; i < 10; i++)
		add(0, 1400);
	flush();
	assert_int_equal(count(COUNTER_gso_refused), 1);
	assert_int_equal(count(COUNTER_egress_sent), 10);
	assert_ledger();
	receive_all();
}

static void test_gso_refused_with_marks(void **state)
{
	(void)state;
	in_every_mode(gso_refused_with_marks);
}

static void add_tens(unsigned sends)
{
	for (unsigned i = 0; i < 10 * sends; i++)
		add(0, 1400 - 10 * (i / 10));
}

/* A refusal is not for ever: a second later what was refused is tried again, and when the route
 * takes it then, all is as before. Meanwhile nothing is lost, or comes out of order. */
static void gso_tried_again(void)
{
	start(64, LO_MTU, GSO_AUTO);
	need("ip route replace local 127.0.0.1 dev lo table local proto kernel scope host "
	     "src 127.0.0.1 mtu lock 1000");
	add_tens(1);
	flush();
	assert_int_equal(outputs[0].gso_refused, 1400);
	for (unsigned second = 2; second <= 3; second++) {
		time_ms += 1000;
		add_tens(1);
		flush();
		assert_int_equal(count(COUNTER_gso_refused), second);
		assert_int_equal(outputs[0].gso_limit, 1399);
	}
	need("ip route replace local 127.0.0.1 dev lo table local proto kernel scope host "
	     "src 127.0.0.1");
	time_ms += 1000;
	add_tens(2);
	flush();
	assert_int_equal(count(COUNTER_gso_refused), 3);
	assert_int_equal(count(COUNTER_gso_packets), 20);
	assert_int_equal(outputs[0].gso_refused, 0);
	assert_int_equal(outputs[0].gso_limit, LO_MTU - 28);
	assert_int_equal(count(COUNTER_egress_errors), 0);
	assert_ledger();
	receive_all();
}

static void test_gso_tried_again(void **state)
{
	(void)state;
	in_every_mode(gso_tried_again);
}

/* Several refused sends of one burst: all are repeated, one warning, one new limit. */
static void test_gso_refused_twice(void **state)
{
	(void)state;
	start(8, LO_MTU, GSO_AUTO);
	need("ip route replace local 127.0.0.1 dev lo table local proto kernel scope host "
	     "src 127.0.0.1 mtu lock 1000");
	for (unsigned i = 0; i < 140; i++)
		add(i % 2, 1000);
	flush();
	assert_int_equal(count(COUNTER_gso_refused), 4);
	assert_int_equal(count(COUNTER_egress_sent), 140);
	assert_int_equal(outputs[0].gso_limit, 999);
	assert_int_equal(outputs[1].gso_limit, 999);
	assert_int_equal(outputs[2].gso_limit, LO_MTU - 28);
	assert_ledger();
	receive_all();
}

/* What says that a route cannot segment: on kernels that we do not run on, too (EIO: before 6.11,
 * or IPsec). */
static void test_what_refuses_gso(void **state)
{
	static const int refusals[] = {-EINVAL, -EIO, -EMSGSIZE},
			 failures[] = {0, -ENOBUFS, -EAGAIN, -EPERM, -ENETUNREACH};
	struct send_op op = {.segments = 2};

	(void)state;
	for (unsigned i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		op.result = refusals[i];
		assert_true(egress_gso_refused(&op));
	}
	for (unsigned i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
		op.result = failures[i];
		assert_false(egress_gso_refused(&op));
	}
	op = (struct send_op){.segments = 1, .result = -EMSGSIZE}; /* a plain send */
	assert_false(egress_gso_refused(&op));
}

/* Told to, an output tries again in each burst; all packets arrive all the same, in order. */
static void test_gso_on(void **state)
{
	(void)state;
	start(8, LO_MTU, GSO_ON);
	need("ip route replace local 127.0.0.1 dev lo table local proto kernel scope host "
	     "src 127.0.0.1 mtu lock 1000");
	outputs[0].gso_proven = 0;
	for (unsigned burst = 1; burst <= 3; burst++) {
		for (unsigned i = 0; i < 20; i++)
			add(0, 1000);
		flush();
		assert_int_equal(count(COUNTER_gso_refused), burst);
		assert_int_equal(outputs[0].gso_limit, LO_MTU - 28);
		assert_ledger();
		receive_all();
	}
}

/* The first GSO send of an output, and the first of larger packets, is refused: what is behind it
 * in its burst waits until its packets have been sent one by one. */
static void gso_refused_on_trial(void)
{
	start(64, LO_MTU, GSO_AUTO);
	need("ip route replace local 127.0.0.1 dev lo table local proto kernel scope host "
	     "src 127.0.0.1 mtu lock 1000");
	outputs[0].gso_proven = outputs[1].gso_proven = 0;
	for (unsigned i = 0; i < 10; i++)
		add(0, 500);
	for (unsigned i = 0; i < 10; i++)
		add(0, 1400);
	for (unsigned i = 0; i < 10; i++)
		add(i % 2, 600); /* these would have left before */
	add(0, 10);
	for (unsigned i = 0; i < 10; i++)
		add(i % 2, 1300);
	add(0, 20);
	flush();
	assert_ledger();
	assert_int_equal(count(COUNTER_gso_refused), 3);
	assert_int_equal(count(COUNTER_egress_errors), 0);
	assert_int_equal(outputs[0].gso_proven, 600);
	assert_int_equal(outputs[0].gso_limit, 1299);
	assert_false(outputs[0].gso_on_trial || outputs[1].gso_on_trial);
	receive_all();
}

static void test_gso_refused_on_trial(void **state)
{
	(void)state;
	in_every_mode(gso_refused_on_trial);
}

/* A burst waits for the first GSO send of an output, or of larger packets, and for no other. */
static void test_trials(void **state)
{
	static const struct {
		uint32_t bytes;
		unsigned submits;
	} bursts[] = {{100, 2}, {100, 1}, {90, 1},   {101, 2},
		      {101, 1}, {100, 1}, {1400, 2}, {1400, 1}};

	(void)state;
	start(64, LO_MTU, GSO_AUTO);
	outputs[0].gso_proven = 0;
	for (unsigned i = 0; i < sizeof(bursts) / sizeof(bursts[0]); i++) {
		uint64_t before = count(COUNTER_submits);

		for (unsigned j = 0; j < 10; j++)
			add(0, bursts[i].bytes);
		add(0, bursts[i].bytes - 1);
		for (unsigned j = 0; j < 10; j++)
			add(0, bursts[i].bytes);
		flush_and_receive();
		assert_int_equal(count(COUNTER_submits) - before, bursts[i].submits);
	}
}

/* Output 0 becomes a multicast group behind a link of its own, "far0". */
static int open_far_output(void)
{
	const struct config config = {.socket_sndbuf = 8192};

	need("ip link show dev far0 >/dev/null 2>&1 || ip link add far0 type veth peer name far1");
	/* nothing goes out there but what we send */
	need("file=/proc/sys/net/ipv6/conf/far0/disable_ipv6; [ ! -e $file ] || echo 1 >$file");
	need("ip addr replace 10.99.0.1/24 dev far0 && ip link set far1 up && "
	     "ip link set far0 up");
	close_output(0);
	netifs[0].index = (int)if_nametoindex("far0");
	netifs[0].address.s_addr = inet_addr("10.99.0.1");
	keys[0].to.group.s_addr = inet_addr("239.9.9.9");
	return open_output(0, &config);
}

/* 10 packets to it and 10 to another output, which is not bothered. */
static void send_far(enum send_cause cause, unsigned least, unsigned most)
{
	forget();
	for (unsigned i = 0; i < 20; i++)
		add(i % 2, 1000);
	num_expected[0] = 0;
	flush();
	assert_ledger();
	assert_in_range(output_counters[0].errors[cause], least, most);
	assert_int_equal(count(COUNTER_egress_errors), output_counters[0].errors[cause]);
	assert_int_equal(output_counters[1].packets, 10);
	receive_all();
}

static void test_interface_goes_down(void **state)
{
	(void)state;
	start(64, LO_MTU, GSO_OFF);
	assert_int_equal(open_far_output(), 0);
	send_far(CAUSE_OTHER, 0, 0);
	need("ip link set far0 down");
	send_far(CAUSE_ENETUNREACH, 10, 10);
	need("ip link set far0 up");
	send_far(CAUSE_OTHER, 0, 0);
}

static void test_interface_goes_away(void **state)
{
	(void)state;
	start(64, LO_MTU, GSO_OFF);
	assert_int_equal(open_far_output(), 0);
	need("ip link del far0");
	send_far(CAUSE_ENETUNREACH, 10, 10);
}

/* The socket cannot even be connected. */
static void test_opened_while_down(void **state)
{
	const struct config config = {.socket_sndbuf = 8192};

	(void)state;
	start(64, LO_MTU, GSO_OFF);
	assert_int_equal(open_far_output(), 0);
	need("ip link set far0 down");
	close_output(0);
	assert_int_equal(open_output(0, &config), -ENETUNREACH);
	send_far(CAUSE_ENETUNREACH, 10, 10);
}

/* Lets the first packet of send_far out, the next one a quarter of an hour later, and keeps
 * `kept_bytes` of others. */
static void jam_far(unsigned kept_bytes)
{
	char command[128];

	snprintf(command, sizeof(command),
		 "tc qdisc add dev far0 root tbf rate 8bit burst 1100 limit %u", kept_bytes);
	need(command);
}

/* A link that lets nothing out fills the send buffer of its output, and of no other. */
static void test_full_send_buffer(void **state)
{
	(void)state;
	start(64, LO_MTU, GSO_OFF);
	assert_int_equal(open_far_output(), 0);
	jam_far(10000000);
	send_far(CAUSE_EAGAIN, 1, 9);
	send_far(CAUSE_EAGAIN, 9, 10); /* the one that got out may have made room by now */
	send_far(CAUSE_EAGAIN, 10, 10);
}

/* What the queue of a link drops is not taken for sent. */
static void test_full_queue(void **state)
{
	(void)state;
	start(64, LO_MTU, GSO_OFF);
	assert_int_equal(open_far_output(), 0);
	jam_far(3000); /* two of 1042 */
	send_far(CAUSE_ENOBUFS, 7, 7);
	send_far(CAUSE_ENOBUFS, 10, 10);
	need("tc qdisc del dev far0 root");
	send_far(CAUSE_OTHER, 0, 0);
}

/* ------------------------------------------------------------------------- */

int main(void)
{
#define TEST(name)    cmocka_unit_test_teardown(name, stop)
#define TEST_IP(name) cmocka_unit_test_teardown(name, restore_network)
	const struct CMUnitTest tests[] = {
		TEST(test_trials),
		TEST(test_closed_output),
		TEST(test_largest_send_buffer),
		TEST(test_too_large),
		TEST(test_refused_by_the_peer),
		TEST(test_broken_uring),
		cmocka_unit_test(test_what_refuses_gso),
		TEST_IP(test_gso_refused_by_the_route),
		TEST_IP(test_gso_refused_with_marks),
		TEST_IP(test_gso_tried_again),
		TEST_IP(test_gso_refused_twice),
		TEST_IP(test_gso_on),
		TEST_IP(test_gso_refused_on_trial),
		TEST_IP(test_interface_goes_down),
		TEST_IP(test_interface_goes_away),
		TEST_IP(test_opened_while_down),
		TEST_IP(test_full_send_buffer),
		TEST_IP(test_full_queue),
	};

	return cmocka_run_group_tests_name("egress_failures", tests, setup, NULL);
}
