/* SPDX-License-Identifier: MIT
 *
 * sizes: how large the payloads of a flow are, packet by packet: a pattern that starts over at its
 * end. "64x7,576x4,1400" is seven of 64 bytes, four of 576, one of 1400, then again seven of 64.
 */
#ifndef SIZES_H
#define SIZES_H

#include <stdint.h>

/* Frames of 64, 594 and 1518 bytes on the wire, as in the simple Internet mix. */
#define SIZES_IMIX "18x7,548x4,1472"

#define SIZES_COUNT 4096u

struct sizes {
	unsigned count; /* packets until it starts over; 1 when all are of one size */
	uint16_t of[SIZES_COUNT];
	uint16_t smallest, largest;
};

/* SIZE[xTIMES][,SIZE[xTIMES]]..., or "imix"; SIZE from 1 to PAYLOAD_MAX. 0; -EINVAL when it is
 * neither; -E2BIG when it takes more than SIZES_COUNT packets to start over. */
int sizes_parse(struct sizes *sizes, const char *text);

static inline uint16_t sizes_of(const struct sizes *sizes, uint64_t sequence)
{
	return sizes->of[sequence % sizes->count];
}

/* How many packets from number `sequence` on are equal in size; `most`, when it is more. */
unsigned sizes_run(const struct sizes *sizes, uint64_t sequence, unsigned most);

#endif
