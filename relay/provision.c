// SPDX-License-Identifier: MIT
/*
 * provision: see provision.h.
 *
 * A change of rules goes: open what the next set needs and the present one lacks; build the plan;
 * send workers the new sockets, then the plan, then the farewell to what no rule uses any more.
 * Workers take messages in order and between bursts, so a plan never names a socket they lack.
 */
#include "provision.h"
#include "log.h"
#include "sockets.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int explain(char *error, int rc, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int explain(char *error, int rc, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, PROVISION_ERROR_BYTES, format, args);
	va_end(args);
	return rc;
}

static void close_all(int *fds, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
		fds[i] = -1;
	}
}

/* ------------------------------------------------------------------------- graves */

enum { GRAVE_MS = 1000 }; /* more than a worker ever needs to take a message */

static void close_oldest_grave(struct provision *provision)
{
	close(provision->graves[0].fd);
	provision->num_graves--;
	memmove(&provision->graves[0], &provision->graves[1],
		provision->num_graves * sizeof(provision->graves[0]));
}

static void bury(struct provision *provision, int *fds, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		if (fds[i] < 0)
			continue;
		if (provision->num_graves == PROVISION_GRAVES)
			close_oldest_grave(provision);
		provision->graves[provision->num_graves++] =
			(struct provision_grave){fds[i], now_ms() + GRAVE_MS};
		fds[i] = -1;
	}
}

int64_t provision_close_graves(struct provision *provision)
{
	int64_t now = now_ms();

	while (provision->num_graves && provision->graves[0].due_ms <= now)
		close_oldest_grave(provision);
	return provision->num_graves ? provision->graves[0].due_ms - now : -1;
}

/* ------------------------------------------------------------------------- inputs */

static int find_input(const struct provision *provision, const char *interface)
{
	for (int i = 0; i < INPUTS_MAX; i++)
		if (strcmp(provision->inputs[i].netif.name, interface) == 0)
			return i;
	return -1;
}

/* The sockets of one interface form a fanout group when there are several; its number has to be
 * unique in the network namespace. */
static uint16_t fanout_group(const struct provision *provision, int index)
{
	uint16_t group = (uint16_t)(getpid() * INPUTS_MAX + index);

	return provision->workers->count == 1 ? 0 : group ? group : 1;
}

static int open_rings(struct provision *provision, int index, char *error)
{
	struct provision_input *input = &provision->inputs[index];
	unsigned count = provision->workers->count;

	if (provision->config->worker.ingress == INGRESS_RING) {
		input->slots = (uint32_t)provision->config->ring_slots;
		input->slot_bytes = sockets_slot_bytes(&input->netif, provision->config);
	}
	for (unsigned i = 0; i < count; i++) {
		input->fds[i] = sockets_open_ring(&input->netif, provision->config,
						  fanout_group(provision, index));
		if (input->fds[i] < 0) {
			int rc = input->fds[i];

			close_all(input->fds, count);
			return explain(error, rc, "cannot receive on %s: %s%s", input->netif.name,
				       strerror(-rc),
				       rc == -EPERM ? "; run as root or with CAP_NET_RAW" : "");
		}
	}
	return 0;
}

/* `shared`: workers have its sockets, too. */
static void input_release(struct provision *provision, struct provision_input *input, bool shared)
{
	exclusive_close(&input->exclusive);
	membership_leave(&input->membership);
	if (shared)
		bury(provision, input->fds, provision->workers->count);
	close_all(input->fds, provision->workers->count);
	input->netif.name[0] = '\0';
}

static int input_claim(struct provision *provision, const char *interface, char *error)
{
	int index = find_input(provision, "");
	struct provision_input *input = &provision->inputs[index];
	int rc;

	if (index < 0)
		return explain(error, -ENOSPC, "rules receive on more than %d interfaces",
			       INPUTS_MAX);
	rc = netif_query(interface, &input->netif);
	if (rc < 0)
		explain(error, rc, "cannot use interface %s: %s", interface, strerror(-rc));
	else
		rc = open_rings(provision, index, error);
	if (rc < 0)
		input->netif.name[0] = '\0';
	return rc < 0 ? rc : index;
}

/* Joins the groups and takes the packets of all rules on this input; what held for the present
 * rules is given up only after that. */
