// SPDX-License-Identifier: MIT
/* health: see health.h. */
#include "control/health.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
	enum counter counter;
	const char *what;
} losses[HEALTH_LOSSES] = {
	[HEALTH_NO_SLOT] = {COUNTER_buffer_exhaustion, "packets found no free slot or buffer"},
	[HEALTH_TRUNCATED] = {COUNTER_drop_truncated, "packets did not fit a slot or buffer"},
	[HEALTH_HANDOFF] = {COUNTER_drop_handoff, "packets found the sending thread's queue full"},
	[HEALTH_WORKER_DIED] = {COUNTER_drop_worker_died, "packets were lost with a worker"},
	[HEALTH_NOT_SENT] = {COUNTER_egress_errors, "packets could not be sent"},
};

void health_tick(struct health *health, struct reporter *reporter, int64_t now)
{
	const struct workers *workers = reporter->workers;
	struct counters total = {0};
	uint64_t received;

	if (now < health->due_ms)
		return;
	provision_count_drops(reporter->provision);
	for (unsigned i = 0; i < workers->count; i++)
		shared_add_up(&total, workers->worker[i].shared);
	received = counters_arrived(&total);
	if (received != health->received)
		health->received_at_ms = now;
	for (int i = 0; i < HEALTH_LOSSES; i++) {
		const uint64_t lost = counter_get(&total, losses[i].counter);

		if (lost != health->lost[i])
			health->lost_at_ms[i] = now;
		health->lost[i] = lost;
	}
	health->received = received;
	health->due_ms = now + HEALTH_TICK_MS;
}

static double age_s(int64_t at_ms, int64_t now)
{
	return at_ms ? (double)(now - at_ms) / 1000 : -1;
}

double health_packet_age_s(const struct health *health, int64_t now)
{
	return age_s(health->received_at_ms, now);
}

/* ------------------------------------------------------------------------- what is wrong */

static void find_fault(json_t *reasons, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void find_fault(json_t *reasons, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	json_array_append_new(reasons, json_string(text));
}

static json_t *workers_json(const struct workers *workers, json_t *reasons)
{
	json_t *list = json_array();
	uint64_t restarts = 0;
	unsigned alive = 0;

	for (unsigned i = 0; i < workers->count; i++) {
		const struct worker_handle *worker = &workers->worker[i];
		bool good = worker->pid != 0 && worker->ready;

		alive += good;
		restarts += worker->restarts;
		if (!good)
			find_fault(reasons, "worker %u does not run", i);
		json_array_append_new(list,
				      json_pack("{s:i, s:b, s:i}", "index", (int)i, "alive",
						(int)good, "restarts", (int)worker->restarts));
	}
	return json_pack("{s:i, s:i, s:I, s:o}", "configured", (int)workers->count, "alive",
			 (int)alive, "restarts", (json_int_t)restarts, "list", list);
}

static unsigned count_open(const int *fds, unsigned count)
{
	unsigned open = 0;

	for (unsigned i = 0; i < count; i++)
		open += fds[i] >= 0;
	return open;
}

/* Sockets of one interface that rules need, how many of them are open, and why others are not. */
struct sockets {
	unsigned wanted, open;
	char reason[REFUSAL_BYTES]; /* of one of them, "" if it is not known */
};

static void count_sockets(const struct reporter *reporter, const char *interface,
			  struct sockets *sockets)
{
	const struct provision *provision = reporter->provision;
	const unsigned count = reporter->workers->count;

	*sockets = (struct sockets){0};
	for (unsigned i = 0; i < INPUT_NUMBERS; i++) {
		const struct provision_input *input = &provision->inputs.input[i];

		if (strcmp(input->netif.name, interface) != 0)
			continue;
		sockets->wanted += count;
		sockets->open += count_open(input->fds[FRAMES_SMALL], count);
		strcpy(sockets->reason, input->reason);
	}
	for (unsigned i = 0; i < OUTPUT_NUMBERS; i++) {
		const struct provision_output *output = &provision->outputs.output[i];

		if (!output->used || strcmp(output->key.to.interface, interface) != 0)
			continue;
		sockets->wanted += count;
		sockets->open += count_open(output->fds, count);
		if (!sockets->reason[0])
			output_explain(output, sockets->reason);
	}
}

/* Receivers, or routers to them, that do not answer on this interface. */
static void find_unreachable(const struct reporter *reporter, const struct netif *netif,
			     json_t *reasons)
{
	const struct outputs *outputs = &reporter->provision->outputs;
	char address[INET_ADDRSTRLEN] = "";
	unsigned count = 0;

	for (unsigned i = 0; i < OUTPUT_NUMBERS; i++) {
		const struct provision_output *output = &outputs->output[i];

		if (!output->used || !output->reach.unreachable ||
		    output->netif.index != netif->index)
			continue;
		if (count++ == 0)
			inet_ntop(AF_INET, &output->reach.neighbour, address, sizeof(address));
	}
	if (count == 1)
		find_fault(reasons, "nobody on interface %s answers for %s", netif->name, address);
	else if (count)
		find_fault(reasons, "nobody on interface %s answers for %u outputs, as for %s",
			   netif->name, count, address);
}

static json_t *interfaces_json(const struct reporter *reporter, json_t *reasons)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < reporter->interfaces->count; i++) {
		const struct interface *interface = &reporter->interfaces->interface[i];
		const struct netif *netif = &interface->netif;
		const char *fault = netif_fault(netif, interface->sends);
		struct sockets sockets;

		count_sockets(reporter, netif->name, &sockets);
		if (fault)
			find_fault(reasons, "interface %s %s", netif->name, fault);
		else if (sockets.open < sockets.wanted || sockets.reason[0])
			find_fault(reasons, "%u of the %u sockets of interface %s are open%s%s",
				   sockets.open, sockets.wanted, netif->name,
				   sockets.reason[0] ? ": " : "", sockets.reason);
		find_unreachable(reporter, netif, reasons);
		json_array_append_new(list, json_pack("{s:s, s:b, s:i, s:i}", "interface",
						      netif->name, "up", (int)netif->up,
						      "sockets_wanted", (int)sockets.wanted,
						      "sockets_open", (int)sockets.open));
	}
	return list;
}

