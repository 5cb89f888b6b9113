// SPDX-License-Identifier: MIT
/*
 * handoff: what the receiving thread pushes reaches the egress of the sending one, once and in
 * order, and each hold comes back to the receiving thread, which this is.
 *
 * Most packets go to an output that is closed: egress counts them and drops their holds at once, in
 * the order in which they came, so that many are quick. Their slots are numbers that go round.
 * Nothing is waited for by time; a test that would wait for good is ended by an alarm, and the
 * program with it.
 */
#include "common/log.h"
#include "worker/forward.h"
#include "worker/handoff.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

enum {
	SIZE = 1024, /* of each queue: full soon, and gone round often */
	SLOTS = 4 * SIZE,
	TOO_LONG_S = 800,
	/* of a queue; both are full when the sending thread has one packet in hand and no room for
	 * its hold */
	CAPACITY = SIZE - 1,
	ALL_FULL = CAPACITY + 1 + CAPACITY,
};

static struct worker_settings settings;
static struct published published;
static struct output_counters output_counters;
static struct output closed = {.fd = -1, .error = ENODEV, .counters = &output_counters};
static struct handoff handoff;
static uint32_t *holds; /* [SLOTS] */
static uint64_t pushed, released, refused;
static pthread_t receiving_thread;

/* ------------------------------------------------------------------------- set-up */

/* The holds come back in the order of the pushes. */
static void check_release(struct ingress *ingress, uint32_t slot)
{
	assert_ptr_equal(ingress->holds, holds);
	assert_true(pthread_equal(pthread_self(), receiving_thread));
	if (slot != released % SLOTS)
		fail_msg("slot %u came back instead of %u", slot, (unsigned)(released % SLOTS));
	released++;
}

static const struct ingress_ops release_only = {.release = check_release};
static struct ingress ingress = {.ops = &release_only};

static int setup(void **state)
{
	(void)state;
	settings = (struct worker_settings){
		.queue_depth = 64,
		.send_batch = 64,
		.send_cpu = -1,
		.cpu = -1,
		.wakeup = WAKEUP_HYBRID,
	};
	memset(&published, 0, sizeof(published));
	memset(&output_counters, 0, sizeof(output_counters));
	pushed = released = refused = 0;
	holds = calloc(SLOTS, sizeof(*holds));
	ingress.holds = holds;
	receiving_thread = pthread_self();
	alarm(TOO_LONG_S);
	return holds ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	handoff_stop(&handoff);
	alarm(0);
	free(holds);
	return 0;
}

static void start(void)
{
	int rc = handoff_start(&handoff, SIZE, &settings, &published);

	if (rc == -EPERM || rc == -ENOSYS) {
		print_message("no io_uring here: %s\n", strerror(-rc));
		skip();
	}
	assert_int_equal(rc, 0);
}

static bool push_to(struct output *output, const void *payload, uint32_t bytes)
{
	const uint32_t slot = (uint32_t)(pushed % SLOTS);
	const struct handoff_run run = {output, {payload, bytes, bytes, 1}, {&ingress, slot}};

	holds[slot]++;
	if (!handoff_push(&handoff, &run)) {
		holds[slot]--;
		refused++;
		return false;
	}
	assert_int_equal(holds[slot], 1);
	pushed++;
	return true;
}

static bool push(void)
{
	return push_to(&closed, "", 0);
}

static uint64_t count(enum counter which)
{
	struct counters sum = {0};

	published_add_up(&sum, &published);
	return counter_get(&sum, which);
}

static uint64_t sent_and_failed(void)
{
	return count(COUNTER_egress_sent) + count(COUNTER_egress_errors);
}

/* After the end of the sending thread: it has had each packet, once. */
static void assert_ledger(void)
{
	assert_int_equal(handoff.outstanding, 0);
	assert_int_equal(released, pushed);
	assert_int_equal(count(COUNTER_egress_queued), pushed);
	assert_int_equal(sent_and_failed(), pushed);
}

