/* SPDX-License-Identifier: MIT
 *
 * provision: the rules in force, and what they need: inputs (inputs.h), outputs (outputs.h),
 * numbers to be counted under (rule_numbers.h), and the plan that tells workers which goes where
 * (plan.h). It tells the workers of every change, and a new worker of everything.
 *
 * Rules change as a whole: the next set is provided for completely, or refused and nothing changes.
 * Rules that are in both sets keep their sockets and counters and lose no packet. What is not there
 * yet, an interface or its address, is no reason to refuse: the rule waits (rule_status.h).
 */
#ifndef PROVISION_H
#define PROVISION_H

#include "contract/rules.h"
#include "supervisor/config.h"
#include "supervisor/inputs.h"
#include "supervisor/interfaces.h"
#include "supervisor/outputs.h"
#include "supervisor/refusal.h"
#include "supervisor/rule_status.h"
#include "supervisor/served.h"
#include "supervisor/workers.h"

struct provision {
	struct workers *workers;
	struct interfaces interfaces; /* that the rules name */
	struct inputs inputs;
	struct outputs outputs;
	struct rules rules;		     /* in force, as written */
	uint32_t *rule_numbers;		     /* [rules.count] under which they are counted */
	struct rule_status *rule_status;     /* [rules.count] */
	struct served served;		     /* of the rules, what workers have */
	char *stopped[RULE_NUMBERS];	     /* by number: why it may not run; NULL: it may */
	int64_t rule_since_ms[RULE_NUMBERS]; /* by number: when its counters began */
	uint32_t rule_born[RULE_NUMBERS];    /* by number: the generation that it came with */
	int plan_fd;
	uint32_t plan_bytes, generation;
	int64_t retry_at_ms; /* when to try again what could not be opened; 0: all could */
};

/* Opens nothing yet. 0 or -ENOMEM after one line in the log. Quiesce and exit are harmless before
 * it on zeroed memory whose plan_fd is -1. */
int provision_init(struct provision *provision, const struct config *config,
		   struct workers *workers);
void provision_exit(struct provision *provision);

/* Puts the next set of rules in force, and takes it over from the caller. 0; or negative errno,
 * with one sentence in `error`: then the caller keeps it and nothing has changed. */
int provision_set_rules(struct provision *provision, struct rules *next, char error[REFUSAL_BYTES]);

/* Sends a worker that has just been started all it needs. */
void provision_equip(struct provision *provision, struct worker_handle *worker);

/* Links or addresses may have changed: replaces the sockets that this concerns. True if an
 * interface that rules name has (interfaces_same). */
bool provision_follow_interfaces(struct provision *provision);

/* What a worker has counted for a rule, by its number: all zero until it has heard of it. */
const struct rule_counters *provision_counted(const struct provision *provision, uint32_t number,
					      const struct worker_handle *worker);

/* Links have changed in some way, perhaps in what they offload. */
void provision_keep_offloads(struct provision *provision);

/* Keeps the rule of this number from running, for a reason in one sentence; NULL: not any more. 0
 * or negative errno, then all is as before. */
int provision_stop_rule(struct provision *provision, uint32_t number, const char *reason);

/* Rules in force that are in this state. */
unsigned provision_count(const struct provision *provision, enum rule_state state);

/* Adds the rings' drops to the workers' counters. */
void provision_count_drops(struct provision *provision);

/* Does what is due: closes sockets that were given up, tries again to open others, looks whether
 * receivers are reachable. Milliseconds until more is; -1: nothing will be. */
int64_t provision_due(struct provision *provision);

/* Lets no more frames in, also through rings that are opened later. */
void provision_quiesce(struct provision *provision);

#endif
