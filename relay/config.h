/* SPDX-License-Identifier: MIT
 *
 * config: options and environment -> one struct, const once main() has built it.
 */
#ifndef CONFIG_H
#define CONFIG_H

#include "options.h"

#include <stdbool.h>
#include <stdint.h>

struct config {
	const char *rule_file;
	const char *stats_file;	  /* NULL: none */
	const char *stats_series; /* NULL: none */
	uint64_t num_workers;
	uint64_t stats_interval_ms; /* 0: only on SIGUSR1 and at exit */
	bool exclusive;
	uint64_t ring_slots;
	uint64_t ring_slot_bytes; /* 0: as the interface's MTU needs */
	uint64_t queue_depth;	  /* io_uring entries */
	uint64_t send_batch;	  /* frames per turn of the loop */
	uint64_t socket_sndbuf;	  /* bytes */
	bool no_gso;
};

extern const struct program config_program;

/* As options_parse, with the rules between options checked as well. */
int config_parse(int argc, char **argv, struct config *config);

#endif
