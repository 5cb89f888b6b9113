// SPDX-License-Identifier: MIT
/*
 * ingress_uring: every frame that waits is lent once, in order, whatever ends the request in
 * between; every buffer comes back.
 *
 * A Unix datagram socket stands in for the packet socket: inject() sends a virtio-net header and a
 * frame that carries its number. Both ends are used by this one thread, so that what has been sent
 * is there when the next peek looks; nothing is waited for by time. The tests of truncation and of
 * interfaces that go down need a packet socket: they use lo, in a network namespace of their own,
 * and are skipped where none may be made.
 */
#include "common/log.h"
#include "supervisor/sockets.h"
#include "worker/ingress.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include <cmocka.h>

#include "../own_network.h"

enum {
	INPUTS = 3,
	MAX_FRAMES = 64,
	MAX_BUFFERS = 64,
	FRAME_BYTES = 100,
	MTU = 1500,
	PORT = 5009,
	TOO_LONG_S = 800
};

static bool own_network;
static struct pool pool;
static struct recv_uring shared;
static struct counters counters;
static struct ingress inputs[INPUTS];
static struct ring_position positions[INPUTS];
static uint32_t holds[INPUTS][MAX_BUFFERS];
static int senders[INPUTS], listener = -1;
static unsigned injected[INPUTS], taken[INPUTS]; /* numbers of frames */
static struct frame frames[MAX_FRAMES];

/* ------------------------------------------------------------------------- set-up */

/* `buffers` of each class, of which `num_recv_buffers` wait in the kernel. */
static void start(uint32_t buffers, unsigned num_recv_buffers)
{
	const uint32_t counts[POOL_CLASSES] = {buffers, buffers, buffers};
	int rc;

	alarm(TOO_LONG_S);
	memset(&counters, 0, sizeof(counters));
	memset(positions, 0, sizeof(positions));
	assert_in_range(buffers, 1, MAX_BUFFERS);
	assert_int_equal(pool_init(&pool, counts, false), 0);
	rc = recv_uring_init(&shared, &pool, num_recv_buffers);
	if (rc == -EPERM || rc == -ENOSYS) {
		print_message("no io_uring here: %s\n", strerror(-rc));
		skip();
	}
	assert_int_equal(rc, 0);
}

static void use(unsigned input, int fd, uint32_t mtu)
{
	inputs[input] = (struct ingress){
		.ops = &ingress_uring_ops,
		.interface = "lo",
		.fd = fd,
		.holds = holds[input],
		.counters = &counters,
		.position = &positions[input],
		.uring = {.shared = &shared, .frame_bytes = mtu},
	};
	assert_int_equal(inputs[input].ops->open(&inputs[input]), 0);
}

static void open_input(unsigned input, uint32_t mtu)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair),
			 0);
	senders[input] = pair[1];
	injected[input] = taken[input] = 0;
	use(input, pair[0], mtu);
}

static void close_input(unsigned input)
{
	if (inputs[input].fd < 0)
		return;
	inputs[input].ops->close(&inputs[input]);
	close(inputs[input].fd);
	close(senders[input]);
	inputs[input].fd = -1;
}

static int setup(void **state)
{
	(void)state;
	for (unsigned i = 0; i < INPUTS; i++)
		inputs[i].fd = -1;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (unsigned i = 0; i < INPUTS; i++)
		close_input(i);
	recv_uring_exit(&shared);
	pool_exit(&pool);
	alarm(0);
	return 0;
}

/* ------------------------------------------------------------------------- in and out */

static bool inject_as(unsigned input, const struct virtio_net_hdr *header, size_t bytes)
{
	static uint8_t data[65536];
	const struct iovec parts[2] = {{(void *)header, sizeof(*header)}, {data, bytes}};

	memset(data, (int)(injected[input] & 0xff), bytes);
	memcpy(data, &injected[input], sizeof(injected[input]));
	if (writev(senders[input], parts, 2) < 0) {
		assert_int_equal(errno, EAGAIN);
		return false;
	}
	injected[input]++;
	return true;
}

