/* SPDX-License-Identifier: MIT
 *
 * provision: the rules in force, and what they need: a ring per interface and worker that rules
 * receive on, opened when the first rule needs it; a socket per destination and worker; group
 * memberships. It tells the workers of every change, and a new worker of everything.
 *
 * Rules change as a whole: the next set is provided for completely, or refused and nothing changes.
 * Rules that are in both sets keep their sockets and counters and lose no packet.
 */
#ifndef PROVISION_H
#define PROVISION_H

#include "config.h"
#include "exclusive.h"
#include "membership.h"
#include "netif.h"
#include "rules.h"
#include "workers.h"

enum { PROVISION_GRAVES = 16 };

struct provision_input {
	struct netif netif; /* as it was when opened; name "": this place is free */
	int fds[WORKERS_MAX];
	uint32_t slots, slot_bytes;
	struct membership membership;
	struct exclusive exclusive;
};

struct provision_output {
	struct rule_output key;
	struct netif netif;
	bool used;
	int error;	  /* positive errno: why it is closed */
	int64_t since_ms; /* when its counters began */
	int fds[WORKERS_MAX];
};

/* A ring's socket that no rule needs any more. Whoever closes it last waits for an RCU grace
 * period, tens of milliseconds: it has to be the supervisor, so it keeps its copy until workers
 * have closed theirs. */
struct provision_grave {
	int fd;
	int64_t due_ms;
};

struct provision {
	const struct config *config;
	struct workers *workers;
	struct rules rules;		  /* in force */
	uint32_t *slots;		  /* [rules.count] of their counters */
	struct provision_input *inputs;	  /* [INPUTS_MAX] */
	struct provision_output *outputs; /* [OUTPUTS_MAX] */
	int64_t rule_since_ms[RULES_MAX]; /* by slot: when its counters began */
	int plan_fd;
	uint32_t plan_bytes, generation;
	struct provision_grave graves[PROVISION_GRAVES]; /* the first num_graves, oldest first */
	unsigned num_graves;
};

#define PROVISION_ERROR_BYTES 256

int provision_init(struct provision *provision, const struct config *config,
		   struct workers *workers);
void provision_exit(struct provision *provision);

/* Puts the next set of rules in force, and takes it over from the caller. 0; or negative errno,
 * with one sentence in `error`: then the caller keeps it and nothing has changed. */
int provision_set_rules(struct provision *provision, struct rules *next,
			char error[PROVISION_ERROR_BYTES]);

/* Sends a worker that has just been started all it needs. */
void provision_equip(struct provision *provision, struct worker_handle *worker);

/* Links or addresses have changed: replaces the sockets that this concerns. */
void provision_follow_interfaces(struct provision *provision);

/* Adds the rings' drops to the workers' counters. */
void provision_count_drops(struct provision *provision);

/* Closes the sockets whose time has come; milliseconds until the next one's has, -1: there is none.
 */
int64_t provision_close_graves(struct provision *provision);

/* Lets no more frames in. */
void provision_quiesce(struct provision *provision);

/* Is there such an interface now, or was there when the rules in force were set? Of the type
 * rulefile_interface_exists, with a struct provision as context: a change of rules is not refused
 * because an interface that is in use has gone for a while. */
bool provision_knows_interface(const char *name, void *context);

/* Index of the output, -1 if there is none. */
int provision_find_output(const struct provision *provision, const struct rule_output *key);

#endif
