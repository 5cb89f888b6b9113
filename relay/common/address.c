// SPDX-License-Identifier: MIT
/* address: see address.h. */
#include "common/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXAMPLES "127.0.0.1:9464 or [::1]:9464"

static int refuse(char *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int refuse(char *error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, ADDRESS_ERROR_BYTES, format, args);
	va_end(args);
	return -EINVAL;
}

/* Host order; 0: it is none. */
static in_port_t parse_port(const char *text)
{
	size_t digits = strspn(text, "0123456789");
	unsigned long port = digits && digits < 10 && !text[digits] ? strtoul(text, NULL, 10) : 0;

	return port <= 65535 ? (in_port_t)port : 0;
}

static bool parse_host(const char *text, size_t length, int family, void *in)
{
	char host[INET6_ADDRSTRLEN] = "";

	if (length >= sizeof(host))
		return false;
	memcpy(host, text, length);
	return inet_pton(family, host, in) == 1;
}

int address_parse(const char *text, union address *address, char error[ADDRESS_ERROR_BYTES])
{
	bool brackets = text[0] == '[';
	const char *host = text + brackets;
	const char *colon = strrchr(text, ':'), *end = brackets ? strchr(text, ']') : colon;
	in_port_t port;

	*address = (union address){.any.sa_family = AF_UNSPEC};
	if (brackets && !end)
		return refuse(error, "'%.64s' has no ']' behind the address", text);
	if (!brackets && strchr(text, ':') != colon)
		return refuse(error,
			      "'%.64s': an IPv6 address stands in brackets, as in [::1]:9464",
			      text);
	if (!end || end + brackets != colon)
		return refuse(error, "'%.64s' has no port: it has to be such as " EXAMPLES, text);
	if (end == host)
		return refuse(error,
			      "'%.64s' has no address: 0.0.0.0 stands for all of IPv4, [::] for "
			      "all of IPv4 and IPv6",
			      text);
	port = parse_port(colon + 1);
	if (!port)
		return refuse(error, "port '%.64s' is not a whole number from 1 to 65535",
			      colon + 1);
	if (brackets) {
		if (!parse_host(host, (size_t)(end - host), AF_INET6, &address->v6.sin6_addr))
			return refuse(error,
				      "'%.*s' is not an IPv6 address such as ::1; names and zones "
				      "are not looked up",
				      (int)(end - host), host);
		address->v6.sin6_family = AF_INET6;
		address->v6.sin6_port = htons(port);
		return 0;
	}
	if (!parse_host(host, (size_t)(end - host), AF_INET, &address->v4.sin_addr))
		return refuse(error,
			      "'%.*s' is not an IPv4 address such as 127.0.0.1; names are not "
			      "looked up",
			      (int)(end - host), host);
	address->v4.sin_family = AF_INET;
	address->v4.sin_port = htons(port);
	return 0;
}

const char *address_format(const union address *address, char text[ADDRESS_TEXT_BYTES])
{
	char host[INET6_ADDRSTRLEN];

	if (address->any.sa_family == AF_INET6)
		snprintf(text, ADDRESS_TEXT_BYTES, "[%s]:%u",
			 inet_ntop(AF_INET6, &address->v6.sin6_addr, host, sizeof(host)),
			 ntohs(address->v6.sin6_port));
	else
		snprintf(text, ADDRESS_TEXT_BYTES, "%s:%u",
			 inet_ntop(AF_INET, &address->v4.sin_addr, host, sizeof(host)),
			 ntohs(address->v4.sin_port));
	return text;
}

socklen_t address_bytes(const union address *address)
{
	return address->any.sa_family == AF_INET6 ? sizeof(address->v6) : sizeof(address->v4);
}
