// SPDX-License-Identifier: MIT
/*
 * worker: see worker.h. The loop is run_loop, at the end of this file, one screen long; what comes
 * before is how messages change what it works with, always between two bursts.
 *
 * The supervisor rings the doorbell (a word in shared memory) after it has sent messages: the loop
 * looks at it once per turn, at the cost of one load. Asleep, it is woken by the channel itself.
 */
#include "worker/worker.h"
#include "common/errno_reason.h"
#include "common/log.h"
#include "contract/channel.h"
#include "contract/plan.h"
#include "contract/shared.h"
#include "worker/books.h"
#include "worker/egress.h"
#include "worker/forward.h"
#include "worker/handoff.h"
#include "worker/input.h"
#include "worker/pool.h"
#include "worker/sandbox.h"
#include "worker/waiter.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* In the waiter. */
enum {
	CHANNEL_INDEX,
	RETURNS_INDEX,
	INPUTS_INDEX,
	WAITER_SIZE = INPUTS_INDEX + INPUT_NUMBERS * FRAME_CLASSES
};

/* Before the next burst. A supervisor that sends faster than a worker takes (clients that change
 * rules in a rush) must not keep it from its packets. */
enum { MESSAGES_PER_TURN = 64 };

struct worker {
	struct worker_settings settings;
	struct shared *shared;
	struct counters counters; /* published at the end of each turn */
	uint64_t in_hand;	  /* packets matched in a turn that a predecessor did not end */
	struct input inputs[INPUT_NUMBERS]; /* by their numbers */
	unsigned num_inputs;		    /* highest index in use, plus one */
	struct output outputs[OUTPUT_NUMBERS];
	struct egress_notes notes[OUTPUT_NUMBERS];
	struct forwarder forwarder;
	struct reassembly reassembly;
	struct loops loops;
	struct egress egress;	      /* unified thread model */
	struct handoff handoff;	      /* split thread model */
	struct pool pool;	      /* uring ingress */
	struct recv_uring recv_uring; /* uring ingress */
	struct waiter waiter;
	struct frame *frames; /* [send_batch] of the burst at hand */
	uint32_t doorbell_seen;
	bool messages_left; /* in the channel, perhaps */
	uint32_t complete;  /* generation of the last plan that all has been sent for */
	uint32_t answered;  /* what the supervisor has been told of it */
	bool stop;
	const char *step; /* that it is at, for people */
};

static bool split(const struct worker *worker)
{
	return worker->settings.threads == THREADS_SPLIT;
}

/* Waits until no send is under way, and every slot is back. */
static void drain(struct worker *worker)
{
	if (split(worker))
		handoff_drain(&worker->handoff);
	else
		egress_drain(&worker->egress);
}

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

static void input_close(struct worker *worker, unsigned index)
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
		input_close(worker, message->index);
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

static void output_close(struct worker *worker, unsigned index)
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

	output_close(worker, message->index);
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

static int forwarder_next(struct forwarder *next, struct worker *worker, const struct plan *plan)
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
	rc = forwarder_next(&next, worker, plan);
	for (uint32_t i = 0; rc == 0 && i < plan->num_rules; i++)
		books_begin_rule(worker->shared, plan->rules[i].number, plan->rules[i].born);
	plan_unmap(plan, message->plan.bytes);
	if (rc < 0)
		return rc;
	loops_give_up(&worker->forwarder);
	drain(worker);
	forwarder_exit(&worker->forwarder);
	worker->forwarder = next;
	return 0;
}

/* ------------------------------------------------------------------------- the account */

static void publish(struct worker *worker)
{
	__atomic_store_n(&worker->shared->fragments_waiting, worker->reassembly.waiting,
			 __ATOMIC_RELAXED);
	__atomic_store_n(&worker->shared->withheld, loops_withheld(&worker->loops),
			 __ATOMIC_RELAXED);
	counters_publish(&worker->shared->receiving, &worker->counters);
}

/* ------------------------------------------------------------------------- messages */

