// SPDX-License-Identifier: MIT
/*
 * supervisor: see supervisor.h. One thread, one poll(2): signals, interface changes, workers'
 * channels, the time of the next report or of the next restart.
 */
#include "supervisor/supervisor.h"
#include "common/clock.h"
#include "common/log.h"
#include "control/commands.h"
#include "control/control.h"
#include "control/http.h"
#include "control/report.h"
#include "supervisor/capabilities.h"
#include "supervisor/notify.h"
#include "supervisor/provision.h"
#include "supervisor/rulefile.h"
#include "supervisor/workers.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { STOP_MS = 5000, START_MS = 10000 };
enum { SIGNALS, INTERFACES, HTTP, FIRST_WORKER };
enum { PLACES_MAX = FIRST_WORKER + WORKERS_MAX + 1 + CONTROL_CLIENTS_MAX };

struct supervisor {
	const struct config *config;
	struct workers workers;
	struct provision provision;
	struct reporter reporter;
	struct commands commands;
	struct control control;
	struct http http;
	struct health health;
	struct log_levels levels;
	int signal_fd, monitor_fd;
	/* signals, interfaces, HTTP, workers, control; and those that are open */
	struct pollfd fds[PLACES_MAX], open_fds[PLACES_MAX];
	int64_t report_due_ms;
	bool stop;
};

/* ------------------------------------------------------------------------- interfaces */

static void log_change(const struct netif *then, const struct netif *now)
{
	if (then->index && !now->index)
		log_warning("Supervisor", "interface %s is gone; waiting for it to come back",
			    now->name);
	else if (!then->index && now->index)
		log_info("Supervisor", "interface %s is back", now->name);
	else if (then->up && !now->up)
		log_warning("Supervisor", "interface %s is down; waiting for it to come up",
			    now->name);
	else if (!then->up && now->up)
		log_info("Supervisor", "interface %s is up", now->name);
}

static void check_interfaces(struct supervisor *supervisor)
{
	struct reporter *reporter = &supervisor->reporter;
	bool changed = false;

	netif_monitor_drain(supervisor->monitor_fd);
	for (unsigned i = 0; i < reporter->num_netifs; i++) {
		struct netif *then = &reporter->netifs[i], now;
		int rc = netif_query(then->name, &now);

		if (rc < 0 && rc != -ENODEV)
			continue;
		log_change(then, &now);
		changed |= netif_replaced(then, &now) || then->up != now.up;
		*then = now;
	}
	if (changed)
		provision_follow_interfaces(&supervisor->provision);
}

static void remember_netif(struct reporter *reporter, const char *name)
{
	struct netif *list, *netif;

	for (unsigned i = 0; i < reporter->num_netifs; i++)
		if (strcmp(reporter->netifs[i].name, name) == 0)
			return;
	list = realloc(reporter->netifs, (reporter->num_netifs + 1) * sizeof(*list));
	if (!list)
		return;
	reporter->netifs = list;
	netif = &list[reporter->num_netifs++];
	netif_query(name, netif);
	if (!netif->up)
		log_warning("Supervisor", "interface %s is down; waiting for it to come up", name);
}

/* Of the type commands.rules_changed. */
static void rules_changed(void *context)
{
	struct supervisor *supervisor = context;
	const struct rules *rules = &supervisor->provision.rules;

	for (unsigned i = 0; i < rules->count; i++) {
		remember_netif(&supervisor->reporter, rules->rule[i].input.interface);
		for (unsigned j = 0; j < rules->rule[i].num_outputs; j++)
			remember_netif(&supervisor->reporter,
				       rules->rule[i].outputs[j].to.interface);
	}
	notify("STATUS=%u rules, %u workers", rules->count, supervisor->workers.count);
}

/* ------------------------------------------------------------------------- log levels */

