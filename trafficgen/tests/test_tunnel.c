// SPDX-License-Identifier: MIT
/* tunnel: what a packet of a flow begins with, byte by byte, and what is found inside of others. */
#include "tunnel.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct geneve geneve = {.vni = 7, .protocol = GENEVE_ETHERTYPE_IPV4};
static uint8_t packet[TUNNEL_BYTES_MAX + 100];
static size_t begun, payload, bytes;

/* A packet with a payload of ten bytes; returns its length. */
static size_t make(void)
{
	struct tunnel_flow flow = {.ttl = 4};

	flow.from.sin_addr.s_addr = inet_addr("10.0.0.1");
	flow.from.sin_port = htons(49152);
	flow.to.sin_addr.s_addr = inet_addr("239.1.2.3");
	flow.to.sin_port = htons(5000);
	memset(packet, 0xee, sizeof(packet));
	begun = tunnel_begin(packet, &geneve, &flow);
	tunnel_set_payload(packet, begun, 10);
	return begun + 10;
}

static void test_byte_by_byte(void **state)
{
	/* the checksum was worked out by hand: 0x4500 + 0x0026 + 0x4000 + 0x0411 + 0x0a00 + 1 +
	 * 0xef01 + 0x0203 = 0x1843c */
	static const uint8_t expected[] = {
		0x00, 0x00, 0x08, 0x00, 0x00, 0x00, 0x07, 0x00, /* Geneve */
		0x45, 0x00, 0x00, 0x26, 0x00, 0x00, 0x40, 0x00, 0x04, 0x11,
		0x7b, 0xc2, 10,	  0,	0,    1,    239,  1,	2,    3,
		0xc0, 0x00, 0x13, 0x88, 0x00, 0x12, 0x00, 0x00, 0xee,
	};

	(void)state;
	assert_int_equal(make(), sizeof(expected) - 1 + 10);
	assert_memory_equal(packet, expected, sizeof(expected));
}

static void test_what_is_made_is_found(void **state)
{
	size_t length = make();

	(void)state;
	assert_int_equal(tunnel_inside(packet, length, 8, &payload, &bytes), TUNNEL_UDP);
	assert_int_equal(payload, begun);
	assert_int_equal(bytes, 10);
	/* what is behind the inner packet is none of it */
	assert_int_equal(tunnel_inside(packet, length + 5, 8, &payload, &bytes), TUNNEL_UDP);
	assert_int_equal(bytes, 10);
}

static void test_cut_anywhere(void **state)
{
	size_t length = make();

	(void)state;
	for (size_t left = 8; left < length; left++)
		assert_int_equal(tunnel_inside(packet, left, 8, &payload, &bytes), TUNNEL_CUT);
}

/* What is found inside when the byte at `place` of the inner packet is another one. */
static enum tunnel_inside with(size_t place, uint8_t byte)
{
	size_t length = make();

	packet[8 + place] = byte;
	return tunnel_inside(packet, length, 8, &payload, &bytes);
}

static void test_other_things(void **state)
{
	(void)state;
	assert_int_equal(with(0, 0x65), TUNNEL_NOT_IPV4);
	assert_int_equal(with(0, 0x44), TUNNEL_NOT_IPV4); /* a header of 16 bytes */
	assert_int_equal(with(0, 0x4f), TUNNEL_CUT);	  /* of 60 */
	assert_int_equal(with(9, 6), TUNNEL_NOT_UDP);
	assert_int_equal(with(3, 0x27), TUNNEL_CUT); /* longer than what is there */
	assert_int_equal(with(3, 0x1b), TUNNEL_CUT); /* no room for UDP's header */
	assert_int_equal(with(25, 0x13), TUNNEL_CUT);
	assert_int_equal(with(25, 0x07), TUNNEL_CUT);
	assert_int_equal(with(25, 0x08), TUNNEL_UDP);
	assert_int_equal(bytes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_byte_by_byte),
		cmocka_unit_test(test_what_is_made_is_found),
		cmocka_unit_test(test_cut_anywhere),
		cmocka_unit_test(test_other_things),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
