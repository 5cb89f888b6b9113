// SPDX-License-Identifier: MIT
/*
 * worker: see worker.h. Start, loop and end; the loop is run_loop, one screen long. How messages
 * change what it works with: worker_messages.c.
 *
 * The supervisor rings the doorbell (a word in shared memory) after it has sent messages: the loop
 * looks at it once per turn, at the cost of one load. Asleep, it is woken by the channel itself.
 */
#include "worker/worker.h"
#include "common/errno_reason.h"
#include "common/log.h"
#include "worker/books.h"
#include "worker/sandbox.h"
#include "worker/worker_parts.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* ------------------------------------------------------------------------- for all parts */

void worker_drain(struct worker *worker)
{
	if (split(worker))
		handoff_drain(&worker->handoff);
	else
		egress_drain(&worker->egress);
}

void worker_publish(struct worker *worker)
{
	__atomic_store_n(&worker->shared->fragments_waiting, worker->reassembly.waiting,
			 __ATOMIC_RELAXED);
	__atomic_store_n(&worker->shared->withheld, loops_withheld(&worker->loops),
			 __ATOMIC_RELAXED);
	counters_publish(&worker->shared->receiving, &worker->counters);
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
	worker_publish(worker);
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
	worker_publish(worker);
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

/* A ring that the sending thread holds slots of would end each sleep at once. Their return, which
 * does come and is waited for, ends it instead; what has come meanwhile could not be sent before:
 * that thread is still busy. */
static void pause_lent(struct worker *worker)
{
	const bool held = worker->handoff.outstanding > 0;

	for (unsigned i = 0; i < worker->num_inputs * FRAME_CLASSES; i++) {
		const struct ingress *ingress =
			&worker->inputs[i / FRAME_CLASSES].ingress[i % FRAME_CLASSES];

		waiter_pause(&worker->waiter, INPUTS_INDEX + i,
			     held && ingress->fd >= 0 && ingress->lent > 0 &&
				     ingress->ops->readable_while_lent);
	}
}

/* Sleeps until an interface has frames, slots have come back or the supervisor has sent something.
 */
static int wait_for_work(struct worker *worker)
{
	int rc;

	if (finish_before_sleep(worker)) {
		worker_publish(worker);
		return 0;
	}
	if (split(worker))
		pause_lent(worker);
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
	worker_publish(worker);
	if (rc == 0 && worker->waiter.events[RETURNS_INDEX])
		handoff_lower_returns(&worker->handoff);
	if (rc == 0 && worker->waiter.events[CHANNEL_INDEX])
		rc = worker_handle_messages(worker);
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
			rc = worker_handle_messages(worker);
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
		rc = worker_forwarder_init(&worker->forwarder, worker, &(struct plan){0});
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
		worker_drain(worker);
		reassembly_give_up(&worker->reassembly);
		worker_publish(worker);
	}
	for (unsigned i = 0; i < worker->num_inputs; i++)
		worker_input_close(worker, i);
	handoff_stop(&worker->handoff);
	for (unsigned i = 0; i < OUTPUT_NUMBERS; i++)
		worker_output_close(worker, i);
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
