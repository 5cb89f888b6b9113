/* SPDX-License-Identifier: MIT
 *
 * report: the worker's counters as STATS lines and as JSON.
 */
#ifndef REPORT_H
#define REPORT_H

#include "control/rates.h"
#include "supervisor/interfaces.h"
#include "supervisor/provision.h"
#include "supervisor/workers.h"

#include <jansson.h>

struct reporter {
	const struct config *config;
	struct workers *workers;
	struct provision *provision;
	const struct interfaces *interfaces; /* as last seen */
	unsigned sequence;
	struct sample sample;		 /* of the start, or the last interval report */
	bool file_failed, series_failed; /* said so already */
};

enum report_kind { REPORT_INTERVAL, REPORT_SIGNAL, REPORT_FINAL };

/* Prints the STATS lines on stderr, and writes --stats-file and --stats-series. Files that cannot
 * be written are logged once. */
void report(struct reporter *reporter, enum report_kind kind);

/* From here on rates are counted, until the next interval report. */
void report_sample(struct reporter *reporter);

/* The same as a new JSON object, without writing anything. */
json_t *report_build(struct reporter *reporter, enum report_kind kind);

/* Resident memory of a process; 0 if there is none. */
uint64_t report_rss_bytes(pid_t pid);

/* What each worker is and does, as a new JSON array. */
json_t *report_workers(const struct reporter *reporter);

#endif
