// SPDX-License-Identifier: MIT
/*
 * trafficgen send: numbered packets to a group at an exact rate.
 *
 * The model is in send.h.
 *
 * A packet counts as sent when the kernel took it. What a queue or device drops afterwards is in
 * the interface's counters: IP_RECVERR would report some of these drops to the sender, but for a
 * segmented message only that of its last segment, and the account would be wrong.
 */
#include "send.h"
#include "common/json_file.h"
#include "payload.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/udp.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define IP_UDP_HEADERS 28u		 /* bytes: IPv4 without options, UDP */
#define START_DELAY_NS (2 * NS_PER_MS)	 /* for all threads to be waiting when the first is due */
#define STOP_CHECK_NS  (100 * NS_PER_MS) /* longest time during which a stop goes unnoticed */
#define REFUSAL_NAP_NS (100 * NS_PER_US) /* unpaced: after a refusal, instead of spinning */

#define FIELD(name) offsetof(struct settings, name)

/* clang-format off */
const struct option_def send_options[] = {
	{OPTION_HEADING, .help = "Where"},
	{OPTION_IPV4, "interface", "IP", .required = true, .offset = FIELD(interface),
	 .help = "IPv4 address of the interface to send from"},
	{OPTION_IPV4, "group", "IP", .required = true, .offset = FIELD(group),
	 .help = "destination: a multicast group or a unicast address"},
	{OPTION_UINT, "port", "PORT", .min = 1, .max = 65535, .required = true,
	 .offset = FIELD(port), .help = "destination UDP port of the first flow"},
	{OPTION_UINT, "port-step", "N", .max = 65535, .preset = "0", .offset = FIELD(port_step),
	 .help = "flow F goes to port PORT + F * N"},
	{OPTION_UINT, "ttl", "N", .min = 1, .max = 255, .preset = "1", .offset = FIELD(ttl),
	 .help = "time to live; 1 stays on the link"},
	{OPTION_HEADING, .help = "How much"},
	{OPTION_STRING, "size", "SIZES", .preset = "1400", .offset = FIELD(size),
	 .help = "UDP payload of every packet in bytes, 1 to 65507; or a pattern of sizes, each "
		 "with the number of packets in a row, which every flow repeats: 64x7,576x4,1400; "
		 "or imix: " SIZES_IMIX ", which makes frames of 64, 594 and 1518 bytes"},
	{OPTION_UINT, "rate", "PPS", .max = 1000000000, .required = true,
	 .offset = FIELD(rate_pps),
	 .help = "packets per second of all flows together; 0: as fast as possible"},
	{OPTION_UINT, "count", "N", .min = 1, .max = 1ull << 48, .offset = FIELD(count),
	 .help = "stop after N packets were offered to the kernel; those it refused are counted, "
		 "not sent"},
	{OPTION_SECONDS, "duration", "SECONDS", .min = 1, .max = 31536000000, .offset = FIELD(duration_ms),
	 .help = "stop after that time; with --count: whichever is first"},
	{OPTION_HEADING, .help = "How"},
	{OPTION_UINT, "gso", "N", .min = 1, .max = 64, .preset = "1", .offset = FIELD(gso),
	 .help = "packets per UDP_SEGMENT message at most: the kernel looks up the route once for "
		 "all of them, which are equal in size; plain sends where that cannot work"},
	{OPTION_UINT, "batch", "N", .min = 1, .max = 1024, .preset = "16", .offset = FIELD(batch),
	 .help = "messages per system call at most; all packets of a call carry the same send time; "
		 "1: packets leave one by one whenever the rate permits"},
	{OPTION_UINT, "flows", "N", .min = 1, .max = 65536, .offset = FIELD(flows),
	 .help = "flows, each with its own socket, source port and sequence, served in turn: one "
		 "system call each (default: one per thread)"},
	{OPTION_FLAG, "interleave", .offset = FIELD(interleave),
	 .help = "flows take turns by message: one system call each, several to a burst. "
		 "With --gso 1, by packet"},
	{OPTION_UINT, "threads", "N", .min = 1, .max = 256, .preset = "1", .offset = FIELD(threads),
	 .help = "threads; flows and rate are divided among them"},
	{OPTION_UINT, "sndbuf", "BYTES", .min = 4096, .max = 1 << 30, .preset = "4194304",
	 .offset = FIELD(sndbuf), .help = "send buffer of each socket"},
	{OPTION_FLAG, "verify", .offset = FIELD(verify),
	 .help = "seal every packet with a hash, for 'recv --verify'"},
	{OPTION_HEADING, .help = "Report"},
	{OPTION_STRING, "json", "FILE", .offset = FIELD(json),
	 .help = "write the full report to FILE as JSON, whole or not at all"},
	{OPTION_UINT, "sample-ms", "N", .min = 1, .max = 3600000, .preset = "100",
	 .offset = FIELD(sample_ms), .help = "record the number of packets sent every N ms"},
	{OPTION_FLAG, "quiet", .offset = FIELD(quiet), .help = "no progress on a terminal"},
	{OPTION_END},
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

/* ---- the sender thread --------------------------------------------------------------------- */

static struct source *sender_next_source(struct sender *sender)
{
	const struct settings *settings = &sender->run->settings;
	struct source *source = &sender->run->sources[sender->next_source];

	sender->next_source += (unsigned)settings->threads;
	if (sender->next_source >= settings->flows)
		sender->next_source = sender->first_source;
	return source;
}

/* How many packets of that size one message may hold. */
static unsigned segments_of(const struct run *run, unsigned size, unsigned gso)
{
	unsigned fit = PAYLOAD_MAX / size;

	if (size > run->largest_segment)
		return 1;
	return gso < fit ? gso : fit;
}

/* Message number `index` is to be `packets` of `size` bytes at `bytes`. */
static void sender_lay_message(struct sender *sender, unsigned index, struct source *source,
			       uint8_t *bytes, unsigned packets, uint16_t size)
{
	struct msghdr *header = &sender->messages[index].msg_hdr;

	sender->vectors[index] = (struct iovec){bytes, (size_t)packets * size};
	sender->packets_in[index] = (uint16_t)packets;
	memcpy(CMSG_DATA(&sender->controls[index].header), &size, sizeof(size));
	header->msg_name = &source->to;
	header->msg_controllen = packets > 1 ? sizeof(*sender->controls) : 0;
}

/* Lays out up to a batch of messages of what is due, in which no message is cut short unless it is
 * the only one; returns their number. */
static unsigned sender_prepare(struct sender *sender, struct source *source, uint64_t due,
			       uint64_t sent_ns)
{
	const struct run *run = sender->run;
	unsigned most = run->settings.interleave ? 1 : (unsigned)run->settings.batch;
	struct payload payload = {source->flow, source->next_sequence, sent_ns};
	uint8_t *at = sender->packets;
	unsigned messages = 0;

	while (messages < most && due > 0) {
		uint16_t size = sizes_of(&run->sizes, payload.sequence);
		unsigned packets = sizes_run(&run->sizes, payload.sequence,
					     segments_of(run, size, sender->gso));

		if (packets > due && messages > 0)
			break;
		if (packets > due)
			packets = (unsigned)due;
		sender_lay_message(sender, messages++, source, at, packets, size);
		due -= packets;
		/* the header of a shorter packet ends in the next one, which is written then */
		for (; packets > 0; packets--, payload.sequence++, at += size) {
			payload_write(at, &payload);
			if (run->settings.verify)
				payload_seal(at, size);
		}
	}
	return messages;
}

/* What the kernel says of a segmented message that this path cannot carry: EIO without checksum
 * offload (before 6.11) or under IPsec; EINVAL or, on newer kernels, EMSGSIZE when the route's MTU
 * is smaller than the interface's. */
static bool refuses_gso(int error)
{
	return error == EIO || error == EINVAL || error == EMSGSIZE;
}

/* Plain sends from here on; nothing of the refused message counts as sent or as an error. */
static void sender_give_up_gso(struct sender *sender, int error)
{
	struct run *run = sender->run;

	sender->gso = 1;
	pacer_set_burst(&sender->pacer, 1, run->settings.batch);
	if (!atomic_exchange(&run->fallback, true))
		complain(COMMAND,
			 "the kernel refuses segmented messages here (%s); going on with plain "
			 "sends",
			 strerrorname_np(error));
}

static void sleep_until(uint64_t ns)
{
	struct timespec at = {(time_t)(ns / NS_PER_SECOND), (long)(ns % NS_PER_SECOND)};

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

/* The first message of the call was refused; the others were not tried. */
static void sender_refused(struct sender *sender, int error, uint64_t at_ns)
{
	unsigned refused = sender->packets_in[0];

	if (error == EINTR)
		return;
	if (refused > 1 && refuses_gso(error)) {
		sender_give_up_gso(sender, error);
		return;
	}
	/* they had their turn: the pace goes on, and so does the run towards its end */
	pacer_release(&sender->pacer, refused);
	sender->refused[error < ERRNO_COUNT ? error : 0] += refused;
	if (sender->run->settings.rate_pps == 0)
		sleep_until(at_ns + REFUSAL_NAP_NS);
}

/* One system call: up to a batch of messages of one flow. */
static void sender_send(struct sender *sender, uint64_t due, uint64_t at_ns)
{
	struct source *source = sender_next_source(sender);
	unsigned messages = sender_prepare(sender, source, due, at_ns);
	int taken = sendmmsg(source->fd, sender->messages, messages, 0);
	unsigned sent = 0;

	sender->send_calls++;
	if (taken < 0) {
		sender_refused(sender, errno, at_ns);
		return;
	}
	for (int i = 0; i < taken; i++) {
		sent += sender->packets_in[i];
		sender->bytes_sent += sender->vectors[i].iov_len;
	}
	source->next_sequence += sent;
	pacer_release(&sender->pacer, sent);
	atomic_fetch_add_explicit(&sender->packets_sent, sent, memory_order_relaxed);
}

static void *sender_run(void *argument)
{
	struct sender *sender = argument;
	uint64_t now, due, wake;

	prctl(PR_SET_TIMERSLACK, 1ul); /* ns; the default adds 50 us to every sleep */
	while (!atomic_load_explicit(&stop_requested, memory_order_relaxed)) {
		now = now_ns();
		if (pacer_done(&sender->pacer, now))
			break;
		due = pacer_due(&sender->pacer, now);
		if (due > 0) {
			sender_send(sender, due, now);
			continue;
		}
		wake = pacer_wake_ns(&sender->pacer);
		sleep_until(wake < now + STOP_CHECK_NS ? wake : now + STOP_CHECK_NS);
	}
	sender->end_ns = now_ns();
	sem_post(&sender->run->finished);
	return NULL;
}

/* ---- setting up ------------------------------------------------------------------------------ */

static int check_sizes(struct sizes *sizes, const struct settings *settings)
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
	if (settings->verify && sizes->smallest < PAYLOAD_MIN)
		return options_refuse(&program,
				      "--verify needs a --size of %u bytes or more for its seal",
				      PAYLOAD_MIN);
	return 0;
}

static int check_settings(struct settings *settings)
{
	if (settings->flows == 0)
		settings->flows = settings->threads;
	if (settings->count == 0 && settings->duration_ms == 0)
		return options_refuse(&program, "--count N or --duration SECONDS is missing");
	if (settings->flows < settings->threads)
		return options_refuse(&program,
				      "--flows %llu leaves threads without work: use at least as "
				      "many flows as --threads %llu",
				      (unsigned long long)settings->flows,
				      (unsigned long long)settings->threads);
	if (settings->port + (settings->flows - 1) * settings->port_step > 65535)
		return options_refuse(&program,
				      "--port-step %llu takes the last flow past port "
				      "65535; use a lower --port, --port-step or --flows",
				      (unsigned long long)settings->port_step);
	if (settings->rate_pps != 0 && settings->rate_pps < settings->threads)
		return options_refuse(&program, "--rate is lower than one packet per second and "
						"thread; use fewer --threads");
	return 0;
}

/* The packets of the longest message that this pattern of sizes makes. */
static unsigned longest_message(const struct run *run)
{
	unsigned longest = 1;

	for (unsigned i = 0; i < run->sizes.count; i++) {
		unsigned most = segments_of(run, run->sizes.of[i], (unsigned)run->settings.gso);
		unsigned packets = sizes_run(&run->sizes, i, most);

		if (packets > longest)
			longest = packets;
	}
	return longest;
}

/* What --gso comes to, given what can be known without asking the kernel. */
static void choose_segments(struct run *run, unsigned mtu)
{
	unsigned asked = (unsigned)run->settings.gso;

	run->largest_segment = mtu > IP_UDP_HEADERS ? mtu - IP_UDP_HEADERS : 0;
	run->segments = longest_message(run);
	if (asked > 1 && run->sizes.largest > run->largest_segment) {
		complain(COMMAND,
			 "--gso %u: %u-byte payloads do not fit the interface's MTU of %u and "
			 "cannot be segmented; using plain sends for them",
			 asked, run->sizes.largest, mtu);
		atomic_store(&run->fallback, true);
	} else if (asked > run->segments && run->sizes.count == 1) {
		complain(COMMAND,
			 "--gso %u: only %u packets of %u bytes fit a message of %u; using %u",
			 asked, run->segments, run->sizes.largest, PAYLOAD_MAX, run->segments);
	}
}

static int set_option(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) < 0 ? -errno : 0;
}