/* The next `count` frames; fewer if the socket takes no more. */
static unsigned inject(unsigned input, unsigned count)
{
	unsigned n = 0;

	while (n < count && inject_as(input, &(struct virtio_net_hdr){0}, FRAME_BYTES))
		n++;
	return n;
}

static unsigned number_of(const struct frame *frame)
{
	unsigned number;

	memcpy(&number, frame->data, sizeof(number));
	return number;
}

static bool intact(const struct frame *frame, unsigned number)
{
	for (uint32_t i = sizeof(number); i < frame->captured; i++)
		if (frame->data[i] != (number & 0xff))
			return false;
	return number_of(frame) == number && frame->captured == FRAME_BYTES;
}

/* One peek; what it lends is the next of that input. */
static unsigned peek(unsigned input, unsigned max)
{
	unsigned n = inputs[input].ops->peek(&inputs[input], frames, max);

	assert_in_range(n, 0, max);
	for (unsigned i = 0; i < n; i++)
		if (!intact(&frames[i], taken[input]++))
			fail_msg("input %u: frame %u instead of %u", input, number_of(&frames[i]),
				 taken[input] - 1);
	return n;
}

static void release(unsigned input, uint32_t slot)
{
	inputs[input].ops->release(&inputs[input], slot);
}

/* As a worker's turn does it. */
static unsigned turn(unsigned input, unsigned max)
{
	unsigned n = peek(input, max);

	for (unsigned i = 0; i < n; i++)
		release(input, frames[i].slot);
	return n;
}

/* As the worker's loop: turns until one finds nothing, then to sleep if nothing would wake it. */
static void run_until_asleep(unsigned num_inputs, unsigned max)
{
	struct pollfd ready = {.fd = inputs[0].ops->wait_fd(&inputs[0]), .events = POLLIN};

	do {
		unsigned n;

		do {
			n = 0;
			for (unsigned i = 0; i < num_inputs; i++)
				n += turn(i, max);
		} while (n > 0);
	} while (poll(&ready, 1, 0) > 0);
}

static uint64_t count(enum counter which)
{
	return counter_get(&counters, which);
}

/* Every buffer of the class is free or waits in the kernel. */
static void assert_all_back(unsigned index)
{
	assert_int_equal(pool.classes[index].num_free + shared.groups[index].posted,
			 pool.classes[index].count);
}

/* ------------------------------------------------------------------------- frames */

static void test_frame(void **state)
{
	static const struct {
		struct virtio_net_hdr header;
		bool checksum_good;
		uint16_t segment_bytes;
	} cases[] = {
		{{0}, false, 0},
		{{.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM}, true, 0},
		{{.flags = VIRTIO_NET_HDR_F_DATA_VALID}, true, 0},
		{{.gso_type = 5, .gso_size = 1000}, false, 1000}, /* UDP_L4 */
		{{.gso_type = 1, .gso_size = 1000}, false, 0},	  /* TCP */
	};

	(void)state;
	start(8, 4);
	open_input(0, MTU);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_true(inject_as(0, &cases[i].header, FRAME_BYTES));
		assert_int_equal(peek(0, 8), 1);
		assert_int_equal(frames[0].captured, FRAME_BYTES);
		assert_int_equal(frames[0].original, FRAME_BYTES);
		assert_int_equal(frames[0].checksum_good, cases[i].checksum_good);
		assert_int_equal(frames[0].segment_bytes, cases[i].segment_bytes);
		assert_int_equal(inputs[0].lent, 1);
		release(0, frames[0].slot);
		assert_int_equal(inputs[0].lent, 0);
	}
	assert_int_equal(peek(0, 8), 0);
	assert_all_back(POOL_SMALL);
}

/* What is too short to be one is no frame; its buffer comes back. */
static void test_no_frame(void **state)
{
	(void)state;
	start(4, 4);
	open_input(0, MTU);
	for (unsigned bytes = 0; bytes < sizeof(struct virtio_net_hdr); bytes++) {
		assert_int_equal(send(senders[0], "abcdefghi", bytes, 0), bytes);
		assert_int_equal(peek(0, 8), 0);
	}
	assert_all_back(POOL_SMALL);
	inject(0, 4);
	run_until_asleep(1, 8);
	assert_int_equal(taken[0], 4);
	assert_all_back(POOL_SMALL);
}

