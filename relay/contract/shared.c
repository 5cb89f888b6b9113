// SPDX-License-Identifier: MIT
/* shared: see shared.h. */
#include "contract/shared.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

struct shared *shared_map(int fd)
{
	void *memory = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

int shared_create(struct shared **shared)
{
	int fd = memfd_create("mcrelay-counters", MFD_CLOEXEC);
	int rc;

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, sizeof(struct shared)) == 0 && (*shared = shared_map(fd)))
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

void shared_unmap(struct shared *shared)
{
	if (shared)
		munmap(shared, sizeof(*shared));
}
