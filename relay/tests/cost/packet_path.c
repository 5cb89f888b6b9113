// SPDX-License-Identifier: MIT
/*
 * packet_path: a whole worker against a made-up kernel, for callgrind to count what it does.
 *
 * worker_main runs as in the relay, from its first message to its last: parse, match, fan-out,
 * coalescing, settling, sleeping. What it asks of the kernel while packets pass, this program
 * answers: the receive rings are memfds that it fills, and the io_uring below sends at once, to
 * nobody, and ends each sleep with the next burst. So the same program does the same at every run,
 * on any machine.
 *
 *   packet_path          each case, one after the other; a line of JSON says of what it is made:
 *                        {"case": "one rule", "unit": "packet", "count": 8192}
 *
 * Under `valgrind --tool=callgrind --instr-atstart=no` each case leaves a file of its own, whose
 * name ends in its number, counted from 1, and whose "desc: Trigger" names it.
 */
#include "contract/channel.h"
#include "contract/plan.h"
#include "contract/shared.h"
#include "worker/sandbox.h"
#include "worker/worker.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <valgrind/callgrind.h>

enum {
	BURST = 64,
	WARM_UP = 40, /* bursts; the watch for loops has chosen a packet by then, the send pool been
			 round */
	ROUNDS = 128, /* bursts, or changes of rules, that are counted */
	SMALL_SLOTS = 256,
	SMALL_BYTES = 2048,
	LARGE_SLOTS = 64,
	LARGE_BYTES = 131072,
	FRAME_OFFSET = 96, /* of a slot */
	HEADERS = 42,
	PAYLOAD = 1400,
	SEGMENTS = 46, /* of an aggregate of such payloads */
	PORT = 5000,
	MTU = 9000,
	OUTPUTS = 50,
	TURN_NS = 100000, /* from burst to burst, by the frames' time stamps */
};

static const char *const INTERFACE = "in";

/* All of the last rule; of each rule by turns; of two sizes by turns, so that none are coalesced.
 */
enum packets { LAST_RULE, BY_TURNS, TWO_SIZES };

struct cost_case {
	const char *name;
	const char *unit;	   /* what is counted: packet, aggregate, wake-up, change */
	unsigned rules, outputs;   /* of each rule */
	unsigned frames, segments; /* of each burst, packets of each; no frames: rules change */
	enum packets packets;
};

static const struct cost_case cases[] = {
	{"one rule", "packet", 1, 1, BURST, 1, LAST_RULE},
	{"one rule of 100", "packet", 100, 1, BURST, 1, LAST_RULE},
	{"one rule of 1,000", "packet", 1000, 1, BURST, 1, LAST_RULE},
	{"1,000 rules by turns", "packet", 1000, 1, BURST, 1, BY_TURNS},
	{"50 outputs", "packet", 1, OUTPUTS, BURST, 1, LAST_RULE},
	{"packets of two sizes", "packet", 1, 1, BURST, 1, TWO_SIZES},
	{"aggregates", "aggregate", 1, 1, 8, SEGMENTS, LAST_RULE},
	{"one packet at a time", "wake-up", 1, 1, 1, 1, LAST_RULE},
	{"rules change, 1 rule", "change", 1, 1, 0, 0, LAST_RULE},
	{"rules change, 100 rules", "change", 100, 1, 0, 0, LAST_RULE},
	{"rules change, 1,000 rules", "change", 1000, 1, 0, 0, LAST_RULE},
};

static __attribute__((noreturn, format(printf, 1, 2))) void give_up(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fputs("packet_path: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
	exit(EXIT_FAILURE);
}

/* ------------------------------------------------------------------------- frames */

struct made_up_ring {
	int fd;
	uint8_t *memory;
	unsigned slots, slot_bytes, head;
};

static struct made_up_ring rings[FRAME_CLASSES];
static uint64_t frames_made;
static uint64_t time_ns; /* of the next burst */

static void ring_make(struct made_up_ring *ring, unsigned slots, unsigned slot_bytes)
{
	const size_t bytes = (size_t)slots * slot_bytes + RING_END_BYTES;

	*ring = (struct made_up_ring){
		.fd = memfd_create("ring", MFD_CLOEXEC), .slots = slots, .slot_bytes = slot_bytes};
	if (ring->fd < 0 || ftruncate(ring->fd, (off_t)bytes) < 0)
		give_up("no memory for a ring: %s", strerror(errno));
	ring->memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, 0);
	if (ring->memory == MAP_FAILED)
		give_up("a ring cannot be mapped: %s", strerror(errno));
}

