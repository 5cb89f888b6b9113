// SPDX-License-Identifier: MIT
/* health: what it says of a relay that is made up, for each thing that can be wrong with one. */
#include "common/clock.h"
#include "control/health.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../made_up.h"

static json_t *page;

/* The page anew, as a client would get it. */
static void look(void)
{
	bool good = false;
	json_t *value = health_json(&relay.health, &relay.reporter, &good);
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

static json_int_t integer(json_t *object, const char *key)
{
	assert_true(json_is_integer(member(object, key)));
	return json_integer_value(member(object, key));
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
	health_tick(&relay.health, &relay.reporter);
	assert_reason(NULL);
	assert_true(health_packet_age_s(&relay.health) < 0);
	assert_true(json_is_null(member(page, "last_packet_age_seconds")));
	assert_true(json_is_null(member(page, "last_buffer_exhaustion_age_seconds")));
	assert_int_equal(integer(page, "buffer_exhaustion"), 0);
	assert_int_equal(integer(page, "rules"), 1);
	assert_int_equal(integer(member(page, "workers"), "configured"), 2);
	assert_int_equal(integer(member(page, "workers"), "alive"), 2);
	assert_int_equal(json_array_size(member(page, "interfaces")), 0);
}

static void test_packets(void **state)
{
	double age;

	(void)state;
	make_up(2);
	shared_of(1)->counters.value[COUNTER_recv_packets] = 1;
	health_tick(&relay.health, &relay.reporter);
	assert_reason(NULL);
	assert_true(json_is_real(member(page, "last_packet_age_seconds")));
	/* not looked at again before its time */
	relay.health.received_at_ms -= 5000;
	shared_of(0)->counters.value[COUNTER_recv_packets] = 1;
	health_tick(&relay.health, &relay.reporter);
	age = health_packet_age_s(&relay.health);
	assert_true(age >= 5);
	relay.health.due_ms = 0;
	health_tick(&relay.health, &relay.reporter);
	assert_true(health_packet_age_s(&relay.health) < age);
	assert_true(health_packet_age_s(&relay.health) >= 0);
	/* no more packets: it grows again */
	relay.health.received_at_ms -= 5000;
	relay.health.due_ms = 0;
	health_tick(&relay.health, &relay.reporter);
	assert_true(health_packet_age_s(&relay.health) >= 5);
	assert_reason(NULL);
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
	input->fds[0] = 1000;
	assert_reason(NULL);
}

static void test_interface(void **state)
{
	struct netif *netif;

	(void)state;
	make_up(1);
	netif = make_up_netif("stra\xc3\x9f"
			      "e");
	/* of a rule that is gone */
	make_up_netif("unused")->up = false;
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
		      "e is gone");
}

static void test_exhaustion(void **state)
{
	(void)state;
	make_up(2);
	health_tick(&relay.health, &relay.reporter);
	assert_reason(NULL);
	shared_of(1)->counters.value[COUNTER_buffer_exhaustion] = 1ULL << 40;
	relay.health.due_ms = 0;
	health_tick(&relay.health, &relay.reporter);
	relay.health.lost_at_ms -= 3000;
	look();
	assert_string_equal(json_string_value(member(page, "status")), "degraded");
	assert_non_null(strstr(json_string_value(json_array_get(member(page, "reasons"), 0)),
			       "packets found no free slot or buffer "));
	assert_int_equal(integer(page, "buffer_exhaustion"), 1LL << 40);
	/* they have arrived, too */
	assert_true(json_is_real(member(page, "last_packet_age_seconds")));
	/* long ago: told, but no reason */
	relay.health.lost_at_ms -= HEALTH_LOSS_MS;
	assert_reason(NULL);
	assert_true(json_real_value(member(page, "last_buffer_exhaustion_age_seconds")) >= 13);
	/* and more of them */
	shared_of(0)->counters.value[COUNTER_buffer_exhaustion] = 1;
	relay.health.due_ms = 0;
	health_tick(&relay.health, &relay.reporter);
	look();
	assert_string_equal(json_string_value(member(page, "status")), "degraded");
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
	relay.health.lost_at_ms = now_ms();
	look();
	assert_int_equal(json_array_size(member(page, "reasons")), 5);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_no_packet_yet), TEST(test_packets),		TEST(test_no_worker),
		TEST(test_output_closed), TEST(test_worker_restarting), TEST(test_input_closed),
		TEST(test_interface),	  TEST(test_exhaustion),	TEST(test_everything),
	};

	return cmocka_run_group_tests_name("health", tests, NULL, NULL);
}
