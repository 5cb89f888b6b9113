// SPDX-License-Identifier: MIT
/*
 * fuzz_reassembly: fragments in any order, overlapping, too long, of several datagrams at a time.
 * An input is a list of fragments of six bytes each:
 *
 *   | datagram, input | flags and offset (2) | bytes (2) | seconds since the one before |
 *
 * Their headers are right, but for what these say; what they carry counts on. Every fragment has to
 * be counted once in the end, and a datagram that comes out has to be within its memory.
 */
#include "worker/reassembly.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ETHERNET = 14, HEADER = 20, RECORD = 6 };

static void put16(uint8_t *at, unsigned value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void read_all(const struct frame *whole)
{
	struct packet packet;
	volatile uint8_t byte; /* the reads must not be optimised away */

	for (uint32_t i = 0; i < whole->captured; i++)
		byte = whole->data[i];
	if (packet_parse(whole, &packet) == PACKET_FRAGMENT)
		abort();
	(void)byte;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t frame_bytes[ETHERNET + HEADER + 65535];
	static struct counters counters;
	struct reassembly reassembly;
	uint64_t fragments = 0, whole_ones = 0, seconds = 1;

	memset(&counters, 0, sizeof(counters));
	if (reassembly_init(&reassembly, &counters) < 0)
		return 0;
	for (; size >= RECORD; data += RECORD, size -= RECORD) {
		uint8_t *ip = frame_bytes + ETHERNET;
		const uint32_t bytes = (uint32_t)(data[3] << 8 | data[4]) % (65535 - HEADER);
		struct frame frame, whole = {0};
		struct packet packet;

		seconds += data[5];
		memset(frame_bytes, 0, ETHERNET + HEADER);
		memset(ip + HEADER, data[4], bytes);
		put16(frame_bytes + 12, 0x0800);
		ip[0] = 0x45;
		put16(ip + 4, data[0] & 0x7f);
		put16(ip + 6, (unsigned)(data[1] << 8 | data[2]) & 0x3fff);
		ip[9] = 17;
		{ /* its length and checksum, as of a whole one; then the flags again */
			uint8_t where[2] = {ip[6], ip[7]};
			unsigned sum = 0;

			packet_make_whole(ip, HEADER, bytes);
			memcpy(ip + 6, where, 2);
			put16(ip + 10, 0);
			for (unsigned i = 0; i < HEADER; i += 2)
				sum += (unsigned)ip[i] << 8 | ip[i + 1];
			sum = (sum & 0xffff) + (sum >> 16);
			put16(ip + 10, ~(sum + (sum >> 16)) & 0xffff);
		}
		frame = (struct frame){.data = frame_bytes,
				       .captured = ETHERNET + HEADER + bytes,
				       .original = ETHERNET + HEADER + bytes,
				       .time = seconds << 32};
		if (packet_parse(&frame, &packet) != PACKET_FRAGMENT)
			continue;
		fragments++;
		if (!reassembly_add(&reassembly, data[0] >> 7, &frame, &whole))
			continue;
		whole_ones++;
		read_all(&whole);
		if (data[2] & 1) /* else it stays lent */
			reassembly.ingress.ops->release(&reassembly.ingress, whole.slot);
	}
	reassembly_give_up(&reassembly);
	if (counter_get(&counters, COUNTER_recv_packets) + whole_ones != fragments ||
	    counter_get(&counters, COUNTER_joined_fragments) +
			    counter_get(&counters, COUNTER_drop_fragment) + whole_ones !=
		    fragments)
		abort();
	reassembly_exit(&reassembly);
	return 0;
}
