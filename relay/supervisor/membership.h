/* SPDX-License-Identifier: MIT
 *
 * membership: IGMP membership of an input interface in the groups of its rules, so that switches
 * and the NIC's own filter let them through. Held by UDP sockets that are never read: they are
 * bound to no port, so nothing is ever queued on them.
 */
#ifndef MEMBERSHIP_H
#define MEMBERSHIP_H

#include <netinet/in.h>

/* One, or more where net.ipv4.igmp_max_memberships or igmp_max_msf is smaller than the need. */
struct member_sockets {
	int *fds;
	unsigned count;
};

/* On one socket, a group can be joined for any source or for some. What the interface reports is
 * the union of all sockets: any, if one of them says so. */
struct membership {
	struct member_sockets any, some;
};

/* Nothing is to be joined for a unicast address. 0 or negative errno. */
int membership_join(struct membership *membership, int ifindex, struct in_addr group);

/* The same for packets of this source (IGMPv3: source-specific); once for each. */
int membership_join_source(struct membership *membership, int ifindex, struct in_addr group,
			   struct in_addr source);

/* Leaves all groups. */
void membership_leave(struct membership *membership);

#endif