static void put16(uint8_t *at, unsigned value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void put_checksum(uint8_t *ip)
{
	uint32_t sum = 0;

	put16(ip + 10, 0);
	for (int i = 0; i < 20; i += 2)
		sum += (uint32_t)(ip[i] << 8 | ip[i + 1]);
	sum = (sum & 0xffff) + (sum >> 16);
	put16(ip + 10, (uint16_t) ~(sum + (sum >> 16)));
}

static uint32_t group_of(unsigned rule)
{
	return htonl(0xef010000U + rule); /* 239.1.0.0 and up */
}

/* A frame of rule number `rule`, as packet_rcv leaves it. */
static void deliver(unsigned rule, unsigned segments, unsigned payload_bytes)
{
	struct made_up_ring *ring = &rings[segments > 1 ? FRAMES_LARGE : FRAMES_SMALL];
	const unsigned bytes = HEADERS + segments * payload_bytes;
	const uint32_t group = group_of(rule);
	const struct virtio_net_hdr header = {
		.flags = VIRTIO_NET_HDR_F_DATA_VALID,
		.gso_type = segments > 1 ? 5 : 0, /* UDP_L4 */
		.gso_size = (uint16_t)payload_bytes,
		.hdr_len = HEADERS,
	};
	struct tpacket2_hdr *slot =
		(struct tpacket2_hdr *)(ring->memory + (size_t)ring->head * ring->slot_bytes);
	uint8_t *frame = (uint8_t *)slot + FRAME_OFFSET, *ip = frame + 14;

	if (slot->tp_status & TP_STATUS_USER)
		give_up("the worker has not given a slot back");
	memcpy(frame - sizeof(header), &header, sizeof(header));
	memset(frame, 0, HEADERS);
	put16(frame + 12, 0x0800);
	ip[0] = 0x45;
	put16(ip + 2, bytes - 14);
	ip[8] = 16;
	ip[9] = 17;
	memcpy(ip + 12, &(uint32_t){htonl(0x0a000001)}, 4);
	memcpy(ip + 16, &group, 4);
	put_checksum(ip);
	put16(ip + 20, 4000);
	put16(ip + 22, PORT);
	put16(ip + 24, bytes - 34);
	for (unsigned i = 0; i < segments; i++, frames_made++)
		memcpy(frame + HEADERS + (size_t)i * payload_bytes, &frames_made,
		       sizeof(frames_made));
	slot->tp_mac = FRAME_OFFSET;
	slot->tp_net = FRAME_OFFSET + 14;
	slot->tp_snaplen = slot->tp_len = bytes;
	slot->tp_sec = (uint32_t)(time_ns / 1000000000);
	slot->tp_nsec = (uint32_t)(time_ns % 1000000000);
	memset(slot->tp_padding, 0, sizeof(slot->tp_padding));
	__atomic_store_n(&slot->tp_status, TP_STATUS_USER | TP_STATUS_CSUM_VALID, __ATOMIC_RELEASE);
	ring->head = (ring->head + 1) % ring->slots;
}

static void deliver_burst(const struct cost_case *this)
{
	static unsigned next_rule;

	for (unsigned i = 0; i < this->frames; i++) {
		const unsigned rule =
			this->packets == BY_TURNS ? next_rule++ % this->rules : this->rules - 1;

		deliver(rule, this->segments, PAYLOAD - (this->packets == TWO_SIZES ? i % 2 : 0));
	}
	time_ns += TURN_NS;
}

/* ------------------------------------------------------------------------- supervisor */

static int supervisor = -1; /* our end of the channel */
static struct shared *shared;
static uint32_t generation;

static void tell(struct message message, int passed)
{
	const int rc = channel_send(supervisor, &message, passed);

	if (rc < 0)
		give_up("the worker cannot be told: %s", strerror(-rc));
}

static void read_answers(void)
{
	struct message message;
	int passed;

	while (channel_receive(supervisor, &message, &passed) > 0)
		if (passed >= 0)
			close(passed);
}

static int number_of_input(const void *context, const char *interface)
{
	(void)context;
	(void)interface;
	return 0;
}

static int number_of_output(const void *context, const struct rule_output *key)
{
	(void)context;
	return key->to.port;
}

/* Rules that have the same outputs, or one each. The plan of the last call is kept: to build one is
 * not the worker's part. */
static void tell_plan(const struct cost_case *this)
{
	static const struct plan_numbers numbers = {number_of_input, number_of_output, NULL};
	static uint32_t rule_numbers[RULE_NUMBERS], born[RULE_NUMBERS];
	static const struct cost_case *built;
	static uint32_t bytes;
	static int fd = -1;

	if (built != this) {
		struct rules rules = {calloc(this->rules, sizeof(struct rule)), this->rules};
		struct rule_output *outputs = calloc(this->outputs, sizeof(*outputs));

		if (!rules.rule || !outputs)
			give_up("out of memory");
		for (unsigned i = 0; i < this->outputs; i++)
			outputs[i].to.port = (uint16_t)i;
		for (unsigned i = 0; i < this->rules; i++) {
			rules.rule[i] = (struct rule){
				.input = {.group.s_addr = group_of(i), .port = PORT},
				.outputs = outputs,
				.num_outputs = this->outputs,
			};
			rule_numbers[i] = i;
		}
		if (fd >= 0)
			close(fd);
		fd = plan_build(&rules, rule_numbers, born, &numbers, &bytes);
		free(rules.rule);
		free(outputs);
		if (fd < 0)
			give_up("no plan: %s", strerror(-fd));
		built = this;
	}
	tell((struct message){.type = MESSAGE_PLAN, .plan = {++generation, bytes}}, fd);
	tell((struct message){.type = MESSAGE_COMPLETE, .plan = {generation, bytes}}, -1);
}

static void tell_input(enum frame_class class)
{
	struct message message = {
		.type = MESSAGE_INPUT,
		.input = {.frames = class,
			  .slots = rings[class].slots,
			  .slot_bytes = rings[class].slot_bytes,
			  .ring = 1 + class,
			  .frame_bytes = class == FRAMES_SMALL ? 1500 : 65535},
	};

	strcpy(message.input.interface, INTERFACE);
	tell(message, rings[class].fd);
}

static void tell_output(unsigned index, int fd)
{
	struct message message = {
		.type = MESSAGE_OUTPUT,
		.index = index,
		.output = {.mtu = MTU},
	};

	strcpy(message.output.interface, "out");
	tell(message, fd);
}

/* The first messages. What the worker sends through it is never asked for: any descriptor will do.
 */
static void tell_set_up(void)
{
	const struct worker_settings settings = {
		.queue_depth = 512,
		.send_batch = BURST,
		.cpu = -1,
		.send_cpu = -1,
		.ingress = INGRESS_RING,
		.egress = EGRESS_URING,
		.reap = REAP_SYNC,
		.gso = GSO_AUTO,
		.threads = THREADS_UNIFIED,
		.pool = {1, 1, 1},
		.num_recv_buffers = 1,
	};
	const int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
	const int fd = shared_create(&shared);

	if (nowhere < 0 || fd < 0)
		give_up("no shared memory");
	tell((struct message){.type = MESSAGE_SETUP, .settings = settings}, fd);
	ring_make(&rings[FRAMES_SMALL], SMALL_SLOTS, SMALL_BYTES);
	ring_make(&rings[FRAMES_LARGE], LARGE_SLOTS, LARGE_BYTES);
	tell_input(FRAMES_SMALL);
	tell_input(FRAMES_LARGE);
	for (unsigned i = 0; i < OUTPUTS; i++)
		tell_output(i, nowhere);
	close(nowhere);
	close(fd);
}

/* ------------------------------------------------------------------------- what happens next */

enum happening { MESSAGES, FRAMES, AGGREGATES };

static uint64_t so_far(enum counter which)
{
	struct counters sum = {0};

	published_add_up(&sum, &shared->receiving);
	return counter_get(&sum, which);
}

static void expect(const struct cost_case *this, const char *what, uint64_t packets,
		   uint64_t expected)
{
	if (packets != expected)
		give_up("%s: %llu packets were %s instead of %llu", this->name,
			(unsigned long long)packets, what, (unsigned long long)expected);
}

static void begin_counting(void)
{
	CALLGRIND_START_INSTRUMENTATION;
	CALLGRIND_ZERO_STATS;
}

static void end_counting(const struct cost_case *this, uint64_t matched, uint64_t sent)
{
	const uint64_t expected = (uint64_t)ROUNDS * this->frames * this->segments;

	CALLGRIND_DUMP_STATS_AT(this->name);
	CALLGRIND_STOP_INSTRUMENTATION;
	expect(this, "matched", so_far(COUNTER_matched) - matched, expected);
	expect(this, "sent", so_far(COUNTER_egress_sent) - sent, expected * this->outputs);
	printf("{\"case\": \"%s\", \"unit\": \"%s\", \"count\": %u}\n", this->name, this->unit,
	       this->frames ? ROUNDS * this->frames : ROUNDS);
}

/* The worker is about to sleep: what wakes it. Each case: its rules, bursts to warm up, those that
 * are counted. */
static enum happening happen(void)
{
	static unsigned number, step;
	static uint64_t matched, sent;
	const struct cost_case *this = &cases[number];

	read_answers();
	if (step == 1 + WARM_UP) {
		matched = so_far(COUNTER_matched);
		sent = so_far(COUNTER_egress_sent);
		begin_counting();
	}
	if (step == 1 + WARM_UP + ROUNDS) {
		end_counting(this, matched, sent);
		this = &cases[++number];
		step = 0;
	}
	if (number == sizeof(cases) / sizeof(cases[0])) {
		tell((struct message){.type = MESSAGE_STOP}, -1);
		return MESSAGES;
	}
	if (step++ == 0 || this->frames == 0) {
		tell_plan(this);
		return MESSAGES;
	}
	deliver_burst(this);
	return this->segments > 1 ? AGGREGATES : FRAMES;
}

/* ------------------------------------------------------------------------- the made-up kernel */

enum { POLLS = 1 + FRAME_CLASSES, URINGS = 2 };
enum waited_for { NOTHING, CHANNEL, RING };

/* One io_uring as its user has it. Sends complete as they are submitted, polls when there is what
 * they wait for. */
struct made_up_uring {
	unsigned sq_head, cq_head, cq_tail;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
	struct {
		enum waited_for what;
		unsigned class; /* of the ring */
		uint64_t user_data;
	} polls[POLLS];
};

static struct made_up_uring urings[URINGS];

int sandbox_enter(const struct worker_settings *settings, const int events[SANDBOX_EVENTS])
{
	(void)settings;
	(void)events;
	return 0;
}

int sandbox_pin(int cpu)
{
	(void)cpu;
	return 0;
}

int io_uring_queue_init(unsigned entries, struct io_uring *uring, unsigned flags)
{
	static int used;
	struct made_up_uring *made_up = &urings[used];
	unsigned size = 1;

	(void)flags;
	if (used == URINGS)
		return -ENOMEM;
	while (size < entries)
		size *= 2;
	made_up->sqes = calloc(size, sizeof(*made_up->sqes));
	made_up->cqes = calloc(2 * (size_t)size, sizeof(*made_up->cqes));
	if (!made_up->sqes || !made_up->cqes)
		return -ENOMEM;
	uring->sq.khead = &made_up->sq_head;
	uring->sq.sqes = made_up->sqes;
	uring->sq.ring_entries = size;
	uring->sq.ring_mask = size - 1;
	uring->cq.khead = &made_up->cq_head;
	uring->cq.ktail = &made_up->cq_tail;
	uring->cq.cqes = made_up->cqes;
	uring->cq.ring_entries = 2 * size;
	uring->cq.ring_mask = 2 * size - 1;
	uring->ring_fd = used++;
	return 0;
}

void io_uring_queue_exit(struct io_uring *uring)
{
	free(urings[uring->ring_fd].sqes);
	free(urings[uring->ring_fd].cqes);
}

int io_uring_register_ring_fd(struct io_uring *uring)
{
	(void)uring;
	return 0;
}

int io_uring_register(unsigned fd, unsigned opcode, const void *argument, unsigned count)
{
	(void)fd;
	(void)opcode;
	(void)argument;
	(void)count;
	return 0;
}

static void complete(struct io_uring *uring, uint64_t user_data, int result)
{
	uring->cq.cqes[(*uring->cq.ktail)++ & uring->cq.ring_mask] =
		(struct io_uring_cqe){.user_data = user_data, .res = result};
}

static bool same_file(int a, int b)
{
	struct stat one, other;

	return fstat(a, &one) == 0 && fstat(b, &other) == 0 && one.st_ino == other.st_ino &&
	       one.st_dev == other.st_dev;
}

static void add_poll(struct made_up_uring *made_up, const struct io_uring_sqe *sqe)
{
	for (unsigned i = 0; i < POLLS; i++) {
		if (made_up->polls[i].what != NOTHING)
			continue;
		made_up->polls[i].user_data = sqe->user_data;
		made_up->polls[i].what = sqe->fd == WORKER_CHANNEL_FD ? CHANNEL : RING;
		made_up->polls[i].class =
			same_file(sqe->fd, rings[FRAMES_SMALL].fd) ? FRAMES_SMALL : FRAMES_LARGE;
		return;
	}
	give_up("a worker waits for more than its channel and its rings");
}

static void remove_poll(struct io_uring *uring, uint64_t user_data)
{
	struct made_up_uring *made_up = &urings[uring->ring_fd];

	for (unsigned i = 0; i < POLLS; i++)
		if (made_up->polls[i].what != NOTHING && made_up->polls[i].user_data == user_data) {
			made_up->polls[i].what = NOTHING;
			complete(uring, user_data, -ECANCELED);
		}
}

/* Returns how many polls have ended. */
static unsigned end_polls(struct io_uring *uring, enum waited_for what, unsigned class)
{
	struct made_up_uring *made_up = &urings[uring->ring_fd];
	unsigned count = 0;

	for (unsigned i = 0; i < POLLS; i++)
		if (made_up->polls[i].what == what &&
		    (what == CHANNEL || made_up->polls[i].class == class)) {
			made_up->polls[i].what = NOTHING;
			complete(uring, made_up->polls[i].user_data, POLLIN);
			count++;
		}
	return count;
}

static size_t bytes_of(const struct msghdr *message)
{
	size_t bytes = 0;

	for (size_t i = 0; i < message->msg_iovlen; i++)
		bytes += message->msg_iov[i].iov_len;
	return bytes;
}

static void submit_one(struct io_uring *uring, const struct io_uring_sqe *sqe)
{
	switch (sqe->opcode) {
	case IORING_OP_SEND:
		complete(uring, sqe->user_data, (int)sqe->len);
		break;
	case IORING_OP_SENDMSG:
		complete(uring, sqe->user_data,
			 (int)bytes_of((const struct msghdr *)(uintptr_t)sqe->addr));
		break;
	case IORING_OP_POLL_ADD:
		add_poll(&urings[uring->ring_fd], sqe);
		break;
	case IORING_OP_POLL_REMOVE:
		remove_poll(uring, sqe->addr);
		complete(uring, sqe->user_data, 0);
		break;
	default:
		give_up("the made-up kernel does not know operation %u", sqe->opcode);
	}
}

int io_uring_submit(struct io_uring *uring)
{
	int count = 0;

	for (; uring->sq.sqe_head != uring->sq.sqe_tail; uring->sq.sqe_head++, count++)
		submit_one(uring, &uring->sq.sqes[uring->sq.sqe_head & uring->sq.ring_mask]);
	*uring->sq.khead = uring->sq.sqe_tail;
	return count;
}

int io_uring_submit_and_wait(struct io_uring *uring, unsigned wait)
{
	const int count = io_uring_submit(uring);

	while (*uring->cq.ktail - *uring->cq.khead < wait) {
		const enum happening next = happen();
		const unsigned ended =
			next == MESSAGES
				? end_polls(uring, CHANNEL, 0)
				: end_polls(uring, RING,
					    next == AGGREGATES ? FRAMES_LARGE : FRAMES_SMALL);

		if (ended == 0)
			give_up("the worker does not wait for what happens");
	}
	return count;
}

int main(void)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		give_up("no channel: %s", strerror(errno));
	/* a free place for the worker's end, whatever has been opened before */
	supervisor = fcntl(ends[0], F_DUPFD_CLOEXEC, WORKER_CHANNEL_FD + 1);
	if (supervisor < 0 || dup2(ends[1], WORKER_CHANNEL_FD) < 0)
		give_up("no channel: %s", strerror(errno));
	tell_set_up();
	return worker_main();
}
