// SPDX-License-Identifier: MIT
/*
 * provision: see provision.h.
 *
 * A change of rules goes: open what the next set needs and the present one lacks, and let its
 * packets in; build the plan; send workers the new outputs, then the plan, then the new inputs,
 * then word of what no rule uses any more; let in no more than what is asked for now. Workers take
 * messages in order and between bursts, some at a time: a plan never names an output that they
 * lack, and no packet is received before the plan says where it goes.
 */
#include "supervisor/provision.h"
#include "common/clock.h"
#include "common/log.h"
#include "contract/plan.h"
#include "supervisor/rule_numbers.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ------------------------------------------------------------------------- a change of rules */

/* Of the inputs and outputs that a set of rules needs. */
struct needs {
	bool inputs[INPUT_NUMBERS], outputs[OUTPUT_NUMBERS]; /* by number: these */
	unsigned num_inputs, num_outputs;
};

/* The number of the rule's input; opened, if there is none yet. */
static int need_input(struct provision *provision, struct needs *needs, const char *interface,
		      bool *fresh, char *error)
{
	int index = inputs_find(&provision->inputs, interface);

	if (index >= 0 && needs->inputs[index])
		return index;
	if (needs->num_inputs++ == INPUTS_MAX)
		return refusal_explain(error, -ENOSPC, "rules receive on more than %d interfaces",
				       INPUTS_MAX);
	if (index < 0) {
		index = inputs_claim(&provision->inputs, interface, error);
		if (index < 0)
			return index;
		fresh[index] = true;
	}
	needs->inputs[index] = true;
	return index;
}

static int need_output(struct provision *provision, struct needs *needs,
		       const struct rule_output *key, bool *fresh, char *error)
{
	int index = outputs_find(&provision->outputs, key);

	if (index >= 0 && needs->outputs[index])
		return index;
	if (needs->num_outputs++ == OUTPUTS_MAX)
		return refusal_explain(error, -ENOSPC, "rules have more than %d different outputs",
				       OUTPUTS_MAX);
	if (index < 0) {
		index = outputs_claim(&provision->outputs, key, error);
		if (index < 0)
			return index;
		fresh[index] = true;
	}
	needs->outputs[index] = true;
	return index;
}

