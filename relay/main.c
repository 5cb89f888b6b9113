// SPDX-License-Identifier: MIT
/*
 * main: a table of contents. The main thread starts the worker, and then waits for what is not
 * packets: signals, the time for a report, interfaces that come and go.
 */
#include "config.h"
#include "json_file.h"
#include "log.h"
#include "netif.h"
#include "report.h"
#include "rulefile.h"
#include "worker.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

struct relay {
	struct config config;
	struct rules rules;
	struct worker worker;
	struct reporter reporter;
	int signal_fd, monitor_fd;
};

static bool interface_exists(const char *name, void *context)
{
	(void)context;
	return if_nametoindex(name) != 0;
}

static int load_rules(struct relay *relay)
{
	char error[RULEFILE_ERROR_BYTES];
	int rc = rulefile_load(relay->config.rule_file, interface_exists, NULL, &relay->rules,
			       error);

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
		rc = json_file_check(path);
	}
	if (rc < 0)
		log_error("Stats", "cannot write %s: %s; name a file in a writable folder", path,
			  strerror(-rc));
	return rc;
}

/* Signals are read, not caught; threads started later inherit the mask. */
static int block_signals(struct relay *relay)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGUSR1);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	relay->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	return relay->signal_fd < 0 ? -errno : 0;
}

/* ------------------------------------------------------------------------- interfaces */

static void remember_netif(struct reporter *reporter, const struct netif *netif)
{
	for (unsigned i = 0; i < reporter->num_netifs; i++)
		if (strcmp(reporter->netifs[i].name, netif->name) == 0)
			return;
	reporter->netifs[reporter->num_netifs++] = *netif;
	if (!netif->up)
		log_warning("Main", "interface %s is down; waiting for it to come up", netif->name);
}

static int list_netifs(struct relay *relay)
{
	struct worker *worker = &relay->worker;

	relay->reporter.netifs =
		calloc(worker->num_inputs + worker->num_outputs, sizeof(struct netif));
	if (!relay->reporter.netifs)
		return -ENOMEM;
	for (unsigned i = 0; i < worker->num_inputs; i++)
		remember_netif(&relay->reporter, &worker->inputs[i].ingress.netif);
	for (unsigned i = 0; i < worker->num_outputs; i++)
		remember_netif(&relay->reporter, &worker->outputs[i].netif);
	return 0;
}

static void log_change(const struct netif *then, const struct netif *now)
{
	if (then->index && !now->index)
		log_warning("Main", "interface %s is gone; waiting for it to come back", now->name);
	else if (!then->index && now->index)
		log_info("Main", "interface %s is back", now->name);
	else if (then->up && !now->up)
		log_warning("Main", "interface %s is down; waiting for it to come up", now->name);
	else if (!then->up && now->up)
		log_info("Main", "interface %s is up", now->name);
}

static void check_interfaces(struct relay *relay)
{
	bool changed = false;

	netif_monitor_drain(relay->monitor_fd);
	for (unsigned i = 0; i < relay->reporter.num_netifs; i++) {
		struct netif *then = &relay->reporter.netifs[i], now;
		int rc = netif_query(then->name, &now);

		if (rc < 0 && rc != -ENODEV)
			continue;
		log_change(then, &now);
		changed |= netif_replaced(then, &now) || then->up != now.up;
		*then = now;
	}
	if (changed)
		worker_interfaces_changed(&relay->worker);
}

/* ------------------------------------------------------------------------- waiting */

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* True when it is time to go. */
static bool handle_signals(struct relay *relay)
{
	struct signalfd_siginfo info;
	bool stop = false;

	while (read(relay->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGUSR1)
			report(&relay->reporter, REPORT_SIGNAL);
		else
			stop = true;
	}
	return stop;
}

/* Until SIGTERM, SIGINT or the end of the worker. */
static void supervise(struct relay *relay)
{
	const int64_t interval = (int64_t)relay->config.stats_interval_ms;
	int64_t due = now_ms() + interval;
	struct pollfd fds[] = {
		{.fd = relay->signal_fd, .events = POLLIN},
		{.fd = relay->monitor_fd, .events = POLLIN},
		{.fd = worker_answer_fd(&relay->worker), .events = POLLIN},
	};

	while (!worker_has_ended(&relay->worker)) {
		int64_t left = due - now_ms();

		if (interval && left <= 0) {
			report(&relay->reporter, REPORT_INTERVAL);
			due += interval * (1 + -left / interval);
			continue;
		}
		if (poll(fds, 3, interval ? (int)left : -1) < 0)
			continue;
		if (fds[0].revents && handle_signals(relay))
			return;
		if (fds[1].revents)
			check_interfaces(relay);
		if (fds[2].revents)
			worker_acknowledge(&relay->worker);
	}
}

static int run(struct relay *relay)
{
	int rc = worker_start(&relay->worker);

	if (rc < 0)
		return rc;
	log_info("Main", "ready: %u rules, %u inputs, %u outputs", relay->rules.count,
		 relay->worker.num_inputs, relay->worker.num_outputs);
	supervise(relay);
	rc = worker_stop(&relay->worker);
	report(&relay->reporter, REPORT_FINAL);
	return rc;
}

/* --man-counters: what the man page's build puts in the place of @COUNTERS@. */
static int print_man_counters(void)
{
	for (int i = 0; i < COUNTER_COUNT; i++)
		printf(".TP\n.B %s\n%s (%s)\n", counter_info[i].name, counter_info[i].help,
		       counter_info[i].unit);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	struct relay relay = {.signal_fd = -1, .monitor_fd = -1};
	int rc;

	if (argc == 2 && strcmp(argv[1], "--man-counters") == 0)
		return print_man_counters();
	rc = config_parse(argc, argv, &relay.config);
	if (rc != 0)
		return rc < 0 ? EXIT_USAGE : EXIT_SUCCESS;
	rc = load_rules(&relay);
	if (rc == 0)
		rc = check_stats_files(&relay.config);
	if (rc == 0)
		rc = block_signals(&relay);
	if (rc == 0)
		rc = relay.monitor_fd = netif_monitor_open();
	if (rc < 0)
		goto out_rules;
	rc = worker_init(&relay.worker, &relay.config, &relay.rules);
	if (rc < 0)
		goto out_rules;
	relay.reporter.config = &relay.config;
	relay.reporter.worker = &relay.worker;
	rc = list_netifs(&relay);
	if (rc == 0)
		rc = run(&relay);
	free(relay.reporter.netifs);
	worker_exit(&relay.worker);
out_rules:
	rules_free(&relay.rules);
	return rc < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
