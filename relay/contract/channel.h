/* SPDX-License-Identifier: MIT
 *
 * channel: messages with descriptors between the supervisor and a worker, over a Unix socket that
 * keeps message boundaries. All but the last three go to the worker.
 */
#ifndef CHANNEL_H
#define CHANNEL_H

#include "contract/settings.h"

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

/* The descriptor under which a worker finds its end. */
#define WORKER_CHANNEL_FD 3

enum message_type {
	MESSAGE_SETUP = 1, /* the first one; passes the shared memory */
	MESSAGE_INPUT, /* receive on input `index` from now on; passes the socket of one class */
	MESSAGE_INPUT_GONE,
	MESSAGE_OUTPUT,	     /* output `index` is to be sent through the socket passed, or none */
	MESSAGE_OUTPUT_GONE, /* no route uses output `index` any more */
	MESSAGE_PLAN,	  /* the rules from the next burst on; passes a memfd with a struct plan */
	MESSAGE_COMPLETE, /* all that goes with plan `generation` has been sent: to be answered */
	MESSAGE_STOP,	  /* relay what is in the rings, then end */
	/* from the worker */
	MESSAGE_READY,
	MESSAGE_APPLIED, /* the plan, its inputs and outputs, and all before have taken effect */
	MESSAGE_LOOP,	 /* packets of rule number `index` come back to it: it sends no more */
};

enum { MESSAGE_LOOP_RULES = 8 };

struct message {
	uint32_t type;	/* enum message_type */
	uint32_t index; /* input or output */
	union {
		struct worker_settings settings;
		struct {
			char interface[IFNAMSIZ];
			uint32_t frames;	    /* enum frame_class */
			uint32_t slots, slot_bytes; /* of its ring; slots 0: it has none */
			uint32_t ring;		    /* its number: no other ring had it before */
			uint32_t frame_bytes;	    /* the longest IP packet, or aggregate */
			bool bare;		    /* its link is not Ethernet */
		} input;
		struct {
			char interface[IFNAMSIZ];
			uint32_t mtu;
			int32_t error;		       /* positive errno: why there is no socket */
			bool decrement_ttl, keep_dscp; /* of each arriving packet */
			uint32_t born; /* none has been like it: its counters are its own */
		} output;
		struct {
			uint32_t generation, bytes;
		} plan;
		struct {
			uint32_t source;      /* address that they come from, host order */
			uint16_t source_port; /* host order */
			uint32_t payload_bytes;
			uint32_t num_rules;
			uint32_t rules[MESSAGE_LOOP_RULES]; /* numbers of those on the way */
		} loop;
	};
};

/* Whether a worker may act on a message that came with `passed` (-1: nothing): it is of a type that
 * there is and brings a descriptor if it has to, its numbers are those of places in the tables, its
 * text ends. 0 or -EPROTO. */
int message_check(const struct message *message, int passed);

/* Sends a message and a duplicate of `passed` (-1: none). 0 or negative errno; -EAGAIN when the
 * other side does not read, -EPIPE when it is gone. */
int channel_send(int fd, const struct message *message, int passed);

/* Takes the next message; *passed becomes the descriptor that came with it, or -1. 1; 0 when there
 * is none now; -EPIPE when the other side is gone; or another negative errno. */
int channel_receive(int fd, struct message *message, int *passed);

#endif
