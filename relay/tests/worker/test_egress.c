// SPDX-License-Identifier: MIT
/*
 * egress: what goes in comes out, over real sockets and a real io_uring.
 *
 * Each output sends to a unicast port of 127.0.0.1 on which a socket of this test listens; after
 * each flush every payload must have arrived, bit for bit and in order, and the counters must add
 * up. The random tests run bursts of sizes around every limit there is.
 *
 * main() tries to enter a network namespace of its own, as root or by way of a user namespace. The
 * tests that change routes and links are skipped where it may not; the others use the host's lo.
 *
 * lo keeps the order (own_network.h): what has not arrived before a packet that is sent last, the
 * marker, has been lost.
 */
#include "supervisor/sockets.h"
#include "worker/egress.h"
#include "worker/egress_parts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "../own_network.h"

enum {
	OUTPUTS = 3,
	MAX_PACKETS = 1024, /* of one burst */
	MAX_PAYLOAD = 65507,
	POOL_BYTES = 1 << 20,
	LO_MTU = 65536,
	TOO_LONG_S = 300, /* the marker is waited for no longer */
};

/* A packet that was handed to egress and must arrive. */
struct expectation {
	const uint8_t *payload;
	uint32_t bytes;
	uint8_t ttl, tos;
};

static bool own_network;
static uint8_t pool[POOL_BYTES]; /* what payloads are cut from */

static struct counters counters;
static struct output_counters output_counters[OUTPUTS];
static struct rule_output keys[OUTPUTS];
static struct netif netifs[OUTPUTS];
static struct output outputs[OUTPUTS];
static struct egress egress;
static int receivers[OUTPUTS];
static struct expectation expected[OUTPUTS][MAX_PACKETS];
static unsigned num_expected[OUTPUTS], num_received[OUTPUTS];
static int marker = -1;
static struct sockaddr_in marker_address;
static uint16_t came_with; /* marks of what is added: MARKS_TTL, MARKS_DSCP */
static uint64_t added_runs, added_packets, added_bytes, released;
static uint32_t holds[OUTPUTS * MAX_PACKETS];
static enum egress_mode mode; /* how start() sends */
static enum reap_mode reap;
static enum gso_mode gso = GSO_AUTO;

/* ------------------------------------------------------------------------- set-up */

static void count_release(struct ingress *ingress, uint32_t slot)
{
	assert_ptr_equal(ingress->holds, holds);
	assert_int_equal(holds[slot], 0);
	released++;
}

static const struct ingress_ops release_only = {.release = count_release};
static struct ingress ingress = {.ops = &release_only, .holds = holds};

static uint64_t next_random(void)
{
	static uint64_t seed = 0x2545f4914f6cdd1dULL;

	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static uint32_t below(uint32_t limit)
{
	return (uint32_t)((next_random() >> 32) % limit);
}

/* A socket on a free port of 127.0.0.1. */
static int open_socket(struct sockaddr_in *address)
{
	socklen_t size = sizeof(*address);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	*address = (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)address, size), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)address, &size), 0);
	return fd;
}

/* *port: where it is. */
static int open_receiver(uint16_t *port)
{
	struct sockaddr_in address;
	const int wanted = 32 << 20, on = 1;
	int fd = open_socket(&address);

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &wanted, sizeof(wanted)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &wanted, sizeof(wanted));
	assert_int_equal(setsockopt(fd, IPPROTO_IP, IP_RECVTTL, &on, sizeof(on)), 0);
	assert_int_equal(setsockopt(fd, IPPROTO_IP, IP_RECVTOS, &on, sizeof(on)), 0);
	*port = ntohs(address.sin_port);
	return fd;
}

static struct sockaddr_in address_of(int fd)
{
	struct sockaddr_in address;
	socklen_t size = sizeof(address);

	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
	return address;
}

static void set_destination(unsigned output, uint16_t port, uint32_t mtu)
{
	keys[output] = (struct rule_output){
		.to = {"lo", {htonl(INADDR_LOOPBACK)}, port},
		.ttl = 1,
	};
	netifs[output] = (struct netif){
		.name = "lo",
		.index = (int)if_nametoindex("lo"),
		.mtu = mtu,
		.address.s_addr = htonl(INADDR_LOOPBACK),
	};
}

static void close_output(unsigned output)
{
	if (outputs[output].counters && outputs[output].fd >= 0)
		close(outputs[output].fd);
	outputs[output].fd = -1;
}

/* What supervisor and worker do together. 0 or negative errno. */
static int open_output(unsigned output, const struct config *config)
{
	const uint32_t mtu = netifs[output].mtu;
	int fd = sockets_open_output(&keys[output], &netifs[output], config);

	outputs[output] = (struct output){
		.fd = fd < 0 ? -1 : fd,
		.error = fd < 0 ? -fd : 0,
		.gso_most = gso != GSO_OFF && mtu > UDP_IPV4_HEADERS ? mtu - UDP_IPV4_HEADERS : 0,
		.counters = &output_counters[output],
	};
	outputs[output].gso_limit = outputs[output].gso_most;
	strcpy(outputs[output].interface, keys[output].to.interface);
	return fd < 0 ? fd : 0;
}

