/* SPDX-License-Identifier: MIT
 *
 * geneve: the header of RFC 8926, as a UDP datagram to port 6081 begins with it:
 *
 *       0               8               16                              32
 *      +---+-----------+-+-+-----------+-------------------------------+
 *      |ver| opt. len. |O|C|    rsvd   |        protocol type          |
 *      +---+-----------+-+-+-----------+---------------+---------------+
 *      |               VNI                             |    reserved   |
 *      +-----------------------------------------------+---------------+
 *      | options: class 16, type 8 (high bit: critical), rsvd 3, length 5, data of 4 * length
 *
 * The options known here are those of a gateway load balancer (class 0x0108): which of its
 * endpoints and attachments a packet came by, and a cookie for its flow, which what is sent back
 * has to carry.
 */
#ifndef GENEVE_H
#define GENEVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GENEVE_VNI_MAX	      0xffffffu
#define GENEVE_BYTES_MAX      260u /* header and all options that there can be */
#define GENEVE_ETHERTYPE_IPV4 0x0800u

/* What becomes of a datagram. */
enum geneve_result {
	GENEVE_OK,
	GENEVE_SHORT,	      /* no header, or fewer bytes than its options take */
	GENEVE_VERSION,	      /* not 0 */
	GENEVE_OPTION_CUT,    /* an option ends beyond the last one */
	GENEVE_OPTION_LENGTH, /* a known option of another length than it has */
	GENEVE_CRITICAL,      /* an option that is critical, and not known */
	GENEVE_CONTROL,	      /* a message between tunnel endpoints, none to pass on */
	GENEVE_RESULTS
};

extern const char *const geneve_result_name[GENEVE_RESULTS];

struct geneve {
	uint32_t vni;	   /* 24 bits */
	uint16_t protocol; /* EtherType of what is inside */
	bool has_endpoint, has_attachment, has_cookie;
	uint64_t endpoint, attachment;
	uint32_t cookie;
};

/* Reads the header of the datagram. *geneve is set when the result is GENEVE_OK, and so is *inner,
 * the offset of what is inside, `length` at most. */
enum geneve_result geneve_parse(const uint8_t *datagram, size_t length, struct geneve *geneve,
				size_t *inner);

/* Writes a header that says the same, GENEVE_BYTES_MAX at most; returns its length in bytes. */
size_t geneve_build(uint8_t *bytes, const struct geneve *geneve);

#endif
