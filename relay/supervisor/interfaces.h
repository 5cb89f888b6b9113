/* SPDX-License-Identifier: MIT
 *
 * interfaces: those that rules name, as they were when last looked at. They may be absent, go away
 * and come back. An interface may have several names; it is known by its index, and stands here
 * once.
 */
#ifndef INTERFACES_H
#define INTERFACES_H

#include "contract/rules.h"
#include "supervisor/netif.h"

#include <stdbool.h>

struct interface {
	struct netif netif;
	bool sends; /* rules have outputs on it */
};

/* A name as rules have it. */
struct interface_name {
	char name[IFNAMSIZ];
	unsigned index; /* in interfaces->interface */
};

struct interfaces {
	struct interface *interface; /* [count] */
	unsigned count;
	struct interface_name *name; /* [num_names] */
	unsigned num_names;
};

/* Asks for all that `rules` name, none but those. One that cannot be asked for is taken to be as it
 * was `before`. 0 or -ENOMEM: then there is nothing to be freed. */
int interfaces_look(struct interfaces *interfaces, const struct rules *rules,
		    const struct interfaces *before);
void interfaces_exit(struct interfaces *interfaces);

/* NULL: no rule has this name. */
const struct interface *interfaces_find(const struct interfaces *interfaces, const char *name);

/* The same by its own name only, as served rules (served.h) have it. */
const struct netif *interfaces_find_own(const struct interfaces *interfaces, const char *name);

/* True if to each name there is the same interface, as ready and with the same address and MTU.
 * What it counts and its offloads do not matter. */
bool interfaces_same(const struct interfaces *a, const struct interfaces *b);

/* Logs what has changed for the worse or the better, once per name. */
void interfaces_log(const struct interfaces *before, const struct interfaces *now,
		    const struct rules *rules);

#endif
