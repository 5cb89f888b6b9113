// SPDX-License-Identifier: MIT
/*
 * rulefile: what is accepted, and for everything that is not, the one sentence that says so. The
 * host has the interfaces eth0 to eth9; other names of them are alt0 to alt9.
 */
#include "supervisor/rulefile.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
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

static void assert_accepted(const char *text)
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

static void assert_all_refused(const struct refusal *refusals, size_t count)
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

/* ------------------------------------------------------------------------- accepted */

static void test_full_example(void **state)
{
	const struct rule *rule;

	(void)state;
	assert_accepted(
		"{\"rules\":[{\"id\":\"video\","
		"\"input\":{\"interface\":\"eth0\",\"group\":\"239.1.1.1\",\"port\":5000},"
		"\"outputs\":[{\"group\":\"239.2.2.2\",\"port\":6000,\"interface\":\"eth1\","
		"\"ttl\":8}," OUTPUT("224.0.0.0", "1", "eth2") "]}]}");
	assert_int_equal(rules.count, 1);
	rule = &rules.rule[0];
	assert_string_equal(rule->id, "video");
	assert_string_equal(rule->input.interface, "eth0");
	assert_int_equal(rule->input.group.s_addr, inet_addr("239.1.1.1"));
	assert_int_equal(rule->input.port, 5000);
	assert_int_equal(rule->num_outputs, 2);
	assert_string_equal(rule->outputs[0].to.interface, "eth1");
	assert_int_equal(rule->outputs[0].to.group.s_addr, inet_addr("239.2.2.2"));
	assert_int_equal(rule->outputs[0].to.port, 6000);
	assert_int_equal(rule->outputs[0].ttl, 8);
	assert_int_equal(rule->outputs[0].dscp, 0);
	assert_int_equal(rule->outputs[1].ttl, 1); /* the default */
	assert_int_equal(rule->outputs[1].dscp, 0);
}

static void test_no_outputs_no_id(void **state)
{
	(void)state;
	assert_accepted(RULES("{" INPUT ",\"outputs\":[]}"));
	assert_int_equal(rules.rule[0].num_outputs, 0);
	assert_string_equal(rules.rule[0].id, "96849a0d913b2dad");
}

static void test_edges_accepted(void **state)
{
	(void)state;
	assert_accepted(RULES("{\"id\":\"0123456789012345678901234567890123456789012345678901234567"
			      "890123\",\"input\":{\"interface\":\"eth9\","
			      "\"group\":\"239.255.255.255\",\"port\":65535},\"outputs\":[{"
			      "\"group\":\"224.0.0.1\",\"port\":1,\"interface\":\"eth0\","
			      "\"ttl\":255}]}"));
	assert_int_equal(strlen(rules.rule[0].id), 64);
	assert_int_equal(rules.rule[0].outputs[0].ttl, 255);
}

/* An input like INPUT with these sources; a rule with it. */
#define FROM(sources) \
	"{\"interface\":\"eth0\",\"group\":\"239.1.1.1\",\"port\":5000,\"sources\":" sources "}"
#define RULE_FROM(id, sources) "{\"id\":\"" id "\",\"input\":" FROM(sources) ",\"outputs\":[]}"

/* A list in order, without what is within another; and out as JSON in the same form. */
static void test_sources(void **state)
{
	json_t *list, *sources;

	(void)state;
	assert_accepted(RULES(
		RULE_FROM("a", "[\"192.0.2.7/32\",\"10.1.2.3/16\",\"10.1.7.7\",\"10.0.0.1\"]")));
	assert_int_equal(rules.rule[0].num_sources, 3);
	list = rules_to_json(&rules);
	sources = json_object_get(json_object_get(json_array_get(list, 0), "input"), "sources");
	assert_int_equal(json_array_size(sources), 3);
	assert_string_equal(json_string_value(json_array_get(sources, 0)), "10.0.0.1");
	assert_string_equal(json_string_value(json_array_get(sources, 1)), "10.1.0.0/16");
	assert_string_equal(json_string_value(json_array_get(sources, 2)), "192.0.2.7");
	json_decref(list);
	rules_free(&rules);
	assert_accepted(RULES("{" INPUT ",\"sources\":[\"0.0.0.0/0\"],\"outputs\":[]}"));
	assert_int_equal(rules.rule[0].num_sources, 1);
	rules_free(&rules);
	assert_accepted(RULES("{" INPUT ",\"outputs\":[]}"));
	assert_int_equal(rules.rule[0].num_sources, 0);
}

/* One input for several rules, if no packet matches two. */
static void test_rules_by_source(void **state)
{
	(void)state;
	assert_accepted(RULES(RULE_FROM("a", "[\"10.1.0.0/16\",\"192.0.2.7\"]") "," RULE_FROM(
		"b", "[\"10.2.0.0/16\",\"192.0.2.8\"]")));
	assert_int_equal(rules.count, 2);
	rules_free(&rules);
	assert_accepted(RULES("{\"input\":" FROM(
		"[\"10.0.0.1\"]") ",\"outputs\":[]},"
				  "{\"input\":" FROM("[\"10.0.0.2\"]") ",\"outputs\":[]}"));
	assert_string_not_equal(rules.rule[0].id, rules.rule[1].id);
}

