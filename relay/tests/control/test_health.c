// SPDX-License-Identifier: MIT
/* health: what it says of a relay that is made up, for each thing that can be wrong with one. */
#include "control/health.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../made_up.h"

static json_t *page;
static int64_t now;

/* The page anew, as a client would get it. */
static void look(void)
{
	bool good = false;
	json_t *value = health_json(&relay.health, &relay.reporter, now, &good);
	char *text = json_dumps(value, JSON_INDENT(1));

	json_decref(page);
	assert_non_null(text);
	page = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	assert_true(json_is_object(page));
	free(text);
	json_decref(value);
	assert_string_equal(json_string_value(json_object_get(page, "status")),
			    good ? "ok" : "degraded");
	assert_int_equal(good, json_array_size(json_object_get(page, "reasons")) == 0);
}

/* What the page says, and nothing else that is wrong. NULL: nothing at all. */
static void assert_reason(const char *reason)
{
	json_t *reasons;

	look();
	reasons = json_object_get(page, "reasons");
	assert_int_equal(json_array_size(reasons), reason ? 1 : 0);
	if (reason)
		assert_string_equal(json_string_value(json_array_get(reasons, 0)), reason);
}

static json_t *member(json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);

	assert_non_null(value);
	return value;
}

static json_t *listed(const char *list, unsigned index)
{
	json_t *array = strcmp(list, "workers") == 0 ? member(member(page, "workers"), "list")
						     : member(page, list);
	json_t *value = json_array_get(array, index);

	assert_true(json_is_object(value));
	return value;
}

static double real(json_t *object, const char *key)
{
	assert_true(json_is_real(member(object, key)));
	return json_real_value(member(object, key));
}

static json_int_t integer(json_t *object, const char *key)
{
	assert_true(json_is_integer(member(object, key)));
	return json_integer_value(member(object, key));
}

static void tick(void)
{
	health_tick(&relay.health, &relay.reporter, now);
}

static int setup(void **state)
{
	(void)state;
	now = 1000000;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	forget();
	json_decref(page);
	page = NULL;
	return 0;
}

/* ------------------------------------------------------------------------- tests */

static void test_no_packet_yet(void **state)
{
	(void)state;
	make_up(2);
	make_up_rule("one", endpoint("in0", "239.1.1.1", 5000));
	tick();
	assert_reason(NULL);
	assert_true(health_packet_age_s(&relay.health, now) < 0);
	assert_true(json_is_null(member(page, "last_packet_age_seconds")));
	assert_true(json_is_null(member(page, "last_buffer_exhaustion_age_seconds")));
	assert_int_equal(integer(page, "buffer_exhaustion"), 0);
	assert_int_equal(integer(page, "rules"), 1);
	assert_int_equal(integer(member(page, "workers"), "configured"), 2);
	assert_int_equal(integer(member(page, "workers"), "alive"), 2);
	assert_int_equal(json_array_size(member(page, "interfaces")), 0);
}

static void assert_packet_age(double age_s)
{
	assert_reason(NULL);
	assert_true(health_packet_age_s(&relay.health, now) == age_s);
	assert_true(real(page, "last_packet_age_seconds") == age_s);
}

/* It is looked at once a second, whoever asks how often. */
static void test_packets(void **state)
{
	(void)state;
	make_up(2);
	shared_of(1)->counters.value[COUNTER_recv_packets] = 1;
	tick();
	assert_packet_age(0);
	shared_of(0)->counters.value[COUNTER_recv_packets] = 1;
	now += HEALTH_TICK_MS - 1;
	tick();
	assert_packet_age(0.999); /* not looked at before its time */
	now++;
	tick();
	assert_packet_age(0);
	/* no more packets: it grows */
	for (unsigned i = 1; i <= 100; i++) {
		now += 1500;
		tick();
		assert_packet_age(1.5 * i);
	}
}

