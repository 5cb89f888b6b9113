// SPDX-License-Identifier: MIT
/* geneve: see geneve.h. */
#include "common/geneve.h"

#include <string.h>

enum {
	HEADER = 8,
	OPTION_HEADER = 4,
	CLASS_GATEWAY = 0x0108,
	TYPE_ENDPOINT = 1,
	TYPE_ATTACHMENT = 2,
	TYPE_COOKIE = 3,
	TYPE_CRITICAL = 0x80, /* the bit */
	FLAG_CONTROL = 0x80,
};

const char *const geneve_result_name[GENEVE_RESULTS] = {
	[GENEVE_OK] = "ok",
	[GENEVE_SHORT] = "short",
	[GENEVE_VERSION] = "version",
	[GENEVE_OPTION_CUT] = "option_cut",
	[GENEVE_OPTION_LENGTH] = "option_length",
	[GENEVE_CRITICAL] = "critical_option",
	[GENEVE_CONTROL] = "control",
};

static uint64_t read_number(const uint8_t *at, size_t bytes)
{
	uint64_t number = 0;

	for (size_t i = 0; i < bytes; i++)
		number = number << 8 | at[i];
	return number;
}

static void write_number(uint8_t *at, uint64_t number, size_t bytes)
{
	for (size_t i = bytes; i-- > 0; number >>= 8)
		at[i] = (uint8_t)number;
}

/* One option whose `bytes` of data are there. */
static enum geneve_result take_option(const uint8_t *option, size_t bytes, struct geneve *geneve)
{
	const uint8_t *data = option + OPTION_HEADER;
	unsigned type = option[2];
	size_t expected = type == TYPE_COOKIE ? 4 : 8;

	if (read_number(option, 2) != CLASS_GATEWAY || type < TYPE_ENDPOINT || type > TYPE_COOKIE)
		return type & TYPE_CRITICAL ? GENEVE_CRITICAL : GENEVE_OK;
	if (bytes != expected)
		return GENEVE_OPTION_LENGTH;
	switch (type) {
	case TYPE_ENDPOINT:
		geneve->has_endpoint = true;
		geneve->endpoint = read_number(data, bytes);
		break;
	case TYPE_ATTACHMENT:
		geneve->has_attachment = true;
		geneve->attachment = read_number(data, bytes);
		break;
	default:
		geneve->has_cookie = true;
		geneve->cookie = (uint32_t)read_number(data, bytes);
	}
	return GENEVE_OK;
}

static enum geneve_result take_options(const uint8_t *at, const uint8_t *end, struct geneve *geneve)
{
	enum geneve_result result = GENEVE_OK;

	while (at < end && result == GENEVE_OK) {
		size_t left = (size_t)(end - at), bytes;

		if (left < OPTION_HEADER)
			return GENEVE_OPTION_CUT;
		bytes = (at[3] & 31U) * 4UL;
		if (bytes > left - OPTION_HEADER)
			return GENEVE_OPTION_CUT;
		result = take_option(at, bytes, geneve);
		at += OPTION_HEADER + bytes;
	}
	return result;
}

enum geneve_result geneve_parse(const uint8_t *datagram, size_t length, struct geneve *geneve,
				size_t *inner)
{
	struct geneve found = {0};
	enum geneve_result result;
	size_t options;

	if (length < HEADER)
		return GENEVE_SHORT;
	if (datagram[0] >> 6 != 0)
		return GENEVE_VERSION;
	options = (datagram[0] & 63U) * 4UL;
	if (options > length - HEADER)
		return GENEVE_SHORT;
	if (datagram[1] & FLAG_CONTROL)
		return GENEVE_CONTROL;
	found.protocol = (uint16_t)read_number(datagram + 2, 2);
	found.vni = (uint32_t)read_number(datagram + 4, 3);
	result = take_options(datagram + HEADER, datagram + HEADER + options, &found);
	if (result != GENEVE_OK)
		return result;
	*geneve = found;
	*inner = HEADER + options;
	return GENEVE_OK;
}

static uint8_t *put_option(uint8_t *at, unsigned type, uint64_t value, size_t bytes)
{
	write_number(at, CLASS_GATEWAY, 2);
	at[2] = (uint8_t)type;
	at[3] = (uint8_t)(bytes / 4);
	write_number(at + OPTION_HEADER, value, bytes);
	return at + OPTION_HEADER + bytes;
}

size_t geneve_build(uint8_t *bytes, const struct geneve *geneve)
{
	uint8_t *at = bytes + HEADER;

	if (geneve->has_endpoint)
		at = put_option(at, TYPE_ENDPOINT, geneve->endpoint, 8);
	if (geneve->has_attachment)
		at = put_option(at, TYPE_ATTACHMENT, geneve->attachment, 8);
	if (geneve->has_cookie)
		at = put_option(at, TYPE_COOKIE, geneve->cookie, 4);
	memset(bytes, 0, HEADER);
	bytes[0] = (uint8_t)((at - bytes - HEADER) / 4);
	write_number(bytes + 2, geneve->protocol, 2);
	write_number(bytes + 4, geneve->vni, 3);
	return (size_t)(at - bytes);
}
