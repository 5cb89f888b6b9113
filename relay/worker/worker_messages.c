// SPDX-License-Identifier: MIT
/*
 * worker_messages: how messages of the supervisor change what the loop works with, always between
 * two bursts.
 */
#include "common/errno_reason.h"
#include "common/log.h"
#include "worker/books.h"
#include "worker/worker_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Before the next burst. A supervisor that sends faster than a worker takes (clients that change
 * rules in a rush) must not keep it from its packets. */
enum { MESSAGES_PER_TURN = 64 };

/* ------------------------------------------------------------------------- inputs and outputs */

static unsigned waiter_index(unsigned index, unsigned class)
{
	return INPUTS_INDEX + index * FRAME_CLASSES + class;
}

static void ingress_close(struct worker *worker, unsigned index, unsigned class)
{
	struct ingress *ingress = &worker->inputs[index].ingress[class];

	if (ingress->fd < 0)
		return;
	waiter_set(&worker->waiter, waiter_index(index, class), -1);
	ingress->ops->close(ingress);
	close(ingress->fd);
	free(ingress->holds);
	ingress->fd = -1;
}

void worker_input_close(struct worker *worker, unsigned index)
{
	for (unsigned class = 0; class < FRAME_CLASSES; class ++)
		ingress_close(worker, index, class);
}

/* The position in a ring that a predecessor has worked on; in another one, the first slot is the
 * next. */
static struct ring_position *take_position(struct worker *worker, const struct message *message)
{
	struct ring_position *position =
		&worker->shared->positions[message->index][message->input.frames];

	if (position->ring != message->input.ring) {
		position->ring = message->input.ring;
		if (position->turn == 0) /* a predecessor's, in doubt */
			books_count_lost(&worker->counters, &worker->in_hand, position->uncounted);
		position->head = position->lent = position->uncounted = 0;
		position->frames_at_first = position->frames;
		position->accepted_here = 0;
		position->doubtful = false;
	}
	return position;
}

static int input_open(struct worker *worker, const struct message *message, int fd)
{
	const unsigned class = message->input.frames;
	struct ingress *ingress = &worker->inputs[message->index].ingress[class];
	const bool ring = message->input.slots > 0;
	int rc;

	/* another interface, or other rings: nothing of the old ones is left */
	if (class == FRAMES_SMALL)
		worker_input_close(worker, message->index);
	*ingress = (struct ingress){
		.ops = ring ? &ingress_ring_ops : &ingress_uring_ops,
		.fd = fd,
		.slots = message->input.slots,
		.slot_bytes = message->input.slot_bytes,
		.bare = message->input.bare,
		.counters = &worker->counters,
		.position = take_position(worker, message),
		.in_hand = &worker->in_hand,
		.uring = {.shared = &worker->recv_uring, .frame_bytes = message->input.frame_bytes},
	};
	memcpy(ingress->interface, message->input.interface, sizeof(ingress->interface));
	rc = ingress->ops->open(ingress);
	ingress->holds = rc == 0 ? calloc(ingress->slots, sizeof(*ingress->holds)) : NULL;
	if (!ingress->holds) {
		if (rc == 0)
			ingress->ops->close(ingress);
		log_error("Ingress", "cannot receive on %s: %s%s", ingress->interface,
			  strerror(rc < 0 ? -rc : ENOMEM),
			  reason_of_shortage(rc < 0 ? rc : -ENOMEM));
		close(fd);
		ingress->fd = -1;
		return rc;
	}
	waiter_set(&worker->waiter, waiter_index(message->index, class),
		   ingress->ops->wait_fd(ingress));
	if (message->index >= worker->num_inputs)
		worker->num_inputs = message->index + 1;
	return 0;
}

void worker_output_close(struct worker *worker, unsigned index)
{
	struct output *output = &worker->outputs[index];

	if (output->fd >= 0)
		close(output->fd);
	output->fd = -1;
	egress_notes_put(output->notes);
	output->notes = NULL;
}

