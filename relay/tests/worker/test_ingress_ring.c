// SPDX-License-Identifier: MIT
/*
 * ingress_ring: frames are lent once, in order, and their slots given back.
 *
 * Most tests play the kernel: a memfd stands in for the packet socket, and deliver() fills the next
 * slot as packet_rcv does, if it is the kernel's. Each frame carries its number. The last tests use
 * a packet socket on lo, in a network namespace of their own, and are skipped where none may be
 * made.
 */
#include "supervisor/sockets.h"
#include "worker/ingress.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "../own_network.h"

enum { SLOTS = 16, SLOT_BYTES = 2048, FRAME_OFFSET = 96, FRAME_BYTES = 60, PORT = 5009 };

static bool own_network;
static struct counters counters;
static struct ring_position position;
static uint32_t holds[SLOTS];
static struct ingress ingress;
static struct frame frames[2 * SLOTS];

static uint8_t *kernel_ring; /* our mapping of the same memory */
static uint32_t kernel_head;
static unsigned delivered, refused;

/* ------------------------------------------------------------------------- set-up */

static void use(int fd, unsigned slots, unsigned slot_bytes)
{
	ingress = (struct ingress){
		.ops = &ingress_ring_ops,
		.interface = "lo",
		.fd = fd,
		.slots = slots,
		.slot_bytes = slot_bytes,
		.holds = holds,
		.counters = &counters,
		.position = &position,
	};
	assert_int_equal(ingress.ops->open(&ingress), 0);
}

