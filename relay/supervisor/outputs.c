// SPDX-License-Identifier: MIT
/* outputs: see outputs.h. */
#include "supervisor/outputs.h"
#include "common/clock.h"
#include "common/errno_reason.h"
#include "common/log.h"
#include "supervisor/deferred_close.h"
#include "supervisor/refusal.h"
#include "supervisor/sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int outputs_init(struct outputs *outputs, const struct config *config, struct workers *workers)
{
	const size_t fds_bytes = workers->count * sizeof(int);
	int *fds;

	*outputs = (struct outputs){.config = config, .workers = workers};
	/* one piece: the descriptors of all are behind them */
	outputs->output = calloc(OUTPUT_NUMBERS, sizeof(*outputs->output) + fds_bytes);
	if (!outputs->output)
		return -ENOMEM;
	fds = memset(&outputs->output[OUTPUT_NUMBERS], -1, OUTPUT_NUMBERS * fds_bytes);
	for (unsigned i = 0; i < OUTPUT_NUMBERS; i++)
		outputs->output[i].fds = fds + i * workers->count;
	return 0;
}

void outputs_exit(struct outputs *outputs)
{
	const struct rules none = {0};

	if (outputs->output)
		outputs_release_unneeded(outputs, &none, false);
	free(outputs->output);
	outputs->output = NULL;
}

int outputs_find(const struct outputs *outputs, const struct rule_output *key)
{
	for (int i = 0; i < OUTPUT_NUMBERS; i++)
		if (outputs->output[i].used && rule_output_same(&outputs->output[i].key, key))
			return i;
	return -1;
}

int outputs_find_written(const struct outputs *outputs, const struct rule_output *output,
			 const struct interfaces *interfaces)
{
	const struct interface *interface = interfaces_find(interfaces, output->to.interface);
	struct rule_output key = *output;

	if (interface)
		strcpy(key.to.interface, interface->netif.name);
	return outputs_find(outputs, &key);
}

/* Without a carrier they could be opened, but are not kept: the kernel would say of each packet
 * that it was sent. */
static int open_sockets(struct outputs *outputs, struct provision_output *output)
{
	unsigned count = outputs->workers->count;

	output->error = 0;
	output->reach = (struct reachability){0};
	if (output->netif.index && !output->netif.up && !output->netif.no_carrier) {
		output->error = ENETUNREACH; /* as the kernel says when it goes down later */
		return -output->error;
	}
	reachability_add(outputs);
	for (unsigned i = 0; i < count; i++) {
		output->fds[i] = sockets_open_output(&output->key, &output->netif, outputs->config);
		if (output->fds[i] < 0) {
			output->error = -output->fds[i];
			close_all(output->fds, count);
			return -output->error;
		}
	}
	if (output->netif.no_carrier) {
		close_all(output->fds, count);
		output->error = ENETDOWN;
	}
	return 0;
}

static const char *hint(const struct rule_output *key, int error)
{
	switch (error) {
	case EADDRINUSE:
		return "; another program has the source_port for itself alone";
	case EACCES:
		return key->source_port && key->source_port < IPPORT_RESERVED
			       ? "; a source_port below 1024 needs CAP_NET_BIND_SERVICE"
			       : "; its route is prohibited: ip route get ADDRESS";
	case EADDRNOTAVAIL:
		if (key->source.s_addr != INADDR_ANY)
			return "; the source is no address of it: ip addr add ADDRESS/LEN dev "
			       "INTERFACE";
		return "; give it an IPv4 address: ip addr add ADDRESS/LEN dev INTERFACE";
	case ENETUNREACH:
	case ENETDOWN:
		return "; set it up: ip link set INTERFACE up";
	default:
		return reason_of_shortage(-error);
	}
}

void output_explain(const struct provision_output *output, char *reason)
{
	const struct endpoint *to = &output->key.to;
	char group[INET_ADDRSTRLEN];

	reason[0] = '\0';
	if (output->error)
		snprintf(reason, REFUSAL_BYTES, "cannot send to %s:%u through %s: %s%s",
			 inet_ntop(AF_INET, &to->group, group, sizeof(group)), to->port,
			 to->interface, strerror(output->error), hint(&output->key, output->error));
}

int outputs_claim(struct outputs *outputs, const struct rule_output *key, const struct netif *netif,
		  char *error)
{
	int index = 0, rc;
	struct provision_output *output;

	while (outputs->output[index].used)
		index++;
	output = &outputs->output[index];
	output->key = *key;
	output->netif = *netif;
	rc = open_sockets(outputs, output);
	if (rc < 0 && !netif_may_come(rc))
		return refusal_explain(error, rc, "cannot send through %s: %s%s", key->to.interface,
				       strerror(-rc), hint(key, -rc));
	output->used = true;
	output->since_ms = now_ms();
	output->born = ++outputs->born;
	return index;
}

static void output_release(struct outputs *outputs, struct provision_output *output)
{
	close_all(output->fds, outputs->workers->count);
	output->used = false;
}

