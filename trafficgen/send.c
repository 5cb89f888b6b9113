// SPDX-License-Identifier: MIT
/*
 * trafficgen send: numbered packets to a group at an exact rate. The model is in send.h; here are
 * its options, what follows from them, and the main thread.
 */
#include "common/clock.h"
#include "common/errno_reason.h"
#include "payload.h"
#include "send.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IP_UDP_HEADERS 28u	       /* bytes: IPv4 without options, UDP */
#define START_DELAY_NS (2 * NS_PER_MS) /* for all threads to be waiting when the first is due */

#define FIELD(name) offsetof(struct send_settings, name)

/* clang-format off */
static const struct option_def send_options[] = {
	{OPTION_HEADING, .help = "Where"},
	{OPTION_IPV4, "interface", "IP", .required = true, .offset = FIELD(common.interface),
	 .help = "IPv4 address of the interface to send from"},
	{OPTION_IPV4, "group", "IP", .required = true, .offset = FIELD(common.group),
	 .help = "destination: a multicast group or a unicast address"},
	{OPTION_UINT, "port", "PORT", .min = 1, .max = 65535, .required = true,
	 .offset = FIELD(common.port), .help = "destination UDP port of the first flow"},
	{OPTION_UINT, "port-step", "N", .max = 65535, .preset = "0", .offset = FIELD(port_step),
	 .help = "flow F goes to port PORT + F * N"},
	{OPTION_UINT, "ttl", "N", .min = 1, .max = 255, .preset = "1", .offset = FIELD(ttl),
	 .help = "time to live; 1 stays on the link"},
	{OPTION_HEADING, .help = "Tunnel"},
	{OPTION_IPV4, "geneve", "IP", .offset = FIELD(geneve),
	 .help = "send through a Geneve tunnel (RFC 8926) to that endpoint: --group, --port and --size are "
		 "those of the IPv4 datagrams inside"},
	{OPTION_UINT, "geneve-port", "PORT", .min = 1, .max = 65535, .preset = "6081",
	 .offset = FIELD(geneve_port), .help = "UDP port of the endpoint"},
	{OPTION_UINT, "vni", "N", .max = GENEVE_VNI_MAX, .preset = "0", .offset = FIELD(vni),
	 .help = "virtual network identifier of the tunnel"},
	{OPTION_UINT, "gwlb-endpoint", "ID", .max = UINT64_MAX - 65536, .preset = "0",
	 .offset = FIELD(gwlb_endpoint),
	 .help = "each packet has the options of a gateway load balancer: this endpoint, this attachment, and "
		 "a cookie that is the flow's number + 1; 0: none"},
	{OPTION_UINT, "gwlb-endpoints", "N", .min = 1, .max = 65536, .preset = "1",
	 .offset = FIELD(gwlb_endpoints), .help = "flow F has endpoint and attachment ID + F modulo N"},
	{OPTION_HEADING, .help = "How much"},
	{OPTION_STRING, "size", "SIZES", .preset = "1400", .offset = FIELD(size),
	 .help = "UDP payload of every packet in bytes, 1 to 65507; or a pattern of sizes, each "
		 "with the number of packets in a row, which every flow repeats: 64x7,576x4,1400; "
		 "or imix: " SIZES_IMIX ", which makes frames of 64, 594 and 1518 bytes"},
	{OPTION_UINT, "rate", "PPS", .max = 1000000000, .required = true,
	 .offset = FIELD(rate_pps),
	 .help = "packets per second of all flows together; 0: as fast as possible"},
	{OPTION_UINT, "burst", "N", .max = 1000000, .preset = "0", .offset = FIELD(burst),
	 .help = "on and off: N packets as fast as they go, then none until as many are due again; 0: "
		 "evenly"},
	{OPTION_UINT, "count", "N", .min = 1, .max = 1ull << 48, .offset = FIELD(common.count),
	 .help = "stop after N packets were offered to the kernel; those it refused are counted, "
		 "not sent"},
	{OPTION_SECONDS, "duration", "SECONDS", .min = 1, .max = 31536000000, .offset = FIELD(common.duration_ms),
	 .help = "stop after that time; with --count: whichever is first"},
	{OPTION_HEADING, .help = "How"},
	{OPTION_UINT, "gso", "N", .min = 1, .max = 64, .preset = "1", .offset = FIELD(gso),
	 .help = "packets per UDP_SEGMENT message at most: the kernel looks up the route once for "
		 "all of them, which are equal in size; plain sends where that cannot work"},
	{OPTION_UINT, "batch", "N", .min = 1, .max = 1024, .preset = "16", .offset = FIELD(common.batch),
	 .help = "messages per system call at most; all packets of a call carry the same send time; "
		 "1: packets leave one by one whenever the rate permits"},
	{OPTION_UINT, "flows", "N", .min = 1, .max = 65536, .offset = FIELD(flows),
	 .help = "flows, each with its own socket, source port and sequence, served in turn: one "
		 "system call each (default: one per thread)"},
	{OPTION_UINT, "first-flow", "N", .max = 65535, .preset = "0", .offset = FIELD(first_flow),
	 .help = "number of the first flow, as packets carry it: generators whose packets meet at one "
		 "receiver number their flows apart"},
	{OPTION_FLAG, "interleave", .offset = FIELD(interleave),
	 .help = "flows take turns by message: one system call each, several to a burst. "
		 "With --gso 1, by packet"},
	{OPTION_UINT, "threads", "N", .min = 1, .max = 256, .preset = "1", .offset = FIELD(threads),
	 .help = "threads; flows and rate are divided among them"},
	{OPTION_UINT, "sndbuf", "BYTES", .min = 4096, .max = 1 << 30, .preset = "4194304",
	 .offset = FIELD(sndbuf), .help = "send buffer of each socket"},
	{OPTION_FLAG, "verify", .offset = FIELD(common.verify),
	 .help = "seal every packet with a hash, for 'recv --verify'"},
	RUN_OPTIONS("sent"),
};
/* clang-format on */

