// SPDX-License-Identifier: MIT
/* send_op: see send_op.h. */
#include "worker/send_op.h"

#include <errno.h>
#include <linux/udp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#ifndef SOL_UDP
#define SOL_UDP 17
#endif

static void init_op(struct send_op *op)
{
	op->message.msg_iov = op->iov;
	op->control.header.cmsg_level = SOL_UDP;
	op->control.header.cmsg_type = UDP_SEGMENT;
	op->control.header.cmsg_len = CMSG_LEN(sizeof(uint16_t));
}

int send_pool_init(struct send_pool *pool, unsigned depth)
{
	*pool = (struct send_pool){
		.ops = calloc(depth, sizeof(*pool->ops)),
		.free = calloc(depth, sizeof(*pool->free)),
		.depth = depth,
	};
	if (!pool->ops || !pool->free) {
		send_pool_exit(pool);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < depth; i++) {
		init_op(&pool->ops[i]);
		pool->free[pool->num_free++] = depth - 1 - i;
	}
	return 0;
}

void send_pool_exit(struct send_pool *pool)
{
	free(pool->ops);
	free(pool->free);
	*pool = (struct send_pool){0};
}

uint32_t send_pool_claim(struct send_pool *pool, struct output *output, uint32_t segment_bytes,
			 uint16_t marks)
{
	const uint32_t index = pool->free[--pool->num_free];
	struct send_op *op = &pool->ops[index];

	op->output = output;
	op->segments = 0;
	op->parts = 0;
	op->segment_bytes = segment_bytes;
	op->bytes = 0;
	op->marks = marks;
	op->result = OP_PENDING;
	return index;
}

static size_t put_control(char *at, int type, int value)
{
	struct cmsghdr header = {
		.cmsg_level = IPPROTO_IP, .cmsg_type = type, .cmsg_len = CMSG_LEN(sizeof(value))};

	memcpy(at, &header, sizeof(header));
	memcpy(at + CMSG_LEN(0), &value, sizeof(value));
	return CMSG_SPACE(sizeof(value));
}

/* Behind the place of UDP_SEGMENT. Returns how many bytes. */
static size_t put_marks(struct send_op *op)
{
	char *at = op->control.bytes + SEGMENT_CONTROL_BYTES;
	size_t bytes = 0;

	if (op->marks & MARKS_TTL)
		bytes += put_control(at, IP_TTL, op->marks >> 8);
	if (op->marks & MARKS_DSCP)
		bytes += put_control(at + bytes, IP_TOS, op->marks & MARKS_DSCP);
	return bytes;
}

struct msghdr send_op_single(struct send_op *op, struct iovec *iov)
{
	return (struct msghdr){
		.msg_iov = iov,
		.msg_iovlen = 1,
		.msg_control = op->control.bytes + SEGMENT_CONTROL_BYTES,
		.msg_controllen = put_marks(op),
	};
}

void send_op_prepare(struct send_op *op)
{
	const uint16_t segment_bytes = (uint16_t)op->segment_bytes;
	const size_t segments = op->segments > 1 ? SEGMENT_CONTROL_BYTES : 0;

	op->message.msg_iovlen = op->parts;
	op->message.msg_control = op->control.bytes + SEGMENT_CONTROL_BYTES - segments;
	op->message.msg_controllen = segments + put_marks(op);
	memcpy(CMSG_DATA(&op->control.header), &segment_bytes, sizeof(segment_bytes));
}

bool send_op_next_packet(const struct send_op *op, struct packet_cursor *cursor,
			 struct iovec *packet)
{
	const struct iovec *part;
	size_t left;

	if (cursor->part == op->parts)
		return false;
	part = &op->iov[cursor->part];
	left = part->iov_len - cursor->done;
	*packet = (struct iovec){
		.iov_base = (uint8_t *)part->iov_base + cursor->done,
		.iov_len = left < op->segment_bytes ? left : op->segment_bytes,
	};
	cursor->done += packet->iov_len;
	if (cursor->done == part->iov_len)
		*cursor = (struct packet_cursor){.part = cursor->part + 1};
	return true;
}
