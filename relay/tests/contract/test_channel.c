// SPDX-License-Identifier: MIT
/* channel: messages and descriptors arrive whole, once, and none is left open on the way; what
 * cannot be acted upon is told apart. */
#include "contract/channel.h"
#include "contract/limits.h"
#include "contract/plan.h"
#include "contract/shared.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "../raw_message.h"

static int supervisor = -1, worker = -1;
static int lowest;	 /* free descriptor while only these two are open */
static unsigned at_rest; /* how many are open then */

static int lowest_free(void)
{
	int fd = dup(STDERR_FILENO);

	assert_true(fd >= 0);
	close(fd);
	return fd;
}

/* More than before says that one was leaked. */
static unsigned open_descriptors(void)
{
	unsigned count = 0;

	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static int setup(void **state)
{
	int pair[2];

	(void)state;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return -1;
	supervisor = pair[0];
	worker = pair[1];
	lowest = lowest_free();
	at_rest = open_descriptors();
	return 0;
}

static void close_end(int *end)
{
	if (*end >= 0)
		close(*end);
	*end = -1;
}

static int teardown(void **state)
{
	(void)state;
	close_end(&supervisor);
	close_end(&worker);
	return 0;
}

/* Every byte of it depends on `number`. */
static struct message message_of(unsigned number)
{
	struct message message;

	memset(&message, (int)(number * 37 + 1), sizeof(message));
	message.index = number;
	return message;
}

static void send_number(unsigned number, int passed)
{
	const struct message message = message_of(number);

	assert_int_equal(channel_send(supervisor, &message, passed), 0);
}

/* Takes the next message, which is that of `number`. Returns the descriptor that came with it. */
static int receive_number(unsigned number)
{
	const struct message expected = message_of(number);
	struct message message;
	int passed = -2;

	memset(&message, 0xee, sizeof(message));
	assert_int_equal(channel_receive(worker, &message, &passed), 1);
	assert_memory_equal(&message, &expected, sizeof(message));
	return passed;
}

static void assert_nothing(void)
{
	struct message message;
	int passed = -2;

	assert_int_equal(channel_receive(worker, &message, &passed), 0);
	assert_int_equal(passed, -1);
	assert_int_equal(open_descriptors(), at_rest);
}

static void assert_same_file(int a, int b)
{
	struct stat one, other;

	assert_int_equal(fstat(a, &one), 0);
	assert_int_equal(fstat(b, &other), 0);
	assert_int_equal(one.st_dev, other.st_dev);
	assert_int_equal(one.st_ino, other.st_ino);
}

/* ------------------------------------------------------------------------- messages */

static void test_nothing_sent(void **state)
{
	(void)state;
	assert_nothing();
}

static void test_message(void **state)
{
	(void)state;
	send_number(1, -1);
	assert_int_equal(receive_number(1), -1);
	assert_nothing();
}

static void test_message_with_descriptor(void **state)
{
	int pipes[2], passed;

	(void)state;
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	send_number(1, pipes[1]);
	close(pipes[1]); /* the message holds it */
	passed = receive_number(1);
	assert_true(passed >= 0);
	assert_int_equal(fcntl(passed, F_GETFD), FD_CLOEXEC);
	assert_int_equal(write(passed, "x", 1), 1);
	close(passed);
	assert_int_equal(read(pipes[0], (char[2]){0}, 2), 1);
	assert_int_equal(read(pipes[0], (char[2]){0}, 2), 0); /* that was the last writer */
	close(pipes[0]);
	assert_nothing();
}

/* Each message arrives on its own, with its own descriptor or none. */
static void test_boundaries(void **state)
{
	enum { COUNT = 24 };
	int files[2] = {open("/dev/null", O_RDONLY | O_CLOEXEC),
			open("/dev/zero", O_RDONLY | O_CLOEXEC)};

	(void)state;
	assert_true(files[0] >= 0 && files[1] >= 0);
	for (unsigned i = 0; i < COUNT; i++)
		send_number(i, i % 3 < 2 ? files[i % 3] : -1);
	for (unsigned i = 0; i < COUNT; i++) {
		int passed = receive_number(i);

		if (i % 3 == 2) {
			assert_int_equal(passed, -1);
			continue;
		}
		assert_true(passed >= 0);
		assert_same_file(passed, files[i % 3]);
		close(passed);
	}
	close(files[0]);
	close(files[1]);
	assert_nothing();
}

static void test_both_ways(void **state)
{
	const struct message ready = {.type = MESSAGE_READY};
	struct message message;
	int passed;

	(void)state;
	send_number(1, -1);
	assert_int_equal(channel_send(worker, &ready, -1), 0);
	assert_int_equal(channel_receive(supervisor, &message, &passed), 1);
	assert_int_equal(message.type, MESSAGE_READY);
	assert_int_equal(passed, -1);
	assert_int_equal(receive_number(1), -1);
}

/* ------------------------------------------------------------------------- full, gone */

/* No message is lost, none is sent in part, and there is room again when one is taken. */
static void test_full(void **state)
{
	struct message message;
	unsigned count = 0;
	int rc;

	(void)state;
	while (message = message_of(count), (rc = channel_send(supervisor, &message, -1)) == 0)
		assert_in_range(++count, 1, 100000);
	assert_int_equal(rc, -EAGAIN);
	assert_true(count > 0);
	assert_int_equal(channel_send(supervisor, &message, STDERR_FILENO), -EAGAIN);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(receive_number(i), -1);
	assert_nothing();
	send_number(7, -1);
	assert_int_equal(receive_number(7), -1);
}

static void test_other_side_gone(void **state)
{
	struct message message = message_of(1);
	int passed = -2;

	(void)state;
	close_end(&worker);
	assert_int_equal(channel_send(supervisor, &message, -1), -EPIPE);
	assert_int_equal(channel_send(supervisor, &message, STDERR_FILENO), -EPIPE);
	assert_int_equal(channel_receive(supervisor, &message, &passed), -EPIPE);
	assert_int_equal(passed, -1);
}

/* What was sent before the end is still delivered; then it is the end, each time. */
static void test_last_words(void **state)
{
	struct message message;
	int passed;

	(void)state;
	send_number(1, -1);
	send_number(2, STDERR_FILENO);
	close_end(&supervisor);
	assert_int_equal(receive_number(1), -1);
	passed = receive_number(2);
	assert_true(passed >= 0);
	close(passed);
	assert_int_equal(channel_receive(worker, &message, &passed), -EPIPE);
	assert_int_equal(channel_receive(worker, &message, &passed), -EPIPE);
	assert_int_equal(passed, -1);
}

/* The other side ends with messages unread, which the kernel calls a reset. */
static void test_gone_without_reading(void **state)
{
	struct message message;
	int passed = -2;

	(void)state;
	send_number(1, -1);
	close_end(&worker);
	assert_int_equal(channel_receive(supervisor, &message, &passed), -EPIPE);
	assert_int_equal(passed, -1);
}

/* A descriptor in a message that nobody takes goes with the channel. */
static void test_untaken_descriptor(void **state)
{
	int pipes[2];

	(void)state;
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	send_number(1, pipes[1]);
	close(pipes[1]);
	close_end(&worker);
	close_end(&supervisor);
	assert_int_equal(read(pipes[0], (char[1]){0}, 1), 0);
	close(pipes[0]);
}

/* ------------------------------------------------------------------------- not one of ours */

/* To the worker, a message of `bytes` with `count` descriptors. */
static void send_raw(size_t bytes, unsigned count)
{
	static const char data[2 * sizeof(struct message)];

	assert_true(raw_message_send(supervisor, data, bytes, count));
}

static void test_wrong_size(void **state)
{
	static const size_t sizes[] = {1, sizeof(struct message) - 1, sizeof(struct message) + 1,
				       2 * sizeof(struct message)};

	(void)state;
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		for (unsigned fds = 0; fds <= 3; fds++) {
			struct message message;
			int passed = -2;

			send_raw(sizes[i], fds);
			send_number(i, -1);
			assert_int_equal(channel_receive(worker, &message, &passed), -EPROTO);
			assert_int_equal(passed, -1);
			assert_int_equal(receive_number(i), -1); /* the next one is unharmed */
			assert_nothing();
		}
	}
}

