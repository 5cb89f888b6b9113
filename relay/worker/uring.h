/* SPDX-License-Identifier: MIT
 *
 * uring: how a worker sets up an io_uring: able to do what its loop does, and nothing else.
 *
 *     uring_init      it exists, disabled: what it needs may be registered with it
 *     uring_enable    the kernel takes the operations named, and refuses all others (EACCES), for
 *                     good: io_uring opens files, connects and makes sockets, too, and no system
 *                     call filter sees what is asked of it
 *     uring_exit      harmless after a failure
 */
#ifndef URING_H
#define URING_H

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>

enum { URING_OPS_MAX = 4 };

/* What a loop asks of one. */
struct uring_use {
	const char *what;	    /* for the log: "to send" */
	unsigned num_ops;	    /* the first of: */
	uint8_t ops[URING_OPS_MAX]; /* IORING_OP_* */
	uint8_t flags;		    /* IOSQE_* that its entries may have */
	bool watched;		    /* its descriptor is waited for: it has to become readable */
};

/* For the calling thread, which alone will register, enable, submit and reap. 0; or a negative
 * errno after one line in the log. */
int uring_init(struct io_uring *uring, unsigned entries, const struct uring_use *use);

/* As uring_init. */
int uring_enable(struct io_uring *uring, const struct uring_use *use);

void uring_exit(struct io_uring *uring);

#endif
