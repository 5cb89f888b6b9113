// SPDX-License-Identifier: MIT
/* config: see config.h. Each option stands once, here. */
#include "supervisor/config.h"
#include "contract/control_path.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIELD(member) .offset = offsetof(struct config, member)

static const char control_preset[] = CONTROL_PATH_DEFAULT;

/* clang-format off */
static const struct option_def config_options[] = {
	{OPTION_HEADING, .help = "Rules"},
	{OPTION_STRING, "config", .arg = "FILE", FIELD(rule_file),
	 .help = "rule file (JSON); may be left out when there is a control socket"},
	{OPTION_STRING, "check", .arg = "FILE", FIELD(check_file),
	 .help = "say of each rule in FILE whether it would run on this host, wait (and for what) or be "
		 "refused, and exit; nothing is started or changed, and no privileges are needed. With "
		 "--log-format json, a JSON object for each rule. Exit status: 0 if all would run, 3 if "
		 "one would not yet, 1 if the file would be refused"},
	{OPTION_STRING, "control-socket-path", .arg = "PATH|none", .preset = control_preset,
	 FIELD(control_path),
	 .help = "Unix socket for mcrelayctl, mode 0600; its folder is made if it is missing. One that another "
		 "relay uses ends the start. none: there is no socket"},
	{OPTION_STRING, "control-group", .arg = "GROUP", FIELD(control_group),
	 .help = "group that may use the control socket as well (mode 0660)"},

	{OPTION_HEADING, .help = "Workers"},
	{OPTION_UINT, "num-workers", .arg = "N", .min = 1, .max = WORKERS_MAX, .preset = "1",
	 FIELD(num_workers), .help = "worker processes; flows are divided among them"},
	{OPTION_STRING, "cpus", .arg = "LIST", FIELD(cpu_list),
	 .help = "CPUs for the workers in turn, such as 2,3,6-9 (default: any)"},
	{OPTION_STRING, "fanout", .arg = "hash|cpu", .preset = "hash", FIELD(fanout),
	 .help = "how several workers share an interface: hash keeps a flow and its order on one worker, "
		 "cpu gives a packet to the worker of the CPU that received it"},
	{OPTION_STRING, "user", .arg = "USER[:GROUP]", .preset = "nobody", FIELD(user),
	 .help = "unprivileged user that the workers run as, and group, if not the user's own: names or numbers; "
		 "the group of a number that has no name on this host is the same number"},

	{OPTION_STRING, "thread-model", .arg = SETTING_WORDS(THREAD_MODELS), .preset = "unified", FIELD(thread_model),
	 .help = "one thread per worker, or one that receives and one that sends"},
	{OPTION_STRING, "wakeup", .arg = SETTING_WORDS(WAKEUP_MODES), .preset = "hybrid", FIELD(wakeup),
	 .help = "how the sending thread of the split model waits: it spins; it sleeps; it spins a while, "
		 "then sleeps"},

	{OPTION_HEADING, .help = "Ingress"},
	{OPTION_STRING, "ingress", .arg = SETTING_WORDS(INGRESS_MODES), .preset = "ring", FIELD(ingress),
	 .help = "receive from a memory-mapped packet ring, or through io_uring into buffers of the pool"},
	{OPTION_UINT, "buffer-pool-small", .arg = "N", .env = "MCR_BUFFER_POOL_SMALL", .min = 16,
	 .max = 32768, .preset = "1000", FIELD(pool_small),
	 .help = "buffers of 2 KiB in a worker's pool (uring ingress, MTU up to 1500)"},
	{OPTION_UINT, "buffer-pool-standard", .arg = "N", .env = "MCR_BUFFER_POOL_STANDARD", .min = 16,
	 .max = 32768, .preset = "500", FIELD(pool_standard),
	 .help = "buffers of 4 KiB (MTU up to 3500)"},
	{OPTION_UINT, "buffer-pool-jumbo", .arg = "N", .env = "MCR_BUFFER_POOL_JUMBO", .min = 16,
	 .max = 32768, .preset = "200", FIELD(pool_jumbo),
	 .help = "buffers of 16 KiB (larger MTUs), or of 68 KiB for aggregates with --gro"},
	{OPTION_UINT, "num-recv-buffers", .arg = "N", .env = "MCR_NUM_RECV_BUFFERS", .min = 1,
	 .max = 4096, .preset = "32", FIELD(num_recv_buffers),
	 .help = "buffers that wait for packets of an interface at a time (uring ingress)"},
	{OPTION_FLAG, "exclusive", FIELD(exclusive),
	 .help = "keep the packets of the rules from the host's own IP stack, which saves the "
		 "receiving core about a third of its time; no other program of this host receives "
		 "those groups and ports on that interface meanwhile (Linux 6.6)"},
	{OPTION_FLAG, "gro", FIELD(gro),
	 .help = "let the interfaces that rules receive on aggregate datagrams before they reach the relay "
		 "(turns rx-gro and rx-udp-gro-forwarding on, and off again at exit); an aggregate is "
		 "forwarded as one, and leaves as packets"},
	{OPTION_UINT, "ring-slots", .arg = "N", .min = 0, .max = 65536, .preset = "0",
	 FIELD(ring_slots),
	 .help = "frames that an interface's receive ring holds; even, from 16 on; 0: 4096, or fewer large "
		 "ones"},
	{OPTION_UINT, "ring-slot-bytes", .arg = "BYTES", .min = 0, .max = 131072, .preset = "0",
	 FIELD(ring_slot_bytes),
	 .help = "size of its slots, 2048 or a multiple of 4096; 0: a frame of the interface's MTU, 16384 at "
		 "most. Larger frames have a ring of their own"},
	{OPTION_UINT, "ring-large-slots", .arg = "N", .min = 0, .max = 4096, .preset = "0",
	 FIELD(ring_large_slots),
	 .help = "frames that an interface's other ring holds, of any size up to 64 KiB: aggregates of GRO or of "
		 "local senders, and what does not fit --ring-slot-bytes; even, from 16 on; 0: 60, or 240 with "
		 "--gro"},

	{OPTION_HEADING, .help = "Egress"},
	{OPTION_STRING, "egress", .arg = SETTING_WORDS(EGRESS_MODES), .preset = "uring", FIELD(egress),
	 .help = "system call that sends: io_uring_enter(2), or sendmmsg(2) per output. With --ingress ring, "
		 "the latter needs no io_uring"},
	{OPTION_STRING, "egress-reap", .arg = SETTING_WORDS(REAP_MODES), .preset = "sync", FIELD(reap),
	 .help = "when sends are submitted, and finished ones give their buffers back: in the turn, waiting "
		 "for all; in the turn, without waiting; one turn later"},
	{OPTION_UINT, "queue-depth", .arg = "N", .min = 1, .max = 32768, .preset = "1024",
	 FIELD(queue_depth), .help = "io_uring submission entries: sends in flight at most"},
	{OPTION_UINT, "send-batch", .arg = "N", .min = 1, .max = 1024, .preset = "64",
	 FIELD(send_batch), .help = "packets taken off a ring before their sends are submitted and reaped"},
	{OPTION_FLAG, "yield", FIELD(yield),
	 .help = "let others on the same core run after each turn: relays in a row that share a core pass "
		 "bursts on while they are in its cache; beside a program that never sleeps, the relay "
		 "gets little of the core"},
	{OPTION_UINT, "socket-sndbuf", .arg = "BYTES", .env = "MCR_SOCKET_SNDBUF", .min = 4096,
	 .max = INT32_MAX / 2, .preset = "4194304", FIELD(socket_sndbuf),
	 .help = "send buffer of each egress socket (SO_SNDBUF)"},
	{OPTION_STRING, "gso", .arg = SETTING_WORDS(GSO_MODES), .preset = "auto", FIELD(gso),
	 .help = "coalesce equal-sized neighbours into UDP GSO sends: always try; never, every packet is a "
		 "send of its own; until an output's interface refuses packets of that size"},

	{OPTION_HEADING, .help = "Statistics"},
	{OPTION_UINT, "stats-interval-ms", .arg = "MS", .env = "MCR_STATS_INTERVAL_MS", .min = 0,
	 .max = 86400000, .preset = "10000", FIELD(stats_interval_ms),
	 .help = "time between reports, in milliseconds; 0: report on SIGUSR1 and at exit only"},
	{OPTION_STRING, "stats-file", .arg = "FILE", FIELD(stats_file),
	 .help = "write all counters to FILE as JSON at each report, replacing it whole"},
	{OPTION_STRING, "stats-series", .arg = "FILE", FIELD(stats_series),
	 .help = "append all counters to FILE at each report, one JSON object a line"},
	{OPTION_STRING, "http", .arg = "ADDR:PORT", FIELD(http),
	 .help = "serve /metrics for Prometheus and /health at this address and port, to anybody who can "
		 "reach it: 127.0.0.1:9464 or [::1]:9464. 0.0.0.0 stands for all IPv4 addresses of the "
		 "host, [::] for all of IPv4 and IPv6"},

	{OPTION_HEADING, .help = "Log"},
	{OPTION_STRING, "log-level", .arg = "LEVEL[,FACILITY=LEVEL]...", .preset = "info",
	 FIELD(log_level),
	 .help = "least important lines to write: emergency, alert, critical, error, warning, notice, "
		 "info, debug or trace, for all or for one of the facilities Supervisor, Worker, "
		 "Ingress, Egress, Control, Stats, Config, Http: info,Egress=debug. The STATS lines "
		 "are of level info"},
	{OPTION_STRING, "log-format", .arg = "text|json", .preset = "text", FIELD(log_format),
	 .help = "lines as [LEVEL:Facility] text, or each as a JSON object with utc, level, facility "
		 "and message"},
	{OPTION_FLAG, "log-packets", FIELD(log_packets),
	 .help = "for debugging: write a line for each packet that matches a rule, with the group and port "
		 "it was received with, not those it is sent to, and the bytes of its UDP payload; level "
		 "info, facility Worker. One write per packet, on purpose: little of the relay's speed is "
		 "left"},
#ifdef DRILL
	{OPTION_HEADING, .help = "Drill"},
	{OPTION_UINT, "drill-delay-ns", .arg = "NS", .min = 0, .max = 1000000, .preset = "0",
	 FIELD(drill_delay_ns), .help = "spin that long for every packet received"},
	{OPTION_UINT, "drill-syscalls", .arg = "N", .min = 0, .max = 1000, .preset = "0",
	 FIELD(drill_syscalls), .help = "make that many system calls for every packet received"},
	{OPTION_UINT, "drill-allocations", .arg = "N", .min = 0, .max = 1000, .preset = "0",
	 FIELD(drill_allocations), .help = "allocate and free that often for every packet received"},
	{OPTION_UINT, "drill-stall-us", .arg = "US", .min = 0, .max = 1000000, .preset = "0",
	 FIELD(drill_stall_us), .help = "stand still that long, as often as the next two say"},
	{OPTION_UINT, "drill-stall-bursts", .arg = "N", .min = 0, .max = 1000000000, .preset = "0",
	 FIELD(drill_stall_bursts), .help = "after every Nth burst"},
	{OPTION_UINT, "drill-stall-ms", .arg = "MS", .min = 0, .max = 1000000, .preset = "0",
	 FIELD(drill_stall_ms), .help = "after the first burst that comes so much later than the last time"},
	{OPTION_UINT, "drill-corrupt-every", .arg = "N", .min = 0, .max = 1000000000, .preset = "0",
	 FIELD(drill_corrupt_every), .help = "change a bit of the payload of every Nth frame"},
	{OPTION_UINT, "drill-cut-every", .arg = "N", .min = 0, .max = 1000000000, .preset = "0",
	 FIELD(drill_cut_every), .help = "leave the last byte out of the payload of every Nth frame"},
	{OPTION_UINT, "drill-swap-every", .arg = "N", .min = 0, .max = 1000000000, .preset = "0",
	 FIELD(drill_swap_every), .help = "send every Nth frame behind the next one"},
#endif
	{OPTION_END},
};
/* clang-format on */