/* No bytes look like the end; the descriptor with them must not stay all the same. */
static void test_empty(void **state)
{
	struct message message;
	int passed = -2;

	(void)state;
	for (unsigned fds = 0; fds <= 3; fds++) {
		send_raw(0, fds);
		assert_int_equal(channel_receive(worker, &message, &passed), -EPIPE);
		assert_int_equal(passed, -1);
		assert_nothing();
	}
}

/* A worker that has gone bad cannot fill the supervisor's table of descriptors. */
static void test_several_descriptors(void **state)
{
	(void)state;
	for (unsigned fds = 1; fds <= RAW_DESCRIPTORS; fds++) {
		struct message message;
		int passed = -2;

		send_raw(sizeof(struct message), fds);
		assert_int_equal(channel_receive(worker, &message, &passed), 1);
		assert_int_equal(passed, lowest);
		close(passed);
		assert_nothing();
	}
}

static void test_not_a_socket(void **state)
{
	struct message message = message_of(1);
	int passed = -2;

	(void)state;
	assert_int_equal(channel_send(-1, &message, -1), -EBADF);
	assert_int_equal(channel_receive(-1, &message, &passed), -EBADF);
	assert_int_equal(passed, -1);
	assert_int_equal(channel_send(supervisor, &message, 1000000), -EBADF);
	assert_nothing();
}

