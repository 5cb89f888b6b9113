/* SPDX-License-Identifier: MIT
 *
 * egress_notes: what has been said lately of sends that fail: once for an interface and cause. All
 * outputs that send through an interface fail for the same causes, and there may be thousands.
 */
#ifndef EGRESS_NOTES_H
#define EGRESS_NOTES_H

#include "common/log.h"
#include "contract/counters.h"

#include <net/if.h>

struct egress_notes {
	char interface[IFNAMSIZ];
	unsigned outputs; /* that refer to it; 0: it is free */
	struct log_limit failed[CAUSE_COUNT], gso_refused;
};

/* Those of `interface` among notes[OUTPUT_NUMBERS], for one more output. To be given back. */
struct egress_notes *egress_notes_get(struct egress_notes *notes, const char *interface);

/* NULL: nothing. */
void egress_notes_put(struct egress_notes *notes);

#endif
