/* SPDX-License-Identifier: MIT
 *
 * rule_status: how a rule in force fares, and why. One that waits begins by itself when what is
 * missing is there; what is there of it is served meanwhile. One that is stopped would do harm.
 */
#ifndef RULE_STATUS_H
#define RULE_STATUS_H

#include "contract/rules.h"
#include "supervisor/inputs.h"
#include "supervisor/interfaces.h"
#include "supervisor/outputs.h"
#include "supervisor/refusal.h"

enum rule_state { RULE_RUNNING, RULE_WAITING, RULE_STOPPED };
enum { RULE_STATES = RULE_STOPPED + 1, RULE_REASON_BYTES = REFUSAL_BYTES + 64 };

/* "running", "waiting", "stopped" */
extern const char *const rule_state_word[RULE_STATES];

struct rule_status {
	enum rule_state state;
	char reason[RULE_REASON_BYTES]; /* one sentence, "" when it runs */
};

void rule_status_set(struct rule_status *status, enum rule_state state, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Whether it runs or waits, by the state of the interfaces that it names; and by the sockets on
 * these that could not be opened all the same, unless inputs and outputs are NULL. */
void rule_status_judge(struct rule_status *status, const struct rule *rule,
		       const struct interfaces *interfaces, const struct inputs *inputs,
		       const struct outputs *outputs);

#endif
