// SPDX-License-Identifier: MIT
/*
 * commands: see commands.h. A change of rules is made on the whole set as a JSON document, which is
 * then checked exactly as a rule file is: there is one set of checks and one wording of refusals.
 */
#include "control/commands.h"
#include "common/log.h"
#include "control/control.h"
#include "control/rule_text.h"
#include "supervisor/requester.h"
#include "supervisor/rulefile.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static json_t *ok(void)
{
	return json_pack("{s:b}", "ok", 1);
}

static size_t find_rule(json_t *list, const char *id)
{
	size_t i;
	json_t *rule;

	json_array_foreach (list, i, rule) {
		const char *other = json_string_value(json_object_get(rule, "id"));

		if (other && strcmp(other, id) == 0)
			break;
	}
	return i;
}

/* A trace of what was changed, and by whom. */
static void log_change(const struct ucred *peer, const char *what, const struct rule *rule,
		       const struct rule_status *status)
{
	const bool runs = status->state == RULE_RUNNING;
	char name[REQUESTER_BYTES], text[RULE_TEXT_BYTES];

	log_info("Control", "rule \"%s\" %s by %s: %s%s%s%s%s", rule->id, what,
		 requester_format(peer->pid, peer->uid, name), rule_format(rule, text),
		 runs ? "" : "; ", runs ? "" : rule_state_word[status->state], runs ? "" : ": ",
		 status->reason);
}

/* Of outputs that name theirs. NULL: their interfaces have all of these. */
static const struct rule_output *missing_source(const struct rule *rule,
						const struct interfaces *interfaces)
{
	for (unsigned i = 0; i < rule->num_outputs; i++) {
		const struct rule_output *output = &rule->outputs[i];
		const struct interface *on = interfaces_find(interfaces, output->to.interface);

		if (output->source.s_addr != INADDR_ANY &&
		    !netif_has_address(&on->netif, output->source))
			return output;
	}
	return NULL;
}

/* With "require_interface", a rule that would wait is refused. */
static int require(const struct rule *rule, char reason[REFUSAL_BYTES])
{
	const struct rules one = {(struct rule *)rule, 1};
	struct interfaces interfaces, none = {0};
	const struct rule_output *output = NULL;
	char source[INET_ADDRSTRLEN];
	struct rule_status status;

	if (interfaces_look(&interfaces, &one, &none) < 0)
		return refusal_explain(reason, -ENOMEM, "out of memory");
	rule_status_judge(&status, rule, &interfaces, NULL, NULL);
	if (status.state == RULE_RUNNING)
		output = missing_source(rule, &interfaces);
	interfaces_exit(&interfaces);
	if (output)
		snprintf(status.reason, sizeof(status.reason), "interface %s has no address %s",
			 output->to.interface,
			 inet_ntop(AF_INET, &output->source, source, sizeof(source)));
	if (status.state == RULE_RUNNING && !output)
		return 0;
	return refusal_explain(reason, -ENODEV, "%.200s; without --require-interface it would wait",
			       status.reason);
}

/* Puts the rules in the array `list` in force; `required`: the place of one that may not have to
 * wait, or their number. */
static json_t *set_rules(struct commands *commands, json_t *list, size_t required)
{
	char error[RULEFILE_ERROR_BYTES], reason[REFUSAL_BYTES];
	json_t *document = json_pack("{s:O}", "rules", list);
	struct rules next = {0};
	int rc = rulefile_from_json("request", document, netif_index, NULL, &next, error);

	json_decref(document);
	if (rc < 0)
		return control_error("%s", error);
	rc = required < next.count ? require(&next.rule[required], reason) : 0;
	if (rc == 0)
		rc = provision_set_rules(commands->provision, &next, reason);
	if (rc < 0) {
		rules_free(&next);
		return control_error("%s", reason);
	}
	commands->rules_changed(commands->context);
	return NULL;
}

/* Place of the rule that was given no id and receives what this one does: its id is a hash of that.
 */
