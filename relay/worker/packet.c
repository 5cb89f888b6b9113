// SPDX-License-Identifier: MIT
/*
 * packet: see packet.h.
 *
 *   0        12   14             14+4n                  +ihl*4     +8
 *   | dst src |type| VLAN tag x n | IPv4 header, options | UDP      | payload      | padding
 *                                  <------------------ total length -------------->
 *                                                        <-------- udp length ---->
 *
 * The Ethernet padding of short frames is behind total length and is ignored. A UDP length shorter
 * than what IP carries is legal: the UDP length rules.
 */
#include "worker/packet.h"

#include <string.h>

enum {
	ETHERNET_BYTES = 14,
	VLAN_TAG_BYTES = 4,
	MAX_VLAN_TAGS = 2,
	VLAN_BITS = 0x0fff,
	IPV4_MIN_BYTES = 20,
	UDP_BYTES = 8,

	TYPE_IPV4 = 0x0800,
	TYPE_VLAN = 0x8100,
	TYPE_QINQ = 0x88a8,

	PROTOCOL_UDP = 17,
	MORE_FRAGMENTS = 0x2000,
	FRAGMENT_OFFSET = 0x1fff,
};

static uint16_t load16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* Ones' complement sum of `length` bytes in memory order (RFC 1071: byte order does not matter as
 * long as it is the same throughout); not yet folded. */
static uint64_t sum_bytes(const uint8_t *p, uint32_t length)
{
	uint64_t sum = 0;
	uint32_t word;

	for (; length >= 4; p += 4, length -= 4) {
		memcpy(&word, p, 4);
		sum += word;
	}
	if (length) {
		word = 0;
		memcpy(&word, p, length);
		sum += word;
	}
	return sum;
}

static uint16_t fold(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* The sum over data that contains its own correct checksum is all ones: of the sums that are not 0,
 * those that 65535 divides. */
static inline bool all_ones(uint64_t sum)
{
	return sum % 0xffff == 0;
}

static inline uint32_t load_word(const uint8_t *p)
{
	uint32_t word;

	memcpy(&word, p, sizeof(word));
	return word;
}

/* Its first byte is not 0. */
static inline bool ip_checksum_ok(const uint8_t *ip, uint32_t header_bytes)
{
	uint64_t sum = (uint64_t)load_word(ip) + load_word(ip + 4) + load_word(ip + 8) +
		       load_word(ip + 12) + load_word(ip + 16);

	if (header_bytes > IPV4_MIN_BYTES)
		sum += sum_bytes(ip + IPV4_MIN_BYTES, header_bytes - IPV4_MIN_BYTES);
	return all_ones(sum);
}

/* The pseudo header has a protocol, which is not 0. */
static bool udp_checksum_ok(const uint8_t *ip, const uint8_t *udp, uint32_t udp_bytes)
{
	const uint8_t pseudo[4] = {0, PROTOCOL_UDP, (uint8_t)(udp_bytes >> 8), (uint8_t)udp_bytes};

	if (load16(udp + 6) == 0) /* the sender computed none */
		return true;
	return all_ones(sum_bytes(ip + 12, 8) + sum_bytes(pseudo, sizeof(pseudo)) +
			sum_bytes(udp, udp_bytes));
}

static uint32_t skip_tags(const struct frame *frame, uint16_t *type)
{
	uint32_t offset = ETHERNET_BYTES;

	for (int tags = 0; tags < MAX_VLAN_TAGS; tags++) {
		if (*type != TYPE_VLAN && *type != TYPE_QINQ)
			break;
		if (frame->captured < offset + VLAN_TAG_BYTES ||
		    load16(frame->data + offset) & VLAN_BITS) /* a VLAN's: it stays what it is */
			return offset;
		*type = load16(frame->data + offset + 2);
		offset += VLAN_TAG_BYTES;
	}
	return offset;
}

/* Offset of the network header; *type becomes its EtherType. Frames end inside the header only
 * when they are malformed: a ring slot holds far more than 22 bytes. */
static inline uint32_t skip_link_header(const struct frame *frame, uint16_t *type)
{
	*type = TYPE_IPV4;
	if (frame->bare)
		return 0;
	*type = load16(frame->data + 12);
	return *type == TYPE_IPV4 ? ETHERNET_BYTES : skip_tags(frame, type);
}

enum packet_verdict packet_parse(const struct frame *frame, struct packet *packet)
{
	const uint8_t *ip, *udp;
	uint32_t offset, header_bytes, total_bytes, udp_bytes;
	uint16_t type;

	if (frame->captured < ETHERNET_BYTES)
		return PACKET_MALFORMED;
	offset = skip_link_header(frame, &type);
	if (type != TYPE_IPV4 || frame->captured < offset + IPV4_MIN_BYTES)
		return PACKET_MALFORMED;

	ip = frame->data + offset;
	header_bytes = (ip[0] & 0x0fU) * 4;
	total_bytes = load16(ip + 2);
	if (ip[0] >> 4 != 4 || header_bytes < IPV4_MIN_BYTES || ip[9] != PROTOCOL_UDP ||
	    total_bytes < header_bytes || offset + total_bytes > frame->original)
		return PACKET_MALFORMED;
	if (offset + total_bytes > frame->captured)
		return PACKET_TRUNCATED;
	if (!ip_checksum_ok(ip, header_bytes))
		return PACKET_CHECKSUM;
	if (load16(ip + 6) & (MORE_FRAGMENTS | FRAGMENT_OFFSET))
		return PACKET_FRAGMENT;
	if (total_bytes < header_bytes + UDP_BYTES)
		return PACKET_MALFORMED;

	udp = ip + header_bytes;
	udp_bytes = load16(udp + 4);
	if (udp_bytes < UDP_BYTES || udp_bytes > total_bytes - header_bytes)
		return PACKET_MALFORMED;
	if (!frame->checksum_good && !udp_checksum_ok(ip, udp, udp_bytes))
		return PACKET_CHECKSUM;

	memcpy(&packet->group, ip + 16, sizeof(packet->group));
	packet->port = load16(udp + 2);
	packet->ip = ip;
	packet->payload = udp + UDP_BYTES;
	packet->payload_bytes = udp_bytes - UDP_BYTES;
	return PACKET_OK;
}

void packet_fragment(const struct frame *frame, struct fragment *fragment)
{
	uint16_t type, where;

	fragment->ip = frame->data + skip_link_header(frame, &type);
	fragment->header_bytes = (fragment->ip[0] & 0x0fU) * 4;
	fragment->data = fragment->ip + fragment->header_bytes;
	fragment->bytes = load16(fragment->ip + 2) - fragment->header_bytes;
	where = load16(fragment->ip + 6);
	fragment->offset = (where & FRAGMENT_OFFSET) * 8U;
	fragment->last = !(where & MORE_FRAGMENTS);
}

static void store16(uint8_t *p, uint16_t value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

void packet_make_whole(uint8_t *ip, uint32_t header_bytes, uint32_t bytes)
{
	uint16_t sum;

	store16(ip + 2, (uint16_t)(header_bytes + bytes));
	store16(ip + 6, 0);
	store16(ip + 10, 0);
	sum = (uint16_t)~fold(sum_bytes(ip, header_bytes));
	memcpy(ip + 10, &sum, sizeof(sum)); /* in memory order, as it was added up */
}
