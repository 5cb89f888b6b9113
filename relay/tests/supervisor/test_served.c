// SPDX-License-Identifier: MIT
/*
 * served: rules as they are written become rules as they are served, and it shows how they fare.
 * The host is made up: in0, out0 and out1, and what a test makes of them.
 */
#include "supervisor/rule_status.h"
#include "supervisor/served.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { MAX = 8 };

static struct interface interface[MAX];
static struct interface_name name[MAX];
static struct interfaces interfaces;
static struct rule rule[MAX];
static struct rule_output output[MAX][MAX];
static struct rules rules;
static const uint32_t numbers[MAX] = {70, 71, 72, 73, 74, 75, 76, 77};
static char *stopped[RULE_NUMBERS];
static struct rule_status status[MAX];
static struct served served;

static struct netif *host_has(const char *own_name, int index)
{
	struct netif *netif = &interface[interfaces.count].netif;

	*netif = (struct netif){
		.index = index, .up = true, .address.s_addr = htonl(INADDR_LOOPBACK)};
	strcpy(netif->name, own_name);
	name[interfaces.num_names].index = interfaces.count++;
	strcpy(name[interfaces.num_names++].name, own_name);
	return netif;
}

/* Another name, which rules use as well. */
static void also_called(const char *other, unsigned index)
{
	name[interfaces.num_names].index = index;
	strcpy(name[interfaces.num_names++].name, other);
}

static int setup(void **state)
{
	(void)state;
	interfaces = (struct interfaces){.interface = interface, .name = name};
	rules = (struct rules){.rule = rule};
	memset(stopped, 0, sizeof(stopped));
	memset(output, 0, sizeof(output));
	host_has("in0", 1);
	host_has("out0", 2);
	host_has("out1", 3);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	served_exit(&served);
	return 0;
}

static struct endpoint endpoint(const char *on, const char *group, uint16_t port)
{
	struct endpoint endpoint = {.port = port, .group.s_addr = inet_addr(group)};

	strcpy(endpoint.interface, on);
	return endpoint;
}

static void add_rule(const char *id, const char *on, const char *group)
{
	rule[rules.count] =
		(struct rule){.input = endpoint(on, group, 5000), .outputs = output[rules.count]};
	strcpy(rule[rules.count++].id, id);
}

static void add_output(const char *on, const char *group)
{
	struct rule *last = &rule[rules.count - 1];

	last->outputs[last->num_outputs++] =
		(struct rule_output){.to = endpoint(on, group, 5000), .ttl = 1};
}

static void build(void)
{
	served_exit(&served);
	assert_int_equal(served_build(&served, &rules, numbers, &interfaces, stopped, status), 0);
}

static void assert_judged(unsigned index, enum rule_state state, const char *reason)
{
	rule_status_judge(&status[index], &rule[index], &interfaces, NULL, NULL);
	assert_string_equal(status[index].reason, reason);
	assert_int_equal(status[index].state, state);
}

static void assert_stopped(unsigned index, const char *reason)
{
	assert_string_equal(status[index].reason, reason);
	assert_int_equal(status[index].state, RULE_STOPPED);
}

/* ------------------------------------------------------------------------- served */

static void test_as_written(void **state)
{
	(void)state;
	add_rule("one", "in0", "239.1.1.1");
	add_output("out0", "239.2.2.2");
	add_output("out1", "239.2.2.2");
	add_rule("two", "in0", "239.1.1.2");
	build();
	assert_int_equal(served.rules.count, 2);
	assert_int_equal(served.numbers[0], 70);
	assert_int_equal(served.numbers[1], 71);
	assert_int_equal(served.rules.rule[0].num_outputs, 2);
	assert_string_equal(served.rules.rule[0].outputs[1].to.interface, "out1");
	assert_int_equal(served.rules.rule[1].num_outputs, 0);
	assert_int_equal(status[0].state, RULE_RUNNING);
}

/* Two rules by two names: one interface, so that it is received on once. */
static void test_other_names(void **state)
{
	(void)state;
	also_called("lan", 0);
	also_called("wan", 1);
	add_rule("one", "in0", "239.1.1.1");
	add_output("wan", "239.2.2.2");
	add_rule("two", "lan", "239.1.1.2");
	add_output("out0", "239.2.2.2");
	build();
	assert_int_equal(served.rules.count, 2);
	assert_string_equal(served.rules.rule[1].input.interface, "in0");
	assert_string_equal(served.rules.rule[0].outputs[0].to.interface, "out0");
	/* what was written stays as it was written */
	assert_string_equal(rule[1].input.interface, "lan");
	assert_string_equal(rule[0].outputs[0].to.interface, "wan");
}

