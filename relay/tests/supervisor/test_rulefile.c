// SPDX-License-Identifier: MIT
/* rulefile: which rules are accepted, and why others are not. */
#include "rulefile_fixture.h"

#include <arpa/inet.h>

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

/* ------------------------------------------------------------------------- many */

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

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_full_example),
		TEST(test_no_outputs_no_id),
		TEST(test_edges_accepted),
		TEST(test_words_of_an_output),
		TEST(test_similar_is_not_same),
		TEST(test_interfaces_that_are_not_there),
		TEST(test_state_is_ignored),
		TEST(test_document),
		TEST(test_rule),
		TEST(test_input),
		TEST(test_group),
		TEST(test_port_and_ttl),
		TEST(test_outputs),
		TEST(test_duplicates),
		TEST(test_id),
		TEST(test_many_rules),
		TEST(test_many_outputs),
		TEST(test_no_rules),
	};

	return cmocka_run_group_tests_name("rulefile", tests, NULL, NULL);
}