static void settle_and_stop(void)
{
	handoff_drain(&handoff);
	handoff_stop(&handoff);
	assert_ledger();
}

/* Sleeps until a hold has come back, as a worker does it. */
static void sleep_until_returns(void)
{
	struct pollfd ready = {.fd = handoff.returns_fd, .events = POLLIN};

	if (!handoff_want_returns(&handoff))
		return;
	assert_int_equal(poll(&ready, 1, -1), 1);
	handoff_lower_returns(&handoff);
}

static void pause_at_random(unsigned most)
{
	for (unsigned n = (unsigned)rand() % most; n > 0; n--)
		ck_pr_stall();
}

static void in_each_wakeup(void (*test)(void))
{
	static const enum wakeup_mode modes[] = {WAKEUP_SPIN, WAKEUP_EVENTFD, WAKEUP_HYBRID};

	for (unsigned i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		teardown(NULL);
		setup(NULL);
		settings.wakeup = modes[i];
		test();
	}
}

/* ------------------------------------------------------------------------- order, number */

static void many_times_around(void)
{
	enum { MANY = 40 * SIZE + 100 };

	start();
	srand(1);
	while (pushed < MANY) {
		for (unsigned n = 1 + (unsigned)rand() % 64; n > 0 && pushed < MANY; n--)
			if (!push()) {
				sched_yield();
				break;
			}
		handoff_kick(&handoff);
		handoff_collect(&handoff);
	}
	settle_and_stop();
	assert_int_equal(output_counters.errors[CAUSE_ENODEV], MANY);
}

static void test_many_times_around(void **state)
{
	(void)state;
	in_each_wakeup(many_times_around);
}

/* One core for both threads: each has to give way to the other. */
static void test_one_core(void **state)
{
	cpu_set_t all, one;
	int cpu = 0;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	while (!CPU_ISSET(cpu, &all))
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	settings.wakeup = WAKEUP_EVENTFD;
	settings.send_cpu = cpu;
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	start();
	for (unsigned i = 0; i < 20000; i++) {
		while (!push()) {
			handoff_kick(&handoff);
			sched_yield();
			handoff_collect(&handoff);
		}
		if (i % 10 == 0)
			handoff_kick(&handoff);
		handoff_collect(&handoff);
	}
	settle_and_stop();
	assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
}

/* ------------------------------------------------------------------------- sleep and wake-up */

/* Few packets at a time, at moments at which the sending thread may be about to sleep, asleep or
 * awake; and every other time, this thread goes to sleep as well until they are back. A wake-up
 * that is lost leaves both asleep. */
static void few_at_a_time(void)
{
	enum { ROUNDS = 300 };

	start();
	srand(2);
	for (unsigned round = 0; round < ROUNDS; round++) {
		for (unsigned n = 1 + (unsigned)rand() % 3; n > 0; n--)
			assert_true(push());
		handoff_kick(&handoff);
		while (handoff.outstanding > 0) {
			if (round % 2)
				sleep_until_returns();
			else
				sched_yield();
			handoff_collect(&handoff);
		}
		/* just after it has found nothing; from time to time, long after */
		pause_at_random(round % 10 ? 20 : 20000);
	}
	settle_and_stop();
	assert_int_equal(refused, 0);
}

static void test_wakeup_is_never_lost(void **state)
{
	(void)state;
	in_each_wakeup(few_at_a_time);
}

/* A handoff without a sending thread, which the test is; a sleep that would last ends at once, and
 * is counted. */
static void start_without_thread(void)
{
	handoff = (struct handoff){.settings = &settings, .published = &published};
	handoff.runs_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	handoff.run_slots = calloc(SIZE, sizeof(*handoff.run_slots));
	ck_ring_init(&handoff.runs, SIZE);
	assert_true(handoff.runs_fd >= 0 && handoff.run_slots);
}

static void stop_without_thread(void)
{
	close(handoff.runs_fd);
	free(handoff.run_slots);
	handoff.run_slots = NULL;
}