/* Nothing is expected any more, and nothing counted. */
static void forget(void)
{
	memset(&counters, 0, sizeof(counters));
	memset(output_counters, 0, sizeof(output_counters));
	memset(num_expected, 0, sizeof(num_expected));
	memset(num_received, 0, sizeof(num_received));
	memset(holds, 0, sizeof(holds));
	added_runs = added_packets = added_bytes = released = 0;
}

static void start(unsigned queue_depth, uint32_t mtu, enum gso_mode gso_mode)
{
	const struct config config = {.socket_sndbuf = 4 << 20};
	const struct worker_settings settings = {
		.queue_depth = queue_depth,
		.egress = mode,
		.reap = reap,
		.gso = gso_mode,
	};
	int rc;

	alarm(TOO_LONG_S);
	gso = gso_mode;
	forget();
	for (unsigned i = 0; i < OUTPUTS; i++) {
		uint16_t port;

		receivers[i] = open_receiver(&port);
		set_destination(i, port, mtu);
		assert_int_equal(open_output(i, &config), 0);
		outputs[i].gso_proven = MAX_PAYLOAD; /* as after bursts before */
	}
	rc = egress_init(&egress, &settings, &counters, NULL, NULL);
	if (rc == -EPERM || rc == -ENOSYS) {
		print_message("no io_uring here: %s\n", strerror(-rc));
		skip();
	}
	assert_int_equal(rc, 0);
}

static int stop(void **state)
{
	(void)state;
	egress_exit(&egress);
	for (unsigned i = 0; i < OUTPUTS; i++) {
		close_output(i);
		if (receivers[i] >= 0)
			close(receivers[i]);
		receivers[i] = -1;
	}
	mode = EGRESS_URING;
	reap = REAP_SYNC;
	gso = GSO_AUTO;
	came_with = 0;
	alarm(0);
	return 0;
}

/* ------------------------------------------------------------------------- in and out */

static void expect(unsigned output, const uint8_t *payload, uint32_t bytes)
{
	assert_in_range(num_expected[output], 0, MAX_PACKETS - 1);
	expected[output][num_expected[output]++] = (struct expectation){
		payload,
		bytes,
		.ttl = outputs[output].marks & MARKS_TTL ? (uint8_t)(came_with >> 8)
							 : keys[output].ttl,
		.tos = outputs[output].marks & MARKS_DSCP ? (uint8_t)(came_with & MARKS_DSCP)
							  : (uint8_t)(keys[output].dscp << 2),
	};
	added_packets++;
	added_bytes += bytes;
}

/* `segments` packets of that size, the last one of `last_bytes`, one behind the other. */
static void add_run(unsigned output, uint32_t segments, uint32_t segment_bytes, uint32_t last_bytes)
{
	const uint32_t bytes = (segments - 1) * segment_bytes + last_bytes;
	const uint8_t *payload = pool + below(POOL_BYTES - bytes);
	const uint32_t slot = (uint32_t)added_runs++ % (OUTPUTS * MAX_PACKETS);

	assert_int_equal(holds[slot], 0);
	holds[slot] = 1;
	for (uint32_t i = 1; i <= segments; i++)
		expect(output, payload + (size_t)(i - 1) * segment_bytes,
		       i < segments ? segment_bytes : last_bytes);
	egress_add(&egress, &outputs[output],
		   &(struct run){payload, bytes, segment_bytes, segments, came_with},
		   (struct hold){&ingress, slot});
}

static void add(unsigned output, uint32_t bytes)
{
	add_run(output, 1, bytes, bytes);
}

/* The TTL and TOS that a packet has come with. */
static void assert_header(struct msghdr *message, const struct expectation *packet)
{
	unsigned fields = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		const uint8_t *value = CMSG_DATA(c);

		fields++;
		if (c->cmsg_type == IP_TTL)
			assert_int_equal(*(const int *)(const void *)value, packet->ttl);
		else if (c->cmsg_type == IP_TOS)
			assert_int_equal(*value, packet->tos);
		else
			fail();
	}
	assert_int_equal(fields, 2);
}

/* The next packet that has arrived, which must be the next that was added. False if there is none,
 * or it is the marker. */
static bool receive_one(unsigned output, int flags)
{
	static uint8_t bytes[MAX_PAYLOAD + 1];
	const struct expectation *packet = &expected[output][num_received[output]];
	struct sockaddr_in from;
	char control[128] __attribute__((aligned(sizeof(size_t))));
	struct iovec iov = {bytes, sizeof(bytes)};
	struct msghdr message = {.msg_name = &from,
				 .msg_namelen = sizeof(from),
				 .msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control)};
	ssize_t length = recvmsg(receivers[output], &message, flags);

	if (length < 0) {
		assert_int_equal(errno, EAGAIN);
		return false;
	}
	if (from.sin_port == marker_address.sin_port)
		return false;
	assert_in_range(++num_received[output], 1, num_expected[output]);
	assert_int_equal(length, packet->bytes);
	if (packet->bytes) /* no more than 65,507 bytes: memcmp is far faster than cmocka's */
		assert_true(memcmp(bytes, packet->payload, packet->bytes) == 0);
	assert_header(&message, packet);
	return true;
}

