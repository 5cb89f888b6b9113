// SPDX-License-Identifier: MIT
/* neighbours: see neighbours.h. */
#include "supervisor/neighbours.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { BUFFER_BYTES = 32768 }; /* what the kernel sends in one go, at most */

/* Those in which it can be sent to. */
enum { VALID = NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP };

/* ------------------------------------------------------------------------- netlink */

/* Sends a request and hands all that is answered to `parse`. 0 or negative errno. */
static int transact(struct nlmsghdr *request, mnl_cb_t parse, void *data)
{
	struct mnl_socket *socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	char buffer[BUFFER_BYTES];
	ssize_t length;
	int rc = -1;

	if (!socket)
		return -errno;
	request->nlmsg_seq = 1;
	if (mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_sendto(socket, request, request->nlmsg_len) < 0) {
		rc = -errno;
		goto out;
	}
	do {
		length = mnl_socket_recvfrom(socket, buffer, sizeof(buffer));
		rc = length < 0 ? -1
				: mnl_cb_run(buffer, (size_t)length, 1,
					     mnl_socket_get_portid(socket), parse, data);
	} while (rc > MNL_CB_STOP);
	rc = rc < 0 ? -errno : 0;
out:
	mnl_socket_close(socket);
	return rc;
}

static void *new_request(char *buffer, uint16_t type, uint16_t flags, size_t header_bytes)
{
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);

	request->nlmsg_type = type;
	request->nlmsg_flags = NLM_F_REQUEST | flags;
	return mnl_nlmsg_put_extra_header(request, header_bytes);
}

/* ------------------------------------------------------------------------- reading */

static int add(struct neighbours *neighbours, const struct neighbour *neighbour)
{
	struct neighbour *list;

	if ((neighbours->count & (neighbours->count - 1)) == 0) { /* full: twice as many */
		list = realloc(neighbours->list, 2 * (neighbours->count + 1) * sizeof(*list));
		if (!list) {
			errno = ENOMEM;
			return MNL_CB_ERROR;
		}
		neighbours->list = list;
	}
	neighbours->list[neighbours->count++] = *neighbour;
	return MNL_CB_OK;
}

static int parse_neighbour_attribute(const struct nlattr *attribute, void *data)
{
	struct neighbour *neighbour = data;

	if (mnl_attr_get_type(attribute) == NDA_DST &&
	    mnl_attr_get_payload_len(attribute) == sizeof(neighbour->address))
		memcpy(&neighbour->address, mnl_attr_get_payload(attribute),
		       sizeof(neighbour->address));
	return MNL_CB_OK;
}

static int parse_neighbour(const struct nlmsghdr *message, void *data)
{
	const struct ndmsg *header = mnl_nlmsg_get_payload(message);
	struct neighbour neighbour = {.ifindex = header->ndm_ifindex, .state = header->ndm_state};

	if (message->nlmsg_type != RTM_NEWNEIGH || header->ndm_family != AF_INET)
		return MNL_CB_OK;
	mnl_attr_parse(message, sizeof(*header), parse_neighbour_attribute, &neighbour);
	return add(data, &neighbour);
}

int neighbours_read(struct neighbours *neighbours)
{
	char buffer[256];
	struct ndmsg *header = new_request(buffer, RTM_GETNEIGH, NLM_F_DUMP, sizeof(*header));

	*neighbours = (struct neighbours){0};
	header->ndm_family = AF_INET;
	return transact((struct nlmsghdr *)buffer, parse_neighbour, neighbours);
}

void neighbours_exit(struct neighbours *neighbours)
{
	free(neighbours->list);
	*neighbours = (struct neighbours){0};
}

enum neighbour_state neighbours_find(const struct neighbours *neighbours, int ifindex,
				     struct in_addr address)
{
	for (unsigned i = 0; i < neighbours->count; i++) {
		const struct neighbour *neighbour = &neighbours->list[i];

		if (neighbour->ifindex != ifindex || neighbour->address.s_addr != address.s_addr)
			continue;
		if (neighbour->state & VALID)
			return NEIGHBOUR_KNOWN;
		if (neighbour->state & NUD_INCOMPLETE)
			return NEIGHBOUR_ASKED;
		return neighbour->state & NUD_FAILED ? NEIGHBOUR_FAILED : NEIGHBOUR_UNKNOWN;
	}
	return NEIGHBOUR_UNKNOWN;
}

/* ------------------------------------------------------------------------- asking */

static int ignore(const struct nlmsghdr *message, void *data)
{
	(void)message;
	(void)data;
	return MNL_CB_OK;
}

int neighbour_ask(int ifindex, struct in_addr address)
{
	char buffer[256];
	struct ndmsg *header = new_request(
		buffer, RTM_NEWNEIGH, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, sizeof(*header));

	header->ndm_family = AF_INET;
	header->ndm_ifindex = ifindex;
	header->ndm_flags = NTF_USE;
	mnl_attr_put_u32((struct nlmsghdr *)buffer, NDA_DST, address.s_addr);
	return transact((struct nlmsghdr *)buffer, ignore, NULL);
}

/* ------------------------------------------------------------------------- routes */

struct route_answer {
	bool unicast;
	struct in_addr router; /* INADDR_ANY: none */
};

static int parse_route_attribute(const struct nlattr *attribute, void *data)
{
	struct in_addr *router = data;

	if (mnl_attr_get_type(attribute) == RTA_GATEWAY &&
	    mnl_attr_get_payload_len(attribute) == sizeof(*router))
		memcpy(router, mnl_attr_get_payload(attribute), sizeof(*router));
	return MNL_CB_OK;
}

static int parse_route(const struct nlmsghdr *message, void *data)
{
	const struct rtmsg *header = mnl_nlmsg_get_payload(message);
	struct route_answer *answer = data;

	if (message->nlmsg_type == RTM_NEWROUTE) {
		answer->unicast = header->rtm_type == RTN_UNICAST;
		mnl_attr_parse(message, sizeof(*header), parse_route_attribute, &answer->router);
	}
	return MNL_CB_STOP;
}

int neighbour_for(int ifindex, struct in_addr destination, struct in_addr *neighbour)
{
	char buffer[256];
	struct rtmsg *header = new_request(buffer, RTM_GETROUTE, 0, sizeof(*header));
	struct route_answer answer = {0};
	int rc;

	header->rtm_family = AF_INET;
	header->rtm_dst_len = 32;
	mnl_attr_put_u32((struct nlmsghdr *)buffer, RTA_DST, destination.s_addr);
	mnl_attr_put_u32((struct nlmsghdr *)buffer, RTA_OIF, (uint32_t)ifindex);
	rc = transact((struct nlmsghdr *)buffer, parse_route, &answer);
	if (rc < 0)
		return rc;
	if (!answer.unicast)
		return -EHOSTUNREACH;
	*neighbour = answer.router.s_addr == INADDR_ANY ? destination : answer.router;
	return 0;
}