static void test_sources_refused(void **state)
{
#define A_SOURCE "an IPv4 address or prefix of senders, such as \"192.0.2.7\" or \"10.1.0.0/16\""
	static const struct refusal refusals[] = {
		{WITH_INPUT(FROM("[]")),
		 "f: $.rules[0].input.sources: no source, and no packet would match; expected at "
		 "least one, or no \"sources\" for packets of any"},
		{WITH_INPUT(FROM("\"10.0.0.1\"")),
		 "f: $.rules[0].input.sources: found \"10.0.0.1\", expected an array of IPv4 "
		 "addresses and prefixes"},
		{WITH_INPUT(FROM("[\"10.0.0.1\",\"10.0.0.0/33\"]")),
		 "f: $.rules[0].input.sources[1]: found \"10.0.0.0/33\", expected " A_SOURCE},
		{WITH_INPUT(FROM("[\"239.1.1.1\"]")),
		 "f: $.rules[0].input.sources[0]: found \"239.1.1.1\", expected " A_SOURCE},
		{WITH_INPUT(FROM("[\"224.0.0.0/3\"]")),
		 "f: $.rules[0].input.sources[0]: found \"224.0.0.0/3\", expected " A_SOURCE},
		{WITH_INPUT(FROM("[\"0.0.0.0\"]")),
		 "f: $.rules[0].input.sources[0]: found \"0.0.0.0\", expected " A_SOURCE},
		{WITH_INPUT(FROM("[7]")),
		 "f: $.rules[0].input.sources[0]: found 7, expected " A_SOURCE},
		{RULES("{\"input\":" FROM("[\"10.0.0.1\"]") ",\"sources\":[\"10.0.0.1\"],"
							    "\"outputs\":[]}"),
		 "f: $.rules[0].sources: found some in the input as well, expected one list"},
		{RULES(RULE_FROM("a", "[\"10.0.0.1\"]") "," RULE_FROM("b", "[\"10.0.0.0/8\"]")),
		 "f: $.rules[1]: the same input as rules[0], \"a\", which takes packets from "
		 "10.0.0.1 as well; expected sources that do not overlap"},
		{RULES(RULE_FROM("a", "[\"10.0.0.1\"]") ",{" INPUT ",\"outputs\":[]}"),
		 "f: $.rules[1]: the same input as rules[0], \"a\", and this one takes packets of "
		 "any source; expected sources for both"},
		{RULES("{\"id\":\"a\"," INPUT ",\"outputs\":[]}," RULE_FROM("b", "[\"10.0.0.1\"]")),
		 "f: $.rules[1]: the same input as rules[0], \"a\", and that one takes packets of "
		 "any source; expected sources for both"},
	};

	(void)state;
	ASSERT_ALL_REFUSED(refusals);
}

/* A rule with `count` sources, and `rules` of them, each on a port of its own. To be freed. */
static char *many_sources(unsigned num_rules, unsigned count)
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

static void test_many_sources(void **state)
{
	const unsigned full = SOURCES_MAX / RULE_SOURCES_MAX;
	char *text = many_sources(full, RULE_SOURCES_MAX);

	(void)state;
	assert_accepted(text);
	assert_int_equal(rules.rule[full - 1].num_sources, RULE_SOURCES_MAX);
	rules_free(&rules);
	free(text);
	text = many_sources(1, RULE_SOURCES_MAX + 1);
	assert_refused(text, "f: $.rules[0].input.sources: found 257 sources, expected at most "
			     "256; a prefix stands for many");
	free(text);
	text = many_sources(full + 1, RULE_SOURCES_MAX);
	assert_refused(text, "f: $.rules: found 16640 sources in all, expected at most 16384; a "
			     "prefix stands for many");
	free(text);
}

/* An output with these words besides. */
#define WORDS(words) "{\"group\":\"239.2.2.2\",\"port\":6000,\"interface\":\"eth1\"," words "}"

static void test_words_of_an_output(void **state)
{
	(void)state;
	assert_accepted(WITH_OUTPUTS(WORDS("\"ttl\":\"decrement\",\"dscp\":\"keep\"")));
	assert_int_equal(rules.rule[0].outputs[0].ttl, TTL_DECREMENT);
	assert_int_equal(rules.rule[0].outputs[0].dscp, DSCP_KEEP);
	assert_int_equal(rules.rule[0].outputs[0].source.s_addr, INADDR_ANY);
	assert_int_equal(rules.rule[0].outputs[0].source_port, 0);
	rules_free(&rules);
	assert_accepted(WITH_OUTPUTS(WORDS("\"source\":\"10.0.0.5\",\"source_port\":65535")));
	assert_int_equal(rules.rule[0].outputs[0].source.s_addr, inet_addr("10.0.0.5"));
	assert_int_equal(rules.rule[0].outputs[0].source_port, 65535);
	rules_free(&rules);
	assert_accepted(WITH_OUTPUTS(WORDS("\"dscp\":63")));
	assert_int_equal(rules.rule[0].outputs[0].ttl, 1);
	assert_int_equal(rules.rule[0].outputs[0].dscp, 63);
}

