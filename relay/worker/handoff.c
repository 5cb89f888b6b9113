// SPDX-License-Identifier: MIT
/*
 * handoff: see handoff.h.
 *
 * Both sleeps follow one pattern: say that you are about to sleep, look once more, sleep. The other
 * side puts something in the queue, then looks whether you said so. A full barrier on either side
 * between the two steps makes sure that at least one of the two sees the other.
 */
#include "worker/handoff.h"
#include "common/log.h"
#include "worker/sandbox.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { HYBRID_SPINS = 2000 }; /* some 20 us */

/* ThreadSanitizer does not see the barriers in Concurrency Kit's assembly: it is told of them, and
 * not to look at the copying inside its queues. All else is checked. */
#ifdef __SANITIZE_THREAD__
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
	return "race:_ck_ring_enqueue_sp\nrace:_ck_ring_dequeue_sc\n";
}

void __tsan_acquire(void *address);
void __tsan_release(void *address);
#define tell_before_enqueue(ring) __tsan_release(ring)
#define tell_after_dequeue(ring)  __tsan_acquire(ring)
#else
#define tell_before_enqueue(ring)
#define tell_after_dequeue(ring)
#endif

CK_RING_PROTOTYPE(run, handoff_run)
CK_RING_PROTOTYPE(hold, hold)

static void raise_event(int fd)
{
	const uint64_t one = 1;
	ssize_t ignored = write(fd, &one, sizeof(one)); /* fails only when it is raised already */

	(void)ignored;
}

static void lower_event(int fd)
{
	uint64_t count;
	ssize_t ignored = read(fd, &count, sizeof(count));

	(void)ignored;
}

static unsigned load(const unsigned *word)
{
	return __atomic_load_n(word, __ATOMIC_SEQ_CST);
}

static void store(unsigned *word, unsigned value)
{
	__atomic_store_n(word, value, __ATOMIC_SEQ_CST);
}

/* ------------------------------------------------------------------------- receiving thread */

bool handoff_push(struct handoff *handoff, const struct handoff_run *run)
{
	struct handoff_run copy = *run;

	tell_before_enqueue(&handoff->runs);
	if (!ck_ring_enqueue_spsc_run(&handoff->runs, handoff->run_slots, &copy))
		return false;
	handoff->outstanding++;
	return true;
}

void handoff_kick(struct handoff *handoff)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (load(&handoff->sleeping))
		raise_event(handoff->runs_fd);
}

void handoff_collect(struct handoff *handoff)
{
	struct hold hold;

	while (ck_ring_dequeue_spsc_hold(&handoff->returns, handoff->return_slots, &hold)) {
		tell_after_dequeue(&handoff->returns);
		handoff->outstanding--;
		hold_drop(hold);
	}
}

void handoff_drain(struct handoff *handoff)
{
	handoff_kick(handoff);
	while (handoff->outstanding > 0) {
		handoff_collect(handoff);
		sched_yield();
	}
}

bool handoff_want_returns(struct handoff *handoff)
{
	store(&handoff->returns_wanted, 1);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (ck_ring_size(&handoff->returns) == 0)
		return true;
	store(&handoff->returns_wanted, 0);
	return false;
}

void handoff_lower_returns(struct handoff *handoff)
{
	lower_event(handoff->returns_fd);
}

/* ------------------------------------------------------------------------- sending thread */

/* Of the type egress_drop. Waits for room, unless nobody makes any more. */
static void give_back(void *context, struct hold hold)
{
	struct handoff *handoff = context;

	tell_before_enqueue(&handoff->returns);
	while (!ck_ring_enqueue_spsc_hold(&handoff->returns, handoff->return_slots, &hold) &&
	       !load(&handoff->stop))
		sched_yield();
}

static void tell_returns(struct handoff *handoff)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (load(&handoff->returns_wanted)) {
		store(&handoff->returns_wanted, 0);
		raise_event(handoff->returns_fd);
	}
}

