// SPDX-License-Identifier: MIT
/* loop_breaker: a rule in a loop is stopped, tried ever less often, and runs again when it stands
 * its trial. Rules without inputs and outputs, by the numbers of a made-up provision. */
#include "supervisor/loop_breaker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../made_up.h"

static struct loop_breaker breaker;
static unsigned number;

static int stop_rule(struct provision *provision, uint32_t which, const char *reason)
{
	free(provision->stopped[which]);
	provision->stopped[which] = reason ? strdup(reason) : NULL;
	return 0;
}

static int setup(void **state)
{
	(void)state;
	make_up(1);
	memset(&breaker, 0, sizeof(breaker));
	breaker.stop_rule = stop_rule;
	number = make_up_rule("video", endpoint("in0", "239.1.1.1", 5000));
	make_up_rule("back", endpoint("in1", "239.1.1.1", 5000));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(relay.provision.stopped[number]);
	forget();
	return 0;
}

static const char *stopped(void)
{
	return relay.provision.stopped[number];
}

static void find(unsigned rule_number)
{
	struct message *found = &relay.workers.worker[0].found;

	*found = (struct message){.type = MESSAGE_LOOP, .index = rule_number};
	found->loop.source = 0x0a000001;
	found->loop.source_port = 4711;
	found->loop.num_rules = 1;
	found->loop.rules[0] = relay.provision.rule_numbers[1];
}

static int64_t due(int64_t now)
{
	return loop_breaker_due(&breaker, &relay.provision, now);
}

static void test_stopped_and_named(void **state)
{
	(void)state;
	assert_int_equal(due(1000), -1);
	find(number);
	assert_int_equal(due(1000), 4000);
	assert_string_equal(stopped(), "its packets come back to it, from 10.0.0.1:4711, by way of "
				       "rule back");
	find(number); /* another worker, the same loop */
	assert_int_equal(due(2000), 3000);
}

static void test_trial(void **state)
{
	int64_t now = 1000;
	const int64_t pauses[] = {4000, 4000, 4000, 4000, 8000, 16000, 30000, 30000};

	(void)state;
	for (unsigned i = 0; i < sizeof(pauses) / sizeof(pauses[0]); i++) {
		find(number);
		assert_int_equal(due(now), pauses[i]);
		now += pauses[i];
		assert_int_equal(due(now - 1), 1);
		assert_non_null(stopped());
		assert_int_equal(due(now), 2000);
		assert_null(stopped());
		now += 500;
	}
	assert_int_equal(due(now + 1499), 1);
	assert_int_equal(due(now + 1500), 2000); /* nothing has come to be relayed */
	counter_bump(&shared_of(0)->rules[number].packets, 1);
	assert_int_equal(due(now + 3499), 1);
	assert_int_equal(due(now + 3500), -1);
	assert_null(stopped());
	find(number);
	assert_int_equal(due(now + 4000), pauses[0]); /* as for the first time */
}

static void test_rules_change(void **state)
{
	(void)state;
	find(number);
	due(1000);
	loop_breaker_rules_changed(&breaker, 1100);
	assert_int_equal(due(1100), 2000);
	assert_null(stopped());
	loop_breaker_rules_changed(&breaker, 1200);
	assert_int_equal(due(1200), 1900);
}

static void test_rule_is_gone(void **state)
{
	(void)state;
	find(RULE_NUMBERS - 100);
	assert_int_equal(due(1000), -1);
	find(RULE_NUMBERS + 100);
	assert_int_equal(due(1000), -1);
	find(number);
	due(1000);
	free(relay.provision.stopped[number]);
	relay.provision.stopped[number] = NULL;
	assert_int_equal(due(5000), -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_stopped_and_named),
		TEST(test_trial),
		TEST(test_rules_change),
		TEST(test_rule_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