static void test_no_worker(void **state)
{
	(void)state;
	make_up(1);
	relay.workers.worker[0].pid = 0;
	relay.workers.worker[0].ready = false;
	assert_reason("worker 0 does not run");
	assert_int_equal(integer(member(page, "workers"), "alive"), 0);
	assert_true(json_is_false(member(listed("workers", 0), "alive")));
}

/* Started again, but not ready yet. */
static void test_worker_restarting(void **state)
{
	(void)state;
	make_up(3);
	relay.workers.worker[1].ready = false;
	relay.workers.worker[1].restarts = 7;
	relay.workers.worker[2].restarts = 1;
	assert_reason("worker 1 does not run");
	assert_int_equal(integer(member(page, "workers"), "configured"), 3);
	assert_int_equal(integer(member(page, "workers"), "alive"), 2);
	assert_int_equal(integer(member(page, "workers"), "restarts"), 8);
	assert_int_equal(integer(listed("workers", 1), "restarts"), 7);
	assert_true(json_is_true(member(listed("workers", 2), "alive")));
	relay.workers.worker[1].ready = true;
	assert_reason(NULL);
	assert_int_equal(integer(member(page, "workers"), "restarts"), 8);
}

static void test_output_closed(void **state)
{
	struct provision_output *output;

	(void)state;
	make_up(2);
	make_up_netif("out0");
	output = &relay.provision.outputs
			  .output[make_up_output(endpoint("out0", "239.2.2.2", 6000), 1)];
	assert_reason("0 of the 2 sockets of interface out0 are open");
	output->fds[0] = 1000;
	assert_reason("1 of the 2 sockets of interface out0 are open");
	assert_int_equal(integer(listed("interfaces", 0), "sockets_wanted"), 2);
	assert_int_equal(integer(listed("interfaces", 0), "sockets_open"), 1);
	output->fds[1] = 1001;
	assert_reason(NULL);
	assert_true(json_is_true(member(listed("interfaces", 0), "up")));
}

static void test_input_closed(void **state)
{
	struct provision_input *input;

	(void)state;
	make_up(1);
	make_up_netif("in0");
	input = &relay.provision.inputs.input[3];
	strcpy(input->netif.name, "in0");
	assert_reason("0 of the 1 sockets of interface in0 are open");
	input->fds[FRAMES_SMALL][0] = 1000;
	assert_reason(NULL);
}

static void test_interface(void **state)
{
	struct netif *netif;

	(void)state;
	make_up(1);
	netif = make_up_netif("stra\xc3\x9f"
			      "e");
	make_up_output(endpoint("stra\xc3\x9f"
				"e",
				"239.2.2.2", 6000),
		       1);
	netif->up = false;
	assert_reason("interface stra\xc3\x9f"
		      "e is down");
	assert_int_equal(json_array_size(member(page, "interfaces")), 1);
	assert_true(json_is_false(member(listed("interfaces", 0), "up")));
	netif->index = 0;
	assert_reason("interface stra\xc3\x9f"
		      "e is absent");
}

/* Only who sends needs an address. */
static void test_no_address(void **state)
{
	struct netif *netif;

	(void)state;
	make_up(1);
	netif = make_up_netif("in0");
	netif->address.s_addr = INADDR_ANY;
	assert_reason(NULL);
	relay.provision.interfaces.interface[0].sends = true;
	assert_reason("interface in0 has no IPv4 address");
}

/* Its interface is ready, its socket cannot be opened all the same. */
static void test_output_refused(void **state)
{
	struct provision_output *output;

	(void)state;
	make_up(1);
	make_up_netif("out0");
	output = &relay.provision.outputs
			  .output[make_up_output(endpoint("out0", "10.77.1.3", 6000), 1)];
	output->error = EMFILE;
	assert_reason(
		"0 of the 1 sockets of interface out0 are open: cannot send to 10.77.1.3:6000 "
		"through out0: Too many open files; raise the limit of open files: ulimit -Hn, "
		"LimitNOFILE= of the service");
}

