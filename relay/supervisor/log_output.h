/* SPDX-License-Identifier: MIT
 *
 * log_output: where the lines of supervisor and workers go, without keeping any of them waiting
 * when nobody reads: they are lost then, and how many were is said as soon as there is room again.
 *
 * Its life: log_output_open before there are workers; log_output_start once the privileges that are
 * not needed have been given up; log_output_close when all workers have ended.
 */
#ifndef LOG_OUTPUT_H
#define LOG_OUTPUT_H

#include "common/pump.h"
#include "supervisor/workers.h"

#include <stdint.h>

struct log_output {
	struct pump pump;
	const struct workers *workers;
	uint32_t lost_said; /* lines that it has been said were lost */
};

/* Both: 0; or a negative errno after one line in the log. */
int log_output_open(struct log_output *output);
int log_output_start(struct log_output *output, const struct workers *workers);

/* Waits half a second for a reader that is slow. */
void log_output_close(struct log_output *output);

#endif