static void test_output_twice(void **state)
{
	(void)state;
	also_called("wan", 1);
	add_rule("one", "in0", "239.1.1.1");
	add_output("wan", "239.2.2.2");
	add_output("out0", "239.2.2.2");
	add_output("out0", "239.2.2.3");
	build();
	assert_int_equal(served.rules.rule[0].num_outputs, 2);
	assert_int_equal(served.rules.rule[0].outputs[1].to.group.s_addr, inet_addr("239.2.2.3"));
	assert_int_equal(rule[0].num_outputs, 3);
	assert_int_equal(status[0].state, RULE_RUNNING);
}

static void test_input_twice(void **state)
{
	(void)state;
	also_called("lan", 0);
	add_rule("one", "in0", "239.1.1.1");
	add_rule("two", "lan", "239.1.1.1");
	add_rule("three", "lan", "239.1.1.2");
	build();
	assert_int_equal(served.rules.count, 2);
	assert_int_equal(served.numbers[1], 72);
	assert_stopped(1, "rule one receives the same on the same interface, in0");
	assert_int_equal(status[0].state, RULE_RUNNING);
	assert_int_equal(status[2].state, RULE_RUNNING);
}

static void test_loop(void **state)
{
	(void)state;
	also_called("lan", 0);
	add_rule("one", "in0", "239.1.1.1");
	add_output("out0", "239.2.2.2");
	add_output("lan", "239.1.1.1");
	build();
	assert_int_equal(served.rules.count, 0);
	assert_stopped(0, "it sends on in0 what it receives there, which would loop");
}

static void test_stopped_by_number(void **state)
{
	(void)state;
	stopped[71] = (char[]){"it loops"};
	add_rule("one", "in0", "239.1.1.1");
	add_rule("two", "in0", "239.1.1.2");
	build();
	assert_int_equal(served.rules.count, 1);
	assert_int_equal(served.numbers[0], 70);
	assert_stopped(1, "it loops");
}

static void test_same(void **state)
{
	struct served before;

	(void)state;
	add_rule("one", "in0", "239.1.1.1");
	add_output("out0", "239.2.2.2");
	build();
	before = served;
	served = (struct served){0};
	build();
	assert_true(served_same(&served, &before));
	strcpy(interface[1].netif.name, "renamed");
	build();
	assert_false(served_same(&served, &before));
	strcpy(interface[1].netif.name, "out0");
	stopped[70] = (char[]){"it loops"};
	build();
	assert_false(served_same(&served, &before));
	served_exit(&before);
}

/* ------------------------------------------------------------------------- how they fare */

static void test_states_of_interfaces(void **state)
{
	struct netif *in = &interface[0].netif, *out = &interface[1].netif;

	(void)state;
	add_rule("one", "in0", "239.1.1.1");
	add_output("out0", "239.2.2.2");
	assert_judged(0, RULE_RUNNING, "");
	out->address.s_addr = INADDR_ANY;
	assert_judged(0, RULE_WAITING, "interface out0 has no IPv4 address");
	out->up = false;
	assert_judged(0, RULE_WAITING, "interface out0 is down");
	out->no_carrier = true;
	assert_judged(0, RULE_WAITING, "interface out0 has no carrier");
	out->index = 0;
	assert_judged(0, RULE_WAITING, "interface out0 is absent");
	in->address.s_addr = INADDR_ANY; /* an input needs none */
	assert_judged(0, RULE_WAITING, "interface out0 is absent");
	in->up = false;
	assert_judged(0, RULE_WAITING, "interface in0 is down");
}

static void test_some_outputs(void **state)
{
	(void)state;
	add_rule("one", "in0", "239.1.1.1");
	add_output("out0", "239.2.2.2");
	add_output("out1", "239.2.2.2");
	add_output("out1", "239.2.2.3");
	interface[2].netif.index = 0;
	assert_judged(0, RULE_WAITING, "interface out1 is absent (1 of 3 outputs can be served)");
	interface[1].netif.up = false;
	assert_judged(0, RULE_WAITING, "interface out0 is down (0 of 3 outputs can be served)");
}

/* By the name that the rule has. */
static void test_reason_has_the_written_name(void **state)
{
	(void)state;
	also_called("wan", 1);
	add_rule("one", "in0", "239.1.1.1");
	add_output("wan", "239.2.2.2");
	interface[1].netif.up = false;
	assert_judged(0, RULE_WAITING, "interface wan is down");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_as_written),	 TEST(test_other_names),
		TEST(test_output_twice), TEST(test_input_twice),
		TEST(test_loop),	 TEST(test_stopped_by_number),
		TEST(test_same),	 TEST(test_states_of_interfaces),
		TEST(test_some_outputs), TEST(test_reason_has_the_written_name),
	};

	return cmocka_run_group_tests_name("served", tests, NULL, NULL);
}