const struct program config_program = {
	.name = "mcrelay",
	.usage = "[--config FILE] [OPTION]...",
	.purpose =
		"Relays UDP multicast in userspace: receives it on interfaces with AF_PACKET, "
		"matches it against the rules, and sends it on through others. Runs in the "
		"foreground, needs root (CAP_NET_RAW). SIGHUP reads the rule file again; SIGUSR1 "
		"reports statistics; SIGTERM or SIGINT drains, reports and exits.",
	.closing = "Rule file:\n"
		   "  {\"rules\":[{\"id\":\"video\",\n"
		   "    \"input\":{\"interface\":\"eth0\",\"group\":\"239.1.1.1\",\"port\":5000},\n"
		   "    \"outputs\":[{\"group\":\"239.2.2.2\",\"port\":6000,\"interface\":\"eth1\","
		   "\"ttl\":8}]}]}\n"
		   "  \"outputs\": [] receives and counts; without \"id\", a hash of the input "
		   "names the "
		   "rule; \"ttl\" is 1 unless given.\n\n"
		   "Exit status: 0 after SIGTERM or SIGINT, 64 for a wrong command line, 1 "
		   "otherwise; of --check see there.\n",
	.options = config_options,
};

/* "2,3,6-9" */
static int parse_cpus(struct config *config)
{
	const char *text = config->cpu_list;

	while (text) {
		char *end;
		unsigned long first = strtoul(text, &end, 10), last = first;
		bool good = isdigit((unsigned char)*text);

		if (good && *end == '-') {
			text = end + 1;
			good = isdigit((unsigned char)*text);
			last = strtoul(text, &end, 10);
		}
		if (!good || (*end && *end != ',') || first > last || last >= CPU_SETSIZE)
			return options_refuse(&config_program,
					      "--cpus: '%s' is not a list of CPUs such as 2,3,6-9",
					      config->cpu_list);
		for (; first <= last && config->num_cpus < 2 * WORKERS_MAX; first++)
			config->cpus[config->num_cpus++] = (int)first;
		text = *end ? end + 1 : NULL;
	}
	return 0;
}