/* Opens what the rules need and is not open yet. The inputs and outputs that are new are marked. */
static int open_needed(struct provision *provision, const struct rules *rules, bool *new_inputs,
		       bool *new_outputs, char *error)
{
	struct needs needs = {0};

	for (unsigned i = 0; i < rules->count; i++) {
		const struct rule *rule = &rules->rule[i];
		int index = need_input(provision, &needs, rule->input.interface, new_inputs, error);

		for (unsigned j = 0; j < rule->num_outputs && index >= 0; j++)
			index = need_output(provision, &needs, &rule->outputs[j], new_outputs,
					    error);
		if (index < 0)
			return index;
	}
	for (int i = 0; i < INPUT_NUMBERS; i++) {
		struct provision_input *input = &provision->inputs.input[i];
		int rc;

		if (!input->netif.name[0] || !inputs_needed(rules, input->netif.name))
			continue;
		rc = input_subscribe(&provision->inputs, input, rules, error);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* Gives up what `rules` do not need; with `tell`, workers are told before. */
static void release_unneeded(struct provision *provision, const struct rules *rules, bool tell)
{
	inputs_release_unneeded(&provision->inputs, rules, tell);
	outputs_release_unneeded(&provision->outputs, rules, tell);
}

/* Lets in no more than what the rules in force ask for. */
static void narrow_inputs(struct provision *provision)
{
	for (int i = 0; i < INPUT_NUMBERS; i++)
		if (provision->inputs.input[i].netif.name[0])
			input_narrow(&provision->inputs, &provision->inputs.input[i],
				     &provision->rules);
}

/* A set was refused on the way: what was subscribed to for it becomes what it was. */
static void roll_back(struct provision *provision)
{
	char error[REFUSAL_BYTES];

	release_unneeded(provision, &provision->rules, false);
	for (int i = 0; i < INPUT_NUMBERS; i++) {
		struct provision_input *input = &provision->inputs.input[i];

		if (input->netif.name[0] &&
		    input_subscribe(&provision->inputs, input, &provision->rules, error) < 0)
			log_error("Ingress", "%s", error);
	}
	narrow_inputs(provision);
}

static void send_plan(struct provision *provision, struct worker_handle *worker)
{
	const struct message message = {
		.type = MESSAGE_PLAN,
		.plan = {.generation = provision->generation, .bytes = provision->plan_bytes},
	};

	workers_send(worker, &message, provision->plan_fd);
}

static void send_complete(struct provision *provision, struct worker_handle *worker)
{
	const struct message message = {.type = MESSAGE_COMPLETE,
					.plan.generation = provision->generation};

	workers_send(worker, &message, -1);
}

static void announce(struct provision *provision, const bool *new_inputs, const bool *new_outputs)
{
	for (unsigned w = 0; w < provision->workers->count; w++) {
		struct worker_handle *worker = &provision->workers->worker[w];

		/* it has room for so many answers only, and rules may change faster than the
		 * supervisor's loop turns */
		workers_receive(worker);
		for (int i = 0; i < OUTPUT_NUMBERS; i++)
			if (new_outputs[i])
				output_send(&provision->outputs, worker, i);
		send_plan(provision, worker);
		for (int i = 0; i < INPUT_NUMBERS; i++)
			if (new_inputs[i])
				input_send(&provision->inputs, worker, i);
		send_complete(provision, worker);
	}
}

/* Of the types in struct plan_numbers. */
static int input_number(const void *context, const char *interface)
{
	const struct provision *provision = context;

	return inputs_find(&provision->inputs, interface);
}

static int output_number(const void *context, const struct rule_output *key)
{
	const struct provision *provision = context;

	return outputs_find(&provision->outputs, key);
}

const struct rule_counters *provision_counted(const struct provision *provision, uint32_t number,
					      const struct worker_handle *worker)
{
	static const struct rule_counters none;
	const struct rule_counters *counters = &worker->shared->rules[number];

	return __atomic_load_n(&counters->born, __ATOMIC_ACQUIRE) == provision->rule_born[number]
		       ? counters
		       : &none;
}

/* Their counters begin with the next generation. */
static void begin_counters(struct provision *provision, const bool *fresh)
{
	for (unsigned number = 0; number < RULE_NUMBERS; number++) {
		if (!fresh[number])
			continue;
		provision->rule_born[number] = provision->generation + 1;
		provision->rule_since_ms[number] = now_ms();
	}
}

int provision_set_rules(struct provision *provision, struct rules *next, char error[REFUSAL_BYTES])
{
	bool new_inputs[INPUT_NUMBERS] = {false}, new_outputs[OUTPUT_NUMBERS] = {false};
	const struct plan_numbers numbers = {input_number, output_number, provision};
	bool fresh[RULE_NUMBERS] = {false};
	uint32_t *rule_numbers =
		rule_numbers_assign(&provision->rules, provision->rule_numbers, next, fresh);
	uint32_t bytes = 0;
	int plan_fd = -1, rc;

	if (!rule_numbers)
		return refusal_explain(error, -ENOMEM, "out of memory");
	rc = open_needed(provision, next, new_inputs, new_outputs, error);
	if (rc == 0) {
		begin_counters(provision, fresh);
		rc = plan_fd =
			plan_build(next, rule_numbers, provision->rule_born, &numbers, &bytes);
		if (rc < 0)
			refusal_explain(error, rc, "cannot build the plan of the rules: %s",
					strerror(-rc));
	}
	if (rc < 0) {
		roll_back(provision);
		free(rule_numbers);
		return rc;
	}
	if (provision->plan_fd >= 0)
		close(provision->plan_fd);
	rules_free(&provision->rules);
	free(provision->rule_numbers);
	provision->rules = *next;
	provision->rule_numbers = rule_numbers;
	provision->plan_fd = plan_fd;
	provision->plan_bytes = bytes;
	provision->generation++;
	announce(provision, new_inputs, new_outputs);
	release_unneeded(provision, &provision->rules, true);
	narrow_inputs(provision);
	return 0;
}

void provision_equip(struct provision *provision, struct worker_handle *worker)
{
	for (int i = 0; i < OUTPUT_NUMBERS; i++)
		if (provision->outputs.output[i].used)
			output_send(&provision->outputs, worker, i);
	if (provision->plan_fd >= 0)
		send_plan(provision, worker);
	for (int i = 0; i < INPUT_NUMBERS; i++)
		if (provision->inputs.input[i].netif.name[0])
			input_send(&provision->inputs, worker, i);
	send_complete(provision, worker);
}

/* ------------------------------------------------------------------------- the rest */

void provision_follow_interfaces(struct provision *provision)
{
	inputs_follow(&provision->inputs, &provision->rules);
	outputs_follow(&provision->outputs);
}

void provision_keep_offloads(struct provision *provision)
{
	inputs_keep_offloads(&provision->inputs);
}

void provision_count_drops(struct provision *provision)
{
	inputs_count_drops(&provision->inputs);
}

int64_t provision_close_due(struct provision *provision)
{
	return deferred_close_due(&provision->inputs.closing, now_ms());
}

void provision_quiesce(struct provision *provision)
{
	inputs_quiesce(&provision->inputs);
}

bool provision_knows_interface(const char *name, void *context)
{
	const struct provision *provision = context;
	bool known = netif_exists(name, NULL) || inputs_find(&provision->inputs, name) >= 0;

	for (int i = 0; i < OUTPUT_NUMBERS && !known; i++)
		known = provision->outputs.output[i].used &&
			strcmp(provision->outputs.output[i].key.to.interface, name) == 0;
	return known;
}

int provision_init(struct provision *provision, const struct config *config,
		   struct workers *workers)
{
	int rc;

	*provision = (struct provision){.workers = workers, .plan_fd = -1};
	rc = inputs_init(&provision->inputs, config, workers);
	if (rc == 0)
		rc = outputs_init(&provision->outputs, config, workers);
	if (rc < 0)
		log_error("Supervisor", "out of memory");
	return rc;
}

void provision_exit(struct provision *provision)
{
	inputs_exit(&provision->inputs);
	outputs_exit(&provision->outputs);
	if (provision->plan_fd >= 0)
		close(provision->plan_fd);
	rules_free(&provision->rules);
	free(provision->rule_numbers);
}
