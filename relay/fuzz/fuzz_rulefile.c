// SPDX-License-Identifier: MIT
/*
 * fuzz_rulefile: rulefile_parse on anything, on a host whose interfaces are called e-something, the
 * second letter telling them apart.
 * What is accepted must keep the promises of rules.h; what is refused must leave one printable line
 * and no rules behind.
 */
#include "supervisor/rulefile.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned fake_interface(const char *name, void *context)
{
	(void)context;
	return name[0] == 'e' ? (unsigned char)name[1] : 0;
}

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void check_endpoint(const struct endpoint *endpoint)
{
	const uint32_t net = ntohl(endpoint->group.s_addr) >> 24;

	require(memchr(endpoint->interface, 0, IFNAMSIZ) != NULL);
	require(endpoint->interface[0] && !strpbrk(endpoint->interface, "/: \n"));
	require(net > 0 && net != IN_LOOPBACKNET && net < 240);
	require(endpoint->port > 0);
}

/* In order, and none within another. */
static void check_sources(const struct rule *rule)
{
	require(rule->num_sources <= RULE_SOURCES_MAX);
	for (unsigned i = 0; i < rule->num_sources; i++) {
		const struct prefix *source = &rule->sources[i];

		require(source->length <= 32);
		require(source->length == 32 || source->address << source->length == 0);
		require(i == 0 || source->address > prefix_last(source - 1));
	}
}

static void check_rules(const struct rules *rules)
{
	require(rules->count <= RULES_MAX);
	for (unsigned i = 0; i < rules->count; i++) {
		const struct rule *rule = &rules->rule[i];

		require(memchr(rule->id, 0, RULE_ID_BYTES) != NULL && rule->id[0]);
		require(rule->num_outputs <= RULE_OUTPUTS_MAX);
		check_endpoint(&rule->input);
		check_sources(rule);
		for (unsigned j = 0; j < rule->num_outputs; j++) {
			check_endpoint(&rule->outputs[j].to);
			require(rule->outputs[j].dscp <= DSCP_KEEP);
		}
	}
}

static void check_refusal(const struct rules *rules, const char *error)
{
	const char *end = memchr(error, 0, RULEFILE_ERROR_BYTES);

	require(end != NULL && strncmp(error, "f:", 2) == 0);
	for (; error < end; error++)
		require((unsigned char)*error >= 0x20 && *error != 0x7f);
	require(rules->rule == NULL && rules->count == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char error[RULEFILE_ERROR_BYTES];
	struct rules rules;

	memset(error, 0xff, sizeof(error));
	if (rulefile_parse("f", (const char *)data, size, fake_interface, NULL, &rules, error) == 0)
		check_rules(&rules);
	else
		check_refusal(&rules, error);
	rules_free(&rules);
	return 0;
}
