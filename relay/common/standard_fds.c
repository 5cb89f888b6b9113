// SPDX-License-Identifier: MIT
/* standard_fds: see standard_fds.h. */
#include "common/standard_fds.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void standard_fds_open(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
		if (fd < 0) /* there is no /dev: one that can be neither read nor written */
			fd = open("/", O_PATH);
	} while (fd >= STDIN_FILENO && fd < STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

int standard_output_finish(const char *program, int status)
{
	errno = 0;
	if ((fflush(stdout) == 0 && !ferror(stdout)) || status != EXIT_SUCCESS)
		return status;
	/* one that failed before the last has left its reason nowhere; another fails alike */
	if (!errno && putchar('\n') == '\n')
		fflush(stdout);
	fprintf(stderr, "%s: cannot write to standard output: %s\n", program,
		strerror(errno ? errno : EIO));
	return EXIT_FAILURE;
}
