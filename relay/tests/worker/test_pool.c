// SPDX-License-Identifier: MIT
/*
 * pool: fixed memory in three classes. What the pool does when it is empty, and with several holds
 * on a buffer, is tested where it happens, in test_ingress_uring.c; huge pages that are there for
 * sure, in harness/tests/relay/pages.bats.
 */
#include "common/log.h"
#include "worker/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

enum { HUGE_PAGE_KB = 2048 };

static const uint32_t counts[POOL_CLASSES] = {1000, 500, 200};
static const uint32_t sizes[POOL_CLASSES] = {2048, 4096, 16384};
static struct pool pool;

static int setup(void **state)
{
	(void)state;
	return pool_init(&pool, counts, false);
}

static int teardown(void **state)
{
	(void)state;
	pool_exit(&pool);
	return 0;
}

/* A field of the mapping that `address` is in, in kB; -1: there is none. */
static long mapping(const void *address, const char *field)
{
	FILE *file = fopen("/proc/self/smaps", "re");
	const size_t length = strlen(field);
	unsigned long start, end;
	char line[512];
	bool inside = false;
	long found = -1;

	assert_non_null(file);
	while (found < 0 && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			inside = (unsigned long)address >= start && (unsigned long)address < end;
		else if (inside && strncmp(line, field, length) == 0 && line[length] == ':')
			found = strtol(line + length + 1, NULL, 10);
	}
	fclose(file);
	return found;
}

/* ------------------------------------------------------------------------- buffers */