static void output_open(struct worker *worker, const struct message *message, int fd)
{
	struct output *output = &worker->outputs[message->index];

	worker_output_close(worker, message->index);
	*output = (struct output){
		.fd = fd,
		.error = message->output.error,
		.gso_most =
			worker->settings.gso != GSO_OFF && message->output.mtu > UDP_IPV4_HEADERS
				? message->output.mtu - UDP_IPV4_HEADERS
				: 0,
		.marks = (message->output.decrement_ttl ? MARKS_TTL : 0) |
			 (message->output.keep_dscp ? MARKS_DSCP : 0),
		.counters = &worker->shared->outputs[message->index],
		.notes = egress_notes_get(worker->notes, message->output.interface),
	};
	output->gso_limit = output->gso_most;
	books_begin_output(worker->shared, message->index, message->output.born);
	memcpy(output->interface, message->output.interface, sizeof(output->interface));
}

/* ------------------------------------------------------------------------- rules */

/* What does not change with the rules. */
static struct forwarder forwarder_base(struct worker *worker)
{
	return (struct forwarder){
		.counters = &worker->counters,
		.egress = &worker->egress,
		.handoff = split(worker) ? &worker->handoff : NULL,
		.reassembly = &worker->reassembly,
		.loops = &worker->loops,
		.tick = worker->forwarder.tick,
		.log_packets = worker->settings.log_packets,
		.drill = worker->settings.drill,
	};
}

int worker_forwarder_init(struct forwarder *next, struct worker *worker, const struct plan *plan)
{
	*next = forwarder_base(worker);
	return forwarder_init(next, plan, worker->outputs, worker->shared->rules);
}

static int apply_plan(struct worker *worker, const struct message *message, int fd)
{
	const struct plan *plan = plan_map(fd, message->plan.bytes);
	struct forwarder next;
	int rc;

	rc = plan ? 0 : -errno;
	close(fd);
	if (rc < 0)
		return rc;
	rc = worker_forwarder_init(&next, worker, plan);
	for (uint32_t i = 0; rc == 0 && i < plan->num_rules; i++)
		books_begin_rule(worker->shared, plan->rules[i].number, plan->rules[i].born);
	plan_unmap(plan, message->plan.bytes);
	if (rc < 0)
		return rc;
	loops_give_up(&worker->forwarder);
	worker_drain(worker);
	forwarder_exit(&worker->forwarder);
	worker->forwarder = next;
	return 0;
}

/* ------------------------------------------------------------------------- messages */

/* Takes over `fd` (-1: none). */
static int handle_message(struct worker *worker, const struct message *message, int fd)
{
	worker_drain(worker);
	switch (message->type) {
	case MESSAGE_INPUT:
		input_open(worker, message, fd);
		return 0;
	case MESSAGE_INPUT_GONE:
		worker_input_close(worker, message->index);
		return 0;
	case MESSAGE_OUTPUT:
		output_open(worker, message, fd);
		return 0;
	case MESSAGE_OUTPUT_GONE:
		worker_output_close(worker, message->index);
		return 0;
	case MESSAGE_COMPLETE:
		worker->complete = message->plan.generation;
		return 0;
	case MESSAGE_STOP:
		worker->stop = true;
		return 0;
	default:
		return -EPROTO;
	}
}

/* One answer for all plans of a turn. */
static int answer(struct worker *worker)
{
	const struct message message = {.type = MESSAGE_APPLIED,
					.plan.generation = worker->complete};

	if (worker->answered == worker->complete)
		return 0;
	worker->answered = worker->complete;
	return channel_send(WORKER_CHANNEL_FD, &message, -1);
}

/* What has come, between two bursts. Of several plans only the last is applied: no packet would
 * meet the others. What follows a plan does not take from it what it uses. */
int worker_handle_messages(struct worker *worker)
{
	struct message message, plan = {0};
	int passed, plan_fd = -1, rc = 0;
	unsigned count = 0;

	while (rc == 0 && count < MESSAGES_PER_TURN) {
		rc = channel_receive(WORKER_CHANNEL_FD, &message, &passed);
		if (rc <= 0)
			break;
		count++;
		rc = message_check(&message, passed);
		if (rc < 0 && passed >= 0)
			close(passed);
		if (rc < 0)
			continue;
		if (message.type != MESSAGE_PLAN) {
			rc = handle_message(worker, &message, passed);
			continue;
		}
		if (plan_fd >= 0)
			close(plan_fd);
		plan = message;
		plan_fd = passed;
	}
	worker->messages_left = count == MESSAGES_PER_TURN;
	if (rc == 0 && plan.type == MESSAGE_PLAN)
		rc = apply_plan(worker, &plan, plan_fd);
	/* with an input come a predecessor's losses, and perhaps no packet after */
	worker_publish(worker);
	return rc < 0 ? rc : answer(worker);
}
