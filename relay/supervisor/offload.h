/* SPDX-License-Identifier: MIT
 *
 * offload: aggregation of received datagrams (GRO). Off on most interfaces for what is not
 * addressed to a socket of the host; with --gro the relay turns it on where its rules receive:
 * rx-gro and rx-udp-gro-forwarding, as `ethtool -k` names them.
 */
#ifndef OFFLOAD_H
#define OFFLOAD_H

#include <net/if.h>
#include <stdbool.h>

struct offload {
	char interface[IFNAMSIZ]; /* "": nothing was turned on */
	bool gro, forwarding;	  /* which of the two were */
};

/* Turns on what is off of the two, and remembers it. 0; -EOPNOTSUPP if the kernel or the interface
 * lacks it; another negative errno. */
int offload_open(struct offload *offload, const char *interface);

/* Turns on again what somebody else has turned off, and remembers it: another relay may have turned
 * it on first and be at its end now. Returns as offload_open. */
int offload_keep(struct offload *offload);

/* Turns off what they have turned on, if the interface is still there. */
void offload_close(struct offload *offload);

/* Does the interface aggregate datagrams that are not for this host? False if it cannot be told. */
bool offload_aggregates(const char *interface);

#endif
