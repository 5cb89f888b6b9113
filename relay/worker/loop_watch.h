/* SPDX-License-Identifier: MIT
 *
 * loop_watch: does what a rule sends come back to it? Of each rule's packets one is remembered at a
 * time. When packets with the same payload come again and again, and the rule has a thousand
 * packets a second, it may be a loop, or a sender that repeats itself: loop_test.h finds out. A
 * slower loop does no harm.
 *
 * What is remembered for how long: 10 ms, a few times, then 600 ms, and so on: for loops that are
 * quick, and for those in which thousands of packets go round.
 *
 * A frame costs two comparisons of numbers that are at hand anyway, and a third, with eight bytes
 * of its first packet's payload, when that is as long as the one remembered. Of aggregates each
 * eighth is searched whole, as the packet need not be the first again. Everything else happens once
 * a millisecond at most, or for packets that look like the one remembered.
 */
#ifndef LOOP_WATCH_H
#define LOOP_WATCH_H

#include "worker/packet.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { LOOP_RETURNS = 16 }; /* of one payload, that are suspicious */

#define LOOP_TICK_NEVER 0U	   /* a tick that never is */
#define LOOP_NOTHING	UINT32_MAX /* the length of no payload */

struct loop_watch {
	uint32_t tick;	/* of the last look; LOOP_TICK_NEVER: each packet is looked at */
	uint32_t bytes; /* of the payload remembered; LOOP_NOTHING: none is */
	uint64_t word;	/* eight bytes of it, if it has as many, */
	uint32_t at;	/* from here on */

	uint32_t chosen;  /* when, in ticks */
	uint32_t returns; /* since first_ns */
	uint64_t hash;	  /* of all its bytes */
	uint64_t first_ns, last_ns;
	uint64_t first_packets; /* of the rule, by then */
	uint8_t choices;	/* made so far: how long the next one is remembered */
	uint8_t places; /* that have been of no use: where to look for eight bytes that differ */
	uint8_t aggregates;
	bool met; /* packets of the loop that is being looked for have been here */
};

/* Is a packet worth a look? `tick`: milliseconds, from a clock that may be coarse. */
static inline bool loop_watch_due(const struct loop_watch *watch, uint32_t tick,
				  const uint8_t *payload, uint32_t bytes)
{
	uint64_t word;

	if (watch->tick != tick)
		return true;
	if (watch->bytes != bytes)
		return false;
	if (bytes < sizeof(word))
		return true;
	memcpy(&word, payload + watch->at, sizeof(word));
	return word == watch->word;
}

/* Is an aggregate of which that says no worth a look all the same? All of them are when something
 * has come back already. */
bool loop_watch_within(struct loop_watch *watch, const struct run *run);

/* How many packets of a run have the payload remembered. When there is none, though eight bytes
 * were the same, others are compared next time. */
uint32_t loop_watch_count(struct loop_watch *watch, const struct run *run);

/* The look. True when this is one return too many. `packets`: that the rule has had. `cleared`: the
 * hash of a payload that is not to be remembered now; 0: of none. */
bool loop_watch_look(struct loop_watch *watch, uint32_t tick, uint64_t packets, uint64_t cleared,
		     const struct run *run);

/* Remembers that payload. */
void loop_watch_choose(struct loop_watch *watch, uint32_t tick, const uint8_t *payload,
		       uint32_t bytes);

/* Remembers nothing until the next tick. */
void loop_watch_forget(struct loop_watch *watch, uint32_t tick);

/* Of a payload; never 0. */
uint64_t loop_hash(const uint8_t *payload, uint32_t bytes);

#endif
