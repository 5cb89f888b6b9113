// SPDX-License-Identifier: MIT
/*
 * fuzz_plan: plan_check on anything, and a worker's tables from whatever it lets through. An input
 * is the plan as it is in memory; where its numbers of rules and outputs do not go with its length,
 * they are brought down to it, as mutations seldom find a length by themselves.
 *
 * It is copied, so that ASan sees a read behind it. Every output and counter of the tables has to
 * be one of the worker's, and every rule is found.
 */
#include "contract/limits.h"
#include "contract/plan.h"
#include "worker/forward.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct output outputs[OUTPUT_NUMBERS];
static struct rule_counters counters[RULE_NUMBERS];

static void require(bool condition)
{
	if (!condition)
		abort();
}

static uint32_t at_most(uint32_t wanted, size_t bytes, size_t each)
{
	return wanted < bytes / each ? wanted : (uint32_t)(bytes / each);
}

/* Returns the bytes of it that are a plan. */
static size_t fit(struct plan *plan, size_t size)
{
	uint32_t next = 0, next_source = 0;

	plan->num_rules = at_most(plan->num_rules, size - sizeof(*plan), sizeof(struct plan_rule));
	size -= plan_bytes(plan->num_rules, 0, 0);
	plan->num_outputs = at_most(plan->num_outputs, size, sizeof(uint32_t));
	size -= plan->num_outputs * sizeof(uint32_t);
	plan->num_sources = at_most(plan->num_sources, size, sizeof(struct plan_source));
	for (uint32_t i = 0; i < plan->num_rules; i++) {
		struct plan_rule *rule = &plan->rules[i];

		rule->first_output = next;
		rule->first_source = next_source;
		next += rule->num_outputs;
		next_source += rule->num_sources;
	}
	return plan_bytes(plan->num_rules, plan->num_outputs, plan->num_sources);
}

static void check_route(const struct route *route, const struct plan_rule *rule)
{
	require(route->counters >= counters && route->counters < counters + RULE_NUMBERS);
	require(route->num_outputs == rule->num_outputs);
	for (unsigned i = 0; i < route->num_outputs; i++)
		require(route->outputs[i] >= outputs &&
			route->outputs[i] < outputs + OUTPUT_NUMBERS);
}

static void use(const struct plan *plan)
{
	struct forwarder forwarder = {0};

	if (forwarder_init(&forwarder, plan, outputs, counters) < 0)
		return;
	for (uint32_t i = 0; i < plan->num_rules; i++) {
		const struct plan_rule *rule = &plan->rules[i];
		const struct rule_key key = {rule->group, rule->port, rule->input};
		int32_t found;

		check_route(&forwarder.routes[i], rule);
		found = rule_table_find(&forwarder.table, key);
		if (found == RULE_BY_SOURCE)
			found = rule_table_find_source(&forwarder.table, key,
						       plan_sources(plan)[0].first);
		require(found == RULE_BY_SOURCE ||
			(found >= 0 && (uint32_t)found < plan->num_rules));
	}
	forwarder_exit(&forwarder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct plan *plan;

	if (size > plan_bytes(RULES_MAX, RULES_MAX, RULES_MAX))
		return 0;
	plan = malloc(size ? size : 1);
	if (!plan)
		return 0;
	memcpy(plan, data, size);
	if (plan_check(plan, size) == 0) {
		use(plan);
	} else if (size >= sizeof(*plan)) {
		if (plan_check(plan, fit(plan, size)) == 0)
			use(plan);
	}
	free(plan);
	return 0;
}
