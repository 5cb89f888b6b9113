// SPDX-License-Identifier: MIT
/* log: see log.h. */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>

void log_line(const char *level, const char *facility, const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	/* one call, so that lines of several threads and processes stay whole */
	fprintf(stderr, "[%s:%s] %s\n", level, facility, text);
}
