// SPDX-License-Identifier: MIT
/* memory: see memory.h. */
#include "contract/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U /* Linux 6.3 */
#endif

int memory_create(const char *name)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	return fd < 0 ? -errno : fd;
}

int memory_seal(int fd, enum memory_seal seal)
{
	const int size = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW;

	return fcntl(fd, F_ADD_SEALS, seal == MEMORY_CONST ? size | F_SEAL_WRITE : size) < 0
		       ? -errno
		       : 0;
}
