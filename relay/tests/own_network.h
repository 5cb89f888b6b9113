/* SPDX-License-Identifier: MIT
 *
 * own_network: a network namespace of the test's own, with lo up: as root, or by way of a user
 * namespace. Nothing of it is left behind.
 *
 * The process stays on one CPU: lo hands packets on where they were sent, at once or, when much is
 * to do, a little later; in order, so that when one of them has been received, every socket has
 * had those before it.
 */
#ifndef OWN_NETWORK_H
#define OWN_NETWORK_H

#include <net/if.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static bool own_network_set_lo(bool up)
{
	struct ifreq request = {.ifr_name = "lo"};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool set;

	if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &request) < 0)
		return false;
	request.ifr_flags = (short)((request.ifr_flags & ~IFF_UP) | (up ? IFF_UP : 0));
	set = ioctl(fd, SIOCSIFFLAGS, &request) == 0;
	close(fd);
	return set;
}

static bool own_network_stay_here(void)
{
	cpu_set_t here;

	CPU_ZERO(&here);
	CPU_SET((size_t)sched_getcpu(), &here);
	return sched_setaffinity(0, sizeof(here), &here) == 0;
}

/* In a user namespace, programs that are run keep our rights only as its root. */
static bool own_network_become_root(uid_t uid)
{
	FILE *map = fopen("/proc/self/uid_map", "we");
	bool written;

	if (!map)
		return false;
	written = fprintf(map, "0 %u 1", (unsigned)uid) > 0;
	return fclose(map) == 0 && written;
}

/* False where it may not be made; the test stays on one CPU all the same. */
static bool own_network_enter(void)
{
	const uid_t uid = geteuid();

	if (!own_network_stay_here())
		return false;
	if (unshare(CLONE_NEWNET) == 0)
		return own_network_set_lo(true);
	return unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0 && own_network_become_root(uid) &&
	       own_network_set_lo(true);
}

#endif
