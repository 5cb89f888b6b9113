/* SPDX-License-Identifier: MIT
 *
 * ingress_ring: an ingress whose frames are in a memory-mapped receive ring.
 */
#ifndef INGRESS_RING_H
#define INGRESS_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ingress_ring {
	uint8_t *memory;
	size_t bytes;
	bool *released; /* [slots] lent slots that wait for their elders */
};

extern const struct ingress_ops ingress_ring_ops;

#endif
