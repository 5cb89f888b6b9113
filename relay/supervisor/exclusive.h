/* SPDX-License-Identifier: MIT
 *
 * exclusive: keeps packets that the relay takes away from the host's own IP stack.
 *
 * A packet socket only listens in: the kernel still walks every packet of a joined group through
 * routing and UDP, to find that no socket wants it. That costs the receiving core more than the
 * ring does. With --exclusive a small BPF program on the interface's tcx ingress hook, which comes
 * right behind packet sockets, drops UDP for the (group, port) pairs of the rules, of their
 * sources where they name some; all else passes.
 * What belongs to the interface at all: see input_filter.h.
 * Its price: no other program of this host receives those pairs on that interface meanwhile.
 *
 * The kernel removes the program when its descriptor is closed, however the relay ends.
 * Needs Linux 6.6 and CAP_NET_ADMIN + CAP_BPF (or root).
 */
#ifndef EXCLUSIVE_H
#define EXCLUSIVE_H

#include "contract/rules.h"
#include "supervisor/netif.h"

struct exclusive {
	int map_fd, sources_fd, program_fd, link_fd; /* 0: none */
};

/* Takes the inputs of those rules that receive on that interface. 0 or negative errno. */
int exclusive_open(struct exclusive *exclusive, const struct rules *rules,
		   const struct netif *netif);
void exclusive_close(struct exclusive *exclusive);

#endif
