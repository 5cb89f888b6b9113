// SPDX-License-Identifier: MIT
/* address: what is an address to listen on and what is not, with the reason to the letter. */
#include "common/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static void accepted(const char *text, const char *written)
{
	char error[ADDRESS_ERROR_BYTES] = "", again[ADDRESS_TEXT_BYTES];
	union address address;

	assert_int_equal(address_parse(text, &address, error), 0);
	assert_string_equal(error, "");
	assert_string_equal(address_format(&address, again), written);
}

static void refused(const char *text, const char *reason)
{
	char error[ADDRESS_ERROR_BYTES];
	union address address;

	assert_int_equal(address_parse(text, &address, error), -EINVAL);
	assert_string_equal(error, reason);
	assert_int_equal(address.any.sa_family, AF_UNSPEC);
}

static void test_ipv4(void **state)
{
	char error[ADDRESS_ERROR_BYTES];
	union address address;

	(void)state;
	assert_int_equal(address_parse("127.0.0.1:9464", &address, error), 0);
	assert_int_equal(address.any.sa_family, AF_INET);
	assert_int_equal(address.v4.sin_port, htons(9464));
	assert_int_equal(address.v4.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
	assert_int_equal(address_bytes(&address), sizeof(struct sockaddr_in));
	accepted("127.0.0.1:9464", "127.0.0.1:9464");
	accepted("0.0.0.0:1", "0.0.0.0:1");
	accepted("255.255.255.255:65535", "255.255.255.255:65535");
	accepted("10.0.0.1:00080", "10.0.0.1:80");
}

static void test_ipv6(void **state)
{
	char error[ADDRESS_ERROR_BYTES];
	union address address;

	(void)state;
	assert_int_equal(address_parse("[::1]:9464", &address, error), 0);
	assert_int_equal(address.any.sa_family, AF_INET6);
	assert_int_equal(address.v6.sin6_port, htons(9464));
	assert_memory_equal(&address.v6.sin6_addr, &in6addr_loopback, sizeof(in6addr_loopback));
	assert_int_equal(address_bytes(&address), sizeof(struct sockaddr_in6));
	accepted("[::1]:9464", "[::1]:9464");
	accepted("[::]:9090", "[::]:9090");
	accepted("[2001:db8:0:0::a]:80", "[2001:db8::a]:80");
	accepted("[::ffff:127.0.0.1]:80", "[::ffff:127.0.0.1]:80");
	accepted("[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535",
		 "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
}

static void test_no_port(void **state)
{
	(void)state;
	refused("127.0.0.1",
		"'127.0.0.1' has no port: it has to be such as 127.0.0.1:9464 or [::1]:9464");
	refused("", "'' has no port: it has to be such as 127.0.0.1:9464 or [::1]:9464");
	refused("9464", "'9464' has no port: it has to be such as 127.0.0.1:9464 or [::1]:9464");
	refused("[::1]", "'[::1]' has no port: it has to be such as 127.0.0.1:9464 or [::1]:9464");
	refused("[::1]80",
		"'[::1]80' has no port: it has to be such as 127.0.0.1:9464 or [::1]:9464");
	refused("[::1]]:80",
		"'[::1]]:80' has no port: it has to be such as 127.0.0.1:9464 or [::1]:9464");
	refused("[::1]:8:0",
		"'[::1]:8:0' has no port: it has to be such as 127.0.0.1:9464 or [::1]:9464");
}

static void test_wrong_port(void **state)
{
	static const char *const ports[] = {"",	  "0",	  "00000", "65536", "70000",
					    "-1", "+1",	  " 1",	   "1 ",    "18446744073709551617",
					    "1x", "http", "1.5"};

	(void)state;
	for (unsigned i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
		char text[64], reason[128];

		snprintf(reason, sizeof(reason), "port '%s' is not a whole number from 1 to 65535",
			 ports[i]);
		snprintf(text, sizeof(text), "127.0.0.1:%s", ports[i]);
		refused(text, reason);
		snprintf(text, sizeof(text), "[::1]:%s", ports[i]);
		refused(text, reason);
	}
}

static void test_wrong_brackets(void **state)
{
	(void)state;
	refused("::1:9464", "'::1:9464': an IPv6 address stands in brackets, as in [::1]:9464");
	refused("::1", "'::1': an IPv6 address stands in brackets, as in [::1]:9464");
	refused("::1]:80", "'::1]:80': an IPv6 address stands in brackets, as in [::1]:9464");
	refused("[::1:9464", "'[::1:9464' has no ']' behind the address");
	refused("[", "'[' has no ']' behind the address");
}

static void test_wrong_host(void **state)
{
	(void)state;
	refused(":9464", "':9464' has no address: 0.0.0.0 stands for all of IPv4, [::] for all of "
			 "IPv4 and IPv6");
	refused("[]:9464", "'[]:9464' has no address: 0.0.0.0 stands for all of IPv4, [::] for all "
			   "of IPv4 and IPv6");
	refused("localhost:80", "'localhost' is not an IPv4 address such as 127.0.0.1; names are "
				"not looked up");
	refused("127.1:80",
		"'127.1' is not an IPv4 address such as 127.0.0.1; names are not looked up");
	refused("1.2.3.256:80",
		"'1.2.3.256' is not an IPv4 address such as 127.0.0.1; names are not looked up");
	refused("*:80", "'*' is not an IPv4 address such as 127.0.0.1; names are not looked up");
	refused("[127.0.0.1]:80", "'127.0.0.1' is not an IPv6 address such as ::1; names and zones "
				  "are not looked up");
	refused("[fe80::1%lo]:80", "'fe80::1%lo' is not an IPv6 address such as ::1; names and "
				   "zones are not looked up");
}

/* Whatever is given: the reason fits, and ends. */
static void test_long(void **state)
{
	char text[4096], error[ADDRESS_ERROR_BYTES];
	union address address;

	(void)state;
	for (unsigned kind = 0; kind < 4; kind++) {
		memset(text, '1', sizeof(text) - 1);
		text[sizeof(text) - 1] = '\0';
		memcpy(text, kind & 1 ? "[" : "1", 1);
		memcpy(text + (kind & 2 ? 10 : sizeof(text) - 5), kind & 1 ? "]:80" : "1:80", 4);
		memset(error, 'x', sizeof(error));
		assert_int_equal(address_parse(text, &address, error), -EINVAL);
		assert_non_null(memchr(error, '\0', sizeof(error)));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ipv4),	       cmocka_unit_test(test_ipv6),
		cmocka_unit_test(test_no_port),	       cmocka_unit_test(test_wrong_port),
		cmocka_unit_test(test_wrong_brackets), cmocka_unit_test(test_wrong_host),
		cmocka_unit_test(test_long),
	};

	return cmocka_run_group_tests_name("address", tests, NULL, NULL);
}
