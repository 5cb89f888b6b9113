// SPDX-License-Identifier: MIT
/*
 * receiver: the thread of 'trafficgen recv': receive a batch, read the clock once, account for each
 * packet; allocation only when a flow is new.
 *
 * With --gro, what arrives as an aggregate is passed up as one message: one walk through the socket
 * for all of its packets, which are equal in size except for the last:
 *
 *     buffer     | packet | packet | packet | pac |      control: UDP_GRO, the size of a packet
 *
 * Without, the kernel takes an aggregate apart and queues each packet by itself.
 *
 * Latency is what the application sees: CLOCK_MONOTONIC after recvmmsg returned minus the sender's
 * before sendmmsg. Kernel timestamps are CLOCK_REALTIME, which steps, and would leave out the wait
 * in the socket. Drops of the sockets come from SO_MEMINFO: unlike SO_RXQ_OVFL it costs nothing per
 * packet and also tells of drops after the last packet that was queued.
 */
#include "common/clock.h"
#include "payload.h"
#include "recv.h"

#include <errno.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define PORTS_PER_WAIT 64

/* The payload inside of a packet that came through a tunnel; false when there is none. */
static bool unwrap(struct receiver *receiver, uint8_t **bytes, size_t *size, struct geneve *geneve)
{
	size_t inner, payload;
	enum geneve_result result = geneve_parse(*bytes, *size, geneve, &inner);
	enum tunnel_inside inside;

	receiver->geneve[result]++;
	if (result != GENEVE_OK)
		return false;
	inside = geneve->protocol == GENEVE_ETHERTYPE_IPV4
			 ? tunnel_inside(*bytes, *size, inner, &payload, size)
			 : TUNNEL_NOT_IPV4;
	receiver->inside[inside]++;
	*bytes += inside == TUNNEL_UDP ? payload : 0;
	return inside == TUNNEL_UDP;
}

/* `cut_off`: `size` is not all of it. */
static int account_for(struct receiver *receiver, uint8_t *bytes, size_t size, bool cut_off,
		       uint64_t at_ns)
{
	bool verify = receiver->settings.common.verify;
	struct geneve geneve = {0};
	struct payload payload;
	enum payload_kind kind = PAYLOAD_FOREIGN;
	int64_t age_ns;
	int rc;

	if (!receiver->settings.geneve || unwrap(receiver, &bytes, &size, &geneve))
		kind = payload_read(bytes, size, &payload);
	if (kind == PAYLOAD_FOREIGN) {
		receiver->foreign++;
		return 0;
	}
	receiver->wrong_cookies += geneve.has_cookie && geneve.cookie != payload.flow + 1U;
	arrivals_add(&receiver->arrivals, at_ns);
	if (cut_off || size > receiver->settings.max_size ||
	    (verify && kind == PAYLOAD_SEALED && !payload_intact(bytes, size))) {
		flows_corrupt(&receiver->flows, payload.flow);
		return 0;
	}
	receiver->unverified += verify && kind == PAYLOAD_PLAIN;
	rc = flows_receive(&receiver->flows, payload.flow, payload.sequence);
	if (rc <= 0)
		return rc;
	receiver->bytes += size;
	age_ns = payload_age_ns(at_ns, payload.sent_ns);
	if (age_ns >= 0) {
		histogram_add(&receiver->latency, (uint64_t)age_ns);
		arrivals_age(&receiver->arrivals, at_ns, (uint64_t)age_ns);
	}
	return 0;
}

/* The size of the packets that the message is made of; the last one may be shorter. */
static size_t packet_size(const struct mmsghdr *message)
{
	const struct cmsghdr *control = CMSG_FIRSTHDR(&message->msg_hdr);
	int size;

	if (!control || control->cmsg_level != SOL_UDP || control->cmsg_type != UDP_GRO)
		return message->msg_len;
	memcpy(&size, CMSG_DATA(control), sizeof(size));
	return (size_t)size;
}

