// SPDX-License-Identifier: MIT
/* plan: what the supervisor builds of rules, and what a worker makes of that. */
#include "contract/plan.h"
#include "contract/shared.h"
#include "worker/forward.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static struct output outputs[OUTPUTS_MAX];
static struct rule_counters counters[RULES_MAX];
static uint32_t born[RULE_NUMBERS]; /* rule i when i + 1 generations had been */

/* Interfaces are called by their number, and so are the ports of outputs. */
static int input_number(const void *context, const char *interface)
{
	assert_ptr_equal(context, outputs);
	return atoi(interface);
}

static int output_number(const void *context, const struct rule_output *key)
{
	assert_ptr_equal(context, outputs);
	return key->to.port;
}

static const struct plan_numbers numbers = {input_number, output_number, outputs};

/* `count` rules with `num_outputs` each: inputs in turn, a group of its own each. */
static struct rules make_rules(unsigned count, unsigned num_outputs)
{
	struct rules rules = {calloc(count + 1, sizeof(struct rule)), count};

	assert_non_null(rules.rule);
	for (unsigned i = 0; i < count; i++) {
		struct rule *rule = &rules.rule[i];

		snprintf(rule->input.interface, IFNAMSIZ, "%u", i % INPUTS_MAX);
		rule->input.group.s_addr = htonl(0xef000000 + i);
		rule->input.port = (uint16_t)(65535 - i);
		rule->num_outputs = num_outputs;
		rule->outputs = calloc(num_outputs + 1, sizeof(*rule->outputs));
		assert_non_null(rule->outputs);
		for (unsigned j = 0; j < num_outputs; j++)
			rule->outputs[j].to.port = (uint16_t)((i * 7 + j) % OUTPUTS_MAX);
	}
	return rules;
}

/* Rule i counts in the last slot but i. */
static uint32_t *make_slots(unsigned count)
{
	uint32_t *slots = calloc(count + 1, sizeof(*slots));

	assert_non_null(slots);
	for (unsigned i = 0; i < count; i++) {
		slots[i] = RULES_MAX - 1 - i;
		born[slots[i]] = i + 1;
	}
	return slots;
}

