/* SPDX-License-Identifier: MIT
 *
 * loop_breaker: stops a rule whose packets come back to it, as a worker has found out
 * (worker/loops.h), and tries now and then whether that is over.
 *
 * A rule's life here: stopped; after a pause on trial: it runs again, and is stopped as before,
 * later for longer, if its packets come back; or it has relayed some for a while, and that was
 * that. When rules change, or interfaces that they name, the loop may be gone: all are tried.
 */
#ifndef LOOP_BREAKER_H
#define LOOP_BREAKER_H

#include "contract/channel.h"
#include "contract/limits.h"
#include "supervisor/provision.h"

#include <stdbool.h>
#include <stdint.h>

struct broken_rule {
	unsigned stops;	  /* in a row; 0: there is nothing about this rule */
	bool on_trial;	  /* it runs again */
	int64_t due_ms;	  /* when it is tried, or has stood its trial */
	uint64_t packets; /* that had matched when the trial began */
};

struct loop_breaker {
	struct broken_rule rule[RULE_NUMBERS]; /* by number */
	unsigned count;			       /* those with stops */
	/* provision_stop_rule, or what a test has instead */
	int (*stop_rule)(struct provision *provision, uint32_t number, const char *reason);
};

/* What a worker has found. `now`: now_ms(). */
void loop_breaker_trip(struct loop_breaker *breaker, struct provision *provision,
		       const struct message *found, int64_t now);

/* Takes what workers have found, and tries the rules whose time has come. Milliseconds until the
 * next one's has; -1: there is none. */
int64_t loop_breaker_due(struct loop_breaker *breaker, struct provision *provision, int64_t now);

/* Rules have changed, or interfaces that they name. */
void loop_breaker_rules_changed(struct loop_breaker *breaker, int64_t now);

#endif
