// SPDX-License-Identifier: MIT
/* slots: see slots.h. */
#include "supervisor/slots.h"

#include <stdlib.h>
#include <string.h>

static int find_rule(const struct rules *rules, const char *id)
{
	for (unsigned i = 0; i < rules->count; i++)
		if (strcmp(rules->rule[i].id, id) == 0)
			return (int)i;
	return -1;
}

/* The first one that is in neither list; or, with all in one of them, that is not `used`, of which
 * there are fewer than RULES_MAX. */
static uint32_t find_free(const bool *used, const bool *going)
{
	uint32_t second = RULES_MAX;

	for (uint32_t slot = 0; slot < RULES_MAX; slot++) {
		if (!used[slot] && !going[slot])
			return slot;
		if (!used[slot] && second == RULES_MAX)
			second = slot;
	}
	return second;
}

uint32_t *slots_assign(const struct rules *present, const uint32_t *present_slots,
		       const struct rules *next, bool *fresh)
{
	uint32_t *slots = calloc(next->count + 1, sizeof(*slots));
	bool used[RULES_MAX] = {false}, going[RULES_MAX] = {false};

	if (!slots)
		return NULL;
	for (unsigned i = 0; i < present->count; i++)
		going[present_slots[i]] = true;
	for (unsigned i = 0; i < next->count; i++) {
		int place = find_rule(present, next->rule[i].id);

		slots[i] = place < 0 ? RULES_MAX : present_slots[place];
		if (place >= 0)
			used[slots[i]] = true;
	}
	for (unsigned i = 0; i < next->count; i++) {
		if (slots[i] < RULES_MAX)
			continue;
		slots[i] = find_free(used, going);
		used[slots[i]] = fresh[slots[i]] = true;
	}
	return slots;
}