/* Whether the sending thread that goes to sleep now sleeps. */
static bool sleeps(void)
{
	const uint64_t before = counter_get(&handoff.counters, COUNTER_waits);

	handoff_sleep(&handoff);
	assert_int_equal(handoff.sleeping, 0);
	return counter_get(&handoff.counters, COUNTER_waits) != before;
}

/* What comes between the last look for packets and the sleep finds nobody asleep and raises no
 * event: it is seen by looking once more. */
static void test_looks_once_more_before_it_sleeps(void **state)
{
	(void)state;
	start_without_thread();
	assert_true(sleeps());
	push();
	handoff_kick(&handoff);
	assert_false(sleeps());
	stop_without_thread();

	start_without_thread();
	handoff.stop = 1;
	assert_false(sleeps());
	stop_without_thread();
}

/* It has said that it sleeps: the event is there even if it does not sleep yet. */
static void test_kick_before_the_sleep(void **state)
{
	uint64_t events;

	(void)state;
	start_without_thread();
	handoff_kick(&handoff);
	assert_int_equal(read(handoff.runs_fd, &events, sizeof(events)), -1);
	handoff.sleeping = 1;
	handoff_kick(&handoff);
	assert_int_equal(read(handoff.runs_fd, &events, sizeof(events)), sizeof(events));
	stop_without_thread();
}

/* The same on the way back: a hold that has come back already will not be told of. */
static void returns_are_looked_for(void)
{
	start();
	push();
	handoff_kick(&handoff);
	while (ck_ring_size(&handoff.returns) == 0)
		sched_yield();
	assert_false(handoff_want_returns(&handoff));
	assert_int_equal(__atomic_load_n(&handoff.returns_wanted, __ATOMIC_RELAXED), 0);
	handoff_collect(&handoff);
	assert_true(handoff_want_returns(&handoff));
	push();
	handoff_kick(&handoff);
	sleep_until_returns();
	settle_and_stop();
}

static void test_looks_once_more_for_returns(void **state)
{
	(void)state;
	in_each_wakeup(returns_are_looked_for);
}

/* The end finds it asleep, about to, or at work. */
static void start_and_stop(void)
{
	for (unsigned round = 0; round < 20; round++) {
		start();
		pause_at_random(3000);
		if (round % 2) {
			push();
			handoff_drain(&handoff);
		}
		pause_at_random(300);
		handoff_stop(&handoff);
		assert_int_equal(handoff.outstanding, 0);
	}
	assert_ledger(); /* a successor goes on counting */
}

static void test_start_and_stop(void **state)
{
	(void)state;
	in_each_wakeup(start_and_stop);
}

/* ------------------------------------------------------------------------- full queues */

/* Until the sending thread has no room for a hold, and we have none for a packet. */
static void fill(void)
{
	start();
	while (handoff.outstanding < ALL_FULL) {
		if (!push())
			sched_yield();
		handoff_kick(&handoff);
	}
}

static void refuses(void)
{
	fill();
	refused = 0;
	for (unsigned i = 0; i < 10; i++)
		assert_false(push());
	assert_int_equal(refused, 10);
	assert_int_equal(handoff.outstanding, ALL_FULL);
	handoff_collect(&handoff);
	assert_true(released >= CAPACITY);
	assert_int_equal(handoff.outstanding, ALL_FULL - released);
	while (!push())
		handoff_collect(&handoff);
	settle_and_stop();
	assert_int_equal(pushed, ALL_FULL + 1);
}

static void test_full_queue_refuses(void **state)
{
	(void)state;
	in_each_wakeup(refuses);
}

/* 4 payload bytes to 239.1.2.3:5000, UDP checksum not computed. */
static uint8_t frame_bytes[] = {
	1,    0,    0x5e, 1,	2,   3,	 2, 0, 0, 0,  0, 1, 8, 0, /* Ethernet */
	0x45, 0,    0,	  32,	0,   0,	 0, 0, 7, 17, 0, 0,	  /* IP */
	10,   0,    0,	  1,	239, 1,	 2, 3,			  /* addresses */
	0x0f, 0xa0, 0x13, 0x88, 0,   12, 0, 0,			  /* UDP */
	'x',  'x',  'x',  'x',
};

