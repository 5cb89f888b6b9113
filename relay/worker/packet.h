/* SPDX-License-Identifier: MIT
 *
 * packet: bytes of a frame -> where it goes and what it carries. Pure: no system calls, no
 * allocation, never reads outside the bytes it was given.
 */
#ifndef PACKET_H
#define PACKET_H

#include <stdbool.h>
#include <stdint.h>

/* One received frame, as the ingress lends it. The bytes stay the ingress's. */
struct frame {
	const uint8_t *data; /* from the Ethernet header on; of a bare one, the IP header */
	uint32_t captured;   /* bytes at data */
	uint32_t original;   /* bytes on the wire; more than captured if the slot was too small */
	uint32_t slot;	     /* number of its buffer, the ingress's own business */
	uint64_t time;	     /* when the kernel took it, comparable among frames of an input */
	uint16_t
		segment_bytes; /* an aggregate: UDP payload of each of its packets; 0: it is none */
	bool checksum_good; /* the kernel vouches for the UDP checksum, or has yet to fill it in */
	bool bare;	    /* of a link that is not Ethernet */
};

/* Seconds and nanoseconds, one above the other: to be compared, no more. */
static inline uint64_t frame_time(uint32_t seconds, uint32_t nanoseconds)
{
	return (uint64_t)seconds << 32 | nanoseconds;
}

/* Packets in a frame with that much payload: several if it is an aggregate. */
static inline uint32_t frame_segments(const struct frame *frame, uint32_t payload_bytes)
{
	if (frame->segment_bytes == 0 || payload_bytes <= frame->segment_bytes)
		return 1;
	return (payload_bytes + frame->segment_bytes - 1) / frame->segment_bytes;
}

/* Packets in a frame whose payload is not known, for IPv4 without options, and UDP. */
static inline uint32_t frame_packets(const struct frame *frame)
{
	const uint32_t headers = (frame->bare ? 0 : 14) + 20 + 8;

	return frame->original > headers ? frame_segments(frame, frame->original - headers) : 1;
}

/* A UDP datagram inside a frame. */
struct packet {
	uint32_t group;		/* destination address, network order */
	uint16_t port;		/* destination port, host order */
	const uint8_t *ip;	/* its header: of what few rules need, nothing is copied */
	const uint8_t *payload; /* inside the frame, as the header */
	uint32_t payload_bytes; /* 0 to 65507 */
};

/* Where it comes from: address in host order. */
static inline uint32_t packet_source(const struct packet *packet)
{
	const uint8_t *at = packet->ip + 12;

	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* In host order. */
static inline uint16_t packet_source_port(const struct packet *packet)
{
	return (uint16_t)(packet->payload[-8] << 8 | packet->payload[-7]);
}

/* A fragment of a datagram inside a frame. */
struct fragment {
	const uint8_t *ip; /* its header, of header_bytes */
	uint32_t header_bytes;
	const uint8_t *data; /* what it carries of the datagram, */
	uint32_t bytes;
	uint32_t offset; /* which begins there */
	bool last;
};

/* Packets that lie one behind the other, of one size but for the last, which may be shorter: one
 * packet, or all that an aggregate holds. */
struct run {
	const uint8_t *payload;
	uint32_t bytes;		/* of all packets */
	uint32_t segment_bytes; /* of every packet but the last; 0 only if there is one, empty */
	uint32_t segments;	/* packets; at least 1 */
	uint16_t marks;		/* of all of them: packet_marks; 0 where no output asks */
};

/* What an output may take over from the IP header of a packet: its TTL less one, and its DSCP. */
enum { MARKS_TTL = 0xff00, MARKS_DSCP = 0x00fc };

static inline uint16_t packet_marks(const struct packet *packet)
{
	const unsigned ttl = packet->ip[8], tos = packet->ip[1];

	return (uint16_t)((ttl ? ttl - 1 : 0) << 8 | (tos & MARKS_DSCP));
}

enum packet_verdict {
	PACKET_OK,
	PACKET_MALFORMED, /* not UDP over IPv4, or lengths that contradict each other */
	PACKET_FRAGMENT,
	PACKET_TRUNCATED, /* the frame continues beyond what was captured */
	PACKET_CHECKSUM,  /* IP header or UDP checksum wrong */
};

/* Ethernet with up to two priority tags (VLAN 0) or none of that, IPv4 with options, UDP. *packet
 * is set only for PACKET_OK. What belongs to an interface: see supervisor/input_filter.h. */
enum packet_verdict packet_parse(const struct frame *frame, struct packet *packet);

/* *fragment of a frame that packet_parse has found to be PACKET_FRAGMENT. */
void packet_fragment(const struct frame *frame, struct fragment *fragment);

/* Makes an IPv4 header of header_bytes that of a whole datagram which carries so many bytes. */
void packet_make_whole(uint8_t *ip, uint32_t header_bytes, uint32_t bytes);

#endif
