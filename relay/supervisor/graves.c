// SPDX-License-Identifier: MIT
/* graves: see graves.h. All lie equally long, so the oldest is always the next. */
#include "supervisor/graves.h"

#include <string.h>
#include <unistd.h>

static void close_oldest(struct graves *graves)
{
	close(graves->grave[0].fd);
	graves->count--;
	memmove(&graves->grave[0], &graves->grave[1], graves->count * sizeof(graves->grave[0]));
}

void graves_bury(struct graves *graves, int *fds, unsigned count, int64_t now_ms)
{
	for (unsigned i = 0; i < count; i++) {
		if (fds[i] < 0)
			continue;
		if (graves->count == GRAVES_MAX)
			close_oldest(graves);
		graves->grave[graves->count++] = (struct grave){fds[i], now_ms + GRAVE_MS};
		fds[i] = -1;
	}
}

int64_t graves_close_due(struct graves *graves, int64_t now_ms)
{
	while (graves->count && graves->grave[0].due_ms <= now_ms)
		close_oldest(graves);
	return graves->count ? graves->grave[0].due_ms - now_ms : -1;
}

void graves_exit(struct graves *graves)
{
	while (graves->count)
		close_oldest(graves);
}
