// SPDX-License-Identifier: MIT
/* inputs: see inputs.h. */
#include "supervisor/inputs.h"
#include "common/clock.h"
#include "common/errno_reason.h"
#include "common/log.h"
#include "supervisor/refusal.h"
#include "supervisor/sockets.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int inputs_init(struct inputs *inputs, const struct config *config, struct workers *workers)
{
	*inputs = (struct inputs){.config = config, .workers = workers};
	inputs->input = calloc(INPUT_NUMBERS, sizeof(*inputs->input));
	if (!inputs->input)
		return -ENOMEM;
	/* twice as many as one change of rules can give up */
	if (deferred_close_init(&inputs->closing, 2 * INPUTS_MAX * FRAME_CLASSES * workers->count) <
	    0)
		return -ENOMEM;
	for (int i = 0; i < INPUT_NUMBERS; i++)
		memset(inputs->input[i].fds, -1, sizeof(inputs->input[i].fds));
	return 0;
}

void inputs_exit(struct inputs *inputs)
{
	const struct rules none = {0};

	if (inputs->input)
		inputs_release_unneeded(inputs, &none, false);
	deferred_close_exit(&inputs->closing);
	free(inputs->input);
	inputs->input = NULL;
}

int inputs_find(const struct inputs *inputs, const char *interface)
{
	for (int i = 0; i < INPUT_NUMBERS; i++)
		if (strcmp(inputs->input[i].netif.name, interface) == 0)
			return i;
	return -1;
}

/* The sockets of one interface form a fanout group when there are several. It is always a new one,
 * which the kernel numbers: packets for members of another relay's group, or of one that waits in
 * still to be closed, would be lost. A flow's packets all go to one member; fragments are put
 * together first. */