static int setup(void **state)
{
	int fd = memfd_create("ring", MFD_CLOEXEC);

	(void)state;
	memset(&counters, 0, sizeof(counters));
	memset(&position, 0, sizeof(position));
	kernel_head = delivered = refused = 0;
	if (fd < 0 || ftruncate(fd, SLOTS * SLOT_BYTES) < 0)
		return -1;
	kernel_ring = mmap(NULL, SLOTS * SLOT_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (kernel_ring == MAP_FAILED)
		return -1;
	use(fd, SLOTS, SLOT_BYTES);
	return 0;
}

static void close_ingress(void)
{
	if (ingress.ring.memory)
		ingress.ops->close(&ingress);
	close(ingress.fd);
	ingress.fd = -1;
}

static int teardown(void **state)
{
	(void)state;
	close_ingress();
	munmap(kernel_ring, SLOTS * SLOT_BYTES);
	return 0;
}

/* What a successor of a worker that died does. */
static void reopen(void)
{
	const int fd = ingress.fd;

	ingress.ops->close(&ingress);
	use(fd, SLOTS, SLOT_BYTES);
}

/* ------------------------------------------------------------------------- the kernel's part */

static struct tpacket2_hdr *kernel_slot(uint32_t index)
{
	return (struct tpacket2_hdr *)(kernel_ring + (size_t)(index % SLOTS) * SLOT_BYTES);
}

/* The next frame; refused, as the kernel does it, when the next slot is not its own. */
static bool deliver_as(uint32_t status, const struct virtio_net_hdr *header, uint32_t captured,
		       uint32_t original)
{
	struct tpacket2_hdr *slot = kernel_slot(kernel_head);
	uint8_t *frame = (uint8_t *)slot + FRAME_OFFSET;

	if (__atomic_load_n(&slot->tp_status, __ATOMIC_ACQUIRE) != TP_STATUS_KERNEL) {
		refused++;
		return false;
	}
	memcpy(frame - sizeof(*header), header, sizeof(*header));
	memset(frame, (int)(delivered & 0xff), captured);
	memcpy(frame, &delivered, sizeof(delivered));
	slot->tp_mac = FRAME_OFFSET;
	slot->tp_snaplen = captured;
	slot->tp_len = original;
	memset(slot->tp_padding, 0, sizeof(slot->tp_padding));
	__atomic_store_n(&slot->tp_status, TP_STATUS_USER | status, __ATOMIC_RELEASE);
	kernel_head++;
	delivered++;
	return true;
}

static bool deliver(void)
{
	return deliver_as(0, &(struct virtio_net_hdr){0}, FRAME_BYTES, FRAME_BYTES);
}

static unsigned fill(unsigned count)
{
	unsigned n = 0;

	while (n < count && deliver())
		n++;
	return n;
}

/* ------------------------------------------------------------------------- our part */

static unsigned peek(unsigned max)
{
	return ingress.ops->peek(&ingress, frames, max);
}

static void release(uint32_t slot)
{
	ingress.ops->release(&ingress, slot);
}

static unsigned number_of(const struct frame *frame)
{
	unsigned number;

	memcpy(&number, frame->data, sizeof(number));
	return number;
}

/* The next frames are these, in order. */
static void assert_peek(unsigned max, unsigned first, unsigned count)
{
	assert_int_equal(peek(max), count);
	for (unsigned i = 0; i < count; i++) {
		assert_int_equal(number_of(&frames[i]), first + i);
		assert_int_equal(frames[i].slot, (first + i) % SLOTS);
	}
}

static void test_frame(void **state)
{
	static const struct {
		uint32_t status;
		struct virtio_net_hdr header;
		bool checksum_good;
		uint16_t segment_bytes;
	} cases[] = {
		{0, {0}, false, 0},
		{TP_STATUS_CSUM_VALID, {0}, true, 0},
		{TP_STATUS_CSUMNOTREADY, {0}, true, 0},
		{0, {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM}, true, 0},
		{0, {.flags = VIRTIO_NET_HDR_F_DATA_VALID}, true, 0},
		{TP_STATUS_COPY | TP_STATUS_LOSING, {0}, false, 0},
		{0, {.gso_type = 5, .gso_size = 1000}, false, 1000}, /* UDP_L4 */
		{0, {.gso_type = 5 | 0x80, .gso_size = 9}, false, 9},
		{0, {.gso_type = 1, .gso_size = 1000}, false, 0}, /* TCP */
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_true(deliver_as(cases[i].status, &cases[i].header, 100 + i, 200 + i));
		assert_peek(8, i, 1);
		assert_int_equal(frames[0].captured, 100 + i);
		assert_int_equal(frames[0].original, 200 + i);
		assert_int_equal(frames[0].checksum_good, cases[i].checksum_good);
		assert_int_equal(frames[0].segment_bytes, cases[i].segment_bytes);
		release(frames[0].slot);
	}
}

/* Bursts of all sizes, many times around, also past the end of 32-bit counts. */
static void test_wraps_around(void **state)
{
	unsigned next = 0;

	(void)state;
	assert_int_equal(peek(8), 0);
	for (unsigned count = 1; count <= SLOTS; count++)
		for (unsigned turn = 0; turn < 20; turn++) {
			assert_int_equal(fill(count), count);
			assert_peek(SLOTS + 1, next, count);
			for (unsigned i = 0; i < count; i++)
				release(frames[i].slot);
			assert_int_equal(ingress.lent, 0);
			next += count;
		}
	assert_int_equal(peek(8), 0);
	assert_int_equal(refused, 0);
}

/* A burst is cut where `max` says; the rest comes next. */
static void test_burst_limit(void **state)
{
	(void)state;
	fill(10);
	assert_peek(4, 0, 4);
	assert_peek(4, 4, 4);
	assert_peek(4, 8, 2);
	assert_peek(4, 10, 0);
}

/* All slots are lent: there is nothing to lend, and nothing is lent a second time. */
static void test_full(void **state)
{
	(void)state;
	assert_int_equal(fill(SLOTS + 3), SLOTS);
	assert_int_equal(refused, 1);
	assert_peek(2 * SLOTS, 0, SLOTS);
	assert_int_equal(peek(1), 0);
	assert_int_equal(fill(1), 0);
	release(0);
	assert_int_equal(fill(2), 1);
	assert_peek(2 * SLOTS, SLOTS, 1);
	assert_int_equal(peek(1), 0);
}

/* A slot that is still held when the head comes round to it again has been lent already. */
static void test_oldest_held_for_a_round(void **state)
{
	(void)state;
	fill(SLOTS);
	assert_peek(SLOTS, 0, SLOTS);
	for (uint32_t slot = 1; slot < SLOTS; slot++) {
		release(slot);
		assert_int_equal(peek(SLOTS), 0);
	}
	release(0);
	assert_int_equal(ingress.lent, 0);
	assert_int_equal(fill(SLOTS + 1), SLOTS);
	assert_peek(SLOTS, SLOTS, SLOTS);
}

/* As a turn with frames that no rule asks for: those go back at once, the others when sent. */
static void test_some_held_for_a_round(void **state)
{
	(void)state;
	fill(8);
	assert_peek(SLOTS, 0, 8);
	for (uint32_t slot = 0; slot < 8; slot++)
		if (slot != 2)
			release(slot);
	fill(SLOTS);
	assert_peek(SLOTS, 8, 10); /* up to the slot before 2, which is held */
	assert_int_equal(peek(SLOTS), 0);
	for (uint32_t slot = 3; slot < 2 + SLOTS; slot++)
		if (slot >= 8)
			release(slot % SLOTS);
	assert_int_equal(peek(SLOTS), 0);
	release(2);
	assert_int_equal(ingress.lent, 0);
	assert_int_equal(fill(SLOTS), SLOTS);
	assert_peek(SLOTS, 18, SLOTS);
}

/* Any order at all: each frame is lent once, in order, untouched while it is lent. */
static void test_random_order(void **state)
{
	struct frame lent[SLOTS];
	unsigned numbers[SLOTS], num_lent = 0, next = 0;

	(void)state;
	srand(1);
	for (unsigned turn = 0; turn < 200000; turn++) {
		unsigned n;

		fill((unsigned)rand() % (SLOTS + 2));
		n = peek(1 + (unsigned)rand() % SLOTS);
		assert_in_range(num_lent + n, 0, SLOTS);
		for (unsigned i = 0; i < n; i++) {
			if (number_of(&frames[i]) != next)
				fail_msg("frame %u instead of %u", number_of(&frames[i]), next);
			numbers[num_lent] = next++;
			lent[num_lent++] = frames[i];
		}
		for (unsigned k = (unsigned)rand() % (num_lent + 1); k > 0; k--) {
			unsigned i = (unsigned)rand() % num_lent;

			if (number_of(&lent[i]) != numbers[i])
				fail_msg("frame %u has been overwritten", numbers[i]);
			release(lent[i].slot);
			lent[i] = lent[--num_lent];
			numbers[i] = numbers[num_lent];
		}
	}
	while (num_lent > 0)
		release(lent[--num_lent].slot);
	next += peek(SLOTS);
	assert_int_equal(next, delivered);
	assert_true(refused > 0);
}

/* ------------------------------------------------------------------------- a successor */

static void test_successor_goes_on(void **state)
{
	(void)state;
	fill(5);
	assert_peek(3, 0, 3);
	for (unsigned i = 0; i < 3; i++)
		release(frames[i].slot);
	position.lent = ingress.lent; /* the end of the turn */
	position.uncounted = 0;
	reopen();
	assert_int_equal(counter_get(&counters, COUNTER_drop_worker_died), 0);
	assert_peek(SLOTS, 3, 2);
}

static void test_successor_counts_what_was_lent(void **state)
{
	(void)state;
	fill(12);
	assert_peek(10, 0, 10);
	release(1);
	release(0);
	release(5);
	reopen();
	/* 0 and 1 may have been sent, who knows; 5 waited for its elders, and was not the kernel's
	 * yet */
	assert_int_equal(counter_get(&counters, COUNTER_drop_worker_died), 10);
	assert_int_equal(counter_get(&counters, COUNTER_recv_packets), 10);
	assert_int_equal(position.lent, 0);
	assert_peek(SLOTS, 10, 2);
	release(10);
	release(11);
	assert_int_equal(fill(SLOTS + 1), SLOTS);
	assert_peek(SLOTS, 12, SLOTS);
}

/* Slots that have been given back in the turn in which the worker died are filled again at once
 * when the ring is full. Wherever in the ring: what was in hand is counted, what came since is
 * lent. */
static void test_successor_on_a_full_ring(void **state)
{
	(void)state;
	for (unsigned given_back = 0; given_back <= 8; given_back++) {
		const unsigned first = delivered,
			       died = (unsigned)counter_get(&counters, COUNTER_drop_worker_died);

		assert_int_equal(fill(SLOTS), SLOTS);
		assert_peek(8, first, 8);
		for (unsigned i = 0; i < given_back; i++)
			release(frames[i].slot);
		assert_int_equal(fill(SLOTS), given_back);
		reopen();
		assert_int_equal(counter_get(&counters, COUNTER_drop_worker_died), died + 8);
		assert_int_equal(fill(SLOTS), 8 - given_back);
		assert_int_equal(peek(SLOTS), SLOTS);
		for (unsigned i = 0; i < SLOTS; i++) {
			assert_int_equal(number_of(&frames[i]), first + 8 + i);
			release(frames[i].slot);
		}
		position.lent = ingress.lent; /* the end of the turn */
		position.uncounted = 0;
		assert_int_equal(peek(SLOTS), 0);
	}
}

/* What is still lent from earlier turns has been counted at their ends. */
static void test_successor_counts_once(void **state)
{
	(void)state;
	fill(9);
	assert_peek(4, 0, 4);
	position.uncounted = 0; /* the end of the turn: nothing sent yet */
	assert_peek(3, 4, 3);
	release(0);
	reopen();
	assert_int_equal(counter_get(&counters, COUNTER_drop_worker_died), 3);
	assert_int_equal(counter_get(&counters, COUNTER_recv_packets), 3);
	assert_int_equal(position.uncounted, 0);
	assert_peek(SLOTS, 7, 2);
}

/* It died after it had looked at frames, and before it said so. */
static void test_successor_of_one_that_only_looked(void **state)
{
	struct ring_position before;

	(void)state;
	fill(6);
	before = position;
	assert_peek(4, 0, 4);
	position = before;
	reopen();
	assert_int_equal(counter_get(&counters, COUNTER_drop_worker_died), 0);
	assert_peek(SLOTS, 0, 6);
}

/* It had gone bad, and has left a position outside of the ring: all frames are there all the same,
 * in order once the kernel and the successor are at the same slot. */
static void test_successor_of_a_bad_one(void **state)
{
	static const struct ring_position bad[] = {
		{.head = SLOTS},
		{.head = UINT32_MAX},
		{.head = 3, .lent = SLOTS + 1},
		{.head = UINT32_MAX, .lent = UINT32_MAX, .uncounted = UINT32_MAX},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const unsigned first = delivered;

		position = bad[i];
		reopen();
		assert_int_equal(position.head, 0);
		assert_int_equal(position.lent, 0);
		assert_int_equal(fill(SLOTS), SLOTS); /* the kernel is at the first slot, too */
		assert_peek(SLOTS, first, SLOTS);
		for (unsigned slot = 0; slot < SLOTS; slot++)
			release(slot);
	}
}

/* Headers in slots that it had not given back would have the successor read behind the ring. */
static void test_slots_of_a_bad_one(void **state)
{
	static const struct tpacket2_hdr bad[] = {
		{.tp_mac = FRAME_OFFSET, .tp_snaplen = SLOT_BYTES - FRAME_OFFSET + 1},
		{.tp_mac = FRAME_OFFSET, .tp_snaplen = UINT32_MAX},
		{.tp_mac = UINT16_MAX, .tp_snaplen = FRAME_BYTES},
		{.tp_mac = 0, .tp_snaplen = FRAME_BYTES},
	};
	enum { BAD = sizeof(bad) / sizeof(bad[0]) };

	(void)state;
	assert_int_equal(fill(BAD + 1), BAD + 1);
	for (unsigned i = 0; i < BAD; i++) {
		kernel_slot(i)->tp_mac = bad[i].tp_mac;
		kernel_slot(i)->tp_snaplen = bad[i].tp_snaplen;
	}
	reopen();
	assert_int_equal(peek(SLOTS), BAD + 1);
	for (unsigned i = 0; i < BAD; i++)
		assert_int_equal(frames[i].captured, 0);
	assert_int_equal(frames[BAD].captured, FRAME_BYTES); /* the good one stays */
	assert_int_equal(number_of(&frames[BAD]), BAD);
}

/* A successor that cannot map the ring leaves alone what is to be given back, for the next one. */
static void test_no_memory_of_a_ring(void **state)
{
	const int fd = ingress.fd;
	int ringless = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)state;
	fill(5);
	assert_peek(3, 0, 3);
	ingress.ops->close(&ingress);
	for (unsigned i = 0; i < 2; i++) {
		struct ingress without = ingress;

		without.fd = i ? ringless : -1;
		assert_int_equal(without.ops->open(&without), i ? -ENODEV : -EBADF);
		assert_null(without.ring.memory);
		assert_int_equal(position.lent, 3);
		assert_int_equal(position.head, 3);
		assert_int_equal(counter_get(&counters, COUNTER_drop_worker_died), 0);
	}
	close(ringless);
	use(fd, SLOTS, SLOT_BYTES);
	assert_int_equal(counter_get(&counters, COUNTER_drop_worker_died), 3);
	assert_peek(SLOTS, 3, 2);
}

