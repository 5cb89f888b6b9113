// SPDX-License-Identifier: MIT
/* served: see served.h. */
#include "supervisor/served.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void use_own_name(char name[IFNAMSIZ], const struct interfaces *interfaces)
{
	strcpy(name, interfaces_find(interfaces, name)->netif.name);
}

static bool has_output(const struct rule *rule, const struct endpoint *to)
{
	for (unsigned i = 0; i < rule->num_outputs; i++)
		if (endpoint_same(&rule->outputs[i].to, to))
			return true;
	return false;
}

/* Names that are different interfaces' have been compared when the rules were read. */
static bool has_synonyms(const struct interfaces *interfaces)
{
	return interfaces->count < interfaces->num_names;
}

/* The rule as it is served, each of its outputs once. */
static int resolve(struct rule *served, const struct rule *rule,
		   const struct interfaces *interfaces)
{
	*served = *rule;
	served->num_outputs = 0;
	served->outputs = calloc(rule->num_outputs + 1, sizeof(*served->outputs));
	if (!served->outputs)
		return -ENOMEM;
	use_own_name(served->input.interface, interfaces);
	for (unsigned i = 0; i < rule->num_outputs; i++) {
		struct rule_output *output = &served->outputs[served->num_outputs];

		*output = rule->outputs[i];
		use_own_name(output->to.interface, interfaces);
		served->num_outputs +=
			!has_synonyms(interfaces) || !has_output(served, &output->to);
	}
	return 0;
}

/* A rule file is not accepted with such rules; two names can become one interface's later. */
static void find_harm(struct rule_status *status, const struct served *served,
		      const struct rule *rule)
{
	if (has_output(rule, &rule->input)) {
		rule_status_set(status, RULE_STOPPED,
				"it sends on %s what it receives there, which would loop",
				rule->input.interface);
		return;
	}
	for (unsigned i = 0; i < served->rules.count; i++)
		if (rules_overlap(&served->rules.rule[i], rule)) {
			rule_status_set(status, RULE_STOPPED,
					"rule %s receives the same on the same interface, %s",
					served->rules.rule[i].id, rule->input.interface);
			return;
		}
}

static int add(struct served *served, const struct rule *rule, uint32_t number,
	       const struct interfaces *interfaces, struct rule_status *status)
{
	struct rule *place = &served->rules.rule[served->rules.count];

	if (resolve(place, rule, interfaces) < 0)
		return -ENOMEM;
	if (has_synonyms(interfaces))
		find_harm(status, served, place);
	if (status->state == RULE_STOPPED) {
		free(place->outputs);
		return 0;
	}
	served->numbers[served->rules.count++] = number;
	return 0;
}

int served_build(struct served *served, const struct rules *rules, const uint32_t *numbers,
		 const struct interfaces *interfaces, char *const stopped[RULE_NUMBERS],
		 struct rule_status *status)
{
	*served = (struct served){
		.rules.rule = calloc(rules->count + 1, sizeof(*served->rules.rule)),
		.numbers = calloc(rules->count + 1, sizeof(*served->numbers)),
	};
	if (!served->rules.rule || !served->numbers)
		goto no_memory;
	for (unsigned i = 0; i < rules->count; i++) {
		status[i] = (struct rule_status){.state = RULE_RUNNING};
		if (stopped[numbers[i]])
			rule_status_set(&status[i], RULE_STOPPED, "%s", stopped[numbers[i]]);
		else if (add(served, &rules->rule[i], numbers[i], interfaces, &status[i]) < 0)
			goto no_memory;
	}
	return 0;

no_memory:
	served_exit(served);
	return -ENOMEM;
}

void served_exit(struct served *served)
{
	for (unsigned i = 0; i < served->rules.count; i++)
		free(served->rules.rule[i].outputs);
	free(served->rules.rule);
	free(served->numbers);
	*served = (struct served){0};
}

static bool same_rule(const struct rule *a, const struct rule *b)
{
	bool same = endpoint_same(&a->input, &b->input) && a->num_outputs == b->num_outputs;

	for (unsigned i = 0; same && i < a->num_outputs; i++)
		same = rule_output_same(&a->outputs[i], &b->outputs[i]);
	return same;
}

bool served_same(const struct served *a, const struct served *b)
{
	bool same = a->rules.count == b->rules.count;

	for (unsigned i = 0; same && i < a->rules.count; i++)
		same = a->numbers[i] == b->numbers[i] &&
		       same_rule(&a->rules.rule[i], &b->rules.rule[i]);
	return same;
}
