// SPDX-License-Identifier: MIT
/* standard_fds: see standard_fds.h. */
#include "common/standard_fds.h"

#include <fcntl.h>
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
