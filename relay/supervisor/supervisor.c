// SPDX-License-Identifier: MIT
/*
 * supervisor: see supervisor.h. One thread, one poll(2): signals, interface changes, workers'
 * channels, what others have asked it to poll for, and the time of whatever is due next.
 */
#include "supervisor/supervisor.h"
#include "common/clock.h"
#include "common/errno_reason.h"
#include "common/log.h"
#include "supervisor/capabilities.h"
#include "supervisor/notify.h"
#include "supervisor/requester.h"
#include "supervisor/rulefile.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { STOP_MS = 5000, START_MS = 10000, START_EACH_MS = 200 };
enum { SIGNALS, INTERFACES, FIRST_WORKER };
enum { FDS_MAX = FIRST_WORKER + WORKERS_MAX + SUPERVISOR_CALL_FDS };

/* "3 rules, 1 of them waits", for a line in the log. */
static const char *count_rules(const struct supervisor *supervisor, char text[64])
{
	const unsigned waiting = provision_count(&supervisor->provision, RULE_WAITING);
	int length = snprintf(text, 64, "%u rules", supervisor->provision.rules.count);

	if (waiting)
		snprintf(text + length, 64 - (size_t)length, ", %u of them %s", waiting,
			 waiting == 1 ? "waits" : "wait");
	return text;
}

static void notify_status(const struct supervisor *supervisor)
{
	char text[64];

	notify("STATUS=%s, %u workers", count_rules(supervisor, text), supervisor->workers.count);
}

void supervisor_rules_changed(struct supervisor *supervisor)
{
	loop_breaker_rules_changed(&supervisor->breaker, now_ms());
	notify_status(supervisor);
}

void supervisor_set_levels(struct supervisor *supervisor, const struct log_levels *levels)
{
	log_copy_levels(&supervisor->levels, levels); /* which another thread looks at */
	for (unsigned i = 0; i < supervisor->workers.count; i++)
		log_copy_levels(&supervisor->workers.worker[i].shared->levels, levels);
}

/* The file's rules, and none but those, or all as before. */
static void reload(struct supervisor *supervisor, const struct signalfd_siginfo *info)
{
	const char *path = supervisor->config->rule_file;
	char error[RULEFILE_ERROR_BYTES], reason[REFUSAL_BYTES], name[REQUESTER_BYTES], text[64];
	struct rules next = {0};

	if (!path) {
		log_warning("Config", "there is no --config FILE to read again");
		return;
	}
	if (rulefile_load(path, netif_index, NULL, &next, error) < 0) {
		log_error("Config", "%s; the rules stay as they are", error);
		return;
	}
	if (provision_set_rules(&supervisor->provision, &next, reason) < 0) {
		log_error("Config", "%s: %s; the rules stay as they are", path, reason);
		rules_free(&next);
		return;
	}
	supervisor_rules_changed(supervisor);
	log_info("Config", "%s read again: %s", path, count_rules(supervisor, text));
	log_info("Config", "SIGHUP came from %s",
		 requester_format((pid_t)info->ssi_pid, info->ssi_uid, name));
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
			supervisor->calls.report(supervisor->calls.context);
			break;
		case SIGHUP:
			if (!supervisor->stop)
				reload(supervisor, &info);
			break;
		default:
			supervisor->stop = true;
		}
	}
}

static void check_interfaces(struct supervisor *supervisor)
{
	netif_monitor_drain(supervisor->monitor_fd);
	if (provision_follow_interfaces(&supervisor->provision))
		loop_breaker_rules_changed(&supervisor->breaker, now_ms());
	provision_keep_offloads(&supervisor->provision);
	notify_status(supervisor);
}

static void restart_workers(struct supervisor *supervisor)
{
	struct workers *workers = &supervisor->workers;

	for (unsigned i = 0; i < workers->count; i++) {
		struct worker_handle *worker = &workers->worker[i];

		if (!worker->restart_at_ms || worker->restart_at_ms > now_ms())
			continue;
		log_limited(&workers->starts, LEVEL_INFO, "Supervisor",
			    "starting worker %u again (restart %u)", i, worker->restarts);
		if (workers_start(workers, worker) < 0)
			worker->restart_at_ms = now_ms() + STOP_MS;
		else
			provision_equip(&supervisor->provision, worker);
	}
}

/* Polls for the descriptors that are open. poll(2) refuses more entries than RLIMIT_NOFILE, open or
 * not; of open ones there are never more. Returns 0 or negative errno. */
static int poll_open(struct supervisor *supervisor, unsigned count, int timeout_ms)
{
	struct pollfd *open_fd = supervisor->open_fds;
	int rc;

	for (unsigned i = 0; i < count; i++)
		if (supervisor->fds[i].fd >= 0)
			*open_fd++ = supervisor->fds[i];
	rc = poll(supervisor->open_fds, (nfds_t)(open_fd - supervisor->open_fds), timeout_ms);
	if (rc < 0)
		return -errno;
	open_fd = supervisor->open_fds;
	for (unsigned i = 0; i < count; i++)
		supervisor->fds[i].revents = supervisor->fds[i].fd >= 0 ? (open_fd++)->revents : 0;
	return 0;
}

