/* SPDX-License-Identifier: MIT
 *
 * raw_message: what channel_send would never send: any bytes, with any number of descriptors.
 */
#ifndef RAW_MESSAGE_H
#define RAW_MESSAGE_H

#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { RAW_DESCRIPTORS = 8 }; /* at most */

/* With `count` duplicates of standard error. Whether it has been sent, whole. */
static bool raw_message_send(int fd, const void *data, size_t bytes, unsigned count)
{
	struct iovec iov = {(void *)data, bytes};
	struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(RAW_DESCRIPTORS * sizeof(int))];
	} control = {0};
	int fds[RAW_DESCRIPTORS];

	for (unsigned i = 0; i < count; i++)
		fds[i] = STDERR_FILENO;
	if (count) {
		header.msg_control = &control;
		header.msg_controllen = CMSG_SPACE(count * sizeof(int));
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(&control.header), fds, count * sizeof(int));
	}
	return sendmsg(fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)bytes;
}

#endif
