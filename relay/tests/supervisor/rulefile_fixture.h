/* SPDX-License-Identifier: MIT
 *
 * rulefile_fixture: what is accepted, and for everything that is not, the one sentence that says
 * so. The host has the interfaces eth0 to eth9; other names of them are alt0 to alt9.
 */
#ifndef RULEFILE_FIXTURE_H
#define RULEFILE_FIXTURE_H

#include "supervisor/rulefile.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct rules rules;
static char error[RULEFILE_ERROR_BYTES];

static unsigned fake_interface(const char *name, void *context)
{
	const bool known = strncmp(name, "eth", 3) == 0 || strncmp(name, "alt", 3) == 0;

	assert_null(context);
	return known && name[3] >= '0' && name[3] <= '9' && name[4] == '\0'
		       ? (unsigned)(name[3] - '0' + 1)
		       : 0;
}

static int parse_bytes(const char *text, size_t length)
{
	memset(error, 0, sizeof(error));
	return rulefile_parse("f", text, length, fake_interface, NULL, &rules, error);
}

static int parse(const char *text)
{
	return parse_bytes(text, strlen(text));
}

static inline void assert_accepted(const char *text)
{
	int rc = parse(text);

	assert_string_equal(error, "");
	assert_int_equal(rc, 0);
}

static void assert_refused(const char *text, const char *message)
{
	int rc = parse(text);

	assert_string_equal(error, message);
	assert_int_equal(rc, -EINVAL);
	assert_null(rules.rule);
	assert_int_equal(rules.count, 0);
}

struct refusal {
	const char *text, *message;
};

static inline void assert_all_refused(const struct refusal *refusals, size_t count)
{
	for (size_t i = 0; i < count; i++)
		assert_refused(refusals[i].text, refusals[i].message);
}

#define ASSERT_ALL_REFUSED(table) assert_all_refused(table, sizeof(table) / sizeof(table[0]))

static int teardown(void **state)
{
	(void)state;
	rules_free(&rules);
	return 0;
}

/* A document around a rule, a rule around an input or outputs. */
#define RULES(text)    "{\"rules\":[" text "]}"
#define INPUT	       "\"input\":{\"interface\":\"eth0\",\"group\":\"239.1.1.1\",\"port\":5000}"
#define INPUT_2	       "\"input\":{\"interface\":\"eth0\",\"group\":\"239.1.1.1\",\"port\":5001}"
#define WITH_INPUT(in) RULES("{\"input\":" in ",\"outputs\":[]}")
#define OUTPUT(group, port, interface) \
	"{\"group\":\"" group "\",\"port\":" port ",\"interface\":\"" interface "\"}"
#define GOOD_OUTPUT	   OUTPUT("239.2.2.2", "6000", "eth1")
#define WITH_OUTPUTS(outs) RULES("{" INPUT ",\"outputs\":[" outs "]}")
#define AN_ADDRESS \
	"an IPv4 multicast or unicast address, 1.0.0.0 to 239.255.255.255 without 127.0.0.0/8"
#define AN_INTERFACE \
	"the name of a network interface, 1 to 15 characters without blanks, '/' and ':'"
#define WITH_ID(id) RULES("{\"id\":" id "," INPUT ",\"outputs\":[]}")

/* An input like INPUT with these sources; a rule with it. */
#define FROM(sources) \
	"{\"interface\":\"eth0\",\"group\":\"239.1.1.1\",\"port\":5000,\"sources\":" sources "}"
#define RULE_FROM(id, sources) "{\"id\":\"" id "\",\"input\":" FROM(sources) ",\"outputs\":[]}"

/* An output with these words besides. */
#define WORDS(words) "{\"group\":\"239.2.2.2\",\"port\":6000,\"interface\":\"eth1\"," words "}"

/* A rule with `count` sources, and `rules` of them, each on a port of its own. To be freed. */
static inline char *many_sources(unsigned num_rules, unsigned count)
{
	char *text = NULL;
	size_t size;
	FILE *stream = open_memstream(&text, &size);

	assert_non_null(stream);
	fputs("{\"rules\":[", stream);
	for (unsigned i = 0; i < num_rules; i++) {
		fprintf(stream,
			"%s{\"input\":{\"interface\":\"eth0\",\"group\":\"239.1.1.1\",\"port\":%u,"
			"\"sources\":[",
			i ? "," : "", i + 1);
		for (unsigned j = 0; j < count; j++)
			fprintf(stream, "%s\"10.0.%u.%u\"", j ? "," : "", j / 128, j % 128 * 2);
		fputs("]},\"outputs\":[]}", stream);
	}
	fputs("]}", stream);
	fclose(stream);
	return text;
}

static inline char *many_rules(unsigned count)
{
	char *text = malloc(count * 128UL + 64), *end = text;

	assert_non_null(text);
	end += sprintf(end, "{\"rules\":[");
	for (unsigned i = 0; i < count; i++)
		end += sprintf(end,
			       "%s{\"input\":{\"interface\":\"eth0\",\"group\":\"239.1.%u.%u\","
			       "\"port\":5000},\"outputs\":[]}",
			       i ? "," : "", i / 256, i % 256);
	sprintf(end, "]}");
	return text;
}

static inline char *many_outputs(unsigned count)
{
	char *text = malloc(count * 96UL + 256), *end = text;

	assert_non_null(text);
	end += sprintf(end, "{\"rules\":[{" INPUT ",\"outputs\":[");
	for (unsigned i = 0; i < count; i++)
		end += sprintf(end, "%s" OUTPUT("239.2.2.2", "%u", "eth1"), i ? "," : "", 6000 + i);
	sprintf(end, "]}]}");
	return text;
}

#endif