void output_send(struct outputs *outputs, struct worker_handle *worker, int index)
{
	const struct provision_output *output = &outputs->output[index];
	const bool unreachable = output->reach.unreachable;
	struct message message = {
		.type = MESSAGE_OUTPUT,
		.index = (uint32_t)index,
		.output = {.mtu = output->netif.mtu,
			   .error = unreachable ? EHOSTUNREACH : output->error,
			   .decrement_ttl = output->key.ttl == TTL_DECREMENT,
			   .keep_dscp = output->key.dscp == DSCP_KEEP,
			   .born = output->born},
	};

	strcpy(message.output.interface, output->key.to.interface);
	workers_send(worker, &message, unreachable ? -1 : output->fds[worker->index]);
}

const struct output_counters *output_counted(const struct provision_output *output, int index,
					     const struct worker_handle *worker)
{
	static const struct output_counters none;
	const struct output_counters *counters = &worker->shared->outputs[index];

	return __atomic_load_n(&counters->born, __ATOMIC_ACQUIRE) == output->born ? counters
										  : &none;
}

static bool output_needed(const struct rules *rules, const struct rule_output *key)
{
	for (unsigned i = 0; i < rules->count; i++)
		for (unsigned j = 0; j < rules->rule[i].num_outputs; j++)
			if (rule_output_same(&rules->rule[i].outputs[j], key))
				return true;
	return false;
}

void outputs_release_unneeded(struct outputs *outputs, const struct rules *rules, bool tell)
{
	for (int i = 0; i < OUTPUT_NUMBERS; i++) {
		struct provision_output *output = &outputs->output[i];
		const struct message gone = {.type = MESSAGE_OUTPUT_GONE, .index = (uint32_t)i};

		if (!output->used || output_needed(rules, &output->key))
			continue;
		for (unsigned w = 0; tell && w < outputs->workers->count; w++)
			workers_send(&outputs->workers->worker[w], &gone, -1);
		output_release(outputs, output);
	}
}

/* Not because of its interface, which is ready. */
static bool is_refused(const struct provision_output *output)
{
	return output->used && output->error && !netif_fault(&output->netif, true);
}

bool outputs_all_open(const struct outputs *outputs)
{
	for (int i = 0; i < OUTPUT_NUMBERS; i++)
		if (is_refused(&outputs->output[i]))
			return false;
	return true;
}

/* Only the first address of an interface is known with it. */
static bool lost_source(const struct provision_output *output, const struct netif *now)
{
	return output->key.source.s_addr != INADDR_ANY && output->fds[0] >= 0 &&
	       !netif_has_address(now, output->key.source);
}

/* Its sockets are bound to the interface's index and to its address. */
static bool needs_other_sockets(const struct provision_output *output, const struct netif *now)
{
	return output->fds[0] < 0 || output->netif.index != now->index ||
	       output->netif.address.s_addr != now->address.s_addr || now->no_carrier ||
	       lost_source(output, now);
}

/* An output that could not be opened is tried again whenever something changes. */
static void follow_output(struct outputs *outputs, int index, const struct netif *now)
{
	struct provision_output *output = &outputs->output[index];
	const bool was_open = output->fds[0] >= 0;
	const int error = output->error;
	const bool other = needs_other_sockets(output, now);
	const bool as_before =
		!netif_replaced(&output->netif, now) && output->netif.no_carrier == now->no_carrier;
	char reason[REFUSAL_BYTES];

	output->netif = *now;
	if (as_before && (was_open ? !other : now->no_carrier))
		return;
	if (other) {
		close_all(output->fds, outputs->workers->count);
		open_sockets(outputs, output);
	}
	if (is_refused(output) && output->error != error) {
		output_explain(output, reason);
		log_limited(&outputs->refused, LEVEL_WARNING, "Egress", "%s; trying again", reason);
	}
	if (!was_open && output->fds[0] < 0 && output->error == error)
		return;
	for (unsigned w = 0; w < outputs->workers->count; w++)
		output_send(outputs, &outputs->workers->worker[w], index);
}

void outputs_rename(struct outputs *outputs, const struct interfaces *interfaces)
{
	for (int i = 0; i < OUTPUT_NUMBERS; i++)
		for (unsigned j = 0; j < interfaces->count; j++) {
			const struct netif *now = &interfaces->interface[j].netif;
			struct provision_output *output = &outputs->output[i];
			struct rule_output key = output->key;

			if (!output->used || !now->index || now->index != output->netif.index)
				continue;
			strcpy(key.to.interface, now->name);
			if (outputs_find(outputs, &key) < 0)
				output->key = key;
		}
}

void outputs_follow(struct outputs *outputs, const struct interfaces *interfaces)
{
	for (int i = 0; i < OUTPUT_NUMBERS; i++) {
		const struct netif *now =
			interfaces_find_own(interfaces, outputs->output[i].key.to.interface);

		if (outputs->output[i].used && now)
			follow_output(outputs, i, now);
	}
}