static const struct program program = {
	.name = "trafficgen send",
	.usage = "--interface IP --group IP --port PORT --rate PPS --count N [OPTION]...",
	.purpose = "Sends numbered UDP packets to a group at an exact rate; reports what was sent.",
	.closing = "Exit status: 0 done or interrupted; 1 failed, or no packet could be sent; 64 "
		   "usage.\n\n"
		   "Example: one million 1400-byte packets per second for ten seconds\n"
		   "  trafficgen send --interface 10.0.0.1 --group 239.1.1.1 --port 5000 \\\n"
		   "      --size 1400 --rate 1000000 --count 10000000 --gso 46\n",
	.options = send_options,
};

/* ---- setting up ------------------------------------------------------------------------------ */

static int check_sizes(struct sizes *sizes, const struct send_settings *settings)
{
	int rc = sizes_parse(sizes, settings->size);

	if (rc == -E2BIG)
		return options_refuse(&program, "--size: '%s' repeats after more than %u packets",
				      settings->size, SIZES_COUNT);
	if (rc < 0)
		return options_refuse(&program,
				      "--size: '%s' is not a number of bytes from 1 to %u, nor a "
				      "list such as 64x7,576x4,1400, nor imix",
				      settings->size, PAYLOAD_MAX);
	if (settings->common.verify && sizes->smallest < PAYLOAD_MIN)
		return options_refuse(&program,
				      "--verify needs a --size of %u bytes or more for its seal",
				      PAYLOAD_MIN);
	return 0;
}

static int check_tunnel(struct generator *generator)
{
	const struct send_settings *settings = &generator->settings;
	struct source source = {0};

	if (settings->geneve.s_addr == 0) {
		if (settings->vni || settings->gwlb_endpoint)
			return options_refuse(&program,
					      "--vni and --gwlb-endpoint are of a tunnel; name its "
					      "endpoint with --geneve");
		return 0;
	}
	generator->tunnel_bytes = (unsigned)source_begin_tunnel(&source, settings);
	if (generator->sizes.largest + generator->tunnel_bytes > PAYLOAD_MAX)
		return options_refuse(
			&program,
			"--size: %u bytes and the %u of the tunnel exceed the %u of a "
			"datagram",
			generator->sizes.largest, generator->tunnel_bytes, PAYLOAD_MAX);
	return 0;
}