static int input_subscribe(struct provision *provision, struct provision_input *input,
			   const struct rules *rules, char *error)
{
	struct membership membership = {0};
	struct exclusive exclusive = {0};
	int rc = 0;

	if (input->netif.index == 0) /* it is gone; this is done when it comes back */
		return 0;
	for (unsigned i = 0; i < rules->count && rc == 0; i++) {
		const struct endpoint *from = &rules->rule[i].input;

		if (strcmp(from->interface, input->netif.name) == 0)
			rc = membership_join(&membership, input->netif.index, from->group);
		if (rc < 0)
			explain(error, rc, "cannot join the group of rule %s on %s: %s",
				rules->rule[i].id, from->interface, strerror(-rc));
	}
	if (rc == 0 && provision->config->exclusive) {
		rc = exclusive_open(&exclusive, rules, input->netif.name, input->netif.index);
		if (rc < 0)
			explain(error, rc,
				"cannot take packets on %s with --exclusive: %s; it needs Linux "
				"6.6 and CAP_NET_ADMIN",
				input->netif.name, strerror(-rc));
	}
	if (rc < 0) {
		membership_leave(&membership);
		return rc;
	}
	exclusive_close(&input->exclusive);
	membership_leave(&input->membership);
	input->exclusive = exclusive;
	input->membership = membership;
	return 0;
}

static void send_input(struct provision *provision, struct worker_handle *worker, int index)
{
	const struct provision_input *input = &provision->inputs[index];
	struct message message = {
		.type = MESSAGE_INPUT,
		.index = (uint32_t)index,
		.input = {.slots = input->slots,
			  .slot_bytes = input->slot_bytes,
			  .mtu = input->netif.mtu},
	};

	strcpy(message.input.interface, input->netif.name);
	if (input->fds[worker->index] < 0)
		message.type = MESSAGE_INPUT_GONE;
	workers_send(worker, &message, input->fds[worker->index]);
}

/* ------------------------------------------------------------------------- outputs */

int provision_find_output(const struct provision *provision, const struct rule_output *key)
{
	for (int i = 0; i < OUTPUTS_MAX; i++) {
		const struct rule_output *other = &provision->outputs[i].key;

		if (provision->outputs[i].used && other->to.group.s_addr == key->to.group.s_addr &&
		    other->to.port == key->to.port && other->ttl == key->ttl &&
		    strcmp(other->to.interface, key->to.interface) == 0)
			return i;
	}
	return -1;
}

bool provision_knows_interface(const char *name, void *context)
{
	const struct provision *provision = context;
	bool known = netif_exists(name, NULL) || find_input(provision, name) >= 0;

	for (int i = 0; i < OUTPUTS_MAX && !known; i++)
		known = provision->outputs[i].used &&
			strcmp(provision->outputs[i].key.to.interface, name) == 0;
	return known;
}

static int open_sockets(struct provision *provision, struct provision_output *output)
{
	unsigned count = provision->workers->count;

	output->error = 0;
	for (unsigned i = 0; i < count; i++) {
		output->fds[i] =
			sockets_open_output(&output->key, &output->netif, provision->config);
		if (output->fds[i] < 0) {
			output->error = -output->fds[i];
			close_all(output->fds, count);
			return -output->error;
		}
	}
	return 0;
}

static const char *hint(int error)
{
	switch (error) {
	case EADDRNOTAVAIL:
		return "; give it an IPv4 address: ip addr add ADDRESS/LEN dev INTERFACE";
	case ENETUNREACH:
	case ENETDOWN:
		return "; set it up: ip link set INTERFACE up";
	default:
		return "";
	}
}

static int output_claim(struct provision *provision, const struct rule_output *key, char *error)
{
	int index = 0, rc;
	struct provision_output *output;

	while (index < OUTPUTS_MAX && provision->outputs[index].used)
		index++;
	if (index == OUTPUTS_MAX)
		return explain(error, -ENOSPC, "rules have more than %d different outputs",
			       OUTPUTS_MAX);
	output = &provision->outputs[index];
	output->key = *key;
	rc = netif_query(key->to.interface, &output->netif);
	if (rc == 0)
		rc = open_sockets(provision, output);
	if (rc < 0)
		return explain(error, rc, "cannot send through %s: %s%s", key->to.interface,
			       strerror(-rc), hint(-rc));
	output->used = true;
	output->since_ms = now_ms();
	for (unsigned i = 0; i < provision->workers->count; i++)
		memset(&provision->workers->worker[i].shared->outputs[index], 0,
		       sizeof(struct output_counters));
	return index;
}

static void output_release(struct provision *provision, struct provision_output *output)
{
	close_all(output->fds, provision->workers->count);
	output->used = false;
}

