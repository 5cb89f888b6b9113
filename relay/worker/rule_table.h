/* SPDX-License-Identifier: MIT
 *
 * rule_table: the immutable table that answers "which rule does this packet match?": (input, group,
 * port) -> index of the rule. Open addressing, at most half full.
 */
#ifndef RULE_TABLE_H
#define RULE_TABLE_H

#include <stdint.h>

struct rule_key {
	uint32_t group; /* network order */
	uint16_t port;	/* host order */
	uint16_t input; /* its number */
};

struct rule_table {
	uint32_t mask;
	struct rule_entry {
		uint64_t key;
		int32_t rule; /* -1: empty */
	} * entries;
};

/* Room for `count` rules. 0 or -ENOMEM. */
int rule_table_init(struct rule_table *table, unsigned count);
void rule_table_exit(struct rule_table *table);

/* The caller makes sure that keys are unique and no more than `count` are inserted. */
void rule_table_insert(struct rule_table *table, struct rule_key key, int32_t rule);

static inline uint64_t rule_key_bits(struct rule_key key)
{
	return (uint64_t)key.input << 48 | (uint64_t)key.port << 32 | key.group;
}

/* Index of the rule or -1. */
static inline int32_t rule_table_find(const struct rule_table *table, struct rule_key key)
{
	uint64_t bits = rule_key_bits(key);
	/* Fibonacci hashing: the high half of the product is well mixed */
	uint32_t i = (uint32_t)((bits * 0x9e3779b97f4a7c15ULL) >> 32);

	for (;; i++) {
		const struct rule_entry *entry = &table->entries[i & table->mask];

		if (entry->rule < 0 || entry->key == bits)
			return entry->rule;
	}
}

#endif
