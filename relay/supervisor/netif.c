// SPDX-License-Identifier: MIT
/* netif: see netif.h. */
#include "supervisor/netif.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
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

static void query_address(int fd, struct netif *netif)
{
	struct ifreq request = {0};
	struct sockaddr_in address;

	strcpy(request.ifr_name, netif->name);
	if (ioctl(fd, SIOCGIFADDR, &request) < 0)
		return; /* none assigned */
	memcpy(&address, &request.ifr_addr, sizeof(address));
	netif->address = address.sin_addr;
}

int netif_query(const char *name, struct netif *netif)
{
	struct mnl_socket *netlink;
	int fd, rc;

	*netif = (struct netif){0};
	if (strlen(name) >= sizeof(netif->name))
		return -ENODEV;
	strcpy(netif->name, name);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	netlink = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!netlink) {
		rc = -errno;
		goto out_close;
	}
	if (mnl_socket_bind(netlink, 0, MNL_SOCKET_AUTOPID) < 0)
		rc = -errno;
	else
		rc = query_link(netlink, name, netif);
	if (rc == 0)
		query_address(fd, netif);
	mnl_socket_close(netlink);
out_close:
	close(fd);
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

bool netif_exists(const char *name, void *unused)
{
	(void)unused;
	return if_nametoindex(name) != 0;
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

static void list_addresses(struct mnl_socket *socket, struct search *search)
{
	char buffer[NETLINK_BUFFER_BYTES];
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	struct ifaddrmsg *info;
	ssize_t length;
	int rc = MNL_CB_OK;

	request->nlmsg_type = RTM_GETADDR;
	request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	request->nlmsg_seq = 1;
	info = mnl_nlmsg_put_extra_header(request, sizeof(*info));
	info->ifa_family = AF_INET;
	info->ifa_index = (uint32_t)search->index;
	if (mnl_socket_sendto(socket, request, request->nlmsg_len) < 0)
		return;
	while (rc > MNL_CB_STOP) {
		length = mnl_socket_recvfrom(socket, buffer, sizeof(buffer));
		if (length <= 0)
			return;
		rc = mnl_cb_run(buffer, (size_t)length, 1, mnl_socket_get_portid(socket),
				compare_addresses, search);
	}
}

bool netif_has_address(const struct netif *netif, struct in_addr address)
{
	struct search search = {netif->index, address, false};
	struct mnl_socket *socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	const int on = 1;

	if (!socket)
		return false;
	/* only those of this interface, not all of the host, where the kernel can do that */
	mnl_socket_setsockopt(socket, NETLINK_GET_STRICT_CHK, (void *)&on, sizeof(on));
	if (mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) == 0)
		list_addresses(socket, &search);
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