/* Each that is stopped is a reason; what one waits for has been said of its interface. */
static void test_rules(void **state)
{
	(void)state;
	make_up(1);
	make_up_rule("one", endpoint("in0", "239.1.1.1", 5000));
	make_up_rule("two", endpoint("in0", "239.1.1.2", 5000));
	assert_reason(NULL);
	rule_status_set(&relay.provision.rule_status[0], RULE_WAITING, "interface in0 is down");
	assert_reason(NULL);
	assert_int_equal(integer(page, "rules_waiting"), 1);
	rule_status_set(&relay.provision.rule_status[1], RULE_STOPPED, "it loops");
	assert_reason("rule two is stopped: it loops");
	assert_int_equal(integer(page, "rules"), 2);
	assert_int_equal(integer(page, "rules_waiting"), 1);
	assert_int_equal(integer(page, "rules_stopped"), 1);
}

static void test_exhaustion(void **state)
{
	(void)state;
	make_up(2);
	tick();
	assert_reason(NULL);
	shared_of(1)->counters.value[COUNTER_buffer_exhaustion] = 1ULL << 40;
	now += HEALTH_TICK_MS;
	tick();
	now += 3000;
	assert_reason("packets found no free slot or buffer 3 seconds ago");
	assert_int_equal(integer(page, "buffer_exhaustion"), 1LL << 40);
	assert_true(real(page, "last_buffer_exhaustion_age_seconds") == 3);
	/* they have arrived, too */
	assert_true(real(page, "last_packet_age_seconds") == 3);
	now += HEALTH_LOSS_MS - 3001;
	assert_reason("packets found no free slot or buffer 10 seconds ago");
	/* long ago: told, but no reason */
	now++;
	assert_reason(NULL);
	assert_true(real(page, "last_buffer_exhaustion_age_seconds") * 1000 == HEALTH_LOSS_MS);
	/* and more of them */
	shared_of(0)->counters.value[COUNTER_buffer_exhaustion] = 1;
	tick();
	assert_reason("packets found no free slot or buffer 0 seconds ago");
}

/* Each has a reason of its own; what no rule asks for, or comes damaged, is none. */
static void test_other_losses(void **state)
{
	static const struct {
		enum counter counter;
		const char *reason;
	} cases[] = {
		{COUNTER_drop_truncated, "packets did not fit a slot or buffer 2 seconds ago"},
		{COUNTER_drop_handoff,
		 "packets found the sending thread's queue full 2 seconds ago"},
		{COUNTER_drop_worker_died, "packets were lost with a worker 2 seconds ago"},
		{COUNTER_drop_no_match, NULL},
		{COUNTER_drop_checksum, NULL},
		{COUNTER_drop_malformed, NULL},
		{COUNTER_drop_fragment, NULL},
	};

	(void)state;
	make_up(1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		shared_of(0)->counters.value[cases[i].counter]++;
		now += HEALTH_TICK_MS;
		tick();
		now += 2000;
		assert_reason(cases[i].reason);
		now += HEALTH_LOSS_MS;
	}
}

static void test_everything(void **state)
{
	(void)state;
	make_up(2);
	make_up_netif("out0")->up = false;
	make_up_netif("out1");
	make_up_output(endpoint("out0", "239.2.2.2", 6000), 1);
	make_up_output(endpoint("out1", "239.2.2.2", 6000), 1);
	relay.workers.worker[0].ready = relay.workers.worker[1].ready = false;
	relay.health.lost_at_ms[HEALTH_NO_SLOT] = now;
	look();
	assert_int_equal(json_array_size(member(page, "reasons")), 5);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_no_packet_yet), TEST(test_packets),		TEST(test_no_worker),
		TEST(test_output_closed), TEST(test_worker_restarting), TEST(test_input_closed),
		TEST(test_interface),	  TEST(test_exhaustion),	TEST(test_other_losses),
		TEST(test_everything),	  TEST(test_no_address),	TEST(test_output_refused),
		TEST(test_rules),
	};

	return cmocka_run_group_tests_name("health", tests, NULL, NULL);
}
