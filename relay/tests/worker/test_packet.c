// SPDX-License-Identifier: MIT
/*
 * packet: frames that are right, frames cut short at every byte, frames that lie about their
 * lengths, and 200,000 random mutations. Every frame is parsed at the very end of a mapping whose
 * next page cannot be read, so that one byte too far is a crash.
 *
 * The checksums here are computed byte by byte in network order, not as packet.c does it.
 */
#include "worker/packet.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "../chance.h"

enum { MAX_PAYLOAD = 65507, GUARDED_BYTES = 128 * 1024 };

/* A frame under construction; ip and udp are the offsets of those headers. */
struct built {
	uint8_t bytes[GUARDED_BYTES];
	uint32_t length, ip, udp;
};

static struct built built;
static uint8_t *guarded_end; /* what is from here on cannot be read */

static int map_guarded(void **state)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *start = mmap(NULL, GUARDED_BYTES + page, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	if (start == MAP_FAILED)
		return -1;
	guarded_end = start + GUARDED_BYTES;
	return mprotect(guarded_end, page, PROT_NONE);
}

/* ------------------------------------------------------------------------- building frames */

static void put16(uint32_t offset, unsigned value)
{
	built.bytes[offset] = (uint8_t)(value >> 8);
	built.bytes[offset + 1] = (uint8_t)value;
}

static unsigned get16(uint32_t offset)
{
	return (unsigned)built.bytes[offset] << 8 | built.bytes[offset + 1];
}

static unsigned add_words(unsigned long sum, uint32_t offset, uint32_t length)
{
	for (uint32_t i = 0; i < length; i++)
		sum += (unsigned long)built.bytes[offset + i] << (i % 2 ? 0 : 8);
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	return (unsigned)sum;
}

static void sum_ip(void)
{
	put16(built.ip + 10, 0);
	put16(built.ip + 10, ~add_words(0, built.ip, (built.bytes[built.ip] & 15U) * 4));
}

static void sum_udp(void)
{
	const unsigned length = get16(built.udp + 4);
	unsigned sum;

	put16(built.udp + 6, 0);
	sum = add_words(add_words(17 + length, built.ip + 12, 8), built.udp, length);
	put16(built.udp + 6, sum == 0xffff ? 0xffff : ~sum);
}

/* Ethernet, `tags` VLAN tags (the first is 802.1ad when there are two), `options` words of IP
 * options, UDP to 239.1.2.3:5000. All checksums right. */
static void build(unsigned tags, unsigned options, uint32_t payload_bytes)
{
	uint32_t offset = 12;
	const uint32_t header = 20 + options * 4;

	memset(built.bytes, 0, 14 + 4 * tags + header + 8);
	memcpy(built.bytes, "\x01\x00\x5e\x01\x02\x03\x02\x00\x00\x00\x00\x01", 12);
	for (unsigned i = 0; i < tags; i++, offset += 4) {
		put16(offset, i + 1 < tags ? 0x88a8 : 0x8100);
		put16(offset + 2, 0xa000); /* priority 5 of no VLAN */
	}
	put16(offset, 0x0800);
	built.ip = offset + 2;
	built.udp = built.ip + header;
	built.length = built.udp + 8 + payload_bytes;

	built.bytes[built.ip] = (uint8_t)(0x40 | header / 4);
	put16(built.ip + 2, header + 8 + payload_bytes);
	built.bytes[built.ip + 1] = 0xb9;
	built.bytes[built.ip + 8] = 7;
	built.bytes[built.ip + 9] = 17;
	memcpy(&built.bytes[built.ip + 12], "\x0a\x00\x00\x01\xef\x01\x02\x03", 8);
	memset(&built.bytes[built.ip + 20], 1, options * 4); /* no-operation */
	sum_ip();

	put16(built.udp, 4000);
	put16(built.udp + 2, 5000);
	put16(built.udp + 4, 8 + payload_bytes);
	for (uint32_t i = 0; i < payload_bytes; i++)
		built.bytes[built.udp + 8 + i] = (uint8_t)(i * 7 + 1);
	sum_udp();
}

/* ------------------------------------------------------------------------- parsing them */

static struct packet packet;
static struct frame frame;

static enum packet_verdict parse_captured(uint32_t captured, bool checksum_good)
{
	static const struct packet untouched = {.group = 0xa5a5a5a5, .port = 0xa5a5};
	enum packet_verdict verdict;