static void test_classes(void **state)
{
	static const struct {
		uint32_t bytes;
		unsigned index;
	} cases[] = {
		{0, POOL_SMALL},       {1, POOL_SMALL},	      {2048, POOL_SMALL},
		{2049, POOL_STANDARD}, {4096, POOL_STANDARD}, {4097, POOL_JUMBO},
		{16384, POOL_JUMBO},   {16385, POOL_JUMBO},   {UINT32_MAX, POOL_JUMBO},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_ptr_equal(pool_class_for(&pool, cases[i].bytes),
				 &pool.classes[cases[i].index]);
	for (unsigned i = 0; i < POOL_CLASSES; i++) {
		assert_int_equal(pool.classes[i].buffer_bytes, sizes[i]);
		assert_int_equal(pool.classes[i].count, counts[i]);
		assert_int_equal(pool.classes[i].num_free, counts[i]);
	}
}

/* Each number once, each buffer its own memory; then none, and none until one is back. */
static void test_exhaustion(void **state)
{
	(void)state;
	for (unsigned i = 0; i < POOL_CLASSES; i++) {
		struct pool_class *class = &pool.classes[i];
		bool *seen = calloc(class->count, sizeof(*seen));

		assert_non_null(seen);
		for (uint32_t n = 0; n < class->count; n++) {
			int64_t number = pool_get(class);

			assert_in_range(number, 0, class->count - 1);
			assert_false(seen[number]);
			seen[number] = true;
			memset(pool_buffer(class, (uint32_t)number), (int)number, sizes[i]);
		}
		assert_int_equal(pool_get(class), -1);
		assert_int_equal(pool_get(class), -1);
		for (uint32_t n = 0; n < class->count; n++) {
			const uint8_t *buffer = pool_buffer(class, n);

			assert_int_equal(buffer[0], (uint8_t)n);
			assert_true(memcmp(buffer, buffer + 1, sizes[i] - 1) == 0);
		}
		pool_put(class, 7);
		assert_int_equal(pool_get(class), 7);
		assert_int_equal(pool_get(class), -1);
		for (uint32_t n = 0; n < class->count; n++)
			pool_put(class, n);
		assert_int_equal(class->num_free, class->count);
		free(seen);
	}
}

/* The buffer that was given back last is the next: it is in the cache. */
static void test_last_in_first_out(void **state)
{
	struct pool_class *class = &pool.classes[POOL_SMALL];
	int64_t first = pool_get(class), second = pool_get(class);

	(void)state;
	pool_put(class, (uint32_t)first);
	pool_put(class, (uint32_t)second);
	assert_int_equal(pool_get(class), second);
	assert_int_equal(pool_get(class), first);
}

/* One class that is empty takes nothing from another. */
static void test_classes_are_apart(void **state)
{
	(void)state;
	while (pool_get(&pool.classes[POOL_STANDARD]) >= 0)
		;
	assert_int_equal(pool.classes[POOL_SMALL].num_free, counts[POOL_SMALL]);
	assert_int_equal(pool.classes[POOL_JUMBO].num_free, counts[POOL_JUMBO]);
}

/* ------------------------------------------------------------------------- memory */

/* Every page of it is there from the start: using it takes no page fault. */
static void test_fixed_memory(void **state)
{
	const size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	int map = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_true(map >= 0);
	for (unsigned i = 0; i < POOL_CLASSES; i++) {
		const uint8_t *memory = pool.classes[i].memory;
		const size_t first = (uintptr_t)memory / page_bytes;
		const size_t count = (size_t)counts[i] * sizes[i] / page_bytes;

		for (size_t page = first; page < first + count; page++) {
			uint64_t entry;

			assert_int_equal(
				pread(map, &entry, sizeof(entry), (off_t)(page * sizeof(entry))),
				sizeof(entry));
			assert_true(entry >> 62); /* in memory or, for want of it, in swap */
		}
	}
	close(map);
}

/* A class is where it says it is. */
static void test_pages(void **state)
{
	(void)state;
	for (unsigned i = 0; i < POOL_CLASSES; i++) {
		const struct pool_class *class = &pool.classes[i];
		const long page_kb = mapping(class->memory, "KernelPageSize");

		if (class->huge)
			assert_int_equal(page_kb, HUGE_PAGE_KB);
		else
			assert_in_range(page_kb, 1, HUGE_PAGE_KB - 1);
		assert_true(class->memory_bytes >= (size_t)sizes[i] * counts[i]);
		/* what transparent huge pages need */
		assert_int_equal((uintptr_t) class->memory % (HUGE_PAGE_KB << 10), 0);
		assert_int_equal(class->memory_bytes % (HUGE_PAGE_KB << 10), 0);
	}
}

static void test_exit_gives_back(void **state)
{
	uint8_t *memory[POOL_CLASSES];

	(void)state;
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < POOL_CLASSES; i++)
			memory[i] = pool.classes[i].memory;
		pool_exit(&pool);
		for (unsigned i = 0; i < POOL_CLASSES; i++)
			assert_int_equal(mapping(memory[i], "Size"), -1);
		pool_exit(&pool); /* harmless */
		assert_null(pool.classes[0].memory);
		assert_int_equal(pool_init(&pool, counts, false), 0);
	}
}

/* Pages that this process has mapped. */
static unsigned long mapped(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	unsigned long pages = 0;

	if (file && fscanf(file, "%lu", &pages) == 1)
		fclose(file);
	return pages;
}

/* The largest class is more than this process may have, in a child: refused, and nothing kept. */
static int refuse(void)
{
	static const uint32_t large[POOL_CLASSES] = {1000, 500, 32768};
	const struct rlimit limit = {256 << 20, 256 << 20};
	const unsigned long class_pages = 1000 * 2048 / 4096, before = mapped();
	struct pool other;

	setrlimit(RLIMIT_AS, &limit);
	if (pool_init(&other, large, false) != -ENOMEM)
		return 1;
	for (unsigned i = 0; i < POOL_CLASSES; i++)
		if (other.classes[i].memory || other.classes[i].free)
			return 2;
	return mapped() < before + class_pages ? 0 : 3;
}

static void test_too_little_memory(void **state)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	(void)state;
	(void)refuse;
	print_message("a sanitizer maps more than any limit\n");
	skip();
#else
	int status;
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(refuse());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
#endif
}

int main(void)
{
	static const struct log_levels quiet;
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_classes),	      TEST(test_exhaustion),
		TEST(test_last_in_first_out), TEST(test_classes_are_apart),
		TEST(test_fixed_memory),      TEST(test_pages),
		TEST(test_exit_gives_back),   TEST(test_too_little_memory),
	};

	log_use_levels(&quiet);
	return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
