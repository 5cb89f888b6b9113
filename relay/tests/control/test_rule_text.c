// SPDX-License-Identifier: MIT
/* rule_text: what the log says of a rule. */
#include "control/rule_text.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static struct endpoint place(uint32_t group, uint16_t port, const char *interface)
{
	struct endpoint endpoint = {.group = {htonl(group)}, .port = port};

	strcpy(endpoint.interface, interface);
	return endpoint;
}

static void test_input_and_outputs(void **state)
{
	struct rule_output outputs[] = {{.to = place(0xef020202, 6000, "eth1")},
					{.to = place(0x0a000007, 6001, "eth2")}};
	struct rule rule = {.input = place(0xef010101, 5000, "eth0"), .outputs = outputs};
	char text[RULE_TEXT_BYTES];

	(void)state;
	assert_string_equal(rule_format(&rule, text), "239.1.1.1:5000 on eth0 to nowhere");
	rule.num_outputs = 2;
	assert_string_equal(
		rule_format(&rule, text),
		"239.1.1.1:5000 on eth0 to 239.2.2.2:6000 on eth1, 10.0.0.7:6001 on eth2");
}

static void test_sources(void **state)
{
	struct prefix sources[] = {{0x0a010000, 16}, {0xc0000207, 32}};
	struct rule rule = {
		.input = place(0xef010101, 5000, "eth0"), .sources = sources, .num_sources = 2};
	char text[RULE_TEXT_BYTES];

	(void)state;
	assert_string_equal(rule_format(&rule, text),
			    "239.1.1.1:5000 on eth0 from 10.1.0.0/16, 192.0.2.7 to nowhere");
}

/* As many as there may be, each as long as can be: what is not shown is counted. */
static void test_many_are_counted(void **state)
{
	static struct rule_output outputs[RULE_OUTPUTS_MAX];
	static struct prefix sources[RULE_SOURCES_MAX];
	struct rule rule = {.input = place(0xefffffff, 65535, "fifteen-letters"),
			    .sources = sources,
			    .num_sources = RULE_SOURCES_MAX,
			    .outputs = outputs,
			    .num_outputs = RULE_OUTPUTS_MAX};
	char text[RULE_TEXT_BYTES];

	(void)state;
	for (unsigned i = 0; i < RULE_SOURCES_MAX; i++)
		sources[i] = (struct prefix){0xdffffffe, 31};
	for (unsigned i = 0; i < RULE_OUTPUTS_MAX; i++)
		outputs[i].to = place(0xefffffff, 65535, "fifteen-letters");
	rule_format(&rule, text);
	assert_non_null(strstr(text, "223.255.255.254/31 and 250 more to 239.255.255.255:65535 "));
	assert_string_equal(text + strlen(text) - strlen(" and 250 more"), " and 250 more");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_input_and_outputs),
		cmocka_unit_test(test_sources),
		cmocka_unit_test(test_many_are_counted),
	};

	return cmocka_run_group_tests_name("rule_text", tests, NULL, NULL);
}
