// SPDX-License-Identifier: MIT
/* metrics: see metrics.h. A metric is a family() line and then a sample() per set of labels. */
#include "control/metrics.h"
#include "common/version.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void family(FILE *page, const char *name, const char *type, const char *help)
{
	fprintf(page, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* The format has escapes for what would end a label, and is UTF-8, as the rules are. */
static void label(FILE *page, char separator, const char *name, const char *value)
{
	fprintf(page, "%c%s=\"", separator, name);
	for (; *value; value++) {
		if (*value == '\n')
			fputs("\\n", page);
		else if (*value == '"' || *value == '\\')
			fprintf(page, "\\%c", *value);
		else
			fputc(*value, page);
	}
	fputc('"', page);
}

static void endpoint_labels(FILE *page, char separator, const struct endpoint *endpoint)
{
	char group[INET_ADDRSTRLEN], port[8];

	inet_ntop(AF_INET, &endpoint->group, group, sizeof(group));
	snprintf(port, sizeof(port), "%u", endpoint->port);
	label(page, separator, "interface", endpoint->interface);
	label(page, ',', "group", group);
	label(page, ',', "port", port);
}

static void value(FILE *page, uint64_t number)
{
	fprintf(page, "} %" PRIu64 "\n", number);
}

/* ------------------------------------------------------------------------- workers */

static bool is_drop(int counter)
{
	return counter == COUNTER_buffer_exhaustion ||
	       strncmp(counter_info[counter].name, "drop_", 5) == 0;
}

static const char *cause_of(int counter)
{
	const char *name = counter_info[counter].name;

	return strncmp(name, "drop_", 5) == 0 ? name + 5 : name;
}

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), end_length = strlen(end);

	return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

static void counter_name(int counter, char *name, size_t size)
{
	const struct counter_info *info = &counter_info[counter];
	bool unit = (strcmp(info->unit, "packets") == 0 || strcmp(info->unit, "bytes") == 0) &&
		    !ends_with(info->name, info->unit);

	snprintf(name, size, "mcrelay_%s%s%s_total", info->name, unit ? "_" : "",
		 unit ? info->unit : "");
}

static void write_drops(FILE *page, const struct counters *counters, unsigned workers)
{
	const char *name = "mcrelay_dropped_packets_total";

	fprintf(page, "# HELP %s packets given up, by cause", name);
	for (int i = 0; i < COUNTER_COUNT; i++)
		if (is_drop(i))
			fprintf(page, "; %s: %s", cause_of(i), counter_info[i].help);
	fprintf(page, "\n# TYPE %s counter\n", name);
	for (unsigned w = 0; w < workers; w++)
		for (int i = 0; i < COUNTER_COUNT; i++)
			if (is_drop(i)) {
				fprintf(page, "%s{worker=\"%u\"", name, w);
				label(page, ',', "cause", cause_of(i));
				value(page, counter_get(&counters[w], (enum counter)i));
			}
}

/* Buckets are cumulative here; the last one has no bound. */
static void write_histogram(FILE *page, int which, unsigned worker, const struct counters *counters)
{
	const struct histogram_info *info = &histogram_info[which];
	uint64_t count = 0;

	for (int i = 0; i < HISTOGRAM_BUCKETS; i++) {
		count += counter_read(&counters->histogram[which][i]);
		fprintf(page, "mcrelay_%s_bucket{worker=\"%u\",le=\"", info->name, worker);
		if (i < HISTOGRAM_BUCKETS - 1)
			fprintf(page, "%d\"", (2 << i) - 1);
		else
			fprintf(page, "+Inf\"");
		value(page, count);
	}
	fprintf(page, "mcrelay_%s_sum{worker=\"%u\"", info->name, worker);
	value(page, counter_get(counters, info->sum));
	fprintf(page, "mcrelay_%s_count{worker=\"%u\"", info->name, worker);
	value(page, count);
}

static void write_histograms(FILE *page, const struct counters *counters, unsigned workers)
{
	char name[96];

	for (int i = 0; i < HISTOGRAM_COUNT; i++) {
		snprintf(name, sizeof(name), "mcrelay_%s", histogram_info[i].name);
		family(page, name, "histogram", histogram_info[i].help);
		for (unsigned w = 0; w < workers; w++)
			write_histogram(page, i, w, &counters[w]);
	}
}

static void write_counters(FILE *page, const struct workers *workers)
{
	struct counters counters[WORKERS_MAX] = {0};
	char name[96];

	for (unsigned w = 0; w < workers->count; w++)
		shared_add_up(&counters[w], workers->worker[w].shared);
	for (int i = 0; i < COUNTER_COUNT; i++) {
		if (is_drop(i))
			continue;
		counter_name(i, name, sizeof(name));
		family(page, name, "counter", counter_info[i].help);
		for (unsigned w = 0; w < workers->count; w++) {
			fprintf(page, "%s{worker=\"%u\"", name, w);
			value(page, counter_get(&counters[w], (enum counter)i));
		}
	}
	write_drops(page, counters, workers->count);
	write_histograms(page, counters, workers->count);
}

static void write_workers(FILE *page, const struct workers *workers)
{
	family(page, "mcrelay_worker_up", "gauge", "1 while the worker process runs and is ready");
	for (unsigned w = 0; w < workers->count; w++)
		fprintf(page, "mcrelay_worker_up{worker=\"%u\"} %d\n", w,
			workers->worker[w].pid != 0 && workers->worker[w].ready);
	family(page, "mcrelay_worker_restarts_total", "counter",
	       "times that the worker had died and was started again");
	for (unsigned w = 0; w < workers->count; w++)
		fprintf(page, "mcrelay_worker_restarts_total{worker=\"%u\"} %u\n", w,
			workers->worker[w].restarts);
	family(page, "mcrelay_worker_cpu_seconds_total", "counter",
	       "CPU time of the worker and its predecessors");
	for (unsigned w = 0; w < workers->count; w++)
		fprintf(page, "mcrelay_worker_cpu_seconds_total{worker=\"%u\"} %.6f\n", w,
			(double)workers_cpu_ns(&workers->worker[w]) / 1e9);
	family(page, "mcrelay_worker_resident_memory_bytes", "gauge",
	       "memory of the worker that is in RAM, what it shares included");
	for (unsigned w = 0; w < workers->count; w++)
		fprintf(page, "mcrelay_worker_resident_memory_bytes{worker=\"%u\"} %" PRIu64 "\n",
			w, report_rss_bytes(workers->worker[w].pid));
}

/* ------------------------------------------------------------------------- rules and outputs */

static void write_rules(FILE *page, const struct reporter *reporter, const char *name,
			const char *help, bool bytes)
{
	const struct provision *provision = reporter->provision;

	family(page, name, "counter", help);
	for (unsigned i = 0; i < provision->rules.count; i++) {
		const struct rule *rule = &provision->rules.rule[i];
		struct flow flow =
			rates_rule_flow(reporter->workers, provision, provision->rule_numbers[i]);

		fputs(name, page);
		label(page, '{', "rule", rule->id);
		endpoint_labels(page, ',', &rule->input);
		value(page, bytes ? flow.bytes : flow.packets);
	}
}

static void write_rule_states(FILE *page, const struct provision *provision)
{
	const char *name = "mcrelay_rule_running";

	family(page, "mcrelay_rules", "gauge", "rules in force");
	fprintf(page, "mcrelay_rules %u\n", provision->rules.count);
	family(page, "mcrelay_rules_waiting", "gauge",
	       "those of which something is not served yet: an interface or its address is "
	       "missing");
	fprintf(page, "mcrelay_rules_waiting %u\n", provision_count(provision, RULE_WAITING));
	family(page, "mcrelay_rules_stopped", "gauge", "those that would do harm");
	fprintf(page, "mcrelay_rules_stopped %u\n", provision_count(provision, RULE_STOPPED));
	family(page, name, "gauge", "1 while the rule runs, 0 while it waits or is stopped");
	for (unsigned i = 0; i < provision->rules.count; i++) {
		fputs(name, page);
		label(page, '{', "rule", provision->rules.rule[i].id);
		endpoint_labels(page, ',', &provision->rules.rule[i].input);
		value(page, provision->rule_status[i].state == RULE_RUNNING);
	}
}

/* All that tells outputs apart; what few have only where there is any. */
static void output_labels(FILE *page, const char *name, const struct rule_output *key)
{
	char source[INET_ADDRSTRLEN];

	fputs(name, page);
	endpoint_labels(page, '{', &key->to);
	if (key->ttl == TTL_DECREMENT)
		label(page, ',', "ttl", "decrement");
	else
		fprintf(page, ",ttl=\"%u\"", key->ttl);
	if (key->dscp == DSCP_KEEP)
		label(page, ',', "dscp", "keep");
	else if (key->dscp)
		fprintf(page, ",dscp=\"%u\"", key->dscp);
	if (key->source.s_addr != INADDR_ANY)
		label(page, ',', "source",
		      inet_ntop(AF_INET, &key->source, source, sizeof(source)));
	if (key->source_port)
		fprintf(page, ",source_port=\"%u\"", key->source_port);
}

static void write_outputs(FILE *page, const struct reporter *reporter, const char *name,
			  const char *help, bool bytes)
{
	family(page, name, "counter", help);
	for (uint32_t i = 0; i < OUTPUT_NUMBERS; i++) {
		const struct provision_output *output = &reporter->provision->outputs.output[i];
		struct flow flow;

		if (!output->used)
			continue;
		flow = rates_output_flow(reporter->workers, reporter->provision, i);
		output_labels(page, name, &output->key);
		value(page, bytes ? flow.bytes : flow.packets);
	}
}

static void write_output_errors(FILE *page, const struct reporter *reporter)
{
	const char *name = "mcrelay_output_errors_total";

	family(page, name, "counter", "packets in sends that failed, by output and cause");
	for (uint32_t i = 0; i < OUTPUT_NUMBERS; i++) {
		const struct provision_output *output = &reporter->provision->outputs.output[i];

		for (int cause = 0; output->used && cause < CAUSE_COUNT; cause++) {
			uint64_t sum = 0;

			for (unsigned w = 0; w < reporter->workers->count; w++)
				sum += counter_read(&output_counted(output, (int)i,
								    &reporter->workers->worker[w])
							     ->errors[cause]);
			output_labels(page, name, &output->key);
			label(page, ',', "cause", send_cause_name[cause]);
			value(page, sum);
		}
	}
}

/* ------------------------------------------------------------------------- interfaces */

static void write_interfaces(FILE *page, const struct reporter *reporter)
{
	static const struct {
		const char *name, *type, *help;
		size_t offset;
	} table[] = {
		{"mcrelay_interface_receive_packets_total", "counter",
		 "packets received, as the kernel counts them", offsetof(struct netif, rx_packets)},
		{"mcrelay_interface_receive_bytes_total", "counter", "bytes of those",
		 offsetof(struct netif, rx_bytes)},
		{"mcrelay_interface_receive_dropped_packets_total", "counter",
		 "received packets that the kernel dropped", offsetof(struct netif, rx_dropped)},
		{"mcrelay_interface_transmit_packets_total", "counter",
		 "packets sent, as the kernel counts them", offsetof(struct netif, tx_packets)},
		{"mcrelay_interface_transmit_bytes_total", "counter", "bytes of those",
		 offsetof(struct netif, tx_bytes)},
		{"mcrelay_interface_transmit_dropped_packets_total", "counter",
		 "packets to send that the kernel dropped", offsetof(struct netif, tx_dropped)},
	};
	struct netif *netifs = calloc(reporter->interfaces->count + 1, sizeof(*netifs));

	if (!netifs)
		return;
	family(page, "mcrelay_interface_up", "gauge",
	       "1 while the interface is up and has a carrier");
	for (unsigned i = 0; i < reporter->interfaces->count; i++) {
		netif_query(reporter->interfaces->interface[i].netif.name, &netifs[i]);
		fputs("mcrelay_interface_up", page);
		label(page, '{', "interface", netifs[i].name);
		value(page, netifs[i].up);
	}
	for (size_t row = 0; row < sizeof(table) / sizeof(table[0]); row++) {
		family(page, table[row].name, table[row].type, table[row].help);
		for (unsigned i = 0; i < reporter->interfaces->count; i++) {
			uint64_t number;

			memcpy(&number, (const char *)&netifs[i] + table[row].offset,
			       sizeof(number));
			fputs(table[row].name, page);
			label(page, '{', "interface", netifs[i].name);
			value(page, number);
		}
	}
	free(netifs);
}

/* ------------------------------------------------------------------------- the page */

char *metrics_text(struct reporter *reporter, const struct health *health, int64_t now)
{
	char *text = NULL;
	size_t size = 0;
	FILE *page = open_memstream(&text, &size);
	bool failed;

	if (!page)
		return NULL;
	provision_count_drops(reporter->provision);
	family(page, "mcrelay_build_info", "gauge", "always 1; the version is in the label");
	fprintf(page, "mcrelay_build_info{version=\"%s\"} 1\n", MCRELAY_VERSION);
	write_rule_states(page, reporter->provision);
	if (health_packet_age_s(health, now) >= 0) {
		family(page, "mcrelay_last_packet_age_seconds", "gauge",
		       "time since a packet was received, give or take a second");
		fprintf(page, "mcrelay_last_packet_age_seconds %.3f\n",
			health_packet_age_s(health, now));
	}
	write_workers(page, reporter->workers);
	write_counters(page, reporter->workers);
	write_rules(page, reporter, "mcrelay_rule_packets_total", "packets that matched the rule",
		    false);
	write_rules(page, reporter, "mcrelay_rule_bytes_total", "UDP payload bytes of those", true);
	write_outputs(page, reporter, "mcrelay_output_packets_total", "packets sent to the output",
		      false);
	write_outputs(page, reporter, "mcrelay_output_bytes_total", "UDP payload bytes of those",
		      true);
	write_output_errors(page, reporter);
	write_interfaces(page, reporter);
	failed = ferror(page);
	if (fclose(page) == 0 && !failed)
		return text;
	free(text);
	return NULL;
}
