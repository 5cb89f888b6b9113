/* SPDX-License-Identifier: MIT
 *
 * samples: a running total at instants that are a fixed time apart: the first one, then as many as
 * fit, and the last.
 */
#ifndef SAMPLES_H
#define SAMPLES_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

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

#endif
