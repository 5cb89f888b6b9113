// SPDX-License-Identifier: MIT
/* numbers: a rule that stays keeps its number, a new one gets one that is free, marked to be
 * cleared.
 */
#include "supervisor/rule_numbers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct rule present_list[RULES_MAX], next_list[RULES_MAX];
static struct rules present = {present_list, 0}, next = {next_list, 0};
static uint32_t present_numbers[RULES_MAX];
static bool fresh[RULE_NUMBERS];

static int setup(void **state)
{
	(void)state;
	present.count = next.count = 0;
	memset(fresh, 0, sizeof(fresh));
	return 0;
}

/* Rules with the ids from `first` on. */
static void fill(struct rules *rules, unsigned first, unsigned count)
{
	rules->count = count;
	for (unsigned i = 0; i < count; i++)
		snprintf(rules->rule[i].id, sizeof(rules->rule[i].id), "rule-%u", first + i);
}

/* Puts `next` in force; its numbers are different ones. Returns how many are fresh. */
static unsigned assign(void)
{
	bool seen[RULE_NUMBERS] = {false};
	unsigned count = 0;
	uint32_t *numbers;

	memset(fresh, 0, sizeof(fresh));
	numbers = rule_numbers_assign(&present, present_numbers, &next, fresh);
	assert_non_null(numbers);
	for (unsigned i = 0; i < next.count; i++) {
		assert_in_range(numbers[i], 0, RULE_NUMBERS - 1);
		assert_false(seen[numbers[i]]);
		seen[numbers[i]] = true;
	}
	for (unsigned i = 0; i < RULE_NUMBERS; i++) {
		count += fresh[i];
		assert_true(!fresh[i] || seen[i]);
	}
	memcpy(present_numbers, numbers, next.count * sizeof(*numbers));
	memcpy(present_list, next_list, sizeof(next_list));
	present.count = next.count;
	free(numbers);
	return count;
}

static void test_none(void **state)
{
	uint32_t *numbers =
		rule_numbers_assign(&(struct rules){0}, NULL, &(struct rules){0}, fresh);

	(void)state;
	assert_non_null(numbers);
	free(numbers);
	for (unsigned i = 0; i < RULE_NUMBERS; i++)
		assert_false(fresh[i]);
}

static void test_first(void **state)
{
	(void)state;
	fill(&next, 0, 3);
	assert_int_equal(assign(), 3);
	assert_true(fresh[0] && fresh[1] && fresh[2]);
}

/* Also in another order, with others before and between them. */
static void test_kept(void **state)
{
	uint32_t before[4];

	(void)state;
	fill(&next, 0, 4);
	assign();
	memcpy(before, present_numbers, sizeof(before));
	strcpy(next_list[0].id, "new-1");
	strcpy(next_list[1].id, "rule-3");
	strcpy(next_list[2].id, "new-2");
	strcpy(next_list[3].id, "rule-1");
	assert_int_equal(assign(), 2);
	assert_int_equal(present_numbers[1], before[3]);
	assert_int_equal(present_numbers[3], before[1]);
	/* a worker counts for those that go until it has the next plan */
	for (unsigned i = 0; i < 4; i++) {
		assert_int_not_equal(present_numbers[0], before[i]);
		assert_int_not_equal(present_numbers[2], before[i]);
	}
}

static void test_reused(void **state)
{
	(void)state;
	fill(&next, 0, 3);
	assign();
	next.count = 2; /* without rule-2 */
	assert_int_equal(assign(), 0);
	fill(&next, 0, 2);
	next.count = 3;
	strcpy(next_list[2].id, "new");
	assert_int_equal(assign(), 1);
	assert_int_equal(present_numbers[2], 2);
	assert_true(fresh[2]);
}

static void test_all(void **state)
{
	(void)state;
	fill(&next, 0, RULES_MAX);
	assert_int_equal(assign(), RULES_MAX);
	assert_int_equal(assign(), 0);
	fill(&next, RULES_MAX / 2, RULES_MAX / 2);
	assert_int_equal(assign(), 0);
	fill(&next, RULES_MAX / 2, RULES_MAX);
	assert_int_equal(assign(), RULES_MAX / 2);
}

/* As many rules as there can be, and all of them others: no number serves in both sets. */
static void test_all_replaced(void **state)
{
	bool before[RULE_NUMBERS] = {false};

	(void)state;
	fill(&next, 0, RULES_MAX);
	assign();
	for (unsigned i = 0; i < RULES_MAX; i++)
		before[present_numbers[i]] = true;
	strcpy(next_list[7].id, "new");
	assert_int_equal(assign(), 1);
	assert_false(before[present_numbers[7]]);
	memset(before, 0, sizeof(before));
	for (unsigned i = 0; i < RULES_MAX; i++)
		before[present_numbers[i]] = true;
	fill(&next, 2 * RULES_MAX, RULES_MAX);
	assert_int_equal(assign(), RULES_MAX);
	for (unsigned i = 0; i < RULES_MAX; i++)
		assert_false(before[present_numbers[i]]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, setup)
	const struct CMUnitTest tests[] = {
		TEST(test_none),   TEST(test_first), TEST(test_kept),
		TEST(test_reused), TEST(test_all),   TEST(test_all_replaced),
	};

	return cmocka_run_group_tests_name("rule_numbers", tests, NULL, NULL);
}
