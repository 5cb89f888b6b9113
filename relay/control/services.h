/* SPDX-License-Identifier: MIT
 *
 * services: what people and programs can ask the relay: the control socket, /metrics and /health
 * over HTTP, and reports at intervals, on SIGUSR1 and at the end. The supervisor's loop calls it
 * through services_calls, and knows nothing of it.
 */
#ifndef SERVICES_H
#define SERVICES_H

#include "control/commands.h"
#include "control/control.h"
#include "control/health.h"
#include "control/http.h"
#include "control/report.h"
#include "supervisor/supervisor.h"

struct services {
	struct supervisor *supervisor;
	struct reporter reporter;
	struct commands commands;
	struct control control;
	struct http http;
	struct health health;
	int64_t report_due_ms; /* 0: never */
};

/* Opens the sockets; nobody is answered before the supervisor has started. 0; or a negative errno
 * after one line in the log; services_close is harmless then, and on zeroed memory. */
int services_open(struct services *services, struct supervisor *supervisor);

/* Answers nobody any more. */
void services_close(struct services *services);

/* The last report. */
void services_report_final(struct services *services);

/* What the supervisor is to call. */
struct supervisor_calls services_calls(struct services *services);

#endif
