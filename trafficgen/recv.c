// SPDX-License-Identifier: MIT
/*
 * trafficgen recv: what became of the packets of 'trafficgen send'.
 *
 *     receiver   everything of one invocation: one socket per port, one set of buffers, the flows'
 *                accounts, the latency histogram. One thread: receive a batch, read the clock once,
 *                account for each packet; allocation only when a flow is new
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
#include "recv.h"
#include "common/json_file.h"
#include "payload.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define TICK_MS	       20 /* longest wait in the kernel: how exact the time limits are */
#define PORTS_PER_WAIT 64
#define AGGREGATE_MAX  65535u /* bytes: what an IPv4 packet can hold */

/* Buffers a power of two apart would share few cache sets; an odd number of lines spreads them. */
#define CACHE_LINE    64u
#define STRIDE(bytes) ((((bytes) + CACHE_LINE - 1) / CACHE_LINE | 1) * CACHE_LINE)

#define FIELD(name) offsetof(struct settings, name)

/* clang-format off */
const struct option_def recv_options[] = {
	{OPTION_HEADING, .help = "Where"},
	{OPTION_IPV4, "interface", "IP", .required = true, .offset = FIELD(interface),
	 .help = "IPv4 address of the interface on which to join the group"},
	{OPTION_IPV4, "group", "IP", .required = true, .offset = FIELD(group),
	 .help = "multicast group, or a unicast address of this host"},
	{OPTION_UINT, "port", "PORT", .min = 1, .max = 65535, .required = true,
	 .offset = FIELD(port), .help = "UDP port"},
	{OPTION_UINT, "ports", "N", .min = 1, .max = 65535, .preset = "1", .offset = FIELD(ports),
	 .help = "listen on the N ports from PORT"},
	{OPTION_FLAG, "no-join", .offset = FIELD(no_join),
	 .help = "do not join the group: another program has, or it is forwarded here"},
	{OPTION_HEADING, .help = "How long"},
	{OPTION_UINT, "count", "N", .min = 1, .max = 1ull << 48, .offset = FIELD(count),
	 .help = "stop after N packets (intact, each counted once); exit status 3 when it ends "
		 "with fewer"},
	{OPTION_SECONDS, "duration", "SECONDS", .min = 1, .max = 31536000000, .offset = FIELD(duration_ms),
	 .help = "stop that long after 'Listening on'"},
	{OPTION_UINT, "idle-ms", "N", .max = 3600000, .preset = "0", .offset = FIELD(idle_ms),
	 .help = "after the first packet: stop when none arrived for N ms; 0: never"},
	{OPTION_UINT, "first-timeout-ms", "N", .max = 3600000, .preset = "0",
	 .offset = FIELD(first_timeout_ms),
	 .help = "stop when the first packet has not arrived after N ms; 0: wait"},
	{OPTION_HEADING, .help = "How"},
	{OPTION_UINT, "batch", "N", .min = 1, .max = 1024, .preset = "64", .offset = FIELD(batch),
	 .help = "packets, or aggregates of them, per system call at most"},
	{OPTION_STRING, "gro", "on|off", .preset = "on", .offset = FIELD(gro),
	 .help = "take what arrives as an aggregate (GRO, or a segmented message over a link that "
		 "carries it whole) in one piece; each packet of it is accounted for by itself"},
	{OPTION_UINT, "max-size", "BYTES", .min = PAYLOAD_MIN, .max = PAYLOAD_MAX,
	 .preset = "65507", .offset = FIELD(max_size),
	 .help = "longer packets count as corrupt. Without --gro, also the receive buffer of each "
		 "packet of a batch; with it, that is 64 KiB. Only touched as far as it is filled"},
	{OPTION_UINT, "rcvbuf", "BYTES", .min = 256, .max = 1 << 30, .preset = "134217728",
	 .offset = FIELD(rcvbuf),
	 .help = "receive buffer of each socket; the report says what the kernel granted"},
	{OPTION_UINT, "busy-poll", "US", .max = 10000, .preset = "0",
	 .offset = FIELD(busy_poll_us),
	 .help = "poll the device for that many us before sleeping (SO_BUSY_POLL; one port only)"},
	{OPTION_FLAG, "verify", .offset = FIELD(verify),
	 .help = "check the seal of every packet ('send --verify'); exit status 1 if one is corrupt"},
	{OPTION_HEADING, .help = "Report"},
	{OPTION_STRING, "json", "FILE", .offset = FIELD(json),
	 .help = "write the full report to FILE as JSON, whole or not at all"},
	{OPTION_UINT, "sample-ms", "N", .min = 1, .max = 3600000, .preset = "100",
	 .offset = FIELD(sample_ms), .help = "record the number of packets received every N ms"},
	{OPTION_FLAG, "quiet", .offset = FIELD(quiet), .help = "no progress on a terminal"},
	{OPTION_END},
};
/* clang-format on */

