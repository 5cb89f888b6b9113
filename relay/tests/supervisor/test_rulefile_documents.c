// SPDX-License-Identifier: MIT
/* rulefile: documents that are no files, and rules that become one. */
#include "rulefile_fixture.h"

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

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_document_refused),
		TEST(test_round_trip),
		TEST(test_round_trip_of_nothing),
	};

	return cmocka_run_group_tests_name("rulefile_documents", tests, NULL, NULL);
}
