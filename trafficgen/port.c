// SPDX-License-Identifier: MIT
/* port: the socket of one UDP port of 'trafficgen recv'; see recv.h. */
#include "recv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static bool joins(const struct recv_settings *settings)
{
	return IN_MULTICAST(ntohl(settings->common.group.s_addr)) && !settings->no_join;
}

static int port_join(const struct port *port, const struct recv_settings *settings)
{
	struct ip_mreqn request = {.imr_multiaddr = settings->common.group,
				   .imr_address = settings->common.interface};
	int rc;

	if (!joins(settings))
		return 0;
	/* only what this socket joined, not what others joined on other interfaces */
	rc = set_option(port->fd, IPPROTO_IP, IP_MULTICAST_ALL, 0);
	if (rc < 0)
		return rc;
	if (setsockopt(port->fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof(request)) < 0)
		return -errno;
	return 0;
}

static int port_set_buffer(const struct port *port, struct receiver *receiver)
{
	int granted, asked = (int)receiver->settings.rcvbuf;
	socklen_t length = sizeof(granted);

	/* beyond net.core.rmem_max with CAP_NET_ADMIN, up to it without */
	if (set_option(port->fd, SOL_SOCKET, SO_RCVBUFFORCE, asked) < 0 &&
	    set_option(port->fd, SOL_SOCKET, SO_RCVBUF, asked) < 0)
		return -errno;
	if (getsockopt(port->fd, SOL_SOCKET, SO_RCVBUF, &granted, &length) < 0)
		return -errno;
	receiver->rcvbuf_bytes = (uint64_t)granted;
	return 0;
}

/* Without it, each packet comes by itself: slower, but nothing else changes. */
static void port_set_gro(const struct port *port, struct receiver *receiver)
{
	int rc = receiver->gro ? set_option(port->fd, SOL_UDP, UDP_GRO, 1) : 0;

	if (rc == 0)
		return;
	receiver->gro = false;
	complain(&receiver->run, "the kernel refuses --gro on (%s); going on without",
		 strerror(-rc));
}

/* `step` tells the caller what was being tried when it fails. */
static int port_configure(const struct port *port, struct receiver *receiver, uint16_t number,
			  const char **step)
{
	const struct recv_settings *settings = &receiver->settings;
	struct sockaddr_in local = {.sin_family = AF_INET,
				    .sin_addr = settings->common.group,
				    .sin_port = htons(number)};
	struct timeval tick = {.tv_usec = TICK_MS * 1000};
	int rc;

	*step = "set the receive buffer of";
	rc = port_set_buffer(port, receiver);
	if (rc < 0)
		return rc;
	*step = "set the time limit of";
	if (setsockopt(port->fd, SOL_SOCKET, SO_RCVTIMEO, &tick, sizeof(tick)) < 0)
		return -errno;
	port_set_gro(port, receiver);
	*step = "set --busy-poll (needs CAP_NET_ADMIN) for";
	if (settings->busy_poll_us &&
	    (rc = set_option(port->fd, SOL_SOCKET, SO_BUSY_POLL, (int)settings->busy_poll_us)) < 0)
		return rc;
	*step = "listen on";
	rc = set_option(port->fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (rc < 0)
		return rc;
	if (bind(port->fd, (const struct sockaddr *)&local, sizeof(local)) < 0)
		return -errno;
	*step = "join";
	return port_join(port, settings);
}

static const char *advice(int rc)
{
	switch (rc) {
	case -EMFILE:
		return "; use fewer --ports or raise 'ulimit -Hn'";
	case -EADDRNOTAVAIL:
		return "; it is neither a multicast group nor an address of this host, see "
		       "'ip -4 addr'";
	case -EADDRINUSE:
		return "; see 'ss -uanp' for who has it";
	case -EACCES:
		return "; ports below 1024 need CAP_NET_BIND_SERVICE";
	case -EPERM:
		return "; run as root";
	default:
		return "";
	}
}

int port_open(struct receiver *receiver, unsigned index)
{
	struct port *port = &receiver->ports[index];
	uint16_t number = (uint16_t)(receiver->settings.common.port + index);
	const char *step = "open a socket for";
	char group[INET_ADDRSTRLEN];
	int rc;

	port->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	rc = port->fd < 0 ? -errno : port_configure(port, receiver, number, &step);
	if (rc == 0 && receiver->epoll_fd >= 0) {
		struct epoll_event event = {.events = EPOLLIN, .data.u32 = index};

		step = "watch";
		if (epoll_ctl(receiver->epoll_fd, EPOLL_CTL_ADD, port->fd, &event) < 0)
			rc = -errno;
	}
	if (rc < 0) {
		inet_ntop(AF_INET, &receiver->settings.common.group, group, sizeof(group));
		complain(&receiver->run, "cannot %s %s:%u: %s%s", step, group, number,
			 strerror(-rc), advice(rc));
	}
	return rc;
}

uint32_t port_new_drops(struct port *port)
{
	uint32_t info[SK_MEMINFO_VARS] = {0}, seen = port->drops_seen;
	socklen_t length = sizeof(info);

	if (getsockopt(port->fd, SOL_SOCKET, SO_MEMINFO, info, &length) < 0)
		return 0;
	port->drops_seen = info[SK_MEMINFO_DROPS];
	return port->drops_seen - seen;
}

void port_close(struct port *port)
{
	if (port->fd >= 0)
		close(port->fd);
}
