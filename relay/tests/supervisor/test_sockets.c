// SPDX-License-Identifier: MIT
/*
 * sockets: what a worker that has gone bad could do with those that it is given. On lo, in a
 * network namespace of the test's own; skipped where none may be made.
 */
#include "supervisor/sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include <cmocka.h>

#include "../own_network.h"

enum { SLOTS = 16, SLOT_BYTES = 2048, PORT = 5009 };

static bool own_network;
static struct netif lo = {.name = "lo", .mtu = 65536};
static int listener = -1;

static int setup(void **state)
{
	(void)state;
	if (!own_network) {
		print_message("may not make a network namespace\n");
		skip();
	}
	lo.index = (int)if_nametoindex("lo");
	lo.address.s_addr = htonl(INADDR_LOOPBACK);
	listener = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ALL));
	return listener < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	(void)state;
	return close(listener);
}

/* ------------------------------------------------------------------------- inputs */

static int open_input(enum ingress_mode mode)
{
	const struct ring_shape shape = {mode == INGRESS_RING ? SLOTS : 0, SLOT_BYTES};
	int fd = sockets_open_input(&lo, shape);

	assert_true(fd >= 0);
	return fd;
}

/* Nothing has been sent: lo hands on what is sent before the call returns. */
static void assert_silence(void)
{
	uint8_t frame[128];

	assert_int_equal(recv(listener, frame, sizeof(frame), 0), -1);
	assert_int_equal(errno, EAGAIN);
}

/* A frame with a header that says nothing of it, by whatever call and to whatever interface. */
static void try_to_send(int fd)
{
	uint8_t bytes[sizeof(struct virtio_net_hdr) + 60] = {0};
	struct sockaddr_ll to = {.sll_family = AF_PACKET,
				 .sll_protocol = htons(ETH_P_IP),
				 .sll_ifindex = lo.index,
				 .sll_halen = ETH_ALEN};
	struct iovec iov = {bytes, sizeof(bytes)};
	struct msghdr message = {
		.msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = &iov, .msg_iovlen = 1};

	assert_true(send(fd, bytes, sizeof(bytes), 0) <= 0);
	assert_true(write(fd, bytes, sizeof(bytes)) <= 0);
	assert_true(sendto(fd, bytes, sizeof(bytes), MSG_DONTWAIT, (struct sockaddr *)&to,
			   sizeof(to)) <= 0);
	assert_true(sendmsg(fd, &message, 0) <= 0);
	assert_silence();
}

/* The transmit ring that stands in the way takes no frame that means anything, either. */
static void try_the_ring(int fd, size_t before)
{
	uint8_t *memory =
		mmap(NULL, before + RING_END_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	struct tpacket2_hdr *slot;

	assert_ptr_not_equal(memory, MAP_FAILED);
	slot = (struct tpacket2_hdr *)(memory + before);
	slot->tp_len = sizeof(struct virtio_net_hdr) + 60;
	__atomic_store_n(&slot->tp_status, TP_STATUS_SEND_REQUEST, __ATOMIC_RELEASE);
	assert_int_equal(send(fd, NULL, 0, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EMSGSIZE);
	assert_silence();
	munmap(memory, before + RING_END_BYTES);
}

static void test_inputs_send_nothing(void **state)
{
	int fd = open_input(INGRESS_RING);

	(void)state;
	try_to_send(fd);
	try_the_ring(fd, SLOTS * SLOT_BYTES);
	close(fd);
	fd = open_input(INGRESS_URING);
	try_to_send(fd);
	try_the_ring(fd, 0);
	close(fd);
}

/* ------------------------------------------------------------------------- outputs */

static void test_outputs_receive_nothing(void **state)
{
	const struct config config = {.socket_sndbuf = 65536};
	const struct rule_output key = {.to = {"lo", {htonl(INADDR_LOOPBACK)}, PORT}, .ttl = 1};
	struct sockaddr_in peer_address = {.sin_family = AF_INET,
					   .sin_port = htons(PORT),
					   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)},
			   address;
	socklen_t size = sizeof(address);
	const int off = 0;
	int peer = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), fd;
	char byte;

	(void)state;
	assert_int_equal(bind(peer, (struct sockaddr *)&peer_address, sizeof(peer_address)), 0);
	fd = sockets_open_output(&key, &lo, &config);
	assert_true(fd >= 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
	assert_int_equal(send(fd, "x", 1, 0), 1);
	assert_int_equal(recv(peer, &byte, 1, 0), 1);
	assert_int_equal(sendto(peer, "y", 1, 0, (struct sockaddr *)&address, size), 1);
	assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
	/* and so it stays */
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &off, sizeof(off)), -1);
	assert_int_equal(errno, EPERM);
	close(fd);
	close(peer);
}

/* Whatever address is sent to: through the output's interface, or not at all. */
static void test_outputs_keep_to_their_interface(void **state)
{
	static const char *const destinations[] = {"239.1.1.1", "127.0.0.1"};
	const struct config config = {.socket_sndbuf = 65536};

	(void)state;
	for (unsigned i = 0; i < sizeof(destinations) / sizeof(destinations[0]); i++) {
		const struct rule_output key = {.to = {"lo", {inet_addr(destinations[i])}, PORT},
						.ttl = 1};
		int fd = sockets_open_output(&key, &lo, &config), index = 0;
		socklen_t size = sizeof(index);

		assert_true(fd >= 0);
		assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX, &index, &size), 0);
		assert_int_equal(index, lo.index);
		close(fd);
	}
}

static int enter(void **state)
{
	(void)state;
	own_network = own_network_enter();
	return 0;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_inputs_send_nothing),
		TEST(test_outputs_receive_nothing),
		TEST(test_outputs_keep_to_their_interface),
	};

	return cmocka_run_group_tests_name("sockets", tests, enter, NULL);
}
