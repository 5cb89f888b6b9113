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

/* The first one that is in neither list; or, with all in one of them, that is not `used`, of which
 * there are fewer than RULES_MAX. */
static uint32_t find_free(const bool *used, const bool *going)
{
	uint32_t second = RULES_MAX;

	for (uint32_t number = 0; number < RULES_MAX; number++) {
		if (!used[number] && !going[number])
			return number;
		if (!used[number] && second == RULES_MAX)
			second = number;
	}
	return second;
}

uint32_t *rule_numbers_assign(const struct rules *present, const uint32_t *present_numbers,
			      const struct rules *next, bool *fresh)
{
	uint32_t *numbers = calloc(next->count + 1, sizeof(*numbers));
	bool used[RULES_MAX] = {false}, going[RULES_MAX] = {false};

	if (!numbers)
		return NULL;
	for (unsigned i = 0; i < present->count; i++)
		going[present_numbers[i]] = true;
	for (unsigned i = 0; i < next->count; i++) {
		int index = find_rule(present, next->rule[i].id);

		numbers[i] = index < 0 ? RULES_MAX : present_numbers[index];
		if (index >= 0)
			used[numbers[i]] = true;
	}
	for (unsigned i = 0; i < next->count; i++) {
		if (numbers[i] < RULES_MAX)
			continue;
		numbers[i] = find_free(used, going);
		used[numbers[i]] = fresh[numbers[i]] = true;
	}
	return numbers;
}
