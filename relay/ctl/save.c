// SPDX-License-Identifier: MIT
/* save: see save.h. The relay gives the rules, as a rule file has them; the file is the caller's.
 */
#include "ctl/save.h"
#include "common/json_file.h"
#include "ctl/conversation.h"
#include "ctl/print.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct option_def no_options[] = {{OPTION_END}};

const struct program save_program = {
	.name = "mcrelayctl save",
	.usage = "FILE | -",
	.purpose = "Writes the rules in force to FILE, as a rule file that starts a relay with the "
		   "same rules. An old file is replaced once the new one is complete. -: to "
		   "standard output.",
	.options = no_options,
	.takes_arguments = true,
};

static int save(const char *socket_path, const char *path)
{
	char error[CONVERSATION_ERROR_BYTES];
	json_t *request = json_pack("{s:s}", "command", "save");
	json_t *document = converse(socket_path, request, error);
	size_t rules;
	int rc;

	json_decref(request);
	if (!document) {
		print_failure("%s", error);
		return EXIT_FAILURE;
	}
	json_object_del(document, "ok");
	rules = json_array_size(json_object_get(document, "rules"));
	rc = strcmp(path, "-") == 0 ? print_json(document) : json_file_write(path, document);
	json_decref(document);
	if (rc < 0) {
		print_failure("save: cannot write %s: %s", path, json_file_reason(rc));
		return EXIT_FAILURE;
	}
	if (strcmp(path, "-") != 0)
		printf("{\n \"rules\": %zu\n}\n", rules);
	return EXIT_SUCCESS;
}

int save_run(const char *socket_path, int argc, char **argv)
{
	int rc = options_parse(&save_program, argc, argv, NULL);

	if (rc != 0)
		return rc < 0 ? EXIT_USAGE : EXIT_SUCCESS;
	if (argc - optind != 1 || !argv[optind][0]) {
		options_refuse(&save_program, "expected the name of one file, or -");
		return EXIT_USAGE;
	}
	return save(socket_path, argv[optind]);
}