	frame = (struct frame){
		.data = memcpy(guarded_end - captured, built.bytes, captured),
		.captured = captured,
		.original = built.length,
		.checksum_good = checksum_good,
	};
	packet = untouched;
	verdict = packet_parse(&frame, &packet);
	if (verdict != PACKET_OK) {
		assert_int_equal(packet.group, untouched.group);
		assert_int_equal(packet.port, untouched.port);
		assert_null(packet.payload);
	}
	return verdict;
}

static enum packet_verdict parse(void)
{
	return parse_captured(built.length, false);
}

static void assert_parsed(uint32_t payload_bytes)
{
	assert_int_equal(parse(), PACKET_OK);
	assert_int_equal(packet.group, inet_addr("239.1.2.3"));
	assert_int_equal(packet_source(&packet), 0x0a000001);
	assert_int_equal(packet.port, 5000);
	assert_int_equal(packet_marks(&packet), 6 << 8 | 0xb8);
	assert_int_equal(packet.payload_bytes, payload_bytes);
	assert_ptr_equal(packet.payload, frame.data + built.udp + 8);
}

#define ASSERT_VERDICT(expected) assert_int_equal(parse(), expected)

/* ------------------------------------------------------------------------- tests */

static void test_good(void **state)
{
	static const uint32_t sizes[] = {0, 1, 2, 3, 4, 5, 18, 19, 1400, 1472, 9000, MAX_PAYLOAD};

	(void)state;
	for (unsigned tags = 0; tags <= 2; tags++)
		for (unsigned options = 0; options <= 10; options++)
			for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
				if (sizes[i] + options * 4 > MAX_PAYLOAD)
					continue;
				build(tags, options, sizes[i]);
				assert_parsed(sizes[i]);
			}
}

static void test_vlan_types(void **state)
{
	static const unsigned types[] = {0x8100, 0x88a8};

	(void)state;
	for (unsigned outer = 0; outer < 2; outer++)
		for (unsigned inner = 0; inner < 2; inner++) {
			build(2, 0, 10);
			put16(12, types[outer]);
			put16(16, types[inner]);
			assert_parsed(10);
		}
	build(1, 0, 10);
	put16(12, 0x88a8);
	assert_parsed(10);
}

/* Other interfaces receive those. */
static void test_vlans(void **state)
{
	(void)state;
	for (unsigned tags = 1; tags <= 2; tags++)
		for (unsigned tag = 0; tag < tags; tag++) {
			build(tags, 0, 10);
			put16(14 + 4 * tag, 0xa001);
			ASSERT_VERDICT(PACKET_MALFORMED);
			put16(14 + 4 * tag, 0x0fff);
			ASSERT_VERDICT(PACKET_MALFORMED);
			put16(14 + 4 * tag, 0xf000);
			assert_parsed(10);
		}
}

/* Of a link that is not Ethernet. */
static void test_bare(void **state)
{
	struct frame ip = {.bare = true};
	struct packet found;

	(void)state;
	build(0, 3, 200);
	ip.data = built.bytes + built.ip;
	ip.captured = ip.original = built.length - built.ip;
	assert_int_equal(packet_parse(&ip, &found), PACKET_OK);
	assert_int_equal(found.payload_bytes, 200);
	assert_ptr_equal(found.payload, built.bytes + built.udp + 8);
	assert_int_equal(frame_packets(&ip), 1);
	for (ip.captured = 0; ip.captured < ip.original; ip.captured++)
		assert_int_not_equal(packet_parse(&ip, &found), PACKET_OK);
}

static void test_three_vlan_tags(void **state)
{
	(void)state;
	build(3, 0, 10);
	ASSERT_VERDICT(PACKET_MALFORMED);
}

static void test_ethernet_padding(void **state)
{
	(void)state;
	build(0, 0, 3);
	built.length = 60;
	memset(&built.bytes[built.udp + 8 + 3], 0xee, 60 - built.udp - 8 - 3);
	assert_parsed(3);
}

static void test_udp_shorter_than_ip(void **state)
{
	(void)state;
	build(0, 0, 100);
	put16(built.udp + 4, 8 + 60);
	sum_udp();
	assert_parsed(60);
}

static void test_udp_checksum(void **state)
{
	(void)state;
	build(0, 0, 101);
	built.bytes[built.udp + 50] ^= 1;
	ASSERT_VERDICT(PACKET_CHECKSUM);
	assert_int_equal(parse_captured(built.length, true), PACKET_OK);
	put16(built.udp + 6, 0); /* the sender computed none */
	assert_parsed(101);
	build(0, 0, 101);
	built.bytes[built.ip + 15] ^= 1; /* source address: part of the pseudo header */
	sum_ip();
	ASSERT_VERDICT(PACKET_CHECKSUM);
}

