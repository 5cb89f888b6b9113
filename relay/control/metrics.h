/* SPDX-License-Identifier: MIT
 *
 * metrics: all counters as Prometheus text, format 0.0.4. Names and help of the workers' counters
 * come from the counters' table: mcrelay_NAME[_UNIT]_total; all drop_CAUSE are one metric with the
 * cause as a label.
 */
#ifndef METRICS_H
#define METRICS_H

#include "control/health.h"
#include "control/report.h"

/* The page at the time `now` (now_ms), to be freed; NULL when out of memory. */
char *metrics_text(struct reporter *reporter, const struct health *health, int64_t now);

#endif
