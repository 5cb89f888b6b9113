// SPDX-License-Identifier: MIT
/* membership: see membership.h. */
#include "supervisor/membership.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static int add_socket(struct member_sockets *sockets)
{
	int *fds = realloc(sockets->fds, (sockets->count + 1) * sizeof(*fds));
	int fd;

	if (!fds)
		return -ENOMEM;
	sockets->fds = fds;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	sockets->fds[sockets->count++] = fd;
	return 0;
}

/* `again`: the errno that says that it has been done already, for another rule. */
static int join_on_last(const struct member_sockets *sockets, int option, const void *request,
			socklen_t size, int again)
{
	int rc = setsockopt(sockets->fds[sockets->count - 1], IPPROTO_IP, option, request, size);

	return rc < 0 && errno != again ? -errno : 0;
}

static int join(struct member_sockets *sockets, int option, const void *request, socklen_t size,
		int again)
{
	int rc = sockets->count ? join_on_last(sockets, option, request, size, again) : -ENOBUFS;

	if (rc != -ENOBUFS) /* the socket holds as many as the kernel allows */
		return rc;
	rc = add_socket(sockets);
	return rc < 0 ? rc : join_on_last(sockets, option, request, size, again);
}

int membership_join(struct membership *membership, int ifindex, struct in_addr group)
{
	const struct ip_mreqn request = {.imr_multiaddr = group, .imr_ifindex = ifindex};

	if (!IN_MULTICAST(ntohl(group.s_addr)))
		return 0;
	return join(&membership->any, IP_ADD_MEMBERSHIP, &request, sizeof(request), EADDRINUSE);
}

static struct sockaddr_storage address_of(struct in_addr address)
{
	union {
		struct sockaddr_in in;
		struct sockaddr_storage storage;
	} result = {.in = {.sin_family = AF_INET, .sin_addr = address}};

	return result.storage;
}

int membership_join_source(struct membership *membership, int ifindex, struct in_addr group,
			   struct in_addr source)
{
	const struct group_source_req request = {.gsr_interface = (uint32_t)ifindex,
						 .gsr_group = address_of(group),
						 .gsr_source = address_of(source)};

	if (!IN_MULTICAST(ntohl(group.s_addr)))
		return 0;
	return join(&membership->some, MCAST_JOIN_SOURCE_GROUP, &request, sizeof(request),
		    EADDRNOTAVAIL);
}

static void close_sockets(struct member_sockets *sockets)
{
	for (unsigned i = 0; i < sockets->count; i++)
		close(sockets->fds[i]);
	free(sockets->fds);
	*sockets = (struct member_sockets){0};
}

void membership_leave(struct membership *membership)
{
	close_sockets(&membership->any);
	close_sockets(&membership->some);
}
