// SPDX-License-Identifier: MIT
/* rule_status: see rule_status.h. */
#include "supervisor/rule_status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *const rule_state_word[RULE_STATES] = {
	[RULE_RUNNING] = "running",
	[RULE_WAITING] = "waiting",
	[RULE_STOPPED] = "stopped",
};

void rule_status_set(struct rule_status *status, enum rule_state state, const char *format, ...)
{
	va_list args;

	status->state = state;
	va_start(args, format);
	vsnprintf(status->reason, sizeof(status->reason), format, args);
	va_end(args);
}

/* Writes to `reason` why nothing is received; "": something is. */
static void explain_input(char *reason, const struct endpoint *from,
			  const struct interfaces *interfaces, const struct inputs *inputs)
{
	const struct netif *netif = &interfaces_find(interfaces, from->interface)->netif;
	const char *fault = netif_fault(netif, false);
	int index = inputs ? inputs_find(inputs, netif->name) : -1;

	reason[0] = '\0';
	if (fault)
		snprintf(reason, REFUSAL_BYTES, "interface %s %s", from->interface, fault);
	else if (index >= 0)
		strcpy(reason, inputs->input[index].reason);
}

static void explain_output(char *reason, const struct rule_output *output,
			   const struct interfaces *interfaces, const struct outputs *outputs)
{
	const struct netif *netif = &interfaces_find(interfaces, output->to.interface)->netif;
	const char *fault = netif_fault(netif, true);
	int index = outputs ? outputs_find_written(outputs, output, interfaces) : -1;

	reason[0] = '\0';
	if (fault)
		snprintf(reason, REFUSAL_BYTES, "interface %s %s", output->to.interface, fault);
	else if (index >= 0)
		output_explain(&outputs->output[index], reason);
}

void rule_status_judge(struct rule_status *status, const struct rule *rule,
		       const struct interfaces *interfaces, const struct inputs *inputs,
		       const struct outputs *outputs)
{
	char reason[REFUSAL_BYTES];
	unsigned missing = 0;

	*status = (struct rule_status){.state = RULE_RUNNING};
	explain_input(reason, &rule->input, interfaces, inputs);
	if (reason[0]) {
		rule_status_set(status, RULE_WAITING, "%s", reason);
		return;
	}
	for (unsigned i = 0; i < rule->num_outputs; i++) {
		explain_output(reason, &rule->outputs[i], interfaces, outputs);
		if (reason[0] && missing++ == 0)
			rule_status_set(status, RULE_WAITING, "%s", reason);
	}
	if (missing && rule->num_outputs > 1)
		snprintf(strchr(status->reason, '\0'), RULE_REASON_BYTES - REFUSAL_BYTES,
			 " (%u of %u outputs can be served)", rule->num_outputs - missing,
			 rule->num_outputs);
}
