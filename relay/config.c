// SPDX-License-Identifier: MIT
/* config: see config.h. Each option stands once, here. */
#include "config.h"

#include <errno.h>
#include <string.h>

#define FIELD(member) .offset = offsetof(struct config, member)

/* clang-format off */
static const struct option_def config_options[] = {
	{OPTION_HEADING, .help = "Rules"},
	{OPTION_STRING, "config", .arg = "FILE", .required = true, FIELD(rule_file),
	 .help = "rule file (JSON)"},

	{OPTION_HEADING, .help = "Workers"},
	{OPTION_UINT, "num-workers", .arg = "N", .min = 1, .max = 1, .preset = "1",
	 FIELD(num_workers), .help = "data planes; this version has one"},

	{OPTION_HEADING, .help = "Ingress"},
	{OPTION_FLAG, "exclusive", FIELD(exclusive),
	 .help = "keep the packets of the rules from the host's own IP stack, which saves the "
		 "receiving core about a third of its time; no other program of this host receives "
		 "those groups and ports on that interface meanwhile (Linux 6.6)"},
	{OPTION_UINT, "ring-slots", .arg = "N", .min = 16, .max = 65536, .preset = "4096",
	 FIELD(ring_slots), .help = "frames that an interface's receive ring holds; a power of two"},
	{OPTION_UINT, "ring-slot-bytes", .arg = "BYTES", .min = 0, .max = 131072, .preset = "0",
	 FIELD(ring_slot_bytes),
	 .help = "size of a ring slot, a power of two from 2048 on; 0: what the interface's MTU needs"},

	{OPTION_HEADING, .help = "Egress"},
	{OPTION_UINT, "queue-depth", .arg = "N", .min = 1, .max = 32768, .preset = "1024",
	 FIELD(queue_depth), .help = "io_uring submission entries: sends in flight at most"},
	{OPTION_UINT, "send-batch", .arg = "N", .min = 1, .max = 1024, .preset = "64",
	 FIELD(send_batch), .help = "packets taken off a ring before their sends are submitted and reaped"},
	{OPTION_UINT, "socket-sndbuf", .arg = "BYTES", .env = "MCR_SOCKET_SNDBUF", .min = 4096,
	 .max = INT32_MAX / 2, .preset = "4194304", FIELD(socket_sndbuf),
	 .help = "send buffer of each egress socket (SO_SNDBUF)"},
	{OPTION_FLAG, "no-gso", FIELD(no_gso),
	 .help = "send packet by packet: do not coalesce equal-sized neighbours into UDP GSO sends"},

	{OPTION_HEADING, .help = "Statistics"},
	{OPTION_UINT, "stats-interval-ms", .arg = "MS", .env = "MCR_STATS_INTERVAL_MS", .min = 0,
	 .max = 86400000, .preset = "10000", FIELD(stats_interval_ms),
	 .help = "time between reports, in milliseconds; 0: report on SIGUSR1 and at exit only"},
	{OPTION_STRING, "stats-file", .arg = "FILE", FIELD(stats_file),
	 .help = "write all counters to FILE as JSON at each report, replacing it whole"},
	{OPTION_STRING, "stats-series", .arg = "FILE", FIELD(stats_series),
	 .help = "append all counters to FILE at each report, one JSON object a line"},
	{OPTION_END},
};
/* clang-format on */

const struct program config_program = {
	.name = "mcrelay",
	.usage = "--config FILE [OPTION]...",
	.purpose = "Relays UDP multicast in userspace: receives it on interfaces with AF_PACKET, "
		   "matches it against the rules, and sends it on through others. Runs in the "
		   "foreground, needs root (CAP_NET_RAW). SIGUSR1 reports statistics; SIGTERM or "
		   "SIGINT drains, reports and exits.",
	.closing = "Rule file:\n"
		   "  {\"rules\":[{\"id\":\"video\",\n"
		   "    \"input\":{\"interface\":\"eth0\",\"group\":\"239.1.1.1\",\"port\":5000},\n"
		   "    \"outputs\":[{\"group\":\"239.2.2.2\",\"port\":6000,\"interface\":\"eth1\","
		   "\"ttl\":8}]}]}\n"
		   "  \"outputs\": [] receives and counts; without \"id\", a hash of the input "
		   "names the "
		   "rule; \"ttl\" is 1 unless given.\n\n"
		   "Exit status: 0 after SIGTERM or SIGINT, 64 for a wrong command line, 1 "
		   "otherwise.\n",
	.options = config_options,
};

static bool power_of_two(uint64_t n)
{
	return (n & (n - 1)) == 0;
}

int config_parse(int argc, char **argv, struct config *config)
{
	int rc = options_parse(&config_program, argc, argv, config);

	if (rc != 0)
		return rc;
	if (!power_of_two(config->ring_slots))
		return options_refuse(&config_program, "--ring-slots: %llu is not a power of two",
				      (unsigned long long)config->ring_slots);
	if (!power_of_two(config->ring_slot_bytes) ||
	    (config->ring_slot_bytes && config->ring_slot_bytes < 2048))
		return options_refuse(
			&config_program,
			"--ring-slot-bytes: %llu is neither 0 nor a power of two from "
			"2048 on",
			(unsigned long long)config->ring_slot_bytes);
	if (config->stats_file && config->stats_series &&
	    strcmp(config->stats_file, config->stats_series) == 0)
		return options_refuse(&config_program,
				      "--stats-file and --stats-series name the same file, '%s'",
				      config->stats_file);
	return 0;
}