static int source_configure(const struct source *source, const struct settings *settings)
{
	struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr = settings->interface};
	struct ip_mreqn interface = {.imr_address = settings->interface};
	struct timeval patience = {.tv_usec = STOP_CHECK_NS / NS_PER_US};
	int fd = source->fd, rc;

	if (bind(fd, (const struct sockaddr *)&from, sizeof(from)) < 0 ||
	    setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &interface, sizeof(interface)) < 0 ||
	    /* a queue that stays full shows up as EAGAIN instead of a thread that never ends */
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0)
		return -errno;
	if ((rc = set_option(fd, IPPROTO_IP, IP_MULTICAST_LOOP, 0)) < 0 ||
	    (rc = set_option(fd, IPPROTO_IP, IP_MULTICAST_TTL, (int)settings->ttl)) < 0 ||
	    (rc = set_option(fd, IPPROTO_IP, IP_TTL, (int)settings->ttl)) < 0 ||
	    (rc = set_option(fd, SOL_SOCKET, SO_BROADCAST, 1)) < 0)
		return rc;
	/* beyond net.core.wmem_max with CAP_NET_ADMIN, up to it without */
	if (set_option(fd, SOL_SOCKET, SO_SNDBUFFORCE, (int)settings->sndbuf) < 0 &&
	    (rc = set_option(fd, SOL_SOCKET, SO_SNDBUF, (int)settings->sndbuf)) < 0)
		return rc;
	return 0;
}

