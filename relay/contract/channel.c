// SPDX-License-Identifier: MIT
/* channel: see channel.h. */
#include "contract/channel.h"

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
