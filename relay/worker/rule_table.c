// SPDX-License-Identifier: MIT
/* rule_table: see rule_table.h. */
#include "worker/rule_table.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

int rule_table_init(struct rule_table *table, unsigned count, unsigned num_ranges)
{
	uint32_t size = 16;

	while (size < 2 * count)
		size *= 2;
	*table = (struct rule_table){
		.entries = malloc(size * sizeof(*table->entries)),
		.ranges = calloc(num_ranges + 1, sizeof(*table->ranges)),
		.mask = size - 1,
	};
	if (!table->entries || !table->ranges) {
		rule_table_exit(table);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < size; i++)
		table->entries[i].rule = RULE_NONE;
	return 0;
}

void rule_table_exit(struct rule_table *table)
{
	free(table->entries);
	free(table->ranges);
	*table = (struct rule_table){0};
}

/* The entry of this key, or the empty one where it is to be. */
static struct rule_entry *find_entry(struct rule_table *table, uint64_t bits)
{
	uint32_t i = (uint32_t)((bits * 0x9e3779b97f4a7c15ULL) >> 32);

	for (;; i++) {
		struct rule_entry *entry = &table->entries[i & table->mask];

		if (entry->rule == RULE_NONE || entry->key == bits)
			return entry;
	}
}

void rule_table_insert(struct rule_table *table, struct rule_key key, int32_t rule)
{
	const uint64_t bits = rule_key_bits(key);

	*find_entry(table, bits) = (struct rule_entry){bits, rule};
}

void rule_table_insert_source(struct rule_table *table, struct rule_key key, uint32_t first,
			      uint32_t last, int32_t rule)
{
	rule_table_insert(table, key, RULE_BY_SOURCE);
	table->ranges[table->num_ranges++] =
		(struct source_range){rule_key_bits(key), first, last, rule};
}

static bool is_before(const struct source_range *one, const struct source_range *other)
{
	return one->key != other->key ? one->key < other->key : one->first < other->first;
}

static void swap(struct source_range *one, struct source_range *other)
{
	const struct source_range kept = *one;

	*one = *other;
	*other = kept;
}

/* Lets the range at `place` sink to where none of the two below it comes after it. */
static void sift_down(struct source_range *ranges, uint32_t place, uint32_t count)
{
	for (;;) {
		uint32_t last = place;

		for (uint32_t below = 2 * place + 1; below <= 2 * place + 2 && below < count;
		     below++)
			if (is_before(&ranges[last], &ranges[below]))
				last = below;
		if (last == place)
			return;
		swap(&ranges[place], &ranges[last]);
		place = last;
	}
}

/* A heap sort, as the sandbox does not allow what qsort(3) may call: from 1 KiB on, glibc asks how
 * much memory there is. */
void rule_table_complete(struct rule_table *table)
{
	for (uint32_t i = table->num_ranges / 2; i-- > 0;)
		sift_down(table->ranges, i, table->num_ranges);
	for (uint32_t i = table->num_ranges; i-- > 1;) {
		swap(&table->ranges[0], &table->ranges[i]);
		sift_down(table->ranges, 0, i);
	}
}

int32_t rule_table_find_source(const struct rule_table *table, struct rule_key key, uint32_t source)
{
	const uint64_t bits = rule_key_bits(key);
	uint32_t low = 0, high = table->num_ranges;

	while (low < high) {
		const uint32_t middle = (low + high) / 2;
		const struct source_range *range = &table->ranges[middle];

		if (range->key < bits || (range->key == bits && range->last < source))
			low = middle + 1;
		else if (range->key > bits || range->first > source)
			high = middle;
		else
			return range->rule;
	}
	return RULE_BY_SOURCE;
}
