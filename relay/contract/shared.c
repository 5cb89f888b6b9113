// SPDX-License-Identifier: MIT
/* shared: see shared.h. */
#include "contract/shared.h"
#include "contract/memory.h"

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
	int fd = memory_create("mcrelay-counters");
	int rc;

	if (fd < 0)
		return fd;
	rc = ftruncate(fd, sizeof(struct shared)) < 0 ? -errno : memory_seal(fd, MEMORY_SIZE_STAYS);
	if (rc == 0 && (*shared = shared_map(fd)))
		return fd;
	if (rc == 0)
		rc = -errno;
	close(fd);
	return rc;
}

void shared_unmap(struct shared *shared)
{
	if (shared)
		munmap(shared, sizeof(*shared));
}
