// SPDX-License-Identifier: MIT
/* refusal: see refusal.h. */
#include "supervisor/refusal.h"

#include <stdarg.h>
#include <stdio.h>

int refusal_explain(char *error, int rc, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, REFUSAL_BYTES, format, args);
	va_end(args);
	return rc;
}
