/* SPDX-License-Identifier: MIT
 *
 * run: one invocation of a subcommand, from its command line to its exit status.
 *
 *     parse -> check -> catch signals -> open -> work: start, observe ..., finish, report -> close
 *
 * send and recv are jobs: they say what they open, do and report. The rest is here, once: settings
 * that both have, the wish to stop, complaints, the samples of a running total, the progress line,
 * the frame of the JSON report.
 */
#ifndef RUN_H
#define RUN_H

#include "common/options.h"
#include "samples.h"

#include <jansson.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define NS_PER_SECOND 1000000000ull
#define NS_PER_MS     1000000ull
#define NS_PER_US     1000ull

/* What both have; the first member of each one's own. */
struct settings {
	struct in_addr interface, group;
	uint64_t port, count, duration_ms, batch, sample_ms;
	bool verify, quiet;
	const char *json;
};

/* The end of both tables of options; `did`: "sent" or "received". */
/* clang-format off */
#define RUN_OPTIONS(did) \
	{OPTION_HEADING, .help = "Report"}, \
	{OPTION_STRING, "json", "FILE", .offset = offsetof(struct settings, json), \
	 .help = "write the full report to FILE as JSON, whole or not at all; a symbolic link or a " \
		 "FIFO in its place is refused"}, \
	{OPTION_UINT, "sample-ms", "N", .min = 1, .max = 3600000, .preset = "100", \
	 .offset = offsetof(struct settings, sample_ms), \
	 .help = "record the number of packets " did " every N ms"}, \
	{OPTION_FLAG, "quiet", .offset = offsetof(struct settings, quiet), \
	 .help = "no progress on a terminal"}, \
	{OPTION_END}
/* clang-format on */

struct run;

struct job {
	const char *name;  /* "send" */
	const char *where; /* "send from": what it cannot do without the interface */
	const struct program *program;

	/* Each says on stderr why it fails. */
	int (*check)(struct run *run);		    /* the settings: 0 or -EINVAL */
	int (*open)(struct run *run, unsigned mtu); /* 0 or negative errno */
	int (*work)(struct run *run);		    /* and report: the exit status */
	void (*close)(struct run *run);		    /* what was opened, also by half */
};

/* The first member of a job's own state. */
struct run {
	const struct job *job;
	struct settings *settings;
	struct samples samples;
	uint64_t start_ns, end_ns;
	uint64_t next_progress_ns;
	bool progress_wanted, progress_shown;
};

/* `run` holds job and settings. The exit status. */
int run_main(struct run *run, int argc, char **argv);

/* ---- for jobs ------------------------------------------------------------------------------- */

/* The first SIGINT or SIGTERM asks every loop to end; the second one kills. */
extern atomic_bool stop_requested;

/* "trafficgen send: MESSAGE" on stderr, one line. */
void complain(const struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The time that samples and the report count from. */
void run_start(struct run *run, uint64_t at_ns);

/* Takes a sample if one is due, and says whether. */
bool run_observe(struct run *run, uint64_t at_ns, uint64_t total);

/* Whether a progress line is wanted now: once a second, when stderr is a terminal; the line. */
bool run_progress_due(struct run *run, uint64_t at_ns);
void run_progress(struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));
void run_progress_end(struct run *run);

/* The last sample, at end_ns. */
void run_finish(struct run *run, uint64_t end_ns, uint64_t total);

/* Writes what both report, with the job's `figures` and `flows` among it, whole or not at all; no
 * file without --json. Drops both. 0, or negative errno after one line on stderr. */
int run_report(const struct run *run, json_t *figures, json_t *flows);

/* Every flow and port is a descriptor: takes as many as the hard limit allows. */
void raise_file_limit(void);

/* setsockopt of an int: 0 or negative errno. */
int set_option(int fd, int level, int name, int value);

#endif
