// SPDX-License-Identifier: MIT
/* pool: see pool.h. */
#include "pool.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

static const uint32_t class_bytes[POOL_CLASSES] = {2048, 4096, 16384};
static const size_t HUGE_PAGE_BYTES = 2 << 20;

static void *map_memory(size_t *bytes)
{
	const int protection = PROT_READ | PROT_WRITE, flags = MAP_PRIVATE | MAP_ANONYMOUS;
	size_t rounded = (*bytes + HUGE_PAGE_BYTES - 1) & ~(HUGE_PAGE_BYTES - 1);
	void *memory = mmap(NULL, rounded, protection, flags | MAP_HUGETLB | MAP_POPULATE, -1, 0);

	if (memory != MAP_FAILED)
		*bytes = rounded;
	else
		memory = mmap(NULL, *bytes, protection, flags | MAP_POPULATE, -1, 0);
	return memory == MAP_FAILED ? NULL : memory;
}

static int class_init(struct pool_class *pool_class, uint32_t buffer_bytes, uint32_t count)
{
	pool_class->buffer_bytes = buffer_bytes;
	pool_class->count = count;
	pool_class->memory_bytes = (size_t)buffer_bytes * count;
	pool_class->memory = map_memory(&pool_class->memory_bytes);
	pool_class->free = calloc(count, sizeof(*pool_class->free));
	if (!pool_class->memory || !pool_class->free)
		return -ENOMEM;
	for (uint32_t i = count; i > 0; i--)
		pool_put(pool_class, i - 1);
	return 0;
}

int pool_init(struct pool *pool, const uint32_t counts[POOL_CLASSES])
{
	*pool = (struct pool){0};
	for (unsigned i = 0; i < POOL_CLASSES; i++)
		if (class_init(&pool->classes[i], class_bytes[i], counts[i]) < 0) {
			pool_exit(pool);
			return -ENOMEM;
		}
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

	while (i < POOL_CLASSES - 1 && class_bytes[i] < bytes)
		i++;
	return &pool->classes[i];
}
