// SPDX-License-Identifier: MIT
/*
 * trafficgen recv: what became of the packets of 'trafficgen send'. The model is in recv.h; here
 * are its options and its set-up.
 */
#include "common/clock.h"
#include "common/errno_reason.h"
#include "payload.h"
#include "recv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define AGGREGATE_MAX 65535u /* bytes: what an IPv4 packet can hold */

/* Buffers a power of two apart would share few cache sets; an odd number of lines spreads them. */
#define CACHE_LINE    64u
#define STRIDE(bytes) ((((bytes) + CACHE_LINE - 1) / CACHE_LINE | 1) * CACHE_LINE)

#define FIELD(name) offsetof(struct recv_settings, name)

/* clang-format off */
static const struct option_def recv_options[] = {
	{OPTION_HEADING, .help = "Where"},
	{OPTION_IPV4, "interface", "IP", .required = true, .offset = FIELD(common.interface),
	 .help = "IPv4 address of the interface on which to join the group"},
	{OPTION_IPV4, "group", "IP", .required = true, .offset = FIELD(common.group),
	 .help = "multicast group, or a unicast address of this host"},
	{OPTION_UINT, "port", "PORT", .min = 1, .max = 65535, .required = true,
	 .offset = FIELD(common.port), .help = "UDP port"},
	{OPTION_UINT, "ports", "N", .min = 1, .max = 65535, .preset = "1", .offset = FIELD(ports),
	 .help = "listen on the N ports from PORT"},
	{OPTION_FLAG, "no-join", .offset = FIELD(no_join),
	 .help = "do not join the group: another program has, or it is forwarded here"},
	{OPTION_FLAG, "geneve", .offset = FIELD(geneve),
	 .help = "what arrives came through a Geneve tunnel (send --geneve; --port 6081): the UDP datagrams inside are "
		 "accounted for, anything else is foreign and counted by its name"},
	{OPTION_HEADING, .help = "How long"},
	{OPTION_UINT, "count", "N", .min = 1, .max = 1ull << 48, .offset = FIELD(common.count),
	 .help = "stop after N packets (intact, each counted once); exit status 3 when it ends "
		 "with fewer"},
	{OPTION_SECONDS, "duration", "SECONDS", .min = 1, .max = 31536000000, .offset = FIELD(common.duration_ms),
	 .help = "stop that long after 'Listening on'"},
	{OPTION_UINT, "idle-ms", "N", .max = 3600000, .preset = "0", .offset = FIELD(idle_ms),
	 .help = "after the first packet: stop when none arrived for N ms; 0: never"},
	{OPTION_UINT, "first-timeout-ms", "N", .max = 3600000, .preset = "0",
	 .offset = FIELD(first_timeout_ms),
	 .help = "stop when the first packet has not arrived after N ms; 0: wait"},
	{OPTION_HEADING, .help = "How"},
	{OPTION_UINT, "batch", "N", .min = 1, .max = 1024, .preset = "64", .offset = FIELD(common.batch),
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
	{OPTION_FLAG, "verify", .offset = FIELD(common.verify),
	 .help = "check the seal of every packet ('send --verify'); exit status 1 if one is corrupt"},
	RUN_OPTIONS("received"),
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

/* ---- setting up ------------------------------------------------------------------------------ */

static int open_ports(struct receiver *receiver)
{
	const struct recv_settings *settings = &receiver->settings;
	int rc = 0;

	raise_file_limit();
	if (settings->ports > 1) {
		receiver->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
		if (receiver->epoll_fd < 0) {
			rc = -errno;
			complain(&receiver->run, "cannot wait on several ports: %s%s",
				 strerror(-rc), reason_of_shortage(rc));
		}
	}
	for (unsigned i = 0; i < settings->ports && rc == 0; i++)
		rc = port_open(receiver, i);
	if (rc == 0 && receiver->rcvbuf_bytes < 2 * settings->rcvbuf)
		complain(&receiver->run,
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
	const struct recv_settings *settings = &receiver->settings;
	size_t room = buffer_bytes(receiver), stride = STRIDE(room);

	receiver->ports = calloc(settings->ports, sizeof(*receiver->ports));
	receiver->buffers = malloc(settings->common.batch * stride);
	if (!receiver->ports || !receiver->buffers ||
	    batch_init(&receiver->batch, settings->common.batch) < 0)
		return -ENOMEM;
	for (unsigned i = 0; i < settings->ports; i++)
		receiver->ports[i].fd = -1;
	for (size_t i = 0; i < settings->common.batch; i++) {
		receiver->batch.vectors[i] = (struct iovec){receiver->buffers + i * stride, room};
		if (!receiver->gro)
			receiver->batch.messages[i].msg_hdr.msg_control = NULL;
	}
	return 0;
}

static int recv_check(struct run *run)
{
	const struct recv_settings *settings = &((struct receiver *)run)->settings;

	if (strcmp(settings->gro, "on") != 0 && strcmp(settings->gro, "off") != 0)
		return options_refuse(&program, "--gro: '%s' is neither on nor off", settings->gro);
	if (settings->common.port + settings->ports - 1 > 65535)
		return options_refuse(&program,
				      "--ports %llu goes past port 65535; use a lower "
				      "--port or fewer",
				      (unsigned long long)settings->ports);
	if (settings->busy_poll_us && settings->ports > 1)
		return options_refuse(&program, "--busy-poll works with one port only; drop it or "
						"--ports");
	return 0;
}

static int recv_open(struct run *run, unsigned mtu)
{
	struct receiver *receiver = (struct receiver *)run;
	int rc;

	(void)mtu;
	receiver->gro = strcmp(receiver->settings.gro, "on") == 0;
	rc = allocate(receiver);
	if (rc < 0) {
		complain(
			run, "out of memory for %llu buffers of %zu bytes; use a smaller --batch%s",
			(unsigned long long)receiver->settings.common.batch, buffer_bytes(receiver),
			receiver->gro ? ", or --gro off and a smaller --max-size"
				      : " or --max-size");
		return rc;
	}
	return open_ports(receiver);
}

static void recv_close(struct run *run)
{
	struct receiver *receiver = (struct receiver *)run;

	for (unsigned i = 0; receiver->ports && i < receiver->settings.ports; i++)
		port_close(&receiver->ports[i]);
	if (receiver->epoll_fd >= 0)
		close(receiver->epoll_fd);
	free(receiver->ports);
	free(receiver->buffers);
	batch_exit(&receiver->batch);
	flows_exit(&receiver->flows);
}

static void announce(const struct receiver *receiver)
{
	const struct settings *settings = receiver->run.settings;
	char group[INET_ADDRSTRLEN];

	inet_ntop(AF_INET, &settings->group, group, sizeof(group));
	printf("Listening on %s:%llu\n", group, (unsigned long long)settings->port);
	fflush(stdout);
}

static int recv_work(struct run *run)
{
	struct receiver *receiver = (struct receiver *)run;
	int rc, status;

	announce(receiver);
	run_start(run, now_ns());
	rc = receiver_run(receiver);
	status = recv_report(receiver);
	return rc < 0 ? EXIT_FAILURE : status;
}

static const struct job recv_job = {
	.name = "recv",
	.where = "receive on",
	.program = &program,
	.check = recv_check,
	.open = recv_open,
	.work = recv_work,
	.close = recv_close,
};

int recv_main(int argc, char **argv)
{
	static struct receiver receiver; /* flow table, histogram, seconds: 1.4 MiB */

	receiver.run.job = &recv_job;
	receiver.run.settings = &receiver.settings.common;
	receiver.epoll_fd = -1;
	return run_main(&receiver.run, argc, argv);
}
