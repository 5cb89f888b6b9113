// SPDX-License-Identifier: MIT
/* rules: see rules.h. */
#include "contract/rules.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void rules_free(struct rules *rules)
{
	for (unsigned i = 0; i < rules->count; i++) {
		free(rules->rule[i].sources);
		free(rules->rule[i].outputs);
	}
	free(rules->rule);
	*rules = (struct rules){0};
}

bool endpoint_same(const struct endpoint *a, const struct endpoint *b)
{
	return a->group.s_addr == b->group.s_addr && a->port == b->port &&
	       strcmp(a->interface, b->interface) == 0;
}

bool rule_output_same(const struct rule_output *a, const struct rule_output *b)
{
	return endpoint_same(&a->to, &b->to) && a->source.s_addr == b->source.s_addr &&
	       a->source_port == b->source_port && a->ttl == b->ttl && a->dscp == b->dscp;
}

bool rules_overlap(const struct rule *a, const struct rule *b)
{
	return endpoint_same(&a->input, &b->input) &&
	       (a->num_sources == 0 || b->num_sources == 0 ||
		sources_common(a->sources, a->num_sources, b->sources, b->num_sources));
}

/* FNV-1a, 64 bits: stable across builds and machines, which is all that an id needs. */
static uint64_t fnv1a(uint64_t hash, const void *data, size_t length)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3ULL;
	return hash;
}

void rule_default_id(const struct rule *rule, char id[RULE_ID_BYTES])
{
	const struct endpoint *input = &rule->input;
	const uint8_t port[2] = {(uint8_t)(input->port >> 8), (uint8_t)input->port};
	uint64_t hash = 0xcbf29ce484222325ULL;

	hash = fnv1a(hash, input->interface, strlen(input->interface) + 1);
	hash = fnv1a(hash, &input->group, sizeof(input->group));
	hash = fnv1a(hash, port, sizeof(port));
	for (unsigned i = 0; i < rule->num_sources; i++) {
		const struct prefix *source = &rule->sources[i];
		const uint8_t bytes[5] = {
			(uint8_t)(source->address >> 24), (uint8_t)(source->address >> 16),
			(uint8_t)(source->address >> 8), (uint8_t)source->address, source->length};

		hash = fnv1a(hash, bytes, sizeof(bytes));
	}
	snprintf(id, RULE_ID_BYTES, "%016" PRIx64, hash);
}

bool rule_names_sources(const struct rule *rule)
{
	for (unsigned i = 0; i < rule->num_sources; i++)
		if (rule->sources[i].length < 32)
			return false;
	return rule->num_sources > 0;
}
