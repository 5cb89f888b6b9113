/* SPDX-License-Identifier: MIT
 *
 * worker: one data plane. It owns its ingresses, outputs, io_uring and counters, and runs them in a
 * thread of its own; everybody else reads its counters, or asks through the few functions here.
 */
#ifndef WORKER_H
#define WORKER_H

#include "config.h"
#include "counters.h"
#include "egress.h"
#include "exclusive.h"
#include "forward.h"
#include "ingress.h"
#include "membership.h"
#include "rules.h"
#include "waiter.h"

#include <pthread.h>

struct worker_input {
	struct ingress ingress;
	struct membership membership;
	struct exclusive exclusive; /* with --exclusive */
};

struct worker {
	const struct config *config;
	const struct rules *rules;

	struct worker_input *inputs; /* one per interface that rules receive from */
	unsigned num_inputs;
	struct output *outputs; /* one per (interface, destination, TTL) that rules send to */
	unsigned num_outputs;
	struct output **route_outputs; /* what the routes point into */

	struct forwarder forwarder;
	struct egress egress;
	struct waiter waiter; /* on inputs' descriptors, and wake_fd behind them */
	struct frame *frames; /* [send_batch] of the burst at hand */

	struct counters counters;
	struct rule_counters *rule_counters;	 /* [rules->count] */
	struct output_counters *output_counters; /* [num_outputs] */

	pthread_t thread;
	pthread_mutex_t reopen_lock; /* held while inputs' and outputs' sockets are replaced */
	int wake_fd;		     /* eventfd: one of the words below has changed */
	int answer_fd;		     /* eventfd: `refreshed` or `state` has changed */
	unsigned stop, refresh_wanted, interfaces_changed; /* written by others */
	unsigned refreshed, interfaces_seen;		   /* written by the worker */
	enum { WORKER_STARTING, WORKER_RUNNING, WORKER_ENDED } state;
	int result;	 /* once ended: 0 or negative errno */
	uint64_t cpu_ns; /* once ended */
};

/* Takes what the rules need: sockets, rings, group memberships. 0; or a negative errno, after one
 * line in the log. config and rules must outlive the worker. */
int worker_init(struct worker *worker, const struct config *config, const struct rules *rules);
void worker_exit(struct worker *worker);

/* Starts the loop; returns when it runs. 0, or a negative errno after one line in the log. */
int worker_start(struct worker *worker);

/* Lets no more frames in, relays those that are there, ends the loop. 0 or what ended it. */
int worker_stop(struct worker *worker);

/* To poll beside other descriptors: readable, until acknowledged, when the worker has ended. */
static inline int worker_answer_fd(const struct worker *worker)
{
	return worker->answer_fd;
}
void worker_acknowledge(struct worker *worker);
bool worker_has_ended(const struct worker *worker);

/* Brings counters that live in the kernel (ring drops) up to date; waits for that at most 1 s. */
void worker_refresh(struct worker *worker);

/* Links or addresses have changed: the worker looks which of its sockets it must replace. */
void worker_interfaces_changed(struct worker *worker);

/* CPU time of the loop so far, ns. */
uint64_t worker_cpu_ns(const struct worker *worker);

#endif