/* Waits for the next event, at most `timeout_ms`, and handles it. */
static void handle_events(struct supervisor *supervisor, int64_t timeout_ms)
{
	const struct supervisor_calls *calls = &supervisor->calls;
	struct workers *workers = &supervisor->workers;
	struct pollfd *fds = supervisor->fds, *theirs = &fds[FIRST_WORKER + workers->count];
	unsigned count = FIRST_WORKER + workers->count;

	fds[SIGNALS] = (struct pollfd){.fd = supervisor->signal_fd, .events = POLLIN};
	fds[INTERFACES] = (struct pollfd){.fd = supervisor->monitor_fd, .events = POLLIN};
	for (unsigned i = 0; i < workers->count; i++)
		fds[FIRST_WORKER + i] =
			(struct pollfd){.fd = workers->worker[i].channel, .events = POLLIN};
	count += calls->poll(calls->context, theirs);
	if (poll_open(supervisor, count, (int)timeout_ms) < 0)
		return;
	for (unsigned i = 0; i < workers->count; i++)
		if (fds[FIRST_WORKER + i].revents & POLLIN)
			workers_receive(&workers->worker[i]);
	if (fds[SIGNALS].revents)
		handle_signals(supervisor);
	if (fds[INTERFACES].revents)
		check_interfaces(supervisor);
	calls->handle(calls->context, theirs);
}

/* Milliseconds until something is due; -1: nothing is. */
static int64_t next_due(struct supervisor *supervisor)
{
	return sooner(supervisor->calls.due_ms(supervisor->calls.context),
		      sooner(sooner(loop_breaker_due(&supervisor->breaker, &supervisor->provision,
						     now_ms()),
				    workers_restart_due_ms(&supervisor->workers)),
			     provision_due(&supervisor->provision)));
}

/* ------------------------------------------------------------------------- start */

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
	int64_t deadline = now_ms() + START_MS + START_EACH_MS * (int64_t)supervisor->workers.count;

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

int supervisor_start(struct supervisor *supervisor, struct rules *rules,
		     const struct supervisor_calls *calls)
{
	struct workers *workers = &supervisor->workers;
	char error[REFUSAL_BYTES];
	int rc = capabilities_limit(supervisor->config);

	supervisor->calls = *calls;
	if (rc == 0)
		rc = log_output_start(&supervisor->log, workers);
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
	supervisor_rules_changed(supervisor);
	calls->started(calls->context);
	return wait_until_ready(supervisor);
}

/* ------------------------------------------------------------------------- run and stop */

void supervisor_run(struct supervisor *supervisor)
{
	char text[64];

	log_info("Supervisor", "ready: %s, %u workers", count_rules(supervisor, text),
		 supervisor->workers.count);
	notify("READY=1");
	while (!supervisor->stop) {
		handle_events(supervisor, next_due(supervisor));
		supervisor->calls.tick(supervisor->calls.context);
		restart_workers(supervisor);
	}
}

void supervisor_stop(struct supervisor *supervisor)
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

/* ------------------------------------------------------------------------- life */

enum { OTHER_FILES = 1024 };

/* As far as it may be, and to `most` if root may do so: as long as it has CAP_SYS_RESOURCE. Workers
 * inherit it. */
static void raise_limit(__rlimit_resource_t resource, rlim_t most)
{
	struct rlimit limit;

	if (getrlimit(resource, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(resource, &limit);
	if (limit.rlim_max >= most)
		return;
	limit.rlim_cur = limit.rlim_max = most;
	setrlimit(resource, &limit);
}

/* Sockets for each worker, of two sets of rules while one replaces the other: more than the 1024
 * that a shell allows by default, and more than some services may have. And the io_urings of all
 * workers, which count as one user's locked memory. */
static void raise_limits(const struct config *config)
{
	raise_limit(RLIMIT_NOFILE,
		    (INPUT_NUMBERS * FRAME_CLASSES + OUTPUT_NUMBERS) * config->num_workers +
			    OTHER_FILES);
	raise_limit(RLIMIT_MEMLOCK, RLIM_INFINITY);
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
		log_error("Supervisor", "cannot listen for signals and interface changes: %s%s",
			  strerror(-rc), reason_of_shortage(rc));
		return rc;
	}
	supervisor->monitor_fd = rc;
	return 0;
}

int supervisor_init(struct supervisor *supervisor, const struct config *config)
{
	int rc;

	*supervisor = (struct supervisor){
		.config = config,
		.levels = config->levels,
		.provision.plan_fd = -1,
		.breaker.stop_rule = provision_stop_rule,
		.signal_fd = -1,
		.monitor_fd = -1,
		.log.pump.out = -1,
		.fds = calloc(FDS_MAX, sizeof(struct pollfd)),
		.open_fds = calloc(FDS_MAX, sizeof(struct pollfd)),
	};
	log_use_levels(&supervisor->levels);
	if (!supervisor->fds || !supervisor->open_fds) {
		log_error("Supervisor", "out of memory");
		return -ENOMEM;
	}
	raise_limits(config);
	rc = log_output_open(&supervisor->log);
	if (rc == 0)
		rc = open_events(supervisor);
	if (rc == 0)
		rc = workers_init(&supervisor->workers, config);
	if (rc == 0)
		supervisor_set_levels(supervisor, &config->levels);
	if (rc == 0)
		rc = provision_init(&supervisor->provision, config, &supervisor->workers);
	return rc;
}

void supervisor_exit(struct supervisor *supervisor)
{
	provision_exit(&supervisor->provision);
	log_output_close(&supervisor->log);
	workers_exit(&supervisor->workers);
	free(supervisor->fds);
	free(supervisor->open_fds);
	close_all(&supervisor->signal_fd, 1);
	close_all(&supervisor->monitor_fd, 1);
	log_use_levels(&supervisor->config->levels);
}
