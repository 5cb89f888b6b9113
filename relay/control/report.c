// SPDX-License-Identifier: MIT
/* report: see report.h. Runs beside the worker, never in it. */
#include "control/report.h"
#include "common/clock.h"
#include "common/json_file.h"
#include "common/log.h"
#include "common/version.h"
#include "supervisor/rulefile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static json_t *integer(uint64_t value)
{
	return json_integer((json_int_t)value);
}

static json_t *utc(void)
{
	char text[32];
	time_t now = time(NULL);
	struct tm tm;

	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
	return json_string(text);
}

uint64_t report_rss_bytes(pid_t pid)
{
	unsigned long long pages = 0;
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (fscanf(file, "%*u %llu", &pages) != 1)
		pages = 0;
	fclose(file);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* [[least value of a bucket, count], ...]: only the buckets that are not empty. */
static json_t *histograms_json(const struct counters *counters)
{
	json_t *object = json_object();

	for (int i = 0; i < HISTOGRAM_COUNT; i++) {
		json_t *list = json_array();

		for (int j = 0; j < HISTOGRAM_BUCKETS; j++) {
			uint64_t count = counter_read(&counters->histogram[i][j]);

			if (count)
				json_array_append_new(list,
						      json_pack("[i, o]", 1 << j, integer(count)));
		}
		json_object_set_new(object, histogram_info[i].name, list);
	}
	return object;
}

static json_t *counters_json(const struct counters *counters)
{
	json_t *object = json_object();

	for (int i = 0; i < COUNTER_COUNT; i++)
		json_object_set_new(object, counter_info[i].name,
				    integer(counter_get(counters, (enum counter)i)));
	json_object_set_new(object, "arrived", integer(counters_arrived(counters)));
	json_object_set_new(object, "filtered", integer(counters_filtered(counters)));
	json_object_set_new(object, "histograms", histograms_json(counters));
	return object;
}

/* Position of an output in outputs_json's list. */
static int output_position(const struct provision *provision, const struct rule_output *key)
{
	int index = outputs_find_written(&provision->outputs, key, &provision->interfaces);
	int position = 0;

	for (int i = 0; i < index; i++)
		position += provision->outputs.output[i].used;
	return position;
}

static json_t *reason_json(const char *reason)
{
	return reason[0] ? json_string(reason) : json_null();
}

static json_t *rules_json(const struct reporter *reporter)
{
	const struct provision *provision = reporter->provision;
	json_t *list = json_array();

	for (unsigned i = 0; i < provision->rules.count; i++) {
		const struct rule *rule = &provision->rules.rule[i];
		const struct rule_status *status = &provision->rule_status[i];
		json_t *outputs = json_array();
		uint32_t number = provision->rule_numbers[i];
		struct flow flow = rates_rule_flow(reporter->workers, provision, number);

		for (unsigned j = 0; j < rule->num_outputs; j++)
			json_array_append_new(outputs, json_integer(output_position(
							       provision, &rule->outputs[j])));
		json_array_append_new(
			list, json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "id", rule->id,
					"state", rule_state_word[status->state], "reason",
					reason_json(status->reason), "input",
					rule_input_to_json(rule), "matched", integer(flow.packets),
					"matched_bytes", integer(flow.bytes), "rate",
					rates_rule(&reporter->sample, reporter->workers, provision,
						   number, now_ms()),
					"outputs", outputs));
	}
	return list;
}

static json_t *output_json(const struct reporter *reporter, unsigned index)
{
	const struct provision_output *output = &reporter->provision->outputs.output[index];
	json_t *object = rule_output_to_json(&output->key);
	json_t *errors = json_object();
	struct output_counters sum = {0};

	for (unsigned w = 0; w < reporter->workers->count; w++) {
		const struct output_counters *counters =
			output_counted(output, (int)index, &reporter->workers->worker[w]);

		sum.packets += counter_read(&counters->packets);
		sum.bytes += counter_read(&counters->bytes);
		for (int cause = 0; cause < CAUSE_COUNT; cause++)
			sum.errors[cause] += counter_read(&counters->errors[cause]);
	}
	for (int cause = 0; cause < CAUSE_COUNT; cause++)
		json_object_set_new(errors, send_cause_name[cause], integer(sum.errors[cause]));
	json_object_set_new(object, "sent", integer(sum.packets));
	json_object_set_new(object, "sent_bytes", integer(sum.bytes));
	json_object_set_new(object, "rate",
			    rates_output(&reporter->sample, reporter->workers, reporter->provision,
					 index, now_ms()));
	json_object_set_new(object, "errors", errors);
	return object;
}

static json_t *outputs_json(const struct reporter *reporter)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < OUTPUT_NUMBERS; i++)
		if (reporter->provision->outputs.output[i].used)
			json_array_append_new(list, output_json(reporter, i));
	return list;
}

static json_t *inputs_json(const struct reporter *reporter)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < INPUT_NUMBERS; i++) {
		const struct provision_input *input = &reporter->provision->inputs.input[i];

		if (input->netif.name[0])
			json_array_append_new(
				list,
				json_pack("{s:s, s:s, s:i, s:i, s:i, s:i}", "interface",
					  input->netif.name, "mode", reporter->config->ingress,
					  "slots", (int)input->shapes[FRAMES_SMALL].slots,
					  "slot_bytes", (int)input->shapes[FRAMES_SMALL].slot_bytes,
					  "large_slots", (int)input->shapes[FRAMES_LARGE].slots,
					  "large_slot_bytes",
					  (int)input->shapes[FRAMES_LARGE].slot_bytes));
	}
	return list;
}

