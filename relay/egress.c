// SPDX-License-Identifier: MIT
/*
 * egress: see egress.h.
 *
 * The life of a send_op: claimed from the array by the first packet of an output in a burst (or the
 * first that does not fit the previous op), grown by egress_add, submitted and reaped by
 * egress_flush, which then takes the whole array back. Its index is the user_data of its
 * completion.
 *
 * No send waits for room in its socket's buffer: a full one fails with EAGAIN, counted for that
 * output alone. Waiting would hold up the other outputs, and io_uring does not keep the order of
 * waiting sends.
 *
 * Submit and reap in one go keeps the life of a receive buffer at one turn of the loop: a reaping
 * that came one turn later would double the buffers that a given rate needs.
 */
#include "egress.h"
#include "log.h"
#include "uring.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/udp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef SOL_UDP
#define SOL_UDP 17
#endif

/* ------------------------------------------------------------------------- outputs */

static void set_send_buffer(const struct output *output, uint64_t wanted)
{
	int value = (int)wanted, got = 0;
	socklen_t size = sizeof(got);

	/* FORCE (CAP_NET_ADMIN) is not bounded by net.core.wmem_max */
	if (setsockopt(output->fd, SOL_SOCKET, SO_SNDBUFFORCE, &value, sizeof(value)) < 0)
		setsockopt(output->fd, SOL_SOCKET, SO_SNDBUF, &value, sizeof(value));
	getsockopt(output->fd, SOL_SOCKET, SO_SNDBUF, &got, &size);
	/* the kernel doubles what it was asked for, to allow for its own overhead */
	if (got / 2 < value)
		log_warning("Egress",
			    "SO_SNDBUF on %s is %d bytes instead of %d; raise net.core.wmem_max",
			    output->key.to.interface, got / 2, value);
}

static int set_multicast_options(const struct output *output)
{
	const struct ip_mreqn interface = {
		.imr_address = output->netif.address,
		.imr_ifindex = output->netif.index,
	};
	const int ttl = output->key.ttl, off = 0;

	if (setsockopt(output->fd, IPPROTO_IP, IP_MULTICAST_IF, &interface, sizeof(interface)) <
		    0 ||
	    setsockopt(output->fd, IPPROTO_IP, IP_MULTICAST_TTL, &ttl, sizeof(ttl)) < 0 ||
	    setsockopt(output->fd, IPPROTO_IP, IP_MULTICAST_LOOP, &off, sizeof(off)) < 0)
		return -errno;
	return 0;
}

static int bind_and_connect(const struct output *output)
{
	const struct sockaddr_in from = {
		.sin_family = AF_INET,
		.sin_addr = output->netif.address,
	};
	const struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_addr = output->key.to.group,
		.sin_port = htons(output->key.to.port),
	};

	if (bind(output->fd, (const struct sockaddr *)&from, sizeof(from)) < 0 ||
	    connect(output->fd, (const struct sockaddr *)&to, sizeof(to)) < 0)
		return -errno;
	return 0;
}

void output_close(struct output *output)
{
	if (output->fd >= 0)
		close(output->fd);
	output->fd = -1;
}

int output_open(struct output *output, const struct config *config)
{
	int rc;

	output->fd = -1;
	output->open_op = NULL;
	if (output->netif.index == 0) {
		rc = -ENODEV;
		goto out;
	}
	if (output->netif.address.s_addr == INADDR_ANY) {
		rc = -EADDRNOTAVAIL;
		goto out;
	}
	output->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (output->fd < 0) {
		rc = -errno;
		goto out;
	}
	set_send_buffer(output, config->socket_sndbuf);
	rc = set_multicast_options(output);
	if (rc == 0)
		rc = bind_and_connect(output);
	if (rc < 0)
		output_close(output);
out:
	output->error = -rc;
	output->gso_limit = config->no_gso || output->netif.mtu <= UDP_IPV4_HEADERS
				    ? 0
				    : output->netif.mtu - UDP_IPV4_HEADERS;
	return rc;
}

