// SPDX-License-Identifier: MIT
/*
 * fuzz_packet: packet_parse on anything. An input is one byte of flags and the frame behind it:
 *
 *   bit 0     the kernel vouches for the UDP checksum
 *   bit 1     make the checksums right, which a mutation seldom is
 *   bit 2     of a link that is not Ethernet
 *   bits 3-7  bytes that the frame had on the wire beyond those captured
 *
 * The frame is copied, so that ASan sees a read beyond its last byte.
 */
#include "worker/packet.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put_sum(uint8_t *at, uint32_t sum, const uint8_t *bytes, uint32_t length)
{
	at[0] = at[1] = 0;
	for (uint32_t i = 0; i < length; i++)
		sum += (uint32_t)bytes[i] << (i % 2 ? 0 : 8);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	at[0] = (uint8_t)(~sum >> 8);
	at[1] = (uint8_t)~sum;
}

/* Where an untagged or tagged packet without surprises has its checksums. */
static void repair_checksums(uint8_t *frame, uint32_t length, bool bare)
{
	uint32_t ip = bare ? 0 : 14, header, udp_bytes;

	while (ip >= 14 && ip < 22 && ip + 20 <= length &&
	       (frame[ip - 2] == 0x81 || frame[ip - 2] == 0x88))
		ip += 4;
	if (ip + 20 > length)
		return;
	header = (frame[ip] & 15U) * 4;
	if (header < 20 || ip + header + 8 > length)
		return;
	put_sum(frame + ip + 10, 0, frame + ip, header);
	udp_bytes = (uint32_t)frame[ip + header + 4] << 8 | frame[ip + header + 5];
	if (udp_bytes < 8 || ip + header + udp_bytes > length)
		return;
	for (uint32_t i = 12; i < 20; i++) /* the pseudo header */
		udp_bytes += (uint32_t)frame[ip + i] << (i % 2 ? 0 : 8);
	put_sum(frame + ip + header + 6, 17 + udp_bytes, frame + ip + header,
		(uint32_t)frame[ip + header + 4] << 8 | frame[ip + header + 5]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct frame frame;
	struct packet packet;
	uint8_t *copy;
	volatile uint8_t byte; /* the reads must not be optimised away */

	if (size == 0 || size > 70000)
		return 0;
	copy = malloc(size - 1);
	if (!copy)
		return 0;
	memcpy(copy, data + 1, size - 1);
	if (data[0] & 2)
		repair_checksums(copy, (uint32_t)size - 1, data[0] & 4);
	frame = (struct frame){
		.data = copy,
		.captured = (uint32_t)size - 1,
		.original = (uint32_t)size - 1 + (data[0] >> 3),
		.checksum_good = data[0] & 1,
		.bare = data[0] & 4,
	};
	if (packet_parse(&frame, &packet) == PACKET_OK) {
		if (packet.payload < frame.data + (frame.bare ? 28 : 42) ||
		    packet.payload_bytes > 65507 ||
		    packet.payload + packet.payload_bytes > frame.data + frame.captured)
			abort();
		for (uint32_t i = 0; i < packet.payload_bytes; i++)
			byte = packet.payload[i];
	}
	free(copy);
	(void)byte;
	return 0;
}