static void set_ip_checksum(void)
{
	uint8_t *ip = frame_bytes + 14;
	unsigned sum = 0;

	ip[10] = ip[11] = 0;
	for (unsigned i = 0; i < 20; i += 2)
		sum += (unsigned)ip[i] << 8 | ip[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	ip[10] = (uint8_t)(~sum >> 8);
	ip[11] = (uint8_t)~sum;
}

/* A frame for two outputs that finds the queue full: two packets are lost and counted, and its slot
 * goes back at once. */
static void test_refusals_are_counted(void **state)
{
	struct output *outputs[] = {&closed, &closed};
	struct rule_counters rule_counters = {0};
	struct route route = {.outputs = outputs, .num_outputs = 2, .counters = &rule_counters};
	struct counters counters = {0};
	struct forwarder forwarder = {.routes = &route, .counters = &counters, .handoff = &handoff};
	struct frame frame = {
		.data = frame_bytes,
		.captured = sizeof(frame_bytes),
		.original = sizeof(frame_bytes),
	};
	const uint64_t before = released;

	(void)state;
	set_ip_checksum();
	assert_int_equal(rule_table_init(&forwarder.table, 1, 0), 0);
	rule_table_insert(&forwarder.table, (struct rule_key){inet_addr("239.1.2.3"), 5000, 0}, 0);
	fill();
	holds[0] = 0; /* its slot: the oldest, which check_release expects; no matter whose */
	forward_burst(&forwarder, &ingress, 0, &frame, 1);
	assert_int_equal(released, before + 1);
	assert_int_equal(holds[0], 0);
	assert_int_equal(counter_get(&counters, COUNTER_matched), 1);
	assert_int_equal(counter_get(&counters, COUNTER_drop_handoff), 2);
	holds[0] = 1;
	released = before;

	handoff_drain(&handoff);
	frame.slot = (uint32_t)(released % SLOTS);
	forward_burst(&forwarder, &ingress, 0, &frame, 1);
	handoff_drain(&handoff);
	assert_int_equal(released, ALL_FULL + 1);
	assert_int_equal(counter_get(&counters, COUNTER_drop_handoff), 2);
	handoff_stop(&handoff);
	assert_int_equal(count(COUNTER_egress_queued), ALL_FULL + 2);
	rule_table_exit(&forwarder.table);
}

/* As a worker does it that has failed: nobody takes the holds any more. */
static void stop_when_full(void)
{
	fill();
	handoff_stop(&handoff);
	assert_int_equal(released, 0);
}

static void test_stop_when_full(void **state)
{
	(void)state;
	in_each_wakeup(stop_when_full);
}

/* ------------------------------------------------------------------------- real sends */

static int open_pair(int *receiver)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const int wanted = 4 << 20;
	socklen_t size = sizeof(address);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	*receiver = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0 && *receiver >= 0);
	setsockopt(*receiver, SOL_SOCKET, SO_RCVBUF, &wanted, sizeof(wanted));
	assert_int_equal(bind(*receiver, (struct sockaddr *)&address, size), 0);
	assert_int_equal(getsockname(*receiver, (struct sockaddr *)&address, &size), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, size), 0);
	return fd;
}

/* `count` packets through a socket: each arrives, in order; the memory of each is left alone until
 * its hold is back. */