/* One burst: queue to wire. Returns how many runs it had. */
static unsigned send_burst(struct handoff *handoff)
{
	struct handoff_run next;
	unsigned count = 0;

	while (count < handoff->settings->send_batch &&
	       ck_ring_dequeue_spsc_run(&handoff->runs, handoff->run_slots, &next)) {
		tell_after_dequeue(&handoff->runs);
		egress_add(&handoff->egress, next.output, &next.run, next.hold);
		count++;
	}
	if (count > 0)
		egress_flush(&handoff->egress);
	else if (handoff->egress.in_flight > 0)
		egress_drain(&handoff->egress);
	else
		return 0;
	if (handoff->egress.error)
		store(&handoff->failed, 1);
	tell_returns(handoff);
	counters_publish(handoff->published, &handoff->counters);
	return count;
}

void handoff_sleep(struct handoff *handoff)
{
	store(&handoff->sleeping, 1);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (ck_ring_size(&handoff->runs) == 0 && !load(&handoff->stop)) {
		lower_event(handoff->runs_fd); /* blocks */
		counter_add(&handoff->counters, COUNTER_waits, 1);
		counter_add(&handoff->counters, COUNTER_system_calls, 1);
	}
	store(&handoff->sleeping, 0);
}

static void wait_for_packets(struct handoff *handoff)
{
	const enum wakeup_mode mode = handoff->settings->wakeup;

	for (unsigned i = 0; mode != WAKEUP_EVENTFD && i < HYBRID_SPINS; i++) {
		if (ck_ring_size(&handoff->runs) > 0 || load(&handoff->stop))
			return;
		ck_pr_stall();
	}
	if (mode != WAKEUP_SPIN)
		handoff_sleep(handoff);
}

static void *send_loop(void *argument)
{
	struct handoff *handoff = argument;

	handoff->result = sandbox_pin(handoff->settings->send_cpu);
	if (handoff->result == 0)
		handoff->result = egress_init(&handoff->egress, handoff->settings,
					      &handoff->counters, give_back, handoff);
	pthread_barrier_wait(&handoff->started);
	if (handoff->result < 0)
		return NULL;
	while (!load(&handoff->stop))
		if (send_burst(handoff) == 0 && handoff->egress.in_flight == 0)
			wait_for_packets(handoff);
	egress_exit(&handoff->egress);
	return NULL;
}

bool handoff_failed(const struct handoff *handoff)
{
	return load(&handoff->failed);
}

/* ------------------------------------------------------------------------- start and end */

static void release(struct handoff *handoff)
{
	pthread_barrier_destroy(&handoff->started);
	close(handoff->runs_fd);
	close(handoff->returns_fd);
	free(handoff->run_slots);
	free(handoff->return_slots);
	handoff->run_slots = NULL; /* there is nothing to be stopped */
}

int handoff_start(struct handoff *handoff, unsigned size, const struct worker_settings *settings,
		  struct published *published)
{
	int rc = -ENOMEM;

	*handoff = (struct handoff){.settings = settings, .published = published};
	published_add_up(&handoff->counters, published); /* a predecessor's */
	pthread_barrier_init(&handoff->started, NULL, 2);
	handoff->runs_fd = eventfd(0, EFD_CLOEXEC);
	handoff->returns_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	handoff->run_slots = calloc(size, sizeof(*handoff->run_slots));
	handoff->return_slots = calloc(size, sizeof(*handoff->return_slots));
	ck_ring_init(&handoff->runs, size);
	ck_ring_init(&handoff->returns, size);
	if (handoff->runs_fd >= 0 && handoff->returns_fd >= 0 && handoff->run_slots &&
	    handoff->return_slots)
		rc = -pthread_create(&handoff->thread, NULL, send_loop, handoff);
	if (rc < 0) {
		release(handoff);
		return rc;
	}
	pthread_barrier_wait(&handoff->started);
	if (handoff->result == 0)
		return 0;
	pthread_join(handoff->thread, NULL);
	release(handoff);
	return handoff->result;
}

void handoff_stop(struct handoff *handoff)
{
	if (!handoff->run_slots)
		return;
	store(&handoff->stop, 1);
	raise_event(handoff->runs_fd);
	pthread_join(handoff->thread, NULL);
	release(handoff);
}
