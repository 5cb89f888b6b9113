/* SPDX-License-Identifier: MIT
 *
 * membership: IGMP membership of an input interface in the groups of its rules, so that switches
 * and the NIC's own filter let them through. Held by UDP sockets that are never read: they are
 * bound to no port, so nothing is ever queued on them.
 */
#ifndef MEMBERSHIP_H
#define MEMBERSHIP_H

#include <netinet/in.h>

struct membership {
	int *fds; /* one, or more where net.ipv4.igmp_max_memberships is smaller than the need */
	unsigned count;
};

/* Nothing is to be joined for a unicast address. 0 or negative errno. */
int membership_join(struct membership *membership, int ifindex, struct in_addr group);

/* Leaves all groups. */
void membership_leave(struct membership *membership);

#endif
