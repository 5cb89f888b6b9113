/* SPDX-License-Identifier: MIT
 *
 * netif: network interfaces as the kernel describes them, asked for over netlink.
 */
#ifndef NETIF_H
#define NETIF_H

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

struct netif {
	char name[IFNAMSIZ];	/* its own, not another that it has as well (altname) */
	int index;		/* 0: there is no such interface now, `name` was asked for */
	uint16_t type;		/* of its link: ARPHRD_... */
	bool up;		/* administratively up and with a carrier */
	bool no_carrier;	/* up, but nothing at the other end */
	uint32_t mtu;		/* bytes */
	struct in_addr address; /* primary IPv4 address; INADDR_ANY if it has none */
	uint64_t rx_packets, rx_bytes, rx_dropped;
	uint64_t tx_packets, tx_bytes, tx_dropped;
};

/* What the frames of an interface are to a packet socket, by its type. */
enum netif_frames {
	NETIF_ETHERNET, /* loopback as well */
	NETIF_BARE,	/* IP packets: tun, WireGuard, PPP, IP in IP, GRE and their like */
	NETIF_OTHER,	/* nothing that has IP in it, such as CAN */
};
enum netif_frames netif_frames(const struct netif *netif);

/* Fills *netif for `name`, which may be any of its names. 0, -ENODEV if there is none (netif->index
 * is 0 then), or another negative errno. */
int netif_query(const char *name, struct netif *netif);

/* Index of the interface that has this name; 0: there is none. Of the type rulefile_interface. */
unsigned netif_index(const char *name, void *unused);

/* Why nothing can be relayed through it now, to be put behind its name: "is down". NULL: it can. To
 * send, it needs an address as well. */
const char *netif_fault(const struct netif *netif, bool sends);

/* Does this negative errno say that something is missing which may come: the interface, its
 * address, its being up? */
bool netif_may_come(int rc);

/* Is this one of its IPv4 addresses now? */
bool netif_has_address(const struct netif *netif, struct in_addr address);

/* True when sockets bound to `then` have to be opened anew: another index, address or MTU. */
bool netif_replaced(const struct netif *then, const struct netif *now);

/* Non-blocking socket that becomes readable when any link or address changes; negative errno. */
int netif_monitor_open(void);

/* Discards what is queued on it: the reader asks netif_query for the state that counts. */
void netif_monitor_drain(int fd);

#endif
