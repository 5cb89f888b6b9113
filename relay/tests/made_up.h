/* SPDX-License-Identifier: MIT
 *
 * made_up: a relay as metrics, health and HTTP see it, without workers, sockets and interfaces: its
 * tables are filled in by hand. To be included behind cmocka.h.
 */
#ifndef MADE_UP_H
#define MADE_UP_H

#include "control/health.h"
#include "control/report.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct made_up {
	struct config config;
	struct workers workers;
	struct provision provision;
	struct reporter reporter;
	struct health health;
	unsigned num_outputs;
} relay;

/* Workers run (as this process) and are ready; there is no rule and no interface. */
static void make_up(unsigned num_workers)
{
	struct provision *provision = &relay.provision;

	relay = (struct made_up){.config = {.num_workers = num_workers}};
	assert_int_equal(workers_init(&relay.workers, &relay.config), 0);
	for (unsigned i = 0; i < num_workers; i++) {
		relay.workers.worker[i].pid = getpid();
		relay.workers.worker[i].ready = true;
	}
	provision->workers = &relay.workers;
	assert_int_equal(inputs_init(&provision->inputs, &relay.config, &relay.workers), 0);
	assert_int_equal(outputs_init(&provision->outputs, &relay.config, &relay.workers), 0);
	provision->rules.rule = calloc(RULES_MAX, sizeof(*provision->rules.rule));
	provision->rule_numbers = calloc(RULES_MAX, sizeof(*provision->rule_numbers));
	provision->rule_status = calloc(RULES_MAX, sizeof(*provision->rule_status));
	provision->interfaces.interface =
		calloc(INPUTS_MAX, sizeof(*provision->interfaces.interface));
	assert_true(provision->rules.rule && provision->rule_numbers && provision->rule_status &&
		    provision->interfaces.interface);
	relay.reporter.config = &relay.config;
	relay.reporter.workers = &relay.workers;
	relay.reporter.provision = provision;
	relay.reporter.interfaces = &provision->interfaces;
}

static void forget(void)
{
	workers_exit(&relay.workers);
	free(relay.provision.inputs.input);
	deferred_close_exit(&relay.provision.inputs.closing);
	free(relay.provision.outputs.output);
	free(relay.provision.rules.rule);
	free(relay.provision.rule_numbers);
	free(relay.provision.rule_status);
	free(relay.provision.interfaces.interface);
}

static inline struct shared *shared_of(unsigned worker)
{
	return relay.workers.worker[worker].shared;
}

static struct endpoint endpoint(const char *interface, const char *group, unsigned port)
{
	struct endpoint endpoint = {.port = (uint16_t)port};

	snprintf(endpoint.interface, sizeof(endpoint.interface), "%s", interface);
	assert_int_equal(inet_pton(AF_INET, group, &endpoint.group), 1);
	return endpoint;
}

/* It is counted under the number that is returned, which is not its index. */
static inline unsigned make_up_rule(const char *id, struct endpoint input)
{
	unsigned index = relay.provision.rules.count++;
	struct rule *rule = &relay.provision.rules.rule[index];

	snprintf(rule->id, sizeof(rule->id), "%s", id);
	rule->input = input;
	relay.provision.rule_numbers[index] = RULES_MAX - 1 - index;
	return relay.provision.rule_numbers[index];
}

/* Returns its index; none of its sockets is open. */
static inline unsigned make_up_output(struct endpoint to, unsigned ttl)
{
	unsigned index = relay.num_outputs++;

	relay.provision.outputs.output[index].used = true;
	relay.provision.outputs.output[index].key =
		(struct rule_output){.to = to, .ttl = (uint8_t)ttl};
	return index;
}

static inline struct netif *make_up_netif(const char *name)
{
	struct interfaces *interfaces = &relay.provision.interfaces;
	struct netif *netif = &interfaces->interface[interfaces->count++].netif;

	snprintf(netif->name, sizeof(netif->name), "%s", name);
	netif->index = 1;
	netif->up = true;
	return netif;
}

#endif