/* ------------------------------------------------------------------------- set-up */

static void init_op(struct send_op *op)
{
	op->message.msg_iov = op->iov;
	op->control.header.cmsg_level = SOL_UDP;
	op->control.header.cmsg_type = UDP_SEGMENT;
	op->control.header.cmsg_len = CMSG_LEN(sizeof(uint16_t));
}

int egress_init(struct egress *egress, const struct config *config, struct counters *counters)
{
	int rc;

	*egress = (struct egress){
		.depth = (unsigned)config->queue_depth,
		.counters = counters,
	};
	egress->ops = calloc(egress->depth, sizeof(*egress->ops));
	if (!egress->ops)
		return -ENOMEM;
	for (unsigned i = 0; i < egress->depth; i++)
		init_op(&egress->ops[i]);
	rc = uring_init(&egress->uring, egress->depth);
	if (rc < 0) {
		free(egress->ops);
		egress->ops = NULL;
		return rc;
	}
	return 0;
}

void egress_exit(struct egress *egress)
{
	if (!egress->ops)
		return;
	io_uring_queue_exit(&egress->uring);
	free(egress->ops);
	egress->ops = NULL;
}

/* ------------------------------------------------------------------------- queueing */

static void count_errors(struct egress *egress, struct output *output, int error, unsigned packets)
{
	counter_add(egress->counters, COUNTER_egress_errors, packets);
	counter_bump(&output->counters->errors[send_cause(error)], packets);
}

static bool op_takes(const struct send_op *op, const struct output *output, uint32_t bytes)
{
	return op && bytes > 0 && bytes <= op->segment_bytes && bytes <= output->gso_limit &&
	       op->segments < GSO_SEGMENTS_MAX && op->bytes + bytes <= GSO_BYTES_MAX;
}

static struct send_op *claim_op(struct egress *egress, struct output *output, uint32_t bytes)
{
	struct send_op *op;

	if (egress->used == egress->depth)
		egress_flush(egress);
	op = &egress->ops[egress->used++];
	op->output = output;
	op->segments = 0;
	op->segment_bytes = bytes;
	op->bytes = 0;
	op->error = EINPROGRESS;
	return op;
}

void egress_add(struct egress *egress, struct output *output, const uint8_t *payload,
		uint32_t bytes)
{
	struct send_op *op = output->open_op;

	counter_add(egress->counters, COUNTER_egress_queued, 1);
	if (output->fd < 0) {
		count_errors(egress, output, output->error, 1);
		return;
	}
	if (!op_takes(op, output, bytes))
		op = claim_op(egress, output, bytes);
	op->iov[op->segments++] = (struct iovec){(void *)payload, bytes};
	op->bytes += bytes;
	/* a packet shorter than its predecessors, or too large to coalesce, closes the op */
	output->open_op = bytes == op->segment_bytes && bytes <= output->gso_limit ? op : NULL;
}

/* ------------------------------------------------------------------------- sending */

static void submit_op(struct egress *egress, unsigned index)
{
	struct send_op *op = &egress->ops[index];
	/* cannot fail: the ring has an entry for each op and was empty */
	struct io_uring_sqe *sqe = io_uring_get_sqe(&egress->uring);
	const uint16_t segment_bytes = (uint16_t)op->segment_bytes;

	if (op->segments == 1) {
		io_uring_prep_send(sqe, op->output->fd, op->iov[0].iov_base, op->iov[0].iov_len,
				   MSG_DONTWAIT);
	} else {
		op->message.msg_iovlen = op->segments;
		op->message.msg_control = &op->control;
		op->message.msg_controllen = sizeof(op->control);
		memcpy(CMSG_DATA(&op->control.header), &segment_bytes, sizeof(segment_bytes));
		io_uring_prep_sendmsg(sqe, op->output->fd, &op->message, MSG_DONTWAIT);
	}
	sqe->user_data = index;
	counter_add(egress->counters, COUNTER_egress_submitted, op->segments);
}

