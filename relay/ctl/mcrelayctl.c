// SPDX-License-Identifier: MIT
/*
 * mcrelayctl: client of the relay's control socket. Most commands are one request and one answer:
 * what the command line says is made into JSON here and checked by the relay. Others have files of
 * their own.
 */
#include "common/options.h"
#include "common/standard_fds.h"
#include "contract/control_path.h"
#include "ctl/conversation.h"
#include "ctl/print.h"
#include "ctl/save.h"
#include "ctl/watch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OUTPUT "GROUP:PORT:IF[:TTL][:NAME=VALUE]..."

struct settings {
	const char *socket_path;
	uint64_t timeout_ms;
};

struct add_settings {
	const char *input_interface, *input_group, *rule_id;
	uint64_t input_port;
	struct option_list outputs, sources;
	bool require_interface;
};

struct remove_settings {
	const char *rule_id;
};

#define FIELD(type, name) .offset = offsetof(struct type, name)

/* clang-format off */
static const struct option_def options[] = {
	{OPTION_STRING, "socket-path", "PATH", .preset = CONTROL_PATH_DEFAULT, FIELD(settings, socket_path),
	 .help = "the relay's --control-socket-path"},
	{OPTION_SECONDS, "timeout", "SECONDS", .min = 1, .max = 86400000, .preset = "10", FIELD(settings, timeout_ms),
	 .help = "how long to wait for the relay"},
	{OPTION_END},
};

static const struct option_def add_options[] = {
	{OPTION_STRING, "input-interface", "IF", .required = true, FIELD(add_settings, input_interface),
	 .help = "interface to receive on"},
	{OPTION_STRING, "input-group", "IP", .required = true, FIELD(add_settings, input_group),
	 .help = "group to receive, or unicast address that packets are sent to"},
	{OPTION_UINT, "input-port", "N", .required = true, .min = 1, .max = 65535,
	 FIELD(add_settings, input_port), .help = "UDP port to receive"},
	{OPTION_LIST, "outputs", OUTPUT "[,...]", FIELD(add_settings, outputs),
	 .help = "where each packet goes, and more of what an output in a rule file may have, such as "
		 "ttl=decrement, dscp=keep or source_port=5004; may be given several times; none: receive and count. A comma that "
		 "no further GROUP follows belongs to the interface's name"},
	{OPTION_LIST, "sources", "ADDRESS[/LENGTH][,...]", FIELD(add_settings, sources),
	 .help = "whose packets to take; may be given several times (default: anybody's)"},
	{OPTION_STRING, "rule-id", "ID", FIELD(add_settings, rule_id),
	 .help = "name of the rule (default: a hash of its input); replaces the rule that has it"},
	{OPTION_FLAG, "require-interface", FIELD(add_settings, require_interface),
	 .help = "refuse the rule if it would have to wait, for an interface that is absent or down, or an "
		 "address"},
	{OPTION_END},
};

static const struct option_def remove_options[] = {
	{OPTION_STRING, "rule-id", "ID", .required = true, FIELD(remove_settings, rule_id),
	 .help = "the rule to remove; see 'mcrelayctl list'"},
	{OPTION_END},
};

static const struct option_def no_options[] = {{OPTION_END}};
/* clang-format on */

static const struct program program = {
	.name = "mcrelayctl",
	.usage = "[--socket-path PATH] COMMAND [OPTION]...",
	.purpose = "Controls a running mcrelay. Every command but watch and ping prints JSON.",
	.closing = "Commands:\n"
		   "  add --input-interface IF --input-group IP --input-port N --outputs "
		   "GROUP:PORT:IF[,...]\n      [--sources ADDRESS[/LENGTH][,...]] [--rule-id ID]\n"
		   "      [--require-interface]\n"
		   "  remove --rule-id ID\n"
		   "  list             the rules in force\n"
		   "  save FILE | -    the rules in force as a rule file\n"
		   "  watch [--interval SECONDS]\n"
		   "                   rates, drops and waiting rules, again and again\n"
		   "  list-workers     the workers: process, restarts, CPU time, counters\n"
		   "  stats            all counters\n"
		   "  log-level get    the level of each facility\n"
		   "  log-level set LEVEL [FACILITY]\n"
		   "  ping             is the relay there?\n"
		   "'mcrelayctl COMMAND --help' explains a command's options.\n\n"
		   "Exit status: 0 done, 1 refused by the relay or no relay there, 64 usage.\n",
	.options = options,
	.takes_arguments = true,
};

static const struct program add_program = {
	.name = "mcrelayctl add",
	.usage = "--input-interface IF --input-group IP --input-port N --outputs "
		 "GROUP:PORT:IF[,...]",
	.purpose =
		"Adds a rule, or replaces the one that has the same id, without losing a packet of "
		"any other.",
	.options = add_options,
};

static const struct program remove_program = {
	.name = "mcrelayctl remove",
	.usage = "--rule-id ID",
	.purpose = "Removes a rule.",
	.options = remove_options,
};

static const struct program log_level_program = {
	.name = "mcrelayctl log-level",
	.usage = "get | set LEVEL [FACILITY]",
	.purpose = "Shows or changes which lines the relay and its workers log: emergency, alert, "
		   "critical, error, warning, notice, info, debug or trace and what is more "
		   "important, for one facility (Supervisor, Worker, Ingress, Egress, Control, "
		   "Stats, Config, Http) or for all.",
	.options = no_options,
	.takes_arguments = true,
};

/* ------------------------------------------------------------------------- requests */

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

/* ":8", ":decrement", ":dscp=keep" behind the interface; the first may go without a name: the TTL.
 * 0 or -EINVAL. */
