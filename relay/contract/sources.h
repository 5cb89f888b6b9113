/* SPDX-License-Identifier: MIT
 *
 * sources: whom a rule takes packets from: IPv4 addresses and prefixes. A list of them is kept in
 * order, and none is within another: prefixes either are, or have nothing in common.
 */
#ifndef SOURCES_H
#define SOURCES_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

struct prefix {
	uint32_t address; /* host order; all bits behind `length` are 0 */
	uint8_t length;	  /* 0 to 32 bits; 32: a single address */
};

enum { PREFIX_TEXT_BYTES = INET_ADDRSTRLEN + 3 };

/* "10.1.0.0/16", "192.0.2.7"; what stands behind the length is taken for 0. False: it is neither.
 */
bool prefix_parse(const char *text, struct prefix *prefix);

/* The same as text, a single address without its length; returns `text`. */
const char *prefix_format(const struct prefix *prefix, char text[PREFIX_TEXT_BYTES]);

/* The last address of it, host order. */
uint32_t prefix_last(const struct prefix *prefix);

/* Puts a list in order, and leaves out what is within another. Returns how many are left. */
unsigned sources_normalize(struct prefix *list, unsigned count);

/* The first prefix whose addresses are in both; NULL: they have none in common. */
const struct prefix *sources_common(const struct prefix *a, unsigned num_a, const struct prefix *b,
				    unsigned num_b);

#endif
