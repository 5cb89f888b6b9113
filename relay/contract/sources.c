// SPDX-License-Identifier: MIT
/* sources: see sources.h. */
#include "contract/sources.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t mask(uint8_t length)
{
	return length ? UINT32_MAX << (32 - length) : 0;
}

bool prefix_parse(const char *text, struct prefix *prefix)
{
	const char *slash = strchr(text, '/');
	const size_t bytes = slash ? (size_t)(slash - text) : strlen(text);
	char address[INET_ADDRSTRLEN];
	struct in_addr in;

	if (bytes >= sizeof(address))
		return false;
	memcpy(address, text, bytes);
	address[bytes] = '\0';
	if (inet_pton(AF_INET, address, &in) != 1)
		return false;
	prefix->length = 32;
	if (slash) {
		const size_t digits = strspn(slash + 1, "0123456789");

		if (digits == 0 || digits > 2 || slash[1 + digits])
			return false;
		prefix->length = (uint8_t)atoi(slash + 1);
	}
	if (prefix->length > 32)
		return false;
	prefix->address = ntohl(in.s_addr) & mask(prefix->length);
	return true;
}

const char *prefix_format(const struct prefix *prefix, char text[PREFIX_TEXT_BYTES])
{
	const struct in_addr in = {htonl(prefix->address)};

	inet_ntop(AF_INET, &in, text, INET_ADDRSTRLEN);
	if (prefix->length < 32)
		snprintf(text + strlen(text), 4, "/%u", prefix->length);
	return text;
}

uint32_t prefix_last(const struct prefix *prefix)
{
	return prefix->address | ~mask(prefix->length);
}

/* The wider of two that begin together comes first. */
static int compare(const void *a, const void *b)
{
	const struct prefix *one = a, *other = b;

	if (one->address != other->address)
		return one->address < other->address ? -1 : 1;
	return one->length - other->length;
}

unsigned sources_normalize(struct prefix *list, unsigned count)
{
	unsigned kept = 0;

	if (count)
		qsort(list, count, sizeof(*list), compare);
	for (unsigned i = 0; i < count; i++)
		if (kept == 0 || list[i].address > prefix_last(&list[kept - 1]))
			list[kept++] = list[i];
	return kept;
}

const struct prefix *sources_common(const struct prefix *a, unsigned num_a, const struct prefix *b,
				    unsigned num_b)
{
	unsigned i = 0, j = 0;

	while (i < num_a && j < num_b) {
		if (prefix_last(&a[i]) < b[j].address)
			i++;
		else if (prefix_last(&b[j]) < a[i].address)
			j++;
		else
			return a[i].length > b[j].length ? &a[i] : &b[j];
	}
	return NULL;
}
