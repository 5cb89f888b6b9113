// SPDX-License-Identifier: MIT
/* plan: see plan.h. */
#include "contract/plan.h"
#include "contract/limits.h"
#include "contract/memory.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static void fill(struct plan *plan, const struct rules *rules, const uint32_t *rule_numbers,
		 const uint32_t *born, const struct plan_numbers *numbers)
{
	struct plan_source *sources = (struct plan_source *)plan_sources(plan);
	uint32_t *outputs = (uint32_t *)plan_outputs(plan), next = 0, next_source = 0;

	for (unsigned i = 0; i < rules->count; i++) {
		const struct rule *rule = &rules->rule[i];

		plan->rules[i] = (struct plan_rule){
			.group = rule->input.group.s_addr,
			.port = rule->input.port,
			.input = (uint16_t)numbers->input(numbers->context, rule->input.interface),
			.number = rule_numbers[i],
			.born = born[rule_numbers[i]],
			.first_output = next,
			.num_outputs = rule->num_outputs,
			.first_source = next_source,
			.num_sources = rule->num_sources,
		};
		for (unsigned j = 0; j < rule->num_sources; j++)
			sources[next_source++] = (struct plan_source){
				rule->sources[j].address, prefix_last(&rule->sources[j])};
		for (unsigned j = 0; j < rule->num_outputs; j++)
			outputs[next++] =
				(uint32_t)numbers->output(numbers->context, &rule->outputs[j]);
	}
}

int plan_build(const struct rules *rules, const uint32_t *rule_numbers, const uint32_t *born,
	       const struct plan_numbers *numbers, uint32_t *bytes)
{
	uint32_t num_outputs = 0, num_sources = 0;
	struct plan *plan;
	ssize_t written;
	int fd, rc = 0;

	for (unsigned i = 0; i < rules->count; i++) {
		num_outputs += rules->rule[i].num_outputs;
		num_sources += rules->rule[i].num_sources;
	}
	*bytes = plan_bytes(rules->count, num_outputs, num_sources);
	plan = calloc(1, *bytes);
	if (!plan)
		return -ENOMEM;
	plan->num_rules = rules->count;
	plan->num_outputs = num_outputs;
	plan->num_sources = num_sources;
	fill(plan, rules, rule_numbers, born, numbers);
	fd = memory_create("mcrelay-plan");
	written = fd < 0 ? fd : write(fd, plan, *bytes);
	if (fd < 0)
		rc = fd;
	else if (written < 0)
		rc = -errno;
	else if (written != (ssize_t)*bytes) /* no memory for the rest, or a limit */
		rc = -ENOSPC;
	else
		rc = memory_seal(fd, MEMORY_CONST);
	free(plan);
	if (rc == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return rc;
}

/* Each rule's lists begin where those of the one before have ended. */
static bool rules_good(const struct plan *plan)
{
	uint32_t outputs = 0, sources = 0;

	for (uint32_t i = 0; i < plan->num_rules; i++) {
		const struct plan_rule *rule = &plan->rules[i];

		if (rule->input >= INPUT_NUMBERS || rule->number >= RULE_NUMBERS ||
		    rule->first_output != outputs || rule->num_outputs > RULE_OUTPUTS_MAX ||
		    rule->first_source != sources || rule->num_sources > RULE_SOURCES_MAX)
			return false;
		outputs += rule->num_outputs;
		sources += rule->num_sources;
	}
	return outputs == plan->num_outputs && sources == plan->num_sources;
}

static bool lists_good(const struct plan *plan)
{
	const uint32_t *outputs = plan_outputs(plan);
	const struct plan_source *sources = plan_sources(plan);
	bool good = true;

	for (uint32_t i = 0; good && i < plan->num_outputs; i++)
		good = outputs[i] < OUTPUT_NUMBERS;
	for (uint32_t i = 0; good && i < plan->num_sources; i++)
		good = sources[i].first <= sources[i].last;
	return good;
}

int plan_check(const struct plan *plan, size_t bytes)
{
	const bool good =
		bytes >= sizeof(*plan) && plan->num_rules <= RULES_MAX &&
		plan->num_outputs <= RULES_MAX * RULE_OUTPUTS_MAX &&
		plan->num_sources <= SOURCES_MAX &&
		bytes == plan_bytes(plan->num_rules, plan->num_outputs, plan->num_sources) &&
		rules_good(plan) && lists_good(plan);

	return good ? 0 : -EPROTO;
}

const struct plan *plan_map(int fd, uint32_t bytes)
{
	void *plan = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fd, 0);

	if (plan == MAP_FAILED)
		return NULL;
	if (plan_check(plan, bytes) == 0)
		return plan;
	munmap(plan, bytes);
	errno = EPROTO;
	return NULL;
}

void plan_unmap(const struct plan *plan, uint32_t bytes)
{
	munmap((void *)plan, bytes);
}