static int check_settings(struct send_settings *settings)
{
	if (settings->flows == 0)
		settings->flows = settings->threads;
	if (settings->common.count == 0 && settings->common.duration_ms == 0)
		return options_refuse(&program, "--count N or --duration SECONDS is missing");
	if (settings->flows < settings->threads)
		return options_refuse(&program,
				      "--flows %llu leaves threads without work: use at least as "
				      "many flows as --threads %llu",
				      (unsigned long long)settings->flows,
				      (unsigned long long)settings->threads);
	if (settings->common.port + (settings->flows - 1) * settings->port_step > 65535)
		return options_refuse(&program,
				      "--port-step %llu takes the last flow past port "
				      "65535; use a lower --port, --port-step or --flows",
				      (unsigned long long)settings->port_step);
	if (settings->first_flow + settings->flows - 1 > 65535)
		return options_refuse(
			&program,
			"--first-flow %llu numbers the last of %llu flows past 65535; "
			"use a lower --first-flow or fewer --flows",
			(unsigned long long)settings->first_flow,
			(unsigned long long)settings->flows);
	if (settings->burst != 0 &&
	    (settings->rate_pps == 0 || settings->burst < settings->threads))
		return options_refuse(&program, "--burst needs a --rate, and a packet for each of "
						"the --threads at least");
	if (settings->rate_pps != 0 && settings->rate_pps < settings->threads)
		return options_refuse(&program, "--rate is lower than one packet per second and "
						"thread; use fewer --threads");
	return 0;
}

static int send_check(struct run *run)
{
	struct generator *generator = (struct generator *)run;
	int rc = check_sizes(&generator->sizes, &generator->settings);

	if (rc == 0)
		rc = check_settings(&generator->settings);
	return rc < 0 ? rc : check_tunnel(generator);
}

/* The packets of the longest message that this pattern of sizes makes. */
static unsigned longest_message(const struct generator *generator)
{
	unsigned longest = 1;

	for (unsigned i = 0; i < generator->sizes.count; i++) {
		unsigned most =
			message_packets(generator, generator->sizes.of[i] + generator->tunnel_bytes,
					(unsigned)generator->settings.gso);
		unsigned packets = sizes_run(&generator->sizes, i, most);

		if (packets > longest)
			longest = packets;
	}
	return longest;
}

/* What --gso comes to, given what can be known without asking the kernel. */
static void choose_segments(struct generator *generator, unsigned mtu)
{
	unsigned asked = (unsigned)generator->settings.gso;
	unsigned largest = generator->sizes.largest + generator->tunnel_bytes;

	generator->largest_segment = mtu > IP_UDP_HEADERS ? mtu - IP_UDP_HEADERS : 0;
	generator->segments = longest_message(generator);
	if (asked > 1 && largest > generator->largest_segment) {
		complain(&generator->run,
			 "--gso %u: %u-byte payloads do not fit the interface's MTU of %u and "
			 "cannot be segmented; using plain sends for them",
			 asked, largest, mtu);
		atomic_store(&generator->fallback, true);
	} else if (asked > generator->segments && generator->sizes.count == 1) {
		complain(&generator->run,
			 "--gso %u: only %u packets of %u bytes fit a message of %u; using %u",
			 asked, generator->segments, largest, PAYLOAD_MAX, generator->segments);
	}
}

static int allocate(struct generator *generator)
{
	const struct send_settings *settings = &generator->settings;
	size_t sources = settings->flows * sizeof(*generator->sources);
	size_t senders = settings->threads * sizeof(*generator->senders);

	generator->sources = aligned_alloc(CACHE_LINE, sources);
	generator->senders = aligned_alloc(CACHE_LINE, senders);
	if (!generator->sources || !generator->senders ||
	    cpu_times_init(&generator->cpu_times, "/proc/stat") < 0)
		return -ENOMEM;
	memset(generator->sources, 0, sources);
	memset(generator->senders, 0, senders);
	for (unsigned i = 0; i < settings->flows; i++)
		generator->sources[i].fd = -1;
	for (unsigned i = 0; i < settings->threads; i++)
		if (sender_init(&generator->senders[i], generator, i) < 0)
			return -ENOMEM;
	return 0;
}