/* Same group and port, but elsewhere: no loop, no duplicate. */
static void test_similar_is_not_same(void **state)
{
	(void)state;
	assert_accepted(WITH_OUTPUTS(OUTPUT("239.1.1.1", "5000", "eth1") "," OUTPUT(
		"239.1.1.1", "5001", "eth0") "," OUTPUT("239.1.1.2", "5000", "eth0")));
	assert_int_equal(rules.rule[0].num_outputs, 3);
	rules_free(&rules);
	assert_accepted(RULES("{" INPUT ",\"outputs\":[]},{" INPUT_2 ",\"outputs\":[]}"));
	assert_int_equal(rules.count, 2);
	assert_string_not_equal(rules.rule[0].id, rules.rule[1].id);
}

static void test_no_rules(void **state)
{
	(void)state;
	assert_accepted("{\"rules\":[]}");
	assert_int_equal(rules.count, 0);
}

/* It may come. Two that are not there are different ones. */
static void test_interfaces_that_are_not_there(void **state)
{
	(void)state;
	assert_accepted(RULES(
		"{\"input\":{\"interface\":\"0123456789abcde\",\"group\":\"239.1.1.1\","
		"\"port\":5000},\"outputs\":[" OUTPUT("239.1.1.1", "5000", "wlan0") "," OUTPUT(
			"239.1.1.1", "5000", "wlan1") "]}"));
	assert_string_equal(rules.rule[0].input.interface, "0123456789abcde");
	assert_string_equal(rules.rule[0].outputs[1].to.interface, "wlan1");
}

/* What `list` adds to a rule: its output is a rule file. */
static void test_state_is_ignored(void **state)
{
	(void)state;
	assert_accepted(RULES("{" INPUT
			      ",\"outputs\":[],\"state\":\"waiting\",\"reason\":\"interface "
			      "eth0 is absent\"}"));
	assert_int_equal(rules.count, 1);
}

/* ------------------------------------------------------------------------- JSON */

static void test_not_json(void **state)
{
	static const struct refusal refusals[] = {
		{"", "f:1:0: not valid JSON: '[' or '{' expected near end of file"},
		{"rules", "f:1:5: not valid JSON: '[' or '{' expected near 'rules'"},
		{"{\n  \"rules\": [,]\n}", "f:2:13: not valid JSON: unexpected token near ','"},
		{"{\"rules\":[]} x", "f:1:14: not valid JSON: end of file expected near 'x'"},
		{"{\"rules\":[]", "f:1:11: not valid JSON: '}' expected near end of file"},
		{"{\"rules\":[],\n\"rules\":[]}",
		 "f:2:7: not valid JSON: duplicate object key near '\"rules\"'"},
		{RULES("{" INPUT "," INPUT ",\"outputs\":[]}"),
		 "f:1:79: not valid JSON: duplicate object key near '\"input\"'"},
		{WITH_ID("\"a\\u0000b\""),
		 "f:1:26: not valid JSON: \\u0000 is not allowed without JSON_ALLOW_NUL near "
		 "'\"a\\u0000b\"'"},
	};

	(void)state;
	ASSERT_ALL_REFUSED(refusals);
	assert_int_equal(parse_bytes("{\"rules\":\0[]}", 13), -EINVAL);
	assert_string_equal(error, "f:1:10: not valid JSON: invalid token near end of file");
	assert_int_equal(parse(WITH_ID("\"\xff\"")), -EINVAL);
	assert_non_null(strstr(error, "not valid JSON: unable to decode byte 0xff"));
}

/* jansson stops at 2048 levels, long before the stack ends. */
static void test_deep_nesting(void **state)
{
	enum { DEPTH = 100000 };
	char *text = malloc(DEPTH);

	(void)state;
	assert_non_null(text);
	memset(text, '[', DEPTH);
	assert_int_equal(parse_bytes(text, DEPTH), -EINVAL);
	assert_non_null(strstr(error, "not valid JSON: maximum parsing depth reached"));
	for (int i = 0; i < DEPTH; i += 5)
		memcpy(&text[i], "{\"a\":", 5);
	assert_int_equal(parse_bytes(text, DEPTH), -EINVAL);
	assert_non_null(strstr(error, "not valid JSON: maximum parsing depth reached"));
	free(text);
}

/* ------------------------------------------------------------------------- refusals */

static void test_document(void **state)
{
	static const struct refusal refusals[] = {
		{"[]", "f: $: found an array, expected an object with the key rules"},
		{"{}", "f: $.rules: found nothing, expected an array of rules"},
		{"{\"rules\":{}}", "f: $.rules: found an object, expected an array of rules"},
		{"{\"rules\":null}", "f: $.rules: found null, expected an array of rules"},
		{"{\"rules\":[],\"x\":1}", "f: $: unknown key \"x\", expected rules"},
		{"{\"Rules\":[]}", "f: $: unknown key \"Rules\", expected rules"},
	};

	(void)state;
	ASSERT_ALL_REFUSED(refusals);
}

