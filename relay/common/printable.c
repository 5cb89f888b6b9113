// SPDX-License-Identifier: MIT
/* printable: see printable.h. */
#include "common/printable.h"

/* The least and the greatest second byte of a character that begins with `first`: too long forms,
 * C1 controls, surrogates, and what is beyond U+10FFFF are left out. */
static void second_byte_range(unsigned char first, unsigned char *least, unsigned char *greatest)
{
	*least = first == 0xc2 || first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
	*greatest = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
}

/* Bytes of the printable character at `c`, which is not the end; 0: there is none. */
static int character_bytes(const unsigned char *c)
{
	unsigned char least, greatest;
	int bytes;

	if (*c < 0x80)
		return *c >= ' ' && *c != 0x7f;
	bytes = *c < 0xc2 || *c > 0xf4 ? 0 : *c < 0xe0 ? 2 : *c < 0xf0 ? 3 : 4;
	second_byte_range(*c, &least, &greatest);
	if (bytes == 0 || c[1] < least || c[1] > greatest)
		return 0;
	for (int i = 2; i < bytes; i++)
		if ((c[i] & 0xc0) != 0x80)
			return 0;
	return bytes;
}

static void make(char *text, char kept)
{
	while (*text) {
		int bytes = *text == kept ? 1 : character_bytes((const unsigned char *)text);

		if (bytes == 0)
			*text = '?';
		text += bytes ? bytes : 1;
	}
}

void printable_make(char *text)
{
	make(text, '\0');
}

void printable_make_lines(char *text)
{
	make(text, '\n');
}
