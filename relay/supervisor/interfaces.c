// SPDX-License-Identifier: MIT
/* interfaces: see interfaces.h. */
#include "supervisor/interfaces.h"
#include "common/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const struct interface *interfaces_find(const struct interfaces *interfaces, const char *name)
{
	for (unsigned i = 0; i < interfaces->num_names; i++)
		if (strcmp(interfaces->name[i].name, name) == 0)
			return &interfaces->interface[interfaces->name[i].index];
	return NULL;
}

const struct netif *interfaces_find_own(const struct interfaces *interfaces, const char *name)
{
	for (unsigned i = 0; i < interfaces->count; i++)
		if (strcmp(interfaces->interface[i].netif.name, name) == 0)
			return &interfaces->interface[i].netif;
	return NULL;
}

/* ------------------------------------------------------------------------- a look */

static struct netif ask(const char *name, const struct interfaces *before)
{
	const struct interface *known = interfaces_find(before, name);
	struct netif netif;
	int rc = netif_query(name, &netif);

	return rc < 0 && rc != -ENODEV && known ? known->netif : netif;
}

/* Where the interface stands already under another name, or count. */
static unsigned find_same(const struct interfaces *interfaces, const struct netif *netif)
{
	unsigned i = 0;

	while (i < interfaces->count &&
	       (netif->index == 0 || interfaces->interface[i].netif.index != netif->index))
		i++;
	return i;
}

static int add_interface(struct interfaces *interfaces, const struct netif *netif)
{
	struct interface *list =
		realloc(interfaces->interface, (interfaces->count + 1) * sizeof(*list));

	if (!list)
		return -ENOMEM;
	interfaces->interface = list;
	list[interfaces->count++] = (struct interface){.netif = *netif};
	return 0;
}

static int add_name(struct interfaces *interfaces, const char *name,
		    const struct interfaces *before)
{
	const struct netif netif = ask(name, before);
	struct interface_name *list =
		realloc(interfaces->name, (interfaces->num_names + 1) * sizeof(*list));
	unsigned index = find_same(interfaces, &netif);

	if (!list)
		return -ENOMEM;
	interfaces->name = list;
	if (index == interfaces->count && add_interface(interfaces, &netif) < 0)
		return -ENOMEM;
	list[interfaces->num_names].index = index;
	strcpy(list[interfaces->num_names++].name, name);
	return 0;
}

static int add(struct interfaces *interfaces, const char *name, bool sends,
	       const struct interfaces *before)
{
	unsigned i = 0;

	while (i < interfaces->num_names && strcmp(interfaces->name[i].name, name) != 0)
		i++;
	if (i == interfaces->num_names && add_name(interfaces, name, before) < 0)
		return -ENOMEM;
	interfaces->interface[interfaces->name[i].index].sends |= sends;
	return 0;
}

int interfaces_look(struct interfaces *interfaces, const struct rules *rules,
		    const struct interfaces *before)
{
	int rc = 0;

	*interfaces = (struct interfaces){0};
	for (unsigned i = 0; i < rules->count && rc == 0; i++) {
		const struct rule *rule = &rules->rule[i];

		rc = add(interfaces, rule->input.interface, false, before);
		for (unsigned j = 0; j < rule->num_outputs && rc == 0; j++)
			rc = add(interfaces, rule->outputs[j].to.interface, true, before);
	}
	if (rc < 0)
		interfaces_exit(interfaces);
	return rc;
}

void interfaces_exit(struct interfaces *interfaces)
{
	free(interfaces->interface);
	free(interfaces->name);
	*interfaces = (struct interfaces){0};
}

/* ------------------------------------------------------------------------- what has changed */

static bool same_netif(const struct netif *a, const struct netif *b)
{
	return !netif_replaced(a, b) && a->up == b->up && a->no_carrier == b->no_carrier;
}

bool interfaces_same(const struct interfaces *a, const struct interfaces *b)
{
	bool same = a->num_names == b->num_names;

	for (unsigned i = 0; same && i < a->num_names; i++) {
		const struct interface *there = interfaces_find(b, a->name[i].name);

		same = there && same_netif(&a->interface[a->name[i].index].netif, &there->netif);
	}
	return same;
}

static bool names(const struct rule *rule, const char *name)
{
	bool found = strcmp(rule->input.interface, name) == 0;

	for (unsigned i = 0; i < rule->num_outputs && !found; i++)
		found = strcmp(rule->outputs[i].to.interface, name) == 0;
	return found;
}

/* A link that goes up and down all the time must not fill the log, a host with many links that lose
 * their switch be silent of some. */
static struct log_limit changes = {.lines = 120, .seconds = 60};

static void log_fault(const char *name, const char *fault, const struct rules *rules)
{
	unsigned count = 0;

	for (unsigned i = 0; i < rules->count; i++)
		count += names(&rules->rule[i], name);
	log_limited(&changes, LEVEL_WARNING, "Supervisor", "interface %s %s; %u %s for it", name,
		    fault, count, count == 1 ? "rule waits" : "rules wait");
}

static const char *fault_of(const struct interfaces *interfaces, const char *name)
{
	const struct interface *interface = interfaces_find(interfaces, name);

	return interface ? netif_fault(&interface->netif, interface->sends) : NULL;
}

void interfaces_log(const struct interfaces *before, const struct interfaces *now,
		    const struct rules *rules)
{
	for (unsigned i = 0; i < now->num_names; i++) {
		const char *name = now->name[i].name;
		const char *then = fault_of(before, name), *fault = fault_of(now, name);

		if (fault && !then)
			log_fault(name, fault, rules);
		else if (fault && strcmp(then, fault) != 0) /* one that comes is down at first */
			log_debug("Supervisor", "interface %s %s", name, fault);
		else if (then && !fault)
			log_limited(&changes, LEVEL_INFO, "Supervisor", "interface %s is ready",
				    name);
	}
}
