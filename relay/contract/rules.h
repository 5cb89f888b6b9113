/* SPDX-License-Identifier: MIT
 *
 * rules: what is relayed where.
 */
#ifndef RULES_H
#define RULES_H

#include "contract/limits.h"

#include <net/if.h>
#include <netinet/in.h>
#include <stdint.h>

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

#endif