/* ------------------------------------------------------------------------- a packet socket */

static int sender = -1, receiver = -1;

static int setup_lo(void **state)
{
	const struct sockaddr_in to = {.sin_family = AF_INET,
				       .sin_port = htons(PORT),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const struct ring_shape shapes[FRAME_CLASSES] = {{SLOTS, SLOT_BYTES}, {0}};
	static const struct filter_keys everything = {.everything = true};
	struct netif lo = {.name = "lo", .mtu = 65536};
	int fd;

	(void)state;
	if (!own_network) {
		print_message("may not make a network namespace\n");
		skip();
	}
	memset(&counters, 0, sizeof(counters));
	memset(&position, 0, sizeof(position));
	lo.index = (int)if_nametoindex("lo");
	sender = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	receiver = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (bind(receiver, (const struct sockaddr *)&to, sizeof(to)) < 0 ||
	    connect(sender, (const struct sockaddr *)&to, sizeof(to)) < 0)
		return -1;
	fd = sockets_open_input(&lo, shapes[FRAMES_SMALL]);
	if (fd >= 0 && sockets_listen(fd, &lo, shapes, FRAMES_SMALL, &everything) < 0)
		return -1;
	if (fd < 0)
		return -1;
	use(fd, SLOTS, SLOT_BYTES);
	return 0;
}

static int teardown_lo(void **state)
{
	(void)state;
	close_ingress();
	close(sender);
	close(receiver);
	return own_network_set_lo(true) ? 0 : -1;
}

/* To 127.0.0.1:PORT, its own number as payload; the ring has had it before this returns. */
static void send_number(unsigned number, size_t bytes)
{
	uint8_t payload[9000] = {0};

	memcpy(payload, &number, sizeof(number));
	assert_int_equal(send(sender, payload, bytes, 0), bytes);
	assert_int_equal(recv(receiver, payload, sizeof(payload), 0), bytes);
}

static unsigned payload_number(const struct frame *frame)
{
	struct packet packet;
	unsigned number;

	assert_int_equal(packet_parse(frame, &packet), PACKET_OK);
	assert_int_equal(packet.group, htonl(INADDR_LOOPBACK));
	assert_int_equal(packet.port, PORT);
	memcpy(&number, packet.payload, sizeof(number));
	return number;
}

/* Frames of the kernel's, in order: they are there, and whoever sleeps is woken by them. */
static void assert_receive(unsigned first, unsigned count)
{
	struct pollfd ready = {.fd = ingress.ops->wait_fd(&ingress), .events = POLLIN};

	assert_int_equal(poll(&ready, 1, 0), 1);
	assert_int_equal(peek(count), count);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(payload_number(&frames[i]), first + i);
}

static uint64_t take_drops(void)
{
	uint64_t accepted = 0;

	return sockets_take_drops(ingress.fd, &accepted);
}

static void test_lo_round_and_round(void **state)
{
	unsigned next = 0;

	(void)state;
	for (unsigned turn = 0; turn < 50; turn++) {
		unsigned count = 1 + turn % SLOTS;

		for (unsigned i = 0; i < count; i++)
			send_number(next + i, 100);
		assert_receive(next, count);
		for (unsigned i = count; i > 0; i--) /* the youngest first */
			release(frames[i - 1].slot);
		assert_int_equal(ingress.lent, 0);
		next += count;
	}
	assert_int_equal(take_drops(), 0);
}

static void test_lo_full(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SLOTS + 5; i++)
		send_number(i, 100);
	assert_receive(0, SLOTS);
	assert_int_equal(take_drops(), 5);
	assert_int_equal(take_drops(), 0);
	/* all are held: still full; nothing is seen twice */
	send_number(98, 100);
	for (uint32_t slot = 1; slot < SLOTS; slot++)
		release(slot);
	send_number(99, 100);
	assert_int_equal(peek(SLOTS), 0);
	assert_int_equal(take_drops(), 2);
	release(0);
	for (unsigned i = 0; i < SLOTS; i++)
		send_number(100 + i, 100);
	assert_receive(100, SLOTS);
	assert_int_equal(take_drops(), 0);
}