static int send_open(struct run *run, unsigned mtu)
{
	struct generator *generator = (struct generator *)run;
	const struct send_settings *settings = &generator->settings;
	int rc;

	choose_segments(generator, mtu);
	rc = allocate(generator);
	if (rc < 0) {
		complain(run,
			 "out of memory for %llu packets of each thread; use a smaller "
			 "--batch or --gso",
			 (unsigned long long)(settings->common.batch * generator->segments));
		return rc;
	}
	raise_file_limit();
	for (unsigned i = 0; i < settings->flows && rc == 0; i++)
		rc = source_open(generator, i);
	return rc;
}

static void send_close(struct run *run)
{
	struct generator *generator = (struct generator *)run;

	for (unsigned i = 0; generator->sources && i < generator->settings.flows; i++)
		source_close(&generator->sources[i]);
	for (unsigned i = 0; generator->senders && i < generator->settings.threads; i++)
		sender_exit(&generator->senders[i]);
	free(generator->sources);
	free(generator->senders);
	cpu_times_exit(&generator->cpu_times);
}

/* ---- the main thread while the senders work -------------------------------------------------- */

static void show_progress(struct generator *generator, uint64_t at_ns, uint64_t sent)
{
	const struct send_settings *settings = &generator->settings;
	double elapsed = (double)(at_ns - generator->run.start_ns) / 1e9;
	double pps = elapsed > 0 ? (double)sent / elapsed : 0;
	double left = settings->common.duration_ms
			      ? (double)settings->common.duration_ms / 1000 - elapsed
			      : 1e18;

	if (settings->common.count && pps > 0 &&
	    (double)(settings->common.count - sent) / pps < left)
		left = (double)(settings->common.count - sent) / pps;
	run_progress(&generator->run, "%llu sent, %.0f pps, %.0f s left", (unsigned long long)sent,
		     pps, left < 1e9 ? left : 0);
}

/* Samples until every sender has finished. */
static void watch(struct generator *generator)
{
	struct run *run = &generator->run;
	unsigned finished = 0;

	sleep_until(run->start_ns);
	while (finished < generator->settings.threads) {
		uint64_t now = now_ns(), sent = sent_so_far(generator);
		struct timespec next;

		if (run_observe(run, now, sent))
			cpu_times_take(&generator->cpu_times, now);
		if (run_progress_due(run, now))
			show_progress(generator, now, sent);
		next.tv_sec = (time_t)(run->samples.next_ns / NS_PER_SECOND);
		next.tv_nsec = (long)(run->samples.next_ns % NS_PER_SECOND);
		if (sem_clockwait(&generator->finished, CLOCK_MONOTONIC, &next) == 0)
			finished++;
	}
	run_progress_end(run);
}

/* Signals go to the main thread: a sender's system calls are never cut short by one. */
static int start_senders(struct generator *generator, unsigned *started)
{
	sigset_t all, before;
	int rc = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	run_start(&generator->run, now_ns() + START_DELAY_NS);
	for (*started = 0; *started < generator->settings.threads && rc == 0; *started += rc == 0) {
		sender_set_pace(&generator->senders[*started], *started);
		rc = -pthread_create(&generator->senders[*started].thread, NULL, sender_run,
				     &generator->senders[*started]);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc < 0) {
		complain(&generator->run, "cannot start thread %u: %s%s; use fewer --threads",
			 *started, strerror(-rc), reason_of_shortage(rc));
		atomic_store_explicit(&stop_requested, true, memory_order_relaxed);
	}
	return rc;
}

static int run_senders(struct generator *generator)
{
	unsigned started;
	int rc;

	sem_init(&generator->finished, 0, 0);
	rc = start_senders(generator, &started);
	if (rc == 0)
		watch(generator);
	for (unsigned i = 0; i < started; i++)
		pthread_join(generator->senders[i].thread, NULL);
	cpu_times_take(&generator->cpu_times, now_ns());
	sem_destroy(&generator->finished);
	return rc;
}

static int send_work(struct run *run)
{
	struct generator *generator = (struct generator *)run;

	return run_senders(generator) == 0 ? send_report(generator) : EXIT_FAILURE;
}

static const struct job send_job = {
	.name = "send",
	.where = "send from",
	.program = &program,
	.check = send_check,
	.open = send_open,
	.work = send_work,
	.close = send_close,
};

int send_main(int argc, char **argv)
{
	struct generator generator = {.run.job = &send_job,
				      .run.settings = &generator.settings.common};

	return run_main(&generator.run, argc, argv);
}
