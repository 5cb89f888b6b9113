// SPDX-License-Identifier: MIT
/* rates: see rates.h. */
#include "control/rates.h"

#include <string.h>

struct flow rates_rule_flow(const struct workers *workers, const struct provision *provision,
			    uint32_t number)
{
	struct flow flow = {0};

	for (unsigned w = 0; w < workers->count; w++) {
		const struct rule_counters *counters =
			provision_counted(provision, number, &workers->worker[w]);

		flow.packets += counter_read(&counters->packets);
		flow.bytes += counter_read(&counters->bytes);
	}
	return flow;
}

struct flow rates_output_flow(const struct workers *workers, const struct provision *provision,
			      uint32_t index)
{
	struct flow flow = {0};

	for (unsigned w = 0; w < workers->count; w++) {
		const struct output_counters *counters = output_counted(
			&provision->outputs.output[index], (int)index, &workers->worker[w]);

		flow.packets += counter_read(&counters->packets);
		flow.bytes += counter_read(&counters->bytes);
	}
	return flow;
}

void sample_take(struct sample *sample, const struct workers *workers,
		 const struct provision *provision, int64_t now)
{
	sample->time_ms = now;
	for (unsigned w = 0; w < workers->count; w++) {
		sample->worker[w] = (struct counters){0};
		shared_add_up(&sample->worker[w], workers->worker[w].shared);
	}
	for (unsigned i = 0; i < provision->rules.count; i++) {
		uint32_t number = provision->rule_numbers[i];

		sample->rule[number] = rates_rule_flow(workers, provision, number);
	}
	for (uint32_t i = 0; i < OUTPUT_NUMBERS; i++)
		if (provision->outputs.output[i].used)
			sample->output[i] = rates_output_flow(workers, provision, i);
}

static json_t *per_second(uint64_t count, int64_t elapsed_ms)
{
	if (elapsed_ms < RATES_MIN_MS)
		return json_null();
	return json_integer((json_int_t)((double)count * 1000 / (double)elapsed_ms + 0.5));
}

static json_t *rate(struct flow before, struct flow now, int64_t elapsed_ms)
{
	return json_pack("{s:o, s:o}", "pps", per_second(now.packets - before.packets, elapsed_ms),
			 "bits_per_second", per_second(8 * (now.bytes - before.bytes), elapsed_ms));
}

/* What began to be counted after the sample was at zero then. */
static json_t *rate_since(const struct sample *before, struct flow then, struct flow flow,
			  int64_t counted_since_ms, int64_t now)
{
	if (counted_since_ms >= before->time_ms)
		return rate((struct flow){0}, flow, now - counted_since_ms);
	return rate(then, flow, now - before->time_ms);
}

json_t *rates_rule(const struct sample *before, const struct workers *workers,
		   const struct provision *provision, uint32_t number, int64_t now)
{
	return rate_since(before, before->rule[number], rates_rule_flow(workers, provision, number),
			  provision->rule_since_ms[number], now);
}

json_t *rates_output(const struct sample *before, const struct workers *workers,
		     const struct provision *provision, uint32_t index, int64_t now)
{
	return rate_since(before, before->output[index],
			  rates_output_flow(workers, provision, index),
			  provision->outputs.output[index].since_ms, now);
}

static struct flow flow_of(const struct counters *counters, enum counter packets,
			   enum counter bytes)
{
	return (struct flow){counter_get(counters, packets), counter_get(counters, bytes)};
}

static json_t *drops(const struct counters *now)
{
	json_t *object = json_object();

	for (int i = 0; i < COUNTER_COUNT; i++)
		if (strncmp(counter_info[i].name, "drop_", 5) == 0 ||
		    i == COUNTER_buffer_exhaustion || i == COUNTER_egress_errors)
			json_object_set_new(
				object, counter_info[i].name,
				json_integer((json_int_t)counter_get(now, (enum counter)i)));
	return object;
}

/* Calls per 1,000 packets, to three places. */
static json_t *thousandths(uint64_t calls, uint64_t packets)
{
	if (packets == 0)
		return json_null();
	return json_real((double)(uint64_t)(1e6 * (double)calls / (double)packets + 0.5) / 1000);
}

static json_t *work(const struct counters *before, const struct counters *now)
{
	static const enum counter work_counters[] = {COUNTER_system_calls, COUNTER_sqes,
						     COUNTER_submits, COUNTER_waits};
	uint64_t packets =
		counter_get(now, COUNTER_recv_packets) - counter_get(before, COUNTER_recv_packets);
	json_t *object = json_object();

	for (size_t i = 0; i < sizeof(work_counters) / sizeof(work_counters[0]); i++) {
		enum counter which = work_counters[i];
		uint64_t calls = counter_get(now, which) - counter_get(before, which);

		json_object_set_new(object, counter_info[which].name, thousandths(calls, packets));
	}
	return object;
}

void rates_put(json_t *object, const struct sample *sample, const struct workers *workers,
	       int worker, int64_t now)
{
	int64_t elapsed_ms = now - sample->time_ms;
	struct counters before = {0}, after = {0};

	for (unsigned w = 0; w < workers->count; w++)
		if (worker < 0 || w == (unsigned)worker) {
			counters_add_up(&before, &sample->worker[w]);
			shared_add_up(&after, workers->worker[w].shared);
		}
	json_object_set_new(object, "receive_rate",
			    rate(flow_of(&before, COUNTER_recv_packets, COUNTER_recv_bytes),
				 flow_of(&after, COUNTER_recv_packets, COUNTER_recv_bytes),
				 elapsed_ms));
	json_object_set_new(object, "send_rate",
			    rate(flow_of(&before, COUNTER_egress_sent, COUNTER_egress_bytes),
				 flow_of(&after, COUNTER_egress_sent, COUNTER_egress_bytes),
				 elapsed_ms));
	json_object_set_new(object, "drops", drops(&after));
	json_object_set_new(object, "work_per_1000_packets", work(&before, &after));
}
