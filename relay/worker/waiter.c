// SPDX-License-Identifier: MIT
/* waiter: see waiter.h. user_data of a poll request is the index of its descriptor. */
#include "worker/waiter.h"
#include "worker/uring.h"

#include <errno.h>
#include <stdlib.h>

static const struct uring_use use = {
	.what = "to sleep in",
	.num_ops = 2,
	.ops = {IORING_OP_POLL_ADD, IORING_OP_POLL_REMOVE},
};

static void free_memory(struct waiter *waiter)
{
	free(waiter->events);
	free(waiter->paused);
	free(waiter->fds);
	free(waiter->armed);
	free(waiter->polled);
	*waiter = (struct waiter){0};
}

/* ------------------------------------------------------------------------- poll(2) */

static int poll_init(struct waiter *waiter)
{
	waiter->polled = calloc(waiter->size, sizeof(*waiter->polled));
	if (!waiter->polled)
		return -ENOMEM;
	for (unsigned i = 0; i < waiter->size; i++)
		waiter->polled[i] = (struct pollfd){.fd = -1, .events = POLLIN};
	return 0;
}

static int poll_sleep(struct waiter *waiter)
{
	const int count = poll(waiter->polled, waiter->used, -1);

	if (count < 0 && errno != EINTR)
		return -errno;
	for (unsigned i = 0; i < waiter->used; i++) {
		const int events = count > 0 ? waiter->polled[i].revents : 0;

		waiter->events[i] = events & POLLNVAL ? POLLERR : (unsigned)events;
	}
	return 0;
}

/* ------------------------------------------------------------------------- io_uring */

static int requests_init(struct waiter *waiter)
{
	int rc;

	waiter->fds = malloc(waiter->size * sizeof(*waiter->fds));
	waiter->armed = calloc(waiter->size, sizeof(*waiter->armed));
	if (!waiter->fds || !waiter->armed)
		return -ENOMEM;
	for (unsigned i = 0; i < waiter->size; i++)
		waiter->fds[i] = -1;
	rc = uring_init(&waiter->uring, waiter->size + 1, &use); /* one more, to cancel with */
	if (rc == 0)
		rc = uring_enable(&waiter->uring, &use);
	if (rc < 0)
		uring_exit(&waiter->uring);
	return rc;
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

static int requests_cancel(struct waiter *waiter, unsigned index)
{
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

static int requests_sleep(struct waiter *waiter)
{
	int rc;

	for (unsigned i = 0; i < waiter->used; i++) {
		waiter->events[i] = 0;
		if (waiter->fds[i] >= 0 && !waiter->armed[i] && !waiter->paused[i])
			arm(waiter, i);
	}
	rc = io_uring_submit_and_wait(&waiter->uring, 1);
	if (rc < 0 && rc != -EINTR && rc != -EAGAIN && rc != -EBUSY)
		return rc;
	reap(waiter);
	return 0;
}

/* ------------------------------------------------------------------------- either */

int waiter_init(struct waiter *waiter, enum waiter_mode mode, unsigned size)
{
	int rc = -ENOMEM;

	*waiter = (struct waiter){.mode = mode, .size = size};
	waiter->events = calloc(size, sizeof(*waiter->events));
	waiter->paused = calloc(size, sizeof(*waiter->paused));
	if (waiter->events && waiter->paused)
		rc = mode == WAITER_POLL ? poll_init(waiter) : requests_init(waiter);
	if (rc < 0)
		free_memory(waiter);
	return rc;
}

void waiter_exit(struct waiter *waiter)
{
	if (!waiter->events)
		return;
	if (waiter->mode == WAITER_URING)
		uring_exit(&waiter->uring);
	free_memory(waiter);
}

static bool is_set(const struct waiter *waiter, unsigned index)
{
	return waiter->mode == WAITER_POLL ? waiter->polled[index].fd >= 0
					   : waiter->fds[index] >= 0;
}

static void note_used(struct waiter *waiter, unsigned index)
{
	if (index >= waiter->used)
		waiter->used = index + 1;
	while (waiter->used > 0 && !is_set(waiter, waiter->used - 1))
		waiter->events[--waiter->used] = 0;
}

int waiter_set(struct waiter *waiter, unsigned index, int fd)
{
	int rc = 0;

	if (waiter->mode == WAITER_POLL) {
		waiter->polled[index].fd = fd;
	} else {
		waiter->fds[index] = fd;
		rc = requests_cancel(waiter, index);
	}
	note_used(waiter, index);
	return rc;
}

void waiter_pause(struct waiter *waiter, unsigned index, bool paused)
{
	waiter->paused[index] = paused;
	if (waiter->mode == WAITER_POLL)
		waiter->polled[index].events = paused ? 0 : POLLIN;
}

int waiter_sleep(struct waiter *waiter, struct counters *counters)
{
	counter_add(counters, COUNTER_waits, 1);
	counter_add(counters, COUNTER_system_calls, 1);
	return waiter->mode == WAITER_POLL ? poll_sleep(waiter) : requests_sleep(waiter);
}
