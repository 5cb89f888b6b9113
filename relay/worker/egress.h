/* SPDX-License-Identifier: MIT
 *
 * egress: packets out. One connected UDP socket per output; neighbours of equal size become one UDP
 * GSO send; one io_uring, which can do nothing else, or sendmmsg(2) carries the sends of a burst.
 *
 * An output may send packets on with the TTL they came with less one, and with their DSCP (marks):
 * neighbours that differ in what it takes over are not coalesced, and each send says what it is.
 *
 * A burst goes: egress_add for each run of packets and output, egress_flush once. Each run comes
 * with a hold on the ingress's slot that its bytes are in, which is dropped when the last of its
 * packets has been sent: with reap mode sync, the default, before egress_flush returns.
 */
#ifndef EGRESS_H
#define EGRESS_H

#include "contract/counters.h"
#include "contract/settings.h"
#include "worker/egress_notes.h"
#include "worker/send_op.h"

#include <liburing.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

enum { UDP_IPV4_HEADERS = 28 };

struct output {
	char interface[IFNAMSIZ];
	int fd;		      /* -1: closed, because of: */
	int error;	      /* positive errno */
	uint32_t gso_limit;   /* larger packets are not coalesced; 0: none are */
	uint32_t gso_most;    /* what it is when the kernel has refused nothing */
	uint32_t gso_proven;  /* the largest packets that the kernel has segmented */
	bool gso_on_trial;    /* a GSO send of larger ones is under way */
	uint32_t gso_refused; /* packets of this size the kernel has refused to segment; 0: none */
	uint32_t gso_refused_ms; /* when it did so last */
	uint16_t marks;		 /* of each packet, what it takes over: MARKS_TTL, MARKS_DSCP */
	struct send_op *open_op; /* of this burst, may still take a packet; NULL: none */
	struct output_counters *counters;
	struct egress_notes *notes; /* of its interface; NULL: nothing is said of it */
};

/* Drops a hold once its send is over: directly, or by way of another thread. */
typedef void (*egress_drop)(void *context, struct hold hold);

struct egress {
	struct send_pool pool;
	uint32_t *queued; /* [pool.depth] the first num_queued wait to be submitted, in order */
	unsigned num_queued;
	struct mmsghdr *vector; /* [pool.depth] for sendmmsg, which needs no io_uring */
	struct io_uring uring;
	unsigned in_flight; /* submitted to it, not completed */
	uint32_t *refused;  /* [pool.depth] the first num_refused are to be sent packet by packet */
	unsigned num_refused;
	unsigned apart; /* packets of such a send that are in flight by themselves */
	enum egress_mode mode;
	enum reap_mode reap;
	enum gso_mode gso;
	int error; /* of the io_uring itself: negative errno, sticky; 0 with sendmmsg */
	struct counters *counters;
	egress_drop drop; /* NULL: directly */
	void *drop_context;
};

/* By the thread that will send. `drop` NULL: holds are dropped directly. 0 or negative errno. */
int egress_init(struct egress *egress, const struct worker_settings *settings,
		struct counters *counters, egress_drop drop, void *drop_context);
void egress_exit(struct egress *egress);

/* Queues a run for one output: at most GSO_SEGMENTS_MAX packets and GSO_BYTES_MAX bytes. Its bytes
 * are borrowed until the hold is dropped. */
void egress_add(struct egress *egress, struct output *output, const struct run *run,
		struct hold hold);

/* The end of a burst: submits and reaps as the reap mode says. 0, or a negative errno when the
 * io_uring itself fails, which no send can cause. */
int egress_flush(struct egress *egress);

/* Submits what is queued and waits until nothing is in flight. As egress_flush. */
int egress_drain(struct egress *egress);

#endif