static size_t find_unnamed(const struct provision *provision, json_t *list, json_t *rule)
{
	json_t *document = json_pack("{s:[O]}", "rules", rule);
	char error[RULEFILE_ERROR_BYTES], id[RULE_ID_BYTES];
	struct rules one = {0};
	size_t i = json_array_size(list);

	if (rulefile_from_json("request", document, netif_index, NULL, &one, error) == 0)
		i = find_rule(list, one.rule[0].id);
	if (i < json_array_size(list)) { /* another one may have been given this id */
		rule_default_id(&provision->rules.rule[i], id);
		if (strcmp(one.rule[0].id, id) != 0)
			i = json_array_size(list);
	}
	rules_free(&one);
	json_decref(document);
	return i;
}

/* Adds to an object how a rule in force fares. */
static void put_status(const struct commands *commands, json_t *object, size_t place)
{
	const struct rule_status *status = &commands->provision->rule_status[place];

	json_object_set_new(object, "state", json_string(rule_state_word[status->state]));
	if (status->reason[0])
		json_object_set_new(object, "reason", json_string(status->reason));
}

/* {"command":"add","rule":{...}}: a rule with the id of one that exists replaces it. */
static json_t *command_add(struct commands *commands, const struct ucred *peer, json_t *request)
{
	json_t *require_interface = json_object_get(request, "require_interface");
	json_t *list = rules_to_json(&commands->provision->rules);
	json_t *rule = json_object_get(request, "rule");
	const char *id = json_string_value(json_object_get(rule, "id"));
	size_t place = id ? find_rule(list, id) : find_unnamed(commands->provision, list, rule);
	const bool replaces = place < json_array_size(list);
	json_t *answer;

	if (!json_is_object(rule)) {
		json_decref(list);
		return control_error("rule: expected an object with input and outputs");
	}
	if (require_interface && !json_is_boolean(require_interface)) {
		json_decref(list);
		return control_error("require_interface: expected true or false");
	}
	if (replaces)
		json_array_set(list, place, rule);
	else
		json_array_append(list, rule);
	answer = set_rules(commands, list, json_is_true(require_interface) ? place : SIZE_MAX);
	json_decref(list);
	if (answer)
		return answer;
	log_change(peer, replaces ? "replaced" : "added", &commands->provision->rules.rule[place],
		   &commands->provision->rule_status[place]);
	answer = json_pack("{s:b, s:s}", "ok", 1, "id", commands->provision->rules.rule[place].id);
	put_status(commands, answer, place);
	return answer;
}

static json_t *command_remove(struct commands *commands, const struct ucred *peer, json_t *request)
{
	const char *id = json_string_value(json_object_get(request, "id"));
	char name[REQUESTER_BYTES];
	json_t *list, *answer;
	size_t place;

	if (!id)
		return control_error("id: expected the id of a rule");
	list = rules_to_json(&commands->provision->rules);
	place = find_rule(list, id);
	if (place == json_array_size(list)) {
		json_decref(list);
		return control_error("no rule \"%.80s\"; see 'list'", id);
	}
	json_array_remove(list, place);
	answer = set_rules(commands, list, SIZE_MAX);
	json_decref(list);
	if (answer)
		return answer;
	log_info("Control", "rule \"%s\" removed by %s", id,
		 requester_format(peer->pid, peer->uid, name));
	return ok();
}

static json_t *command_list(struct commands *commands, const struct ucred *peer, json_t *request)
{
	json_t *list = rules_to_json(&commands->provision->rules), *rule;
	size_t i;

	(void)peer;
	(void)request;
	json_array_foreach (list, i, rule) {
		put_status(commands, rule, i);
	}
	return json_pack("{s:b, s:o}", "ok", 1, "rules", list);
}

/* As a rule file has them, and nothing else. */
static json_t *command_save(struct commands *commands, const struct ucred *peer, json_t *request)
{
	(void)peer;
	(void)request;
	return json_pack("{s:b, s:o}", "ok", 1, "rules",
			 rules_to_json(&commands->provision->rules));
}

static json_t *command_list_workers(struct commands *commands, const struct ucred *peer,
				    json_t *request)
{
	(void)peer;
	(void)request;
	return json_pack("{s:b, s:o}", "ok", 1, "workers", report_workers(commands->reporter));
}

