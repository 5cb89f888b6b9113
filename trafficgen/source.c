// SPDX-License-Identifier: MIT
/* source: the socket of one flow; see send.h. */
#include "send.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int source_configure(const struct source *source, const struct send_settings *settings)
{
	struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr = settings->common.interface};
	struct ip_mreqn interface = {.imr_address = settings->common.interface};
	struct timeval patience = {.tv_usec = STOP_CHECK_NS / NS_PER_US};
	int fd = source->fd, rc;

	if (bind(fd, (const struct sockaddr *)&from, sizeof(from)) < 0 ||
	    setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &interface, sizeof(interface)) < 0 ||
	    /* a queue that stays full shows up as EAGAIN instead of a thread that never ends */
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0)
		return -errno;
	if ((rc = set_option(fd, IPPROTO_IP, IP_MULTICAST_LOOP, 0)) < 0 ||
	    (rc = set_option(fd, IPPROTO_IP, IP_MULTICAST_TTL, (int)settings->ttl)) < 0 ||
	    (rc = set_option(fd, IPPROTO_IP, IP_TTL, (int)settings->ttl)) < 0 ||
	    (rc = set_option(fd, SOL_SOCKET, SO_BROADCAST, 1)) < 0)
		return rc;
	/* beyond net.core.wmem_max with CAP_NET_ADMIN, up to it without */
	if (set_option(fd, SOL_SOCKET, SO_SNDBUFFORCE, (int)settings->sndbuf) < 0 &&
	    (rc = set_option(fd, SOL_SOCKET, SO_SNDBUF, (int)settings->sndbuf)) < 0)
		return rc;
	return 0;
}

int source_open(struct generator *generator, unsigned flow)
{
	const struct send_settings *settings = &generator->settings;
	struct source *source = &generator->sources[flow];
	int rc;

	source->flow = (uint16_t)flow;
	source->to.sin_family = AF_INET;
	source->to.sin_addr = settings->common.group;
	source->to.sin_port = htons((uint16_t)(settings->common.port + flow * settings->port_step));
	source->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (source->fd < 0) {
		rc = -errno;
		complain(&generator->run, "cannot open the socket of flow %u: %s; %s", flow,
			 strerror(-rc),
			 rc == -EMFILE ? "use fewer --flows or raise 'ulimit -Hn'"
				       : "check the system's limits");
		return rc;
	}
	rc = source_configure(source, settings);
	if (rc < 0) {
		char from[INET_ADDRSTRLEN];

		inet_ntop(AF_INET, &settings->common.interface, from, sizeof(from));
		complain(&generator->run,
			 "cannot set up the socket of flow %u on %s: %s; see 'ip -4 addr'", flow,
			 from, strerror(-rc));
	}
	return rc;
}

void source_close(struct source *source)
{
	if (source->fd >= 0)
		close(source->fd);
}
