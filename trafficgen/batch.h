/* SPDX-License-Identifier: MIT
 *
 * batch: the messages of one sendmmsg or recvmmsg, each with one buffer and one control message:
 *
 *     messages[i] -> vectors[i]  -> bytes, which the owner lays out
 *                 -> controls[i] -> segment size of a message of several packets (UDP_SEGMENT: the
 *                                   sender says it; UDP_GRO: the kernel does)
 */
#ifndef BATCH_H
#define BATCH_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* UDP_SEGMENT holds a uint16_t, UDP_GRO an int: the same room. */
union control {
	struct cmsghdr header; /* for the alignment */
	uint8_t bytes[CMSG_SPACE(sizeof(int))];
};

struct batch {
	struct mmsghdr *messages;
	struct iovec *vectors;
	union control *controls;
};

/* All zero, but that each message points at its vector and its control message. 0 or -ENOMEM. */
int batch_init(struct batch *batch, size_t count);
void batch_exit(struct batch *batch);

#endif
