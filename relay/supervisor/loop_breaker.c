// SPDX-License-Identifier: MIT
/* loop_breaker: see loop_breaker.h. */
#include "supervisor/loop_breaker.h"
#include "common/clock.h"
#include "common/log.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

/* A trial costs some thousand packets that go round; whoever has mended the loop waits for it. */
enum { PAUSE_MS = 4000, PAUSE_MAX_MS = 30000, QUICK_TRIALS = 4, TRIAL_MS = 2000 };

/* The rule in force with this number; NULL: it has gone meanwhile. */
static const struct rule *rule_of(const struct provision *provision, uint32_t number)
{
	for (unsigned i = 0; i < provision->rules.count; i++)
		if (provision->rule_numbers[i] == number)
			return &provision->rules.rule[i];
	return NULL;
}

static void explain(char reason[REFUSAL_BYTES], const struct provision *provision,
		    const struct message *found)
{
	const struct in_addr source = {htonl(found->loop.source)};
	char address[INET_ADDRSTRLEN];
	const char *separator = ", by way of rule ";
	int length;

	inet_ntop(AF_INET, &source, address, sizeof(address));
	length = snprintf(reason, REFUSAL_BYTES, "its packets come back to it, from %s:%u", address,
			  found->loop.source_port);
	for (unsigned i = 0; i < found->loop.num_rules && i < MESSAGE_LOOP_RULES; i++) {
		const struct rule *rule = rule_of(provision, found->loop.rules[i]);

		if (!rule || length >= REFUSAL_BYTES)
			continue;
		length += snprintf(reason + length, (size_t)(REFUSAL_BYTES - length), "%s%s",
				   separator, rule->id);
		separator = " and ";
	}
}

static int64_t pause_ms(unsigned stops)
{
	int64_t pause = PAUSE_MS;

	for (; stops > QUICK_TRIALS && pause < PAUSE_MAX_MS; stops--)
		pause *= 2;
	return pause < PAUSE_MAX_MS ? pause : PAUSE_MAX_MS;
}

static void forget(struct loop_breaker *breaker, struct broken_rule *broken)
{
	*broken = (struct broken_rule){0};
	breaker->count--;
}

void loop_breaker_trip(struct loop_breaker *breaker, struct provision *provision,
		       const struct message *found, int64_t now)
{
	const struct rule *rule;
	struct broken_rule *broken;
	char reason[REFUSAL_BYTES];

	if (found->index >= RULE_NUMBERS || provision->stopped[found->index])
		return; /* another worker has found the same */
	rule = rule_of(provision, found->index);
	if (!rule)
		return;
	broken = &breaker->rule[found->index];
	explain(reason, provision, found);
	if (broken->stops == 0) {
		breaker->count++;
		log_warning("Supervisor",
			    "rule %s is stopped: %s; it is tried again after %d seconds, and "
			    "later ever less often",
			    rule->id, reason, PAUSE_MS / 1000);
	}
	broken->stops++;
	broken->on_trial = false;
	broken->due_ms = now + pause_ms(broken->stops);
	if (breaker->stop_rule(provision, found->index, reason) < 0)
		log_error("Supervisor", "out of memory");
}

static void take_found(struct loop_breaker *breaker, struct provision *provision, int64_t now)
{
	struct workers *workers = provision->workers;

	for (unsigned i = 0; i < workers->count; i++) {
		struct worker_handle *worker = &workers->worker[i];
		const struct message found = worker->found;

		worker->found.type = 0;
		if (found.type == MESSAGE_LOOP)
			loop_breaker_trip(breaker, provision, &found, now);
	}
}

static uint64_t count_packets(const struct provision *provision, uint32_t number)
{
	const struct workers *workers = provision->workers;
	uint64_t sum = 0;

	for (unsigned i = 0; i < workers->count; i++)
		sum += counter_read(
			&provision_counted(provision, number, &workers->worker[i])->packets);
	return sum;
}

/* Its time has come. A trial without packets says nothing, and goes on. */
static void go_on(struct loop_breaker *breaker, struct provision *provision, uint32_t number,
		  int64_t now)
{
	struct broken_rule *broken = &breaker->rule[number];
	const struct rule *rule = rule_of(provision, number);

	if (rule && provision->stopped[number] && !broken->on_trial) {
		broken->on_trial = true;
		broken->packets = count_packets(provision, number);
		breaker->stop_rule(provision, number, NULL);
	}
	if (rule && broken->on_trial && broken->packets == count_packets(provision, number)) {
		broken->due_ms = now + TRIAL_MS;
		return;
	}
	if (rule && broken->on_trial)
		log_info("Supervisor", "rule %s runs again: its packets do not come back any more",
			 rule->id);
	forget(breaker, broken);
}

int64_t loop_breaker_due(struct loop_breaker *breaker, struct provision *provision, int64_t now)
{
	int64_t due = -1;

	take_found(breaker, provision, now);
	for (uint32_t i = 0; breaker->count > 0 && i < RULE_NUMBERS; i++) {
		struct broken_rule *broken = &breaker->rule[i];

		if (broken->stops > 0 && broken->due_ms <= now)
			go_on(breaker, provision, i, now);
		if (broken->stops > 0)
			due = sooner(due, broken->due_ms - now);
	}
	return due;
}

void loop_breaker_rules_changed(struct loop_breaker *breaker, int64_t now)
{
	for (uint32_t i = 0; breaker->count > 0 && i < RULE_NUMBERS; i++)
		if (breaker->rule[i].stops > 0 && !breaker->rule[i].on_trial)
			breaker->rule[i].due_ms = now;
}