static void send_output(struct provision *provision, struct worker_handle *worker, int index)
{
	const struct provision_output *output = &provision->outputs[index];
	struct message message = {
		.type = MESSAGE_OUTPUT,
		.index = (uint32_t)index,
		.output = {.mtu = output->netif.mtu, .error = output->error},
	};

	strcpy(message.output.interface, output->key.to.interface);
	workers_send(worker, &message, output->fds[worker->index]);
}

/* ------------------------------------------------------------------------- the plan */

static int find_rule(const struct rules *rules, const char *id)
{
	for (unsigned i = 0; i < rules->count; i++)
		if (strcmp(rules->rule[i].id, id) == 0)
			return (int)i;
	return -1;
}

static void clear_rule_counters(struct provision *provision, uint32_t slot)
{
	for (unsigned i = 0; i < provision->workers->count; i++)
		memset(&provision->workers->worker[i].shared->rules[slot], 0,
		       sizeof(struct rule_counters));
	provision->rule_since_ms[slot] = now_ms();
}

/* A rule that stays keeps its counters; a new one gets a slot that neither set uses. */
static uint32_t *assign_slots(struct provision *provision, const struct rules *next)
{
	uint32_t *slots = calloc(next->count + 1, sizeof(*slots));
	bool taken[RULES_MAX] = {false};
	uint32_t free_slot = 0;

	if (!slots)
		return NULL;
	for (unsigned i = 0; i < provision->rules.count; i++)
		taken[provision->slots[i]] = true;
	for (unsigned i = 0; i < next->count; i++) {
		int present = find_rule(&provision->rules, next->rule[i].id);

		if (present >= 0) {
			slots[i] = provision->slots[present];
			continue;
		}
		while (free_slot < RULES_MAX && taken[free_slot])
			free_slot++;
		if (free_slot == RULES_MAX) { /* all new, all full: reuse what goes */
			free(slots);
			return NULL;
		}
		slots[i] = free_slot;
		taken[free_slot] = true;
		clear_rule_counters(provision, free_slot);
	}
	return slots;
}

