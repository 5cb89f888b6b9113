/* SPDX-License-Identifier: MIT
 *
 * supervisor: the privileged process. It opens sockets when rules need them, keeps workers running,
 * follows interfaces. It never touches a packet. What people ask of it is another's business, which
 * its loop calls without knowing it (struct supervisor_calls).
 *
 * Its life: supervisor_init, then whoever needs privileges to open something does;
 * supervisor_start, supervisor_run, supervisor_stop, and supervisor_exit whatever became of it.
 */
#ifndef SUPERVISOR_H
#define SUPERVISOR_H

#include "supervisor/config.h"
#include "supervisor/log_output.h"
#include "supervisor/loop_breaker.h"
#include "supervisor/provision.h"
#include "supervisor/workers.h"

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

enum { SUPERVISOR_CALL_FDS = 512 }; /* that `poll` may ask for */

/* What the loop calls for others; `context` is theirs. */
struct supervisor_calls {
	void *context;
	/* Fills fds with what to poll for; an fd of -1: nothing. Returns how many. */
	unsigned (*poll)(void *context, struct pollfd *fds);
	/* After poll(2), with what it found in the same fds. */
	void (*handle)(void *context, const struct pollfd *fds);
	/* Each turn while packets are relayed. */
	void (*tick)(void *context);
	/* Milliseconds until handle and tick have to be called even if nothing is ready; -1: none.
	 */
	int64_t (*due_ms)(void *context);
	/* The first rules are in force; workers may not be ready yet. */
	void (*started)(void *context);
	/* SIGUSR1 has come. */
	void (*report)(void *context);
};

struct supervisor {
	const struct config *config;
	struct workers workers;
	struct provision provision;
	struct loop_breaker breaker;
	struct log_levels levels;
	struct supervisor_calls calls;
	int signal_fd, monitor_fd;
	/* signals, interfaces, workers, those of calls; and those that are open */
	struct pollfd *fds, *open_fds;
	bool stop; /* asked to */
	struct log_output log;
};

/* Ready for signals, memory for workers; nothing runs. 0; or a negative errno after one line in the
 * log. */
int supervisor_init(struct supervisor *supervisor, const struct config *config);
void supervisor_exit(struct supervisor *supervisor);

/* Gives up the privileges that are not needed from here on, starts workers, takes over the rules
 * and puts them in force, and waits until every worker is ready. 0; or a negative errno after one
 * line in the log. */
int supervisor_start(struct supervisor *supervisor, struct rules *rules,
		     const struct supervisor_calls *calls);

/* Relays until SIGTERM or SIGINT. */
void supervisor_run(struct supervisor *supervisor);

/* Lets no more packets in, and waits until what is in the rings has been relayed. */
void supervisor_stop(struct supervisor *supervisor);

/* To be called when the rules in force have been changed. */
void supervisor_rules_changed(struct supervisor *supervisor);

/* New log levels, for the workers as well. */
void supervisor_set_levels(struct supervisor *supervisor, const struct log_levels *levels);

#endif
