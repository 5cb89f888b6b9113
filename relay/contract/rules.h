/* SPDX-License-Identifier: MIT
 *
 * rules: what is relayed where.
 */
#ifndef RULES_H
#define RULES_H

#include "contract/limits.h"
#include "contract/sources.h"

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

struct endpoint {
	char interface[IFNAMSIZ];
	struct in_addr group; /* or a unicast address */
	uint16_t port;	      /* host order */
};

enum {
	TTL_DECREMENT = 0, /* that of the arriving packet, less one */
	DSCP_KEEP = 64,	   /* that of the arriving packet */
};

struct rule_output {
	struct endpoint to;
	struct in_addr source; /* INADDR_ANY: the interface's primary address */
	uint16_t source_port;  /* host order; 0: one that is free */
	uint8_t ttl;	       /* 1 to 255, or TTL_DECREMENT */
	uint8_t dscp;	       /* 0 to 63, or DSCP_KEEP */
};

/* The same place and the same way to send there. */
bool rule_output_same(const struct rule_output *a, const struct rule_output *b);

struct rule {
	char id[RULE_ID_BYTES];
	struct endpoint input;
	struct prefix *sources; /* that it takes packets from: a list as in sources.h */
	unsigned num_sources;	/* 0: from any */
	struct rule_output *outputs;
	unsigned num_outputs; /* 0: receive and count */
};

struct rules {
	struct rule *rule;
	unsigned count;
};

/* Frees what rulefile_load made; harmless on a zeroed struct. */
void rules_free(struct rules *rules);

bool endpoint_same(const struct endpoint *a, const struct endpoint *b);

/* Would a packet match both? Interfaces are compared by name. */
bool rules_overlap(const struct rule *a, const struct rule *b);

/* The id of a rule that was given none: 16 hex digits that depend only on its input and sources. */
void rule_default_id(const struct rule *rule, char id[RULE_ID_BYTES]);

/* Whether it names each of its sources, so that its group can be joined for those alone. */
bool rule_names_sources(const struct rule *rule);

#endif