/* All that was added arrives; nothing else does. */
static void receive_all(void)
{
	for (unsigned i = 0; i < OUTPUTS; i++) {
		struct sockaddr_in to = address_of(receivers[i]);

		while (receive_one(i, MSG_DONTWAIT))
			; /* makes room for the marker */
		assert_int_equal(sendto(marker, "", 0, 0, (struct sockaddr *)&to, sizeof(to)), 0);
		while (receive_one(i, 0))
			;
		assert_int_equal(num_received[i], num_expected[i]); /* else some were lost */
		num_expected[i] = num_received[i] = 0;
	}
}

static uint64_t count(enum counter which)
{
	return counter_get(&counters, which);
}

static uint64_t errors_of(unsigned output)
{
	uint64_t sum = 0;

	for (int cause = 0; cause < CAUSE_COUNT; cause++)
		sum += output_counters[output].errors[cause];
	return sum;
}

/* The ledger of the egress, which must close whatever happens. */
static void assert_ledger(void)
{
	uint64_t packets = 0, bytes = 0, errors = 0;

	for (unsigned i = 0; i < OUTPUTS; i++) {
		packets += output_counters[i].packets;
		bytes += output_counters[i].bytes;
		errors += errors_of(i);
	}
	assert_int_equal(count(COUNTER_egress_queued), added_packets);
	assert_int_equal(count(COUNTER_egress_sent) + count(COUNTER_egress_errors), added_packets);
	assert_int_equal(count(COUNTER_egress_sent), packets);
	assert_int_equal(count(COUNTER_egress_bytes), bytes);
	assert_int_equal(count(COUNTER_egress_errors), errors);
}

static void assert_all_settled(void)
{
	assert_int_equal(egress.num_queued, 0);
	assert_int_equal(egress.in_flight, 0);
	assert_int_equal(egress.pool.num_free, egress.pool.depth);
	assert_int_equal(released, added_runs); /* each once: count_release saw to it */
	for (unsigned i = 0; i < OUTPUTS; i++)
		assert_null(outputs[i].open_op);
}

static void flush(void)
{
	assert_int_equal(egress_flush(&egress), 0);
	if (reap != REAP_SYNC)
		assert_int_equal(egress_drain(&egress), 0);
	assert_all_settled();
}

/* The end of a burst in which nothing may fail. */
static void flush_and_receive(void)
{
	flush();
	assert_ledger();
	assert_int_equal(count(COUNTER_egress_errors), 0);
	assert_int_equal(count(COUNTER_egress_submitted), added_packets);
	assert_int_equal(count(COUNTER_egress_bytes), added_bytes);
	receive_all();
}

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

/* Runs it in every way to send and to reap. */
static void in_every_mode(void (*test)(void))
{
	static const struct {
		enum egress_mode mode;
		enum reap_mode reap;
	} modes[] = {{EGRESS_URING, REAP_SYNC},	    {EGRESS_URING, REAP_EAGER},
		     {EGRESS_URING, REAP_DEFERRED}, {EGRESS_SENDMMSG, REAP_SYNC},
		     {EGRESS_SENDMMSG, REAP_EAGER}, {EGRESS_SENDMMSG, REAP_DEFERRED}};

	for (unsigned i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		mode = modes[i].mode;
		reap = modes[i].reap;
		test();
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

/* Of a packet with this IP header. */
static uint16_t marks_of(unsigned ttl, unsigned tos)
{
	const uint8_t header[20] = {[1] = (uint8_t)tos, [8] = (uint8_t)ttl};

	return packet_marks(&(struct packet){.ip = header});
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
		outputs[0].gso_refused_ms -= 1000;
		add_tens(1);
		flush();
		assert_int_equal(count(COUNTER_gso_refused), second);
		assert_int_equal(outputs[0].gso_limit, 1399);
	}
	need("ip route replace local 127.0.0.1 dev lo table local proto kernel scope host "
	     "src 127.0.0.1");
	outputs[0].gso_refused_ms -= 1000;
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

static int setup(void **state)
{
	(void)state;
	for (unsigned i = 0; i < POOL_BYTES; i++)
		pool[i] = (uint8_t)(next_random() >> 24);
	for (unsigned i = 0; i < OUTPUTS; i++)
		receivers[i] = -1;
	own_network = own_network_enter();
	marker = open_socket(&marker_address);
	return 0;
}

int main(void)
{
#define TEST(name)    cmocka_unit_test_teardown(name, stop)
#define TEST_IP(name) cmocka_unit_test_teardown(name, restore_network)
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
		TEST(test_trials),
		TEST(test_nothing_to_drain),
		TEST(test_random_bursts),
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

	return cmocka_run_group_tests_name("egress", tests, setup, NULL);
}
