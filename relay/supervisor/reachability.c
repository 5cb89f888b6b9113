// SPDX-License-Identifier: MIT
/* reachability: see reachability.h. */
#include "supervisor/reachability.h"
#include "common/log.h"
#include "supervisor/neighbours.h"
#include "supervisor/outputs.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

enum {
	LOOK_MS = 500,
	SILENT_MS = 1000, /* a host that is there answers in a few milliseconds */
	ASK_MS = 1000,
	LOOK_UP_MS = 5000, /* routes are looked up again: they may change */
};

static bool is_watched(const struct provision_output *output)
{
	return output->used && output->fds[0] >= 0 &&
	       !IN_MULTICAST(ntohl(output->key.to.group.s_addr));
}

static void look_up(struct provision_output *output, int64_t now_ms)
{
	struct reachability *reach = &output->reach;

	if (reach->looked_up_ms && now_ms - reach->looked_up_ms < LOOK_UP_MS)
		return;
	reach->looked_up_ms = now_ms;
	if (neighbour_for(output->netif.index, output->key.to.group, &reach->neighbour) < 0)
		reach->neighbour.s_addr = INADDR_ANY;
}

/* Once for all outputs with the same neighbour. */
static void log_change(const struct outputs *outputs, int index)
{
	const struct provision_output *output = &outputs->output[index];
	char address[INET_ADDRSTRLEN];

	for (int i = 0; i < index; i++) {
		const struct provision_output *other = &outputs->output[i];

		if (is_watched(other) && other->netif.index == output->netif.index &&
		    other->reach.neighbour.s_addr == output->reach.neighbour.s_addr &&
		    other->reach.unreachable == output->reach.unreachable)
			return;
	}
	inet_ntop(AF_INET, &output->reach.neighbour, address, sizeof(address));
	if (output->reach.unreachable)
		log_warning("Egress",
			    "nobody on %s answers for %s; what is for it is counted, EHOSTUNREACH",
			    output->netif.name, address);
	else
		log_info("Egress", "%s on %s answers", address, output->netif.name);
}

static void set_unreachable(struct outputs *outputs, int index, bool unreachable)
{
	outputs->output[index].reach.unreachable = unreachable;
	log_change(outputs, index);
	for (unsigned w = 0; w < outputs->workers->count; w++)
		output_send(outputs, &outputs->workers->worker[w], index);
}

/* What the kernel has not asked for, or has given up, it asks for, once a second. */
static void ask(struct outputs *outputs, struct provision_output *output, int64_t now_ms)
{
	struct reachability *reach = &output->reach;

	if (outputs->watch.cannot_ask || (reach->asked_ms && now_ms - reach->asked_ms < ASK_MS))
		return;
	reach->asked_ms = now_ms;
	if (neighbour_ask(output->netif.index, reach->neighbour) == -EPERM)
		outputs->watch.cannot_ask = true;
}

static void judge(struct outputs *outputs, int index, enum neighbour_state state, int64_t now_ms)
{
	struct provision_output *output = &outputs->output[index];
	struct reachability *reach = &output->reach;

	if (reach->neighbour.s_addr == INADDR_ANY || state == NEIGHBOUR_KNOWN) {
		reach->silent_since_ms = 0;
		if (reach->unreachable)
			set_unreachable(outputs, index, false);
		return;
	}
	if (!reach->silent_since_ms)
		reach->silent_since_ms = now_ms;
	/* that it failed once may be long ago, and nothing may have been sent there yet */
	if (state != NEIGHBOUR_ASKED)
		ask(outputs, output, now_ms);
	if (!reach->unreachable && !outputs->watch.cannot_ask &&
	    now_ms - reach->silent_since_ms >= SILENT_MS)
		set_unreachable(outputs, index, true);
}

int64_t reachability_look(struct outputs *outputs, int64_t now_ms)
{
	struct reachability_watch *watch = &outputs->watch;
	struct neighbours neighbours;

	if (watch->due_ms < 0)
		return -1;
	if (now_ms < watch->due_ms)
		return watch->due_ms - now_ms;
	watch->due_ms = -1;
	if (neighbours_read(&neighbours) == 0)
		for (int i = 0; i < OUTPUT_NUMBERS; i++) {
			struct provision_output *output = &outputs->output[i];

			if (!is_watched(output))
				continue;
			watch->due_ms = now_ms + LOOK_MS;
			look_up(output, now_ms);
			judge(outputs, i,
			      neighbours_find(&neighbours, output->netif.index,
					      output->reach.neighbour),
			      now_ms);
		}
	else
		watch->due_ms = now_ms + LOOK_MS;
	neighbours_exit(&neighbours);
	return watch->due_ms < 0 ? -1 : LOOK_MS;
}

void reachability_add(struct outputs *outputs)
{
	if (outputs->watch.due_ms < 0)
		outputs->watch.due_ms = 0;
}
