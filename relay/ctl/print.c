// SPDX-License-Identifier: MIT
/* print: see print.h. */
#include "ctl/print.h"
#include "common/printable.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* jansson takes DEL for printable. It stands in strings only. */
static void put(const char *text)
{
	for (; *text; text++)
		if (*text == 0x7f)
			fputs("\\u007f", stdout);
		else
			putchar(*text);
	putchar('\n');
}

int print_json(const json_t *value)
{
	char *text =
		json_dumps(value, JSON_INDENT(1) | JSON_REAL_PRECISION(15) | JSON_ENSURE_ASCII);

	if (!text)
		return -ENOMEM;
	put(text);
	free(text);
	return fflush(stdout) == 0 && !ferror(stdout) ? 0 : errno ? -errno : -EIO;
}

void print_failure(const char *format, ...)
{
	char text[2048];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	printable_make(text);
	fprintf(stderr, "mcrelayctl: %s\n", text);
}