static int source_open(struct run *run, unsigned flow)
{
	const struct settings *settings = &run->settings;
	struct source *source = &run->sources[flow];
	int rc;

	source->flow = (uint16_t)flow;
	source->to.sin_family = AF_INET;
	source->to.sin_addr = settings->group;
	source->to.sin_port = htons((uint16_t)(settings->port + flow * settings->port_step));
	source->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (source->fd < 0) {
		rc = -errno;
		complain(COMMAND, "cannot open the socket of flow %u: %s; %s", flow, strerror(-rc),
			 rc == -EMFILE ? "use fewer --flows or raise 'ulimit -Hn'"
				       : "check the system's limits");
		return rc;
	}
	rc = source_configure(source, settings);
	if (rc < 0) {
		char from[INET_ADDRSTRLEN];

		inet_ntop(AF_INET, &settings->interface, from, sizeof(from));
		complain(COMMAND, "cannot set up the socket of flow %u on %s: %s; see 'ip -4 addr'",
			 flow, from, strerror(-rc));
	}
	return rc;
}

/* This sender's part of a total: parts differ by one at most and add up. */
static uint64_t share(uint64_t total, uint64_t parts, uint64_t index)
{
	return total / parts + (index < total % parts);
}

static void sender_set_pace(struct sender *sender, unsigned index)
{
	const struct settings *settings = &sender->run->settings;
	struct pacer *pacer = &sender->pacer;

	pacer->rate_pps = share(settings->rate_pps, settings->threads, index);
	pacer->start_ns = sender->run->start_ns;
	pacer->limit = PACER_NO_LIMIT;
	pacer->end_ns = PACER_NO_LIMIT;
	if (settings->count)
		pacer->limit = share(settings->count, settings->threads, index);
	if (settings->duration_ms)
		pacer->end_ns = pacer->start_ns + settings->duration_ms * NS_PER_MS;
	pacer_set_burst(pacer, sender->run->segments, settings->batch);
}

