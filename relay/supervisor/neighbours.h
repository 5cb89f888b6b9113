/* SPDX-License-Identifier: MIT
 *
 * neighbours: hosts on the links, as the kernel's ARP knows them; asked for over netlink.
 */
#ifndef NEIGHBOURS_H
#define NEIGHBOURS_H

#include <netinet/in.h>
#include <stdint.h>

struct neighbour {
	int ifindex;
	struct in_addr address;
	uint16_t state; /* NUD_* */
};

struct neighbours {
	struct neighbour *list; /* [count] */
	unsigned count;
};

enum neighbour_state {
	NEIGHBOUR_UNKNOWN, /* the kernel has not asked for it, or forgotten it */
	NEIGHBOUR_ASKED,   /* and has not answered yet */
	NEIGHBOUR_FAILED,  /* it was asked a few times, and did not answer */
	NEIGHBOUR_KNOWN,   /* packets can be sent to it */
};

/* All there are. 0 or negative errno; to be freed with neighbours_exit, harmless after an error. */
int neighbours_read(struct neighbours *neighbours);
void neighbours_exit(struct neighbours *neighbours);

enum neighbour_state neighbours_find(const struct neighbours *neighbours, int ifindex,
				     struct in_addr address);

/* Has the kernel ask for one, as a packet to it would. 0; -EPERM: without CAP_NET_ADMIN; or another
 * negative errno. */
int neighbour_ask(int ifindex, struct in_addr address);

/* Who on that link gets packets for a unicast address: itself, or a router. 0, or a negative errno:
 * nobody, or it is an address of this host or a broadcast one. */
int neighbour_for(int ifindex, struct in_addr destination, struct in_addr *neighbour);

#endif
