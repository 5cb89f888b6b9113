// SPDX-License-Identifier: MIT
/* inputs: see inputs.h. */
#include "supervisor/inputs.h"
#include "common/clock.h"
#include "common/log.h"
#include "supervisor/provision.h"
#include "supervisor/sockets.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int inputs_find(const struct provision *provision, const char *interface)
{
	for (int i = 0; i < INPUTS_MAX; i++)
		if (strcmp(provision->inputs[i].netif.name, interface) == 0)
			return i;
	return -1;
}

/* The sockets of one interface form a fanout group when there are several. It is always a new one,
 * which the kernel numbers: packets for members of another relay's group, or of one that waits in
 * its graves, would be lost. A flow's packets all go to one member; fragments are put together
 * first. */
static int join_fanout(const struct provision *provision, const int *fds, unsigned member)
{
	uint32_t type = provision->config->fanout_cpu ? PACKET_FANOUT_CPU : PACKET_FANOUT_HASH;
	uint32_t flags = PACKET_FANOUT_FLAG_DEFRAG, group = 0;
	socklen_t size = sizeof(group);

	if (provision->workers->count == 1)
		return 0;
	if (member == 0)
		flags |= PACKET_FANOUT_FLAG_UNIQUEID;
	else if (getsockopt(fds[0], SOL_PACKET, PACKET_FANOUT, &group, &size) < 0)
		return -errno;
	group = (group & 0xffff) | (type | flags) << 16;
	return setsockopt(fds[member], SOL_PACKET, PACKET_FANOUT, &group, sizeof(group)) < 0
		       ? -errno
		       : 0;
}

/* With --gro; and finds out whether aggregates are to be expected. */
static int start_aggregation(struct provision *provision, struct provision_input *input,
			     char *error)
{
	int rc = 0;

	if (provision->config->gro && !input->offload.interface[0])
		rc = offload_open(&input->offload, input->netif.name);
	if (rc < 0)
		return provision_explain(error, rc, "cannot turn on GRO on %s for --gro: %s%s",
					 input->netif.name, strerror(-rc),
					 rc == -EPERM ? "; it needs CAP_NET_ADMIN" : "");
	input->aggregates = offload_aggregates(input->netif.name);
	return 0;
}

static int open_rings(struct provision *provision, int index, char *error)
{
	struct provision_input *input = &provision->inputs[index];
	unsigned count = provision->workers->count;
	int rc = 0;

	input->ring = ++provision->rings;
	if (provision->config->worker.ingress == INGRESS_RING)
		input->shape =
			sockets_ring_shape(&input->netif, provision->config, input->aggregates);
	for (unsigned i = 0; i < count && rc == 0; i++) {
		input->fds[i] = sockets_open_ring(&input->netif, provision->config, input->shape);
		rc = input->fds[i] < 0 ? input->fds[i] : join_fanout(provision, input->fds, i);
	}
	if (rc == 0 && provision->quiesced)
		inputs_quiesce(provision);
	if (rc == 0)
		return 0;
	provision_close(input->fds, count);
	return provision_explain(error, rc, "cannot receive on %s: %s%s", input->netif.name,
				 strerror(-rc),
				 rc == -EPERM ? "; run as root or with CAP_NET_RAW" : "");
}

/* `shared`: workers have its sockets, too. */
static void input_release(struct provision *provision, struct provision_input *input, bool shared)
{
	exclusive_close(&input->exclusive);
	membership_leave(&input->membership);
	offload_close(&input->offload);
	if (shared)
		graves_bury(&provision->graves, input->fds, provision->workers->count, now_ms());
	provision_close(input->fds, provision->workers->count);
	input->netif.name[0] = '\0';
}

int inputs_claim(struct provision *provision, const char *interface, char *error)
{
	int index = inputs_find(provision, "");
	struct provision_input *input = &provision->inputs[index];
	int rc;

	if (index < 0)
		return provision_explain(error, -ENOSPC, "rules receive on more than %d interfaces",
					 INPUTS_MAX);
	rc = netif_query(interface, &input->netif);
	if (rc < 0)
		provision_explain(error, rc, "cannot use interface %s: %s", interface,
				  strerror(-rc));
	else
		rc = start_aggregation(provision, input, error);
	if (rc == 0)
		rc = open_rings(provision, index, error);
	if (rc < 0) {
		offload_close(&input->offload);
		input->netif.name[0] = '\0';
	}
	return rc < 0 ? rc : index;
}

