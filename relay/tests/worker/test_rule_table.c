// SPDX-License-Identifier: MIT
/* rule_table: empty, full and with keys that collide. */
#include "worker/rule_table.h"
#include "contract/limits.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct rule_key key(const char *group, uint16_t port, uint16_t ingress)
{
	return (struct rule_key){inet_addr(group), port, ingress};
}

static struct rule_table make_table(unsigned count)
{
	struct rule_table table;

	assert_int_equal(rule_table_init(&table, count, SOURCES_MAX), 0);
	assert_true(table.mask + 1 >= 2 * count);
	return table;
}

static void test_empty(void **state)
{
	struct rule_table table = make_table(0);

	(void)state;
	assert_int_equal(rule_table_find(&table, key("239.1.1.1", 5000, 0)), -1);
	assert_int_equal(rule_table_find(&table, (struct rule_key){0}), -1);
	rule_table_exit(&table);
}

static void test_one(void **state)
{
	struct rule_table table = make_table(1);

	(void)state;
	rule_table_insert(&table, key("239.1.1.1", 5000, 0), 0);
	assert_int_equal(rule_table_find(&table, key("239.1.1.1", 5000, 0)), 0);
	assert_int_equal(rule_table_find(&table, key("239.1.1.2", 5000, 0)), -1);
	assert_int_equal(rule_table_find(&table, key("239.1.1.1", 5001, 0)), -1);
	assert_int_equal(rule_table_find(&table, key("239.1.1.1", 5000, 1)), -1);
	rule_table_exit(&table);
}

/* A key of all zeros is a key like any other; empty entries do not match it. */
static void test_zero_key(void **state)
{
	struct rule_table table = make_table(2);

	(void)state;
	assert_int_equal(rule_table_find(&table, (struct rule_key){0}), -1);
	rule_table_insert(&table, (struct rule_key){0}, 1);
	assert_int_equal(rule_table_find(&table, (struct rule_key){0}), 1);
	rule_table_exit(&table);
}

static void test_same_group_elsewhere(void **state)
{
	struct rule_table table = make_table(3);

	(void)state;
	rule_table_insert(&table, key("239.1.1.1", 5000, 0), 0);
	rule_table_insert(&table, key("239.1.1.1", 5000, 1), 1);
	rule_table_insert(&table, key("239.1.1.1", 5001, 0), 2);
	assert_int_equal(rule_table_find(&table, key("239.1.1.1", 5000, 0)), 0);
	assert_int_equal(rule_table_find(&table, key("239.1.1.1", 5000, 1)), 1);
	assert_int_equal(rule_table_find(&table, key("239.1.1.1", 5001, 0)), 2);
	assert_int_equal(rule_table_find(&table, key("239.1.1.1", 5001, 1)), -1);
	rule_table_exit(&table);
}

/* Rule i: consecutive groups, as people assign them, over a few ports and ingresses. */
static struct rule_key nth_key(unsigned i)
{
	return (struct rule_key){htonl(0xef000000 + i / 6), (uint16_t)(5000 + i % 3),
				 (uint16_t)(i / 3 % 2)};
}

static void test_full(void **state)
{
	struct rule_table table = make_table(RULES_MAX);

	(void)state;
	for (unsigned i = 0; i < RULES_MAX; i++)
		rule_table_insert(&table, nth_key(i), (int32_t)i);
	for (unsigned i = 0; i < RULES_MAX; i++)
		assert_int_equal(rule_table_find(&table, nth_key(i)), i);
	for (unsigned i = RULES_MAX; i < 10 * RULES_MAX; i++)
		assert_int_equal(rule_table_find(&table, nth_key(i)), -1);
	rule_table_exit(&table);
}

static uint32_t home_slot(const struct rule_table *table, struct rule_key k)
{
	return (uint32_t)((rule_key_bits(k) * 0x9e3779b97f4a7c15ULL) >> 32) & table->mask;
}

/* The n-th key whose search begins in `slot`. */
static struct rule_key key_for_slot(const struct rule_table *table, uint32_t slot, unsigned n)
{
	struct rule_key k = {.port = 5000};

	for (;; k.group++)
		if (home_slot(table, k) == slot && n-- == 0)
			return k;
}

