// SPDX-License-Identifier: MIT
/* rule_numbers: see rule_numbers.h. */
#include "supervisor/rule_numbers.h"

#include <stdlib.h>
#include <string.h>

static int find_rule(const struct rules *rules, const char *id)
{
	for (unsigned i = 0; i < rules->count; i++)
		if (strcmp(rules->rule[i].id, id) == 0)
			return (int)i;
	return -1;
}

uint32_t *rule_numbers_assign(const struct rules *present, const uint32_t *present_numbers,
			      const struct rules *next, bool *fresh)
{
	uint32_t *numbers = calloc(next->count + 1, sizeof(*numbers));
	bool used[RULE_NUMBERS] = {false};
	uint32_t free_number = 0;

	if (!numbers)
		return NULL;
	for (unsigned i = 0; i < present->count; i++)
		used[present_numbers[i]] = true;
	for (unsigned i = 0; i < next->count; i++) {
		int index = find_rule(present, next->rule[i].id);

		if (index >= 0) {
			numbers[i] = present_numbers[index];
			continue;
		}
		while (used[free_number])
			free_number++;
		numbers[i] = free_number;
		used[free_number] = fresh[free_number] = true;
	}
	return numbers;
}
