// SPDX-License-Identifier: MIT
/* requester: see requester.h. The kernel says who it was; the name is what the process calls
 * itself, now. */
#include "supervisor/requester.h"

#include <stdio.h>
#include <string.h>

/* Empty if there is no such process. */
static void read_name(pid_t pid, char name[32])
{
	char path[64];
	FILE *file;

	name[0] = '\0';
	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return;
	if (fgets(name, 32, file))
		name[strcspn(name, "\n")] = '\0';
	fclose(file);
}

static void process_describe(pid_t pid, char *text, size_t size)
{
	char name[32];

	if (pid <= 0) {
		snprintf(text, size, "a process of another PID namespace");
		return;
	}
	read_name(pid, name);
	snprintf(text, size, "process %d%s%s%s", (int)pid, name[0] ? " (" : "", name,
		 name[0] ? ")" : "");
}

const char *process_format(pid_t pid, char text[REQUESTER_BYTES])
{
	process_describe(pid, text, REQUESTER_BYTES);
	return text;
}

const char *requester_format(pid_t pid, uid_t uid, char text[REQUESTER_BYTES])
{
	const int length = snprintf(text, REQUESTER_BYTES, "user %u, ", (unsigned)uid);

	process_describe(pid, text + length, REQUESTER_BYTES - (size_t)length);
	return text;
}
