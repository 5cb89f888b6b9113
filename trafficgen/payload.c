// SPDX-License-Identifier: MIT
/*
 * payload: see payload.h for the layout. Buffers belong to the caller. The sender fills its buffer
 * once, then writes (and seals) the header of every packet that leaves in it; the receiver reads it
 * once.
 */
#include "payload.h"

#include <endian.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define MAGIC_PLAIN  0x6d63u
#define MAGIC_SEALED 0x6d76u
#define MASK_48	     ((1ull << 48) - 1)
#define CHECK_OFFSET 16u

static void put16(uint8_t *at, uint16_t value)
{
	value = htobe16(value);
	memcpy(at, &value, sizeof(value));
}

static uint16_t get16(const uint8_t *at)
{
	uint16_t value;

	memcpy(&value, at, sizeof(value));
	return be16toh(value);
}

static void put64(uint8_t *at, uint64_t value)
{
	value = htobe64(value);
	memcpy(at, &value, sizeof(value));
}

static uint64_t get64(const uint8_t *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return be64toh(value);
}

void payload_fill(uint8_t *buffer, size_t size, uint64_t seed)
{
	/* splitmix64: any change of seed or position changes all bits that follow */
	for (size_t at = 0; at < size; at += sizeof(uint64_t)) {
		size_t length = size - at < sizeof(uint64_t) ? size - at : sizeof(uint64_t);
		uint64_t word = (seed += 0x9e3779b97f4a7c15ull);

		word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9ull;
		word = (word ^ (word >> 27)) * 0x94d049bb133111ebull;
		word ^= word >> 31;
		memcpy(buffer + at, &word, length);
	}
}

void payload_write(uint8_t *buffer, const struct payload *payload)
{
	uint64_t sequence = payload->sequence & MASK_48;

	/* the 16 bytes before the check are two words: one store each */
	put64(buffer, (uint64_t)MAGIC_PLAIN << 48 | (uint64_t)payload->flow << 32 | sequence >> 16);
	put64(buffer + 8, sequence << 48 | (payload->sent_ns & MASK_48));
	put16(buffer + CHECK_OFFSET, 0);
}

void payload_seal(uint8_t *buffer, size_t size)
{
	put16(buffer, MAGIC_SEALED);
	put16(buffer + CHECK_OFFSET, 0);
	put16(buffer + CHECK_OFFSET, (uint16_t)XXH3_64bits(buffer, size));
}

enum payload_kind payload_read(const uint8_t *buffer, size_t size, struct payload *payload)
{
	uint64_t first, second;
	uint16_t magic;

	if (size < PAYLOAD_MIN)
		return PAYLOAD_FOREIGN;
	first = get64(buffer);
	second = get64(buffer + 8);
	magic = (uint16_t)(first >> 48);
	if (magic != MAGIC_PLAIN && magic != MAGIC_SEALED)
		return PAYLOAD_FOREIGN;
	payload->flow = (uint16_t)(first >> 32);
	payload->sequence = (first & 0xffffffffu) << 16 | second >> 48;
	payload->sent_ns = second & MASK_48;
	return magic == MAGIC_SEALED ? PAYLOAD_SEALED : PAYLOAD_PLAIN;
}

bool payload_intact(uint8_t *buffer, size_t size)
{
	uint16_t check = get16(buffer + CHECK_OFFSET);
	uint16_t expected;

	put16(buffer + CHECK_OFFSET, 0);
	expected = (uint16_t)XXH3_64bits(buffer, size);
	put16(buffer + CHECK_OFFSET, check);
	return check == expected;
}

int64_t payload_age_ns(uint64_t now_ns, uint64_t sent_ns)
{
	uint64_t age = (now_ns - sent_ns) & MASK_48;

	return age >> 47 ? -1 : (int64_t)age;
}
