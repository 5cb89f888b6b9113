/* SPDX-License-Identifier: MIT
 *
 * health: is the relay doing what it is there for? Looked at from the supervisor, once a second
 * when somebody may ask. `now`: now_ms().
 */
#ifndef HEALTH_H
#define HEALTH_H

#include "control/report.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum {
	HEALTH_TICK_MS = 1000,
	HEALTH_LOSS_MS = 10000, /* degraded for that long after packets were lost */
};

/* Packets that rules ask for, or might, and that the relay does not pass on. What no rule asks for,
 * and what comes damaged, is none of its faults. */
enum {
	HEALTH_NO_SLOT,
	HEALTH_TRUNCATED,
	HEALTH_HANDOFF,
	HEALTH_WORKER_DIED,
	HEALTH_NOT_SENT,
	HEALTH_LOSSES
};

struct health {
	int64_t due_ms;		/* of the next look */
	uint64_t received;	/* packets, at the last look */
	int64_t received_at_ms; /* when they had become more; 0: never */
	/* packets lost by each cause, at the last look, and when they had become more; 0: never */
	uint64_t lost[HEALTH_LOSSES];
	int64_t lost_at_ms[HEALTH_LOSSES];
};

/* Looks if it is time. */
void health_tick(struct health *health, struct reporter *reporter, int64_t now);

/* Seconds since a packet was received, at the resolution of the ticks; -1: never. */
double health_packet_age_s(const struct health *health, int64_t now);

/* New object {"status":"ok"|"degraded","reasons":[...],...}; *good: it is ok. */
json_t *health_json(const struct health *health, const struct reporter *reporter, int64_t now,
		    bool *good);

#endif