/* Returns a memfd with the plan, its size in *bytes; or negative errno. */
static int build_plan(const struct provision *provision, const struct rules *rules,
		      const uint32_t *slots, uint32_t *bytes)
{
	uint32_t num_outputs = 0, next = 0;
	struct plan *plan;
	uint32_t *outputs;
	int fd, rc = 0;

	for (unsigned i = 0; i < rules->count; i++)
		num_outputs += rules->rule[i].num_outputs;
	*bytes = plan_bytes(rules->count, num_outputs);
	plan = calloc(1, *bytes);
	if (!plan)
		return -ENOMEM;
	plan->num_rules = rules->count;
	plan->num_outputs = num_outputs;
	outputs = (uint32_t *)plan_outputs(plan);
	for (unsigned i = 0; i < rules->count; i++) {
		const struct rule *rule = &rules->rule[i];

		plan->rules[i] = (struct plan_rule){
			.group = rule->input.group.s_addr,
			.port = rule->input.port,
			.input = (uint16_t)find_input(provision, rule->input.interface),
			.slot = slots[i],
			.first_output = next,
			.num_outputs = rule->num_outputs,
		};
		for (unsigned j = 0; j < rule->num_outputs; j++)
			outputs[next++] =
				(uint32_t)provision_find_output(provision, &rule->outputs[j]);
	}
	fd = memfd_create("mcrelay-plan", MFD_CLOEXEC);
	if (fd < 0 || write(fd, plan, *bytes) != (ssize_t)*bytes)
		rc = -errno;
	free(plan);
	if (rc == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return rc;
}

static void send_plan(struct provision *provision, struct worker_handle *worker)
{
	const struct message message = {
		.type = MESSAGE_PLAN,
		.plan = {.generation = provision->generation, .bytes = provision->plan_bytes},
	};

	workers_send(worker, &message, provision->plan_fd);
}

/* ------------------------------------------------------------------------- a change of rules */

static bool input_needed(const struct rules *rules, const char *interface)
{
	for (unsigned i = 0; i < rules->count; i++)
		if (strcmp(rules->rule[i].input.interface, interface) == 0)
			return true;
	return false;
}

static bool output_needed(const struct rules *rules, const struct rule_output *key)
{
	for (unsigned i = 0; i < rules->count; i++)
		for (unsigned j = 0; j < rules->rule[i].num_outputs; j++) {
			const struct rule_output *other = &rules->rule[i].outputs[j];

			if (other->to.group.s_addr == key->to.group.s_addr &&
			    other->to.port == key->to.port && other->ttl == key->ttl &&
			    strcmp(other->to.interface, key->to.interface) == 0)
				return true;
		}
	return false;
}

/* Gives up what `rules` do not need; with `tell`, workers are told before. */
static void release_unneeded(struct provision *provision, const struct rules *rules, bool tell)
{
	for (int i = 0; i < INPUTS_MAX; i++) {
		struct provision_input *input = &provision->inputs[i];
		const struct message gone = {.type = MESSAGE_INPUT_GONE, .index = (uint32_t)i};

		if (!input->netif.name[0] || input_needed(rules, input->netif.name))
			continue;
		for (unsigned w = 0; tell && w < provision->workers->count; w++)
			workers_send(&provision->workers->worker[w], &gone, -1);
		input_release(provision, input, tell);
	}
	for (int i = 0; i < OUTPUTS_MAX; i++) {
		struct provision_output *output = &provision->outputs[i];
		const struct message gone = {.type = MESSAGE_OUTPUT_GONE, .index = (uint32_t)i};

		if (!output->used || output_needed(rules, &output->key))
			continue;
		for (unsigned w = 0; tell && w < provision->workers->count; w++)
			workers_send(&provision->workers->worker[w], &gone, -1);
		output_release(provision, output);
	}
}

/* Opens what the rules need and is not open yet. The inputs and outputs that are new are marked. */
static int open_needed(struct provision *provision, const struct rules *rules, bool *new_inputs,
		       bool *new_outputs, char *error)
{
	for (unsigned i = 0; i < rules->count; i++) {
		const struct rule *rule = &rules->rule[i];
		int index;

		if (find_input(provision, rule->input.interface) < 0) {
			index = input_claim(provision, rule->input.interface, error);
			if (index < 0)
				return index;
			new_inputs[index] = true;
		}
		for (unsigned j = 0; j < rule->num_outputs; j++) {
			if (provision_find_output(provision, &rule->outputs[j]) >= 0)
				continue;
			index = output_claim(provision, &rule->outputs[j], error);
			if (index < 0)
				return index;
			new_outputs[index] = true;
		}
	}
	for (int i = 0; i < INPUTS_MAX; i++) {
		struct provision_input *input = &provision->inputs[i];
		int rc;

		if (!input->netif.name[0] || !input_needed(rules, input->netif.name))
			continue;
		rc = input_subscribe(provision, input, rules, error);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* A set was refused on the way: what was subscribed to for it becomes what it was. */
static void roll_back(struct provision *provision)
{
	char error[PROVISION_ERROR_BYTES];

	release_unneeded(provision, &provision->rules, false);
	for (int i = 0; i < INPUTS_MAX; i++) {
		struct provision_input *input = &provision->inputs[i];

		if (input->netif.name[0] &&
		    input_subscribe(provision, input, &provision->rules, error) < 0)
			log_error("Ingress", "%s", error);
	}
}

static void announce(struct provision *provision, const bool *new_inputs, const bool *new_outputs)
{
	for (unsigned w = 0; w < provision->workers->count; w++) {
		struct worker_handle *worker = &provision->workers->worker[w];

		for (int i = 0; i < INPUTS_MAX; i++)
			if (new_inputs[i])
				send_input(provision, worker, i);
		for (int i = 0; i < OUTPUTS_MAX; i++)
			if (new_outputs[i])
				send_output(provision, worker, i);
		send_plan(provision, worker);
	}
}

int provision_set_rules(struct provision *provision, struct rules *next,
			char error[PROVISION_ERROR_BYTES])
{
	bool new_inputs[INPUTS_MAX] = {false}, new_outputs[OUTPUTS_MAX] = {false};
	uint32_t *slots = assign_slots(provision, next);
	uint32_t bytes = 0;
	int plan_fd = -1, rc;

	if (!slots)
		return explain(error, -ENOSPC, "no room for %u more rules", next->count);
	rc = open_needed(provision, next, new_inputs, new_outputs, error);
	if (rc == 0) {
		rc = plan_fd = build_plan(provision, next, slots, &bytes);
		if (rc < 0)
			explain(error, rc, "cannot build the plan of the rules: %s", strerror(-rc));
	}
	if (rc < 0) {
		roll_back(provision);
		free(slots);
		return rc;
	}
	if (provision->plan_fd >= 0)
		close(provision->plan_fd);
	rules_free(&provision->rules);
	free(provision->slots);
	provision->rules = *next;
	provision->slots = slots;
	provision->plan_fd = plan_fd;
	provision->plan_bytes = bytes;
	provision->generation++;
	announce(provision, new_inputs, new_outputs);
	release_unneeded(provision, &provision->rules, true);
	return 0;
}

void provision_equip(struct provision *provision, struct worker_handle *worker)
{
	for (int i = 0; i < INPUTS_MAX; i++)
		if (provision->inputs[i].netif.name[0])
			send_input(provision, worker, i);
	for (int i = 0; i < OUTPUTS_MAX; i++)
		if (provision->outputs[i].used)
			send_output(provision, worker, i);
	if (provision->plan_fd >= 0)
		send_plan(provision, worker);
}

/* ------------------------------------------------------------------------- interfaces that change
 */

static void follow_input(struct provision *provision, int index)
{
	struct provision_input *input = &provision->inputs[index];
	char error[PROVISION_ERROR_BYTES];
	struct netif now;

	netif_query(input->netif.name, &now);
	if (!netif_replaced(&input->netif, &now) && input->fds[0] >= 0)
		return;
	provision_count_drops(provision);
	exclusive_close(&input->exclusive);
	membership_leave(&input->membership);
	bury(provision, input->fds, provision->workers->count);
	input->netif = now;
	if (now.index && (open_rings(provision, index, error) < 0 ||
			  input_subscribe(provision, input, &provision->rules, error) < 0))
		log_error("Ingress", "%s", error);
	for (unsigned w = 0; w < provision->workers->count; w++) {
		/* another ring: its first slot is the next */
		provision->workers->worker[w].shared->places[index] = (struct ring_place){0};
		send_input(provision, &provision->workers->worker[w], index);
	}
}

/* An output that could not be opened is tried again whenever something changes. */
static void follow_output(struct provision *provision, int index)
{
	struct provision_output *output = &provision->outputs[index];
	struct netif now;

	netif_query(output->key.to.interface, &now);
	if (!netif_replaced(&output->netif, &now) && output->fds[0] >= 0)
		return;
	close_all(output->fds, provision->workers->count);
	output->netif = now;
	open_sockets(provision, output);
	for (unsigned w = 0; w < provision->workers->count; w++)
		send_output(provision, &provision->workers->worker[w], index);
}

void provision_follow_interfaces(struct provision *provision)
{
	for (int i = 0; i < INPUTS_MAX; i++)
		if (provision->inputs[i].netif.name[0])
			follow_input(provision, i);
	for (int i = 0; i < OUTPUTS_MAX; i++)
		if (provision->outputs[i].used)
			follow_output(provision, i);
}

/* ------------------------------------------------------------------------- the rest */

void provision_count_drops(struct provision *provision)
{
	for (int i = 0; i < INPUTS_MAX; i++)
		for (unsigned w = 0; w < provision->workers->count; w++)
			if (provision->inputs[i].netif.name[0])
				counter_add(&provision->workers->worker[w].shared->counters,
					    COUNTER_buffer_exhaustion,
					    sockets_take_ring_drops(provision->inputs[i].fds[w]));
}

void provision_quiesce(struct provision *provision)
{
	for (int i = 0; i < INPUTS_MAX; i++)
		for (unsigned w = 0; w < provision->workers->count; w++)
			if (provision->inputs[i].fds[w] >= 0)
				sockets_quiesce_ring(provision->inputs[i].fds[w]);
}

int provision_init(struct provision *provision, const struct config *config,
		   struct workers *workers)
{
	*provision = (struct provision){.config = config, .workers = workers, .plan_fd = -1};
	provision->inputs = calloc(INPUTS_MAX, sizeof(*provision->inputs));
	provision->outputs = calloc(OUTPUTS_MAX, sizeof(*provision->outputs));
	if (!provision->inputs || !provision->outputs) {
		log_error("Supervisor", "out of memory");
		return -ENOMEM;
	}
	for (int i = 0; i < INPUTS_MAX; i++)
		memset(provision->inputs[i].fds, -1, sizeof(provision->inputs[i].fds));
	for (int i = 0; i < OUTPUTS_MAX; i++)
		memset(provision->outputs[i].fds, -1, sizeof(provision->outputs[i].fds));
	return 0;
}

void provision_exit(struct provision *provision)
{
	const struct rules none = {0};

	if (provision->inputs && provision->outputs)
		release_unneeded(provision, &none, false);
	while (provision->num_graves)
		close_oldest_grave(provision);
	if (provision->plan_fd >= 0)
		close(provision->plan_fd);
	rules_free(&provision->rules);
	free(provision->slots);
	free(provision->inputs);
	free(provision->outputs);
}