int input_subscribe(struct provision *provision, struct provision_input *input,
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
			provision_explain(error, rc, "cannot join the group of rule %s on %s: %s",
					  rules->rule[i].id, from->interface, strerror(-rc));
	}
	if (rc == 0 && provision->config->exclusive) {
		rc = exclusive_open(&exclusive, rules, input->netif.name, input->netif.index);
		if (rc < 0)
			provision_explain(
				error, rc,
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

void input_send(struct provision *provision, struct worker_handle *worker, int index)
{
	const struct provision_input *input = &provision->inputs[index];
	struct message message = {
		.type = MESSAGE_INPUT,
		.index = (uint32_t)index,
		.input = {.slots = input->shape.slots,
			  .slot_bytes = input->shape.slot_bytes,
			  .ring = input->ring,
			  .frame_bytes =
				  input->offload.interface[0] ? UINT16_MAX : input->netif.mtu},
	};

	strcpy(message.input.interface, input->netif.name);
	if (input->fds[worker->index] < 0)
		message.type = MESSAGE_INPUT_GONE;
	workers_send(worker, &message, input->fds[worker->index]);
}

bool inputs_needed(const struct rules *rules, const char *interface)
{
	for (unsigned i = 0; i < rules->count; i++)
		if (strcmp(rules->rule[i].input.interface, interface) == 0)
			return true;
	return false;
}

void inputs_release_unneeded(struct provision *provision, const struct rules *rules, bool tell)
{
	for (int i = 0; i < INPUTS_MAX; i++) {
		struct provision_input *input = &provision->inputs[i];
		const struct message gone = {.type = MESSAGE_INPUT_GONE, .index = (uint32_t)i};

		if (!input->netif.name[0] || inputs_needed(rules, input->netif.name))
			continue;
		for (unsigned w = 0; tell && w < provision->workers->count; w++)
			workers_send(&provision->workers->worker[w], &gone, -1);
		inputs_count_drops(provision); /* for the last time */
		input_release(provision, input, tell);
	}
}

static void follow_input(struct provision *provision, int index)
{
	struct provision_input *input = &provision->inputs[index];
	char error[PROVISION_ERROR_BYTES];
	struct netif now;
	int rc = netif_query(input->netif.name, &now);

	if (rc < 0 && rc != -ENODEV) /* who knows; it is not said to be gone */
		return;
	if (!netif_replaced(&input->netif, &now) && input->fds[0] >= 0)
		return;
	inputs_count_drops(provision);
	exclusive_close(&input->exclusive);
	membership_leave(&input->membership);
	graves_bury(&provision->graves, input->fds, provision->workers->count, now_ms());
	if (now.index != input->netif.index) /* whatever was turned on went with the old one */
		input->offload = (struct offload){0};
	input->netif = now;
	if (now.index && (start_aggregation(provision, input, error) < 0 ||
			  open_rings(provision, index, error) < 0 ||
			  input_subscribe(provision, input, &provision->rules, error) < 0))
		log_error("Ingress", "%s", error);
	for (unsigned w = 0; w < provision->workers->count; w++)
		input_send(provision, &provision->workers->worker[w], index);
}

void inputs_follow(struct provision *provision)
{
	for (int i = 0; i < INPUTS_MAX; i++)
		if (provision->inputs[i].netif.name[0])
			follow_input(provision, i);
}

static void count_drops(struct provision_input *input, int index, struct worker_handle *worker)
{
	struct shared *shared = worker->shared;
	const uint64_t dropped = sockets_take_ring_drops(input->fds[worker->index]);
	const uint64_t frames = counter_read(&shared->places[index].frames);
	const uint64_t packets = counter_read(&shared->places[index].packets);
	const uint64_t new_frames = frames - input->seen[worker->index].frames;
	const uint64_t new_packets = packets - input->seen[worker->index].packets;

	input->seen[worker->index].frames = frames;
	input->seen[worker->index].packets = packets;
	counter_add(&shared->counters, COUNTER_exhaustion_frames, dropped);
	counter_add(&shared->counters, COUNTER_buffer_exhaustion,
		    new_packets > new_frames && new_frames
			    ? (dropped * new_packets + new_frames / 2) / new_frames
			    : dropped);
}

void inputs_count_drops(struct provision *provision)
{
	for (int i = 0; i < INPUTS_MAX; i++)
		for (unsigned w = 0; w < provision->workers->count; w++)
			if (provision->inputs[i].netif.name[0])
				count_drops(&provision->inputs[i], i,
					    &provision->workers->worker[w]);
}

void inputs_quiesce(struct provision *provision)
{
	for (int i = 0; i < INPUTS_MAX; i++)
		for (unsigned w = 0; w < provision->workers->count; w++)
			if (provision->inputs[i].fds[w] >= 0)
				sockets_quiesce_ring(provision->inputs[i].fds[w]);
}
