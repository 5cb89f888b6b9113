// SPDX-License-Identifier: MIT
/*
 * provision: see provision.h.
 *
 * A change of rules goes: open what the next set needs and the present one lacks; build the plan;
 * send workers the new sockets, then the plan, then the farewell to what no rule uses any more.
 * Workers take messages in order and between bursts, so a plan never names a socket they lack.
 */
#include "supervisor/provision.h"
#include "common/clock.h"
#include "common/log.h"
#include "contract/plan.h"
#include "supervisor/slots.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ------------------------------------------------------------------------- for its parts */

int provision_explain(char *error, int rc, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, PROVISION_ERROR_BYTES, format, args);
	va_end(args);
	return rc;
}

void provision_close(int *fds, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
		fds[i] = -1;
	}
}

/* ------------------------------------------------------------------------- a change of rules */

/* Opens what the rules need and is not open yet. The inputs and outputs that are new are marked. */
static int open_needed(struct provision *provision, const struct rules *rules, bool *new_inputs,
		       bool *new_outputs, char *error)
{
	for (unsigned i = 0; i < rules->count; i++) {
		const struct rule *rule = &rules->rule[i];
		int index;

		if (inputs_find(provision, rule->input.interface) < 0) {
			index = inputs_claim(provision, rule->input.interface, error);
			if (index < 0)
				return index;
			new_inputs[index] = true;
		}
		for (unsigned j = 0; j < rule->num_outputs; j++) {
			if (outputs_find(provision, &rule->outputs[j]) >= 0)
				continue;
			index = outputs_claim(provision, &rule->outputs[j], error);
			if (index < 0)
				return index;
			new_outputs[index] = true;
		}
	}
	for (int i = 0; i < INPUTS_MAX; i++) {
		struct provision_input *input = &provision->inputs[i];
		int rc;

		if (!input->netif.name[0] || !inputs_needed(rules, input->netif.name))
			continue;
		rc = input_subscribe(provision, input, rules, error);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* Gives up what `rules` do not need; with `tell`, workers are told before. */
static void release_unneeded(struct provision *provision, const struct rules *rules, bool tell)
{
	inputs_release_unneeded(provision, rules, tell);
	outputs_release_unneeded(provision, rules, tell);
}

/* A set was refused on the way: what was subscribed to for it becomes what it was. */
static void roll_back(struct provision *provision)
{
	char error[PROVISION_ERROR_BYTES];

	release_unneeded(provision, &provision->rules, false);
	for (int i = 0; i < INPUTS_MAX; i++) {
		struct provision_input *input = &provision->inputs[i];

		if (input->netif.name[0] &&
		    input_subscribe(provision, input, &provision->rules, error) < 0)
			log_error("Ingress", "%s", error);
	}
}

static void send_plan(struct provision *provision, struct worker_handle *worker)
{
	const struct message message = {
		.type = MESSAGE_PLAN,
		.plan = {.generation = provision->generation, .bytes = provision->plan_bytes},
	};

	workers_send(worker, &message, provision->plan_fd);
}

static void announce(struct provision *provision, const bool *new_inputs, const bool *new_outputs)
{
	for (unsigned w = 0; w < provision->workers->count; w++) {
		struct worker_handle *worker = &provision->workers->worker[w];

		/* it has room for so many answers only, and rules may change faster than the
		 * supervisor's loop turns */
		workers_receive(worker);
		for (int i = 0; i < INPUTS_MAX; i++)
			if (new_inputs[i])
				input_send(provision, worker, i);
		for (int i = 0; i < OUTPUTS_MAX; i++)
			if (new_outputs[i])
				output_send(provision, worker, i);
		send_plan(provision, worker);
	}
}

/* Of the types in struct plan_numbers. */
static int input_number(const void *provision, const char *interface)
{
	return inputs_find(provision, interface);
}

static int output_number(const void *provision, const struct rule_output *key)
{
	return outputs_find(provision, key);
}

static void clear_rule_counters(struct provision *provision, const bool *fresh)
{
	for (unsigned slot = 0; slot < RULES_MAX; slot++) {
		if (!fresh[slot])
			continue;
		for (unsigned w = 0; w < provision->workers->count; w++)
			memset(&provision->workers->worker[w].shared->rules[slot], 0,
			       sizeof(struct rule_counters));
		provision->rule_since_ms[slot] = now_ms();
	}
}

int provision_set_rules(struct provision *provision, struct rules *next,
			char error[PROVISION_ERROR_BYTES])
{
	bool new_inputs[INPUTS_MAX] = {false}, new_outputs[OUTPUTS_MAX] = {false};
	const struct plan_numbers numbers = {input_number, output_number, provision};
	bool fresh[RULES_MAX] = {false};
	uint32_t *slots = slots_assign(&provision->rules, provision->slots, next, fresh);
	uint32_t bytes = 0;
	int plan_fd = -1, rc;

	if (!slots)
		return provision_explain(error, -ENOMEM, "out of memory");
	rc = open_needed(provision, next, new_inputs, new_outputs, error);
	if (rc == 0) {
		rc = plan_fd = plan_build(next, slots, &numbers, &bytes);
		if (rc < 0)
			provision_explain(error, rc, "cannot build the plan of the rules: %s",
					  strerror(-rc));
	}
	if (rc < 0) {
		roll_back(provision);
		free(slots);
		return rc;
	}
	clear_rule_counters(provision, fresh);
	if (provision->plan_fd >= 0)
		close(provision->plan_fd);
	rules_free(&provision->rules);
	free(provision->slots);
	provision->rules = *next;
	provision->slots = slots;
	provision->plan_fd = plan_fd;
	provision->plan_bytes = bytes;
	provision->generation++;
	announce(provision, new_inputs, new_outputs);
	release_unneeded(provision, &provision->rules, true);
	return 0;
}

void provision_equip(struct provision *provision, struct worker_handle *worker)
{
	for (int i = 0; i < INPUTS_MAX; i++)
		if (provision->inputs[i].netif.name[0])
			input_send(provision, worker, i);
	for (int i = 0; i < OUTPUTS_MAX; i++)
		if (provision->outputs[i].used)
			output_send(provision, worker, i);
	if (provision->plan_fd >= 0)
		send_plan(provision, worker);
}

/* ------------------------------------------------------------------------- the rest */

void provision_follow_interfaces(struct provision *provision)
{
	inputs_follow(provision);
	outputs_follow(provision);
}

void provision_count_drops(struct provision *provision)
{
	inputs_count_drops(provision);
}

int64_t provision_close_graves(struct provision *provision)
{
	return graves_close_due(&provision->graves, now_ms());
}

void provision_quiesce(struct provision *provision)
{
	provision->quiesced = true;
	if (provision->inputs)
		inputs_quiesce(provision);
}

bool provision_knows_interface(const char *name, void *context)
{
	const struct provision *provision = context;
	bool known = netif_exists(name, NULL) || inputs_find(provision, name) >= 0;

	for (int i = 0; i < OUTPUTS_MAX && !known; i++)
		known = provision->outputs[i].used &&
			strcmp(provision->outputs[i].key.to.interface, name) == 0;
	return known;
}

int provision_init(struct provision *provision, const struct config *config,
		   struct workers *workers)
{
	*provision = (struct provision){.config = config, .workers = workers, .plan_fd = -1};
	provision->inputs = calloc(INPUTS_MAX, sizeof(*provision->inputs));
	provision->outputs = calloc(OUTPUTS_MAX, sizeof(*provision->outputs));
	if (!provision->inputs || !provision->outputs) {
		log_error("Supervisor", "out of memory");
		return -ENOMEM;
	}
	for (int i = 0; i < INPUTS_MAX; i++)
		memset(provision->inputs[i].fds, -1, sizeof(provision->inputs[i].fds));
	for (int i = 0; i < OUTPUTS_MAX; i++)
		memset(provision->outputs[i].fds, -1, sizeof(provision->outputs[i].fds));
	return 0;
}

void provision_exit(struct provision *provision)
{
	const struct rules none = {0};

	if (provision->inputs && provision->outputs)
		release_unneeded(provision, &none, false);
	graves_exit(&provision->graves);
	if (provision->plan_fd >= 0)
		close(provision->plan_fd);
	rules_free(&provision->rules);
	free(provision->slots);
	free(provision->inputs);
	free(provision->outputs);
}
