// SPDX-License-Identifier: MIT
/* waiter: see waiter.h. user_data of a poll request is the index of its descriptor. */
#include "worker/waiter.h"
#include "worker/uring.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

int waiter_init(struct waiter *waiter, unsigned size)
{
	int rc = -ENOMEM;

	*waiter = (struct waiter){.size = size};
	waiter->fds = malloc(size * sizeof(*waiter->fds));
	waiter->events = calloc(size, sizeof(*waiter->events));
	waiter->armed = calloc(size, sizeof(*waiter->armed));
	if (waiter->fds && waiter->events && waiter->armed)
		rc = uring_init(&waiter->uring, size + 1); /* one more, to cancel with */
	if (rc < 0) {
		free(waiter->fds);
		free(waiter->events);
		free(waiter->armed);
		*waiter = (struct waiter){0};
		return rc;
	}
	for (unsigned i = 0; i < size; i++)
		waiter->fds[i] = -1;
	return 0;
}

void waiter_exit(struct waiter *waiter)
{
	if (!waiter->fds)
		return;
	io_uring_queue_exit(&waiter->uring);
	free(waiter->fds);
	free(waiter->events);
	free(waiter->armed);
	*waiter = (struct waiter){0};
}

static void arm(struct waiter *waiter, unsigned index)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&waiter->uring);

	if (!sqe) /* the ring has an entry for each descriptor and was empty */
		return;
	io_uring_prep_poll_add(sqe, waiter->fds[index], POLLIN);
	sqe->user_data = index;
	waiter->armed[index] = true;
}

static void reap(struct waiter *waiter)
{
	struct io_uring_cqe *cqe;
	unsigned head, count = 0;

	io_uring_for_each_cqe(&waiter->uring, head, cqe)
	{
		if (cqe->user_data < waiter->size) {
			waiter->armed[cqe->user_data] = false;
			waiter->events[cqe->user_data] =
				cqe->res < 0 ? POLLERR : (unsigned)cqe->res;
		}
		count++;
	}
	io_uring_cq_advance(&waiter->uring, count);
}

int waiter_set(struct waiter *waiter, unsigned index, int fd)
{
	waiter->fds[index] = fd;
	while (waiter->armed[index]) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&waiter->uring);
		int rc;

		if (!sqe)
			return -EBUSY;
		io_uring_prep_poll_remove(sqe, index);
		sqe->user_data = waiter->size; /* of nobody */
		rc = io_uring_submit_and_wait(&waiter->uring, 1);
		if (rc < 0 && rc != -EINTR)
			return rc;
		reap(waiter);
	}
	return 0;
}

int waiter_sleep(struct waiter *waiter, struct counters *counters)
{
	int rc;

	for (unsigned i = 0; i < waiter->size; i++) {
		waiter->events[i] = 0;
		if (waiter->fds[i] >= 0 && !waiter->armed[i])
			arm(waiter, i);
	}
	counter_add(counters, COUNTER_waits, 1);
	counter_add(counters, COUNTER_system_calls, 1);
	rc = io_uring_submit_and_wait(&waiter->uring, 1);
	if (rc < 0 && rc != -EINTR && rc != -EAGAIN && rc != -EBUSY)
		return rc;
	reap(waiter);
	return 0;
}
