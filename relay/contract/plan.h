/* SPDX-License-Identifier: MIT
 *
 * plan: the rules as a worker needs them: flat, in one piece of memory that is passed to it (a
 * memfd), with inputs and outputs by their number instead of their name.
 *
 *   | num_rules, num_outputs, num_sources | struct plan_rule [num_rules] |
 *   | uint32_t outputs[num_outputs] | struct plan_source [num_sources] |
 *
 * The supervisor builds it and seals it; the worker maps it, checks it, makes its tables from it,
 * and unmaps it.
 */
#ifndef PLAN_H
#define PLAN_H

#include "contract/rules.h"

#include <stddef.h>
#include <stdint.h>

struct plan_rule {
	uint32_t group; /* network order */
	uint16_t port;	/* host order */
	uint16_t input;
	uint32_t number; /* of its counters */
	uint32_t born;	 /* of that number, none has been like it */
	uint32_t first_output, num_outputs;
	uint32_t first_source, num_sources; /* 0: packets of any source match */
};

/* All addresses from the first to the last one; host order. */
struct plan_source {
	uint32_t first, last;
};

struct plan {
	uint32_t num_rules, num_outputs, num_sources;
	struct plan_rule rules[];
	/* uint32_t outputs[num_outputs] */
	/* struct plan_source sources[num_sources] */
};

static inline const uint32_t *plan_outputs(const struct plan *plan)
{
	return (const uint32_t *)&plan->rules[plan->num_rules];
}

static inline const struct plan_source *plan_sources(const struct plan *plan)
{
	return (const struct plan_source *)&plan_outputs(plan)[plan->num_outputs];
}

static inline uint32_t plan_bytes(uint32_t num_rules, uint32_t num_outputs, uint32_t num_sources)
{
	return (uint32_t)(sizeof(struct plan) + num_rules * sizeof(struct plan_rule) +
			  num_outputs * sizeof(uint32_t) +
			  num_sources * sizeof(struct plan_source));
}

/* What an endpoint's name is to the workers. */
struct plan_numbers {
	/* number of the input on this interface; of the output; each of those in the rules has one
	 */
	int (*input)(const void *context, const char *interface);
	int (*output)(const void *context, const struct rule_output *key);
	const void *context;
};

/* Builds the plan of `rules`, which are counted under `rule_numbers` [rules->count], and were born,
 * by number, as in `born` [RULE_NUMBERS]. Returns a memfd with it that nobody can
 * change any more, *bytes its size; or negative errno. */
int plan_build(const struct rules *rules, const uint32_t *rule_numbers, const uint32_t *born,
	       const struct plan_numbers *numbers, uint32_t *bytes);

/* Whether `bytes` of memory are a plan whose every number is one of a place in the tables of a
 * worker. 0 or -EPROTO. */
int plan_check(const struct plan *plan, size_t bytes);

/* Maps what plan_build made, read only, and checks it. It is sealed, so that it stays what it is:
 * other workers have it, too. NULL on failure, with errno; EPROTO: it is none. */
const struct plan *plan_map(int fd, uint32_t bytes);
void plan_unmap(const struct plan *plan, uint32_t bytes);

#endif
