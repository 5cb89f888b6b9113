// SPDX-License-Identifier: MIT
/* interfaces: see interfaces.h. */
#include "supervisor/interfaces.h"
#include "common/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void log_change(const struct netif *then, const struct netif *now)
{
	if (then->index && !now->index)
		log_warning("Supervisor", "interface %s is gone; waiting for it to come back",
			    now->name);
	else if (!then->index && now->index)
		log_info("Supervisor", "interface %s is back", now->name);
	else if (then->up && !now->up)
		log_warning("Supervisor", "interface %s is down; waiting for it to come up",
			    now->name);
	else if (!then->up && now->up)
		log_info("Supervisor", "interface %s is up", now->name);
}

bool interfaces_check(struct interfaces *interfaces)
{
	bool changed = false;

	for (unsigned i = 0; i < interfaces->count; i++) {
		struct netif *then = &interfaces->netif[i], now;
		int rc = netif_query(then->name, &now);

		if (rc < 0 && rc != -ENODEV)
			continue;
		log_change(then, &now);
		changed |= netif_replaced(then, &now) || then->up != now.up;
		*then = now;
	}
	return changed;
}

static void add(struct interfaces *interfaces, const char *name)
{
	struct netif *list, *netif;

	for (unsigned i = 0; i < interfaces->count; i++)
		if (strcmp(interfaces->netif[i].name, name) == 0)
			return;
	list = realloc(interfaces->netif, (interfaces->count + 1) * sizeof(*list));
	if (!list)
		return;
	interfaces->netif = list;
	netif = &list[interfaces->count++];
	netif_query(name, netif);
	if (!netif->up)
		log_warning("Supervisor", "interface %s is down; waiting for it to come up", name);
}

void interfaces_add(struct interfaces *interfaces, const struct rules *rules)
{
	for (unsigned i = 0; i < rules->count; i++) {
		add(interfaces, rules->rule[i].input.interface);
		for (unsigned j = 0; j < rules->rule[i].num_outputs; j++)
			add(interfaces, rules->rule[i].outputs[j].to.interface);
	}
}

void interfaces_exit(struct interfaces *interfaces)
{
	free(interfaces->netif);
	*interfaces = (struct interfaces){0};
}
