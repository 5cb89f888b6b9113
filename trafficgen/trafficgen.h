/* SPDX-License-Identifier: MIT
 *
 * trafficgen: what its subcommands share: the clock, the wish to stop, error messages, the samples
 * of a running total, and facts about interfaces. Implemented in main.c.
 */
#ifndef TRAFFICGEN_H
#define TRAFFICGEN_H

#include <jansson.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define NS_PER_SECOND 1000000000ull
#define NS_PER_MS     1000000ull
#define NS_PER_US     1000ull

/* Subcommands; argv[0] is the subcommand's name. Return the exit code. */
int send_main(int argc, char **argv);
int recv_main(int argc, char **argv);

/* CLOCK_MONOTONIC: the same in every process and network namespace of a host. */
static inline uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

/* The first SIGINT or SIGTERM asks every loop to end; the second one kills. */
extern atomic_bool stop_requested;
void catch_stop_signals(void);

/* Writes `report`, and drops it, to `path`, whole or not at all; no file when path is NULL. 0 or a
 * negative errno, after one line on stderr. */
int write_report(const char *subcommand, const char *path, json_t *report);

/* "trafficgen send: MESSAGE" on stderr, one line. `subcommand` is "send" or "recv". */
void complain(const char *subcommand, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* 0 and the interface's MTU in bytes; -EADDRNOTAVAIL when no interface has the address. */
int interface_mtu(struct in_addr address, unsigned *mtu);

/* Every flow and port is a descriptor: takes as many as the hard limit allows. */
void raise_file_limit(void);

/* A running total at instants `every_ns` apart: the first one, then as many as fit, and the last.
 */
#define SAMPLES_MAX 100000u

struct sample {
	uint64_t at_ns;
	uint64_t total;
};

struct samples {
	struct sample *list; /* room for SAMPLES_MAX; pages are only taken when written to */
	unsigned count;
	bool truncated; /* some were left out between the last but one and the last */
	uint64_t every_ns;
	uint64_t next_ns; /* when the next one is due */
};

int samples_init(struct samples *samples, uint64_t every_ns); /* 0 or -ENOMEM */
void samples_take(struct samples *samples, uint64_t at_ns, uint64_t total);
void samples_finish(struct samples *samples, uint64_t at_ns, uint64_t total);
void samples_exit(struct samples *samples);

/* The report's "samples", and "samples_truncated" if need be. */
void samples_report(const struct samples *samples, json_t *report);

/* Whether a progress line is wanted now: once a second, when stderr is a terminal. */
bool progress_due(uint64_t at_ns);

#endif
