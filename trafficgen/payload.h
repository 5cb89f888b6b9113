/* SPDX-License-Identifier: MIT
 *
 * payload: what a generated datagram says about itself. Network byte order, no padding:
 *
 *       0        2        4                          10                         16       18
 *      +--------+--------+--------------------------+--------------------------+--------+-------
 *      | magic  | flow   | sequence                 | send time                | check  | filler
 *      | u16    | u16    | u48                      | u48                      | u16    | ...
 *      +--------+--------+--------------------------+--------------------------+--------+-------
 *
 *   magic      0x6d63 "mc": plain, check is 0; 0x6d76 "mv": sealed, check holds
 *   flow       which stream of the generator; each has its own socket and sequence
 *   sequence   0, 1, 2 ... without gaps: a packet that the kernel refused gives its number back
 *   send time  CLOCK_MONOTONIC of the sender in ns, low 48 bits (wraps every 3.2 days)
 *   check      low 16 bits of XXH3_64bits (seed 0) over the whole payload with this field as zero
 *   filler     any bytes, not twice the same within a batch; sealed payloads bind them to flow and
 *              sequence through the check, so that a swap or a shift shows
 *
 * A payload shorter than the header is the beginning of one: sent to test what is in between,
 * foreign to the receiver.
 */
#ifndef PAYLOAD_H
#define PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAYLOAD_MIN 18u	   /* bytes: the header */
#define PAYLOAD_MAX 65507u /* bytes: the largest UDP payload in IPv4 */

enum payload_kind {
	PAYLOAD_FOREIGN, /* too short, or another magic: not ours */
	PAYLOAD_PLAIN,
	PAYLOAD_SEALED, /* carries a check; payload_intact tells whether it holds */
};

struct payload {
	uint16_t flow;
	uint64_t sequence; /* 48 bits */
	uint64_t sent_ns;  /* low 48 bits of the sender's clock */
};

/* Once per buffer: fills `size` bytes so that different seeds and offsets give different bytes. */
void payload_fill(uint8_t *buffer, size_t size, uint64_t seed);

/* Per packet: the header of a plain payload; longer numbers are cut to 48 bits. */
void payload_write(uint8_t *buffer, const struct payload *payload);

/* After payload_write and payload_fill: makes it a sealed payload. */
void payload_seal(uint8_t *buffer, size_t size);

/* Reads the header; *payload is only set when ours. */
enum payload_kind payload_read(const uint8_t *buffer, size_t size, struct payload *payload);

/* Whether the check of a sealed payload holds. The buffer is as before when it returns. */
bool payload_intact(uint8_t *buffer, size_t size);

/* Age in ns at `now_ns` of a payload sent at sent_ns (48 bits), modulo 2^48; -1 when it would come
 * from the future, i.e. the clocks of sender and receiver are not the same. */
int64_t payload_age_ns(uint64_t now_ns, uint64_t sent_ns);

#endif
