// SPDX-License-Identifier: MIT
/* tunnel: see tunnel.h. */
#include "tunnel.h"

#include <netinet/ip.h>
#include <netinet/udp.h>
#include <string.h>

const char *const tunnel_inside_name[TUNNEL_INSIDES] = {[TUNNEL_UDP] = "udp",
							[TUNNEL_NOT_IPV4] = "not_ipv4",
							[TUNNEL_NOT_UDP] = "not_udp",
							[TUNNEL_CUT] = "cut"};

enum { IP_BYTES = sizeof(struct iphdr), UDP_BYTES = sizeof(struct udphdr) };

static uint16_t ip_checksum(const struct iphdr *header)
{
	uint16_t words[IP_BYTES / 2];
	uint32_t sum = 0;

	memcpy(words, header, sizeof(words));
	for (size_t i = 0; i < IP_BYTES / 2; i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t) ~(sum + (sum >> 16));
}

size_t tunnel_begin(uint8_t *bytes, const struct geneve *geneve, const struct tunnel_flow *flow)
{
	struct iphdr ip = {.version = 4,
			   .ihl = IP_BYTES / 4,
			   .frag_off = htons(IP_DF),
			   .ttl = flow->ttl,
			   .protocol = IPPROTO_UDP,
			   .saddr = flow->from.sin_addr.s_addr,
			   .daddr = flow->to.sin_addr.s_addr};
	struct udphdr udp = {
		.source = flow->from.sin_port,
		.dest = flow->to.sin_port}; /* no checksum: the outer one is over all */
	size_t at = geneve_build(bytes, geneve);

	memcpy(bytes + at, &ip, IP_BYTES);
	memcpy(bytes + at + IP_BYTES, &udp, UDP_BYTES);
	at += IP_BYTES + UDP_BYTES;
	tunnel_set_payload(bytes, at, 0);
	return at;
}

void tunnel_set_payload(uint8_t *bytes, size_t length, size_t payload)
{
	uint8_t *ip_at = bytes + length - UDP_BYTES - IP_BYTES,
		*udp_at = bytes + length - UDP_BYTES;
	struct iphdr ip;
	struct udphdr udp;

	memcpy(&ip, ip_at, sizeof(ip));
	memcpy(&udp, udp_at, sizeof(udp));
	ip.tot_len = htons((uint16_t)(IP_BYTES + UDP_BYTES + payload));
	ip.check = 0;
	ip.check = ip_checksum(&ip);
	udp.len = htons((uint16_t)(UDP_BYTES + payload));
	memcpy(ip_at, &ip, sizeof(ip));
	memcpy(udp_at, &udp, sizeof(udp));
}

enum tunnel_inside tunnel_inside(const uint8_t *datagram, size_t length, size_t inner,
				 size_t *payload, size_t *bytes)
{
	size_t left = length - inner, header, total, udp_bytes;
	struct iphdr ip;
	struct udphdr udp;

	if (left < IP_BYTES)
		return TUNNEL_CUT;
	memcpy(&ip, datagram + inner, sizeof(ip));
	header = ip.ihl * 4UL;
	total = ntohs(ip.tot_len);
	if (ip.version != 4 || header < IP_BYTES)
		return TUNNEL_NOT_IPV4;
	if (ip.protocol != IPPROTO_UDP)
		return TUNNEL_NOT_UDP;
	if (total > left || total < header + UDP_BYTES)
		return TUNNEL_CUT;
	memcpy(&udp, datagram + inner + header, sizeof(udp));
	udp_bytes = ntohs(udp.len);
	if (udp_bytes < UDP_BYTES || udp_bytes > total - header)
		return TUNNEL_CUT;
	*payload = inner + header + UDP_BYTES;
	*bytes = udp_bytes - UDP_BYTES;
	return TUNNEL_UDP;
}