/* Bytes that a batch can take: of each message, and what the header of a short last packet exceeds.
 */
static size_t batch_bytes(const struct run *run)
{
	size_t message = (size_t)run->segments * run->sizes.largest;

	if (message > PAYLOAD_MAX)
		message = PAYLOAD_MAX;
	return run->settings.batch * message + PAYLOAD_MIN;
}

static int sender_init(struct sender *sender, struct run *run, unsigned index)
{
	size_t batch = run->settings.batch, bytes = batch_bytes(run);

	sender->run = run;
	sender->gso = (unsigned)run->settings.gso;
	sender->first_source = sender->next_source = index;
	sender->packets = malloc(bytes);
	sender->messages = calloc(batch, sizeof(*sender->messages));
	sender->vectors = calloc(batch, sizeof(*sender->vectors));
	sender->controls = calloc(batch, sizeof(*sender->controls));
	sender->packets_in = calloc(batch, sizeof(*sender->packets_in));
	if (!sender->packets || !sender->messages || !sender->vectors || !sender->controls ||
	    !sender->packets_in)
		return -ENOMEM;
	payload_fill(sender->packets, bytes, 0);
	for (size_t i = 0; i < batch; i++) {
		sender->controls[i].header =
			(struct cmsghdr){CMSG_LEN(sizeof(uint16_t)), SOL_UDP, UDP_SEGMENT};
		sender->messages[i].msg_hdr = (struct msghdr){
			.msg_namelen = sizeof(struct sockaddr_in),
			.msg_iov = &sender->vectors[i],
			.msg_iovlen = 1,
			.msg_control = &sender->controls[i],
		};
	}
	return 0;
}

