/* SPDX-License-Identifier: MIT
 *
 * workers: the worker processes, seen from the supervisor: started, talked to, started again when
 * they die, stopped. Their shared memory and the sockets they are given belong to the supervisor
 * and outlive them.
 */
#ifndef WORKERS_H
#define WORKERS_H

#include "contract/channel.h"
#include "contract/shared.h"
#include "supervisor/config.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct worker_handle {
	unsigned index;
	pid_t pid;   /* 0: it does not run */
	int channel; /* -1: it does not run, or is about to die */
	int shared_fd;
	struct shared *shared;
	bool ready;		   /* it has said so */
	uint32_t applied;	   /* generation of the plan it works by */
	struct message found;	   /* a loop (MESSAGE_LOOP), not taken yet; type 0: none */
	unsigned restarts;	   /* since the relay has started */
	unsigned failures;	   /* in a row, for the back-off */
	int64_t started_ms;	   /* when it was started last */
	int64_t restart_at_ms;	   /* when it is due to be started again; 0: it runs */
	uint64_t cpu_ns_before;	   /* of its predecessors */
	int64_t (*clock_ms)(void); /* now_ms, or a clock that a test sets */
};

struct workers {
	const struct config *config;
	struct worker_handle *worker; /* [count] */
	unsigned count;
	struct log_limit deaths, starts; /* said of all of them */
	bool yielding;			 /* the supervisor gives way to workers on its core */
};

/* Shared memory for config->num_workers workers; starts none. The calling process, the supervisor,
 * gives way to workers on its core from now on. 0 or negative errno after one line in
 * the log. */
int workers_init(struct workers *workers, const struct config *config);
void workers_exit(struct workers *workers);

/* Starts one process and sends it its settings. 0 or negative errno after one line in the log. */
int workers_start(struct workers *workers, struct worker_handle *worker);

/* Sends to one worker and rings its doorbell; waits a while for one that has a full channel. One
 * that still does not read, or that a message cannot be sent to, is killed: it will be started
 * again with all it needs. */
void workers_send(struct worker_handle *worker, const struct message *message, int passed);

/* Takes what a worker has sent. */
void workers_receive(struct worker_handle *worker);

/* Reaps those that have died and says when they are due again; `stopping`: they are not. */
void workers_reap(struct workers *workers, bool stopping);

/* Milliseconds until a worker is due to be started again; -1: none is. */
int64_t workers_restart_due_ms(const struct workers *workers);

bool workers_any_alive(const struct workers *workers);

/* CPU time of a worker and its predecessors, ns. */
uint64_t workers_cpu_ns(const struct worker_handle *worker);

#endif
