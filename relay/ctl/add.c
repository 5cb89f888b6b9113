// SPDX-License-Identifier: MIT
/* add: see add.h. Which words there are, and which values they may have, the relay knows. */
#include "ctl/add.h"
#include "common/options.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OUTPUT "GROUP:PORT:IF[:TTL][:NAME=VALUE]..."

struct add_settings {
	const char *input_interface, *input_group, *rule_id;
	uint64_t input_port;
	struct option_list outputs, sources;
	bool require_interface;
};

#define FIELD(name) .offset = offsetof(struct add_settings, name)

/* clang-format off */
static const struct option_def add_options[] = {
	{OPTION_STRING, "input-interface", "IF", .required = true, FIELD(input_interface),
	 .help = "interface to receive on"},
	{OPTION_STRING, "input-group", "IP", .required = true, FIELD(input_group),
	 .help = "group to receive, or unicast address that packets are sent to"},
	{OPTION_UINT, "input-port", "N", .required = true, .min = 1, .max = 65535,
	 FIELD(input_port), .help = "UDP port to receive"},
	{OPTION_LIST, "outputs", OUTPUT "[,...]", FIELD(outputs),
	 .help = "where each packet goes, and more of what an output in a rule file may have, such as "
		 "ttl=decrement, dscp=keep or source_port=5004; may be given several times; none: receive and "
		 "count. A comma that no further GROUP follows belongs to the interface's name"},
	{OPTION_LIST, "sources", "ADDRESS[/LENGTH][,...]", FIELD(sources),
	 .help = "whose packets to take; may be given several times (default: anybody's)"},
	{OPTION_STRING, "rule-id", "ID", FIELD(rule_id),
	 .help = "name of the rule (default: a hash of its input); replaces the rule that has it"},
	{OPTION_FLAG, "require-interface", FIELD(require_interface),
	 .help = "refuse the rule if it would have to wait, for an interface that is absent or down, or an "
		 "address"},
	{OPTION_END},
};
/* clang-format on */

static const struct program add_program = {
	.name = "mcrelayctl add",
	.usage = "--input-interface IF --input-group IP --input-port N --outputs "
		 "GROUP:PORT:IF[,...]",
	.purpose =
		"Adds a rule, or replaces the one that has the same id, without losing a packet of "
		"any other.",
	.options = add_options,
};

/* ------------------------------------------------------------------------- outputs and sources */

static bool is_number(const char *text)
{
	const size_t digits = strspn(text, "0123456789");

	return digits > 0 && digits < 10 && text[digits] == '\0';
}

/* A number or a word; which words there are, and what numbers, the relay knows. */
static json_t *parse_value(const char *text)
{
	return is_number(text) ? json_integer(strtol(text, NULL, 10)) : json_string(text);
}

static int refuse_output(const char *text)
{
	return options_refuse(&add_program, "--outputs: '%s' is not " OUTPUT, text);
}

/* ":8", ":decrement", ":dscp=keep" behind the interface of `text`, each once; the first may go
 * without a name: the TTL. 0 or -EINVAL after one line on stderr. */
static int parse_words(const char *text, char *words, json_t *output)
{
	const char *name = "ttl";
	char *word, *value;

	while ((word = strsep(&words, ":"))) {
		value = strchr(word, '=');
		if (value) {
			*value++ = '\0';
			name = word;
		} else {
			value = word;
		}
		if (name && json_object_get(output, name))
			return options_refuse(&add_program, "--outputs: '%s': %s is given twice",
					      text, name);
		if (!name || !name[0] || !value[0] ||
		    json_object_set_new(output, name, parse_value(value)) < 0)
			return refuse_output(text);
		name = NULL;
	}
	return 0;
}

/* "239.2.2.2:6000:eth1", "239.2.2.2:6000:eth1:8" or "239.2.2.2:6000:eth1:dscp=keep" -> one more
 * output object. 0 or -EINVAL after one line on stderr. */
static int parse_output(const char *text, json_t *outputs)
{
	char *copy = strdup(text), *rest = copy;
	const char *group = strsep(&rest, ":"), *port = strsep(&rest, ":");
	const char *interface = strsep(&rest, ":");
	json_t *output = NULL;
	int rc;

	if (interface && group[0] && interface[0] && is_number(port))
		output = json_pack("{s:s, s:o, s:s}", "group", group, "port", parse_value(port),
				   "interface", interface);
	rc = output ? parse_words(text, rest, output) : refuse_output(text);
	if (rc == 0)
		json_array_append(outputs, output);
	json_decref(output);
	free(copy);
	return rc;
}

/* Cuts the next output off a list of them, as strsep(3). What follows the comma between two is a
 * group; any other comma belongs to the name of an interface. */
static char *next_output(char **rest)
{
	char *text = *rest, *comma = text;
	struct in_addr group;

	while (comma && (comma = strchr(comma, ','))) {
		char start[INET_ADDRSTRLEN] = "";

		snprintf(start, sizeof(start), "%.*s", (int)strcspn(comma + 1, ":,"), comma + 1);
		if (!comma[1] || inet_pton(AF_INET, start, &group) == 1)
			break;
		comma++;
	}
	if (comma)
		*comma++ = '\0';
	*rest = comma;
	return text;
}

/* 0 or -EINVAL after one line on stderr. */
static int parse_outputs(const struct option_list *list, json_t *outputs)
{
	for (unsigned i = 0; i < list->count; i++) {
		char *copy = strdup(list->item[i]), *rest = copy, *text;
		int rc = copy ? 0 : -ENOMEM;

		while (rc == 0 && (text = next_output(&rest)))
			rc = parse_output(text, outputs);
		free(copy);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* 0 or -EINVAL after one line on stderr. */
static int parse_sources(const struct option_list *list, json_t *sources)
{
	int rc = 0;

	for (unsigned i = 0; i < list->count && rc == 0; i++) {
		char *copy = strdup(list->item[i]), *rest = copy, *text;

		while (rc == 0 && (text = strsep(&rest, ",")))
			if (json_array_append_new(sources, json_string(text)) < 0)
				rc = options_refuse(&add_program,
						    "--sources: '%s' is not ADDRESS[/LENGTH]",
						    text);
		free(copy);
	}
	return rc;
}

/* ------------------------------------------------------------------------- the request */

int add_request(int argc, char **argv, json_t **request)
{
	struct add_settings settings = {0};
	int rc = options_parse(&add_program, argc, argv, &settings);
	json_t *outputs, *sources, *rule;

	if (rc != 0)
		return rc;
	outputs = json_array();
	sources = json_array();
	rc = parse_outputs(&settings.outputs, outputs);
	if (rc == 0)
		rc = parse_sources(&settings.sources, sources);
	if (rc < 0) {
		json_decref(outputs);
		json_decref(sources);
		return rc;
	}
	rule = json_pack("{s:{s:s, s:s, s:I}, s:o}", "input", "interface", settings.input_interface,
			 "group", settings.input_group, "port", (json_int_t)settings.input_port,
			 "outputs", outputs);
	if (settings.sources.count)
		json_object_set(json_object_get(rule, "input"), "sources", sources);
	json_decref(sources);
	if (settings.rule_id)
		json_object_set_new(rule, "id", json_string(settings.rule_id));
	*request = json_pack("{s:s, s:o}", "command", "add", "rule", rule);
	if (settings.require_interface)
		json_object_set_new(*request, "require_interface", json_true());
	return 0;
}
