/* SPDX-License-Identifier: MIT
 *
 * rules: what is relayed where, and the immutable table that answers "which rule does this packet
 * match" on the packet path.
 */
#ifndef RULES_H
#define RULES_H

#include <net/if.h>
#include <netinet/in.h>
#include <stdint.h>

enum {
	RULE_ID_BYTES = 65,	/* terminating 0 included */
	RULES_MAX = 4096,	/* per rule file */
	RULE_OUTPUTS_MAX = 256, /* per rule */
};

struct endpoint {
	char interface[IFNAMSIZ];
	struct in_addr group; /* or a unicast address */
	uint16_t port;	      /* host order */
};

struct rule_output {
	struct endpoint to;
	uint8_t ttl; /* 1 to 255 */
};

struct rule {
	char id[RULE_ID_BYTES];
	struct endpoint input;
	struct rule_output *outputs;
	unsigned num_outputs; /* 0: receive and count */
};

struct rules {
	struct rule *rule;
	unsigned count;
};

/* Frees what rulefile_load made; harmless on a zeroed struct. */
void rules_free(struct rules *rules);

/* The id of a rule that was given none: 16 hex digits that depend only on its input. */
void rule_default_id(const struct endpoint *input, char id[RULE_ID_BYTES]);

/* Lookup: (ingress, group, port) -> index of the rule. Open addressing, at most half full. */
struct rule_key {
	uint32_t group;	  /* network order */
	uint16_t port;	  /* host order */
	uint16_t ingress; /* which ingress of the worker, counted from 0 */
};

struct rule_table {
	uint32_t mask;
	struct rule_slot {
		uint64_t key;
		int32_t rule; /* -1: empty */
	} * slots;
};

/* Room for `count` rules. 0 or -ENOMEM. */
int rule_table_init(struct rule_table *table, unsigned count);
void rule_table_exit(struct rule_table *table);

/* The caller makes sure that keys are unique and no more than `count` are inserted. */
void rule_table_insert(struct rule_table *table, struct rule_key key, int32_t rule);

static inline uint64_t rule_key_bits(struct rule_key key)
{
	return (uint64_t)key.ingress << 48 | (uint64_t)key.port << 32 | key.group;
}

/* Index of the rule or -1. */
static inline int32_t rule_table_find(const struct rule_table *table, struct rule_key key)
{
	uint64_t bits = rule_key_bits(key);
	/* Fibonacci hashing: the high half of the product is well mixed */
	uint32_t i = (uint32_t)((bits * 0x9e3779b97f4a7c15ULL) >> 32);

	for (;; i++) {
		const struct rule_slot *slot = &table->slots[i & table->mask];

		if (slot->rule < 0 || slot->key == bits)
			return slot->rule;
	}
}

#endif