/* A frame with VLAN tags and what the kernel puts before it still fits the class. */
static void test_classes(void **state)
{
	static const struct {
		uint32_t mtu;
		unsigned index;
	} cases[] = {
		{68, POOL_SMALL},      {1500, POOL_SMALL},    {1928, POOL_SMALL},
		{1929, POOL_STANDARD}, {3500, POOL_STANDARD}, {3976, POOL_STANDARD},
		{3977, POOL_JUMBO},    {9000, POOL_JUMBO},    {65535, POOL_JUMBO},
	};

	(void)state;
	start(4, 2);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct pool_class *class = &pool.classes[cases[i].index];
		uint32_t longest = cases[i].mtu + 14 + 8;

		open_input(0, cases[i].mtu);
		assert_int_equal(inputs[0].uring.pool_class, cases[i].index);
		assert_int_equal(inputs[0].slots, class->count);
		assert_int_equal(inputs[0].slot_bytes, class->buffer_bytes);
		if (longest > 16000)
			longest = 16000;
		assert_true(inject_as(0, &(struct virtio_net_hdr){0}, longest));
		assert_int_equal(inputs[0].ops->peek(&inputs[0], frames, 8), 1);
		assert_int_equal(frames[0].captured, longest);
		assert_true(frames[0].data > pool_buffer(class, frames[0].slot));
		assert_true(frames[0].data + longest <=
			    pool_buffer(class, frames[0].slot) + class->buffer_bytes);
		release(0, frames[0].slot);
		close_input(0);
	}
}

/* A burst is cut where `max` says; the rest comes next. */
static void test_burst_limit(void **state)
{
	(void)state;
	start(16, 16);
	open_input(0, MTU);
	inject(0, 10);
	assert_int_equal(peek(0, 4), 4);
	assert_int_equal(peek(0, 4), 4);
	assert_int_equal(peek(0, 4), 2);
	assert_int_equal(peek(0, 4), 0);
	assert_int_equal(inputs[0].lent, 10);
}

/* ------------------------------------------------------------------------- exhaustion */

/* The request ends without a buffer; frames wait, and come when one is back. */
static void test_exhaustion(void **state)
{
	struct frame lent[4];

	(void)state;
	start(4, 8);
	open_input(0, MTU);
	assert_int_equal(inject(0, 9), 9);
	assert_int_equal(peek(0, 8), 4);
	memcpy(lent, frames, sizeof(lent));
	assert_int_equal(count(COUNTER_pool_exhausted), 0);
	assert_int_equal(peek(0, 8), 0);
	assert_int_equal(count(COUNTER_pool_exhausted), 1);
	assert_int_equal(peek(0, 8), 0);
	assert_int_equal(count(COUNTER_pool_exhausted), 2);
	for (unsigned i = 0; i < 4; i++) /* untouched meanwhile */
		assert_true(intact(&lent[i], i));
	release(0, lent[2].slot);
	assert_int_equal(peek(0, 8), 1);
	assert_int_equal(frames[0].slot, lent[2].slot);
	release(0, frames[0].slot);
	release(0, lent[0].slot);
	release(0, lent[3].slot);
	release(0, lent[1].slot);
	run_until_asleep(1, 8);
	assert_int_equal(taken[0], 9);
	assert_int_equal(inject(0, 3), 3);
	assert_int_equal(turn(0, 8), 3);
	assert_all_back(POOL_SMALL);
}

/* Wherever a burst ends, before the request does, with it or after: who goes to sleep has been told
 * of every frame, or will be woken. */
