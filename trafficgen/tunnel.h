/* SPDX-License-Identifier: MIT
 *
 * tunnel: datagrams inside of datagrams, as a gateway load balancer sends them: what a packet of a
 * flow begins with when it goes to a tunnel's endpoint, and what is inside of one that came from
 * there.
 *
 *     | Geneve, its options | IPv4, 20 | UDP, 8 | payload |
 */
#ifndef TUNNEL_H
#define TUNNEL_H

#include "common/geneve.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TUNNEL_BYTES_MAX (GENEVE_BYTES_MAX + 28u)

/* Where the inner packets of a flow come from and go to. */
struct tunnel_flow {
	struct sockaddr_in from, to;
	uint8_t ttl;
};

/* Writes what a packet of the flow begins with, TUNNEL_BYTES_MAX at most, for a payload of no
 * bytes; returns its length. */
size_t tunnel_begin(uint8_t *bytes, const struct geneve *geneve, const struct tunnel_flow *flow);

/* Per packet: the same beginning of `length` bytes, of a packet with that payload. */
void tunnel_set_payload(uint8_t *bytes, size_t length, size_t payload);

/* What is not Geneve's to say: is there a whole UDP datagram inside? */
enum tunnel_inside { TUNNEL_UDP, TUNNEL_NOT_IPV4, TUNNEL_NOT_UDP, TUNNEL_CUT, TUNNEL_INSIDES };

extern const char *const tunnel_inside_name[TUNNEL_INSIDES];

/* A datagram that came through a tunnel, and is GENEVE_OK. On TUNNEL_UDP, *payload and *bytes say
 * where the payload of the inner datagram lies in it. */
enum tunnel_inside tunnel_inside(const uint8_t *datagram, size_t length, size_t inner,
				 size_t *payload, size_t *bytes);

#endif
