// SPDX-License-Identifier: MIT
/*
 * uring: what a worker that has gone bad could ask of its io_urings: of each operation that there
 * is, whether the kernel takes it. Those of the waiter, of the egress and of the ingress are set up
 * as a worker does it.
 */
#include "worker/egress.h"
#include "worker/ingress_uring.h"
#include "worker/uring.h"
#include "worker/waiter.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

static struct counters counters;
static struct waiter waiter;
static struct egress egress;
static struct pool pool;
static struct recv_uring ingress;

static const struct kind {
	const char *name;
	struct io_uring *uring;
	uint8_t ops[2]; /* all that it takes */
	uint8_t flags;
} kinds[] = {
	{"waiter", &waiter.uring, {IORING_OP_POLL_ADD, IORING_OP_POLL_REMOVE}, 0},
	{"egress", &egress.uring, {IORING_OP_SEND, IORING_OP_SENDMSG}, 0},
	{"ingress",
	 &ingress.uring,
	 {IORING_OP_RECVMSG, IORING_OP_ASYNC_CANCEL},
	 IOSQE_BUFFER_SELECT},
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

static int setup(void **state)
{
	const uint32_t buffers[POOL_CLASSES] = {16, 16, 16};
	const struct worker_settings settings = {.queue_depth = 8, .egress = EGRESS_URING};
	int rc = waiter_init(&waiter, WAITER_URING, 4);

	(void)state;
	if (rc == -EPERM || rc == -ENOSYS) {
		print_message("no io_uring here: %s\n", strerror(-rc));
		skip();
	}
	if (rc == 0)
		rc = egress_init(&egress, &settings, &counters, NULL, NULL);
	if (rc == 0)
		rc = pool_init(&pool, buffers, false);
	return rc == 0 ? recv_uring_init(&ingress, &pool, 4) : rc;
}

static int teardown(void **state)
{
	(void)state;
	recv_uring_exit(&ingress);
	pool_exit(&pool);
	egress_exit(&egress);
	waiter_exit(&waiter);
	return 0;
}

/* The result of an entry that is all zero but for these, and what `fill` puts in. */
static int result_of(const struct kind *kind, unsigned op, unsigned flags,
		     void (*fill)(struct io_uring_sqe *sqe))
{
	struct io_uring_sqe entry = {.opcode = (uint8_t)op, .fd = -1};
	struct io_uring_sqe *sqe = io_uring_get_sqe(kind->uring);
	struct io_uring_cqe *cqe;
	int result;

	assert_non_null(sqe);
	if (fill)
		fill(&entry);
	entry.flags |= (uint8_t)flags;
	if (sqe)
		*sqe = entry;
	assert_int_equal(io_uring_submit_and_wait(kind->uring, 1), 1);
	assert_int_equal(io_uring_peek_cqe(kind->uring, &cqe), 0);
	result = cqe->res;
	io_uring_cqe_seen(kind->uring, cqe);
	return result;
}

static bool takes(const struct kind *kind, unsigned op)
{
	return op == kind->ops[0] || op == kind->ops[1];
}

/* ------------------------------------------------------------------------- entries */

static void test_operations(void **state)
{
	(void)state;
	for (unsigned k = 0; k < KINDS; k++)
		for (unsigned op = 0; op < IORING_OP_LAST; op++) {
			const bool refused = result_of(&kinds[k], op, 0, NULL) == -EACCES;

			if (refused == takes(&kinds[k], op))
				fail_msg("%s, operation %u: %s", kinds[k].name, op,
					 refused ? "refused" : "taken");
		}
}

static char path[] = "/tmp/mcrelay-test-uring-XXXXXX";

static void fill_openat(struct io_uring_sqe *sqe)
{
	io_uring_prep_openat(sqe, AT_FDCWD, path, O_RDONLY, 0);
}

static void fill_unlink(struct io_uring_sqe *sqe)
{
	io_uring_prep_unlinkat(sqe, AT_FDCWD, path, 0);
}

static void fill_socket(struct io_uring_sqe *sqe)
{
	io_uring_prep_rw(IORING_OP_SOCKET, sqe, AF_INET, NULL, 0, SOCK_STREAM);
}

static void fill_connect(struct io_uring_sqe *sqe)
{
	static const struct sockaddr nobody = {.sa_family = AF_UNSPEC};
	static int fd = -1;

	if (fd < 0)
		fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	io_uring_prep_connect(sqe, fd, &nobody, sizeof(nobody));
}

/* With arguments that would do, the same. */
static void test_misdeeds(void **state)
{
	static void (*const misdeeds[])(struct io_uring_sqe * sqe) = {fill_openat, fill_unlink,
								      fill_socket, fill_connect};
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	for (unsigned k = 0; k < KINDS; k++)
		for (unsigned i = 0; i < sizeof(misdeeds) / sizeof(misdeeds[0]); i++)
			assert_int_equal(result_of(&kinds[k], 0, 0, misdeeds[i]), -EACCES);
	assert_int_equal(unlink(path), 0); /* it is still there */
}

/* Entries in chains, by workers of the kernel, on registered files: no loop does that. */
static void test_flags(void **state)
{
	(void)state;
	for (unsigned k = 0; k < KINDS; k++)
		for (unsigned bit = 0; bit < 7; bit++) {
			const unsigned flag = 1U << bit;
			const int rc = result_of(&kinds[k], kinds[k].ops[0], flag, NULL);
			const bool refused = rc == -EACCES || rc == -EOPNOTSUPP;

			assert_int_equal(refused, (flag & ~(unsigned)kinds[k].flags) != 0);
		}
}

/* ------------------------------------------------------------------------- registration */

static unsigned fd_of(const struct io_uring *uring)
{
	return (unsigned)uring->ring_fd;
}

static void test_registration(void **state)
{
	int fd = STDERR_FILENO;
	struct iovec memory = {&counters, sizeof(counters)};
	struct io_uring_restriction all = {.opcode = IORING_RESTRICTION_SQE_OP,
					   .sqe_op = IORING_OP_OPENAT};

	(void)state;
	for (unsigned k = 0; k < KINDS; k++) {
		struct io_uring *uring = kinds[k].uring;

		assert_int_equal(io_uring_register_files(uring, &fd, 1), -EACCES);
		assert_int_equal(io_uring_register_buffers(uring, &memory, 1), -EACCES);
		assert_int_equal(io_uring_register_eventfd(uring, fd), -EACCES);
		assert_int_equal(io_uring_register_personality(uring), -EACCES);
		assert_int_equal(
			io_uring_register(fd_of(uring), IORING_REGISTER_RESTRICTIONS, &all, 1),
			-EACCES);
		assert_int_equal(
			io_uring_register(fd_of(uring), IORING_REGISTER_ENABLE_RINGS, NULL, 0),
			-EACCES);
	}
}

/* ------------------------------------------------------------------------- without */

/* In sendmmsg mode there is none to be had. */
static void test_no_uring(void **state)
{
	const struct worker_settings settings = {.queue_depth = 8, .egress = EGRESS_SENDMMSG};
	const int lowest = dup(STDERR_FILENO);
	struct egress plain;
	struct waiter polling;
	int next;

	(void)state;
	close(lowest);
	assert_int_equal(egress_init(&plain, &settings, &counters, NULL, NULL), 0);
	assert_int_equal(waiter_init(&polling, WAITER_POLL, 4), 0);
	next = dup(STDERR_FILENO);
	assert_int_equal(next, lowest);
	close(next);
	egress_exit(&plain);
	waiter_exit(&polling);
	next = dup(STDERR_FILENO); /* nothing of others has been closed */
	assert_int_equal(next, lowest);
	close(next);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_operations),
		TEST(test_misdeeds),
		TEST(test_flags),
		TEST(test_registration),
		cmocka_unit_test(test_no_uring),
	};

	return cmocka_run_group_tests_name("uring", tests, NULL, NULL);
}
