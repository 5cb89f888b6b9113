/* SPDX-License-Identifier: MIT
 *
 * egress_parts: what the parts of egress have of each other; nobody else includes this.
 *
 *   egress.c           puts sends together: egress_add, egress_flush
 *   egress_uring.c     back end: hands them to the kernel through io_uring
 *   egress_sendmmsg.c  back end: by sendmmsg(2)
 *   egress_complete.c  the end of each
 *   egress_gso.c       what the kernel can segment, found out by trying
 *   egress_account.c   what is counted
 */
#ifndef EGRESS_PARTS_H
#define EGRESS_PARTS_H

#include "worker/egress.h"

/* 0; or a negative errno after one line in the log. */
int egress_uring_init(struct egress *egress, unsigned depth);
/* Submits what is queued; reap mode deferred: reaps what the flush before has submitted. */
void egress_uring_flush(struct egress *egress);
/* Submits what is queued and waits for all. */
void egress_uring_drain(struct egress *egress);

/* Sends what is queued; it is completed when this returns. */
void egress_sendmmsg_flush(struct egress *egress);

/* A slot is needed by one send less. */
static inline void egress_drop_hold(struct egress *egress, struct hold hold)
{
	if (egress->drop)
		egress->drop(egress->drop_context, hold);
	else
		hold_drop(hold);
}

/* The packets of an op that is handed to the kernel now. */
void egress_count_submitted(struct egress *egress, const struct send_op *op);
/* The packets of a send that has succeeded. */
void egress_count_sent(struct egress *egress, const struct send_op *op);
/* A packet of a send that the kernel would not segment, by what became of it: bytes, or a negative
 * errno. */
void egress_count_apart(struct egress *egress, struct output *output, int result);
/* Packets that could not be sent, for this (positive) errno. */
void egress_count_errors(struct egress *egress, struct output *output, int error, unsigned packets);

/* The end of an op whose result is known, and no refusal to segment: counted, and over. */
void egress_complete(struct egress *egress, uint32_t index);
/* The end of an op that has been counted: its slots go back, and it is free. */
void egress_release(struct egress *egress, uint32_t index);

/* A second after a refusal, what was refused is tried once more. */
void egress_gso_try_again(struct output *output);
/* Whether an op that is queued for that output must be through before anything behind it is sent.
 */
static inline bool egress_gso_untried(const struct send_op *op, const struct output *output)
{
	return op->segments > 1 && op->segment_bytes > output->gso_proven;
}
/* The result of an op tells whether the kernel segments for its output. */
void egress_gso_end_trial(const struct send_op *op);
/* Whether the kernel refused to segment it; plain sends still can work. */
bool egress_gso_refused(const struct send_op *op);
/* What a refusal means for the output. The packets of the op are to be sent one by one, before
 * anything behind them, and counted each; then it is over. */
void egress_gso_note_refusal(struct egress *egress, const struct send_op *op);

#endif
