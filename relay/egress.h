/* SPDX-License-Identifier: MIT
 *
 * egress: packets out. One connected UDP socket per (interface, destination, TTL); neighbours of
 * equal size become one UDP GSO send; one io_uring carries the sends of a burst.
 *
 * A burst goes: egress_add for each packet and output, egress_flush once. The payload bytes are
 * borrowed from the ingress from egress_add until egress_flush (or a flush inside egress_add, when
 * all operations are taken) returns; then nothing is in flight any more and they may be given back.
 */
#ifndef EGRESS_H
#define EGRESS_H

#include "config.h"
#include "counters.h"
#include "netif.h"
#include "rules.h"

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum {
	GSO_SEGMENTS_MAX = 64, /* UDP_MAX_SEGMENTS of the kernels we care for */
	GSO_BYTES_MAX = 65507, /* payload of the largest UDP datagram */
	UDP_IPV4_HEADERS = 28,
};

/* One send: the packets of one output that leave together. */
struct send_op {
	struct output *output;
	unsigned segments;	/* packets; also the length of iov */
	uint32_t segment_bytes; /* of all packets but the last, which may be shorter */
	uint32_t bytes;		/* of all packets */
	int error;		/* EINPROGRESS until completed; then 0, or the positive errno of a
				 * GSO send to be repeated plainly */
	struct msghdr message;
	struct iovec iov[GSO_SEGMENTS_MAX];
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(uint16_t))];
	} control;
};

struct output {
	struct rule_output key;
	struct netif netif;	 /* as it was when opened */
	int fd;			 /* -1: closed, because of: */
	int error;		 /* positive errno */
	uint32_t gso_limit;	 /* larger packets are not coalesced; 0: none are */
	bool gso_refused;	 /* it has been logged that the kernel refused a GSO send */
	struct send_op *open_op; /* of this burst, may still take a packet; NULL: none */
	struct output_counters *counters;
};

struct egress {
	struct io_uring uring;
	struct send_op *ops; /* [depth]; the first `used` belong to the burst at hand */
	unsigned depth, used;
	int error; /* of the io_uring itself: negative errno, sticky */
	struct counters *counters;
};

/* Opens the output's socket on output->netif, which the caller has just queried. 0 or negative
 * errno, which is also kept in output->error: packets for it are then counted as errors. */
int output_open(struct output *output, const struct config *config);
void output_close(struct output *output);

/* To be called by the thread that will send. 0 or negative errno. */
int egress_init(struct egress *egress, const struct config *config, struct counters *counters);
void egress_exit(struct egress *egress);

/* Queues one packet for one output. */
void egress_add(struct egress *egress, struct output *output, const uint8_t *payload,
		uint32_t bytes);

/* Submits what is queued, waits for all of it, accounts for each packet. 0, or a negative errno
 * when the io_uring itself fails, which no send can cause. */
int egress_flush(struct egress *egress);

#endif