/* A user's or group's number; the last one stands for "no change" in system calls. */
static bool parse_id(const char *text, uint32_t *id)
{
	unsigned long long value;
	char *end;

	if (!isdigit((unsigned char)*text))
		return false;
	errno = 0;
	value = strtoull(text, &end, 10);
	*id = (uint32_t)value;
	return errno == 0 && *end == '\0' && value < UINT32_MAX;
}

/* `text` is a name, or a number whether it has a name or not. Leaves the user's own group in *gid.
 */
static int find_user_named(const char *text, uint32_t *uid, uint32_t *gid)
{
	const struct passwd *entry = getpwnam(text);

	if (!entry && parse_id(text, uid)) {
		*gid = *uid;
		entry = getpwuid(*uid);
		if (!entry)
			return 0;
	}
	if (!entry)
		return options_refuse(&config_program, "--user: no user '%s' on this host", text);
	*uid = entry->pw_uid;
	*gid = entry->pw_gid;
	return 0;
}

/* A name, or a number whether it has a name or not. */
static int find_group(const char *option, const char *text, uint32_t *gid)
{
	const struct group *entry = getgrnam(text);

	if (entry)
		*gid = entry->gr_gid;
	else if (!parse_id(text, gid))
		return options_refuse(&config_program, "--%s: no group '%s' on this host", option,
				      text);
	return 0;
}

