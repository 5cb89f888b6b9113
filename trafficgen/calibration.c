// SPDX-License-Identifier: MIT
/* calibration: see calibration.h. */
#include "calibration.h"

#include <stdlib.h>

static int ascending(const void *a, const void *b)
{
	double first = *(const double *)a, second = *(const double *)b;

	return (first > second) - (first < second);
}

static double median(const double *sorted, unsigned count)
{
	return (sorted[(count - 1) / 2] + sorted[count / 2]) / 2;
}

struct calibration calibration_of(double *call_ns, double *copies, unsigned count)
{
	qsort(call_ns, count, sizeof(*call_ns), ascending);
	qsort(copies, count, sizeof(*copies), ascending);
	return (struct calibration){
		.call_ns_best = call_ns[0],
		.call_ns_median = median(call_ns, count),
		.copy_best = copies[count - 1],
		.copy_median = median(copies, count),
	};
}
