/* SPDX-License-Identifier: MIT
 *
 * outputs: the different places that rules send to, and ways to send there (struct rule_output).
 * Each has a socket per worker, opened when the first rule needs it.
 *
 * An output's number is its index in outputs->output, and that of its counters. Its life:
 * outputs_claim, outputs_release_unneeded; when its interface changes under it, outputs_follow
 * opens other sockets. One that cannot be opened for the time being stays, with the reason why.
 */
#ifndef OUTPUTS_H
#define OUTPUTS_H

#include "common/log.h"
#include "contract/rules.h"
#include "supervisor/config.h"
#include "supervisor/interfaces.h"
#include "supervisor/netif.h"
#include "supervisor/reachability.h"
#include "supervisor/workers.h"

#include <stdbool.h>
#include <stdint.h>

#define OUTPUTS_TOO_MANY "rules have more than %d different outputs"

struct provision_output {
	struct rule_output key; /* the interface by its own name */
	bool used;
	int error;	  /* positive errno: why it is closed */
	int64_t since_ms; /* when its counters began */
	uint32_t born;	  /* none has been like it; 1 for the first */
	int *fds;	  /* [workers->count] */
	struct netif netif;
	struct reachability reach; /* of a unicast one that is open */
};

struct outputs {
	const struct config *config;
	struct workers *workers;
	struct provision_output *output; /* [OUTPUT_NUMBERS] */
	uint32_t born;			 /* so many of them so far */
	struct log_limit refused;
	struct reachability_watch watch;
};

/* Opens nothing yet. 0 or -ENOMEM; exit is harmless on zeroed memory. */
int outputs_init(struct outputs *outputs, const struct config *config, struct workers *workers);
void outputs_exit(struct outputs *outputs);

/* Number of the output, -1 if there is none. */
int outputs_find(const struct outputs *outputs, const struct rule_output *key);

/* The same as rules write it, with any name of its interface. */
int outputs_find_written(const struct outputs *outputs, const struct rule_output *output,
			 const struct interfaces *interfaces);

/* Opens sockets for an output that there is none for yet, unless its interface or address is not
 * there; one of OUTPUTS_MAX at most that the next set of rules needs. Its counters begin at zero.
 * Its number; or negative errno with one sentence in `error`. Workers are not told. */
int outputs_claim(struct outputs *outputs, const struct rule_output *key, const struct netif *netif,
		  char *error);

/* Writes to `reason` [REFUSAL_BYTES], as one sentence, why it is closed; "": it is open. */
void output_explain(const struct provision_output *output, char *reason);

/* Are all open whose interface is ready? */
bool outputs_all_open(const struct outputs *outputs);

/* Gives up the outputs that `rules` do not need; with `tell`, workers are told before. */
void outputs_release_unneeded(struct outputs *outputs, const struct rules *rules, bool tell);

/* Tells a worker of an output. */
void output_send(struct outputs *outputs, struct worker_handle *worker, int index);

/* What a worker has counted for an output: all zero until it has heard of it. */
const struct output_counters *output_counted(const struct provision_output *output, int index,
					     const struct worker_handle *worker);

/* Interfaces may have other names than before: their outputs stay theirs. */
void outputs_rename(struct outputs *outputs, const struct interfaces *interfaces);

/* Opens other sockets where an interface has been replaced, or where there are none; tells workers.
 */
void outputs_follow(struct outputs *outputs, const struct interfaces *interfaces);

#endif
