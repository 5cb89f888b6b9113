/* SPDX-License-Identifier: MIT
 *
 * served: the rules in force as workers get them. Rules are written with any of an interface's
 * names; here it has its own. What shows then to be there twice is there once, and a rule that
 * would do harm is not there.
 */
#ifndef SERVED_H
#define SERVED_H

#include "contract/rules.h"
#include "supervisor/interfaces.h"
#include "supervisor/rule_status.h"

#include <stdbool.h>
#include <stdint.h>

struct served {
	struct rules rules; /* what they point to besides outputs is the written rules' */
	uint32_t *numbers;  /* [rules.count] under which they are counted */
};

/* Of the rules as written, with their numbers, the interfaces that they name, and for each number
 * why a rule may not run (NULL: it may). Sets status [rules->count] of each: stopped with the
 * reason, or running, as far as can be told here. 0 or -ENOMEM: then there is nothing to be freed.
 */
int served_build(struct served *served, const struct rules *rules, const uint32_t *numbers,
		 const struct interfaces *interfaces, char *const stopped[RULE_NUMBERS],
		 struct rule_status *status);
void served_exit(struct served *served);

/* Are both made of the same written rules, on the same interfaces? */
bool served_same(const struct served *a, const struct served *b);

#endif
