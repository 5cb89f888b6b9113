// SPDX-License-Identifier: MIT
/* main: a table of contents. It wires the two halves of the privileged process together: the
 * supervisor, and the services that answer what is asked of it. */
#include "common/json_file.h"
#include "common/log.h"
#include "common/standard_fds.h"
#include "contract/counters.h"
#include "control/services.h"
#include "supervisor/capabilities.h"
#include "supervisor/check.h"
#include "supervisor/config.h"
#include "supervisor/netif.h"
#include "supervisor/rulefile.h"
#include "supervisor/supervisor.h"
#include "worker/worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int load_rules(const struct config *config, struct rules *rules)
{
	char error[RULEFILE_ERROR_BYTES];
	int rc;

	if (!config->rule_file)
		return 0;
	rc = rulefile_load(config->rule_file, netif_index, NULL, rules, error);

	if (rc < 0)
		log_error("Config", "%s", error);
	return rc;
}

/* Says now, not after an hour, that the statistics cannot be written. */
static int check_stats_files(const struct config *config)
{
	const char *path = config->stats_file;
	int rc = path ? json_file_check(path) : 0;

	if (rc == 0 && config->stats_series) {
		path = config->stats_series;
		rc = json_file_check_append(path);
	}
	if (rc < 0)
		log_error("Stats",
			  "cannot write %s: %s; name a file of its own in a writable folder", path,
			  json_file_reason(rc));
	return rc;
}

/* --man-counters: what the man page's build puts in the place of @COUNTERS@. */
static int print_man_counters(void)
{
	for (int i = 0; i < COUNTER_COUNT; i++)
		printf(".TP\n.B %s\n%s (%s)\n", counter_info[i].name, counter_info[i].help,
		       counter_info[i].unit);
	for (int i = 0; i < HISTOGRAM_COUNT; i++)
		printf(".TP\n.B %s\n%s (histogram of %s)\n", histogram_info[i].name,
		       histogram_info[i].help, histogram_info[i].unit);
	return EXIT_SUCCESS;
}

static int relay_run(const struct config *config, struct rules *rules)
{
	struct supervisor *supervisor = calloc(1, sizeof(*supervisor));
	struct services *services = calloc(1, sizeof(*services));
	int rc = supervisor && services ? supervisor_init(supervisor, config) : -ENOMEM;

	if (!supervisor || !services) {
		log_error("Supervisor", "out of memory");
		goto out;
	}
	if (rc == 0)
		rc = services_open(services, supervisor);
	if (rc == 0) {
		const struct supervisor_calls calls = services_calls(services);

		rc = supervisor_start(supervisor, rules, &calls);
		if (rc == 0)
			supervisor_run(supervisor);
		supervisor_stop(supervisor);
	}
	services_close(services);
	if (rc == 0)
		services_report_final(services);
	supervisor_exit(supervisor);
out:
	free(services);
	free(supervisor);
	return rc;
}

/* The exit status. */
static int dispatch(int argc, char **argv)
{
	struct config config = {0};
	struct rules rules = {0};
	int rc;

	if (argc == 2 && strcmp(argv[1], "--man-counters") == 0)
		return print_man_counters();
	if (argc == 2 && strcmp(argv[1], "--worker") == 0) /* started by the supervisor */
		return worker_main();
	rc = config_parse(argc, argv, &config);
	if (rc != 0)
		return rc < 0 ? EXIT_USAGE : EXIT_SUCCESS;
	log_use_levels(&config.levels);
	if (config.check_file)
		return check_rule_file(config.check_file, config.levels.json);
	rc = load_rules(&config, &rules);
	if (rc == 0)
		rc = check_stats_files(&config);
	if (rc == 0)
		rc = capabilities_check(&config);
	if (rc == 0)
		rc = relay_run(&config, &rules);
	rules_free(&rules);
	return rc < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	standard_fds_open();
	return standard_output_finish("mcrelay", dispatch(argc, argv));
}