/* Each of its packets, but none beyond --count. */
static int account_for_message(struct receiver *receiver, const struct mmsghdr *message,
			       uint64_t at_ns)
{
	uint8_t *bytes = message->msg_hdr.msg_iov->iov_base;
	bool cut_off = message->msg_hdr.msg_flags & MSG_TRUNC;
	size_t size = packet_size(message), left = message->msg_len;
	int rc = 0;

	if (left > size) {
		receiver->aggregates++;
		receiver->aggregated += (left + size - 1) / size;
	}
	for (; left > size && rc == 0 && !count_reached(receiver); bytes += size, left -= size)
		rc = account_for(receiver, bytes, size, false, at_ns);
	if (rc == 0 && !count_reached(receiver))
		rc = account_for(receiver, bytes, left, cut_off, at_ns);
	return rc;
}

/* No more than --count asks for: what comes later stays in the socket, but for the rest of an
 * aggregate. */
static unsigned batch_size(const struct receiver *receiver)
{
	const struct recv_settings *settings = &receiver->settings;
	uint64_t left = settings->common.count - receiver->flows.received;

	if (settings->common.count == 0 || left > settings->common.batch)
		return (unsigned)settings->common.batch;
	return (unsigned)left;
}

/* One system call on one socket. 0, also when nothing came; negative errno when it broke. */
static int receive_batch(struct receiver *receiver, const struct port *port, int flags)
{
	unsigned batch = batch_size(receiver);
	uint64_t now;
	int count;

	for (unsigned i = 0; receiver->gro && i < batch;
	     i++) /* the kernel says here what it used */
		receiver->batch.messages[i].msg_hdr.msg_controllen =
			sizeof(*receiver->batch.controls);
	count = recvmmsg(port->fd, receiver->batch.messages, batch, flags, NULL);
	now = now_ns();

	receiver->recv_calls++;
	if (count < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	for (int i = 0; i < count; i++) {
		int rc = account_for_message(receiver, &receiver->batch.messages[i], now);

		if (rc < 0)
			return rc;
	}
	return 0;
}

/* Waits at most a tick. */
static int receive(struct receiver *receiver)
{
	struct epoll_event ready[PORTS_PER_WAIT];
	int count, rc = 0;

	if (receiver->epoll_fd < 0)
		return receive_batch(receiver, &receiver->ports[0], MSG_WAITFORONE);
	count = epoll_wait(receiver->epoll_fd, ready, PORTS_PER_WAIT, TICK_MS);
	if (count < 0)
		return errno == EINTR ? 0 : -errno;
	for (int i = 0; i < count && rc == 0 && !count_reached(receiver); i++)
		rc = receive_batch(receiver, &receiver->ports[ready[i].data.u32], MSG_DONTWAIT);
	return rc;
}

static bool passed(uint64_t now, uint64_t since_ns, uint64_t limit_ns)
{
	return limit_ns && now >= since_ns + limit_ns;
}

static bool finished(const struct receiver *receiver, uint64_t now)
{
	const struct recv_settings *settings = &receiver->settings;

	if (atomic_load_explicit(&stop_requested, memory_order_relaxed) || count_reached(receiver))
		return true;
	if (passed(now, receiver->run.start_ns, settings->common.duration_ms * NS_PER_MS))
		return true;
	if (receiver->arrivals.first_ns == 0)
		return passed(now, receiver->run.start_ns, settings->first_timeout_ms * NS_PER_MS);
	return passed(now, receiver->arrivals.last_ns, settings->idle_ms * NS_PER_MS);
}

static void read_socket_drops(struct receiver *receiver)
{
	for (unsigned i = 0; i < receiver->settings.ports; i++)
		receiver->socket_drops += port_new_drops(&receiver->ports[i]);
}

static void observe(struct receiver *receiver, uint64_t now)
{
	uint64_t received = receiver->flows.received;

	if (run_observe(&receiver->run, now, received))
		read_socket_drops(receiver);
	if (run_progress_due(&receiver->run, now))
		run_progress(&receiver->run, "%llu received", (unsigned long long)received);
}

int receiver_run(struct receiver *receiver)
{
	uint64_t now = receiver->run.start_ns;
	int rc = 0;

	while (rc == 0 && !finished(receiver, now)) {
		observe(receiver, now);
		rc = receive(receiver);
		now = now_ns();
	}
	read_socket_drops(receiver);
	run_finish(&receiver->run, now, receiver->flows.received);
	run_progress_end(&receiver->run);
	if (rc < 0)
		complain(&receiver->run, "cannot receive any more: %s%s", strerror(-rc),
			 rc == -ENOMEM ? "; each flow takes 8 KiB" : "");
	return rc;
}
