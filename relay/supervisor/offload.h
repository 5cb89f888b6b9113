/* SPDX-License-Identifier: MIT
 *
 * offload: aggregation of received datagrams (GRO). Off on most interfaces for what is not
 * addressed to a socket of the host; with --gro the relay turns it on where its rules receive:
 * rx-gro and rx-udp-gro-forwarding, as `ethtool -k` names them. An interface is known by its index:
 * its name may become another's.
 */
#ifndef OFFLOAD_H
#define OFFLOAD_H

#include <stdbool.h>

struct offload {
	int index;	      /* of the interface; 0: nothing was turned on */
	bool gro, forwarding; /* which of the two were */
};

/* Turns on what is off of the two, and remembers it. 0; -EOPNOTSUPP if the kernel or the interface
 * lacks it; another negative errno. */
int offload_open(struct offload *offload, int index);

/* Turns on again what somebody else has turned off, and remembers it: another relay may have turned
 * it on first and be at its end now. Returns as offload_open. */
int offload_keep(struct offload *offload);

/* Turns off what they have turned on, if the interface is still there. */
void offload_close(struct offload *offload);

/* Does the interface aggregate datagrams that are not for this host? False if it cannot be told. */
bool offload_aggregates(int index);

#endif
