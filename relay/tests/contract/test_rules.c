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
	struct endpoint input = {.group.s_addr = inet_addr(group), .port = port};

	strcpy(input.interface, interface);
	rule_default_id(&input, id);
	return id;
}

/* Dashboards and scripts keep these ids: they must never change. */
static void test_default_id_is_stable(void **state)
{
	struct endpoint input = {.interface = "eth0\0garbage", .port = 5000};
	char id[RULE_ID_BYTES];

	(void)state;
	assert_string_equal(default_id("eth0", "239.1.1.1", 5000), "96849a0d913b2dad");
	input.group.s_addr = inet_addr("239.1.1.1");
	rule_default_id(&input, id);
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

static void test_free_twice(void **state)
{
	struct rules rules = {.rule = calloc(2, sizeof(struct rule)), .count = 2};

	(void)state;
	assert_non_null(rules.rule);
	rules.rule[1].outputs = calloc(3, sizeof(struct rule_output));
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
		cmocka_unit_test(test_free_twice),
	};

	return cmocka_run_group_tests_name("rules", tests, NULL, NULL);
}
