// SPDX-License-Identifier: MIT
/* samples: see samples.h. The list is taken once, for the longest run: nothing grows while packets
 * are sent or received. */
#include "samples.h"

#include <errno.h>
#include <stdlib.h>

int samples_init(struct samples *samples, uint64_t every_ns)
{
	*samples = (struct samples){.every_ns = every_ns};
	samples->list = malloc(SAMPLES_MAX * sizeof(*samples->list));
	return samples->list ? 0 : -ENOMEM;
}

void samples_take(struct samples *samples, uint64_t at_ns, uint64_t total)
{
	/* after a stall the instants that were missed are gone: the grid goes on from now */
	samples->next_ns += samples->every_ns;
	if (samples->next_ns <= at_ns)
		samples->next_ns = at_ns + samples->every_ns;
	if (samples->count == SAMPLES_MAX - 1) /* the last place belongs to the last one */
		samples->truncated = true;
	else
		samples->list[samples->count++] = (struct sample){at_ns, total};
}

void samples_finish(struct samples *samples, uint64_t at_ns, uint64_t total)
{
	samples->list[samples->count++] = (struct sample){at_ns, total};
}

void samples_exit(struct samples *samples)
{
	free(samples->list);
}

void samples_report(const struct samples *samples, json_t *report)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < samples->count; i++)
		json_array_append_new(list, json_pack("[I, I]", (json_int_t)samples->list[i].at_ns,
						      (json_int_t)samples->list[i].total));
	json_object_set_new(report, "samples", list);
	if (samples->truncated)
		json_object_set_new(report, "samples_truncated", json_true());
}
