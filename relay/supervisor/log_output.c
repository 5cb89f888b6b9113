// SPDX-License-Identifier: MIT
/* log_output: see log_output.h. */
#include "supervisor/log_output.h"
#include "common/errno_reason.h"
#include "common/log.h"

#include <string.h>

enum { PATIENCE_MS = 500 };

/* Of the type pump_note. What a worker lost is counted in memory that outlives it. */
static size_t say_lost_lines(void *context, char *line, size_t size)
{
	struct log_output *output = context;
	uint32_t lost = log_lost(), said = output->lost_said;

	for (unsigned i = 0; i < output->workers->count; i++)
		lost += __atomic_load_n(&output->workers->worker[i].shared->lines_lost,
					__ATOMIC_SEQ_CST);
	output->lost_said = lost;
	return lost == said ? 0 : log_format_lost(lost - said, line, size);
}

int log_output_open(struct log_output *output)
{
	int rc = pump_open(&output->pump);

	if (rc < 0)
		log_error("Supervisor", "cannot make a pipe for the log: %s%s", strerror(-rc),
			  reason_of_shortage(rc));
	return rc;
}

int log_output_start(struct log_output *output, const struct workers *workers)
{
	int rc;

	output->workers = workers;
	rc = pump_start(&output->pump, say_lost_lines, output);
	if (rc < 0)
		log_error("Supervisor", "cannot start a thread for the log: %s%s", strerror(-rc),
			  reason_of_shortage(rc));
	return rc;
}

void log_output_close(struct log_output *output)
{
	pump_finish(&output->pump, PATIENCE_MS);
}
