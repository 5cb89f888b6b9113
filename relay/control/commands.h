/* SPDX-License-Identifier: MIT
 *
 * commands: what can be asked for over the control socket.
 */
#ifndef COMMANDS_H
#define COMMANDS_H

#include "common/log.h"
#include "control/report.h"
#include "supervisor/provision.h"
#include "supervisor/workers.h"

#include <jansson.h>
#include <sys/socket.h>

struct commands {
	struct provision *provision;
	struct reporter *reporter;
	struct workers *workers;
	const struct log_levels *levels;
	/* called after the rules have changed */
	void (*rules_changed)(void *context);
	/* takes a copy of new log levels */
	void (*set_levels)(void *context, const struct log_levels *levels);
	void *context;
};

/* Answers a request; of the type control_answer, with a struct commands as context. */
json_t *commands_answer(void *commands, const struct ucred *peer, json_t *request);

#endif
