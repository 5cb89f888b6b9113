// SPDX-License-Identifier: MIT
/* send_op: see send_op.h. */
#include "worker/send_op.h"

#include <errno.h>
#include <linux/udp.h>
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

uint32_t send_pool_claim(struct send_pool *pool, struct output *output, uint32_t segment_bytes)
{
	const uint32_t index = pool->free[--pool->num_free];
	struct send_op *op = &pool->ops[index];

	op->output = output;
	op->segments = 0;
	op->parts = 0;
	op->segment_bytes = segment_bytes;
	op->bytes = 0;
	op->result = OP_PENDING;
	return index;
}

void send_op_prepare(struct send_op *op)
{
	const uint16_t segment_bytes = (uint16_t)op->segment_bytes;

	op->message.msg_iovlen = op->parts;
	op->message.msg_control = op->segments > 1 ? &op->control : NULL;
	op->message.msg_controllen = op->segments > 1 ? sizeof(op->control) : 0;
	memcpy(CMSG_DATA(&op->control.header), &segment_bytes, sizeof(segment_bytes));
}