/* All keys begin in the same slot; from the last one the search goes on at the first. */
static void test_collisions(void **state)
{
	enum { COUNT = 8 };

	(void)state;
	for (uint32_t slot = 0; slot < 16; slot++) {
		struct rule_table table = make_table(COUNT);

		assert_int_equal(table.mask, 15);
		for (unsigned i = 0; i < COUNT; i++)
			rule_table_insert(&table, key_for_slot(&table, slot, i), (int32_t)i);
		for (unsigned i = 0; i < COUNT; i++)
			assert_int_equal(rule_table_find(&table, key_for_slot(&table, slot, i)), i);
		for (uint32_t other = 0; other < 16; other++)
			assert_int_equal(
				rule_table_find(&table, key_for_slot(&table, other, COUNT)), -1);
		rule_table_exit(&table);
	}
}

static void test_sources(void **state)
{
	static const struct {
		uint32_t source;
		int32_t rule;
	} finds[] = {
		{0, RULE_BY_SOURCE},
		{9, RULE_BY_SOURCE},
		{10, 1},
		{20, 1},
		{21, RULE_BY_SOURCE},
		{29, RULE_BY_SOURCE},
		{30, 0},
		{31, 1},
		{99, 1},
		{100, RULE_BY_SOURCE},
		{UINT32_MAX - 1, RULE_BY_SOURCE},
		{UINT32_MAX, 0},
	};
	const struct rule_key mine = key("239.1.1.1", 5000, 0), other = key("239.1.1.1", 5000, 1);
	struct rule_table table = make_table(4);

	(void)state;
	rule_table_insert_source(&table, mine, UINT32_MAX, UINT32_MAX, 0);
	rule_table_insert_source(&table, other, 0, UINT32_MAX, 2);
	rule_table_insert_source(&table, mine, 31, 99, 1);
	rule_table_insert_source(&table, mine, 30, 30, 0);
	rule_table_insert(&table, key("239.1.1.1", 5001, 0), 3);
	rule_table_insert_source(&table, mine, 10, 20, 1);
	rule_table_complete(&table);
	assert_int_equal(rule_table_find(&table, mine), RULE_BY_SOURCE);
	assert_int_equal(rule_table_find(&table, other), RULE_BY_SOURCE);
	assert_int_equal(rule_table_find(&table, key("239.1.1.1", 5001, 0)), 3);
	assert_int_equal(rule_table_find(&table, key("239.1.1.1", 5001, 1)), RULE_NONE);
	for (unsigned i = 0; i < sizeof(finds) / sizeof(finds[0]); i++) {
		assert_int_equal(rule_table_find_source(&table, mine, finds[i].source),
				 finds[i].rule);
		assert_int_equal(rule_table_find_source(&table, other, finds[i].source), 2);
	}
	rule_table_exit(&table);
}

/* As many ranges as there can be, shared out among keys in turn: rule i has the sources that end in
 * its number. */
static void test_many_sources(void **state)
{
	enum { KEYS = 64 };
	struct rule_table table = make_table(KEYS);

	(void)state;
	for (uint32_t i = SOURCES_MAX; i-- > 0;)
		rule_table_insert_source(&table, nth_key(i % KEYS), 2 * i, 2 * i, (int32_t)i);
	rule_table_complete(&table);
	for (uint32_t i = 0; i < SOURCES_MAX; i++) {
		const struct rule_key k = nth_key(i % KEYS);

		assert_int_equal(rule_table_find(&table, k), RULE_BY_SOURCE);
		assert_int_equal(rule_table_find_source(&table, k, 2 * i), i);
		assert_int_equal(rule_table_find_source(&table, k, 2 * i + 1), RULE_BY_SOURCE);
		assert_int_equal(rule_table_find_source(&table, nth_key((i + 1) % KEYS), 2 * i),
				 RULE_BY_SOURCE);
	}
	rule_table_exit(&table);
}

/* The first time gives the memory back, the second one has none to give; then it can be used anew.
 */
static void test_exit_twice(void **state)
{
	struct rule_table table = make_table(1);

	(void)state;
	rule_table_insert(&table, key("239.1.1.1", 5000, 0), 0);
	rule_table_exit(&table);
	assert_null(table.entries);
	assert_int_equal(table.mask, 0);
	rule_table_exit(&table);
	assert_null(table.entries);
	table = make_table(1);
	assert_int_equal(rule_table_find(&table, key("239.1.1.1", 5000, 0)), -1);
	rule_table_exit(&table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),	   cmocka_unit_test(test_one),
		cmocka_unit_test(test_zero_key),   cmocka_unit_test(test_same_group_elsewhere),
		cmocka_unit_test(test_full),	   cmocka_unit_test(test_collisions),
		cmocka_unit_test(test_sources),	   cmocka_unit_test(test_many_sources),
		cmocka_unit_test(test_exit_twice),
	};

	return cmocka_run_group_tests_name("rule_table", tests, NULL, NULL);
}
