/* SPDX-License-Identifier: MIT
 *
 * report: the worker's counters as STATS lines and as JSON.
 */
#ifndef REPORT_H
#define REPORT_H

#include "netif.h"
#include "worker.h"

struct reporter {
	const struct config *config;
	struct worker *worker;
	struct netif *netifs; /* all interfaces in use, as last seen */
	unsigned num_netifs;
	unsigned sequence;
	bool file_failed, series_failed; /* said so already */
};

enum report_kind { REPORT_INTERVAL, REPORT_SIGNAL, REPORT_FINAL };

/* Prints the STATS lines on stderr, and writes --stats-file and --stats-series. Files that cannot
 * be written are logged once. */
void report(struct reporter *reporter, enum report_kind kind);

#endif
