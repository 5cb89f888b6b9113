/* SPDX-License-Identifier: MIT
 *
 * reachability: whether somebody is there to take what unicast outputs send: the receiver, or the
 * router to it. The kernel accepts packets for one that does not answer its ARP, drops them some
 * seconds later, and tells nobody: its ICMP error comes by way of lo, which is not the device that
 * our sockets are bound to. So the supervisor looks at what the kernel knows of its neighbours.
 *
 * It has the kernel ask before anything is sent. One that was asked for a second in vain is
 * unreachable: workers count what is for it as failed, EHOSTUNREACH, and the kernel, which has
 * nothing to send any more, is told to ask on. When it answers, the output sends again.
 */
#ifndef REACHABILITY_H
#define REACHABILITY_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

struct outputs;

/* Of an output; all zero when its sockets are new. */
struct reachability {
	struct in_addr neighbour; /* who takes its packets; INADDR_ANY: not known, or nobody */
	int64_t looked_up_ms;	  /* when that was found out; 0: never */
	int64_t silent_since_ms;  /* asked, and no answer; 0: it has answered, or was not asked */
	int64_t asked_ms;	  /* when we had it asked last */
	bool unreachable;
};

struct reachability_watch {
	int64_t due_ms;	 /* of the next look; -1: there is nothing to look at */
	bool cannot_ask; /* without CAP_NET_ADMIN */
};

/* Looks at all unicast outputs if it is time, and tells workers of what has changed. Returns
 * milliseconds until the next look, -1: none is due. */
int64_t reachability_look(struct outputs *outputs, int64_t now_ms);

/* There is an output to be looked at. */
void reachability_add(struct outputs *outputs);

#endif
