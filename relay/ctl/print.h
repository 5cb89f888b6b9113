/* SPDX-License-Identifier: MIT
 *
 * print: what the relay has said, for a terminal as well as for a program.
 */
#ifndef PRINT_H
#define PRINT_H

#include <jansson.h>

/* On standard output, as ASCII: what else names and reasons have is escaped, and so are controls,
 * which could be a terminal's commands. 0 or negative errno. */
int print_json(const json_t *value);

/* "mcrelayctl: TEXT", one printable line on standard error. */
void print_failure(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
