/* SPDX-License-Identifier: MIT
 *
 * rule_numbers: the number, below RULE_NUMBERS, under which a rule is counted in shared memory. A
 * rule keeps its number, and so its counters, as long as a rule with its id is in force.
 */
#ifndef RULE_NUMBERS_H
#define RULE_NUMBERS_H

#include "contract/rules.h"

#include <stdbool.h>
#include <stdint.h>

/* Numbers for the next set of rules, at most RULES_MAX: for those in `present` the same as now
 * (`present_numbers` [present->count]), for others one that neither set uses, marked in `fresh`
 * [RULE_NUMBERS]. Returns them, [next->count], to be freed; NULL when out of memory. */
uint32_t *rule_numbers_assign(const struct rules *present, const uint32_t *present_numbers,
			      const struct rules *next, bool *fresh);

#endif
