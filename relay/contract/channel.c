// SPDX-License-Identifier: MIT
/* channel: see channel.h. */
#include "contract/channel.h"
#include "contract/limits.h"
#include "contract/plan.h"
#include "contract/shared.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

union passing {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(sizeof(int))];
};

int channel_send(int fd, const struct message *message, int passed)
{
	struct iovec iov = {(void *)message, sizeof(*message)};
	union passing control = {0};
	struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};

	if (passed >= 0) {
		header.msg_control = &control;
		header.msg_controllen = sizeof(control);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &passed, sizeof(passed));
	}
	while (sendmsg(fd, &header, MSG_NOSIGNAL) < 0)
		if (errno != EINTR) /* a reset: gone with messages that it has not read */
			return errno == ECONNRESET ? -EPIPE : -errno;
	return 0;
}

int channel_receive(int fd, struct message *message, int *passed)
{
	struct iovec iov = {message, sizeof(*message)};
	union passing control = {0};
	struct msghdr header = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		/* not sizeof, whose padding has room for a second one */
		.msg_controllen = CMSG_LEN(sizeof(int)),
	};
	ssize_t length;

	*passed = -1;
	length = recvmsg(fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC | MSG_TRUNC);
	if (length < 0)
		return errno == EAGAIN || errno == EINTR ? 0
		       : errno == ECONNRESET		 ? -EPIPE
							 : -errno;
	if (header.msg_controllen >= CMSG_LEN(sizeof(int)) &&
	    control.header.cmsg_type == SCM_RIGHTS)
		memcpy(passed, CMSG_DATA(&control.header), sizeof(*passed));
	if (length == sizeof(*message))
		return 1;
	if (*passed >= 0)
		close(*passed);
	*passed = -1;
	return length == 0 ? -EPIPE : -EPROTO;
}

/* ------------------------------------------------------------------------- what is in it */

static bool is_name(const char interface[IFNAMSIZ])
{
	return memchr(interface, 0, IFNAMSIZ) != NULL;
}

/* A bool that has come from elsewhere may hold any byte, and is not to be read as a bool before. */
static bool is_bool(const bool *value)
{
	return *(const uint8_t *)value <= 1;
}

static bool input_good(const struct message *message, int passed)
{
	return passed >= 0 && message->index < INPUT_NUMBERS &&
	       message->input.frames < FRAME_CLASSES && is_name(message->input.interface) &&
	       message->input.slots <= RING_SLOTS_MAX &&
	       message->input.slot_bytes <= RING_SLOT_BYTES_MAX && is_bool(&message->input.bare);
}

static bool output_good(const struct message *message, int passed)
{
	return message->index < OUTPUT_NUMBERS && is_name(message->output.interface) &&
	       (passed >= 0 || message->output.error > 0) &&
	       is_bool(&message->output.decrement_ttl) && is_bool(&message->output.keep_dscp);
}

int message_check(const struct message *message, int passed)
{
	bool good = false;

	switch (message->type) {
	case MESSAGE_SETUP:
		good = passed >= 0 && settings_check(&message->settings) == 0;
		break;
	case MESSAGE_INPUT:
		good = input_good(message, passed);
		break;
	case MESSAGE_INPUT_GONE:
		good = message->index < INPUT_NUMBERS;
		break;
	case MESSAGE_OUTPUT:
		good = output_good(message, passed);
		break;
	case MESSAGE_OUTPUT_GONE:
		good = message->index < OUTPUT_NUMBERS;
		break;
	case MESSAGE_PLAN:
		good = passed >= 0 && message->plan.bytes >= sizeof(struct plan) &&
		       message->plan.bytes <=
			       plan_bytes(RULES_MAX, RULES_MAX * RULE_OUTPUTS_MAX, SOURCES_MAX);
		break;
	case MESSAGE_COMPLETE:
	case MESSAGE_STOP:
		good = true;
		break;
	}
	return good ? 0 : -EPROTO;
}
