/* SPDX-License-Identifier: MIT
 *
 * calibration: what the slices of a calibration come to.
 */
#ifndef CALIBRATION_H
#define CALIBRATION_H

struct calibration {
	double call_ns_best, call_ns_median; /* of a system call that does nothing */
	double copy_best, copy_median;	     /* GB/s */
};

/* Sorts both, `count` each, at least one. */
struct calibration calibration_of(double *call_ns, double *copies, unsigned count);

#endif