/* USER or USER:GROUP */
static int find_user(struct config *config)
{
	const char *colon = strchr(config->user, ':');
	char user[256];
	int rc;

	if (snprintf(user, sizeof(user), "%.*s",
		     colon ? (int)(colon - config->user) : (int)sizeof(user),
		     config->user) >= (int)sizeof(user))
		return options_refuse(&config_program, "--user: no user '%s' on this host",
				      config->user);
	rc = find_user_named(user, &config->uid, &config->gid);
	if (rc == 0 && colon)
		rc = find_group("user", colon + 1, &config->gid);
	return rc;
}

static int choose(const char *option, const char *text, const char *const *words, uint32_t *choice)
{
	char list[128] = "";

	for (*choice = 0; words[*choice]; (*choice)++) {
		if (strcmp(text, words[*choice]) == 0)
			return 0;
		strcat(list, *choice ? ", " : "");
		strcat(list, words[*choice]);
	}
	return options_refuse(&config_program, "--%s: '%s' is not one of %s", option, text, list);
}

static int choose_modes(struct config *config)
{
	static const char *const ingress[] = SETTING_LIST(INGRESS_MODES);
	static const char *const egress[] = SETTING_LIST(EGRESS_MODES);
	static const char *const reap[] = SETTING_LIST(REAP_MODES);
	static const char *const threads[] = SETTING_LIST(THREAD_MODELS);
	static const char *const wakeup[] = SETTING_LIST(WAKEUP_MODES);
	static const char *const gso[] = SETTING_LIST(GSO_MODES);
	enum { HASH, CPU };
	static const char *const fanout[] = {[HASH] = "hash", [CPU] = "cpu", NULL};
	struct worker_settings *worker = &config->worker;
	uint32_t fanout_mode = 0;
	int rc = choose("ingress", config->ingress, ingress, &worker->ingress);

	if (rc == 0)
		rc = choose("egress", config->egress, egress, &worker->egress);
	if (rc == 0)
		rc = choose("egress-reap", config->reap, reap, &worker->reap);
	if (rc == 0)
		rc = choose("gso", config->gso, gso, &worker->gso);
	if (rc == 0)
		rc = choose("thread-model", config->thread_model, threads, &worker->threads);
	if (rc == 0)
		rc = choose("wakeup", config->wakeup, wakeup, &worker->wakeup);
	if (rc == 0)
		rc = choose("fanout", config->fanout, fanout, &fanout_mode);
	config->fanout_cpu = fanout_mode == CPU;
	return rc;
}

