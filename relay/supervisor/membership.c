// SPDX-License-Identifier: MIT
/* membership: see membership.h. */
#include "supervisor/membership.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static int add_socket(struct membership *membership)
{
	int *fds = realloc(membership->fds, (membership->count + 1) * sizeof(*fds));
	int fd;

	if (!fds)
		return -ENOMEM;
	membership->fds = fds;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	membership->fds[membership->count++] = fd;
	return 0;
}

static int join_on_last(const struct membership *membership, const struct ip_mreqn *request)
{
	int rc = setsockopt(membership->fds[membership->count - 1], IPPROTO_IP, IP_ADD_MEMBERSHIP,
			    request, sizeof(*request));

	/* EADDRINUSE: a member already, for another rule with the same group */
	return rc < 0 && errno != EADDRINUSE ? -errno : 0;
}

int membership_join(struct membership *membership, int ifindex, struct in_addr group)
{
	const struct ip_mreqn request = {.imr_multiaddr = group, .imr_ifindex = ifindex};
	int rc;

	if (!IN_MULTICAST(ntohl(group.s_addr)))
		return 0;
	rc = membership->count ? join_on_last(membership, &request) : -ENOBUFS;

	if (rc != -ENOBUFS) /* the socket holds as many groups as the kernel allows */
		return rc;
	rc = add_socket(membership);
	return rc < 0 ? rc : join_on_last(membership, &request);
}

void membership_leave(struct membership *membership)
{
	for (unsigned i = 0; i < membership->count; i++)
		close(membership->fds[i]);
	free(membership->fds);
	*membership = (struct membership){0};
}