static void count_sent(struct egress *egress, const struct send_op *op)
{
	counter_add(egress->counters, COUNTER_egress_sent, op->segments);
	counter_add(egress->counters, COUNTER_egress_bytes, op->bytes);
	counter_bump(&op->output->counters->packets, op->segments);
	counter_bump(&op->output->counters->bytes, op->bytes);
	if (op->segments > 1) {
		counter_add(egress->counters, COUNTER_gso_sends, 1);
		counter_add(egress->counters, COUNTER_gso_packets, op->segments);
	}
}

/* These say that the kernel cannot segment this send on this route; plain sends still can work. */
static bool refused_as_gso(const struct send_op *op, int error)
{
	return op->segments > 1 && (error == EINVAL || error == EIO || error == EMSGSIZE);
}

static void complete_op(struct egress *egress, struct send_op *op, int result)
{
	op->error = 0;
	if (result >= 0)
		count_sent(egress, op);
	else if (refused_as_gso(op, -result))
		op->error = -result;
	else
		count_errors(egress, op->output, -result, op->segments);
}

/* A refused GSO send, packet by packet; its output will not try packets of that size again. */
static void resend_plainly(struct egress *egress, struct send_op *op)
{
	struct output *output = op->output;

	if (output->gso_limit >= op->segment_bytes)
		output->gso_limit = op->error == EIO ? 0 : op->segment_bytes - 1;
	if (!output->gso_refused)
		log_warning(
			"Egress",
			"%s refuses UDP_SEGMENT for %u-byte packets (%s); sending them one by one",
			output->key.to.interface, op->segment_bytes, strerror(op->error));
	output->gso_refused = true;
	counter_add(egress->counters, COUNTER_gso_refused, 1);
	for (unsigned i = 0; i < op->segments; i++) {
		struct send_op one = {
			.output = output, .segments = 1, .bytes = (uint32_t)op->iov[i].iov_len};
		ssize_t sent =
			send(output->fd, op->iov[i].iov_base, op->iov[i].iov_len, MSG_DONTWAIT);

		counter_add(egress->counters, COUNTER_system_calls, 1);
		complete_op(egress, &one, sent < 0 ? -errno : 0);
	}
}

static unsigned reap(struct egress *egress)
{
	struct io_uring_cqe *cqe;
	unsigned head, count = 0;

	io_uring_for_each_cqe(&egress->uring, head, cqe)
	{
		complete_op(egress, &egress->ops[cqe->user_data], cqe->res);
		count++;
	}
	io_uring_cq_advance(&egress->uring, count);
	return count;
}

static void submit_and_reap(struct egress *egress)
{
	unsigned pending = egress->used;

	for (unsigned i = 0; i < egress->used; i++)
		submit_op(egress, i);
	counter_add(egress->counters, COUNTER_sqes, pending);
	while (pending > 0) {
		int rc = io_uring_submit_and_wait(&egress->uring, pending);

		counter_add(egress->counters, COUNTER_submits, 1);
		counter_add(egress->counters, COUNTER_system_calls, 1);
		if (rc < 0 && rc != -EINTR && rc != -EAGAIN && rc != -EBUSY) {
			egress->error = rc;
			break;
		}
		pending -= reap(egress);
	}
}

int egress_flush(struct egress *egress)
{
	if (egress->error == 0)
		submit_and_reap(egress);
	for (unsigned i = 0; i < egress->used; i++) {
		struct send_op *op = &egress->ops[i];

		op->output->open_op = NULL;
		if (op->error == EINPROGRESS) /* the io_uring failed */
			count_errors(egress, op->output, -egress->error, op->segments);
		else if (op->error)
			resend_plainly(egress, op);
	}
	egress->used = 0;
	return egress->error;
}
