// SPDX-License-Identifier: MIT
/* rates: of a relay that is made up, between a sample and a time that the test chooses. */
#include "control/rates.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../made_up.h"

enum { BEGIN_MS = 1000000 };

static struct sample sample;

static void count(struct flow flow, uint64_t *packets, uint64_t *bytes)
{
	*packets += flow.packets;
	*bytes += flow.bytes;
}

static void count_rule(unsigned worker, unsigned number, uint64_t packets, uint64_t bytes)
{
	struct rule_counters *rule = &shared_of(worker)->rules[number];

	count((struct flow){packets, bytes}, &rule->packets, &rule->bytes);
}

static void count_output(unsigned worker, unsigned index, uint64_t packets, uint64_t bytes)
{
	struct output_counters *output = &shared_of(worker)->outputs[index];

	count((struct flow){packets, bytes}, &output->packets, &output->bytes);
}

static void take_sample(int64_t now)
{
	sample = (struct sample){0};
	sample_take(&sample, &relay.workers, &relay.provision, now);
}

/* Takes the reference over. -1: null. */
static void assert_rate(json_t *rate, json_int_t pps, json_int_t bits_per_second)
{
	static const char *const keys[] = {"pps", "bits_per_second"};
	const json_int_t values[] = {pps, bits_per_second};

	assert_int_equal(json_object_size(rate), 2);
	for (unsigned i = 0; i < 2; i++) {
		json_t *value = json_object_get(rate, keys[i]);

		assert_non_null(value);
		assert_int_equal(json_is_null(value), values[i] < 0);
		if (values[i] >= 0)
			assert_int_equal(json_integer_value(value), values[i]);
	}
	json_decref(rate);
}

static json_t *rule_rate(unsigned number, int64_t now)
{
	return rates_rule(&sample, &relay.workers, &relay.provision, number, now);
}

static json_t *output_rate(unsigned index, int64_t now)
{
	return rates_output(&sample, &relay.workers, &relay.provision, index, now);
}

static int setup(void **state)
{
	(void)state;
	make_up(2);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	forget();
	return 0;
}

/* ------------------------------------------------------------------------- tests */

/* What was counted before the sample is in no rate. */
static void test_rule_and_output(void **state)
{
	unsigned number = make_up_rule("one", endpoint("in0", "239.1.1.1", 5000));
	unsigned output = make_up_output(endpoint("out0", "239.2.2.2", 6000), 1);

	(void)state;
	count_rule(0, number, 1000, 100000);
	count_rule(1, number, 2000, 200000);
	count_output(1, output, 500, 50000);
	take_sample(BEGIN_MS);
	assert_rate(rule_rate(number, BEGIN_MS + 1000), 0, 0);
	count_rule(0, number, 300, 30000);
	count_rule(1, number, 100, 10001);
	count_output(0, output, 60, 6000);
	count_output(1, output, 30, 3000);
	assert_rate(rule_rate(number, BEGIN_MS + 2000), 200, 4 * 40001);
	assert_rate(output_rate(output, BEGIN_MS + 2000), 45, 4 * 9000);
}

static void test_rounding(void **state)
{
	unsigned number = make_up_rule("one", endpoint("in0", "239.1.1.1", 5000));

	(void)state;
	take_sample(BEGIN_MS);
	count_rule(0, number, 1, 1);
	assert_rate(rule_rate(number, BEGIN_MS + 2000), 1, 4);
	assert_rate(rule_rate(number, BEGIN_MS + 2001), 0, 4);
}

/* Of so short a time there is no rate. */
static void test_too_short(void **state)
{
	unsigned number = make_up_rule("one", endpoint("in0", "239.1.1.1", 5000));
	unsigned output = make_up_output(endpoint("out0", "239.2.2.2", 6000), 1);

	(void)state;
	take_sample(BEGIN_MS);
	count_rule(0, number, 1, 10);
	count_output(0, output, 1, 10);
	assert_rate(rule_rate(number, BEGIN_MS), -1, -1);
	assert_rate(rule_rate(number, BEGIN_MS + RATES_MIN_MS - 1), -1, -1);
	assert_rate(rule_rate(number, BEGIN_MS + RATES_MIN_MS), 100, 8000);
	assert_rate(output_rate(output, BEGIN_MS + RATES_MIN_MS - 1), -1, -1);
	assert_rate(output_rate(output, BEGIN_MS + RATES_MIN_MS), 100, 8000);
}

/* What has begun to be counted since the sample counts from then, from zero: its place may have
 * been another's before. */
