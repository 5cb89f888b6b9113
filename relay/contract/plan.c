// SPDX-License-Identifier: MIT
/* plan: see plan.h. */
#include "contract/plan.h"

#include <errno.h>
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
	fd = memfd_create("mcrelay-plan", MFD_CLOEXEC);
	written = fd < 0 ? -1 : write(fd, plan, *bytes);
	if (written < 0)
		rc = -errno;
	else if (written != (ssize_t)*bytes) /* no memory for the rest, or a limit */
		rc = -ENOSPC;
	free(plan);
	if (rc == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return rc;
}

const struct plan *plan_map(int fd, uint32_t bytes)
{
	void *plan = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fd, 0);

	return plan == MAP_FAILED ? NULL : plan;
}

void plan_unmap(const struct plan *plan, uint32_t bytes)
{
	munmap((void *)plan, bytes);
}