/* Of the type commands.set_levels. */
static void set_levels(void *context, const struct log_levels *levels)
{
	struct supervisor *supervisor = context;

	supervisor->levels = *levels;
	for (unsigned i = 0; i < supervisor->workers.count; i++)
		log_copy_levels(&supervisor->workers.worker[i].shared->levels, levels);
}

/* ------------------------------------------------------------------------- reload */

/* The file's rules, and none but those, or all as before. */
static void reload(struct supervisor *supervisor)
{
	const char *path = supervisor->config->rule_file;
	char error[RULEFILE_ERROR_BYTES], reason[REFUSAL_BYTES];
	struct rules next = {0};

	if (!path) {
		log_warning("Config", "there is no --config FILE to read again");
		return;
	}
	if (rulefile_load(path, provision_knows_interface, &supervisor->provision, &next, error) <
	    0) {
		log_error("Config", "%s; the rules stay as they are", error);
		return;
	}
	if (provision_set_rules(&supervisor->provision, &next, reason) < 0) {
		log_error("Config", "%s: %s; the rules stay as they are", path, reason);
		rules_free(&next);
		return;
	}
	rules_changed(supervisor);
	log_info("Config", "%s read again: %u rules", path, supervisor->provision.rules.count);
}

/* ------------------------------------------------------------------------- events */