static void test_exhaustion_and_sleep(void **state)
{
	(void)state;
	for (unsigned num_inputs = 1; num_inputs <= INPUTS; num_inputs++)
		for (unsigned posted = 1; posted <= 8; posted++)
			for (unsigned max = 1; max <= 9; max++) {
				start(posted + 4, posted);
				for (unsigned i = 0; i < num_inputs; i++)
					open_input(i, MTU);
				for (unsigned round = 0; round < 3; round++) {
					for (unsigned i = 0; i < num_inputs; i++)
						inject(i, 11);
					run_until_asleep(num_inputs, max);
					for (unsigned i = 0; i < num_inputs; i++)
						if (taken[i] != injected[i])
							fail_msg("%u inputs, %u buffers, bursts of "
								 "%u: input %u sleeps on %u frames",
								 num_inputs, posted, max, i,
								 injected[i] - taken[i]);
				}
				assert_all_back(POOL_SMALL);
				teardown(NULL);
			}
}

/* Any order of sending, taking and releasing: each frame once, in order, untouched while lent. */
static void test_random(void **state)
{
	struct held {
		unsigned input, number;
		struct frame frame;
	} held[MAX_BUFFERS];
	unsigned num_held = 0;

	(void)state;
	srand(1);
	start(13, 5);
	for (unsigned i = 0; i < INPUTS; i++)
		open_input(i, MTU);
	for (unsigned round = 0; round < 100000; round++) {
		unsigned input = (unsigned)rand() % INPUTS, n;

		inject(input, (unsigned)rand() % 4);
		input = (unsigned)rand() % INPUTS;
		n = peek(input, 1 + (unsigned)rand() % 8);
		for (unsigned i = 0; i < n; i++)
			held[num_held++] = (struct held){input, number_of(&frames[i]), frames[i]};
		assert_in_range(num_held, 0, 13);
		for (unsigned k = (unsigned)rand() % (num_held + 1); k > 0; k--) {
			unsigned i = (unsigned)rand() % num_held;

			if (!intact(&held[i].frame, held[i].number))
				fail_msg("frame %u has been overwritten", held[i].number);
			release(held[i].input, held[i].frame.slot);
			held[i] = held[--num_held];
		}
	}
	while (num_held > 0) {
		num_held--;
		release(held[num_held].input, held[num_held].frame.slot);
	}
	run_until_asleep(INPUTS, 8);
	for (unsigned i = 0; i < INPUTS; i++) {
		assert_true(injected[i] > 10000);
		assert_int_equal(taken[i], injected[i]);
		assert_int_equal(inputs[i].lent, 0);
	}
	assert_true(count(COUNTER_pool_exhausted) > 0);
	assert_all_back(POOL_SMALL);
}

/* Several sends hold a buffer: the last one gives it back. */
static void test_holds(void **state)
{
	(void)state;
	start(4, 4);
	open_input(0, MTU);
	inject(0, 1);
	assert_int_equal(peek(0, 4), 1);
	holds[0][frames[0].slot] = 3;
	for (unsigned left = 3; left > 0; left--) {
		assert_int_equal(inputs[0].lent, 1);
		hold_drop((struct hold){&inputs[0], frames[0].slot});
	}
	assert_int_equal(inputs[0].lent, 0);
	assert_all_back(POOL_SMALL);
}

/* Inputs of different classes do not take each other's buffers. */
static void test_classes_are_apart(void **state)
{
	(void)state;
	start(4, 4);
	open_input(0, MTU);
	open_input(1, 9000);
	inject(0, 8);
	inject(1, 4);
	assert_int_equal(peek(0, 8), 4);
	assert_int_equal(peek(0, 8), 0);
	assert_int_equal(turn(1, 8), 4);
	inject(1, 3);
	assert_int_equal(peek(0, 8), 0);
	assert_int_equal(turn(1, 8), 3);
	assert_int_equal(inputs[0].lent, 4);
}

/* ------------------------------------------------------------------------- the end */

