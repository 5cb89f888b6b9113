// SPDX-License-Identifier: MIT
/* slots: see slots.h. */
#include "slots.h"

#include <stdlib.h>
#include <string.h>

static int find_rule(const struct rules *rules, const char *id)
{
	for (unsigned i = 0; i < rules->count; i++)
		if (strcmp(rules->rule[i].id, id) == 0)
			return (int)i;
	return -1;
}

uint32_t *slots_assign(const struct rules *present, const uint32_t *present_slots,
		       const struct rules *next, bool *fresh)
{
	uint32_t *slots = calloc(next->count + 1, sizeof(*slots));
	bool taken[RULES_MAX] = {false};
	uint32_t free_slot = 0;

	if (!slots)
		return NULL;
	for (unsigned i = 0; i < present->count; i++)
		taken[present_slots[i]] = true;
	for (unsigned i = 0; i < next->count; i++) {
		int place = find_rule(present, next->rule[i].id);

		if (place >= 0) {
			slots[i] = present_slots[place];
			continue;
		}
		while (free_slot < RULES_MAX && taken[free_slot])
			free_slot++;
		if (free_slot == RULES_MAX) {
			free(slots);
			return NULL;
		}
		slots[i] = free_slot;
		taken[free_slot] = true;
		fresh[free_slot] = true;
	}
	return slots;
}