static void test_rule(void **state)
{
	static const struct refusal refusals[] = {
		{RULES("1"), "f: $.rules[0]: found 1, expected an object with input and outputs"},
		{RULES("{}"), "f: $.rules[0].input: found nothing, expected an object with "
			      "interface, group and port"},
		{RULES("{" INPUT "}"), "f: $.rules[0].outputs: found nothing, expected an array of "
				       "outputs, which may be empty"},
		{RULES("{" INPUT ",\"outputs\":{}}"),
		 "f: $.rules[0].outputs: found an object, expected an array of outputs, which may "
		 "be empty"},
		{RULES("{" INPUT ",\"outputs\":[],\"ttl\":1}"),
		 "f: $.rules[0]: unknown key \"ttl\", expected id, input, sources or outputs"},
		{RULES("{" INPUT ",\"outputs\":[]},{" INPUT_2 ",\"outputs\":[1]}"),
		 "f: $.rules[1].outputs[0]: found 1, expected an object with group, port, "
		 "interface and ttl"},
	};

	(void)state;
	ASSERT_ALL_REFUSED(refusals);
}

static void test_input(void **state)
{
	static const struct refusal refusals[] = {
		{WITH_INPUT("\"eth0\""), "f: $.rules[0].input: found \"eth0\", expected an object "
					 "with interface, group and port"},
		{WITH_INPUT(
			 "{\"interface\":\"eth0\",\"group\":\"239.1.1.1\",\"port\":1,\"ttl\":1}"),
		 "f: $.rules[0].input: unknown key \"ttl\", expected interface, group, port or "
		 "sources"},
		{WITH_INPUT("{\"group\":\"239.1.1.1\",\"port\":1}"),
		 "f: $.rules[0].input.interface: found nothing, expected " AN_INTERFACE},
		{WITH_INPUT("{\"interface\":\"\",\"group\":\"239.1.1.1\",\"port\":1}"),
		 "f: $.rules[0].input.interface: found \"\", expected " AN_INTERFACE},
		{WITH_INPUT(
			 "{\"interface\":\"0123456789abcdef\",\"group\":\"239.1.1.1\",\"port\":1}"),
		 "f: $.rules[0].input.interface: found \"0123456789abcdef\", "
		 "expected " AN_INTERFACE},
		{WITH_INPUT("{\"interface\":\"eth0:vip\",\"group\":\"239.1.1.1\",\"port\":1}"),
		 "f: $.rules[0].input.interface: found \"eth0:vip\", expected " AN_INTERFACE},
		{WITH_INPUT("{\"interface\":\"a/b\",\"group\":\"239.1.1.1\",\"port\":1}"),
		 "f: $.rules[0].input.interface: found \"a/b\", expected " AN_INTERFACE},
		{WITH_INPUT("{\"interface\":\"..\",\"group\":\"239.1.1.1\",\"port\":1}"),
		 "f: $.rules[0].input.interface: found \"..\", expected " AN_INTERFACE},
		{WITH_INPUT("{\"interface\":\"eth0\",\"port\":1}"),
		 "f: $.rules[0].input.group: found nothing, expected " AN_ADDRESS},
		{WITH_INPUT("{\"interface\":\"eth0\",\"group\":\"239.1.1.1\"}"),
		 "f: $.rules[0].input.port: found nothing, expected a whole number from 1 to "
		 "65535"},
	};

	(void)state;
	ASSERT_ALL_REFUSED(refusals);
}

static void test_group(void **state)
{
	static const char *const right[] = {"1.0.0.0",	 "10.0.0.1",	    "126.255.255.255",
					    "128.0.0.0", "223.255.255.255", "224.0.0.0",
					    "239.1.1.2", "239.255.255.255"};
	static const char *const wrong[] = {
		"0.0.0.0",   "0.255.255.255",	"127.0.0.0", "127.0.0.1",   "127.255.255.255",
		"240.0.0.0", "255.255.255.255", "239.1.1",   "239.1.1.256", "ff02::1",
		"",	     "239.1.1.1 ",	"host"};
	char text[256], message[256];

	(void)state;
	for (unsigned i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
		snprintf(text, sizeof(text),
			 WITH_INPUT("{\"interface\":\"eth0\",\"group\":\"%s\",\"port\":1}"),
			 right[i]);
		assert_accepted(text);
		assert_int_equal(rules.rule[0].input.group.s_addr, inet_addr(right[i]));
		rules_free(&rules);
	}
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		snprintf(text, sizeof(text),
			 WITH_INPUT("{\"interface\":\"eth0\",\"group\":\"%s\",\"port\":1}"),
			 wrong[i]);
		snprintf(message, sizeof(message),
			 "f: $.rules[0].input.group: found \"%s\", expected " AN_ADDRESS, wrong[i]);
		assert_refused(text, message);
	}
}