/* With a request armed, frames in the completion queue and frames in the socket. */
static void test_close_while_armed(void **state)
{
	(void)state;
	start(8, 4);
	open_input(1, MTU);
	for (unsigned round = 0; round < 50; round++) {
		open_input(0, MTU);
		inject(0, round % 10);
		if (round % 2)
			turn(0, round % 4 + 1);
		inject(1, 3);
		close_input(0);
		while (turn(1, 2) > 0)
			;
		assert_int_equal(taken[1], injected[1]);
		assert_all_back(POOL_SMALL);
	}
}

static void test_exit_while_armed(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 20; round++) {
		start(8, 4);
		open_input(0, MTU);
		inject(0, round % 10);
		if (round % 3)
			peek(0, 4);
		teardown(NULL);
	}
}

static void test_refused_by_the_kernel(void **state)
{
	const uint32_t counts[POOL_CLASSES] = {16, 16, 16};

	(void)state;
	assert_int_equal(pool_init(&pool, counts, false), 0);
	assert_int_equal(recv_uring_init(&shared, &pool, 1 << 20), -EINVAL);
	recv_uring_exit(&shared); /* as a worker does whose start has failed */
	assert_int_equal(fcntl(STDIN_FILENO, F_GETFD), 0);
}

/* A UDP socket on a free port of 127.0.0.1. */
static int bound(struct sockaddr_in *address)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	socklen_t size = sizeof(*address);

	*address = (struct sockaddr_in){.sin_family = AF_INET,
					.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	assert_int_equal(bind(fd, (struct sockaddr *)address, size), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)address, &size), 0);
	return fd;
}

static void connect_to(int fd, const struct sockaddr_in *address)
{
	assert_int_equal(connect(fd, (const struct sockaddr *)address, sizeof(*address)), 0);
}

/* An error of the socket ends the request, not the input: here the answer to a packet that went to
 * a port where nobody listens to us. */
static void test_error_of_the_socket(void **state)
{
	struct sockaddr_in near, far;
	struct pollfd ready;
	int fd;

	(void)state;
	start(8, 4);
	fd = bound(&near);
	senders[0] = bound(&far);
	connect_to(fd, &far);
	connect_to(senders[0], &far); /* takes nothing but its own */
	use(0, fd, MTU);
	injected[0] = taken[0] = 0;
	assert_int_equal(peek(0, 8), 0);
	assert_int_equal(send(fd, "x", 1, 0), 1);
	ready = (struct pollfd){.fd = inputs[0].ops->wait_fd(&inputs[0]), .events = POLLIN};
	assert_int_equal(poll(&ready, 1, -1), 1);
	run_until_asleep(1, 8);

	connect_to(senders[0], &near);
	inject(0, 3);
	assert_int_equal(poll(&ready, 1, -1), 1); /* else it sleeps for good */
	while (taken[0] < 3)
		turn(0, 8);
}

/* ------------------------------------------------------------------------- a packet socket */

static void start_lo(uint32_t buffers)
{
	const struct sockaddr_in to = {.sin_family = AF_INET,
				       .sin_port = htons(PORT),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const struct ring_shape shapes[FRAME_CLASSES] = {{0}, {0}};
	static const struct filter_keys everything = {.everything = true};
	struct netif lo = {.name = "lo", .mtu = 65536, .index = (int)if_nametoindex("lo")};
	int fd;

	if (!own_network) {
		print_message("may not make a network namespace\n");
		skip();
	}
	start(buffers, buffers);
	fd = sockets_open_input(&lo, shapes[FRAMES_SMALL]);
	assert_int_equal(sockets_listen(fd, &lo, shapes, FRAMES_SMALL, &everything), 0);
	assert_true(fd >= 0);
	senders[0] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	listener = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (const struct sockaddr *)&to, sizeof(to)), 0);
	connect_to(senders[0], &to);
	use(0, fd, MTU);
}

static int teardown_lo(void **state)
{
	teardown(state);
	close(listener);
	return !own_network || own_network_set_lo(true) ? 0 : -1;
}

/* To 127.0.0.1:PORT, its own number as payload; the input has had it before this returns. */
static void send_number(unsigned number, size_t bytes)
{
	uint8_t payload[9000] = {0};

	memcpy(payload, &number, sizeof(number));
	assert_int_equal(send(senders[0], payload, bytes, 0), bytes);
	assert_int_equal(recv(listener, payload, sizeof(payload), 0), bytes);
}

