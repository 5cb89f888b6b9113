/* SPDX-License-Identifier: MIT
 *
 * asleep: for a child that is to act while its parent, the test, sleeps in what is tested. To be
 * included behind cmocka.h.
 */
#ifndef ASLEEP_H
#define ASLEEP_H

#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

/* Waits until a process sleeps, for whatever it is, or has ended: no other thread of it counts. */
static void await_sleep(pid_t pid)
{
	char path[64], text[512], state = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	while (state != 'S' && state != 'Z') {
		FILE *file = fopen(path, "re");
		const char *end; /* of the name, which may contain anything */

		if (!file)
			return;
		text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
		fclose(file);
		end = strrchr(text, ')');
		state = end && end[1] ? end[2] : '\0';
		if (state != 'S' && state != 'Z')
			usleep(100);
	}
}

#endif
