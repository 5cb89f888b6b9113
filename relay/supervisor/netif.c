// SPDX-License-Identifier: MIT
/* netif: see netif.h. */
#include "supervisor/netif.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* One link's description is 1-3 KiB; the kernel never sends more than 16 KiB in one go. */
enum { NETLINK_BUFFER_BYTES = 16384 };

static int parse_link_attribute(const struct nlattr *attribute, void *data)
{
	struct netif *netif = data;
	struct rtnl_link_stats64 stats = {0};
	size_t length = mnl_attr_get_payload_len(attribute);

	switch (mnl_attr_get_type(attribute)) {
	case IFLA_IFNAME:
		snprintf(netif->name, sizeof(netif->name), "%.*s", (int)length,
			 mnl_attr_get_str(attribute));
		break;
	case IFLA_MTU:
		if (length >= sizeof(uint32_t))
			netif->mtu = mnl_attr_get_u32(attribute);
		break;
	case IFLA_STATS64:
		/* older kernels know fewer counters than our headers, newer ones more */
		memcpy(&stats, mnl_attr_get_payload(attribute),
		       length < sizeof(stats) ? length : sizeof(stats));
		netif->rx_packets = stats.rx_packets;
		netif->rx_bytes = stats.rx_bytes;
		netif->rx_dropped = stats.rx_dropped;
		netif->tx_packets = stats.tx_packets;
		netif->tx_bytes = stats.tx_bytes;
		netif->tx_dropped = stats.tx_dropped;
		break;
	}
	return MNL_CB_OK;
}

static int parse_link(const struct nlmsghdr *message, void *data)
{
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(message);
	struct netif *netif = data;

	netif->index = info->ifi_index;
	netif->type = info->ifi_type;
	netif->up = (info->ifi_flags & IFF_UP) && (info->ifi_flags & IFF_RUNNING);
	netif->no_carrier = (info->ifi_flags & IFF_UP) && !netif->up;
	return mnl_attr_parse(message, sizeof(*info), parse_link_attribute, netif);
}

static int query_link(struct mnl_socket *socket, const char *name, struct netif *netif)
{
	char buffer[NETLINK_BUFFER_BYTES];
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	ssize_t length;

	request->nlmsg_type = RTM_GETLINK;
	request->nlmsg_flags = NLM_F_REQUEST;
	request->nlmsg_seq = 1;
	mnl_nlmsg_put_extra_header(request, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(request, IFLA_IFNAME, name);
	if (mnl_socket_sendto(socket, request, request->nlmsg_len) < 0)
		return -errno;
	length = mnl_socket_recvfrom(socket, buffer, sizeof(buffer));
	if (length < 0)
		return -errno;
	if (mnl_cb_run(buffer, (size_t)length, 1, mnl_socket_get_portid(socket), parse_link,
		       netif) < 0)
		return -errno;
	return 0;
}

static int parse_address_attribute(const struct nlattr *attribute, void *data)
{
	struct in_addr *address = data;

	if (mnl_attr_get_type(attribute) == IFA_LOCAL &&
	    mnl_attr_get_payload_len(attribute) >= sizeof(*address))
		memcpy(address, mnl_attr_get_payload(attribute), sizeof(*address));
	return MNL_CB_OK;
}

/* The first one counts, whatever label it has ("eth0:vip"). */
static int parse_address(const struct nlmsghdr *message, void *data)
{
	const struct ifaddrmsg *info = mnl_nlmsg_get_payload(message);
	struct netif *netif = data;

	if ((int)info->ifa_index != netif->index || info->ifa_flags & IFA_F_SECONDARY ||
	    netif->address.s_addr != INADDR_ANY)
		return MNL_CB_OK;
	return mnl_attr_parse(message, sizeof(*info), parse_address_attribute, &netif->address);
}

/* The IPv4 addresses of one interface. */
static int list_addresses(struct mnl_socket *socket, int index, mnl_cb_t each, void *data)
{
	char buffer[NETLINK_BUFFER_BYTES];
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	struct ifaddrmsg *info;
	ssize_t length;
	int rc = MNL_CB_OK;

	request->nlmsg_type = RTM_GETADDR;
	request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	request->nlmsg_seq = 2;
	info = mnl_nlmsg_put_extra_header(request, sizeof(*info));
	info->ifa_family = AF_INET;
	info->ifa_index = (uint32_t)index;
	if (mnl_socket_sendto(socket, request, request->nlmsg_len) < 0)
		return -errno;
	while (rc > MNL_CB_STOP) {
		length = mnl_socket_recvfrom(socket, buffer, sizeof(buffer));
		if (length < 0)
			return -errno;
		rc = mnl_cb_run(buffer, (size_t)length, 2, mnl_socket_get_portid(socket), each,
				data);
	}
	/* ENODEV: it went meanwhile, which the next look will find */
	return rc < 0 && errno != ENODEV ? -errno : 0;
}

/* NULL, with errno, when it cannot be had. */
static struct mnl_socket *open_netlink(void)
{
	struct mnl_socket *socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	const int on = 1;
	int error;

	if (!socket)
		return NULL;
	/* only the addresses of the interface asked for, not all of the host, where the kernel can
	 */
	mnl_socket_setsockopt(socket, NETLINK_GET_STRICT_CHK, (void *)&on, sizeof(on));
	if (mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) == 0)
		return socket;
	error = errno;
	mnl_socket_close(socket);
	errno = error;
	return NULL;
}