/* Each pair: the JSON value, and how a message shows it. */
static void test_port_and_ttl(void **state)
{
	static const char *const ports[][2] = {
		{"0", "0"},	      {"70000", "70000"},
		{"-1", "-1"},	      {"5e3", "5000"},
		{"5000.5", "5000.5"}, {"\"5000\"", "\"5000\""},
		{"null", "null"},     {"true", "true"},
		{"false", "false"},   {"[]", "an array"},
		{"{}", "an object"},  {"9223372036854775807", "9223372036854775807"}};
	char text[512], message[256];

	(void)state;
	for (unsigned i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
		snprintf(text, sizeof(text),
			 WITH_OUTPUTS(GOOD_OUTPUT "," OUTPUT("239.3.3.3", "%s", "eth1")),
			 ports[i][0]);
		snprintf(message, sizeof(message),
			 "f: $.rules[0].outputs[1].port: found %s, expected a whole number from 1 "
			 "to 65535",
			 ports[i][1]);
		assert_refused(text, message);

		snprintf(text, sizeof(text),
			 WITH_OUTPUTS("{\"group\":\"239.2.2.2\",\"port\":1,\"interface\":\"eth1\","
				      "\"ttl\":%s}"),
			 ports[i][0]);
		snprintf(message, sizeof(message),
			 "f: $.rules[0].outputs[0].ttl: found %s, expected a whole number from 1 "
			 "to 255 or \"decrement\"",
			 ports[i][1]);
		assert_refused(text, message);
	}
	assert_refused(WITH_OUTPUTS("{\"group\":\"239.2.2.2\",\"port\":1,\"interface\":\"eth1\","
				    "\"ttl\":256}"),
		       "f: $.rules[0].outputs[0].ttl: found 256, expected a whole number from 1 to "
		       "255 or \"decrement\"");
}

static void test_outputs(void **state)
{
	static const struct refusal refusals[] = {
		{WITH_OUTPUTS("{\"group\":\"239.2.2.2\",\"port\":1,\"interface\":\"eth1\","
			      "\"id\":1}"),
		 "f: $.rules[0].outputs[0]: unknown key \"id\", expected group, port, interface, "
		 "ttl, dscp, source or source_port"},
		{WITH_OUTPUTS(WORDS("\"source_port\":0")),
		 "f: $.rules[0].outputs[0].source_port: found 0, expected a whole number from 1 to "
		 "65535"},
		{WITH_OUTPUTS(WORDS("\"source\":\"239.1.1.1\"")),
		 "f: $.rules[0].outputs[0].source: found \"239.1.1.1\", expected an IPv4 address "
		 "of the interface"},
		{WITH_OUTPUTS(WORDS("\"source\":\"0.0.0.0\"")),
		 "f: $.rules[0].outputs[0].source: found \"0.0.0.0\", expected an IPv4 address of "
		 "the interface"},
		{WITH_OUTPUTS(WORDS("\"source\":\"eth1\"")),
		 "f: $.rules[0].outputs[0].source: found \"eth1\", expected an IPv4 address of the "
		 "interface"},
		{WITH_OUTPUTS(WORDS("\"source\":5004")),
		 "f: $.rules[0].outputs[0].source: found 5004, expected an IPv4 address of the "
		 "interface"},
		{WITH_OUTPUTS(WORDS("\"dscp\":64")),
		 "f: $.rules[0].outputs[0].dscp: found 64, expected a whole number from 0 to 63 or "
		 "\"keep\""},
		{WITH_OUTPUTS(WORDS("\"dscp\":-1")),
		 "f: $.rules[0].outputs[0].dscp: found -1, expected a whole number from 0 to 63 or "
		 "\"keep\""},
		{WITH_OUTPUTS(WORDS("\"dscp\":\"decrement\"")),
		 "f: $.rules[0].outputs[0].dscp: found \"decrement\", expected a whole number from "
		 "0 to 63 or \"keep\""},
		{WITH_OUTPUTS(WORDS("\"ttl\":\"keep\"")),
		 "f: $.rules[0].outputs[0].ttl: found \"keep\", expected a whole number from 1 to "
		 "255 or \"decrement\""},
		{WITH_OUTPUTS("{\"group\":\"239.2.2.2\",\"port\":1}"),
		 "f: $.rules[0].outputs[0].interface: found nothing, expected " AN_INTERFACE},
		{WITH_OUTPUTS(OUTPUT("239.2.2.2", "1", "wlan 0")),
		 "f: $.rules[0].outputs[0].interface: found \"wlan 0\", expected " AN_INTERFACE},
		{WITH_OUTPUTS(GOOD_OUTPUT "," OUTPUT("127.0.0.1", "1", "eth1")),
		 "f: $.rules[0].outputs[1].group: found \"127.0.0.1\", expected " AN_ADDRESS},
		{WITH_OUTPUTS(GOOD_OUTPUT "," OUTPUT("239.1.1.1", "5000", "eth0")),
		 "f: $.rules[0].outputs[1]: the output equals the rule's input, which would loop; "
		 "expected another interface, group or port"},
		{WITH_OUTPUTS(GOOD_OUTPUT "," OUTPUT("239.1.1.1", "5000", "alt0")),
		 "f: $.rules[0].outputs[1]: the output equals the rule's input, which would loop; "
		 "expected another interface, group or port"},
		{WITH_OUTPUTS(GOOD_OUTPUT "," OUTPUT("239.2.2.2", "6000", "alt1")),
		 "f: $.rules[0].outputs[1]: the same as outputs[0]; expected each output once"},
		{WITH_OUTPUTS(GOOD_OUTPUT "," OUTPUT("239.2.2.2", "6001", "eth1") "," GOOD_OUTPUT),
		 "f: $.rules[0].outputs[2]: the same as outputs[0]; expected each output once"},
		/* another TTL does not make it another output */
		{WITH_OUTPUTS(GOOD_OUTPUT ",{\"group\":\"239.2.2.2\",\"port\":6000,"
					  "\"interface\":\"eth1\",\"ttl\":9}"),
		 "f: $.rules[0].outputs[1]: the same as outputs[0]; expected each output once"},
	};

	(void)state;
	ASSERT_ALL_REFUSED(refusals);
}

