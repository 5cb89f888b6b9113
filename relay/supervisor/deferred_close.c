// SPDX-License-Identifier: MIT
/* deferred_close: see deferred_close.h. All wait equally long, so the oldest is always the next. */
#include "supervisor/deferred_close.h"

#include <string.h>
#include <unistd.h>

static void close_oldest(struct deferred_close *deferred)
{
	close(deferred->entry[0].fd);
	deferred->count--;
	memmove(&deferred->entry[0], &deferred->entry[1],
		deferred->count * sizeof(deferred->entry[0]));
}

void deferred_close_add(struct deferred_close *deferred, int *fds, unsigned count, int64_t now_ms)
{
	for (unsigned i = 0; i < count; i++) {
		if (fds[i] < 0)
			continue;
		if (deferred->count == DEFERRED_CLOSE_MAX)
			close_oldest(deferred);
		deferred->entry[deferred->count].fd = fds[i];
		deferred->entry[deferred->count++].due_ms = now_ms + DEFERRED_CLOSE_MS;
		fds[i] = -1;
	}
}

int64_t deferred_close_due(struct deferred_close *deferred, int64_t now_ms)
{
	while (deferred->count && deferred->entry[0].due_ms <= now_ms)
		close_oldest(deferred);
	return deferred->count ? deferred->entry[0].due_ms - now_ms : -1;
}

void deferred_close_exit(struct deferred_close *deferred)
{
	while (deferred->count)
		close_oldest(deferred);
}

void close_all(int *fds, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
		fds[i] = -1;
	}
}
