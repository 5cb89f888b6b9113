/* SPDX-License-Identifier: MIT
 *
 * settings: what a worker is told once, when it starts. Every choice stands here once, with the
 * word that the command line has for it.
 */
#ifndef SETTINGS_H
#define SETTINGS_H

#include "contract/drill.h"

#include <stdbool.h>
#include <stdint.h>

/* clang-format off */
#define INGRESS_MODES(X) X(INGRESS_RING, "ring") X(INGRESS_URING, "uring")
#define EGRESS_MODES(X)  X(EGRESS_URING, "uring") X(EGRESS_SENDMMSG, "sendmmsg")
#define REAP_MODES(X)    X(REAP_SYNC, "sync") X(REAP_EAGER, "eager") X(REAP_DEFERRED, "deferred")
#define GSO_MODES(X)     X(GSO_ON, "on") X(GSO_OFF, "off") X(GSO_AUTO, "auto")
#define THREAD_MODELS(X) X(THREADS_UNIFIED, "unified") X(THREADS_SPLIT, "split")
#define WAKEUP_MODES(X)  X(WAKEUP_SPIN, "spin") X(WAKEUP_EVENTFD, "eventfd") X(WAKEUP_HYBRID, "hybrid")
/* clang-format on */

#define SETTING_VALUE(value, word) value,
enum ingress_mode { INGRESS_MODES(SETTING_VALUE) };
enum egress_mode { EGRESS_MODES(SETTING_VALUE) };
enum reap_mode { REAP_MODES(SETTING_VALUE) };
enum gso_mode { GSO_MODES(SETTING_VALUE) };
enum thread_model { THREAD_MODELS(SETTING_VALUE) };
enum wakeup_mode { WAKEUP_MODES(SETTING_VALUE) };
#undef SETTING_VALUE

/* "ring|uring" */
#define SETTING_OR_WORD(value, word) "|" word
#define SETTING_WORDS(MODES)	     (&(MODES(SETTING_OR_WORD))[1])

/* {"ring", "uring", NULL}, by value, of type const char *const[] */
#define SETTING_WORD_OF(value, word) [value] = word,
#define SETTING_LIST(MODES)                 \
	{                                   \
		MODES(SETTING_WORD_OF) NULL \
	}

enum { POOL_SMALL, POOL_STANDARD, POOL_JUMBO, POOL_CLASSES };

struct worker_settings {
	uint32_t index;	      /* of the worker */
	uint32_t queue_depth; /* io_uring entries */
	uint32_t send_batch;  /* frames per turn */
	int32_t cpu;	      /* to run on; -1: any */
	int32_t send_cpu;     /* of the sending thread, in the split model */
	uint32_t uid, gid;    /* to run as */
	uint32_t ingress, egress, reap, gso, threads, wakeup; /* the enums above */
	uint32_t pool[POOL_CLASSES];			      /* buffers */
	uint32_t num_recv_buffers;
	bool aggregates; /* pool buffers of the largest class hold one */
	bool yield;
	bool log_packets;
	struct drill drill;
};

/* Whether these can be settings at all: modes that there are, no count of 0 where there has to be
 * one. 0 or -EPROTO. */
int settings_check(const struct worker_settings *settings);

/* Whether a worker uses io_uring at all: else it sends and sleeps without. */
static inline bool settings_need_uring(const struct worker_settings *settings)
{
	return settings->ingress == INGRESS_URING || settings->egress == EGRESS_URING;
}

#endif