static int join_fanout(const struct inputs *inputs, const int *fds, unsigned member)
{
	uint32_t type = inputs->config->fanout_cpu ? PACKET_FANOUT_CPU : PACKET_FANOUT_HASH;
	uint32_t flags = 0, group = 0;
	socklen_t size = sizeof(group);

	if (inputs->workers->count == 1)
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

int inputs_check_link(const struct netif *netif, char *error)
{
	if (netif_frames(netif) != NETIF_OTHER)
		return 0;
	return refusal_explain(error, -EPROTONOSUPPORT,
			       "cannot receive on %s: its link (type %u) carries neither Ethernet "
			       "frames nor IP packets",
			       netif->name, netif->type);
}

static const char *hint_of_gro(int rc)
{
	switch (rc) {
	case -EPERM:
		return "; it needs CAP_NET_ADMIN";
	case -EOPNOTSUPP:
		return "; this interface has none for what it passes on: go without --gro";
	default:
		return "";
	}
}

/* With --gro. */
static int start_aggregation(struct inputs *inputs, struct provision_input *input, char *error)
{
	int rc = 0;

	if (inputs->config->gro && !input->offload.index)
		rc = offload_open(&input->offload, input->netif.index);
	if (rc < 0)
		return refusal_explain(error, rc, "cannot turn on GRO on %s for --gro: %s%s",
				       input->netif.name, strerror(-rc), hint_of_gro(rc));
	return 0;
}

static void close_sockets(struct inputs *inputs, struct provision_input *input)
{
	for (int class = 0; class < FRAME_CLASSES; class ++)
		close_all(input->fds[class], inputs->workers->count);
}

/* Workers may still have them. */
static void close_sockets_later(struct inputs *inputs, struct provision_input *input)
{
	for (int class = 0; class < FRAME_CLASSES; class ++)
		deferred_close_add(&inputs->closing, input->fds[class], inputs->workers->count,
				   now_ms());
}

static int open_class(struct inputs *inputs, struct provision_input *input, enum frame_class class)
{
	int *fds = input->fds[class];
	int rc = 0;

	for (unsigned i = 0; i < inputs->workers->count && rc == 0; i++) {
		fds[i] = sockets_open_input(&input->netif, input->shapes[class]);
		rc = fds[i] < 0 ? fds[i] : join_fanout(inputs, fds, i);
	}
	return rc;
}

/* Before the first time, the sockets have been deaf: one that had not joined its group yet would
 * have received what is for others. */
static int listen_all(struct inputs *inputs, struct provision_input *input)
{
	int rc = 0;

	for (int class = 0; class < FRAME_CLASSES; class ++)
		for (unsigned i = 0; i < inputs->workers->count && rc == 0; i++)
			if (input->fds[class][i] >= 0 && !inputs->quiesced)
				rc = sockets_listen(input->fds[class][i], &input->netif,
						    input->shapes, (enum frame_class) class,
						    &input->keys);
	return rc;
}

static void ask_for(struct filter_keys *keys, const struct provision_input *input,
		    const struct rules *rules)
{
	for (unsigned i = 0; i < rules->count; i++) {
		const struct endpoint *from = &rules->rule[i].input;

		if (strcmp(from->interface, input->netif.name) == 0)
			filter_keys_add(keys, from->group, from->port);
	}
}

/* 0; or negative errno, and all is as before, unless the kernel refuses that, too. */
static int let_in(struct inputs *inputs, struct provision_input *input,
		  const struct filter_keys *keys)
{
	const struct filter_keys before = input->keys;
	int rc;

	if (filter_keys_equal(keys, &before))
		return 0;
	input->keys = *keys;
	rc = listen_all(inputs, input);
	if (rc < 0) {
		input->keys = before;
		listen_all(inputs, input);
	}
	return rc;
}

/* Nothing has been put into new ones. */
static void begin_rings(struct inputs *inputs, int index)
{
	for (unsigned w = 0; w < inputs->workers->count; w++)
		for (int class = 0; class < FRAME_CLASSES; class ++)
			__atomic_store_n(&inputs->workers->worker[w]
						  .shared->positions[index][class]
						  .accepted,
					 0, __ATOMIC_RELEASE);
}

static int open_rings(struct inputs *inputs, int index, char *error)
{
	struct provision_input *input = &inputs->input[index];
	int rc;

	input->ring = ++inputs->rings;
	begin_rings(inputs, index);
	sockets_ring_shapes(&input->netif, inputs->config, input->shapes);
	rc = open_class(inputs, input, FRAMES_SMALL);
	if (rc == 0 && input->shapes[FRAMES_LARGE].slots)
		rc = open_class(inputs, input, FRAMES_LARGE);
	if (rc == 0)
		rc = listen_all(inputs, input);
	if (rc == 0)
		return 0;
	close_sockets(inputs, input);
	return refusal_explain(
		error, rc, "cannot receive on %s: %s%s", input->netif.name, strerror(-rc),
		rc == -EPERM ? "; run as root or with CAP_NET_RAW" : reason_of_shortage(rc));
}

/* `shared`: workers have its sockets, too. */
static void input_release(struct inputs *inputs, struct provision_input *input, bool shared)
{
	exclusive_close(&input->exclusive);
	membership_leave(&input->membership);
	offload_close(&input->offload);
	if (shared)
		close_sockets_later(inputs, input);
	close_sockets(inputs, input);
	input->keys.count = 0;
	input->keys.everything = false;
	input->netif.name[0] = '\0';
}

static int input_open(struct inputs *inputs, int index, char *error)
{
	struct provision_input *input = &inputs->input[index];
	int rc = inputs_check_link(&input->netif, error);

	if (rc == 0)
		rc = start_aggregation(inputs, input, error);
	if (rc == 0)
		rc = open_rings(inputs, index, error);
	if (rc < 0)
		offload_close(&input->offload);
	return rc;
}

static bool is_open(const struct provision_input *input)
{
	return input->fds[FRAMES_SMALL][0] >= 0;
}

int inputs_claim(struct inputs *inputs, const struct netif *netif, char *error)
{
	int index = inputs_find(inputs, "");
	struct provision_input *input = &inputs->input[index];
	int rc = 0;

	input->netif = *netif;
	input->reason[0] = '\0';
	if (netif->index)
		rc = input_open(inputs, index, error);
	if (rc == 0)
		return index;
	if (netif_may_come(rc)) {
		strcpy(input->reason, error);
		return index;
	}
	input->netif.name[0] = '\0';
	return rc;
}

/* A rule that names its sources one by one has its group joined for those alone. */
static int join_for(struct membership *membership, int ifindex, const struct rule *rule)
{
	int rc = 0;

	if (!rule_names_sources(rule))
		return membership_join(membership, ifindex, rule->input.group);
	for (unsigned i = 0; i < rule->num_sources && rc == 0; i++)
		rc = membership_join_source(membership, ifindex, rule->input.group,
					    (struct in_addr){htonl(rule->sources[i].address)});
	return rc;
}

static int subscribe(struct inputs *inputs, struct provision_input *input,
		     const struct rules *rules, char *error)
{
	struct membership membership = {0};
	struct exclusive exclusive = {0};
	struct filter_keys keys = input->keys;
	int rc = 0;

	for (unsigned i = 0; i < rules->count && rc == 0; i++) {
		const struct endpoint *from = &rules->rule[i].input;

		if (strcmp(from->interface, input->netif.name) == 0)
			rc = join_for(&membership, input->netif.index, &rules->rule[i]);
		if (rc < 0)
			refusal_explain(error, rc, "cannot join the group of rule %s on %s: %s%s",
					rules->rule[i].id, from->interface, strerror(-rc),
					reason_of_shortage(rc));
	}
	if (rc == 0 && inputs->config->exclusive) {
		rc = exclusive_open(&exclusive, rules, &input->netif);
		if (rc < 0)
			refusal_explain(
				error, rc,
				"cannot take packets on %s with --exclusive: %s; it needs Linux "
				"6.6 and CAP_NET_ADMIN",
				input->netif.name, strerror(-rc));
	}
	ask_for(&keys, input, rules);
	if (rc == 0) {
		rc = let_in(inputs, input, &keys);
		if (rc < 0)
			refusal_explain(error, rc, "cannot let packets in on %s: %s",
					input->netif.name, strerror(-rc));
	}
	if (rc < 0) {
		exclusive_close(&exclusive);
		membership_leave(&membership);
		return rc;
	}
	exclusive_close(&input->exclusive);
	membership_leave(&input->membership);
	input->exclusive = exclusive;
	input->membership = membership;
	return 0;
}

int input_subscribe(struct inputs *inputs, struct provision_input *input, const struct rules *rules,
		    char *error)
{
	int rc;

	if (!is_open(input)) /* this is done when it is */
		return 0;
	rc = subscribe(inputs, input, rules, error);
	strcpy(input->reason, rc < 0 && netif_may_come(rc) ? error : "");
	return input->reason[0] ? 0 : rc;
}

void input_narrow(struct inputs *inputs, struct provision_input *input, const struct rules *rules)
{
	struct filter_keys keys = {0};
	int rc;

	ask_for(&keys, input, rules);
	rc = let_in(inputs, input, &keys);
	if (rc < 0)
		log_warning("Ingress", "more is let in on %s than rules ask for: %s",
			    input->netif.name, strerror(-rc));
}

static void send_class(const struct provision_input *input, struct worker_handle *worker, int index,
		       enum frame_class class)
{
	const int fd = input->fds[class][worker->index];
	struct message message = {
		.type = MESSAGE_INPUT,
		.index = (uint32_t)index,
		.input = {.frames = class,
			  .slots = input->shapes[class].slots,
			  .slot_bytes = input->shapes[class].slot_bytes,
			  .ring = input->ring,
			  .bare = netif_frames(&input->netif) == NETIF_BARE,
			  .frame_bytes = input->offload.index ? UINT16_MAX : input->netif.mtu},
	};

	strcpy(message.input.interface, input->netif.name);
	if (fd >= 0)
		workers_send(worker, &message, fd);
}

void input_send(struct inputs *inputs, struct worker_handle *worker, int index)
{
	const struct provision_input *input = &inputs->input[index];
	const struct message gone = {.type = MESSAGE_INPUT_GONE, .index = (uint32_t)index};

	if (input->fds[FRAMES_SMALL][worker->index] < 0)
		workers_send(worker, &gone, -1);
	for (int class = 0; class < FRAME_CLASSES; class ++)
		send_class(input, worker, index, (enum frame_class) class);
}

bool inputs_needed(const struct rules *rules, const char *interface)
{
	for (unsigned i = 0; i < rules->count; i++)
		if (strcmp(rules->rule[i].input.interface, interface) == 0)
			return true;
	return false;
}

void inputs_release_unneeded(struct inputs *inputs, const struct rules *rules, bool tell)
{
	for (int i = 0; i < INPUT_NUMBERS; i++) {
		struct provision_input *input = &inputs->input[i];
		const struct message gone = {.type = MESSAGE_INPUT_GONE, .index = (uint32_t)i};

		if (!input->netif.name[0] || inputs_needed(rules, input->netif.name))
			continue;
		for (unsigned w = 0; tell && w < inputs->workers->count; w++)
			workers_send(&inputs->workers->worker[w], &gone, -1);
		inputs_count_drops(inputs); /* for the last time */
		input_release(inputs, input, tell);
	}
}

/* The reason why it could not be opened is logged when it is another one than before. */
static void open_anew(struct inputs *inputs, int index, const struct rules *rules)
{
	struct provision_input *input = &inputs->input[index];
	char error[REFUSAL_BYTES] = "";
	int rc = input_open(inputs, index, error);

	if (rc == 0)
		rc = subscribe(inputs, input, rules, error);
	if (rc < 0)
		close_sockets(inputs, input);
	if (rc < 0 && strcmp(input->reason, error) != 0)
		log_error("Ingress", "%s; trying again", error);
	strcpy(input->reason, error);
}

static void follow_input(struct inputs *inputs, int index, const struct rules *rules,
			 const struct netif *now)
{
	struct provision_input *input = &inputs->input[index];
	const bool was_open = is_open(input);
	char error[REFUSAL_BYTES];

	/* its sockets are bound to the index, and take frames of any size: another address or MTU
	 * changes nothing */
	if (was_open && input->netif.index == now->index) {
		input->netif = *now;
		if (input->reason[0])
			input_subscribe(inputs, input, rules, error);
		return;
	}
	if (was_open) {
		inputs_count_drops(inputs);
		exclusive_close(&input->exclusive);
		membership_leave(&input->membership);
		close_sockets_later(inputs, input);
	}
	if (now->index != input->netif.index) /* the old one may be there still, by another name */
		offload_close(&input->offload);
	input->netif = *now;
	if (now->index)
		open_anew(inputs, index, rules);
	else
		input->reason[0] = '\0';
	for (unsigned w = 0; w < inputs->workers->count && (was_open || is_open(input)); w++)
		input_send(inputs, &inputs->workers->worker[w], index);
}

bool inputs_all_open(const struct inputs *inputs)
{
	for (int i = 0; i < INPUT_NUMBERS; i++)
		if (inputs->input[i].netif.name[0] && inputs->input[i].reason[0])
			return false;
	return true;
}

void inputs_rename(struct inputs *inputs, const struct interfaces *interfaces)
{
	for (int i = 0; i < INPUT_NUMBERS; i++)
		for (unsigned j = 0; j < interfaces->count; j++) {
			const struct netif *now = &interfaces->interface[j].netif;
			struct provision_input *input = &inputs->input[i];

			if (input->netif.name[0] && now->index &&
			    now->index == input->netif.index && inputs_find(inputs, now->name) < 0)
				strcpy(input->netif.name, now->name);
		}
}

void inputs_follow(struct inputs *inputs, const struct rules *rules,
		   const struct interfaces *interfaces)
{
	for (unsigned j = 0; j < interfaces->count; j++) {
		const struct netif *now = &interfaces->interface[j].netif;
		int index = inputs_find(inputs, now->name);

		if (index >= 0)
			follow_input(inputs, index, rules, now);
	}
}

void inputs_keep_offloads(struct inputs *inputs)
{
	static struct log_limit complaints = {.lines = 5, .seconds = 60};

	for (int i = 0; inputs->config->gro && i < INPUT_NUMBERS; i++) {
		struct provision_input *input = &inputs->input[i];
		int rc = input->netif.index ? offload_keep(&input->offload) : 0;

		if (rc < 0)
			log_limited(&complaints, LEVEL_WARNING, "Ingress",
				    "cannot turn on GRO on %s again: %s", input->netif.name,
				    strerror(-rc));
	}
}

/* A worker may look meanwhile at what has been accepted. */
static uint64_t take_drops(int fd, struct ring_position *position)
{
	uint64_t accepted = position->accepted, dropped;

	__atomic_add_fetch(&position->asking, 1, __ATOMIC_ACQ_REL);
	dropped = sockets_take_drops(fd, &accepted);
	__atomic_store_n(&position->accepted, accepted, __ATOMIC_RELEASE);
	__atomic_add_fetch(&position->asking, 1, __ATOMIC_ACQ_REL);
	return dropped;
}

/* Those of one socket. */
static void count_drops(struct provision_input *input, int index, int class,
			struct worker_handle *worker)
{
	struct shared *shared = worker->shared;
	struct ring_position *position = &shared->positions[index][class];
	const uint64_t dropped = take_drops(input->fds[class][worker->index], position);
	const uint64_t frames = counter_read(&position->frames);
	const uint64_t packets = counter_read(&position->packets);
	const uint64_t new_frames = frames - input->seen[class][worker->index].frames;
	const uint64_t new_packets = packets - input->seen[class][worker->index].packets;

	input->seen[class][worker->index].frames = frames;
	input->seen[class][worker->index].packets = packets;
	counter_add(&shared->counters, COUNTER_exhaustion_frames, dropped);
	counter_add(&shared->counters, COUNTER_buffer_exhaustion,
		    new_packets > new_frames && new_frames
			    ? (dropped * new_packets + new_frames / 2) / new_frames
			    : dropped);
}

void inputs_count_drops(struct inputs *inputs)
{
	for (int i = 0; i < INPUT_NUMBERS; i++) {
		struct provision_input *input = &inputs->input[i];

		if (!input->netif.name[0])
			continue;
		for (unsigned w = 0; w < inputs->workers->count; w++)
			for (int class = 0; class < FRAME_CLASSES; class ++)
				count_drops(input, i, class, &inputs->workers->worker[w]);
	}
}

void inputs_quiesce(struct inputs *inputs)
{
	inputs->quiesced = true;
	for (int i = 0; inputs->input && i < INPUT_NUMBERS; i++)
		for (int class = 0; class < FRAME_CLASSES; class ++)
			for (unsigned w = 0; w < inputs->workers->count; w++)
				if (inputs->input[i].fds[class][w] >= 0)
					sockets_quiesce_input(inputs->input[i].fds[class][w]);
}
