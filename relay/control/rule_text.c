// SPDX-License-Identifier: MIT
/* rule_text: see rule_text.h. */
#include "control/rule_text.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* More than that are counted. */
enum { SHOWN = 6 };

static void append(char *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void append(char *text, const char *format, ...)
{
	const size_t length = strlen(text);
	va_list args;

	va_start(args, format);
	vsnprintf(text + length, RULE_TEXT_BYTES - length, format, args);
	va_end(args);
}

static void append_endpoint(char *text, const struct endpoint *endpoint)
{
	char group[INET_ADDRSTRLEN];

	append(text, "%s:%u on %s", inet_ntop(AF_INET, &endpoint->group, group, sizeof(group)),
	       endpoint->port, endpoint->interface);
}

static void append_rest(char *text, unsigned count)
{
	if (count > SHOWN)
		append(text, " and %u more", count - SHOWN);
}

const char *rule_format(const struct rule *rule, char text[RULE_TEXT_BYTES])
{
	char source[PREFIX_TEXT_BYTES];

	text[0] = '\0';
	append_endpoint(text, &rule->input);
	for (unsigned i = 0; i < rule->num_sources && i < SHOWN; i++)
		append(text, "%s%s", i ? ", " : " from ", prefix_format(&rule->sources[i], source));
	append_rest(text, rule->num_sources);
	if (rule->num_outputs == 0)
		append(text, " to nowhere");
	for (unsigned i = 0; i < rule->num_outputs && i < SHOWN; i++) {
		append(text, "%s", i ? ", " : " to ");
		append_endpoint(text, &rule->outputs[i].to);
	}
	append_rest(text, rule->num_outputs);
	return text;
}