static void test_duplicates(void **state)
{
	static const struct refusal refusals[] = {
		{RULES("{\"id\":\"a\"," INPUT ",\"outputs\":[]},"
		       "{\"id\":\"a\"," INPUT_2 ",\"outputs\":[" GOOD_OUTPUT "]}"),
		 "f: $.rules[1]: the same id as rules[0], \"a\"; expected a unique id"},
		{RULES("{\"id\":\"a\"," INPUT ",\"outputs\":[" GOOD_OUTPUT "]},"
		       "{\"id\":\"b\"," INPUT ",\"outputs\":[]}"),
		 "f: $.rules[1]: the same input as rules[0], \"a\"; expected one rule with the "
		 "outputs of both"},
		{RULES("{\"id\":\"a\"," INPUT ",\"outputs\":[" GOOD_OUTPUT "]},"
		       "{\"id\":\"b\",\"input\":{\"interface\":\"alt0\",\"group\":\"239.1.1.1\","
		       "\"port\":5000},\"outputs\":[]}"),
		 "f: $.rules[1]: the same input as rules[0], \"a\"; expected one rule with the "
		 "outputs of both"},
		/* a given id that equals another rule's default id */
		{RULES("{" INPUT ",\"outputs\":[]},"
		       "{\"id\":\"96849a0d913b2dad\"," INPUT_2 ",\"outputs\":[]}"),
		 "f: $.rules[1]: the same id as rules[0], \"96849a0d913b2dad\"; expected a unique "
		 "id"},
	};

	(void)state;
	ASSERT_ALL_REFUSED(refusals);
}

static void test_id(void **state)
{
	static const struct refusal refusals[] = {
		{WITH_ID("7"),
		 "f: $.rules[0].id: found 7, expected a string of 1 to 64 characters"},
		{WITH_ID("null"),
		 "f: $.rules[0].id: found null, expected a string of 1 to 64 characters"},
		{WITH_ID("\"\""),
		 "f: $.rules[0].id: found \"\", expected a string of 1 to 64 characters"},
		{WITH_ID("\"01234567890123456789012345678901234567890123456789012345678901234\""),
		 "f: $.rules[0].id: found \"01234567890123456789012345678901234567890123456789\", "
		 "expected a string of 1 to 64 characters"},
		{WITH_ID("\"two words\""),
		 "f: $.rules[0].id: found \"two words\", expected printable ASCII characters "
		 "without blanks"},
		{WITH_ID("\"line\\nbreak\""),
		 "f: $.rules[0].id: found \"line?break\", expected printable ASCII characters "
		 "without blanks"},
		{WITH_ID("\"\\u001b[31m\\u007f\""),
		 "f: $.rules[0].id: found \"?[31m?\", expected printable ASCII characters without "
		 "blanks"},
		{WITH_ID("\"vid\xc3\xa9o\""),
		 "f: $.rules[0].id: found \"vid\xc3\xa9o\", expected printable ASCII characters "
		 "without blanks"},
	};

	(void)state;
	ASSERT_ALL_REFUSED(refusals);
}

/* A file must not be able to forge log lines or drive the terminal, whatever it is that is shown
 * of it: C0 and C1 controls in values, keys and interface names. */
static void test_control_characters(void **state)
{
	static const struct refusal refusals[] = {
		{"{\"a\\n\\u001b\\u007f\":1}", "f: $: unknown key \"a???\", expected rules"},
		{WITH_INPUT("{\"interface\":\"e\\n\\u001b0\",\"group\":\"239.1.1.1\",\"port\":1}"),
		 "f: $.rules[0].input.interface: found \"e??0\", expected " AN_INTERFACE},
		{"{\n\"\x01\":1}", "f:2:1: not valid JSON: control character 0x1 near '\"'"},
	};

	(void)state;
	ASSERT_ALL_REFUSED(refusals);
}

/* Is it well-formed, apart from overlong forms? */
static bool is_utf8(const char *text)
{
	int more = 0;

	for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
		if (more > 0) {
			if ((*c & 0xc0) != 0x80)
				return false;
			more--;
		} else if (*c >= 0x80) {
			more = *c >= 0xf0 ? 3 : *c >= 0xe0 ? 2 : 1;
			if (*c < 0xc0)
				return false;
		}
	}
	return more == 0;
}

/* What is shown of long strings is cut, but not inside a character. */
static void test_long_strings(void **state)
{
	enum { LONG = 100000 };
	static const char *const prefix[] = {"", "x", "xx", "xxx"};
	char *text = malloc(LONG + 256), *part = malloc(LONG + 1);

	(void)state;
	assert_true(text && part);
	for (unsigned i = 0; i < 4; i++) {
		strcpy(part, prefix[i]);
		for (size_t at = strlen(part); at + 4 <= LONG; at += 4)
			memcpy(part + at, "\xf0\x9f\x98\x80", 5);
		sprintf(text, RULES("{\"id\":\"%s\"," INPUT ",\"outputs\":[]}"), part);
		assert_int_equal(parse(text), -EINVAL);
		assert_in_range(strlen(error), 60, 130);
		assert_true(is_utf8(error));
		sprintf(text, "{\"%s\":1}", part);
		assert_int_equal(parse(text), -EINVAL);
		assert_in_range(strlen(error), 40, 90);
		assert_true(is_utf8(error));
	}
	free(text);
	free(part);
}