static int run_allocate(struct run *run)
{
	const struct settings *settings = &run->settings;
	size_t sources = settings->flows * sizeof(*run->sources);
	size_t senders = settings->threads * sizeof(*run->senders);

	run->sources = aligned_alloc(CACHE_LINE, sources);
	run->senders = aligned_alloc(CACHE_LINE, senders);
	if (!run->sources || !run->senders)
		return -ENOMEM;
	memset(run->sources, 0, sources);
	memset(run->senders, 0, senders);
	for (unsigned i = 0; i < settings->flows; i++)
		run->sources[i].fd = -1;
	for (unsigned i = 0; i < settings->threads; i++)
		if (sender_init(&run->senders[i], run, i) < 0)
			return -ENOMEM;
	return samples_init(&run->samples, settings->sample_ms * NS_PER_MS);
}

/* 0, or negative errno after saying why. */
static int run_init(struct run *run)
{
	const struct settings *settings = &run->settings;
	char address[INET_ADDRSTRLEN];
	unsigned mtu;
	int rc;

	rc = settings->json ? json_file_check(settings->json) : 0;
	if (rc < 0) {
		complain(COMMAND, "cannot write the report %s: %s", settings->json, strerror(-rc));
		return rc;
	}
	rc = interface_mtu(settings->interface, &mtu);
	if (rc < 0) {
		inet_ntop(AF_INET, &settings->interface, address, sizeof(address));
		complain(COMMAND,
			 "cannot send from %s: no interface has this address; see 'ip -4 addr'",
			 address);
		return rc;
	}
	choose_segments(run, mtu);
	rc = run_allocate(run);
	if (rc < 0) {
		complain(COMMAND,
			 "out of memory for %llu packets of each thread; use a smaller "
			 "--batch or --gso",
			 (unsigned long long)(settings->batch * run->segments));
		return rc;
	}
	raise_file_limit();
	for (unsigned i = 0; i < settings->flows && rc == 0; i++)
		rc = source_open(run, i);
	return rc;
}

