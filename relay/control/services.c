// SPDX-License-Identifier: MIT
/* services: see services.h. */
#include "control/services.h"
#include "common/clock.h"
#include "common/log.h"

#include <errno.h>

/* Among the descriptors that the supervisor polls for. */
enum { HTTP, FIRST_CONTROL };

_Static_assert(FIRST_CONTROL + CONTROL_CLIENTS_MAX + 1 <= SUPERVISOR_CALL_FDS,
	       "the supervisor has room for all clients");

/* ------------------------------------------------------------------------- for commands */

/* Of the type commands.rules_changed. */
static void rules_changed(void *context)
{
	supervisor_rules_changed(context);
}

/* Of the type commands.set_levels. */
static void set_levels(void *context, const struct log_levels *levels)
{
	supervisor_set_levels(context, levels);
}

/* ------------------------------------------------------------------------- for the supervisor */

static unsigned services_poll(void *context, struct pollfd *fds)
{
	struct services *services = context;

	fds[HTTP] = http_poll(&services->http);
	return FIRST_CONTROL + control_poll(&services->control, &fds[FIRST_CONTROL]);
}

static void services_handle(void *context, const struct pollfd *fds)
{
	struct services *services = context;

	if (services->control.listener.fd >= 0)
		control_handle(&services->control, &fds[FIRST_CONTROL]);
	http_handle(&services->http);
}

/* From now to then, milliseconds; 0: it is late. */
static int64_t until(int64_t then_ms)
{
	const int64_t left = then_ms - now_ms();

	return left > 0 ? left : 0;
}

static int64_t services_due_ms(void *context)
{
	const struct services *services = context;
	int64_t due = sooner(control_due_ms(&services->control), http_due_ms(&services->http));

	if (services->report_due_ms)
		due = sooner(due, until(services->report_due_ms));
	if (services->supervisor->config->http)
		due = sooner(due, until(services->health.due_ms));
	return due;
}

static void report_if_due(struct services *services)
{
	int64_t interval = (int64_t)services->supervisor->config->stats_interval_ms, late;

	if (!services->report_due_ms)
		return;
	late = now_ms() - services->report_due_ms;
	if (late < 0)
		return;
	report(&services->reporter, REPORT_INTERVAL);
	services->report_due_ms += interval * (1 + late / interval);
}

static void services_tick(void *context)
{
	struct services *services = context;

	report_if_due(services);
	if (services->supervisor->config->http)
		health_tick(&services->health, &services->reporter, now_ms());
}

static void services_started(void *context)
{
	struct services *services = context;
	const uint64_t interval_ms = services->supervisor->config->stats_interval_ms;

	report_sample(&services->reporter);
	if (interval_ms)
		services->report_due_ms = now_ms() + (int64_t)interval_ms;
}

static void services_report(void *context)
{
	struct services *services = context;

	report(&services->reporter, REPORT_SIGNAL);
}

struct supervisor_calls services_calls(struct services *services)
{
	return (struct supervisor_calls){
		.context = services,
		.poll = services_poll,
		.handle = services_handle,
		.tick = services_tick,
		.due_ms = services_due_ms,
		.started = services_started,
		.report = services_report,
	};
}

/* ------------------------------------------------------------------------- life */

/* Nobody has asked for a socket in the usual place: where it cannot be made, for lack of rights or
 * of the folder above, what the rule file says is relayed without it. */
static int open_control(struct services *services, const struct config *config)
{
	int rc = control_open(&services->control, config->control_path, config->control_gid,
			      commands_answer, &services->commands);

	if (rc == 0 || rc == -EADDRINUSE || !config->rule_file || !config->control_unasked)
		return rc;
	log_warning("Control", "goes on without a control socket; --control-socket-path PATH names "
			       "another place, none says that there shall be none");
	return 0;
}

int services_open(struct services *services, struct supervisor *supervisor)
{
	const struct config *config = supervisor->config;
	int rc;

	*services = (struct services){
		.supervisor = supervisor,
		.reporter =
			{
				.config = config,
				.workers = &supervisor->workers,
				.provision = &supervisor->provision,
				.interfaces = &supervisor->provision.interfaces,
			},
		.commands =
			{
				.provision = &supervisor->provision,
				.reporter = &services->reporter,
				.workers = &supervisor->workers,
				.levels = &supervisor->levels,
				.rules_changed = rules_changed,
				.set_levels = set_levels,
				.context = supervisor,
			},
		.control.listener.fd = -1,
	};
	rc = open_control(services, config);
	if (rc == 0)
		rc = http_open(&services->http, &config->http_address, &services->reporter,
			       &services->health);
	return rc;
}

void services_close(struct services *services)
{
	if (!services->supervisor)
		return;
	http_close(&services->http);
	control_close(&services->control);
}

void services_report_final(struct services *services)
{
	report(&services->reporter, REPORT_FINAL);
}
