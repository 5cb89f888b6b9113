// SPDX-License-Identifier: MIT
/* deferred_close: see deferred_close.h. All wait equally long, so the oldest is always the next. */
#include "supervisor/deferred_close.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

int deferred_close_init(struct deferred_close *deferred, unsigned capacity)
{
	*deferred = (struct deferred_close){
		.entry = calloc(capacity, sizeof(*deferred->entry)),
		.capacity = capacity,
	};
	return deferred->entry ? 0 : -ENOMEM;
}

static void close_oldest(struct deferred_close *deferred)
{
	close(deferred->entry[deferred->oldest].fd);
	deferred->oldest = (deferred->oldest + 1) % deferred->capacity;
	deferred->count--;
}

void deferred_close_add(struct deferred_close *deferred, int *fds, unsigned count, int64_t now_ms)
{
	for (unsigned i = 0; i < count; i++) {
		if (fds[i] < 0)
			continue;
		if (deferred->count == deferred->capacity)
			close_oldest(deferred);
		deferred->entry[(deferred->oldest + deferred->count++) % deferred->capacity] =
			(struct deferred_close_entry){fds[i], now_ms + DEFERRED_CLOSE_MS};
		fds[i] = -1;
	}
}

int64_t deferred_close_due(struct deferred_close *deferred, int64_t now_ms)
{
	int64_t left;

	if (deferred->count && deferred->entry[deferred->oldest].due_ms <= now_ms)
		close_oldest(deferred);
	if (!deferred->count)
		return -1;
	left = deferred->entry[deferred->oldest].due_ms - now_ms;
	return left > 0 ? left : 0;
}

void deferred_close_exit(struct deferred_close *deferred)
{
	while (deferred->count)
		close_oldest(deferred);
	free(deferred->entry);
	*deferred = (struct deferred_close){0};
}

void close_all(int *fds, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
		fds[i] = -1;
	}
}
