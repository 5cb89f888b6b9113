// SPDX-License-Identifier: MIT
/*
 * fuzz_channel: the ends of a channel, one of which says anything. An input is messages, each of
 * them:
 *
 *   | bit 0: to the supervisor, else to the worker; bits 1-2: descriptors with it | bytes (2) |
 * message |
 *
 * What is short of a message is made one by zeros, unless bit 3 is set. A worker acts on nothing
 * that message_check has not let through, whose promises are looked at here; the supervisor knows a
 * worker's words, or gives it up. Neither is left with a descriptor too many.
 */
#include "common/log.h"
#include "contract/channel.h"
#include "contract/limits.h"
#include "contract/plan.h"
#include "contract/shared.h"
#include "supervisor/workers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../tests/raw_message.h"

enum { TO_SUPERVISOR = 1, RAW = 8, HEAD_BYTES = 3, MESSAGES_ENOUGH = 32, DESCRIPTORS = 4 };

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct log_levels silence;

static void require(bool condition)
{
	if (!condition)
		abort();
}

/* ------------------------------------------------------------------------- a worker's end */

/* UBSan sees one that is none. */
static void read_bool(bool value)
{
	volatile bool seen = value;

	(void)seen;
}

static void check_promises(const struct message *message, int passed)
{
	switch (message->type) {
	case MESSAGE_SETUP:
		require(passed >= 0 && settings_check(&message->settings) == 0);
		return;
	case MESSAGE_INPUT:
		require(passed >= 0 && message->index < INPUT_NUMBERS);
		require(message->input.frames < FRAME_CLASSES);
		require(strnlen(message->input.interface, IFNAMSIZ) < IFNAMSIZ);
		/* the memory of a ring can be counted */
		require((uint64_t)message->input.slots * message->input.slot_bytes <= 1ULL << 33);
		read_bool(message->input.bare);
		return;
	case MESSAGE_OUTPUT:
		require(message->index < OUTPUT_NUMBERS &&
			(passed >= 0 || message->output.error > 0));
		require(strnlen(message->output.interface, IFNAMSIZ) < IFNAMSIZ);
		read_bool(message->output.decrement_ttl);
		read_bool(message->output.keep_dscp);
		return;
	case MESSAGE_INPUT_GONE:
		require(message->index < INPUT_NUMBERS);
		return;
	case MESSAGE_OUTPUT_GONE:
		require(message->index < OUTPUT_NUMBERS);
		return;
	case MESSAGE_PLAN:
		require(passed >= 0 && message->plan.bytes >= sizeof(struct plan));
		return;
	default:
		require(message->type == MESSAGE_COMPLETE || message->type == MESSAGE_STOP);
	}
}

/* Takes all that waits. */
static void work(int fd)
{
	struct message message;
	int passed, rc;

	while ((rc = channel_receive(fd, &message, &passed)) != 0) {
		require(rc == 1 || rc == -EPROTO || rc == -EPIPE);
		require(rc == 1 || passed == -1);
		if (rc == 1 && message_check(&message, passed) == 0)
			check_promises(&message, passed);
		if (passed >= 0)
			close(passed);
	}
}

/* ------------------------------------------------------------------------- both */

static int lowest_free(void)
{
	int fd = dup(STDERR_FILENO);

	close(fd);
	return fd;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	log_use_levels(&silence);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const int lowest = lowest_free();
	struct worker_handle worker = {.channel = -1};
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return 0;
	worker.channel = pair[0];
	for (unsigned i = 0; size >= HEAD_BYTES && i < MESSAGES_ENOUGH && worker.channel >= 0;
	     i++) {
		uint8_t bytes[2 * sizeof(struct message)] = {0};
		const uint8_t head = data[0];
		size_t length = (size_t)(data[1] << 8 | data[2]) % sizeof(bytes);

		data += HEAD_BYTES;
		size -= HEAD_BYTES;
		length = length < size ? length : size;
		memcpy(bytes, data, length);
		data += length;
		size -= length;
		if (!(head & RAW))
			length = sizeof(struct message);
		if (length == 0) /* would be the end of file, which is not to be sent */
			continue;
		require(raw_message_send(pair[head & TO_SUPERVISOR ? 1 : 0], bytes, length,
					 head >> 1 & (DESCRIPTORS - 1)));
		if (head & TO_SUPERVISOR)
			workers_receive(&worker);
		else
			work(pair[1]);
	}
	if (worker.channel >= 0)
		close(worker.channel);
	close(pair[1]);
	require(lowest_free() == lowest);
	return 0;
}