/* A checksum that comes out as 0 is sent as ffff. */
static void test_udp_checksum_ffff(void **state)
{
	unsigned found = 0;

	(void)state;
	build(0, 0, 2);
	for (unsigned value = 0; value <= 0xffff; value++) {
		put16(built.udp + 8, value);
		sum_udp();
		if (get16(built.udp + 6) == 0xffff)
			found++;
		assert_int_equal(parse(), PACKET_OK);
	}
	assert_int_equal(found, 1);
}

/* A flipped bit is found wherever it is. */
static void test_every_flipped_bit(void **state)
{
	(void)state;
	for (unsigned extra = 0; extra < 4; extra++) {
		build(0, 1, 20 + extra);
		for (uint32_t bit = built.udp * 8; bit < built.length * 8; bit++) {
			const bool length_field =
				bit / 8 == built.udp + 4 || bit / 8 == built.udp + 5;

			built.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
			if (length_field)
				assert_int_not_equal(parse(), PACKET_OK);
			else
				ASSERT_VERDICT(PACKET_CHECKSUM);
			built.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
	}
}

static void test_ip_checksum(void **state)
{
	(void)state;
	for (unsigned options = 0; options <= 10; options += 5) {
		build(0, options, 10);
		put16(built.ip + 10, get16(built.ip + 10) ^ 0x0100);
		ASSERT_VERDICT(PACKET_CHECKSUM);
		/* the kernel vouches for UDP only */
		assert_int_equal(parse_captured(built.length, true), PACKET_CHECKSUM);
	}
	build(0, 10, 10);
	built.bytes[built.udp - 1] = 0; /* the last option */
	ASSERT_VERDICT(PACKET_CHECKSUM);
}

static void test_cut_at_every_byte(void **state)
{
	(void)state;
	for (unsigned tags = 0; tags <= 2; tags++) {
		build(tags, 2, 300);
		for (uint32_t captured = 0; captured < built.length; captured++) {
			enum packet_verdict verdict = parse_captured(captured, captured % 2);

			/* without the IP header there is nothing that says UDP */
			assert_int_equal(verdict, captured < built.ip + 20 ? PACKET_MALFORMED
									   : PACKET_TRUNCATED);
		}
		assert_parsed(300);
	}
}

/* The same, but it was as short on the wire. */
static void test_short_at_every_byte(void **state)
{
	(void)state;
	build(1, 2, 300);
	for (uint32_t length = built.length; length-- > 0;) {
		built.length = length;
		ASSERT_VERDICT(PACKET_MALFORMED);
	}
}

static void test_ip_header_length(void **state)
{
	(void)state;
	for (unsigned words = 0; words < 16; words++) {
		build(0, 0, 100);
		built.bytes[built.ip] = (uint8_t)(0x40 | words);
		sum_ip();
		if (words == 5)
			assert_parsed(100);
		else
			assert_int_not_equal(parse(), PACKET_OK);
	}
	build(0, 0, 4); /* the header would end behind the frame */
	built.bytes[built.ip] = 0x4f;
	ASSERT_VERDICT(PACKET_MALFORMED);
}

static void test_ip_total_length(void **state)
{
	(void)state;
	for (unsigned total = 0; total <= 0xffff; total++) {
		build(0, 0, 40);
		put16(built.ip + 2, total);
		sum_ip();
		if (total == 68)
			assert_parsed(40);
		else
			ASSERT_VERDICT(PACKET_MALFORMED);
	}
}

static void test_udp_length(void **state)
{
	(void)state;
	build(0, 0, 40);
	for (unsigned length = 0; length <= 0xffff; length++) {
		put16(built.udp + 4, length);
		put16(built.udp + 6, 0);
		if (length < 8 || length > 48)
			ASSERT_VERDICT(PACKET_MALFORMED);
		else
			assert_parsed(length - 8);
	}
}

static void test_no_room_for_udp(void **state)
{
	(void)state;
	build(0, 0, 40);
	for (unsigned total = 20; total < 28; total++) {
		put16(built.ip + 2, total);
		sum_ip();
		ASSERT_VERDICT(PACKET_MALFORMED);
	}
}

static void test_fragments(void **state)
{
	static const struct {
		unsigned field;
		enum packet_verdict verdict;
	} cases[] = {
		{0x2000, PACKET_FRAGMENT}, /* first */
		{0x2001, PACKET_FRAGMENT}, /* middle */
		{0x3fff, PACKET_FRAGMENT}, {0x1000, PACKET_FRAGMENT},
		{0x1fff, PACKET_FRAGMENT},			/* last */
		{0x0001, PACKET_FRAGMENT}, {0x4000, PACKET_OK}, /* do not fragment */
		{0x8000, PACKET_OK},				/* reserved */
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		build(0, 0, 40);
		put16(built.ip + 6, cases[i].field);
		sum_ip();
		ASSERT_VERDICT(cases[i].verdict);
	}
	/* a last fragment may be shorter than a UDP header */
	put16(built.ip + 2, 20 + 4);
	put16(built.ip + 6, 0x0001);
	sum_ip();
	ASSERT_VERDICT(PACKET_FRAGMENT);
}

static void test_not_ipv4_udp(void **state)
{
	(void)state;
	build(0, 0, 40);
	for (unsigned protocol = 0; protocol < 256; protocol++) {
		built.bytes[built.ip + 9] = (uint8_t)protocol;
		sum_ip();
		if (protocol != 17)
			ASSERT_VERDICT(PACKET_MALFORMED);
	}
	build(0, 0, 40);
	for (unsigned version = 0; version < 16; version++) {
		built.bytes[built.ip] = (uint8_t)(version << 4 | 5);
		sum_ip();
		if (version != 4)
			ASSERT_VERDICT(PACKET_MALFORMED);
	}
	build(0, 0, 40);
	put16(12, 0x86dd);
	ASSERT_VERDICT(PACKET_MALFORMED);
	put16(12, 40); /* 802.3 length */
	ASSERT_VERDICT(PACKET_MALFORMED);
}

/* Most mutations hit headers, and half of them get a right IP checksum: else none would get far. */
static void mutate(void)
{
	const uint32_t header_end = built.udp + 8;
	const uint32_t count = below(4);

	for (uint32_t i = 0; i < count; i++)
		built.bytes[below(below(4) ? header_end : built.length)] = (uint8_t)next_random();
	if (below(2))
		sum_ip();
	if (below(4) == 0)
		built.length = below(built.length + 1);
}

static void test_mutations(void **state)
{
	unsigned seen[PACKET_CHECKSUM + 1] = {0};
	unsigned long sum = 0;

	(void)state;
	for (unsigned i = 0; i < 200000; i++) {
		enum packet_verdict verdict;
		uint32_t captured;

		if (i % 4 == 0)
			build(below(4), below(11), below(200));
		else
			build(below(2), 0, below(40));
		mutate();
		captured = below(4) ? built.length : below(built.length + 1);
		verdict = parse_captured(captured, below(2));
		assert_in_range(verdict, PACKET_OK, PACKET_CHECKSUM);
		seen[verdict]++;
		if (verdict != PACKET_OK)
			continue;
		assert_true(packet.payload >= frame.data + 14 + 20 + 8);
		assert_true(packet.payload_bytes <= frame.captured);
		assert_true(packet.payload + packet.payload_bytes <= frame.data + frame.captured);
		for (uint32_t j = 0; j < packet.payload_bytes; j++)
			sum += packet.payload[j];
	}
	assert_true(sum > 0);
	for (int verdict = PACKET_OK; verdict <= PACKET_CHECKSUM; verdict++)
		assert_true(seen[verdict] > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_vlan_types),
		cmocka_unit_test(test_vlans),
		cmocka_unit_test(test_bare),
		cmocka_unit_test(test_three_vlan_tags),
		cmocka_unit_test(test_ethernet_padding),
		cmocka_unit_test(test_udp_shorter_than_ip),
		cmocka_unit_test(test_udp_checksum),
		cmocka_unit_test(test_udp_checksum_ffff),
		cmocka_unit_test(test_every_flipped_bit),
		cmocka_unit_test(test_ip_checksum),
		cmocka_unit_test(test_cut_at_every_byte),
		cmocka_unit_test(test_short_at_every_byte),
		cmocka_unit_test(test_ip_header_length),
		cmocka_unit_test(test_ip_total_length),
		cmocka_unit_test(test_udp_length),
		cmocka_unit_test(test_no_room_for_udp),
		cmocka_unit_test(test_fragments),
		cmocka_unit_test(test_not_ipv4_udp),
		cmocka_unit_test(test_mutations),
	};

	return cmocka_run_group_tests_name("packet", tests, map_guarded, NULL);
}
