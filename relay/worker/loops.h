/* SPDX-License-Identifier: MIT
 *
 * loops: a worker's search for loops, behind forward.c: one test at a time of what the rules'
 * watches (loop_watch.h) find suspicious. A rule whose packets come back to it sends no more until
 * the supervisor, which is told, starts it again.
 *
 * The packets withheld in a test are one buffer and a number. They are let go at once when rules
 * change or the worker ends; else after the test at 50,000 a second, so that no receiver's queue
 * overflows.
 */
#ifndef LOOPS_H
#define LOOPS_H

#include "contract/channel.h"
#include "worker/ingress.h"
#include "worker/loop_test.h"
#include "worker/loop_watch.h"

#include <stdbool.h>
#include <stdint.h>

struct forwarder;
struct packet;
struct route;

/* What a rule's tests have shown, while it is in force. */
struct loop_history {
	uint64_t cleared;	/* hash of the last payload that was in no loop */
	uint32_t cleared_until; /* it is not tested again before this tick, */
	uint32_t until;		/* and nothing is before this one */
	uint32_t failures;	/* tests in a row that found none */
};

enum loops_state { LOOPS_IDLE, LOOPS_TESTING, LOOPS_LETTING_GO };

struct loops {
	enum loops_state state;
	struct loop_test test;
	struct route *route; /* whose packets are withheld */
	uint64_t withheld;   /* after the test */
	uint64_t let_go_ns;  /* when the last ones were let go, then */
	uint8_t *payload;
	uint32_t bytes;
	uint16_t marks; /* of the one withheld last */
	uint64_t hash;
	struct ingress lender;	      /* whose slot 0 is the payload */
	uint32_t lent;		      /* sends that need it */
	struct run *pieces;	      /* [GSO_SEGMENTS_MAX] what is left of an aggregate */
	struct loop_history *history; /* [RULE_NUMBERS] by number */
	struct message found;	      /* to be told to the supervisor; type 0: nothing */
};

/* 0 or -ENOMEM; exit is harmless then. */
int loops_init(struct loops *loops);
void loops_exit(struct loops *loops);

static inline bool loops_busy(const struct loops *loops)
{
	return loops->state != LOOPS_IDLE || loops->found.type;
}

/* Packets per output that it keeps back now. */
uint64_t loops_withheld(const struct loops *loops);

/* The look at a run of packets of a rule, when its watch is due. Returns how many runs of them go
 * on, *left. */
unsigned loops_look(struct forwarder *forwarder, struct route *route, const struct packet *packet,
		    const struct run *run, const struct run **left);

/* While busy: once per turn of the loop, behind it. `idle`: it found nothing. */
void loops_step(struct forwarder *forwarder, bool idle);

/* Ends the test, and lets everything go. */
void loops_give_up(struct forwarder *forwarder);

#endif
