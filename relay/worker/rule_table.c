// SPDX-License-Identifier: MIT
/* rule_table: see rule_table.h. */
#include "worker/rule_table.h"

#include <errno.h>
#include <stdlib.h>

int rule_table_init(struct rule_table *table, unsigned count)
{
	uint32_t size = 16;

	while (size < 2 * count)
		size *= 2;
	table->entries = malloc(size * sizeof(*table->entries));
	if (!table->entries)
		return -ENOMEM;
	for (uint32_t i = 0; i < size; i++)
		table->entries[i].rule = -1;
	table->mask = size - 1;
	return 0;
}

void rule_table_exit(struct rule_table *table)
{
	free(table->entries);
	*table = (struct rule_table){0};
}

void rule_table_insert(struct rule_table *table, struct rule_key key, int32_t rule)
{
	uint64_t bits = rule_key_bits(key);
	uint32_t i = (uint32_t)((bits * 0x9e3779b97f4a7c15ULL) >> 32);

	while (table->entries[i & table->mask].rule >= 0)
		i++;
	table->entries[i & table->mask] = (struct rule_entry){bits, rule};
}