/* Those that wait for an interface are covered by its reason. */
static void find_stopped(const struct provision *provision, json_t *reasons)
{
	for (unsigned i = 0; i < provision->rules.count; i++)
		if (provision->rule_status[i].state == RULE_STOPPED)
			find_fault(reasons, "rule %s is stopped: %s", provision->rules.rule[i].id,
				   provision->rule_status[i].reason);
}

static json_t *age_json(double age)
{
	return age < 0 ? json_null() : json_real(age);
}

json_t *health_json(const struct health *health, const struct reporter *reporter, int64_t now,
		    bool *good)
{
	json_t *reasons = json_array();
	json_t *workers = workers_json(reporter->workers, reasons);
	json_t *interfaces = interfaces_json(reporter, reasons);
	const struct provision *provision = reporter->provision;

	find_stopped(provision, reasons);
	for (int i = 0; i < HEALTH_LOSSES; i++) {
		const double age = age_s(health->lost_at_ms[i], now);

		if (age >= 0 && age * 1000 < HEALTH_LOSS_MS)
			find_fault(reasons, "%s %.0f seconds ago", losses[i].what, age);
	}
	*good = json_array_size(reasons) == 0;
	return json_pack("{s:s, s:o, s:o, s:o, s:i, s:i, s:i, s:o, s:I, s:o}", "status",
			 *good ? "ok" : "degraded", "reasons", reasons, "workers", workers,
			 "interfaces", interfaces, "rules", (int)provision->rules.count,
			 "rules_waiting", (int)provision_count(provision, RULE_WAITING),
			 "rules_stopped", (int)provision_count(provision, RULE_STOPPED),
			 "last_packet_age_seconds", age_json(health_packet_age_s(health, now)),
			 "buffer_exhaustion", (json_int_t)health->lost[HEALTH_NO_SLOT],
			 "last_buffer_exhaustion_age_seconds",
			 age_json(age_s(health->lost_at_ms[HEALTH_NO_SLOT], now)));
}