/* Frames of the kernel's, in order. */
static void assert_receive(unsigned first, unsigned wanted)
{
	unsigned n = 0;

	while (n < wanted) {
		struct pollfd ready = {.fd = inputs[0].ops->wait_fd(&inputs[0]), .events = POLLIN};
		unsigned more = inputs[0].ops->peek(&inputs[0], frames, MAX_FRAMES);

		if (more == 0)
			assert_int_equal(poll(&ready, 1, -1), 1);
		for (unsigned i = 0; i < more; i++, n++) {
			struct packet packet;
			unsigned number;

			assert_int_equal(packet_parse(&frames[i], &packet), PACKET_OK);
			assert_int_equal(packet.group, htonl(INADDR_LOOPBACK));
			assert_int_equal(packet.port, PORT);
			memcpy(&number, packet.payload, sizeof(number));
			assert_int_equal(number, first + n);
			assert_int_equal(frames[i].original, frames[i].captured);
			assert_true(frames[i].checksum_good); /* lo leaves it out */
			release(0, frames[i].slot);
		}
	}
}

static void test_lo(void **state)
{
	(void)state;
	start_lo(8);
	for (unsigned i = 0; i < 60; i++)
		send_number(i, 4 + i);
	assert_receive(0, 60);
}

static void test_lo_truncated(void **state)
{
	struct packet packet;

	(void)state;
	start_lo(8);
	send_number(0, 4000);
	assert_int_equal(inputs[0].ops->peek(&inputs[0], frames, 8), 1);
	assert_int_equal(frames[0].original, 14 + 28 + 4000);
	assert_in_range(frames[0].captured, 1500, 2048);
	assert_int_equal(packet_parse(&frames[0], &packet), PACKET_TRUNCATED);
	release(0, frames[0].slot);
	send_number(1, 100);
	assert_receive(1, 1);
}

/* ENETDOWN ends the request. */
static void test_lo_down_and_up(void **state)
{
	(void)state;
	start_lo(8);
	for (unsigned i = 0; i < 40; i += 2) { /* more often than there are buffers */
		send_number(i, 100);
		assert_receive(i, 1);
		assert_true(own_network_set_lo(false));
		run_until_asleep(1, 8);
		assert_true(own_network_set_lo(true));
		send_number(i + 1, 100);
		assert_receive(i + 1, 1);
	}
}

/* Frames have their times, and what is taken back is lent again, also round the end of the queue.
 */
static void test_lo_times(void **state)
{
	struct ingress *ingress;
	uint64_t last = 0;

	(void)state;
	start_lo(8);
	ingress = &inputs[0];
	assert_int_equal(ingress->ops->next_time(ingress), UINT64_MAX);
	for (unsigned i = 0; i < 30; i += 3) {
		uint32_t slots[3];

		for (unsigned j = 0; j < 3; j++)
			send_number(i + j, 100);
		assert_int_equal(ingress->ops->peek(ingress, frames, 3), 3);
		for (unsigned j = 0; j < 3; j++) {
			assert_true(frames[j].time > last);
			last = frames[j].time;
			slots[j] = frames[j].slot;
		}
		ingress->ops->unpeek(ingress, 2);
		assert_int_equal(ingress->lent, 1);
		assert_int_equal(ingress->ops->next_time(ingress), frames[1].time);
		assert_int_equal(ingress->ops->peek(ingress, frames, 3), 2);
		assert_int_equal(frames[0].slot, slots[1]);
		assert_int_equal(frames[1].slot, slots[2]);
		for (unsigned j = 0; j < 3; j++)
			release(0, slots[j]);
	}
	send_number(0, 100);
	assert_true(ingress->ops->next_time(ingress) > last); /* one that nobody has looked at */
	assert_int_equal(ingress->lent, 0);
}

