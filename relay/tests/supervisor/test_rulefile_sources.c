// SPDX-License-Identifier: MIT
/* rulefile: rules for packets of some senders. */
#include "rulefile_fixture.h"

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

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_sources),
		TEST(test_rules_by_source),
		TEST(test_sources_refused),
		TEST(test_many_sources),
	};

	return cmocka_run_group_tests_name("rulefile_sources", tests, NULL, NULL);
}
