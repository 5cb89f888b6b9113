/* SPDX-License-Identifier: MIT
 *
 * config: options and environment -> one struct, const once main() has built it.
 */
#ifndef CONFIG_H
#define CONFIG_H

#include "common/address.h"
#include "common/log.h"
#include "common/options.h"
#include "contract/settings.h"
#include "contract/shared.h"

#include <stdbool.h>
#include <stdint.h>

struct config {
	const char *rule_file;	   /* NULL: none */
	const char *check_file;	   /* to be checked, and nothing else to be done; NULL: none */
	const char *control_path;  /* NULL: no control socket */
	const char *control_group; /* NULL: the owner alone */
	const char *stats_file;	   /* NULL: none */
	const char *stats_series;  /* NULL: none */
	uint64_t num_workers;
	const char *user;     /* of the workers */
	const char *cpu_list; /* NULL: any CPU */
	const char *fanout;
	uint64_t stats_interval_ms; /* 0: only on SIGUSR1 and at exit */
	bool exclusive;
	bool gro;
	uint64_t ring_slots;	   /* 0: as many as suit their size */
	uint64_t ring_slot_bytes;  /* 0: what the interface can bring */
	uint64_t ring_large_slots; /* 0: as many as suit aggregates */
	uint64_t queue_depth;	   /* io_uring entries */
	uint64_t send_batch;	   /* frames per turn of the loop */
	bool yield;
	uint64_t socket_sndbuf; /* bytes */
	const char *ingress, *egress, *reap, *gso, *thread_model, *wakeup;
	uint64_t pool_small, pool_standard, pool_jumbo; /* buffers */
	uint64_t num_recv_buffers;
	const char *log_level, *log_format;
	bool log_packets;
	const char *http; /* NULL: no HTTP server */
#ifdef DRILL
	uint64_t drill_delay_ns, drill_syscalls, drill_allocations;
	uint64_t drill_stall_us, drill_stall_bursts, drill_stall_ms;
	uint64_t drill_corrupt_every, drill_cut_every, drill_swap_every;
#endif

	/* derived: */
	struct worker_settings worker; /* but for index, cpu */
	bool control_unasked;	       /* control_path is the default, and was not given */
	uint32_t uid, gid;	       /* of `user` */
	uint32_t control_gid;	       /* (uint32_t)-1: none */
	int cpus[2 * WORKERS_MAX];     /* one for each of their threads */
	unsigned num_cpus;
	bool fanout_cpu;
	struct log_levels levels;   /* at the start */
	union address http_address; /* AF_UNSPEC: none */
};

extern const struct program config_program;

/* As options_parse, with the rules between options checked as well. */
int config_parse(int argc, char **argv, struct config *config);

#endif