/* Other workers have the same one. */
static void assert_unchangeable(int fd)
{
	assert_int_equal(pwrite(fd, "x", 1, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_ptr_equal(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
}

/* Builds the plan of such rules, and a worker's tables from it: each packet finds its rule, and no
 * other; each rule its outputs and its counters. */
static void check(unsigned count, unsigned num_outputs)
{
	struct rules rules = make_rules(count, num_outputs);
	uint32_t *slots = make_slots(count), bytes = 0;
	int fd = plan_build(&rules, slots, born, &numbers, &bytes);
	struct forwarder forwarder = {0};
	const struct plan *plan;
	struct stat status;

	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fstat(fd, &status), 0);
	assert_int_equal(status.st_size, bytes);
	assert_int_equal(bytes, plan_bytes(count, count * num_outputs, 0));
	assert_unchangeable(fd);
	plan = plan_map(fd, bytes);
	assert_non_null(plan);
	close(fd);
	assert_int_equal(plan->num_rules, count);
	assert_int_equal(plan->num_outputs, count * num_outputs);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(plan->rules[i].born, i + 1);
	assert_int_equal(forwarder_init(&forwarder, plan, outputs, counters), 0);
	plan_unmap(plan, bytes);
	for (unsigned i = 0; i < count; i++) {
		const struct rule *rule = &rules.rule[i];
		const struct route *route = &forwarder.routes[i];
		struct rule_key key = {rule->input.group.s_addr, rule->input.port,
				       (uint16_t)(i % INPUTS_MAX)};

		assert_int_equal(rule_table_find(&forwarder.table, key), i);
		key.input = (uint16_t)((i + 1) % INPUTS_MAX);
		assert_int_equal(rule_table_find(&forwarder.table, key), -1);
		assert_ptr_equal(route->counters, &counters[slots[i]]);
		assert_int_equal(route->num_outputs, num_outputs);
		for (unsigned j = 0; j < num_outputs; j++)
			if (route->outputs[j] != &outputs[rule->outputs[j].to.port])
				fail_msg("output %u of rule %u", j, i);
	}
	assert_int_equal(rule_table_find(&forwarder.table, (struct rule_key){1, 1, 0}), -1);
	forwarder_exit(&forwarder);
	rules_free(&rules);
	free(slots);
}

static void test_sizes(void **state)
{
	(void)state;
	check(0, 0);
	check(1, 0);
	check(1, 1);
	check(3, 2);
	check(INPUTS_MAX + 1, 3);
}

static void test_greatest(void **state)
{
	(void)state;
	check(RULES_MAX, 0);
	check(1, RULE_OUTPUTS_MAX);
	check(RULES_MAX, 50);
	check(RULES_MAX, RULE_OUTPUTS_MAX);
}

/* Rules without outputs between others with some. */
static void test_receive_only(void **state)
{
	struct rules rules = make_rules(4, 2);
	uint32_t *slots = make_slots(4), bytes;
	struct forwarder forwarder = {0};
	const struct plan *plan;
	int fd;

	(void)state;
	rules.rule[0].num_outputs = rules.rule[2].num_outputs = 0;
	fd = plan_build(&rules, slots, born, &numbers, &bytes);
	assert_true(fd >= 0);
	plan = plan_map(fd, bytes);
	assert_non_null(plan);
	close(fd);
	outputs[8].marks = MARKS_DSCP;
	assert_int_equal(forwarder_init(&forwarder, plan, outputs, counters), 0);
	outputs[8].marks = 0;
	plan_unmap(plan, bytes);
	assert_int_equal(forwarder.routes[0].num_outputs, 0);
	assert_int_equal(forwarder.routes[2].num_outputs, 0);
	assert_ptr_equal(forwarder.routes[1].outputs[0], &outputs[7]);
	assert_ptr_equal(forwarder.routes[1].outputs[1], &outputs[8]);
	assert_ptr_equal(forwarder.routes[3].outputs[0], &outputs[21]);
	for (unsigned i = 0; i < 4; i++) /* an output of the second one takes over the DSCP */
		assert_int_equal(forwarder.routes[i].marks, i == 1);
	forwarder_exit(&forwarder);
	rules_free(&rules);
	free(slots);
}

/* As the supervisor lays a plan out, and as a worker finds the outputs in it. */
static void test_layout(void **state)
{
	uint32_t memory[64] = {0};
	struct plan *plan = (struct plan *)memory;

	(void)state;
	assert_int_equal(plan_bytes(0, 0, 0), sizeof(struct plan));
	assert_int_equal(plan_bytes(2, 3, 4),
			 sizeof(struct plan) + 2 * sizeof(struct plan_rule) + 3 * 4 + 4 * 8);
	plan->num_rules = 2;
	plan->num_outputs = 3;
	assert_ptr_equal(plan_outputs(plan) + 3, (char *)memory + plan_bytes(2, 3, 0));
	assert_ptr_equal(plan_sources(plan) + 4, (char *)memory + plan_bytes(2, 3, 4));
}

/* Rules that share an input, each for sources of its own, between others for any. */
static void test_sources(void **state)
{
	static struct prefix first[] = {{0x0a010000, 16}, {0xc0000207, 32}},
			     third[] = {{0x0a020000, 16}};
	struct rules rules = make_rules(4, 1);
	uint32_t *slots = make_slots(4), bytes;
	struct forwarder forwarder = {0};
	const struct plan *plan;
	struct rule_key key;
	int fd;

	(void)state;
	rules.rule[0].sources = first;
	rules.rule[0].num_sources = 2;
	rules.rule[2].input = rules.rule[0].input;
	rules.rule[2].sources = third;
	rules.rule[2].num_sources = 1;
	fd = plan_build(&rules, slots, born, &numbers, &bytes);
	assert_true(fd >= 0);
	plan = plan_map(fd, bytes);
	assert_non_null(plan);
	close(fd);
	assert_int_equal(plan->num_sources, 3);
	assert_int_equal(forwarder_init(&forwarder, plan, outputs, counters), 0);
	plan_unmap(plan, bytes);
	key = (struct rule_key){rules.rule[0].input.group.s_addr, rules.rule[0].input.port, 0};
	assert_int_equal(rule_table_find(&forwarder.table, key), RULE_BY_SOURCE);
	assert_int_equal(rule_table_find_source(&forwarder.table, key, 0x0a010000), 0);
	assert_int_equal(rule_table_find_source(&forwarder.table, key, 0x0a01ffff), 0);
	assert_int_equal(rule_table_find_source(&forwarder.table, key, 0x0a02ffff), 2);
	assert_int_equal(rule_table_find_source(&forwarder.table, key, 0xc0000207), 0);
	assert_int_equal(rule_table_find_source(&forwarder.table, key, 0xc0000208), RULE_BY_SOURCE);
	key.group = rules.rule[1].input.group.s_addr;
	key.port = rules.rule[1].input.port;
	key.input = 1;
	assert_int_equal(rule_table_find(&forwarder.table, key), 1);
	forwarder_exit(&forwarder);
	rules.rule[0].sources = rules.rule[2].sources = NULL;
	rules_free(&rules);
	free(slots);
}

/* ------------------------------------------------------------------------- what can go wrong */

/* plan_build with a limit lowered to `value`. */
static int build_limited(int resource, rlim_t value, unsigned count)
{
	struct rules rules = make_rules(count, 1);
	uint32_t *slots = make_slots(count), bytes;
	struct rlimit before, limit;
	int fd;

	assert_int_equal(getrlimit((__rlimit_resource_t)resource, &before), 0);
	limit = (struct rlimit){value, before.rlim_max};
	assert_int_equal(setrlimit((__rlimit_resource_t)resource, &limit), 0);
	errno = 0;
	fd = plan_build(&rules, slots, born, &numbers, &bytes);
	setrlimit((__rlimit_resource_t)resource, &before);
	rules_free(&rules);
	free(slots);
	return fd;
}

static void test_no_descriptors_left(void **state)
{
	(void)state;
	assert_int_equal(build_limited(RLIMIT_NOFILE, 0, 1), -EMFILE);
}

static int lowest_free(void)
{
	int fd = dup(STDERR_FILENO);

	close(fd);
	return fd;
}

/* Half a plan would be read beyond its end, and the worker killed. */
static void test_no_room(void **state)
{
	int lowest = lowest_free();

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(build_limited(RLIMIT_FSIZE, 0, 100), -EFBIG);
	assert_int_equal(build_limited(RLIMIT_FSIZE, 100, 100), -ENOSPC);
	assert_int_equal(lowest_free(), lowest);
	signal(SIGXFSZ, SIG_DFL);
}

static void test_map_of_nothing(void **state)
{
	(void)state;
	errno = 0;
	assert_null(plan_map(-1, 8));
	assert_int_equal(errno, EBADF);
}

/* Two rules of a plan that is good, in memory; each test spoils one number of it. */
static struct plan *good_plan(uint32_t *bytes)
{
	struct plan *plan;
	uint32_t *list;

	*bytes = plan_bytes(2, 3, 2);
	plan = calloc(1, *bytes);
	assert_non_null(plan);
	plan->num_rules = 2;
	plan->num_outputs = 3;
	plan->num_sources = 2;
	plan->rules[0] = (struct plan_rule){
		.port = 1, .input = INPUT_NUMBERS - 1, .num_outputs = 1, .num_sources = 2};
	plan->rules[1] = (struct plan_rule){.port = 2,
					    .number = RULE_NUMBERS - 1,
					    .first_output = 1,
					    .num_outputs = 2,
					    .first_source = 2};
	list = (uint32_t *)plan_outputs(plan);
	list[0] = OUTPUT_NUMBERS - 1;
	*(struct plan_source *)plan_sources(plan) = (struct plan_source){1, 1};
	assert_int_equal(plan_check(plan, *bytes), 0);
	return plan;
}

static void test_wrong_numbers(void **state)
{
	uint32_t bytes;
	struct plan *plan = good_plan(&bytes);
	uint32_t *list = (uint32_t *)plan_outputs(plan);
	struct plan_source *sources = (struct plan_source *)plan_sources(plan);
	const struct {
		uint32_t *number, wrong;
	} spoilt[] = {
		{&plan->num_rules, 1},
		{&plan->num_rules, 3},
		{&plan->num_rules, RULES_MAX + 1},
		{&plan->num_rules, UINT32_MAX},
		{&plan->num_outputs, 2},
		{&plan->num_outputs, UINT32_MAX},
		{&plan->rules[0].number, RULE_NUMBERS},
		{&plan->rules[1].number, UINT32_MAX},
		{&plan->rules[0].first_output, 3},
		{&plan->rules[1].first_output, 2},
		{&plan->rules[1].first_output, UINT32_MAX},
		{&plan->rules[0].num_outputs, 4},
		{&plan->rules[0].num_outputs, UINT32_MAX},
		{&list[0], OUTPUT_NUMBERS},
		{&list[2], UINT32_MAX},
		{&plan->num_sources, 1},
		{&plan->num_sources, UINT32_MAX},
		{&plan->rules[0].num_sources, 1},
		{&plan->rules[0].num_sources, UINT32_MAX},
		{&plan->rules[1].num_sources, 1},
		{&plan->rules[1].first_source, 1},
		{&plan->rules[1].first_source, UINT32_MAX},
		{&sources[0].first, 2}, /* its last is 1 */
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(spoilt) / sizeof(spoilt[0]); i++) {
		const uint32_t before = *spoilt[i].number;

		*spoilt[i].number = spoilt[i].wrong;
		if (plan_check(plan, bytes) != -EPROTO)
			fail_msg("number %u: %u is taken", i, spoilt[i].wrong);
		*spoilt[i].number = before;
		assert_int_equal(plan_check(plan, bytes), 0);
	}
	plan->rules[0].input = INPUT_NUMBERS;
	assert_int_equal(plan_check(plan, bytes), -EPROTO);
	free(plan);
}

static void test_wrong_length(void **state)
{
	uint32_t bytes;
	struct plan *plan = good_plan(&bytes);

	(void)state;
	for (uint32_t length = 0; length < bytes; length++)
		assert_int_equal(plan_check(plan, length), -EPROTO);
	assert_int_equal(plan_check(plan, bytes + 1), -EPROTO);
	free(plan);
}

/* One rule with so many. */
static int check_one(uint32_t num_outputs, uint32_t num_sources)
{
	const uint32_t bytes = plan_bytes(1, num_outputs, num_sources);
	struct plan *plan = calloc(1, bytes);
	int rc;

	assert_non_null(plan);
	plan->num_rules = 1;
	plan->num_outputs = plan->rules[0].num_outputs = num_outputs;
	plan->num_sources = plan->rules[0].num_sources = num_sources;
	rc = plan_check(plan, bytes);
	free(plan);
	return rc;
}

static void test_too_many(void **state)
{
	(void)state;
	assert_int_equal(check_one(RULE_OUTPUTS_MAX, RULE_SOURCES_MAX), 0);
	assert_int_equal(check_one(RULE_OUTPUTS_MAX + 1, 0), -EPROTO);
	assert_int_equal(check_one(0, RULE_SOURCES_MAX + 1), -EPROTO);
}

/* A worker maps none of those. */
static void test_map_checks(void **state)
{
	uint32_t bytes;
	struct plan *plan = good_plan(&bytes);
	int fd = memfd_create("plan", MFD_CLOEXEC);
	const struct plan *mapped;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, plan, bytes, 0), bytes);
	mapped = plan_map(fd, bytes);
	assert_non_null(mapped);
	plan_unmap(mapped, bytes);
	plan->rules[0].number = RULE_NUMBERS;
	assert_int_equal(pwrite(fd, plan, bytes, 0), bytes);
	assert_null(plan_map(fd, bytes));
	assert_int_equal(errno, EPROTO);
	close(fd);
	free(plan);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),	      cmocka_unit_test(test_greatest),
		cmocka_unit_test(test_receive_only),  cmocka_unit_test(test_layout),
		cmocka_unit_test(test_sources),	      cmocka_unit_test(test_no_descriptors_left),
		cmocka_unit_test(test_no_room),	      cmocka_unit_test(test_map_of_nothing),
		cmocka_unit_test(test_wrong_numbers), cmocka_unit_test(test_wrong_length),
		cmocka_unit_test(test_too_many),      cmocka_unit_test(test_map_checks),
	};

	return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