static int parse_words(char *text, json_t *output)
{
	const char *name = "ttl";
	char *word, *value;

	while ((word = strsep(&text, ":"))) {
		value = strchr(word, '=');
		if (value) {
			*value++ = '\0';
			name = word;
		} else {
			value = word;
		}
		if (!name || !name[0] || !value[0] ||
		    json_object_set_new(output, name, parse_value(value)) < 0)
			return -EINVAL;
		name = NULL;
	}
	return 0;
}

/* "239.2.2.2:6000:eth1", "239.2.2.2:6000:eth1:8" or "239.2.2.2:6000:eth1:dscp=keep" -> an output
 * object; NULL if it is nothing of the kind. */
static json_t *parse_output(const char *text)
{
	char *copy = strdup(text), *rest = copy;
	const char *group = strsep(&rest, ":"), *port = strsep(&rest, ":");
	const char *interface = strsep(&rest, ":");
	json_t *output = NULL;

	if (interface && group[0] && interface[0] && is_number(port))
		output = json_pack("{s:s, s:o, s:s}", "group", group, "port", parse_value(port),
				   "interface", interface);
	if (output && parse_words(rest, output) < 0) {
		json_decref(output);
		output = NULL;
	}
	free(copy);
	return output;
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

		while (rc == 0 && (text = next_output(&rest))) {
			json_t *output = parse_output(text);

			if (output)
				json_array_append_new(outputs, output);
			else
				rc = options_refuse(&add_program, "--outputs: '%s' is not " OUTPUT,
						    text);
		}
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

static int request_add(int argc, char **argv, json_t **request)
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

static int request_remove(int argc, char **argv, json_t **request)
{
	struct remove_settings settings = {0};
	int rc = options_parse(&remove_program, argc, argv, &settings);

	if (rc == 0)
		*request = json_pack("{s:s, s:s}", "command", "remove", "id", settings.rule_id);
	return rc;
}

/* Commands without options are their own requests. */
static int request_plain(int argc, char **argv, json_t **request)
{
	const struct program plain = {
		.name = "mcrelayctl",
		.usage = "[--socket-path PATH] list|list-workers|stats|ping",
		.purpose = "Asks the relay.",
		.options = no_options,
	};
	int unused, rc = options_parse(&plain, argc, argv, &unused);

	if (rc == 0)
		*request = json_pack("{s:s}", "command", argv[0]);
	return rc;
}

/* "log-level get", "log-level set LEVEL [FACILITY]" */
static int request_log_level(int argc, char **argv, json_t **request)
{
	int rc = options_parse(&log_level_program, argc, argv, NULL);
	const char *verb = rc == 0 && optind < argc ? argv[optind] : "";
	int words = argc - optind;

	if (rc != 0)
		return rc;
	if (!(strcmp(verb, "get") == 0 && words == 1) &&
	    !(strcmp(verb, "set") == 0 && (words == 2 || words == 3)))
		return options_refuse(&log_level_program,
				      "expected get, or set with a level and perhaps a facility");
	*request = json_pack("{s:s}", "command", "log-level");
	if (words >= 2)
		json_object_set_new(*request, "level", json_string(argv[optind + 1]));
	if (words == 3)
		json_object_set_new(*request, "facility", json_string(argv[optind + 2]));
	return 0;
}

/* A command is one request, or has a conversation of its own and an exit status. */
static const struct {
	const char *name;
	int (*build)(int argc, char **argv, json_t **request);
	int (*run)(const char *socket_path, int argc, char **argv);
} commands[] = {
	{"add", .build = request_add},	   {"remove", .build = request_remove},
	{"list", .build = request_plain},  {"save", .run = save_run},
	{"watch", .run = watch_run},	   {"list-workers", .build = request_plain},
	{"stats", .build = request_plain}, {"log-level", .build = request_log_level},
	{"ping", .build = request_plain},
};

/* ------------------------------------------------------------------------- the answer */

/* The exit status. */
static int show(const char *command, json_t *answer)
{
	int rc;

	json_object_del(answer, "ok");
	if (strcmp(command, "ping") == 0)
		rc = puts("pong") < 0 || fflush(stdout) != 0 ? -errno : 0;
	else
		rc = print_json(answer);
	if (rc == 0)
		return EXIT_SUCCESS;
	print_failure("cannot write to standard output: %s", strerror(-rc));
	return EXIT_FAILURE;
}

/* The exit status. Takes over the reference. */
static int ask(const char *socket_path, const char *command, json_t *request)
{
	char error[CONVERSATION_ERROR_BYTES];
	json_t *answer = converse(socket_path, request, error);
	int status;

	json_decref(request);
	if (!answer) {
		print_failure("%s", error);
		return EXIT_FAILURE;
	}
	status = show(command, answer);
	json_decref(answer);
	return status;
}

int main(int argc, char **argv)
{
	struct settings settings = {0};
	int rc;

	standard_fds_open();
	rc = options_parse(&program, argc, argv, &settings);
	if (rc != 0)
		return rc < 0 ? EXIT_USAGE : EXIT_SUCCESS;
	argc -= optind;
	argv += optind;
	conversation_patience(settings.timeout_ms);
	for (size_t i = 0; argc > 0 && i < sizeof(commands) / sizeof(commands[0]); i++) {
		json_t *request = NULL;

		if (strcmp(argv[0], commands[i].name) != 0)
			continue;
		if (commands[i].run)
			return commands[i].run(settings.socket_path, argc, argv);
		rc = commands[i].build(argc, argv, &request);
		if (rc != 0)
			return rc < 0 ? EXIT_USAGE : EXIT_SUCCESS;
		return ask(settings.socket_path, argv[0], request);
	}
	options_refuse(&program, argc > 0 ? "unknown command '%s'" : "a command is missing%s",
		       argc > 0 ? argv[0] : "");
	return EXIT_USAGE;
}