/* Takes over `fd` (-1: none). */
static int handle_message(struct worker *worker, const struct message *message, int fd)
{
	drain(worker);
	switch (message->type) {
	case MESSAGE_INPUT:
		input_open(worker, message, fd);
		return 0;
	case MESSAGE_INPUT_GONE:
		input_close(worker, message->index);
		return 0;
	case MESSAGE_OUTPUT:
		output_open(worker, message, fd);
		return 0;
	case MESSAGE_OUTPUT_GONE:
		output_close(worker, message->index);
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
static int handle_messages(struct worker *worker)
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
	publish(worker);
	return rc < 0 ? rc : answer(worker);
}

/* ------------------------------------------------------------------------- the loop */

/* A frame's time in ms; never 0. */
static uint32_t tick_of(uint64_t time)
{
	const uint32_t ms = (uint32_t)(time >> 32) * 1000U + (uint32_t)time / 1000000U;

	return ms ? ms : 1;
}

/* Frames that came one after the other through one socket. Returns how many. */
static unsigned forward_some(struct worker *worker, unsigned index, unsigned max)
{
	const uint64_t before = counter_get(&worker->counters, COUNTER_recv_packets);
	struct ingress *from;
	const unsigned count = input_peek(&worker->inputs[index], worker->frames, max, &from);

	if (count == 0)
		return 0;
	worker->forwarder.tick = tick_of(worker->frames[count - 1].time);
	forward_burst(&worker->forwarder, from, (uint16_t)index, worker->frames, count);
	counter_bump(&from->position->frames, count);
	counter_bump(&from->position->packets,
		     counter_get(&worker->counters, COUNTER_recv_packets) - before);
	return count;
}

/* Should we die in this turn, the successor knows what is in doubt. */
static void begin_turn(struct worker *worker, struct ingress *ingress)
{
	for (unsigned class = 0; class < FRAME_CLASSES; class ++)
		if (ingress[class].fd >= 0)
			books_begin_turn(ingress[class].position, &worker->shared->receiving);
}

/* One burst of one interface, from rings to wire. Returns how many frames it had. */
static unsigned turn(struct worker *worker, unsigned index)
{
	const uint64_t before = counter_get(&worker->counters, COUNTER_recv_packets);
	struct ingress *ingress = worker->inputs[index].ingress;
	unsigned count = 0, some;

	begin_turn(worker, ingress);
	do {
		some = forward_some(worker, index, worker->settings.send_batch - count);
		count += some;
	} while (some > 0 && count < worker->settings.send_batch);
	if (count == 0)
		return 0;
	forward_end(&worker->forwarder,
		    counter_get(&worker->counters, COUNTER_recv_packets) - before);
	if (split(worker))
		handoff_collect(&worker->handoff);
	else
		egress_flush(&worker->egress);
	for (unsigned class = 0; class < FRAME_CLASSES; class ++)
		if (ingress[class].fd >= 0)
			__atomic_store_n(&ingress[class].position->lent, ingress[class].lent,
					 __ATOMIC_RELAXED);
	publish(worker);
	return count;
}

static unsigned turn_all(struct worker *worker)
{
	unsigned count = 0;

	for (unsigned i = 0; i < worker->num_inputs; i++)
		count += turn(worker, i);
	if (worker->settings.yield && count > 0) {
		sched_yield();
		counter_add(&worker->counters, COUNTER_system_calls, 1);
	}
	return count;
}

/* The end of a turn in which sends were queued. */
static void send_queued(struct worker *worker)
{
	if (split(worker)) {
		handoff_kick(&worker->handoff);
		handoff_collect(&worker->handoff);
	} else {
		egress_flush(&worker->egress);
	}
	publish(worker);
}

/* The search for loops, while there is one. The loop turns without sleeping meanwhile, for some
 * milliseconds; others on this CPU come first. */
static void search_loops(struct worker *worker, bool idle)
{
	struct loops *loops = &worker->loops;
	struct timespec now;

	if (idle) {
		clock_gettime(CLOCK_REALTIME, &now); /* as in frames */
		worker->forwarder.tick =
			tick_of(frame_time((uint32_t)now.tv_sec, (uint32_t)now.tv_nsec));
	}
	loops_step(&worker->forwarder, idle);
	send_queued(worker);
	if (loops->found.type == MESSAGE_LOOP &&
	    channel_send(WORKER_CHANNEL_FD, &loops->found, -1) != -EAGAIN)
		loops->found.type = 0;
	if (idle) {
		sched_yield();
		counter_add(&worker->counters, COUNTER_system_calls, 1);
	}
}

/* What an idle loop still has to do before it may sleep; true if that changed anything. */
static bool finish_before_sleep(struct worker *worker)
{
	uint64_t outstanding;

	if (!split(worker)) {
		bool busy = worker->egress.in_flight > 0;

		egress_drain(&worker->egress);
		return busy;
	}
	outstanding = worker->handoff.outstanding;
	handoff_collect(&worker->handoff);
	/* an input may have waited for those slots */
	if (worker->handoff.outstanding != outstanding)
		return true;
	return outstanding > 0 && !handoff_want_returns(&worker->handoff);
}

/* Sleeps until an interface has frames, slots have come back or the supervisor has sent something.
 */
static int wait_for_work(struct worker *worker)
{
	int rc;

	if (finish_before_sleep(worker)) {
		publish(worker);
		return 0;
	}
	rc = waiter_sleep(&worker->waiter, &worker->counters);

	for (unsigned i = 0; i < worker->num_inputs * FRAME_CLASSES && rc == 0; i++) {
		int error;
		socklen_t size = sizeof(error);

		/* the interface went down or away; asking for the error clears it, and the
		 * supervisor, which follows interfaces, does something about it */
		if (worker->waiter.events[INPUTS_INDEX + i] & POLLERR)
			getsockopt(worker->inputs[i / FRAME_CLASSES].ingress[i % FRAME_CLASSES].fd,
				   SOL_SOCKET, SO_ERROR, &error, &size);
	}
	publish(worker);
	if (rc == 0 && worker->waiter.events[RETURNS_INDEX])
		handoff_lower_returns(&worker->handoff);
	if (rc == 0 && worker->waiter.events[CHANNEL_INDEX])
		rc = handle_messages(worker);
	return rc;
}

static bool messages_came(struct worker *worker)
{
	uint32_t rung = __atomic_load_n(&worker->shared->doorbell.rung, __ATOMIC_RELAXED);

	if (rung == worker->doorbell_seen && !worker->messages_left)
		return false;
	worker->doorbell_seen = rung;
	return true;
}

/* Until told to stop: then what is in the rings is relayed; the supervisor lets no more in. */
static int run_loop(struct worker *worker)
{
	bool idle;
	int rc = 0;

	while (rc == 0 && worker->egress.error == 0 && !handoff_failed(&worker->handoff)) {
		if (messages_came(worker))
			rc = handle_messages(worker);
		if (rc < 0)
			break;
		idle = turn_all(worker) == 0;
		if (loops_busy(&worker->loops) && !worker->stop)
			search_loops(worker, idle);
		else if (idle && !worker->messages_left) {
			if (worker->stop)
				break;
			rc = wait_for_work(worker);
		}
	}
	if (handoff_failed(&worker->handoff))
		rc = worker->handoff.egress.error;
	return rc < 0 ? rc : worker->egress.error;
}

/* ------------------------------------------------------------------------- start and end */

/* The first message: settings, and the memory to count in. */
static int receive_setup(struct worker *worker)
{
	struct pollfd channel = {.fd = WORKER_CHANNEL_FD, .events = POLLIN};
	struct message message;
	int passed, rc;

	do {
		poll(&channel, 1, -1);
		rc = channel_receive(WORKER_CHANNEL_FD, &message, &passed);
	} while (rc == 0);
	if (rc < 0)
		return rc;
	if (message.type != MESSAGE_SETUP || message_check(&message, passed) < 0)
		return -EPROTO;
	worker->settings = message.settings;
	worker->shared = shared_map(passed);
	rc = worker->shared ? 0 : -errno;
	if (rc == 0) {
		log_use_levels(&worker->shared->levels);
		log_count_lost(&worker->shared->lines_lost);
	}
	close(passed);
	return rc;
}

static int init_egress(struct worker *worker)
{
	int rc;

	if (!split(worker))
		return egress_init(&worker->egress, &worker->settings, &worker->counters, NULL,
				   NULL);
	rc = handoff_start(&worker->handoff, HANDOFF_SIZE, &worker->settings,
			   &worker->shared->sending);
	if (rc == 0)
		rc = waiter_set(&worker->waiter, RETURNS_INDEX, worker->handoff.returns_fd);
	return rc;
}

static int worker_init(struct worker *worker)
{
	int rc;

	worker->step = "be told its settings";
	for (unsigned i = 0; i < INPUT_NUMBERS; i++)
		for (unsigned class = 0; class < FRAME_CLASSES; class ++)
			worker->inputs[i].ingress[class].fd = -1;
	for (unsigned i = 0; i < OUTPUT_NUMBERS; i++)
		worker->outputs[i].fd = -1;
	rc = receive_setup(worker);
	if (rc < 0)
		return rc;
	worker->in_hand = books_close(worker->shared, &worker->settings);
	published_add_up(&worker->counters, &worker->shared->receiving); /* a predecessor's */
	worker->step = "get its memory";
	worker->frames = calloc(worker->settings.send_batch, sizeof(*worker->frames));
	if (!worker->frames)
		return -ENOMEM;
	rc = reassembly_init(&worker->reassembly, &worker->counters);
	if (rc == 0)
		rc = loops_init(&worker->loops);
	if (rc == 0 && worker->settings.ingress == INGRESS_URING)
		rc = pool_init(&worker->pool, worker->settings.pool, worker->settings.aggregates);
	if (rc < 0)
		return rc;
	worker->step = "wait for packets and messages";
	rc = waiter_init(&worker->waiter,
			 settings_need_uring(&worker->settings) ? WAITER_URING : WAITER_POLL,
			 WAITER_SIZE);
	if (rc == 0)
		rc = waiter_set(&worker->waiter, CHANNEL_INDEX, WORKER_CHANNEL_FD);
	if (rc == 0 && worker->settings.ingress == INGRESS_URING)
		rc = recv_uring_init(&worker->recv_uring, &worker->pool,
				     worker->settings.num_recv_buffers);
	if (rc < 0)
		return rc;
	worker->step = "get ready to send";
	rc = init_egress(worker);
	if (rc == 0)
		rc = forwarder_next(&worker->forwarder, worker, &(struct plan){0});
	return rc;
}

static int enter_sandbox(const struct worker *worker)
{
	const int events[SANDBOX_EVENTS] = {
		split(worker) ? worker->handoff.runs_fd : -1,
		split(worker) ? worker->handoff.returns_fd : -1,
	};

	return sandbox_enter(&worker->settings, events);
}

static void worker_exit(struct worker *worker)
{
	if (worker->stop) {
		loops_give_up(&worker->forwarder);
		drain(worker);
		reassembly_give_up(&worker->reassembly);
		publish(worker);
	}
	for (unsigned i = 0; i < worker->num_inputs; i++)
		input_close(worker, i);
	handoff_stop(&worker->handoff);
	for (unsigned i = 0; i < OUTPUT_NUMBERS; i++)
		output_close(worker, i);
	forwarder_exit(&worker->forwarder);
	reassembly_exit(&worker->reassembly);
	loops_exit(&worker->loops);
	waiter_exit(&worker->waiter);
	egress_exit(&worker->egress);
	recv_uring_exit(&worker->recv_uring);
	pool_exit(&worker->pool);
	free(worker->frames);
	shared_unmap(worker->shared);
	free(worker);
}

/* EPIPE: the supervisor is gone, and so are we. A successor that fares no better says the same: the
 * limit outlives this process. */
static void log_end(const struct worker *worker, int rc)
{
	static struct log_limit first;

	if (rc < 0 && rc != -EPIPE)
		log_limited(worker->shared ? &worker->shared->ends : &first, LEVEL_ERROR, "Worker",
			    "worker %u ends, for it cannot %s: %s%s", worker->settings.index,
			    worker->step, strerror(-rc), reason_of_shortage(rc));
}

int worker_main(void)
{
	const struct message ready = {.type = MESSAGE_READY};
	struct worker *worker = calloc(1, sizeof(*worker));
	int rc;

	if (!worker) {
		log_error("Worker", "a worker ends: out of memory");
		return EXIT_FAILURE;
	}
	rc = worker_init(worker);
	if (rc == 0) {
		worker->step = "enter its sandbox";
		rc = enter_sandbox(worker);
	}
	if (rc == 0) {
		worker->step = "go on";
		rc = channel_send(WORKER_CHANNEL_FD, &ready, -1);
	}
	if (rc == 0)
		rc = run_loop(worker);
	log_end(worker, rc);
	worker_exit(worker);
	return rc < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