static json_t *command_stats(struct commands *commands, const struct ucred *peer, json_t *request)
{
	(void)peer;
	(void)request;
	return json_pack("{s:b, s:o}", "ok", 1, "stats",
			 report_build(commands->reporter, REPORT_SIGNAL));
}

/* Leaves a trace by the old levels or by the new ones: whoever silences the log is named in it. */
static void change_levels(struct commands *commands, const struct ucred *peer, const char *text,
			  const struct log_levels *levels)
{
	const bool before = commands->levels->level[FACILITY_Supervisor] >= LEVEL_NOTICE;
	char name[REQUESTER_BYTES];

	requester_format(peer->pid, peer->uid, name);
	if (before)
		log_notice("Supervisor", "log level set to %s by %s", text, name);
	commands->set_levels(commands->context, levels);
	if (!before)
		log_notice("Supervisor", "log level set to %s by %s", text, name);
}

/* {"command":"log-level"}, and "level" or "facility" and "level" to change it. */
static json_t *command_log_level(struct commands *commands, const struct ucred *peer,
				 json_t *request)
{
	const char *level = json_string_value(json_object_get(request, "level"));
	const char *facility = json_string_value(json_object_get(request, "facility"));
	struct log_levels levels = *commands->levels;
	const char *bad;
	char text[64];

	if ((json_object_get(request, "level") && !level) ||
	    (json_object_get(request, "facility") && (!facility || !level)))
		return control_error(
			"level: expected the name of a level, and of a facility or none");
	if (level) {
		snprintf(text, sizeof(text), "%.24s%s%.24s", facility ? facility : "",
			 facility ? "=" : "", level);
		if (strpbrk(level, ",=") || log_parse_levels(text, &levels, &bad) < 0)
			return control_error(
				"found %s, expected a level (emergency, alert, critical, error, "
				"warning, notice, info, debug, trace) and one facility "
				"(Supervisor, Worker, Ingress, Egress, Control, Stats, Config, "
				"Http) or none",
				text);
		change_levels(commands, peer, text, &levels);
	}
	return json_pack("{s:b, s:o}", "ok", 1, "levels", log_levels_to_json(commands->levels));
}

static json_t *command_ping(struct commands *commands, const struct ucred *peer, json_t *request)
{
	(void)commands;
	(void)peer;
	(void)request;
	return ok();
}

static const struct {
	const char *name;
	json_t *(*answer)(struct commands *commands, const struct ucred *peer, json_t *request);
	const char *keys[2]; /* that it takes besides "command" */
} table[] = {
	{"add", command_add, {"rule", "require_interface"}},
	{"remove", command_remove, {"id"}},
	{"list", command_list, {NULL}},
	{"save", command_save, {NULL}},
	{"list-workers", command_list_workers, {NULL}},
	{"stats", command_stats, {NULL}},
	{"log-level", command_log_level, {"level", "facility"}},
	{"ping", command_ping, {NULL}},
};

static const char *unknown_key(json_t *request, const char *const allowed[2])
{
	const char *key;
	json_t *value;

	json_object_foreach (request, key, value) {
		bool known = strcmp(key, "command") == 0;

		for (int i = 0; i < 2; i++)
			known |= allowed[i] && strcmp(key, allowed[i]) == 0;
		if (!known)
			return key;
	}
	return NULL;
}

json_t *commands_answer(void *context, const struct ucred *peer, json_t *request)
{
	const char *name = json_string_value(json_object_get(request, "command"));
	const char *key;

	for (size_t i = 0; name && i < sizeof(table) / sizeof(table[0]); i++) {
		if (strcmp(name, table[i].name) != 0)
			continue;
		key = unknown_key(request, table[i].keys);
		if (key)
			return control_error("unknown key \"%.40s\" for command %s", key, name);
		log_debug("Control", "%s", name);
		return table[i].answer(context, peer, request);
	}
	return control_error("command: found %s%.40s%s, expected one of add, remove, list, save, "
			     "list-workers, stats, log-level, ping",
			     name ? "\"" : "", name ? name : "nothing", name ? "\"" : "");
}
