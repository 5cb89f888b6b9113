// SPDX-License-Identifier: MIT
/* shared: memory of two mappings, and of two processes. */
#include "contract/shared.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static struct shared *ours, *theirs;
static int fd;

static int setup(void **state)
{
	(void)state;
	fd = shared_create(&ours);
	assert_true(fd >= 0);
	theirs = shared_map(fd);
	return theirs ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	shared_unmap(ours);
	shared_unmap(theirs);
	ours = theirs = NULL;
	return close(fd);
}

static void test_all_zero_at_first(void **state)
{
	const unsigned char *bytes = (const unsigned char *)ours;
	struct stat status;

	(void)state;
	assert_int_equal(fstat(fd, &status), 0);
	assert_int_equal(status.st_size, sizeof(struct shared));
	for (size_t i = 0; i < sizeof(*ours); i++)
		if (bytes[i])
			fail_msg("byte %zu is %u", i, bytes[i]);
}

/* A worker that cut it short would kill the supervisor with it. */
static void test_size_stays(void **state)
{
	(void)state;
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(fd, 2 * sizeof(struct shared)), -1);
	assert_int_equal(errno, EPERM);
}

static void test_positions(void **state)
{
	static const struct {
		struct ring_position position;
		bool good;
	} cases[] = {
		{{.head = 0, .lent = 0}, true},		  {{.head = 15, .lent = 16}, true},
		{{.head = 16, .lent = 0}, false},	  {{.head = 0, .lent = 17}, false},
		{{.head = UINT32_MAX, .lent = 0}, false}, {{.head = 0, .lent = UINT32_MAX}, false},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(ring_position_good(&cases[i].position, 16), cases[i].good);
}

/* Each part at its first and its last place, so that the whole of it is mapped twice. */
static void test_both_see_the_same(void **state)
{
	(void)state;
	assert_ptr_not_equal(ours, theirs);
	counter_add(&theirs->counters, COUNTER_recv_packets, 7);
	counter_add(&theirs->counters, COUNTER_COUNT - 1, 8);
	theirs->positions[0][FRAMES_SMALL].head = 9;
	theirs->positions[INPUTS_MAX - 1][FRAMES_SMALL].lent = 10;
	counter_bump(&theirs->rules[RULES_MAX - 1].bytes, 11);
	counter_bump(&theirs->outputs[OUTPUTS_MAX - 1].errors[CAUSE_OTHER], 12);
	ours->doorbell.rung = 13;
	assert_int_equal(counter_get(&ours->counters, COUNTER_recv_packets), 7);
	assert_int_equal(counter_get(&ours->counters, COUNTER_COUNT - 1), 8);
	assert_int_equal(ours->positions[0][FRAMES_SMALL].head, 9);
	assert_int_equal(ours->positions[INPUTS_MAX - 1][FRAMES_SMALL].lent, 10);
	assert_int_equal(counter_read(&ours->rules[RULES_MAX - 1].bytes), 11);
	assert_int_equal(counter_read(&ours->outputs[OUTPUTS_MAX - 1].errors[CAUSE_OTHER]), 12);
	assert_int_equal(theirs->doorbell.rung, 13);
}

/* What a worker has counted is there after its end, and its successor goes on from it. */
static void test_outlives_a_process(void **state)
{
	(void)state;
	for (uint64_t life = 1; life <= 3; life++) {
		pid_t pid = fork();
		int status;

		assert_true(pid >= 0);
		if (pid == 0) {
			struct shared *shared = shared_map(fd);

			if (!shared)
				_exit(1);
			counter_add(&shared->counters, COUNTER_matched, 100);
			shared->positions[3][FRAMES_SMALL].head = (uint32_t)life;
			_exit(0); /* without unmapping */
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		assert_int_equal(counter_get(&ours->counters, COUNTER_matched), 100 * life);
		assert_int_equal(ours->positions[3][FRAMES_SMALL].head, life);
	}
}

static void test_lives_on_without_descriptor(void **state)
{
	(void)state;
	close(fd);
	shared_unmap(theirs);
	theirs = NULL;
	ours->positions[0][FRAMES_SMALL].head = 1;
	fd = open("/dev/null", O_RDONLY); /* for teardown */
	assert_true(fd >= 0);
}

/* The doorbell is written by another process than the counters in front of it. */
static void test_layout(void **state)
{
	(void)state;
	assert_int_equal(offsetof(struct shared, doorbell) % CACHE_LINE, 0);
	assert_int_equal(offsetof(struct shared, positions) % CACHE_LINE, 0);
	assert_true(offsetof(struct shared, positions) - offsetof(struct shared, doorbell) >=
		    CACHE_LINE);
}

static void test_map_of_no_memory(void **state)
{
	int pipes[2];

	(void)state;
	errno = 0;
	assert_null(shared_map(-1));
	assert_int_equal(errno, EBADF);
	assert_int_equal(pipe(pipes), 0);
	assert_null(shared_map(pipes[0]));
	assert_true(errno == ENODEV || errno == EACCES);
	close(pipes[0]);
	close(pipes[1]);
	shared_unmap(NULL); /* harmless */
}

static void test_no_descriptors_left(void **state)
{
	struct shared *shared = NULL;
	struct rlimit before, none;
	int rc;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = (struct rlimit){.rlim_cur = 0, .rlim_max = before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	rc = shared_create(&shared);
	setrlimit(RLIMIT_NOFILE, &before);
	assert_int_equal(rc, -EMFILE);
	assert_null(shared);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_all_zero_at_first),
		TEST(test_size_stays),
		TEST(test_positions),
		TEST(test_both_see_the_same),
		TEST(test_outlives_a_process),
		TEST(test_lives_on_without_descriptor),
		TEST(test_layout),
		TEST(test_map_of_no_memory),
		TEST(test_no_descriptors_left),
	};

	return cmocka_run_group_tests_name("shared", tests, NULL, NULL);
}