json_t *report_workers(const struct reporter *reporter)
{
	const struct workers *workers = reporter->workers;
	json_t *list = json_array();

	for (unsigned i = 0; i < workers->count; i++) {
		const struct worker_handle *worker = &workers->worker[i];
		struct counters sum = {0};
		json_t *object;

		shared_add_up(&sum, worker->shared);
		object = json_pack("{s:i, s:i, s:i, s:o, s:o, s:o}", "index", (int)i, "pid",
				   (int)worker->pid, "restarts", (int)worker->restarts, "cpu_ns",
				   integer(workers_cpu_ns(worker)), "rss_bytes",
				   integer(report_rss_bytes(worker->pid)), "counters",
				   counters_json(&sum));
		rates_put(object, &reporter->sample, workers, (int)i, now_ms());
		json_array_append_new(list, object);
	}
	return list;
}

static json_t *interfaces_json(const struct reporter *reporter)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < reporter->interfaces->count; i++) {
		struct netif netif;

		const char *name = reporter->interfaces->interface[i].netif.name;

		netif_query(name, &netif);
		json_array_append_new(
			list,
			json_pack("{s:s, s:i, s:b, s:i, s:o, s:o, s:o, s:o, s:o, s:o}", "name",
				  name, "index", netif.index, "up", (int)netif.up, "mtu",
				  (int)netif.mtu, "rx_packets", integer(netif.rx_packets),
				  "rx_bytes", integer(netif.rx_bytes), "rx_dropped",
				  integer(netif.rx_dropped), "tx_packets",
				  integer(netif.tx_packets), "tx_bytes", integer(netif.tx_bytes),
				  "tx_dropped", integer(netif.tx_dropped)));
	}
	return list;
}

static json_t *build(const struct reporter *reporter, enum report_kind kind,
		     const struct counters *total, uint64_t time_ns)
{
	static const char *const kind_name[] = {"interval", "signal", "final"};
	const struct workers *workers = reporter->workers;
	uint64_t cpu_ns = 0, rss = 0;
	json_t *object;

	for (unsigned i = 0; i < workers->count; i++) {
		cpu_ns += workers_cpu_ns(&workers->worker[i]);
		rss += report_rss_bytes(workers->worker[i].pid);
	}
	object = json_pack("{s:i, s:s, s:s, s:s, s:i, s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, "
			   "s:o, s:o, s:o}",
			   "schema", 1, "program", "mcrelay", "version", MCRELAY_VERSION, "report",
			   kind_name[kind], "sequence", (int)reporter->sequence, "pid",
			   (int)getpid(), "time_ns", integer(time_ns), "utc", utc(), "settings",
			   options_to_json(config_program.options, reporter->config), "total",
			   counters_json(total), "cpu_ns", integer(cpu_ns), "rss_bytes",
			   integer(rss + report_rss_bytes(getpid())), "workers",
			   report_workers(reporter), "inputs", inputs_json(reporter), "rules",
			   rules_json(reporter), "outputs", outputs_json(reporter), "interfaces",
			   interfaces_json(reporter));
	json_object_set_new(object, "rates_over_ms",
			    integer((uint64_t)(now_ms() - reporter->sample.time_ms)));
	rates_put(object, &reporter->sample, workers, -1, now_ms());
	return object;
}

static void complain_once(bool *said, const char *path, int rc)
{
	if (rc < 0 && !*said)
		log_error("Stats", "cannot write %s: %s; statistics go to stderr only", path,
			  json_file_reason(rc));
	*said = rc < 0;
}

/* The clock and the counters of the same instant. */
static uint64_t add_up(const struct reporter *reporter, struct counters *total)
{
	*total = (struct counters){0};
	provision_count_drops(reporter->provision);
	for (unsigned i = 0; i < reporter->workers->count; i++)
		shared_add_up(total, reporter->workers->worker[i].shared);
	return now_ns();
}

json_t *report_build(struct reporter *reporter, enum report_kind kind)
{
	struct counters total;
	uint64_t time_ns = add_up(reporter, &total);

	return build(reporter, kind, &total, time_ns);
}

static void write_files(struct reporter *reporter, enum report_kind kind,
			const struct counters *total, uint64_t time_ns)
{
	const struct config *config = reporter->config;
	json_t *value = build(reporter, kind, total, time_ns);

	if (config->stats_file)
		complain_once(&reporter->file_failed, config->stats_file,
			      json_file_write(config->stats_file, value));
	if (config->stats_series)
		complain_once(&reporter->series_failed, config->stats_series,
			      json_file_append(config->stats_series, value));
	json_decref(value);
}

void report_sample(struct reporter *reporter)
{
	sample_take(&reporter->sample, reporter->workers, reporter->provision, now_ms());
}

void report(struct reporter *reporter, enum report_kind kind)
{
	const struct config *config = reporter->config;
	struct counters total;
	uint64_t time_ns = add_up(reporter, &total);
	char text[1024];

	reporter->sequence++;
	counters_format(&total, kind == REPORT_FINAL ? " FINAL" : "", text, sizeof(text));
	log_report(text);
	if (config->stats_file || config->stats_series)
		write_files(reporter, kind, &total, time_ns);
	if (kind == REPORT_INTERVAL)
		report_sample(reporter);
}