static void fill_worker_settings(struct config *config)
{
	struct worker_settings *worker = &config->worker;

	worker->queue_depth = (uint32_t)config->queue_depth;
	worker->send_batch = (uint32_t)config->send_batch;
	worker->uid = config->uid;
	worker->gid = config->gid;
	worker->aggregates = config->gro;
	worker->yield = config->yield;
	worker->log_packets = config->log_packets;
#ifdef DRILL
	worker->drill = (struct drill){
		.delay_ns = (uint32_t)config->drill_delay_ns,
		.syscalls = (uint32_t)config->drill_syscalls,
		.allocations = (uint32_t)config->drill_allocations,
		.stall_us = (uint32_t)config->drill_stall_us,
		.stall_bursts = (uint32_t)config->drill_stall_bursts,
		.stall_ms = (uint32_t)config->drill_stall_ms,
		.corrupt_every = (uint32_t)config->drill_corrupt_every,
		.cut_every = (uint32_t)config->drill_cut_every,
		.swap_every = (uint32_t)config->drill_swap_every,
	};
#endif
	worker->pool[POOL_SMALL] = (uint32_t)config->pool_small;
	worker->pool[POOL_STANDARD] = (uint32_t)config->pool_standard;
	worker->pool[POOL_JUMBO] = (uint32_t)config->pool_jumbo;
	worker->num_recv_buffers = (uint32_t)config->num_recv_buffers;
}

static int parse_http(struct config *config)
{
	char error[ADDRESS_ERROR_BYTES];

	if (config->http && address_parse(config->http, &config->http_address, error) < 0)
		return options_refuse(&config_program, "--http: %s", error);
	return 0;
}

static int choose_log(struct config *config)
{
	enum { TEXT, JSON };
	static const char *const formats[] = {[TEXT] = "text", [JSON] = "json", NULL};
	const char *bad = NULL;
	uint32_t format = 0;
	int rc = choose("log-format", config->log_format, formats, &format);

	config->levels.json = format == JSON;
	if (rc == 0 && log_parse_levels(config->log_level, &config->levels, &bad) < 0)
		return options_refuse(&config_program,
				      "--log-level: '%s' is neither LEVEL nor FACILITY=LEVEL", bad);
	return rc;
}

static int find_control_group(struct config *config)
{
	config->control_gid = (uint32_t)-1;
	if (!config->control_group)
		return 0;
	return find_group("control-group", config->control_group, &config->control_gid);
}

/* "none", and whether the path is the one that nobody has asked for. */
static int place_control(struct config *config)
{
	config->control_unasked = config->control_path == control_preset;
	if (strcmp(config->control_path, "none") == 0)
		config->control_path = NULL;
	if (!config->rule_file && !config->control_path && !config->check_file)
		return options_refuse(&config_program,
				      "--config FILE is missing, and --control-socket-path none "
				      "leaves no way to give it rules");
	return 0;
}

int config_parse(int argc, char **argv, struct config *config)
{
	int rc = options_parse(&config_program, argc, argv, config);

	if (rc != 0)
		return rc;
	if (config->ring_slots % 2 || (config->ring_slots && config->ring_slots < 16))
		return options_refuse(
			&config_program,
			"--ring-slots: %llu is neither 0 nor an even number from 16 on",
			(unsigned long long)config->ring_slots);
	if (config->ring_large_slots % 2 ||
	    (config->ring_large_slots && config->ring_large_slots < 16))
		return options_refuse(
			&config_program,
			"--ring-large-slots: %llu is neither 0 nor an even number from 16 on",
			(unsigned long long)config->ring_large_slots);
	if (config->ring_slot_bytes % 4096 && config->ring_slot_bytes != 2048)
		return options_refuse(
			&config_program,
			"--ring-slot-bytes: %llu is neither 0, nor 2048, nor a multiple of 4096",
			(unsigned long long)config->ring_slot_bytes);
	rc = choose_modes(config);
	if (rc == 0)
		rc = choose_log(config);
	if (rc == 0)
		rc = parse_http(config);
	if (rc == 0)
		rc = place_control(config);
	if (rc == 0)
		rc = find_control_group(config);
	if (rc == 0)
		rc = parse_cpus(config);
	if (rc == 0)
		rc = find_user(config);
	if (rc < 0)
		return rc;
	fill_worker_settings(config);
	if (config->stats_file && config->stats_series &&
	    strcmp(config->stats_file, config->stats_series) == 0)
		return options_refuse(&config_program,
				      "--stats-file and --stats-series name the same file, '%s'",
				      config->stats_file);
	return 0;
}
