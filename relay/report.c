// SPDX-License-Identifier: MIT
/* report: see report.h. Runs beside the worker, never in it. */
#include "report.h"
#include "json_file.h"
#include "log.h"
#include "version.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static json_t *integer(uint64_t value)
{
	return json_integer((json_int_t)value);
}

static json_t *address(struct in_addr in)
{
	char text[INET_ADDRSTRLEN];

	return json_string(inet_ntop(AF_INET, &in, text, sizeof(text)));
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

static json_t *utc(void)
{
	char text[32];
	time_t now = time(NULL);
	struct tm tm;

	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
	return json_string(text);
}

static uint64_t rss_bytes(void)
{
	unsigned long long pages = 0;
	FILE *file = fopen("/proc/self/statm", "re");

	if (!file)
		return 0;
	if (fscanf(file, "%*u %llu", &pages) != 1)
		pages = 0;
	fclose(file);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static json_t *counters_json(const struct counters *counters)
{
	json_t *object = json_object();

	for (int i = 0; i < COUNTER_COUNT; i++)
		json_object_set_new(object, counter_info[i].name,
				    integer(counter_get(counters, (enum counter)i)));
	json_object_set_new(object, "arrived", integer(counters_arrived(counters)));
	json_object_set_new(object, "filtered", integer(counters_filtered(counters)));
	return object;
}

static json_t *endpoint_json(const struct endpoint *endpoint)
{
	return json_pack("{s:s, s:o, s:i}", "interface", endpoint->interface, "group",
			 address(endpoint->group), "port", (int)endpoint->port);
}

static json_t *rules_json(const struct worker *worker)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < worker->rules->count; i++) {
		const struct rule *rule = &worker->rules->rule[i];
		const struct route *route = &worker->forwarder.routes[i];
		json_t *outputs = json_array();

		for (unsigned j = 0; j < route->num_outputs; j++)
			json_array_append_new(outputs,
					      json_integer(route->outputs[j] - worker->outputs));
		json_array_append_new(
			list, json_pack("{s:s, s:o, s:o, s:o, s:o}", "id", rule->id, "input",
					endpoint_json(&rule->input), "matched",
					integer(counter_read(&worker->rule_counters[i].packets)),
					"matched_bytes",
					integer(counter_read(&worker->rule_counters[i].bytes)),
					"outputs", outputs));
	}
	return list;
}

static json_t *outputs_json(const struct worker *worker)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < worker->num_outputs; i++) {
		const struct output *output = &worker->outputs[i];
		json_t *object = endpoint_json(&output->key.to);
		json_t *errors = json_object();

		for (int cause = 0; cause < CAUSE_COUNT; cause++)
			json_object_set_new(
				errors, send_cause_name[cause],
				integer(counter_read(&output->counters->errors[cause])));
		json_object_set_new(object, "ttl", json_integer(output->key.ttl));
		json_object_set_new(object, "sent",
				    integer(counter_read(&output->counters->packets)));
		json_object_set_new(object, "sent_bytes",
				    integer(counter_read(&output->counters->bytes)));
		json_object_set_new(object, "errors", errors);
		json_array_append_new(list, object);
	}
	return list;
}

static json_t *inputs_json(struct worker *worker)
{
	json_t *list = json_array();

	pthread_mutex_lock(&worker->reopen_lock);
	for (unsigned i = 0; i < worker->num_inputs; i++) {
		const struct ingress *ingress = &worker->inputs[i].ingress;

		json_array_append_new(list, json_pack("{s:s, s:s, s:i, s:i}", "interface",
						      ingress->netif.name, "mode", "ring", "slots",
						      (int)ingress->slots, "slot_bytes",
						      (int)ingress->slot_bytes));
	}
	pthread_mutex_unlock(&worker->reopen_lock);
	return list;
}

static json_t *interfaces_json(const struct reporter *reporter)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < reporter->num_netifs; i++) {
		struct netif netif;

		netif_query(reporter->netifs[i].name, &netif);
		json_array_append_new(
			list,
			json_pack("{s:s, s:i, s:b, s:i, s:o, s:o, s:o, s:o, s:o, s:o}", "name",
				  reporter->netifs[i].name, "index", netif.index, "up",
				  (int)netif.up, "mtu", (int)netif.mtu, "rx_packets",
				  integer(netif.rx_packets), "rx_bytes", integer(netif.rx_bytes),
				  "rx_dropped", integer(netif.rx_dropped), "tx_packets",
				  integer(netif.tx_packets), "tx_bytes", integer(netif.tx_bytes),
				  "tx_dropped", integer(netif.tx_dropped)));
	}
	return list;
}

static json_t *build(struct reporter *reporter, enum report_kind kind)
{
	static const char *const kind_name[] = {"interval", "signal", "final"};
	struct worker *worker = reporter->worker;
	/* the clock and the counters first: they belong to the same instant */
	uint64_t time_ns = now_ns();
	json_t *totals = counters_json(&worker->counters);

	return json_pack("{s:i, s:s, s:s, s:s, s:i, s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, "
			 "s:o, s:o}",
			 "schema", 1, "program", "mcrelay", "version", MCRELAY_VERSION, "report",
			 kind_name[kind], "sequence", (int)reporter->sequence, "pid", (int)getpid(),
			 "time_ns", integer(time_ns), "utc", utc(), "settings",
			 options_to_json(config_program.options, reporter->config), "total", totals,
			 "cpu_ns", integer(worker_cpu_ns(worker)), "rss_bytes",
			 integer(rss_bytes()), "inputs", inputs_json(worker), "rules",
			 rules_json(worker), "outputs", outputs_json(worker), "interfaces",
			 interfaces_json(reporter));
}

/* One write(2), so that a reader never sees half a line of ours; a disk that took half of it gives
 * it back, so that the next line does not continue it. */
static int append_line(const char *path, const json_t *value)
{
	char *text = json_dumps(value, JSON_COMPACT);
	size_t length;
	ssize_t written;
	int fd, rc = 0;

	if (!text)
		return -ENOMEM;
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (fd < 0) {
		rc = -errno;
		goto out;
	}
	length = strlen(text);
	text[length] = '\n'; /* in place of the terminating 0 */
	written = write(fd, text, length + 1);
	if (written != (ssize_t)length + 1)
		rc = written < 0 ? -errno : -ENOSPC;
	if (written > 0 && rc < 0 && ftruncate(fd, lseek(fd, 0, SEEK_CUR) - written) < 0)
		rc = -errno;
	close(fd);
out:
	free(text);
	return rc;
}

static void complain_once(bool *said, const char *path, int rc)
{
	if (rc < 0 && !*said)
		log_error("Stats", "cannot write %s: %s; statistics go to stderr only", path,
			  strerror(-rc));
	*said = rc < 0;
}

void report(struct reporter *reporter, enum report_kind kind)
{
	const struct config *config = reporter->config;
	char text[1024];
	json_t *value;

	worker_refresh(reporter->worker);
	reporter->sequence++;
	counters_format(&reporter->worker->counters, kind == REPORT_FINAL ? " FINAL" : "", text,
			sizeof(text));
	fputs(text, stderr);
	if (!config->stats_file && !config->stats_series)
		return;
	value = build(reporter, kind);
	if (config->stats_file)
		complain_once(&reporter->file_failed, config->stats_file,
			      json_file_write(config->stats_file, value));
	if (config->stats_series)
		complain_once(&reporter->series_failed, config->stats_series,
			      append_line(config->stats_series, value));
	json_decref(value);
}