static void test_younger_than_the_sample(void **state)
{
	unsigned number = make_up_rule("one", endpoint("in0", "239.1.1.1", 5000));
	unsigned output = make_up_output(endpoint("out0", "239.2.2.2", 6000), 1);

	(void)state;
	count_rule(0, number, 1000000, 1000000);
	count_output(0, output, 1000000, 1000000);
	take_sample(BEGIN_MS);
	shared_of(0)->rules[number] = (struct rule_counters){0};
	shared_of(0)->outputs[output] = (struct output_counters){0};
	relay.provision.rule_since_ms[number] = BEGIN_MS + 1000;
	relay.provision.outputs.output[output].since_ms = BEGIN_MS + 1500;
	count_rule(0, number, 50, 500);
	count_output(0, output, 50, 500);
	assert_rate(rule_rate(number, BEGIN_MS + 2000), 50, 4000);
	assert_rate(output_rate(output, BEGIN_MS + 2000), 100, 8000);
	assert_rate(rule_rate(number, BEGIN_MS + 1000 + RATES_MIN_MS - 1), -1, -1);
	relay.provision.rule_since_ms[number] = BEGIN_MS; /* of the same millisecond */
	assert_rate(rule_rate(number, BEGIN_MS + 2000), 25, 2000);
}

static json_t *put(int worker, int64_t now)
{
	json_t *object = json_object();

	rates_put(object, &sample, &relay.workers, worker, now);
	return object;
}

static void assert_put(int worker, json_int_t received_pps, json_int_t sent_pps)
{
	json_t *object = put(worker, BEGIN_MS + 500);

	assert_rate(json_incref(json_object_get(object, "receive_rate")), received_pps,
		    received_pps * 800);
	assert_rate(json_incref(json_object_get(object, "send_rate")), sent_pps, sent_pps * 80);
	json_decref(object);
}

/* Of one worker, or of all. */
static void test_workers(void **state)
{
	(void)state;
	for (unsigned w = 0; w < 2; w++)
		counter_add(&shared_of(w)->counters, COUNTER_recv_packets, 12345);
	take_sample(BEGIN_MS);
	for (unsigned w = 0; w < 2; w++) {
		counter_add(&shared_of(w)->counters, COUNTER_recv_packets, 100 + w);
		counter_add(&shared_of(w)->counters, COUNTER_recv_bytes, 100 * (100 + w));
		counter_add(&shared_of(w)->counters, COUNTER_egress_sent, 300 + w);
		counter_add(&shared_of(w)->counters, COUNTER_egress_bytes, 10 * (300 + w));
	}
	assert_put(0, 200, 600);
	assert_put(1, 202, 602);
	assert_put(-1, 402, 1202);
}

/* Every drop by its name, since the start; and nothing else. */
static void test_drops(void **state)
{
	json_t *object, *drops;
	unsigned count_drops = 0;

	(void)state;
	for (int i = 0; i < COUNTER_COUNT; i++)
		counter_add(&shared_of(1)->counters, (enum counter)i, 1000 + (uint64_t)i);
	take_sample(BEGIN_MS);
	object = put(-1, BEGIN_MS + 1000);
	drops = json_object_get(object, "drops");
	for (int i = 0; i < COUNTER_COUNT; i++) {
		const char *name = counter_info[i].name;
		json_t *value = json_object_get(drops, name);

		if (strncmp(name, "drop_", 5) && strcmp(name, "buffer_exhaustion") &&
		    strcmp(name, "egress_errors"))
			continue;
		assert_int_equal(json_integer_value(value), 1000 + i);
		count_drops++;
	}
	assert_int_equal(json_object_size(drops), count_drops);
	json_decref(object);
}

static void assert_work(const char *name, double per_1000)
{
	json_t *object = put(-1, BEGIN_MS + 1000);
	json_t *value = json_object_get(json_object_get(object, "work_per_1000_packets"), name);

	assert_non_null(value);
	assert_int_equal(json_is_null(value), per_1000 < 0);
	if (per_1000 >= 0)
		assert_true(json_real_value(value) == per_1000);
	json_decref(object);
}

/* Per 1,000 packets that were received since the sample, to three places; unknown without any. */
static void test_work(void **state)
{
	struct counters *counters = &shared_of(0)->counters;

	(void)state;
	counter_add(counters, COUNTER_recv_packets, 5000);
	counter_add(counters, COUNTER_system_calls, 5000);
	take_sample(BEGIN_MS);
	counter_add(counters, COUNTER_system_calls, 2);
	assert_work("system_calls", -1);
	counter_add(counters, COUNTER_recv_packets, 3000);
	assert_work("system_calls", 0.667);
	assert_work("sqes", 0);
	counter_add(counters, COUNTER_sqes, 3000);
	counter_add(counters, COUNTER_submits, 30);
	counter_add(counters, COUNTER_waits, 1);
	assert_work("sqes", 1000);
	assert_work("submits", 10);
	assert_work("waits", 0.333);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_rule_and_output),
		TEST(test_rounding),
		TEST(test_too_short),
		TEST(test_younger_than_the_sample),
		TEST(test_workers),
		TEST(test_drops),
		TEST(test_work),
	};

	return cmocka_run_group_tests_name("rates", tests, NULL, NULL);
}
