/* SPDX-License-Identifier: MIT
 *
 * egress_fixture: an egress whose outputs are real sockets.
 *
 * Each output sends to a unicast port of 127.0.0.1 on which a socket of the test listens; after
 * each flush every payload must have arrived, bit for bit and in order, and the counters must add
 * up.
 *
 * setup() tries to enter a network namespace of its own, as root or by way of a user namespace. The
 * tests that change routes and links are skipped where it may not; the others use the host's lo.
 *
 * Time stands still until a test moves it: what the kernel refuses is tried again a second later.
 *
 * lo keeps the order (own_network.h): what has not arrived before a packet that is sent last, the
 * marker, has been lost.
 */
#ifndef EGRESS_FIXTURE_H
#define EGRESS_FIXTURE_H

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

#include "../chance.h"
#include "../made_up_clock.h"
#include "../own_network.h"

enum {
	OUTPUTS = 3,
	MAX_PACKETS = 1024, /* of one burst */
	MAX_PAYLOAD = 65507,
	POOL_BYTES = 1 << 20,
	LO_MTU = 65536,
	TOO_LONG_S = 800, /* the marker is waited for no longer */
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

/* Of a packet with this IP header. */
static uint16_t marks_of(unsigned ttl, unsigned tos)
{
	const uint8_t header[20] = {[1] = (uint8_t)tos, [8] = (uint8_t)ttl};

	return packet_marks(&(struct packet){.ip = header});
}

#endif
