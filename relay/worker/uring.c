// SPDX-License-Identifier: MIT
/* uring: see uring.h. */
#include "worker/uring.h"
#include "common/log.h"

#include <errno.h>
#include <string.h>

/* DEFER_TASKRUN and SINGLE_ISSUER: the kernel can do without locks and interrupts for others.
 * Kernels before 6.1 know only some of these. One with DEFER_TASKRUN does not become readable while
 * its thread sleeps. The thread that enables it is its single issuer. */
static const unsigned waited_in[] = {
	IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL,
	IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SUBMIT_ALL,
	0,
};
static const unsigned watched[] = {
	IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN,
	IORING_SETUP_COOP_TASKRUN,
	0,
};

static const char *hint(int error)
{
	switch (error) {
	case EPERM:
		return "; it is forbidden here (kernel.io_uring_disabled, or a container's system "
		       "call filter): allow it, or relay without it by --ingress ring --egress "
		       "sendmmsg";
	case ENOSYS:
		return "; this kernel has none, or a container's system call filter hides it: "
		       "relay "
		       "without it by --ingress ring --egress sendmmsg";
	case ENOMEM:
		return "; raise the limit of locked memory (ulimit -l, LimitMEMLOCK), give it "
		       "CAP_IPC_LOCK, or lower --queue-depth";
	default:
		return "";
	}
}

static int complain(const struct uring_use *use, const char *step, int rc)
{
	log_error("Worker", "cannot %s an io_uring %s: %s%s", step, use->what, strerror(-rc),
		  hint(-rc));
	return rc;
}

int uring_init(struct io_uring *uring, unsigned entries, const struct uring_use *use)
{
	const unsigned *flags = use->watched ? watched : waited_in;
	int rc;

	memset(uring, 0, sizeof(*uring));
	uring->ring_fd = -1;
	do
		rc = io_uring_queue_init(entries, uring, *flags | IORING_SETUP_R_DISABLED);
	while (rc == -EINVAL && *flags++);
	if (rc < 0) {
		uring->ring_fd = -1;
		return complain(use, "set up", rc);
	}
	io_uring_register_ring_fd(uring); /* saves a lookup per call; may fail harmlessly */
	return 0;
}

/* Debian 12's liburing declares io_uring_register_restrictions, and has forgotten to export it. */
static int register_with(struct io_uring *uring, unsigned what, const void *argument,
			 unsigned count)
{
	return io_uring_register((unsigned)uring->ring_fd, what, argument, count);
}

int uring_enable(struct io_uring *uring, const struct uring_use *use)
{
	struct io_uring_restriction limits[URING_OPS_MAX + 2] = {
		{.opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED, .sqe_flags = use->flags},
		/* at the end, before it is closed */
		{.opcode = IORING_RESTRICTION_REGISTER_OP,
		 .register_op = IORING_UNREGISTER_RING_FDS},
	};
	int rc;

	for (unsigned i = 0; i < use->num_ops; i++)
		limits[2 + i] = (struct io_uring_restriction){.opcode = IORING_RESTRICTION_SQE_OP,
							      .sqe_op = use->ops[i]};
	rc = register_with(uring, IORING_REGISTER_RESTRICTIONS, limits, 2 + use->num_ops);
	if (rc < 0)
		return complain(use, "restrict", rc);
	rc = register_with(uring, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
	return rc < 0 ? complain(use, "enable", rc) : 0;
}

void uring_exit(struct io_uring *uring)
{
	if (uring->ring_fd < 0)
		return;
	io_uring_queue_exit(uring);
	uring->ring_fd = -1;
}
