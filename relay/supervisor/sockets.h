/* SPDX-License-Identifier: MIT
 *
 * sockets: the sockets that need privileges or the choice of an interface. The supervisor opens
 * them and hands them to workers, which could not open them.
 */
#ifndef SOCKETS_H
#define SOCKETS_H

#include "contract/rules.h"
#include "contract/shared.h"
#include "supervisor/config.h"
#include "supervisor/input_filter.h"
#include "supervisor/netif.h"

#include <stdint.h>

struct ring_shape {
	uint32_t slots, slot_bytes;
};

/* The rings for frames of this interface: as configured; else small slots that hold one of its MTU,
 * large ones that hold any IP packet, and as many as measurement has shown to be good. Without
 * slots there is no such ring: none of large ones where small ones hold all, and none of small ones
 * with uring ingress, whose buffers are of that size or more. With --gro, they hold all. */
void sockets_ring_shapes(const struct netif *netif, const struct config *config,
			 struct ring_shape shapes[FRAME_CLASSES]);

/* A packet socket with a receive ring (TPACKET_V2; none without slots), not yet mapped, for an
 * interface's frames. It takes none before sockets_listen. Returns the descriptor or negative
 * errno. */
int sockets_open_input(const struct netif *netif, struct ring_shape shape);

/* From now on it takes what `keys` let in: of the interface's frames those of one class, by
 * `shapes`. What both these and the last ones let in is not missed in between. 0 or negative errno.
 *
 * The socket's filter must stay replaceable: nobody, root included, can replace one that has been
 * locked (SO_LOCK_FILTER). Workers cannot, because their sandbox forbids setsockopt(2). */
int sockets_listen(int fd, const struct netif *netif, const struct ring_shape shapes[FRAME_CLASSES],
		   enum frame_class class, const struct filter_keys *keys);

/* Takes no more frames. */
void sockets_quiesce_input(int fd);

/* Frames dropped since the last call because there was no free slot; *accepted grows by those that
 * were not. */
uint64_t sockets_take_drops(int fd, uint64_t *accepted);

/* A UDP socket bound to the interface's address, or the output's own, and connected to the
 * destination. Returns the descriptor or negative errno: EADDRINUSE, EACCES for its own port. */
int sockets_open_output(const struct rule_output *key, const struct netif *netif,
			const struct config *config);

/* Could it be opened now? 0 or the negative errno of sockets_open_output. */
int sockets_try_output(const struct rule_output *key, const struct netif *netif);

#endif
