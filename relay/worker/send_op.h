/* SPDX-License-Identifier: MIT
 *
 * send_op: one send: the packets of one output that leave together; and the pool of them.
 *
 * Its life: claimed by the first packet of an output in a burst (or the first that does not fit the
 * op before), grown while packets fit, submitted, completed: its packets are counted, its holds
 * dropped, and it is free again. Its index is the user_data of its completion.
 */
#ifndef SEND_OP_H
#define SEND_OP_H

#include "worker/ingress.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum {
	GSO_SEGMENTS_MAX = 64, /* UDP_MAX_SEGMENTS of the kernels we care for */
	GSO_BYTES_MAX = 65507, /* payload of the largest UDP datagram */
};

enum { OP_PENDING = 1, OP_IN_FLIGHT }; /* handed to the io_uring */

enum {
	SEGMENT_CONTROL_BYTES = CMSG_SPACE(sizeof(uint16_t)),
	MARKS_CONTROL_BYTES = 2 * CMSG_SPACE(sizeof(int)),
};

struct output;

struct send_op {
	struct output *output;
	unsigned segments;	/* packets */
	unsigned parts;		/* runs of packets that it is put together from */
	uint32_t segment_bytes; /* of all packets but the last, which may be shorter */
	uint32_t bytes;		/* of all packets */
	uint16_t marks; /* that its packets are sent with, MARKS_TTL and MARKS_DSCP; 0: none */
	int result;	/* 0; negative errno; OP_PENDING, OP_IN_FLIGHT: not known yet */
	struct msghdr message;
	struct iovec iov[GSO_SEGMENTS_MAX];  /* [parts] */
	struct hold holds[GSO_SEGMENTS_MAX]; /* [parts]; without an ingress: none */
	union {
		struct cmsghdr header;
		char bytes[SEGMENT_CONTROL_BYTES + MARKS_CONTROL_BYTES];
	} control; /* UDP_SEGMENT; behind it, the marks */
};

struct send_pool {
	struct send_op *ops; /* [depth] */
	uint32_t *free;	     /* [depth] the first num_free are not in use */
	unsigned depth, num_free;
};

/* 0 or -ENOMEM; exit is harmless then. */
int send_pool_init(struct send_pool *pool, unsigned depth);
void send_pool_exit(struct send_pool *pool);

/* The index of a free op, which there has to be, for packets of that size to `output`. */
uint32_t send_pool_claim(struct send_pool *pool, struct output *output, uint32_t segment_bytes,
			 uint16_t marks);

/* Whether the op (NULL: none) can take the packets of a run as well, to be sent with those marks:
 * only the last packet of a send may be shorter than the others. */
static inline bool send_op_takes(const struct send_op *op, const struct run *run, uint16_t marks)
{
	if (!op || op->marks != marks || op->segments + run->segments > GSO_SEGMENTS_MAX ||
	    op->bytes + run->bytes > GSO_BYTES_MAX)
		return false;
	return run->segments == 1 ? run->bytes > 0 && run->bytes <= op->segment_bytes
				  : run->segment_bytes == op->segment_bytes;
}

/* Adds them; without an ingress, the hold is none. */
static inline void send_op_append(struct send_op *op, const struct run *run, struct hold hold)
{
	op->iov[op->parts] = (struct iovec){(void *)run->payload, run->bytes};
	op->holds[op->parts++] = hold;
	op->segments += run->segments;
	op->bytes += run->bytes;
}

/* Makes op->message say what is to be sent, and how. */
void send_op_prepare(struct send_op *op);

/* How far one has got with the packets of an op; zero: none has been had. */
struct packet_cursor {
	unsigned part;
	size_t done; /* bytes of it */
};

/* The next packet of an op, as one of its own. False: there is none. */
bool send_op_next_packet(const struct send_op *op, struct packet_cursor *cursor,
			 struct iovec *packet);

/* One of its packets alone, in the same way; `iov` is the caller's. */
struct msghdr send_op_single(struct send_op *op, struct iovec *iov);

#endif