static const struct program program = {
	.name = "trafficgen recv",
	.usage = "--interface IP --group IP --port PORT [OPTION]...",
	.purpose =
		"Receives the packets of 'trafficgen send', prints 'Listening on GROUP:PORT' once "
		"it is ready, and reports at its end (see 'How long', or SIGINT or SIGTERM) what "
		"arrived, what is missing, and how long the way took.",
	.closing = "Exit status: 0 it ran: loss is a result, not an error; 1 failed, or --verify "
		   "found\na corrupt packet; 3 --count was not reached; 64 usage.\n\n"
		   "Example: receive until two seconds pass without a packet\n"
		   "  trafficgen recv --interface 10.0.0.2 --group 239.1.1.1 --port 5000 \\\n"
		   "      --idle-ms 2000 --json recv.json\n",
	.options = recv_options,
};

/* ---- receiving ------------------------------------------------------------------------------- */

/* `cut_off`: `size` is not all of it. */
static int account_for(struct receiver *receiver, uint8_t *bytes, size_t size, bool cut_off,
		       uint64_t at_ns)
{
	bool verify = receiver->settings.verify;
	struct payload payload;
	enum payload_kind kind = payload_read(bytes, size, &payload);
	int64_t age_ns;
	int rc;

	if (kind == PAYLOAD_FOREIGN) {
		receiver->foreign++;
		return 0;
	}
	if (receiver->first_ns == 0)
		receiver->first_ns = at_ns;
	receiver->last_ns = at_ns;
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
	if (age_ns >= 0)
		histogram_add(&receiver->latency, (uint64_t)age_ns);
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
	const struct settings *settings = &receiver->settings;
	uint64_t left = settings->count - receiver->flows.received;

	if (settings->count == 0 || left > settings->batch)
		return (unsigned)settings->batch;
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
		receiver->messages[i].msg_hdr.msg_controllen = sizeof(*receiver->controls);
	count = recvmmsg(port->fd, receiver->messages, batch, flags, NULL);
	now = now_ns();

	receiver->recv_calls++;
	if (count < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	for (int i = 0; i < count; i++) {
		int rc = account_for_message(receiver, &receiver->messages[i], now);

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
	const struct settings *settings = &receiver->settings;

	if (atomic_load_explicit(&stop_requested, memory_order_relaxed) || count_reached(receiver))
		return true;
	if (passed(now, receiver->start_ns, settings->duration_ms * NS_PER_MS))
		return true;
	if (receiver->first_ns == 0)
		return passed(now, receiver->start_ns, settings->first_timeout_ms * NS_PER_MS);
	return passed(now, receiver->last_ns, settings->idle_ms * NS_PER_MS);
}

static void read_socket_drops(struct receiver *receiver)
{
	for (unsigned i = 0; i < receiver->settings.ports; i++) {
		struct port *port = &receiver->ports[i];
		uint32_t info[SK_MEMINFO_VARS] = {0};
		socklen_t length = sizeof(info);

		if (getsockopt(port->fd, SOL_SOCKET, SO_MEMINFO, info, &length) < 0)
			continue;
		receiver->socket_drops += (uint32_t)(info[SK_MEMINFO_DROPS] - port->drops_seen);
		port->drops_seen = info[SK_MEMINFO_DROPS];
	}
}

static void observe(struct receiver *receiver, uint64_t now, bool *shown)
{
	uint64_t received = receiver->flows.received;

	if (now >= receiver->samples.next_ns) {
		samples_take(&receiver->samples, now, received);
		read_socket_drops(receiver);
	}
	if (!receiver->settings.quiet && progress_due(now)) {
		fprintf(stderr, "\r%llu received\033[K", (unsigned long long)received);
		*shown = true;
	}
}

static int run(struct receiver *receiver)
{
	bool shown = false;
	uint64_t now = receiver->start_ns;
	int rc = 0;

	while (rc == 0 && !finished(receiver, now)) {
		observe(receiver, now, &shown);
		rc = receive(receiver);
		now = now_ns();
	}
	receiver->end_ns = now;
	read_socket_drops(receiver);
	samples_finish(&receiver->samples, now, receiver->flows.received);
	if (shown)
		fputs("\r\033[K", stderr);
	if (rc < 0)
		complain(COMMAND, "receiving broke off: %s%s", strerror(-rc),
			 rc == -ENOMEM ? "; each flow takes 8 KiB" : "");
	return rc;
}

/* ---- setting up ------------------------------------------------------------------------------ */

static int set_option(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) < 0 ? -errno : 0;
}

static bool joins(const struct settings *settings)
{
	return IN_MULTICAST(ntohl(settings->group.s_addr)) && !settings->no_join;
}

static int port_join(const struct port *port, const struct settings *settings)
{
	struct ip_mreqn request = {.imr_multiaddr = settings->group,
				   .imr_address = settings->interface};
	int rc;

	if (!joins(settings))
		return 0;
	/* only what this socket joined, not what others joined on other interfaces */
	rc = set_option(port->fd, IPPROTO_IP, IP_MULTICAST_ALL, 0);
	if (rc < 0)
		return rc;
	if (setsockopt(port->fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof(request)) < 0)
		return -errno;
	return 0;
}

static int port_set_buffer(const struct port *port, struct receiver *receiver)
{
	int granted, asked = (int)receiver->settings.rcvbuf;
	socklen_t length = sizeof(granted);

	/* beyond net.core.rmem_max with CAP_NET_ADMIN, up to it without */
	if (set_option(port->fd, SOL_SOCKET, SO_RCVBUFFORCE, asked) < 0 &&
	    set_option(port->fd, SOL_SOCKET, SO_RCVBUF, asked) < 0)
		return -errno;
	if (getsockopt(port->fd, SOL_SOCKET, SO_RCVBUF, &granted, &length) < 0)
		return -errno;
	receiver->rcvbuf_bytes = (uint64_t)granted;
	return 0;
}

/* Without it, each packet comes by itself: slower, but nothing else changes. */
static void port_set_gro(const struct port *port, struct receiver *receiver)
{
	int rc = receiver->gro ? set_option(port->fd, SOL_UDP, UDP_GRO, 1) : 0;

	if (rc == 0)
		return;
	receiver->gro = false;
	complain(COMMAND, "the kernel refuses --gro on (%s); going on without", strerror(-rc));
}

/* `step` tells the caller what was being tried when it fails. */
static int port_configure(const struct port *port, struct receiver *receiver, uint16_t number,
			  const char **step)
{
	const struct settings *settings = &receiver->settings;
	struct sockaddr_in local = {
		.sin_family = AF_INET, .sin_addr = settings->group, .sin_port = htons(number)};
	struct timeval tick = {.tv_usec = TICK_MS * 1000};
	int rc;

	*step = "set the receive buffer of";
	rc = port_set_buffer(port, receiver);
	if (rc < 0)
		return rc;
	*step = "set the time limit of";
	if (setsockopt(port->fd, SOL_SOCKET, SO_RCVTIMEO, &tick, sizeof(tick)) < 0)
		return -errno;
	port_set_gro(port, receiver);
	*step = "set --busy-poll (needs CAP_NET_ADMIN) for";
	if (settings->busy_poll_us &&
	    (rc = set_option(port->fd, SOL_SOCKET, SO_BUSY_POLL, (int)settings->busy_poll_us)) < 0)
		return rc;
	*step = "listen on";
	rc = set_option(port->fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (rc < 0)
		return rc;
	if (bind(port->fd, (const struct sockaddr *)&local, sizeof(local)) < 0)
		return -errno;
	*step = "join";
	return port_join(port, settings);
}

static const char *advice(int rc)
{
	switch (rc) {
	case -EMFILE:
		return "; use fewer --ports or raise 'ulimit -Hn'";
	case -EADDRNOTAVAIL:
		return "; it is neither a multicast group nor an address of this host, see "
		       "'ip -4 addr'";
	case -EADDRINUSE:
		return "; see 'ss -uanp' for who has it";
	case -EACCES:
		return "; ports below 1024 need CAP_NET_BIND_SERVICE";
	case -EPERM:
		return "; run as root";
	default:
		return "";
	}
}

static int port_open(struct receiver *receiver, unsigned index)
{
	struct port *port = &receiver->ports[index];
	uint16_t number = (uint16_t)(receiver->settings.port + index);
	const char *step = "open a socket for";
	char group[INET_ADDRSTRLEN];
	int rc;

	port->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	rc = port->fd < 0 ? -errno : port_configure(port, receiver, number, &step);
	if (rc == 0 && receiver->epoll_fd >= 0) {
		struct epoll_event event = {.events = EPOLLIN, .data.u32 = index};

		step = "watch";
		if (epoll_ctl(receiver->epoll_fd, EPOLL_CTL_ADD, port->fd, &event) < 0)
			rc = -errno;
	}
	if (rc < 0) {
		inet_ntop(AF_INET, &receiver->settings.group, group, sizeof(group));
		complain(COMMAND, "cannot %s %s:%u: %s%s", step, group, number, strerror(-rc),
			 advice(rc));
	}
	return rc;
}

static int open_ports(struct receiver *receiver)
{
	const struct settings *settings = &receiver->settings;
	int rc = 0;

	raise_file_limit();
	if (settings->ports > 1) {
		receiver->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
		if (receiver->epoll_fd < 0) {
			rc = -errno;
			complain(COMMAND, "cannot wait on several ports: %s", strerror(-rc));
		}
	}
	for (unsigned i = 0; i < settings->ports && rc == 0; i++)
		rc = port_open(receiver, i);
	if (rc == 0 && receiver->rcvbuf_bytes < 2 * settings->rcvbuf)
		complain(COMMAND,
			 "asked for a receive buffer of %llu bytes, got %llu; run as root or raise "
			 "net.core.rmem_max",
			 (unsigned long long)settings->rcvbuf,
			 (unsigned long long)receiver->rcvbuf_bytes / 2);
	return rc;
}

static size_t buffer_bytes(const struct receiver *receiver)
{
	return receiver->gro ? AGGREGATE_MAX : receiver->settings.max_size;
}

static int allocate(struct receiver *receiver)
{
	const struct settings *settings = &receiver->settings;
	size_t room = buffer_bytes(receiver), stride = STRIDE(room);

	receiver->ports = calloc(settings->ports, sizeof(*receiver->ports));
	receiver->buffers = malloc(settings->batch * stride);
	receiver->messages = calloc(settings->batch, sizeof(*receiver->messages));
	receiver->vectors = calloc(settings->batch, sizeof(*receiver->vectors));
	receiver->controls = calloc(settings->batch, sizeof(*receiver->controls));
	if (!receiver->ports || !receiver->buffers || !receiver->messages || !receiver->vectors ||
	    !receiver->controls)
		return -ENOMEM;
	for (unsigned i = 0; i < settings->ports; i++)
		receiver->ports[i].fd = -1;
	for (size_t i = 0; i < settings->batch; i++) {
		receiver->vectors[i] = (struct iovec){receiver->buffers + i * stride, room};
		receiver->messages[i].msg_hdr = (struct msghdr){
			.msg_iov = &receiver->vectors[i],
			.msg_iovlen = 1,
			.msg_control = receiver->gro ? &receiver->controls[i] : NULL,
		};
	}
	return samples_init(&receiver->samples, settings->sample_ms * NS_PER_MS);
}

static int check_settings(const struct settings *settings)
{
	if (strcmp(settings->gro, "on") != 0 && strcmp(settings->gro, "off") != 0)
		return options_refuse(&program, "--gro: '%s' is neither on nor off", settings->gro);
	if (settings->port + settings->ports - 1 > 65535)
		return options_refuse(&program,
				      "--ports %llu goes past port 65535; use a lower "
				      "--port or fewer",
				      (unsigned long long)settings->ports);
	if (settings->busy_poll_us && settings->ports > 1)
		return options_refuse(&program, "--busy-poll works with one port only; drop it or "
						"--ports");
	return 0;
}

/* 0, or negative errno after saying why. */
static int receiver_init(struct receiver *receiver)
{
	const struct settings *settings = &receiver->settings;
	char address[INET_ADDRSTRLEN];
	unsigned mtu;
	int rc;

	receiver->epoll_fd = -1;
	receiver->gro = strcmp(settings->gro, "on") == 0;
	rc = settings->json ? json_file_check(settings->json) : 0;
	if (rc < 0) {
		complain(COMMAND, "cannot write the report %s: %s", settings->json, strerror(-rc));
		return rc;
	}
	rc = interface_mtu(settings->interface, &mtu);
	if (rc < 0) {
		inet_ntop(AF_INET, &settings->interface, address, sizeof(address));
		complain(COMMAND,
			 "cannot receive on %s: no interface has this address; see 'ip -4 addr'",
			 address);
		return rc;
	}
	rc = allocate(receiver);
	if (rc < 0) {
		complain(COMMAND,
			 "out of memory for %llu buffers of %zu bytes; use a smaller --batch%s",
			 (unsigned long long)settings->batch, buffer_bytes(receiver),
			 receiver->gro ? ", or --gro off and a smaller --max-size"
				       : " or --max-size");
		return rc;
	}
	return open_ports(receiver);
}

static void receiver_exit(struct receiver *receiver)
{
	for (unsigned i = 0; receiver->ports && i < receiver->settings.ports; i++)
		if (receiver->ports[i].fd >= 0)
			close(receiver->ports[i].fd);
	if (receiver->epoll_fd >= 0)
		close(receiver->epoll_fd);
	free(receiver->ports);
	free(receiver->buffers);
	free(receiver->messages);
	free(receiver->vectors);
	free(receiver->controls);
	samples_exit(&receiver->samples);
	flows_exit(&receiver->flows);
}

static void announce(struct receiver *receiver)
{
	char group[INET_ADDRSTRLEN];

	inet_ntop(AF_INET, &receiver->settings.group, group, sizeof(group));
	printf("Listening on %s:%llu\n", group, (unsigned long long)receiver->settings.port);
	fflush(stdout);
	receiver->start_ns = now_ns();
	receiver->samples.next_ns = receiver->start_ns;
}

static int receive_and_report(struct receiver *receiver)
{
	int rc, status;

	announce(receiver);
	rc = run(receiver);
	status = recv_report(receiver);
	return rc < 0 ? EXIT_FAILURE : status;
}

int recv_main(int argc, char **argv)
{
	static struct receiver receiver; /* flow table and histogram: 600 KiB */
	int status = EXIT_FAILURE;
	int rc = options_parse(&program, argc, argv, &receiver.settings);

	if (rc != 0)
		return rc > 0 ? EXIT_SUCCESS : EXIT_USAGE;
	if (check_settings(&receiver.settings) < 0)
		return EXIT_USAGE;
	catch_stop_signals();
	if (receiver_init(&receiver) == 0)
		status = receive_and_report(&receiver);
	receiver_exit(&receiver);
	return status;
}