static void test_lo_truncated(void **state)
{
	struct packet packet;

	(void)state;
	send_number(0, 4000);
	assert_int_equal(peek(SLOTS), 1);
	assert_int_equal(frames[0].original, 14 + 28 + 4000);
	assert_in_range(frames[0].captured, 1500, SLOT_BYTES);
	assert_int_equal(packet_parse(&frames[0], &packet), PACKET_TRUNCATED);
	release(frames[0].slot);
	send_number(1, 100);
	assert_receive(1, 1);
}

static void test_lo_down_and_up(void **state)
{
	(void)state;
	send_number(0, 100);
	assert_receive(0, 1);
	release(frames[0].slot);
	assert_true(own_network_set_lo(false));
	assert_int_equal(peek(SLOTS), 0);
	assert_true(own_network_set_lo(true));
	send_number(1, 100);
	assert_int_equal(peek(SLOTS), 1);
	assert_int_equal(payload_number(&frames[0]), 1);
}

static int enter(void **state)
{
	(void)state;
	own_network = own_network_enter();
	return 0;
}

int main(void)
{
#define TEST(name)    cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_LO(name) cmocka_unit_test_setup_teardown(name, setup_lo, teardown_lo)
	const struct CMUnitTest tests[] = {
		TEST(test_frame),
		TEST(test_wraps_around),
		TEST(test_burst_limit),
		TEST(test_full),
		TEST(test_oldest_held_for_a_round),
		TEST(test_some_held_for_a_round),
		TEST(test_random_order),
		TEST(test_successor_goes_on),
		TEST(test_successor_counts_what_was_lent),
		TEST(test_successor_on_a_full_ring),
		TEST(test_successor_of_one_that_only_looked),
		TEST(test_successor_counts_once),
		TEST(test_successor_of_a_bad_one),
		TEST(test_slots_of_a_bad_one),
		TEST(test_no_memory_of_a_ring),
		TEST_LO(test_lo_round_and_round),
		TEST_LO(test_lo_full),
		TEST_LO(test_lo_truncated),
		TEST_LO(test_lo_down_and_up),
	};

	return cmocka_run_group_tests_name("ingress_ring", tests, enter, NULL);
}
