// SPDX-License-Identifier: MIT
/* check: see check.h. It asks the same questions as the start does, in the same words. */
#include "supervisor/check.h"
#include "common/log.h"
#include "common/printable.h"
#include "supervisor/interfaces.h"
#include "supervisor/outputs.h"
#include "supervisor/rule_status.h"
#include "supervisor/rulefile.h"
#include "supervisor/served.h"
#include "supervisor/sockets.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct check {
	struct rules rules;
	uint32_t *numbers; /* [rules.count] */
	struct rule_status *status;
	struct interfaces interfaces;
	struct served served;
	/* those that the rules need, not open */
	struct inputs inputs;
	struct outputs outputs;
	unsigned num_inputs, num_outputs;
};

static int check_init(struct check *check)
{
	static char *const none[RULE_NUMBERS];
	const struct interfaces unknown = {0};
	int rc;

	check->numbers = calloc(check->rules.count + 1, sizeof(*check->numbers));
	check->status = calloc(check->rules.count + 1, sizeof(*check->status));
	check->inputs.input = calloc(INPUT_NUMBERS, sizeof(*check->inputs.input));
	check->outputs.output = calloc(OUTPUT_NUMBERS, sizeof(*check->outputs.output));
	if (!check->numbers || !check->status || !check->inputs.input || !check->outputs.output)
		return -ENOMEM;
	for (unsigned i = 0; i < check->rules.count; i++)
		check->numbers[i] = i;
	rc = interfaces_look(&check->interfaces, &check->rules, &unknown);
	if (rc == 0)
		rc = served_build(&check->served, &check->rules, check->numbers, &check->interfaces,
				  none, check->status);
	return rc;
}

static void check_exit(struct check *check)
{
	served_exit(&check->served);
	interfaces_exit(&check->interfaces);
	free(check->outputs.output);
	free(check->inputs.input);
	free(check->status);
	free(check->numbers);
	rules_free(&check->rules);
}

/* ------------------------------------------------------------------------- questions */

/* False: there are as many as can be. */
static bool need_input(struct check *check, const char *interface)
{
	if (inputs_find(&check->inputs, interface) >= 0)
		return true;
	if (check->num_inputs == INPUTS_MAX)
		return false;
	strcpy(check->inputs.input[check->num_inputs++].netif.name, interface);
	return true;
}

static bool need_output(struct check *check, const struct rule_output *key)
{
	struct provision_output *output;

	if (outputs_find(&check->outputs, key) >= 0)
		return true;
	if (check->num_outputs == OUTPUTS_MAX)
		return false;
	output = &check->outputs.output[check->num_outputs++];
	output->used = true;
	output->key = *key;
	output->netif = *interfaces_find_own(&check->interfaces, key->to.interface);
	if (!netif_fault(&output->netif, true))
		output->error = -sockets_try_output(key, &output->netif);
	return true;
}

static int need_all(struct check *check, char error[REFUSAL_BYTES])
{
	for (unsigned i = 0; i < check->served.rules.count; i++) {
		const struct rule *rule = &check->served.rules.rule[i];

		if (!need_input(check, rule->input.interface))
			return refusal_explain(error, -ENOSPC, INPUTS_TOO_MANY, INPUTS_MAX);
		for (unsigned j = 0; j < rule->num_outputs; j++)
			if (!need_output(check, &rule->outputs[j]))
				return refusal_explain(error, -ENOSPC, OUTPUTS_TOO_MANY,
						       OUTPUTS_MAX);
	}
	return 0;
}

/* Its input or one of its outputs would be, and the whole set with it; why, in `reason`. */
static bool is_refused(const struct check *check, const struct rule *rule,
		       char reason[REFUSAL_BYTES])
{
	const struct netif *netif =
		&interfaces_find(&check->interfaces, rule->input.interface)->netif;

	if (netif->index && inputs_check_link(netif, reason) < 0)
		return true;
	for (unsigned i = 0; i < rule->num_outputs; i++) {
		int index = outputs_find_written(&check->outputs, &rule->outputs[i],
						 &check->interfaces);
		int error = index < 0 ? 0 : check->outputs.output[index].error;

		if (error && !netif_may_come(-error)) {
			output_explain(&check->outputs.output[index], reason);
			return true;
		}
	}
	return false;
}

/* ------------------------------------------------------------------------- answers */

/* What a rule file has for an interface's name tells no terminal anything. */
static void print_rule(const char *id, const char *state, char *reason, bool json)
{
	json_t *object;

	printable_make(reason);
	if (!json) {
		printf("%s: would %s%s%s\n", id, state, reason[0] ? ": " : "", reason);
		return;
	}
	object = json_pack("{s:s, s:s}", "id", id, "would", state);
	if (reason[0])
		json_object_set_new(object, "reason", json_string(reason));
	json_dumpf(object, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(object);
}

static int answer(struct check *check, bool json)
{
	static const char *const word[RULE_STATES] = {"run", "wait", "not run"};
	unsigned count[RULE_STATES] = {0}, refused = 0;

	for (unsigned i = 0; i < check->rules.count; i++) {
		const struct rule *rule = &check->rules.rule[i];
		struct rule_status *status = &check->status[i];
		char reason[REFUSAL_BYTES];
		bool bad = is_refused(check, rule, reason);

		if (status->state != RULE_STOPPED)
			rule_status_judge(status, rule, &check->interfaces, NULL, &check->outputs);
		print_rule(rule->id, bad ? "be refused" : word[status->state],
			   bad ? reason : status->reason, json);
		refused += bad;
		count[status->state] += !bad;
	}
	if (!json)
		printf("%u rules: %u would run, %u would wait, %u would not run, %u would be "
		       "refused\n",
		       check->rules.count, count[RULE_RUNNING], count[RULE_WAITING],
		       count[RULE_STOPPED], refused);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		log_error("Config", "cannot write to standard output: %s", strerror(errno));
		return CHECK_REFUSED;
	}
	if (refused)
		return CHECK_REFUSED;
	return count[RULE_RUNNING] == check->rules.count ? CHECK_RUN : CHECK_WAIT;
}

int check_rule_file(const char *path, bool json)
{
	char error[RULEFILE_ERROR_BYTES], reason[REFUSAL_BYTES];
	struct check check = {0};
	int status = CHECK_REFUSED;

	if (rulefile_load(path, netif_index, NULL, &check.rules, error) < 0) {
		log_error("Config", "%s", error);
		return status;
	}
	if (check_init(&check) < 0)
		log_error("Config", "out of memory");
	else if (need_all(&check, reason) < 0)
		log_error("Config", "%s: %s", path, reason);
	else
		status = answer(&check, json);
	check_exit(&check);
	return status;
}