static void test_long_file_name(void **state)
{
	char name[2 * RULEFILE_ERROR_BYTES];

	(void)state;
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	for (size_t length = sizeof(name) - 1; length > 0; length--) {
		name[length] = '\0';
		memset(error, 'y', sizeof(error));
		assert_int_equal(rulefile_parse(name, "[]", 2, fake_interface, NULL, &rules, error),
				 -EINVAL);
		assert_in_range(strnlen(error, sizeof(error)), 1, sizeof(error) - 1);
		memset(error, 'y', sizeof(error));
		assert_int_equal(rulefile_parse(name, "[", 1, fake_interface, NULL, &rules, error),
				 -EINVAL);
		assert_in_range(strnlen(error, sizeof(error)), 1, sizeof(error) - 1);
	}
}

/* ------------------------------------------------------------------------- many */

static char *many_rules(unsigned count)
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

static void test_many_rules(void **state)
{
	char *text = many_rules(RULES_MAX);

	(void)state;
	assert_accepted(text);
	assert_int_equal(rules.count, RULES_MAX);
	rules_free(&rules);
	free(text);
	text = many_rules(RULES_MAX + 1);
	assert_refused(text, "f: $.rules: found 4097 rules, expected at most 4096");
	free(text);
}

static char *many_outputs(unsigned count)
{
	char *text = malloc(count * 96UL + 256), *end = text;

	assert_non_null(text);
	end += sprintf(end, "{\"rules\":[{" INPUT ",\"outputs\":[");
	for (unsigned i = 0; i < count; i++)
		end += sprintf(end, "%s" OUTPUT("239.2.2.2", "%u", "eth1"), i ? "," : "", 6000 + i);
	sprintf(end, "]}]}");
	return text;
}

static void test_many_outputs(void **state)
{
	char *text = many_outputs(RULE_OUTPUTS_MAX);

	(void)state;
	assert_accepted(text);
	assert_int_equal(rules.rule[0].num_outputs, RULE_OUTPUTS_MAX);
	rules_free(&rules);
	free(text);
	text = many_outputs(RULE_OUTPUTS_MAX + 1);
	assert_refused(text, "f: $.rules[0].outputs: found 257 outputs, expected at most 256");
	free(text);
}

/* ------------------------------------------------------------------------- documents */

static int from_json(json_t *document, struct rules *result)
{
	memset(error, 0, sizeof(error));
	return rulefile_from_json("f", document, fake_interface, NULL, result, error);
}

static json_t *document_of(const char *text)
{
	json_t *document = json_loads(text, JSON_DECODE_ANY, NULL);

	assert_non_null(document);
	return document;
}