/* ------------------------------------------------------------------------- what is in it */

static const struct message good[] = {
	{.type = MESSAGE_SETUP,
	 .settings = {.queue_depth = 1, .send_batch = 1, .num_recv_buffers = 1}},
	{.type = MESSAGE_INPUT,
	 .index = INPUT_NUMBERS - 1,
	 .input = {"interface-name1", .frames = FRAMES_LARGE, .slots = RING_SLOTS_MAX,
		   .slot_bytes = RING_SLOT_BYTES_MAX}},
	{.type = MESSAGE_INPUT_GONE, .index = INPUT_NUMBERS - 1},
	{.type = MESSAGE_OUTPUT,
	 .index = OUTPUT_NUMBERS - 1,
	 .output = {"eth0", .keep_dscp = true}},
	{.type = MESSAGE_OUTPUT_GONE, .index = OUTPUT_NUMBERS - 1},
	{.type = MESSAGE_PLAN, .plan.bytes = sizeof(struct plan)},
	{.type = MESSAGE_COMPLETE, .plan.generation = 1},
	{.type = MESSAGE_STOP},
};
enum { GOOD = sizeof(good) / sizeof(good[0]) };

static void test_good_messages(void **state)
{
	struct message message = good[3];

	(void)state;
	for (unsigned i = 0; i < GOOD; i++)
		assert_int_equal(message_check(&good[i], 9), 0);
	message.output.error = 1;
	assert_int_equal(message_check(&message, -1), 0); /* an output that cannot be opened */
}

static void test_missing_descriptor(void **state)
{
	(void)state;
	for (unsigned i = 0; i < GOOD; i++) {
		const uint32_t type = good[i].type;
		const bool needed = type == MESSAGE_SETUP || type == MESSAGE_INPUT ||
				    type == MESSAGE_OUTPUT || type == MESSAGE_PLAN;

		assert_int_equal(message_check(&good[i], -1), needed ? -EPROTO : 0);
	}
}

static void assert_refused(const struct message *message)
{
	assert_int_equal(message_check(message, 9), -EPROTO);
}

