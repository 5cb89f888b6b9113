// SPDX-License-Identifier: MIT
/* rules: default ids; freed rules can be freed again. */
#include "contract/rules.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const char *default_id(const char *interface, const char *group, uint16_t port)
{
	static char id[RULE_ID_BYTES];
	struct rule rule = {.input = {.group.s_addr = inet_addr(group), .port = port}};

	strcpy(rule.input.interface, interface);
	rule_default_id(&rule, id);
	return id;
}

/* Dashboards and scripts keep these ids: they must never change. */
static void test_default_id_is_stable(void **state)
{
	struct rule rule = {.input = {.interface = "eth0\0garbage", .port = 5000}};
	char id[RULE_ID_BYTES];

	(void)state;
	assert_string_equal(default_id("eth0", "239.1.1.1", 5000), "96849a0d913b2dad");
	rule.input.group.s_addr = inet_addr("239.1.1.1");
	rule_default_id(&rule, id);
	assert_string_equal(id, "96849a0d913b2dad");
}

static void test_default_id_differs(void **state)
{
	char id[RULE_ID_BYTES];

	(void)state;
	strcpy(id, default_id("eth0", "239.1.1.1", 5000));
	assert_string_not_equal(id, default_id("eth1", "239.1.1.1", 5000));
	assert_string_not_equal(id, default_id("eth", "239.1.1.1", 5000));
	assert_string_not_equal(id, default_id("eth0", "239.1.1.2", 5000));
	assert_string_not_equal(id, default_id("eth0", "239.1.1.1", 5001));
	assert_string_not_equal(id, default_id("eth0", "239.1.1.1", 5000 + 256));
}

static void test_sources_make_another_id(void **state)
{
	struct prefix sources[] = {{0x0a010000, 16}, {0x0a010000, 17}};
	struct rule rule = {.input = {.interface = "eth0", .port = 5000}, .sources = sources};
	char ids[4][RULE_ID_BYTES];

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		rule.num_sources = i;
		rule_default_id(&rule, ids[i]);
	}
	rule.num_sources = 1;
	rule.sources++;
	rule_default_id(&rule, ids[3]);
	for (unsigned i = 0; i < 4; i++)
		for (unsigned j = 0; j < i; j++)
			assert_string_not_equal(ids[i], ids[j]);
}

static void test_names_sources(void **state)
{
	struct prefix sources[] = {{1, 32}, {2, 32}, {4, 31}};
	struct rule rule = {.sources = sources};

	(void)state;
	assert_false(rule_names_sources(&rule));
	rule.num_sources = 2;
	assert_true(rule_names_sources(&rule));
	rule.num_sources = 3;
	assert_false(rule_names_sources(&rule));
}

static void test_free_twice(void **state)
{
	struct rules rules = {.rule = calloc(2, sizeof(struct rule)), .count = 2};

	(void)state;
	assert_non_null(rules.rule);
	rules.rule[1].outputs = calloc(3, sizeof(struct rule_output));
	rules.rule[0].sources = calloc(3, sizeof(struct prefix));
	rules_free(&rules);
	assert_null(rules.rule);
	assert_int_equal(rules.count, 0);
	rules_free(&rules);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_default_id_is_stable),
		cmocka_unit_test(test_default_id_differs),
		cmocka_unit_test(test_sources_make_another_id),
		cmocka_unit_test(test_names_sources),
		cmocka_unit_test(test_free_twice),
	};

	return cmocka_run_group_tests_name("rules", tests, NULL, NULL);
}
