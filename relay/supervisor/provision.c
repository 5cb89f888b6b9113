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

enum { RETRY_MS = 500 }; /* what could not be opened, although its interface is there */

/* ------------------------------------------------------------------------- what rules need */

/* Of the inputs and outputs that a set of rules needs. */
struct needs {
	const struct interfaces *interfaces;
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
		return refusal_explain(error, -ENOSPC, INPUTS_TOO_MANY, INPUTS_MAX);
	if (index < 0) {
		index = inputs_claim(&provision->inputs,
				     interfaces_find_own(needs->interfaces, interface), error);
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
		return refusal_explain(error, -ENOSPC, OUTPUTS_TOO_MANY, OUTPUTS_MAX);
	if (index < 0) {
		index = outputs_claim(&provision->outputs, key,
				      interfaces_find_own(needs->interfaces, key->to.interface),
				      error);
		if (index < 0)
			return index;
		fresh[index] = true;
	}
	needs->outputs[index] = true;
	return index;
}

/* Opens what the rules need and is not open yet. The inputs and outputs that are new are marked. */
static int open_needed(struct provision *provision, const struct rules *rules,
		       const struct interfaces *interfaces, bool *new_inputs, bool *new_outputs,
		       char *error)
{
	struct needs needs = {.interfaces = interfaces};

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
				     &provision->served.rules);
}

