/* SPDX-License-Identifier: MIT
 *
 * pool: a worker's receive buffers in three sizes, allocated once, in huge pages if there are any.
 * Who gets one gives it back; one that is not to be had is counted and a normal state.
 */
#ifndef POOL_H
#define POOL_H

#include "contract/settings.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pool_class {
	uint8_t *memory;
	size_t memory_bytes;
	bool huge; /* in pages of 2 MiB that were reserved for such uses (vm.nr_hugepages) */
	uint32_t buffer_bytes, count;
	uint32_t *free; /* [count] numbers of free buffers, the first num_free */
	uint32_t num_free;
};

struct pool {
	struct pool_class classes[POOL_CLASSES];
};

/* `counts`: buffers of each class; `aggregates`: the largest can hold one. Logs what pages they are
 * in. 0 or -ENOMEM. */
int pool_init(struct pool *pool, const uint32_t counts[POOL_CLASSES], bool aggregates);
void pool_exit(struct pool *pool);

/* The smallest class whose buffers hold `bytes`; the largest if none does. */
struct pool_class *pool_class_for(struct pool *pool, uint32_t bytes);

/* The number of a free buffer, or -1: the class is exhausted. */
static inline int64_t pool_get(struct pool_class *pool_class)
{
	return pool_class->num_free ? (int64_t)pool_class->free[--pool_class->num_free] : -1;
}

static inline void pool_put(struct pool_class *pool_class, uint32_t number)
{
	pool_class->free[pool_class->num_free++] = number;
}

static inline uint8_t *pool_buffer(const struct pool_class *pool_class, uint32_t number)
{
	return pool_class->memory + (size_t)number * pool_class->buffer_bytes;
}

#endif