static void run_exit(struct run *run)
{
	for (unsigned i = 0; run->sources && i < run->settings.flows; i++)
		if (run->sources[i].fd >= 0)
			close(run->sources[i].fd);
	for (unsigned i = 0; run->senders && i < run->settings.threads; i++) {
		free(run->senders[i].packets);
		free(run->senders[i].messages);
		free(run->senders[i].vectors);
		free(run->senders[i].controls);
		free(run->senders[i].packets_in);
	}
	free(run->sources);
	free(run->senders);
	samples_exit(&run->samples);
}

/* ---- the main thread while the senders work -------------------------------------------------- */

static void show_progress(const struct run *run, uint64_t at_ns, uint64_t sent)
{
	const struct settings *settings = &run->settings;
	double elapsed = (double)(at_ns - run->start_ns) / 1e9;
	double pps = elapsed > 0 ? (double)sent / elapsed : 0;
	double left = settings->duration_ms ? (double)settings->duration_ms / 1000 - elapsed : 1e18;

	if (settings->count && pps > 0 && (double)(settings->count - sent) / pps < left)
		left = (double)(settings->count - sent) / pps;
	fprintf(stderr, "\r%llu sent, %.0f pps, %.0f s left\033[K", (unsigned long long)sent, pps,
		left < 1e9 ? left : 0);
}

/* Samples until every sender has finished. */
static void watch(struct run *run)
{
	bool progress = !run->settings.quiet;
	bool shown = false;
	unsigned finished = 0;

	sleep_until(run->start_ns);
	while (finished < run->settings.threads) {
		uint64_t now = now_ns(), sent = sent_so_far(run);
		struct timespec next;

		if (now >= run->samples.next_ns)
			samples_take(&run->samples, now, sent);
		if (progress && progress_due(now)) {
			show_progress(run, now, sent);
			shown = true;
		}
		next.tv_sec = (time_t)(run->samples.next_ns / NS_PER_SECOND);
		next.tv_nsec = (long)(run->samples.next_ns % NS_PER_SECOND);
		if (sem_clockwait(&run->finished, CLOCK_MONOTONIC, &next) == 0)
			finished++;
	}
	if (shown)
		fputs("\r\033[K", stderr);
}

/* Signals go to the main thread: a sender's system calls are never cut short by one. */
static int start_senders(struct run *run, unsigned *started)
{
	sigset_t all, before;
	int rc = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	run->start_ns = now_ns() + START_DELAY_NS;
	run->samples.next_ns = run->start_ns;
	for (*started = 0; *started < run->settings.threads && rc == 0; *started += rc == 0) {
		sender_set_pace(&run->senders[*started], *started);
		rc = -pthread_create(&run->senders[*started].thread, NULL, sender_run,
				     &run->senders[*started]);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc < 0) {
		complain(COMMAND, "cannot start thread %u: %s; use fewer --threads", *started,
			 strerror(-rc));
		atomic_store_explicit(&stop_requested, true, memory_order_relaxed);
	}
	return rc;
}

static int run_senders(struct run *run)
{
	unsigned started;
	int rc;

	sem_init(&run->finished, 0, 0);
	rc = start_senders(run, &started);
	if (rc == 0)
		watch(run);
	for (unsigned i = 0; i < started; i++)
		pthread_join(run->senders[i].thread, NULL);
	sem_destroy(&run->finished);
	return rc;
}

int send_main(int argc, char **argv)
{
	struct run run = {0};
	int status = EXIT_FAILURE;
	int rc = options_parse(&program, argc, argv, &run.settings);

	if (rc != 0)
		return rc > 0 ? EXIT_SUCCESS : EXIT_USAGE;
	if (check_sizes(&run.sizes, &run.settings) < 0 || check_settings(&run.settings) < 0)
		return EXIT_USAGE;
	catch_stop_signals();
	if (run_init(&run) == 0 && run_senders(&run) == 0) {
		status = send_report(&run);
	}
	run_exit(&run);
	return status;
}