/* A set was refused on the way: what was subscribed to for it becomes what it was. */
static void roll_back(struct provision *provision)
{
	char error[REFUSAL_BYTES];

	release_unneeded(provision, &provision->served.rules, false);
	for (int i = 0; i < INPUT_NUMBERS; i++) {
		struct provision_input *input = &provision->inputs.input[i];

		if (input->netif.name[0] &&
		    input_subscribe(&provision->inputs, input, &provision->served.rules, error) < 0)
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

/* ------------------------------------------------------------------------- a set of rules */

/* Puts the rules in force as they can be served, and takes that over from the caller. 0; or
 * negative errno, with one sentence in `error`: then the caller keeps it and nothing has changed.
 */
static int serve(struct provision *provision, struct served *served,
		 const struct interfaces *interfaces, char *error)
{
	bool new_inputs[INPUT_NUMBERS] = {false}, new_outputs[OUTPUT_NUMBERS] = {false};
	const struct plan_numbers numbers = {input_number, output_number, provision};
	uint32_t bytes = 0;
	int rc = open_needed(provision, &served->rules, interfaces, new_inputs, new_outputs, error);

	if (rc == 0) {
		rc = plan_build(&served->rules, served->numbers, provision->rule_born, &numbers,
				&bytes);
		if (rc < 0)
			refusal_explain(error, rc, "cannot build the plan of the rules: %s",
					strerror(-rc));
	}
	if (rc < 0) {
		roll_back(provision);
		return rc;
	}
	if (provision->plan_fd >= 0)
		close(provision->plan_fd);
	provision->plan_fd = rc;
	provision->plan_bytes = bytes;
	served_exit(&provision->served);
	provision->served = *served;
	provision->generation++;
	announce(provision, new_inputs, new_outputs);
	release_unneeded(provision, &provision->served.rules, true);
	narrow_inputs(provision);
	return 0;
}

/* Opens what can be opened by now, and says how the rules fare. */
static void follow_sockets(struct provision *provision)
{
	bool all_open;

	inputs_follow(&provision->inputs, &provision->served.rules, &provision->interfaces);
	outputs_follow(&provision->outputs, &provision->interfaces);
	all_open = inputs_all_open(&provision->inputs) && outputs_all_open(&provision->outputs);
	for (unsigned i = 0; i < provision->rules.count; i++)
		if (provision->rule_status[i].state != RULE_STOPPED)
			rule_status_judge(&provision->rule_status[i], &provision->rules.rule[i],
					  &provision->interfaces,
					  all_open ? NULL : &provision->inputs,
					  all_open ? NULL : &provision->outputs);
	provision->retry_at_ms = all_open ? 0 : now_ms() + RETRY_MS;
}

/* What a set of rules is made into before it is put in force. */
struct change {
	uint32_t *numbers;
	bool fresh[RULE_NUMBERS];
	char *stopped[RULE_NUMBERS]; /* borrowed */
	struct rule_status *status;
	struct interfaces interfaces;
	struct served served;
};

static void change_exit(struct change *change)
{
	free(change->numbers);
	free(change->status);
	interfaces_exit(&change->interfaces);
	served_exit(&change->served);
}

static int change_init(struct change *change, struct provision *provision, const struct rules *next)
{
	*change = (struct change){.status = calloc(next->count + 1, sizeof(*change->status))};
	change->numbers = rule_numbers_assign(&provision->rules, provision->rule_numbers, next,
					      change->fresh);
	if (!change->numbers || !change->status)
		goto no_memory;
	for (unsigned i = 0; i < next->count; i++)
		if (!change->fresh[change->numbers[i]])
			change->stopped[change->numbers[i]] =
				provision->stopped[change->numbers[i]];
	if (interfaces_look(&change->interfaces, next, &provision->interfaces) == 0 &&
	    served_build(&change->served, next, change->numbers, &change->interfaces,
			 change->stopped, change->status) == 0)
		return 0;

no_memory:
	change_exit(change);
	return -ENOMEM;
}

/* Of numbers that are another rule's now, or are given up. */
static void forget_stopped(struct provision *provision, const struct change *change)
{
	for (unsigned number = 0; number < RULE_NUMBERS; number++) {
		if (!change->stopped[number]) {
			free(provision->stopped[number]);
			provision->stopped[number] = NULL;
		}
	}
}

int provision_set_rules(struct provision *provision, struct rules *next, char error[REFUSAL_BYTES])
{
	struct change change;
	int rc = change_init(&change, provision, next);

	if (rc < 0)
		return refusal_explain(error, rc, "out of memory");
	begin_counters(provision, change.fresh);
	rc = serve(provision, &change.served, &change.interfaces, error);
	if (rc < 0) {
		change_exit(&change);
		return rc;
	}
	forget_stopped(provision, &change);
	interfaces_log(&provision->interfaces, &change.interfaces, next);
	rules_free(&provision->rules);
	free(provision->rule_numbers);
	free(provision->rule_status);
	interfaces_exit(&provision->interfaces);
	provision->rules = *next;
	provision->rule_numbers = change.numbers;
	provision->rule_status = change.status;
	provision->interfaces = change.interfaces;
	follow_sockets(provision);
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

/* The same rules, where a name has become another interface's, or a rule may not run any more. */
static void serve_anew(struct provision *provision)
{
	char error[REFUSAL_BYTES];
	struct served served;

	if (served_build(&served, &provision->rules, provision->rule_numbers,
			 &provision->interfaces, provision->stopped, provision->rule_status) < 0) {
		log_error("Supervisor", "out of memory");
		return;
	}
	if (served_same(&served, &provision->served)) {
		served_exit(&served);
	} else if (serve(provision, &served, &provision->interfaces, error) < 0) {
		log_error("Supervisor", "%s", error);
		served_exit(&served);
	}
}

bool provision_follow_interfaces(struct provision *provision)
{
	struct interfaces now;
	bool changed;

	if (interfaces_look(&now, &provision->rules, &provision->interfaces) < 0) {
		log_error("Supervisor", "out of memory");
		return false;
	}
	changed = !interfaces_same(&provision->interfaces, &now);
	interfaces_log(&provision->interfaces, &now, &provision->rules);
	interfaces_exit(&provision->interfaces);
	provision->interfaces = now;
	inputs_rename(&provision->inputs, &now);
	outputs_rename(&provision->outputs, &now);
	serve_anew(provision);
	follow_sockets(provision);
	return changed;
}

int provision_stop_rule(struct provision *provision, uint32_t number, const char *reason)
{
	char *copy = reason ? strdup(reason) : NULL;

	if (reason && !copy)
		return -ENOMEM;
	free(provision->stopped[number]);
	provision->stopped[number] = copy;
	serve_anew(provision);
	follow_sockets(provision);
	return 0;
}

unsigned provision_count(const struct provision *provision, enum rule_state state)
{
	unsigned count = 0;

	for (unsigned i = 0; i < provision->rules.count; i++)
		count += provision->rule_status[i].state == state;
	return count;
}

void provision_keep_offloads(struct provision *provision)
{
	inputs_keep_offloads(&provision->inputs);
}

void provision_count_drops(struct provision *provision)
{
	inputs_count_drops(&provision->inputs);
}

static int64_t retry_due(struct provision *provision)
{
	if (provision->retry_at_ms == 0)
		return -1;
	if (provision->retry_at_ms <= now_ms())
		provision_follow_interfaces(provision);
	return provision->retry_at_ms ? provision->retry_at_ms - now_ms() : -1;
}

int64_t provision_due(struct provision *provision)
{
	const int64_t now = now_ms();

	return sooner(deferred_close_due(&provision->inputs.closing, now),
		      sooner(retry_due(provision), reachability_look(&provision->outputs, now)));
}

void provision_quiesce(struct provision *provision)
{
	inputs_quiesce(&provision->inputs);
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
	for (unsigned number = 0; number < RULE_NUMBERS; number++)
		free(provision->stopped[number]);
	served_exit(&provision->served);
	interfaces_exit(&provision->interfaces);
	rules_free(&provision->rules);
	free(provision->rule_numbers);
	free(provision->rule_status);
}
