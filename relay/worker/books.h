/* SPDX-License-Identifier: MIT
 *
 * books: the accounts in shared memory, which outlive the worker that keeps them.
 *
 * A worker may die between any two instructions. Then there are, for good:
 *
 *     totals       as they were published at the end of the last turn that it ended
 *     rules        each with what it has matched and handed to all its outputs
 *     outputs      each with what was queued for it, and what became of that
 *     positions    the frames that it had in hand
 *
 * Its successor closes the books before it does anything else: the totals become what rules and
 * outputs say; what was queued and has no result is a failed send of that output (worker_died); and
 * of the packets in hand, those that no rule has matched are counted as lost (drop_worker_died). So
 * every packet has one fate with a name, whenever it was that the worker died. (The frame that it
 * was just handing to its outputs may have two: those that have it already count it as failed.)
 *
 * What comes late: how many frames there were in hand is known when the ring is mapped again; with
 * uring, when nothing is left in the socket (ingress_uring.c).
 */
#ifndef BOOKS_H
#define BOOKS_H

#include "contract/settings.h"
#include "contract/shared.h"

/* Closes a predecessor's books, if there was one: positions have the turn 0, and as uncounted what
 * it had in hand. Returns how many of the packets that it had in hand are counted as matched. */
uint64_t books_close(struct shared *shared, const struct worker_settings *settings);

/* So many packets that a predecessor had in hand are gone; *in_hand (or NULL) of them are counted
 * already, and these become fewer. */
void books_count_lost(struct counters *counters, uint64_t *in_hand, uint64_t packets);

/* Before a turn takes frames from here. */
void books_begin_turn(struct ring_position *position, const struct published *published);

/* From here on this number is another output's, or rule's, unless it was that one's already; while
 * no packet is on its way. */
void books_begin_output(struct shared *shared, uint32_t number, uint32_t born);
void books_begin_rule(struct shared *shared, uint32_t number, uint32_t born);

#endif
