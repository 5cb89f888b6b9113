// SPDX-License-Identifier: MIT
/*
 * sizes: see sizes.h. The pattern is kept as it was meant, one entry per packet: finding a packet's
 * size is one access, and what follows it needs no case of its own at the end of a part.
 */
#include "sizes.h"
#include "payload.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* Digits only; moves *text behind them. False when there are none or the value is above `most`. */
static bool read_number(const char **text, unsigned most, unsigned *value)
{
	const char *at = *text;

	*value = 0;
	if (!isdigit((unsigned char)*at))
		return false;
	for (; isdigit((unsigned char)*at); at++) {
		*value = *value * 10 + (unsigned)(*at - '0');
		if (*value > most)
			return false;
	}
	*text = at;
	return true;
}

static int parse_part(struct sizes *sizes, const char **text)
{
	unsigned size, times = 1;

	if (!read_number(text, PAYLOAD_MAX, &size) || size == 0)
		return -EINVAL;
	if (**text == 'x') {
		++*text;
		/* enough for "too many" to be told from "not a number" */
		if (!read_number(text, 100000000, &times) || times == 0)
			return -EINVAL;
	}
	if (times > SIZES_COUNT - sizes->count)
		return -E2BIG;
	while (times-- > 0)
		sizes->of[sizes->count++] = (uint16_t)size;
	if (size < sizes->smallest)
		sizes->smallest = (uint16_t)size;
	if (size > sizes->largest)
		sizes->largest = (uint16_t)size;
	return 0;
}

int sizes_parse(struct sizes *sizes, const char *text)
{
	int rc;

	sizes->count = 0;
	sizes->smallest = UINT16_MAX;
	sizes->largest = 0;
	if (strcmp(text, "imix") == 0)
		text = SIZES_IMIX;
	for (;; text++) {
		rc = parse_part(sizes, &text);
		if (rc < 0)
			return rc;
		if (*text == '\0')
			break;
		if (*text != ',')
			return -EINVAL;
	}
	if (sizes->smallest == sizes->largest)
		sizes->count = 1;
	return 0;
}

unsigned sizes_run(const struct sizes *sizes, uint64_t sequence, unsigned most)
{
	unsigned at = (unsigned)(sequence % sizes->count);
	uint16_t size = sizes->of[at];
	unsigned run = 1;

	if (sizes->count == 1)
		return most;
	while (run < most) {
		at = at + 1 < sizes->count ? at + 1 : 0;
		if (sizes->of[at] != size)
			break;
		run++;
	}
	return run;
}
