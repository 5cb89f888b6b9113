/* SPDX-License-Identifier: MIT
 *
 * limits: how many of everything there can be, in the rules and in the memory that supervisor and
 * workers share.
 */
#ifndef LIMITS_H
#define LIMITS_H

enum {
	WORKERS_MAX = 256,	/* the members that a fanout group of the kernel can have */
	INPUTS_MAX = 64,	/* interfaces that rules receive on */
	OUTPUTS_MAX = 4096,	/* different places and ways to send there */
	RULES_MAX = 4096,	/* in force at a time */
	RULE_OUTPUTS_MAX = 256, /* of one rule */
	RULE_SOURCES_MAX = 256, /* addresses and prefixes of one rule, */
	SOURCES_MAX = 16384,	/* of all */
	RULE_ID_BYTES = 65,	/* terminating 0 included */
	RING_SLOTS_MAX = 65536,
	RING_SLOT_BYTES_MAX = 131072,

	/* A set of rules and the one that replaces it have no number in common but for what stays:
	 * so each set that can be in force can replace any other. */
	INPUT_NUMBERS = 2 * INPUTS_MAX,
	OUTPUT_NUMBERS = 2 * OUTPUTS_MAX,
	RULE_NUMBERS = 2 * RULES_MAX,
};

#endif