static void test_document_refused(void **state)
{
	static const struct refusal refusals[] = {
		{"[]", "f: $: found an array, expected an object with the key rules"},
		{"7", "f: $: found 7, expected an object with the key rules"},
		{"{}", "f: $.rules: found nothing, expected an array of rules"},
		{"{\"rules\":[],\"x\":1}", "f: $: unknown key \"x\", expected rules"},
		{RULES("{" INPUT ",\"outputs\":[]},{" INPUT ",\"outputs\":[]}"),
		 "f: $.rules[1]: the same id as rules[0], \"96849a0d913b2dad\"; expected a unique "
		 "id"},
		{WITH_ID("\"line\\nbreak\""),
		 "f: $.rules[0].id: found \"line?break\", expected printable ASCII characters "
		 "without blanks"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		json_t *document = document_of(refusals[i].text);

		assert_int_equal(from_json(document, &rules), -EINVAL);
		assert_string_equal(error, refusals[i].message);
		assert_null(rules.rule);
		assert_int_equal(rules.count, 0);
		assert_int_equal(document->refcount, 1); /* still the caller's */
		json_decref(document);
	}
}

static void assert_same_endpoint(const struct endpoint *a, const struct endpoint *b)
{
	assert_string_equal(a->interface, b->interface);
	assert_int_equal(a->group.s_addr, b->group.s_addr);
	assert_int_equal(a->port, b->port);
}

static void assert_same_rules(const struct rules *a, const struct rules *b)
{
	assert_int_equal(a->count, b->count);
	for (unsigned i = 0; i < a->count; i++) {
		assert_string_equal(a->rule[i].id, b->rule[i].id);
		assert_same_endpoint(&a->rule[i].input, &b->rule[i].input);
		assert_int_equal(a->rule[i].num_sources, b->rule[i].num_sources);
		for (unsigned j = 0; j < a->rule[i].num_sources; j++) {
			assert_int_equal(a->rule[i].sources[j].address,
					 b->rule[i].sources[j].address);
			assert_int_equal(a->rule[i].sources[j].length,
					 b->rule[i].sources[j].length);
		}
		assert_int_equal(a->rule[i].num_outputs, b->rule[i].num_outputs);
		for (unsigned j = 0; j < a->rule[i].num_outputs; j++) {
			assert_same_endpoint(&a->rule[i].outputs[j].to, &b->rule[i].outputs[j].to);
			assert_true(
				rule_output_same(&a->rule[i].outputs[j], &b->rule[i].outputs[j]));
		}
	}
}

/* Out as JSON and in again: the same rules, in the same order. */
static void assert_round_trip(const char *text)
{
	json_t *list, *document;
	struct rules again;

	assert_accepted(text);
	list = rules_to_json(&rules);
	assert_non_null(list);
	assert_int_equal(json_array_size(list), rules.count);
	document = json_pack("{s:o}", "rules", list);
	assert_int_equal(from_json(document, &again), 0);
	assert_same_rules(&rules, &again);
	json_decref(document);
	rules_free(&again);
	rules_free(&rules);
}

static void test_round_trip(void **state)
{
	char *text;

	(void)state;
	assert_round_trip(RULES("{" INPUT ",\"outputs\":[]}")); /* its hash becomes a given id */
	assert_round_trip(
		RULES("{\"id\":\"a\"," INPUT_2 ",\"outputs\":[" GOOD_OUTPUT "]},"
		      "{\"id\":\"\\\"{}\\\\\",\"input\":{\"interface\":\"eth9\",\"group\":"
		      "\"239.255.255.255\",\"port\":65535},\"outputs\":[{\"group\":\"224.0.0.0\","
		      "\"port\":1,\"interface\":\"eth0\",\"ttl\":255}," GOOD_OUTPUT "]}"));
	assert_round_trip(
		WITH_OUTPUTS(WORDS("\"ttl\":\"decrement\"") "," OUTPUT("239.2.2.3", "1", "eth1")));
	assert_round_trip(WITH_OUTPUTS(WORDS("\"dscp\":\"keep\"")));
	assert_round_trip(WITH_OUTPUTS(WORDS("\"dscp\":46")));
	assert_round_trip(WITH_OUTPUTS(WORDS("\"source\":\"10.0.0.5\",\"source_port\":1")));
	assert_round_trip(RULES(RULE_FROM("a", "[\"0.0.0.0/0\"]")));
	text = many_sources(3, 20);
	assert_round_trip(text);
	free(text);
	text = many_rules(300);
	assert_round_trip(text);
	free(text);
	text = many_outputs(RULE_OUTPUTS_MAX);
	assert_round_trip(text);
	free(text);
}

static void test_round_trip_of_nothing(void **state)
{
	json_t *list = rules_to_json(&(struct rules){0});

	(void)state;
	assert_true(json_is_array(list));
	assert_int_equal(json_array_size(list), 0);
	json_decref(list);
}

/* ------------------------------------------------------------------------- files */

static int load(const char *path)
{
	memset(error, 0, sizeof(error));
	return rulefile_load(path, fake_interface, NULL, &rules, error);
}

static void test_files(void **state)
{
	char path[] = "/tmp/test_rulefile.XXXXXX", message[256];
	const char text[] = WITH_OUTPUTS(GOOD_OUTPUT);
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(load(path), -EINVAL); /* empty */
	snprintf(message, sizeof(message),
		 "%s:1:0: not valid JSON: '[' or '{' expected near end of file", path);
	assert_string_equal(error, message);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	assert_int_equal(load(path), 0);
	assert_int_equal(rules.count, 1);
	unlink(path);
}

static void test_no_file(void **state)
{
	(void)state;
	assert_int_equal(load("/tmp/no/such/file"), -ENOENT);
	assert_string_equal(error, "/tmp/no/such/file: cannot read the rule file: No such file or "
				   "directory");
}

static void test_file_is_a_folder(void **state)
{
	(void)state;
	assert_int_equal(load("/tmp"), -EISDIR);
	assert_string_equal(error, "/tmp: cannot read the rule file: Is a directory");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_full_example),
		TEST(test_no_outputs_no_id),
		TEST(test_edges_accepted),
		TEST(test_words_of_an_output),
		TEST(test_sources),
		TEST(test_rules_by_source),
		TEST(test_sources_refused),
		TEST(test_many_sources),
		TEST(test_similar_is_not_same),
		TEST(test_interfaces_that_are_not_there),
		TEST(test_state_is_ignored),
		TEST(test_not_json),
		TEST(test_deep_nesting),
		TEST(test_document),
		TEST(test_rule),
		TEST(test_input),
		TEST(test_group),
		TEST(test_port_and_ttl),
		TEST(test_outputs),
		TEST(test_duplicates),
		TEST(test_id),
		TEST(test_control_characters),
		TEST(test_long_strings),
		TEST(test_long_file_name),
		TEST(test_many_rules),
		TEST(test_many_outputs),
		TEST(test_no_rules),
		TEST(test_document_refused),
		TEST(test_round_trip),
		TEST(test_round_trip_of_nothing),
		TEST(test_files),
		TEST(test_no_file),
		TEST(test_file_is_a_folder),
	};

	return cmocka_run_group_tests_name("rulefile", tests, NULL, NULL);
}
