/* SPDX-License-Identifier: MIT
 *
 * reassembly: IP fragments become datagrams again. Only the first fragment of a datagram says what
 * port it is for; so fragments are copied, of a few datagrams at a time, until one is whole. That
 * is lent as a frame of an ingress of its own.
 *
 * Every fragment is counted once it is known what becomes of it: with its datagram (recv_packets;
 * all but one of them as joined_fragments), or as drop_fragment: alone, when it repeats what has
 * come; with all of its datagram, when it overlaps with others otherwise; when the datagram is not
 * whole after REASSEMBLY_S seconds, or when its place is needed for a newer one.
 */
#ifndef REASSEMBLY_H
#define REASSEMBLY_H

#include "worker/ingress.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	REASSEMBLY_DATAGRAMS = 64, /* at a time */
	REASSEMBLY_PARTS = 64,	   /* of one datagram that do not touch each other */
	REASSEMBLY_S = 5,
};

/* What has come of one datagram. */
struct partial {
	enum { PARTIAL_FREE, PARTIAL_WAITING, PARTIAL_LENT } state;
	uint16_t input, id;
	uint32_t source, group; /* network order */
	uint64_t since;		/* time of its first frame */
	unsigned fragments;
	uint32_t header_bytes; /* of the first fragment; 0: it has not come */
	uint32_t total;	       /* bytes of all; 0: the last has not come */
	unsigned num_parts;
	struct {
		uint32_t begin, end;
	} parts[REASSEMBLY_PARTS]; /* the first num_parts, in order, none touching the next */
	uint8_t *bytes;		   /* Ethernet and IP header, then the data, at DATA_AT */
};

struct reassembly {
	struct ingress ingress; /* lends the datagrams; its slots are the partials */
	struct partial *partials;
	uint8_t *memory;
	uint32_t waiting; /* fragments, of datagrams that are not whole yet */
	struct counters *counters;
};

/* 0 or -ENOMEM; reassembly_exit is harmless then. */
int reassembly_init(struct reassembly *reassembly, struct counters *counters);
void reassembly_exit(struct reassembly *reassembly);

/* Takes a frame of `input` that is a fragment. True: it has completed a datagram, which is lent as
 * *whole, a frame of reassembly->ingress. */
bool reassembly_add(struct reassembly *reassembly, uint16_t input, const struct frame *frame,
		    struct frame *whole);

/* Gives up what is not whole, and counts it. */
void reassembly_give_up(struct reassembly *reassembly);

#endif
