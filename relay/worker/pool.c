// SPDX-License-Identifier: MIT
/* pool: see pool.h. */
#include "worker/pool.h"
#include "common/log.h"

#include <errno.h>
#include <linux/mman.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

static const uint32_t class_bytes[POOL_CLASSES] = {2048, 4096, 16384};
enum { AGGREGATE_BYTES = 65536 + 4096 }; /* the largest IP packet, and headers */
static const size_t HUGE_PAGE_BYTES = 2 << 20;

static void *map(size_t bytes, int flags)
{
	return mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1,
		    0);
}

/* Reserved huge pages; NULL if there are not enough. A control group or a NUMA policy may withhold
 * pages that could be reserved, which is better learnt here than by SIGBUS. */
static uint8_t *map_huge(size_t bytes)
{
	void *memory = map(bytes, MAP_HUGETLB | MAP_HUGE_2MB);

	if (memory == MAP_FAILED)
		return NULL;
	if (madvise(memory, bytes, MADV_POPULATE_WRITE) == 0 || errno == EINVAL)
		return memory;
	munmap(memory, bytes);
	return NULL;
}

/* Aligned, so that the kernel may take transparent huge pages, and populated. */
static uint8_t *map_normal(size_t bytes)
{
	uint8_t *memory = map(bytes + HUGE_PAGE_BYTES, 0);
	size_t before, after;

	if (memory == MAP_FAILED)
		return NULL;
	before = -(uintptr_t)memory & (HUGE_PAGE_BYTES - 1);
	after = HUGE_PAGE_BYTES - before;
	if (before)
		munmap(memory, before);
	memory += before;
	munmap(memory + bytes, after);
	madvise(memory, bytes, MADV_HUGEPAGE); /* fails where the kernel has none */
	memset(memory, 0, bytes);
	return memory;
}

static int class_init(struct pool_class *pool_class, uint32_t buffer_bytes, uint32_t count)
{
	pool_class->buffer_bytes = buffer_bytes;
	pool_class->count = count;
	pool_class->memory_bytes =
		((size_t)buffer_bytes * count + HUGE_PAGE_BYTES - 1) & ~(HUGE_PAGE_BYTES - 1);
	pool_class->memory = map_huge(pool_class->memory_bytes);
	pool_class->huge = pool_class->memory;
	if (!pool_class->huge)
		pool_class->memory = map_normal(pool_class->memory_bytes);
	pool_class->free = calloc(count, sizeof(*pool_class->free));
	if (!pool_class->memory || !pool_class->free)
		return -ENOMEM;
	for (uint32_t i = count; i > 0; i--)
		pool_put(pool_class, i - 1);
	return 0;
}

static void log_pages(const struct pool *pool)
{
	const struct pool_class *classes = pool->classes;
	size_t bytes = 0, huge_bytes = 0;

	for (unsigned i = 0; i < POOL_CLASSES; i++) {
		bytes += classes[i].memory_bytes;
		huge_bytes += classes[i].huge ? classes[i].memory_bytes : 0;
	}
	log_info("Ingress",
		 "buffers: %u small, %u standard, %u jumbo; %zu of %zu MiB in huge pages%s",
		 classes[POOL_SMALL].count, classes[POOL_STANDARD].count, classes[POOL_JUMBO].count,
		 huge_bytes >> 20, bytes >> 20,
		 huge_bytes < bytes ? " (vm.nr_hugepages has no more)" : "");
}

int pool_init(struct pool *pool, const uint32_t counts[POOL_CLASSES], bool aggregates)
{
	*pool = (struct pool){0};
	for (unsigned i = 0; i < POOL_CLASSES; i++) {
		const bool largest = i == POOL_CLASSES - 1;

		if (class_init(&pool->classes[i],
			       largest && aggregates ? AGGREGATE_BYTES : class_bytes[i],
			       counts[i]) < 0) {
			pool_exit(pool);
			return -ENOMEM;
		}
	}
	log_pages(pool);
	return 0;
}

void pool_exit(struct pool *pool)
{
	for (unsigned i = 0; i < POOL_CLASSES; i++) {
		if (pool->classes[i].memory)
			munmap(pool->classes[i].memory, pool->classes[i].memory_bytes);
		free(pool->classes[i].free);
	}
	*pool = (struct pool){0};
}

struct pool_class *pool_class_for(struct pool *pool, uint32_t bytes)
{
	unsigned i = 0;

	while (i < POOL_CLASSES - 1 && pool->classes[i].buffer_bytes < bytes)
		i++;
	return &pool->classes[i];
}
