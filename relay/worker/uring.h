/* SPDX-License-Identifier: MIT
 *
 * uring: how this program sets up an io_uring.
 */
#ifndef URING_H
#define URING_H

#include <errno.h>
#include <liburing.h>

/* For the calling thread, which alone will submit and reap: the kernel can then do without locks
 * and interrupts for others. Kernels before 6.1 know only some of the flags. 0 or negative errno.
 */
static inline int uring_init(struct io_uring *uring, unsigned entries)
{
	static const unsigned flags[] = {
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL,
		IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SUBMIT_ALL,
		0,
	};
	int rc = -EINVAL;

	for (unsigned i = 0; i < sizeof(flags) / sizeof(flags[0]) && rc == -EINVAL; i++)
		rc = io_uring_queue_init(entries, uring, flags[i]);
	if (rc == 0)
		io_uring_register_ring_fd(uring); /* saves a lookup per call; may fail harmlessly */
	return rc;
}

#endif
