// SPDX-License-Identifier: MIT
/* geneve: headers as RFC 8926 draws them, as a gateway load balancer sends them, and as nobody
 * should. */
#include "common/geneve.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* Of a gateway load balancer: endpoint, attachment and cookie, IPv4 inside. */
static const uint8_t gateway[] = {
	0x08, 0x00, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, /* 8 words of options */
	0x01, 0x08, 0x01, 0x02, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, /* endpoint */
	0x01, 0x08, 0x02, 0x02, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, /* attachment */
	0x01, 0x08, 0x03, 0x01, 0xde, 0xad, 0xbe, 0xef,				/* cookie */
	0x45, 0x00,
};

static struct geneve geneve;
static size_t inner;

static enum geneve_result parse(const uint8_t *bytes, size_t length)
{
	memset(&geneve, 0xff, sizeof(geneve));
	inner = 0;
	return geneve_parse(bytes, length, &geneve, &inner);
}

static void test_without_options(void **state)
{
	static const uint8_t plain[] = {0x00, 0x00, 0x65, 0x58, 0xab, 0xcd, 0xef, 0x00};

	(void)state;
	assert_int_equal(parse(plain, sizeof(plain)), GENEVE_OK);
	assert_int_equal(geneve.vni, 0xabcdef);
	assert_int_equal(geneve.protocol, 0x6558);
	assert_false(geneve.has_endpoint || geneve.has_attachment || geneve.has_cookie);
	assert_int_equal(inner, sizeof(plain));
}

static void test_of_a_gateway(void **state)
{
	(void)state;
	assert_int_equal(parse(gateway, sizeof(gateway)), GENEVE_OK);
	assert_true(geneve.has_endpoint && geneve.has_attachment && geneve.has_cookie);
	assert_true(geneve.endpoint == 0x1122334455667788 &&
		    geneve.attachment == 0xa1a2a3a4a5a6a7a8);
	assert_int_equal(geneve.cookie, 0xdeadbeef);
	assert_int_equal(geneve.protocol, GENEVE_ETHERTYPE_IPV4);
	assert_int_equal(inner, sizeof(gateway) - 2);
}

/* Options of others are skipped, whatever their length; reserved bits mean nothing. */
static void test_options_of_others(void **state)
{
	static const uint8_t mixed[] = {
		0x06, 0x3f, 0x08, 0x00, 0x00, 0x00, 0x07, 0xff,
		0xff, 0xfe, 0x7f, 0xe0, /* no data */
		0x01, 0x02, 0x01, 0x02, 0,    0,    0,	  0,
		0,    0,    0,	  0, /* another class */
		0x01, 0x08, 0x03, 0xe1, 0,    0,    0,	  9,
	};

	(void)state;
	assert_int_equal(parse(mixed, sizeof(mixed)), GENEVE_OK);
	assert_int_equal(geneve.vni, 7);
	assert_false(geneve.has_endpoint);
	assert_int_equal(geneve.cookie, 9);
	assert_int_equal(inner, sizeof(mixed));
}

static void test_cut_anywhere(void **state)
{
	(void)state;
	for (size_t length = 0; length < sizeof(gateway) - 2; length++)
		assert_int_equal(parse(gateway, length), GENEVE_SHORT);
	assert_int_equal(parse(gateway, sizeof(gateway) - 2), GENEVE_OK);
}

/* What is said of one that is wrong in a byte; what it left is as it was. */
static void assert_wrong(size_t place, uint8_t byte, enum geneve_result result)
{
	uint8_t bytes[sizeof(gateway)];

	memcpy(bytes, gateway, sizeof(bytes));
	bytes[place] = byte;
	assert_int_equal(parse(bytes, sizeof(bytes)), result);
	assert_int_equal(geneve.vni, UINT32_MAX);
	assert_int_equal(inner, 0);
}

static void test_what_is_refused(void **state)
{
	(void)state;
	assert_wrong(0, 0x48, GENEVE_VERSION);
	assert_wrong(0, 0xc8, GENEVE_VERSION);
	assert_wrong(0, 0x3f, GENEVE_SHORT);
	assert_wrong(1, 0x80, GENEVE_CONTROL);
	assert_wrong(1, 0xc0, GENEVE_CONTROL);
	assert_wrong(10, 0x81,
		     GENEVE_CRITICAL); /* a type that is critical, with the C bit or without */
	assert_wrong(11, 0x03, GENEVE_OPTION_LENGTH);
	assert_wrong(11, 0x08, GENEVE_OPTION_CUT);
	assert_wrong(35, 0x02, GENEVE_OPTION_CUT);
	assert_wrong(35, 0x00, GENEVE_OPTION_LENGTH);
}

/* The words left over behind the last option are too few for the header of one. */
static void test_a_rest_that_is_no_option(void **state)
{
	uint8_t bytes[8 + 252] = {0x3f};

	(void)state;
	for (size_t at = 8; at < sizeof(bytes); at += 4 + 124)
		bytes[at + 3] = 31;
	assert_int_equal(parse(bytes, sizeof(bytes)),
			 GENEVE_OPTION_CUT); /* 128 + 124 of 128 bytes */
	bytes[8 + 128 + 3] = 30;
	assert_int_equal(parse(bytes, sizeof(bytes)), GENEVE_OK);
	assert_int_equal(inner, GENEVE_BYTES_MAX);
}

static void test_what_is_built_is_read(void **state)
{
	const struct geneve all = {.vni = GENEVE_VNI_MAX,
				   .protocol = 0x0800,
				   .has_endpoint = true,
				   .has_attachment = true,
				   .has_cookie = true,
				   .endpoint = 0x1122334455667788,
				   .attachment = 0xa1a2a3a4a5a6a7a8,
				   .cookie = 0xdeadbeef};
	const struct geneve none = {.vni = 1, .protocol = 0x6558};
	uint8_t bytes[GENEVE_BYTES_MAX];
	size_t length = geneve_build(bytes, &all);

	(void)state;
	assert_int_equal(length, sizeof(gateway) - 2);
	assert_memory_equal(bytes + 8, gateway + 8, length - 8);
	assert_int_equal(parse(bytes, length), GENEVE_OK);
	assert_int_equal(geneve.vni, all.vni);
	assert_int_equal(geneve_build(bytes, &none), 8);
	assert_int_equal(parse(bytes, 8), GENEVE_OK);
	assert_int_equal(geneve.vni, 1);
}

static void test_each_result_has_a_name(void **state)
{
	(void)state;
	for (int i = 0; i < GENEVE_RESULTS; i++)
		assert_non_null(geneve_result_name[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_options),
		cmocka_unit_test(test_of_a_gateway),
		cmocka_unit_test(test_options_of_others),
		cmocka_unit_test(test_cut_anywhere),
		cmocka_unit_test(test_what_is_refused),
		cmocka_unit_test(test_a_rest_that_is_no_option),
		cmocka_unit_test(test_what_is_built_is_read),
		cmocka_unit_test(test_each_result_has_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
