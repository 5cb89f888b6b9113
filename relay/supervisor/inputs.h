/* SPDX-License-Identifier: MIT
 *
 * inputs: the interfaces that rules receive on. Each has a socket per worker for small frames and
 * one for large ones (enum frame_class), opened when the first rule needs it, the group memberships
 * of all its rules, with --exclusive the program that takes their packets from the host, and with
 * --gro the aggregation of what comes in.
 *
 * An input's number is its index in inputs->input. Its life: inputs_claim; input_subscribe before
 * its rules change and input_narrow after; inputs_release_unneeded. When its interface changes
 * under it, inputs_follow replaces all of that. One whose interface is not there is an input all
 * the same, without sockets.
 */
#ifndef INPUTS_H
#define INPUTS_H

#include "contract/rules.h"
#include "supervisor/config.h"
#include "supervisor/deferred_close.h"
#include "supervisor/exclusive.h"
#include "supervisor/input_filter.h"
#include "supervisor/interfaces.h"
#include "supervisor/membership.h"
#include "supervisor/netif.h"
#include "supervisor/offload.h"
#include "supervisor/refusal.h"
#include "supervisor/sockets.h"
#include "supervisor/workers.h"

#include <stdbool.h>
#include <stdint.h>

#define INPUTS_TOO_MANY "rules receive on more than %d interfaces"

struct provision_input {
	struct netif netif;	    /* as it was when opened; name "": this number is free */
	char reason[REFUSAL_BYTES]; /* why it is not open although the interface is there; or "" */
	struct ring_shape shapes[FRAME_CLASSES];
	int fds[FRAME_CLASSES][WORKERS_MAX]; /* of large ones: none where small slots hold all */
	struct filter_keys keys;	     /* what they let in */
	uint32_t ring; /* number of the rings that it has, each worker's the same */
	struct {
		uint64_t frames, packets; /* received until its drops were counted last */
	} seen[FRAME_CLASSES][WORKERS_MAX];
	struct offload offload;
	struct membership membership;
	struct exclusive exclusive;
};

struct inputs {
	const struct config *config;
	struct workers *workers;
	struct provision_input *input; /* [INPUT_NUMBERS] */
	uint32_t rings;		       /* opened so far, each worker's counted as one */
	bool quiesced;		       /* no ring lets frames in any more */
	struct deferred_close closing; /* sockets given up, which workers may still have */
};

/* Opens nothing yet. 0 or -ENOMEM; exit, quiesce and release are harmless on zeroed memory. */
int inputs_init(struct inputs *inputs, const struct config *config, struct workers *workers);
void inputs_exit(struct inputs *inputs);

/* Number of the interface's input, -1 if there is none. */
int inputs_find(const struct inputs *inputs, const char *interface);

/* Could anything be received there, by the kind of link? 0; or negative errno with one sentence in
 * `error`. */
int inputs_check_link(const struct netif *netif, char *error);

/* Opens rings for an interface that has no input yet, unless it is not there; one of INPUTS_MAX at
 * most that the next set of rules needs. Its number; or negative errno with one sentence in
 * `error`. Workers are not told. */
int inputs_claim(struct inputs *inputs, const struct netif *netif, char *error);

/* Joins the groups and takes the packets of all `rules` on this input, unless it is not open; what
 * held before is given up only after that, and what was let into the rings still is. 0; or negative
 * errno with one sentence in `error`, and all is as before. */
int input_subscribe(struct inputs *inputs, struct provision_input *input, const struct rules *rules,
		    char *error);

/* From now on nothing but what `rules` ask for is let into the rings. */
void input_narrow(struct inputs *inputs, struct provision_input *input, const struct rules *rules);

/* Does any of `rules` receive on this interface? */
bool inputs_needed(const struct rules *rules, const char *interface);

/* Gives up the inputs that `rules` do not need; with `tell`, workers are told before. */
void inputs_release_unneeded(struct inputs *inputs, const struct rules *rules, bool tell);

/* Tells a worker of an input. */
void input_send(struct inputs *inputs, struct worker_handle *worker, int index);

/* Are all open whose interface is there? */
bool inputs_all_open(const struct inputs *inputs);

/* Interfaces may have other names than before: their inputs stay theirs. */
void inputs_rename(struct inputs *inputs, const struct interfaces *interfaces);

/* Opens what is not open, and replaces what was opened on interfaces that have been replaced, for
 * the `rules` that are served; tells workers. */
void inputs_follow(struct inputs *inputs, const struct rules *rules,
		   const struct interfaces *interfaces);

/* Turns aggregation on again where somebody has turned it off. */
void inputs_keep_offloads(struct inputs *inputs);

/* Adds the rings' drops to the workers' counters. The kernel counts frames: each stands for as many
 * packets as the frames that were received since the last call, in the mean. */
void inputs_count_drops(struct inputs *inputs);

/* Lets no more frames in, also through rings that are opened later. */
void inputs_quiesce(struct inputs *inputs);

#endif
