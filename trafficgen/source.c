// SPDX-License-Identifier: MIT
/* source: the socket of one flow; see send.h. */
#include "common/errno_reason.h"
#include "send.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Source ports of the packets inside of a tunnel, which no socket has. */
enum { FIRST_INNER_PORT = 49152, INNER_PORTS = 16384 };

/* `step` tells the caller what was being tried when it fails. */
static int source_configure(const struct source *source, const struct send_settings *settings,
			    const char **step)
{
	struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr = settings->common.interface};
	struct ip_mreqn interface = {.imr_address = settings->common.interface};
	struct timeval patience = {.tv_usec = STOP_CHECK_NS / NS_PER_US};
	int fd = source->fd, rc;

	*step = "send from";
	if (bind(fd, (const struct sockaddr *)&from, sizeof(from)) < 0 ||
	    setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &interface, sizeof(interface)) < 0)
		return -errno;
	*step = "set the options of a socket on";
	/* a queue that stays full shows up as EAGAIN instead of a thread that never ends */
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0)
		return -errno;
	if ((rc = set_option(fd, IPPROTO_IP, IP_MULTICAST_LOOP, 0)) < 0 ||
	    (rc = set_option(fd, IPPROTO_IP, IP_MULTICAST_TTL, (int)settings->ttl)) < 0 ||
	    (rc = set_option(fd, IPPROTO_IP, IP_TTL, (int)settings->ttl)) < 0 ||
	    (rc = set_option(fd, SOL_SOCKET, SO_BROADCAST, 1)) < 0)
		return rc;
	*step = "set the send buffer of a socket on";
	/* beyond net.core.wmem_max with CAP_NET_ADMIN, up to it without */
	if (set_option(fd, SOL_SOCKET, SO_SNDBUFFORCE, (int)settings->sndbuf) < 0 &&
	    (rc = set_option(fd, SOL_SOCKET, SO_SNDBUF, (int)settings->sndbuf)) < 0)
		return rc;
	return 0;
}

size_t source_begin_tunnel(struct source *source, const struct send_settings *settings)
{
	struct geneve geneve = {.vni = (uint32_t)settings->vni, .protocol = GENEVE_ETHERTYPE_IPV4};
	struct tunnel_flow flow = {.ttl = (uint8_t)settings->ttl};

	if (settings->gwlb_endpoint) {
		geneve.has_endpoint = geneve.has_attachment = geneve.has_cookie = true;
		geneve.endpoint = geneve.attachment =
			settings->gwlb_endpoint + source->flow % settings->gwlb_endpoints;
		geneve.cookie = source->flow + 1U;
	}
	flow.from.sin_addr = settings->common.interface;
	flow.from.sin_port = htons((uint16_t)(FIRST_INNER_PORT + source->flow % INNER_PORTS));
	flow.to.sin_addr = settings->common.group;
	flow.to.sin_port = htons(source->port);
	return tunnel_begin(source->tunnel, &geneve, &flow);
}

int source_open(struct generator *generator, unsigned flow)
{
	const struct send_settings *settings = &generator->settings;
	struct source *source = &generator->sources[flow];
	const char *step;
	int rc;

	source->flow = (uint16_t)(settings->first_flow + flow);
	source->port = (uint16_t)(settings->common.port + flow * settings->port_step);
	source->to.sin_family = AF_INET;
	source->to.sin_addr = generator->tunnel_bytes ? settings->geneve : settings->common.group;
	source->to.sin_port =
		htons(generator->tunnel_bytes ? (uint16_t)settings->geneve_port : source->port);
	if (generator->tunnel_bytes)
		source_begin_tunnel(source, settings);
	source->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (source->fd < 0) {
		rc = -errno;
		complain(&generator->run, "cannot open the socket of flow %u: %s%s%s", flow,
			 strerror(-rc), reason_of_shortage(rc),
			 rc == -EMFILE ? ", or use fewer --flows" : "");
		return rc;
	}
	rc = source_configure(source, settings, &step);
	if (rc < 0) {
		char from[INET_ADDRSTRLEN];

		inet_ntop(AF_INET, &settings->common.interface, from, sizeof(from));
		complain(&generator->run, "cannot %s %s for flow %u: %s%s", step, from, flow,
			 strerror(-rc),
			 rc == -EADDRNOTAVAIL ? "; it is not an address of this host, see "
						"'ip -4 addr'"
					      : reason_of_shortage(rc));
	}
	return rc;
}

void source_close(struct source *source)
{
	if (source->fd >= 0)
		close(source->fd);
}
