// SPDX-License-Identifier: MIT
/*
 * mcrelayctl: client of the relay's control socket. Most commands are one request and one answer:
 * what the command line says is made into JSON here and checked by the relay. The larger ones
 * have files of their own.
 */
#include "common/options.h"
#include "common/standard_fds.h"
#include "contract/control_path.h"
#include "ctl/add.h"
#include "ctl/conversation.h"
#include "ctl/print.h"
#include "ctl/save.h"
#include "ctl/watch.h"

#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct settings {
	const char *socket_path;
	uint64_t timeout_ms;
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
	{"add", .build = add_request},	   {"remove", .build = request_remove},
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

/* The exit status. */
static int dispatch(int argc, char **argv)
{
	struct settings settings = {0};
	int rc;

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

int main(int argc, char **argv)
{
	standard_fds_open();
	return standard_output_finish("mcrelayctl", dispatch(argc, argv));
}
