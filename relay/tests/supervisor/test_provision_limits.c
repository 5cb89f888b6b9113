// SPDX-License-Identifier: MIT
/* provision: as many outputs and interfaces as there can be, and others in their place. */
#include "provision_fixture.h"

/* Rules on an interface with so many outputs, which differ by their ports. */
static struct rules many_outputs(const char *in, uint16_t first_port, unsigned count)
{
	const unsigned num_rules = (count + RULE_OUTPUTS_MAX - 1) / RULE_OUTPUTS_MAX;
	struct rules rules = {calloc(num_rules, sizeof(struct rule)), num_rules};

	assert_non_null(rules.rule);
	for (unsigned i = 0; i < num_rules; i++) {
		struct rule *rule = &rules.rule[i];
		const unsigned left = count - i * RULE_OUTPUTS_MAX;

		snprintf(rule->id, sizeof(rule->id), "rule-%u", i);
		strcpy(rule->input.interface, in);
		rule->input.group.s_addr = inet_addr("239.4.5.6");
		rule->input.port = (uint16_t)(5000 + i);
		rule->num_outputs = left < RULE_OUTPUTS_MAX ? left : RULE_OUTPUTS_MAX;
		rule->outputs = calloc(rule->num_outputs, sizeof(*rule->outputs));
		assert_non_null(rule->outputs);
		for (unsigned j = 0; j < rule->num_outputs; j++)
			rule->outputs[j] =
				output("lo", (uint16_t)(first_port + i * RULE_OUTPUTS_MAX + j));
	}
	return rules;
}

/* In force, as if they had been set: without sockets. */
static void make_up(struct rules rules)
{
	const struct interfaces none = {0};
	unsigned number = 0, index = 0;

	provision.rules = rules;
	provision.rule_numbers = calloc(rules.count, sizeof(*provision.rule_numbers));
	provision.rule_status = calloc(rules.count, sizeof(*provision.rule_status));
	assert_true(provision.rule_numbers && provision.rule_status);
	for (unsigned i = 0; i < rules.count; i++) {
		provision.rule_numbers[i] = i;
		if (inputs_find(&provision.inputs, rules.rule[i].input.interface) < 0)
			strcpy(provision.inputs.input[number++].netif.name,
			       rules.rule[i].input.interface);
		for (unsigned j = 0; j < rules.rule[i].num_outputs; j++) {
			provision.outputs.output[index].key = rules.rule[i].outputs[j];
			provision.outputs.output[index++].used = true;
		}
	}
	assert_int_equal(interfaces_look(&provision.interfaces, &rules, &none), 0);
	assert_int_equal(served_build(&provision.served, &rules, provision.rule_numbers,
				      &provision.interfaces, provision.stopped,
				      provision.rule_status),
			 0);
}

static void test_too_many_outputs(void **state)
{
	struct rules next = many_outputs("nope0", 1000, OUTPUTS_MAX + 1);

	(void)state;
	make_up(many_outputs("nope0", 1000, OUTPUTS_MAX));
	assert_int_equal(provision_set_rules(&provision, &next, error), -ENOSPC);
	assert_string_equal(error, "rules have more than 4096 different outputs");
	rules_free(&next);
}

/* As many as there can be are replaced by others: the old ones are there until the new ones are. */
static void test_all_outputs_replaced(void **state)
{
	struct rules next;

	(void)state;
	need_root();
	need_address();
	make_up(many_outputs("lo", 1000, OUTPUTS_MAX));
	provision.inputs.input[0].netif.name[0] = '\0'; /* to be opened */
	next = many_outputs("lo", 20000, 100);
	assert_int_equal(provision_set_rules(&provision, &next, error), 0);
	for (unsigned i = 0; i < OUTPUT_NUMBERS; i++)
		assert_int_equal(provision.outputs.output[i].used,
				 i >= OUTPUTS_MAX && i < OUTPUTS_MAX + 100);
	assert_int_equal(outputs_find(&provision.outputs, &provision.rules.rule[0].outputs[0]),
			 OUTPUTS_MAX);
}

/* Rules on so many interfaces. */
static struct rules many_inputs(unsigned count)
{
	struct rules rules = {calloc(count, sizeof(struct rule)), count};

	assert_non_null(rules.rule);
	for (unsigned i = 0; i < count; i++) {
		rules.rule[i].input = (struct endpoint){.port = 5000};
		snprintf(rules.rule[i].id, RULE_ID_BYTES, "rule-%u", i);
		snprintf(rules.rule[i].input.interface, IFNAMSIZ, "nope%u", i);
		rules.rule[i].input.group.s_addr = inet_addr("239.4.5.6");
	}
	return rules;
}

static void test_too_many_inputs(void **state)
{
	struct rules next = many_inputs(INPUTS_MAX + 1);

	(void)state;
	make_up(many_inputs(INPUTS_MAX));
	assert_int_equal(provision_set_rules(&provision, &next, error), -ENOSPC);
	assert_string_equal(error, "rules receive on more than 64 interfaces");
	rules_free(&next);
}

static void test_all_inputs_replaced(void **state)
{
	(void)state;
	need_root();
	make_up(many_inputs(INPUTS_MAX));
	assert_set(one_rule("one", "lo", "", 0));
	assert_int_equal(inputs_find(&provision.inputs, "lo"), INPUTS_MAX);
	for (unsigned i = 0; i < INPUTS_MAX; i++)
		assert_string_equal(provision.inputs.input[i].netif.name, "");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_too_many_outputs),
		TEST(test_all_outputs_replaced),
		TEST(test_too_many_inputs),
		TEST(test_all_inputs_replaced),
	};

	return cmocka_run_group_tests_name("provision_limits", tests, enter, NULL);
}