int netif_query(const char *name, struct netif *netif)
{
	struct mnl_socket *socket;
	int rc;

	*netif = (struct netif){0};
	if (strlen(name) >= sizeof(netif->name))
		return -ENODEV;
	strcpy(netif->name, name);
	socket = open_netlink();
	if (!socket)
		return -errno;
	rc = query_link(socket, name, netif);
	if (rc == 0)
		rc = list_addresses(socket, netif->index, parse_address, netif);
	mnl_socket_close(socket);
	return rc;
}

enum netif_frames netif_frames(const struct netif *netif)
{
	switch (netif->type) {
	case ARPHRD_ETHER:
	case ARPHRD_LOOPBACK:
		return NETIF_ETHERNET;
	case ARPHRD_NONE:
	case ARPHRD_RAWIP:
	case ARPHRD_PPP:
	case ARPHRD_TUNNEL:
	case ARPHRD_TUNNEL6:
	case ARPHRD_SIT:
	case ARPHRD_IPGRE:
	case ARPHRD_INFINIBAND:
		return NETIF_BARE;
	default:
		return NETIF_OTHER;
	}
}

unsigned netif_index(const char *name, void *unused)
{
	(void)unused;
	return if_nametoindex(name);
}

const char *netif_fault(const struct netif *netif, bool sends)
{
	if (netif->index == 0)
		return "is absent";
	if (netif->no_carrier)
		return "has no carrier";
	if (!netif->up)
		return "is down";
	if (sends && netif->address.s_addr == INADDR_ANY)
		return "has no IPv4 address";
	return NULL;
}

bool netif_may_come(int rc)
{
	return rc == -ENODEV || rc == -ENXIO || rc == -EADDRNOTAVAIL || rc == -ENETDOWN ||
	       rc == -ENETUNREACH;
}

/* Whether an address is among those that are listed, of one interface. */
struct search {
	int index;
	struct in_addr address;
	bool found;
};

static int compare_address(const struct nlattr *attribute, void *data)
{
	struct search *search = data;

	if (mnl_attr_get_type(attribute) == IFA_LOCAL &&
	    mnl_attr_get_payload_len(attribute) >= sizeof(search->address))
		search->found |= mnl_attr_get_u32(attribute) == search->address.s_addr;
	return MNL_CB_OK;
}

static int compare_addresses(const struct nlmsghdr *message, void *data)
{
	const struct ifaddrmsg *info = mnl_nlmsg_get_payload(message);
	struct search *search = data;

	if ((int)info->ifa_index != search->index)
		return MNL_CB_OK;
	return mnl_attr_parse(message, sizeof(*info), compare_address, search);
}

bool netif_has_address(const struct netif *netif, struct in_addr address)
{
	struct search search = {netif->index, address, false};
	struct mnl_socket *socket = open_netlink();

	if (!socket)
		return false;
	list_addresses(socket, netif->index, compare_addresses, &search);
	mnl_socket_close(socket);
	return search.found;
}

bool netif_replaced(const struct netif *then, const struct netif *now)
{
	return then->index != now->index || then->mtu != now->mtu ||
	       then->address.s_addr != now->address.s_addr;
}

int netif_monitor_open(void)
{
	struct sockaddr_nl address = {
		.nl_family = AF_NETLINK,
		.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR,
	};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		int rc = -errno;

		close(fd);
		return rc;
	}
	return fd;
}

void netif_monitor_drain(int fd)
{
	char buffer[NETLINK_BUFFER_BYTES];

	/* ENOBUFS says that messages were lost, which is the same news: something changed */
	while (recv(fd, buffer, sizeof(buffer), 0) > 0 || errno == ENOBUFS)
		;
}