static void handle_signals(struct supervisor *supervisor)
{
	struct signalfd_siginfo info;

	while (read(supervisor->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		switch (info.ssi_signo) {
		case SIGCHLD:
			workers_reap(&supervisor->workers, supervisor->stop);
			break;
		case SIGUSR1:
			report(&supervisor->reporter, REPORT_SIGNAL);
			break;
		case SIGHUP:
			if (!supervisor->stop)
				reload(supervisor);
			break;
		default:
			supervisor->stop = true;
		}
	}
}

static void restart_workers(struct supervisor *supervisor)
{
	struct workers *workers = &supervisor->workers;

	for (unsigned i = 0; i < workers->count; i++) {
		struct worker_handle *worker = &workers->worker[i];

		if (!worker->restart_at_ms || worker->restart_at_ms > now_ms())
			continue;
		log_info("Supervisor", "starting worker %u again (restart %u)", i,
			 worker->restarts);
		if (workers_start(workers, worker) < 0)
			worker->restart_at_ms = now_ms() + STOP_MS;
		else
			provision_equip(&supervisor->provision, worker);
	}
}

static int64_t sooner(int64_t a, int64_t b)
{
	return a < 0 ? b : b < 0 || a < b ? a : b;
}

/* Milliseconds until something is due; -1: nothing is. */
static int64_t next_due(const struct supervisor *supervisor)
{
	int64_t report_in = -1, health_in = -1;

	if (supervisor->config->http) {
		health_in = supervisor->health.due_ms - now_ms();
		health_in = health_in > 0 ? health_in : 0;
	}
	if (supervisor->report_due_ms) {
		report_in = supervisor->report_due_ms - now_ms();
		report_in = report_in > 0 ? report_in : 0;
	}
	return sooner(sooner(report_in, health_in),
		      sooner(workers_restart_due_ms(&supervisor->workers),
			     sooner(control_due_ms(&supervisor->control),
				    http_due_ms(&supervisor->http))));
}

static void report_if_due(struct supervisor *supervisor)
{
	int64_t interval = (int64_t)supervisor->config->stats_interval_ms, late;

	if (!supervisor->report_due_ms)
		return;
	late = now_ms() - supervisor->report_due_ms;
	if (late < 0)
		return;
	report(&supervisor->reporter, REPORT_INTERVAL);
	supervisor->report_due_ms += interval * (1 + late / interval);
}

/* Polls for the places that are open. poll(2) refuses more places than RLIMIT_NOFILE, open or not;
 * of open ones there are never more. Returns 0 or negative errno. */
static int poll_open(struct supervisor *supervisor, unsigned num_places, int timeout_ms)
{
	struct pollfd *open_fd = supervisor->open_fds;
	int rc;

	for (unsigned i = 0; i < num_places; i++)
		if (supervisor->fds[i].fd >= 0)
			*open_fd++ = supervisor->fds[i];
	rc = poll(supervisor->open_fds, (nfds_t)(open_fd - supervisor->open_fds), timeout_ms);
	if (rc < 0)
		return -errno;
	open_fd = supervisor->open_fds;
	for (unsigned i = 0; i < num_places; i++)
		supervisor->fds[i].revents = supervisor->fds[i].fd >= 0 ? (open_fd++)->revents : 0;
	return 0;
}

/* Waits for the next event, at most `timeout_ms`, and handles it. */
static void handle_events(struct supervisor *supervisor, int64_t timeout_ms)
{
	struct workers *workers = &supervisor->workers;
	struct pollfd *fds = supervisor->fds;
	struct pollfd *control_fds = &fds[FIRST_WORKER + workers->count];
	unsigned num_control;

	fds[SIGNALS] = (struct pollfd){.fd = supervisor->signal_fd, .events = POLLIN};
	fds[INTERFACES] = (struct pollfd){.fd = supervisor->monitor_fd, .events = POLLIN};
	for (unsigned i = 0; i < workers->count; i++)
		fds[FIRST_WORKER + i] =
			(struct pollfd){.fd = workers->worker[i].channel, .events = POLLIN};
	fds[HTTP] = http_poll(&supervisor->http);
	num_control = control_poll(&supervisor->control, control_fds);
	if (poll_open(supervisor, FIRST_WORKER + workers->count + num_control, (int)timeout_ms) < 0)
		return;
	for (unsigned i = 0; i < workers->count; i++)
		if (fds[FIRST_WORKER + i].revents & POLLIN)
			workers_receive(&workers->worker[i]);
	if (fds[SIGNALS].revents)
		handle_signals(supervisor);
	if (fds[INTERFACES].revents)
		check_interfaces(supervisor);
	if (num_control)
		control_handle(&supervisor->control, control_fds);
	http_handle(&supervisor->http);
}

/* ------------------------------------------------------------------------- start and end */

static bool all_applied(const struct supervisor *supervisor)
{
	for (unsigned i = 0; i < supervisor->workers.count; i++)
		if (supervisor->workers.worker[i].applied != supervisor->provision.generation)
			return false;
	return true;
}

/* A worker that cannot start at all would be restarted for ever: at the beginning it is an error.
 */
static int wait_until_ready(struct supervisor *supervisor)
{
	int64_t deadline = now_ms() + START_MS;

	while (!all_applied(supervisor) && !supervisor->stop) {
		int64_t left = deadline - now_ms();

		if (left <= 0 || workers_restart_due_ms(&supervisor->workers) >= 0) {
			log_error("Supervisor", "a worker could not start");
			return -ECHILD;
		}
		handle_events(supervisor, left);
	}
	return 0;
}

static int start(struct supervisor *supervisor, struct rules *rules)
{
	struct workers *workers = &supervisor->workers;
	char error[REFUSAL_BYTES];
	int rc = 0;

	for (unsigned i = 0; i < workers->count && rc == 0; i++)
		rc = workers_start(workers, &workers->worker[i]);
	if (rc < 0)
		return rc;
	rc = provision_set_rules(&supervisor->provision, rules, error);
	if (rc < 0) {
		log_error("Supervisor", "%s", error);
		return rc;
	}
	*rules = (struct rules){0};
	rules_changed(supervisor);
	report_sample(&supervisor->reporter);
	return wait_until_ready(supervisor);
}

static void stop(struct supervisor *supervisor)
{
	const struct message message = {.type = MESSAGE_STOP};
	struct workers *workers = &supervisor->workers;
	int64_t deadline = now_ms() + STOP_MS;

	supervisor->stop = true;
	notify("STOPPING=1\nSTATUS=relaying what has been received");
	provision_quiesce(&supervisor->provision);
	for (unsigned i = 0; i < workers->count; i++)
		workers_send(&workers->worker[i], &message, -1);
	while (workers_any_alive(workers)) {
		int64_t left = deadline - now_ms();

		if (left <= 0) {
			for (unsigned i = 0; i < workers->count; i++)
				if (workers->worker[i].pid)
					kill(workers->worker[i].pid, SIGKILL);
			deadline = now_ms() + STOP_MS;
			continue;
		}
		handle_events(supervisor, left);
	}
}

static void run(struct supervisor *supervisor)
{
	if (supervisor->config->stats_interval_ms)
		supervisor->report_due_ms =
			now_ms() + (int64_t)supervisor->config->stats_interval_ms;
	log_info("Supervisor", "ready: %u rules, %u workers", supervisor->provision.rules.count,
		 supervisor->workers.count);
	notify("READY=1");
	while (!supervisor->stop) {
		handle_events(supervisor, sooner(next_due(supervisor),
						 provision_close_due(&supervisor->provision)));
		report_if_due(supervisor);
		if (supervisor->config->http)
			health_tick(&supervisor->health, &supervisor->reporter);
		restart_workers(supervisor);
	}
}

/* A socket per output and worker: more than the 1024 that a shell allows by default. Workers
 * inherit the limit. */
static void raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* Signals are read, not caught. */
static int open_events(struct supervisor *supervisor)
{
	sigset_t signals;
	int rc;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGUSR1);
	sigaddset(&signals, SIGCHLD);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	supervisor->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	rc = supervisor->signal_fd < 0 ? -errno : netif_monitor_open();
	if (rc < 0) {
		log_error("Supervisor", "cannot listen for signals and interface changes: %s",
			  strerror(-rc));
		return rc;
	}
	supervisor->monitor_fd = rc;
	return 0;
}