/* As a worker counts what it peeks, until there is nothing more. Returns how many. */
static unsigned count_all(void)
{
	unsigned sum = 0, n;

	do {
		n = inputs[0].ops->peek(&inputs[0], frames, MAX_FRAMES);
		for (unsigned i = 0; i < n; i++)
			release(0, frames[i].slot);
		counter_bump(&positions[0].frames, n);
		sum += n;
	} while (n > 0);
	return sum;
}

/* A worker dies with frames in its buffers, some of which it has not seen. Its successor finds out
 * how many there were, once it has received what was still in the socket, and says so once. */
static void test_lo_successor(void **state)
{
	enum { BUFFERS = 8, SENT = 20 };
	struct ring_position left;
	uint64_t in_hand = 2;
	unsigned received;
	int kept;

	(void)state;
	start_lo(BUFFERS);
	kept = dup(inputs[0].fd);
	for (unsigned i = 0; i < 3; i++)
		send_number(i, 100);
	assert_int_equal(count_all(), 3);
	assert_int_equal(counter_get(&counters, COUNTER_drop_worker_died), 0);
	for (unsigned i = 0; i < SENT; i++)
		send_number(i, 100);
	assert_true(inputs[0].ops->peek(&inputs[0], frames, 2) > 0);
	left = positions[0];
	inputs[0].ops->close(&inputs[0]);
	close(inputs[0].fd);
	recv_uring_exit(&shared);
	pool_exit(&pool);

	start(BUFFERS, BUFFERS);
	positions[0] = left;
	positions[0].doubtful = true;
	sockets_take_drops(kept, &positions[0].accepted); /* the supervisor has asked as well */
	use(0, kept, MTU);
	inputs[0].in_hand = &in_hand;
	received = count_all();
	assert_in_range(received, SENT - BUFFERS, SENT - 2);
	assert_false(positions[0].doubtful);
	/* two of them are known to have been matched */
	assert_int_equal(counter_get(&counters, COUNTER_drop_worker_died), SENT - received - 2);
	assert_int_equal(counter_get(&counters, COUNTER_recv_packets), SENT - received - 2);
	assert_int_equal(in_hand, 0);
	send_number(0, 100);
	assert_int_equal(count_all(), 1);
	assert_int_equal(counter_get(&counters, COUNTER_drop_worker_died), SENT - received - 2);
}

/* While it is not known what the supervisor has been told, nothing is said. */
static void test_lo_successor_meets_the_supervisor(void **state)
{
	(void)state;
	start_lo(8);
	send_number(0, 100);
	positions[0].doubtful = true;
	positions[0].asking = 1;
	assert_int_equal(count_all(), 1);
	assert_true(positions[0].doubtful);
	positions[0].asking = 2;
	assert_int_equal(count_all(), 0);
	assert_false(positions[0].doubtful);
	assert_int_equal(counter_get(&counters, COUNTER_drop_worker_died), 0);
}

static int enter(void **state)
{
	static const struct log_levels quiet;

	(void)state;
	log_use_levels(&quiet);
	own_network = own_network_enter();
	return 0;
}

int main(void)
{
#define TEST(name)    cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_LO(name) cmocka_unit_test_setup_teardown(name, setup, teardown_lo)
	const struct CMUnitTest tests[] = {
		TEST(test_frame),
		TEST(test_no_frame),
		TEST(test_classes),
		TEST(test_burst_limit),
		TEST(test_exhaustion),
		TEST(test_exhaustion_and_sleep),
		TEST(test_random),
		TEST(test_holds),
		TEST(test_classes_are_apart),
		TEST(test_close_while_armed),
		TEST(test_exit_while_armed),
		TEST(test_refused_by_the_kernel),
		TEST(test_error_of_the_socket),
		TEST_LO(test_lo),
		TEST_LO(test_lo_truncated),
		TEST_LO(test_lo_down_and_up),
		TEST_LO(test_lo_times),
		TEST_LO(test_lo_successor),
		TEST_LO(test_lo_successor_meets_the_supervisor),
	};

	return cmocka_run_group_tests_name("ingress_uring", tests, enter, NULL);
}
