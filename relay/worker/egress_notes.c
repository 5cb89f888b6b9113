// SPDX-License-Identifier: MIT
/* egress_notes: see egress_notes.h. Those in use and those that were stand in front. */
#include "worker/egress_notes.h"
#include "contract/limits.h"

#include <stdio.h>
#include <string.h>

enum { SAID_AGAIN_S = 60 };

static void init(struct egress_notes *notes, const char *interface)
{
	const struct log_limit seldom = {.lines = 1, .seconds = SAID_AGAIN_S};

	*notes = (struct egress_notes){.gso_refused = seldom};
	snprintf(notes->interface, sizeof(notes->interface), "%s", interface);
	for (int cause = 0; cause < CAUSE_COUNT; cause++)
		notes->failed[cause] = seldom;
}

/* There are as many as outputs: one of the interface, or a free one. An interface that had outputs
 * before, and whose notes nobody else has taken meanwhile, goes on where it was. */
struct egress_notes *egress_notes_get(struct egress_notes *notes, const char *interface)
{
	struct egress_notes *unused = NULL;

	for (int i = 0; i < OUTPUT_NUMBERS; i++) {
		if (strcmp(notes[i].interface, interface) == 0) {
			notes[i].outputs++;
			return &notes[i];
		}
		if (notes[i].outputs == 0 && !unused)
			unused = &notes[i];
		if (!notes[i].interface[0])
			break;
	}
	init(unused, interface);
	unused->outputs = 1;
	return unused;
}

void egress_notes_put(struct egress_notes *notes)
{
	if (notes)
		notes->outputs--;
}
