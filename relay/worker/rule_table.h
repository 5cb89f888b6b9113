/* SPDX-License-Identifier: MIT
 *
 * rule_table: the immutable table that answers "which rule does this packet match?": (input, group,
 * port) -> index of the rule. Open addressing, at most half full.
 *
 * Rules that take packets of some sources only share an entry, which says so: the search for the
 * source among the ranges of all such rules is a second step, which other packets do not need.
 *
 * Its life: rule_table_init, rule_table_insert or rule_table_insert_source for each rule,
 * rule_table_complete; then it is only looked at.
 */
#ifndef RULE_TABLE_H
#define RULE_TABLE_H

#include <stdint.h>

/* In place of the index of a rule. */
enum { RULE_NONE = -1, RULE_BY_SOURCE = -2 };

struct rule_key {
	uint32_t group; /* network order */
	uint16_t port;	/* host order */
	uint16_t input; /* its number */
};

/* Sources of a rule, from the first to the last one, host order. */
struct source_range {
	uint64_t key;
	uint32_t first, last;
	int32_t rule;
};

struct rule_table {
	uint32_t mask;
	struct rule_entry {
		uint64_t key;
		int32_t rule; /* RULE_NONE: empty */
	} * entries;
	struct source_range *ranges; /* [num_ranges] by key and first */
	uint32_t num_ranges;
};

/* Room for `count` rules, with `num_ranges` ranges of sources in all. 0 or -ENOMEM. */
int rule_table_init(struct rule_table *table, unsigned count, unsigned num_ranges);
void rule_table_exit(struct rule_table *table);

/* A rule for packets of any source. The caller makes sure that keys are unique and no more than
 * `count` are inserted. */
void rule_table_insert(struct rule_table *table, struct rule_key key, int32_t rule);

/* A rule for packets of these sources, which no other rule of this key takes; once for each range.
 */
void rule_table_insert_source(struct rule_table *table, struct rule_key key, uint32_t first,
			      uint32_t last, int32_t rule);

/* After the last one. */
void rule_table_complete(struct rule_table *table);

static inline uint64_t rule_key_bits(struct rule_key key)
{
	return (uint64_t)key.input << 48 | (uint64_t)key.port << 32 | key.group;
}

/* Index of the rule, RULE_NONE, or RULE_BY_SOURCE. */
static inline int32_t rule_table_find(const struct rule_table *table, struct rule_key key)
{
	uint64_t bits = rule_key_bits(key);
	/* Fibonacci hashing: the high half of the product is well mixed */
	uint32_t i = (uint32_t)((bits * 0x9e3779b97f4a7c15ULL) >> 32);

	for (;; i++) {
		const struct rule_entry *entry = &table->entries[i & table->mask];

		if (entry->rule == RULE_NONE || entry->key == bits)
			return entry->rule;
	}
}

/* The second step where rule_table_find says RULE_BY_SOURCE; `source` in host order. Index of the
 * rule, or RULE_BY_SOURCE: none takes packets of this source. */
int32_t rule_table_find_source(const struct rule_table *table, struct rule_key key,
			       uint32_t source);

#endif
