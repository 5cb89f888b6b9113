/* SPDX-License-Identifier: MIT
 *
 * slots: which of the RULES_MAX places in shared memory counts for which rule. A rule keeps its
 * place, and so its counters, as long as a rule with its id is in force.
 */
#ifndef SLOTS_H
#define SLOTS_H

#include "contract/rules.h"

#include <stdbool.h>
#include <stdint.h>

/* Slots for the next set of rules, at most RULES_MAX: for those in `present` the same as now
 * (`present_slots` [present->count]), for others one that neither set uses, marked in `fresh`
 * [RULES_MAX]. When there are no more of those, one that a rule gives up: what a worker relays for
 * that one until it has the next plan is then counted for the new rule. Returns them,
 * [next->count], to be freed; NULL when out of memory. */
uint32_t *slots_assign(const struct rules *present, const uint32_t *present_slots,
		       const struct rules *next, bool *fresh);

#endif
