/* SPDX-License-Identifier: MIT
 *
 * sockets: the sockets that need privileges or the choice of an interface. The supervisor opens
 * them and hands them to workers, which could not open them.
 */
#ifndef SOCKETS_H
#define SOCKETS_H

#include "contract/rules.h"
#include "supervisor/config.h"
#include "supervisor/netif.h"

#include <stdint.h>

struct ring_shape {
	uint32_t slots, slot_bytes;
};

/* The ring for frames of this interface, or for its aggregates: as configured; else slots that hold
 * one, and as many as measurement has shown to be good. */
struct ring_shape sockets_ring_shape(const struct netif *netif, const struct config *config,
				     bool aggregates);

/* A packet socket with a receive ring (TPACKET_V2; none with uring ingress), not yet mapped, that
 * takes IPv4 UDP of this interface. Returns the descriptor or negative errno. */
int sockets_open_input(const struct netif *netif, const struct config *config,
		       struct ring_shape shape);

/* Lets no more frames into the ring. */
void sockets_quiesce_input(int fd);

/* Frames dropped since the last call because there was no free slot. */
uint64_t sockets_take_drops(int fd);

/* A UDP socket bound to the interface's address and connected to the destination. Returns the
 * descriptor or negative errno. */
int sockets_open_output(const struct rule_output *key, const struct netif *netif,
			const struct config *config);

#endif