static void send_really(enum egress_mode egress, enum reap_mode reap)
{
	enum { COUNT = 240, BYTES = 200, AT_ONCE = 60 };
	static uint32_t memory[AT_ONCE][BYTES / 4];
	struct output output = {.interface = "lo", .gso_limit = 1472, .counters = &output_counters};
	uint32_t received = 0;
	int receiver;

	output.fd = open_pair(&receiver);
	settings.egress = egress;
	settings.reap = reap;
	start();
	for (uint32_t next = 0; next < COUNT;) {
		for (unsigned i = 0; i < AT_ONCE && next < COUNT; i++, next++) {
			for (unsigned j = 0; j < BYTES / 4; j++)
				memory[i][j] = next;
			assert_true(push_to(&output, memory[i], BYTES));
		}
		handoff_drain(&handoff);
		memset(memory, 0xee, sizeof(memory));
		while (received < next) {
			uint32_t bytes[BYTES / 4 + 1];

			assert_int_equal(recv(receiver, bytes, sizeof(bytes), 0), BYTES);
			for (unsigned j = 0; j < BYTES / 4; j++)
				assert_int_equal(bytes[j], received);
			received++;
		}
	}
	settle_and_stop();
	assert_int_equal(output_counters.packets, COUNT);
	assert_int_equal(count(COUNTER_egress_errors), 0);
	close(output.fd);
	close(receiver);
}

static void sync_sends(void)
{
	send_really(EGRESS_URING, REAP_SYNC);
}

static void eager_sends(void)
{
	send_really(EGRESS_URING, REAP_EAGER);
}

static void deferred_sends(void)
{
	send_really(EGRESS_URING, REAP_DEFERRED);
}

static void vector_sends(void)
{
	send_really(EGRESS_SENDMMSG, REAP_SYNC);
}

static void test_real_sends(void **state)
{
	(void)state;
	in_each_wakeup(sync_sends);
	in_each_wakeup(eager_sends);
	in_each_wakeup(deferred_sends);
	in_each_wakeup(vector_sends);
}

/* ------------------------------------------------------------------------- failures */

/* The io_uring of the sending thread does not work any more: said so, and every hold comes back. */
static void test_broken_uring(void **state)
{
	struct output output = {.interface = "lo", .counters = &output_counters};
	int receiver;

	(void)state;
	settings.wakeup = WAKEUP_EVENTFD;
	start();
	output.fd = open_pair(&receiver);
	handoff.egress.uring.enter_ring_fd = -1;
	handoff.egress.uring.int_flags = 0; /* not the registered descriptor */
	assert_false(handoff_failed(&handoff));
	for (unsigned i = 0; i < 100; i++)
		assert_true(push_to(&output, "x", 1));
	handoff_drain(&handoff);
	assert_true(handoff_failed(&handoff));
	assert_int_equal(handoff.egress.error, -EBADF);
	handoff_stop(&handoff);
	assert_ledger();
	assert_int_equal(count(COUNTER_egress_errors), 100);
	close(output.fd);
	close(receiver);
}

/* A worker whose start has failed ends as any other. */
static void test_start_fails(void **state)
{
	(void)state;
	settings.send_cpu = CPU_SETSIZE - 1;
	assert_int_equal(handoff_start(&handoff, SIZE, &settings, &published), -EINVAL);
	handoff_stop(&handoff);
	settings.send_cpu = -1;
	settings.queue_depth = 1 << 16; /* more than an io_uring may have */
	assert_int_equal(handoff_start(&handoff, SIZE, &settings, &published), -EINVAL);
	handoff_stop(&handoff);
	settings.queue_depth = 64;
	start();
	push();
	settle_and_stop();
	handoff_stop(&handoff); /* harmless */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	static const struct log_levels quiet;
	const struct CMUnitTest tests[] = {
		TEST(test_many_times_around),
		TEST(test_one_core),
		TEST(test_wakeup_is_never_lost),
		TEST(test_start_and_stop),
		TEST(test_full_queue_refuses),
		TEST(test_refusals_are_counted),
		TEST(test_stop_when_full),
		TEST(test_real_sends),
		TEST(test_broken_uring),
		TEST(test_start_fails),
		TEST(test_looks_once_more_before_it_sleeps),
		TEST(test_kick_before_the_sleep),
		TEST(test_looks_once_more_for_returns),
	};

	log_use_levels(&quiet);
	return cmocka_run_group_tests_name("handoff", tests, NULL, NULL);
}