int supervisor_run(const struct config *config, struct rules *rules)
{
	struct supervisor *supervisor = calloc(1, sizeof(*supervisor));
	int rc;

	if (!supervisor)
		return -ENOMEM;
	supervisor->config = config;
	supervisor->reporter = (struct reporter){
		.config = config,
		.workers = &supervisor->workers,
		.provision = &supervisor->provision,
	};
	supervisor->commands = (struct commands){
		.provision = &supervisor->provision,
		.reporter = &supervisor->reporter,
		.workers = &supervisor->workers,
		.levels = &supervisor->levels,
		.rules_changed = rules_changed,
		.set_levels = set_levels,
		.context = supervisor,
	};
	supervisor->control.fd = -1;
	supervisor->levels = config->levels;
	log_use_levels(&supervisor->levels);
	raise_file_limit();
	rc = open_events(supervisor);
	if (rc == 0)
		rc = workers_init(&supervisor->workers, config);
	if (rc == 0)
		set_levels(supervisor, &config->levels);
	if (rc == 0)
		rc = provision_init(&supervisor->provision, config, &supervisor->workers);
	if (rc == 0)
		rc = control_open(&supervisor->control, config->control_path, config->control_gid,
				  commands_answer, &supervisor->commands);
	if (rc == 0)
		rc = http_open(&supervisor->http, &config->http_address, &supervisor->reporter,
			       &supervisor->health);
	if (rc == 0)
		rc = capabilities_limit(config);
	if (rc == 0)
		rc = start(supervisor, rules);
	if (rc == 0)
		run(supervisor);
	stop(supervisor);
	http_close(&supervisor->http);
	control_close(&supervisor->control);
	if (rc == 0)
		report(&supervisor->reporter, REPORT_FINAL);
	provision_exit(&supervisor->provision);
	workers_exit(&supervisor->workers);
	free(supervisor->reporter.netifs);
	log_use_levels(&config->levels);
	free(supervisor);
	return rc;
}
