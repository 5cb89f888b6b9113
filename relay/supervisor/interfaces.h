/* SPDX-License-Identifier: MIT
 *
 * interfaces: those that rules have named so far, as they were when last looked at. They may go
 * away and come back.
 */
#ifndef INTERFACES_H
#define INTERFACES_H

#include "contract/rules.h"
#include "supervisor/netif.h"

#include <stdbool.h>

struct interfaces {
	struct netif *netif; /* [count] */
	unsigned count;
};

/* Remembers those of the rules that are new, and warns of those that are down. */
void interfaces_add(struct interfaces *interfaces, const struct rules *rules);
void interfaces_exit(struct interfaces *interfaces);

/* Looks at all, and logs what has changed. True: sockets have to be opened anew. */
bool interfaces_check(struct interfaces *interfaces);

#endif
