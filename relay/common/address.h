/* SPDX-License-Identifier: MIT
 *
 * address: ADDR:PORT to listen on, of either family, as text and as the socket calls need it.
 */
#ifndef ADDRESS_H
#define ADDRESS_H

#include <netinet/in.h>
#include <sys/socket.h>

union address {
	struct sockaddr any; /* family AF_UNSPEC: none */
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

#define ADDRESS_ERROR_BYTES 256
#define ADDRESS_TEXT_BYTES  (INET6_ADDRSTRLEN + 8)

/* "127.0.0.1:9464", "[::1]:9464"; names are not looked up, and the port is 1 to 65535. 0; or
 * -EINVAL with the reason in `error`, without a full stop. */
int address_parse(const char *text, union address *address, char error[ADDRESS_ERROR_BYTES]);

/* The same as text; returns `text`. */
const char *address_format(const union address *address, char text[ADDRESS_TEXT_BYTES]);

/* For bind(2) and the like. */
socklen_t address_bytes(const union address *address);

#endif
