/* SPDX-License-Identifier: MIT
 *
 * cpu_times: what all CPUs of this machine together have spent their time on, at the instants of
 * the samples. Much of what a packet costs is spent in softirqs, on whichever core, and shows in no
 * process's own time.
 */
#ifndef CPU_TIMES_H
#define CPU_TIMES_H

#include <jansson.h>
#include <stdint.h>

#define CPU_TIMES_COLUMNS 8 /* user nice system idle iowait irq softirq steal: see proc_stat(5) */

struct cpu_sample {
	uint64_t at_ns;
	uint64_t ticks[CPU_TIMES_COLUMNS];
};

struct cpu_times {
	int fd;			 /* of /proc/stat; -1: it cannot be read */
	struct cpu_sample *list; /* room for SAMPLES_MAX; pages are only taken when written to */
	unsigned count;
};

/* Of the first line of /proc/stat: 0 or -EINVAL. */
int cpu_times_parse(const char *text, uint64_t ticks[CPU_TIMES_COLUMNS]);

int cpu_times_init(struct cpu_times *times, const char *path); /* 0 or -ENOMEM */
void cpu_times_take(struct cpu_times *times, uint64_t at_ns);
void cpu_times_exit(struct cpu_times *times);

/* The report's "cpu_samples" and "cpu_ticks_per_s". */
void cpu_times_report(const struct cpu_times *times, json_t *report);

#endif