static void test_unknown_types(void **state)
{
	static const uint32_t types[] = {0, MESSAGE_READY, MESSAGE_APPLIED, MESSAGE_APPLIED + 1,
					 UINT32_MAX};

	(void)state;
	for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		assert_refused(&(struct message){.type = types[i]});
}

static void test_numbers_of_no_place(void **state)
{
	(void)state;
	for (unsigned i = 0; i < GOOD; i++) {
		struct message message = good[i];

		if (!message.index)
			continue;
		message.index++;
		assert_refused(&message);
		message.index = UINT32_MAX;
		assert_refused(&message);
	}
}

static void test_names_without_an_end(void **state)
{
	struct message input = good[1], output = good[3];

	(void)state;
	memset(input.input.interface, 'x', IFNAMSIZ);
	memset(output.output.interface, 'x', IFNAMSIZ);
	assert_refused(&input);
	assert_refused(&output);
}

static void test_wrong_inputs(void **state)
{
	struct message message = good[1];

	(void)state;
	message.input.frames = FRAME_CLASSES;
	assert_refused(&message);
	message = good[1];
	message.input.slots++;
	assert_refused(&message);
	message = good[1];
	message.input.slot_bytes++;
	assert_refused(&message);
}

static void test_wrong_plans(void **state)
{
	struct message message = good[5];

	(void)state;
	message.plan.bytes--;
	assert_refused(&message);
	message.plan.bytes = plan_bytes(RULES_MAX, RULES_MAX * RULE_OUTPUTS_MAX, SOURCES_MAX);
	assert_int_equal(message_check(&message, 9), 0);
	message.plan.bytes++;
	assert_refused(&message);
}

/* A bool of another value than 0 and 1 is none. */
static void test_wrong_bools(void **state)
{
	struct message input = good[1], output = good[3], setup_message = good[0];

	(void)state;
	memset(&input.input.bare, 2, 1);
	assert_refused(&input);
	memset(&output.output.decrement_ttl, 2, 1);
	assert_refused(&output);
	output = good[3];
	memset(&output.output.keep_dscp, 2, 1);
	assert_refused(&output);
	memset(&setup_message.settings.yield, 255, 1);
	assert_refused(&setup_message);
}

static void test_wrong_settings(void **state)
{
	(void)state;
#define SPOIL(field, value)                       \
	do {                                      \
		struct message message = good[0]; \
                                                  \
		message.settings.field = (value); \
		assert_refused(&message);         \
	} while (0)
	SPOIL(ingress, INGRESS_URING + 1);
	SPOIL(egress, EGRESS_SENDMMSG + 1);
	SPOIL(reap, REAP_DEFERRED + 1);
	SPOIL(gso, GSO_AUTO + 1);
	SPOIL(threads, THREADS_SPLIT + 1);
	SPOIL(wakeup, UINT32_MAX);
	SPOIL(queue_depth, 0);
	SPOIL(send_batch, 0);
	SPOIL(num_recv_buffers, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_nothing_sent),
		TEST(test_message),
		TEST(test_message_with_descriptor),
		TEST(test_boundaries),
		TEST(test_both_ways),
		TEST(test_full),
		TEST(test_other_side_gone),
		TEST(test_last_words),
		TEST(test_gone_without_reading),
		TEST(test_untaken_descriptor),
		TEST(test_wrong_size),
		TEST(test_empty),
		TEST(test_several_descriptors),
		TEST(test_not_a_socket),
		cmocka_unit_test(test_good_messages),
		cmocka_unit_test(test_missing_descriptor),
		cmocka_unit_test(test_unknown_types),
		cmocka_unit_test(test_numbers_of_no_place),
		cmocka_unit_test(test_names_without_an_end),
		cmocka_unit_test(test_wrong_inputs),
		cmocka_unit_test(test_wrong_plans),
		cmocka_unit_test(test_wrong_bools),
		cmocka_unit_test(test_wrong_settings),
	};

	return cmocka_run_group_tests_name("channel", tests, NULL, NULL);
}
