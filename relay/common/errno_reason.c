// SPDX-License-Identifier: MIT
/* errno_reason: see errno_reason.h. */
#include "common/errno_reason.h"

#include <errno.h>
#include <string.h>

const char *reason_of_send(int error)
{
	switch (error) {
	case EAGAIN:
		return "its send buffer is full: the interface takes less than is sent";
	case ENOBUFS:
		return "the queue of the interface is full, see 'tc -s qdisc'";
	case EPERM:
		return "a firewall or a program of the cgroup forbids it";
	case EACCES:
		return "the route forbids it, see 'ip route get'";
	case EMSGSIZE:
		return "larger than a datagram may be, or than a router on the way takes";
	case ENETUNREACH:
		return "no route: is the interface up, has it an address?";
	case ENETDOWN:
		return "the interface is down or has no carrier";
	case ENODEV:
	case ENXIO:
		return "the interface is gone";
	case EADDRNOTAVAIL:
		return "the interface has no IPv4 address, or not the output's source";
	case ECONNREFUSED:
		return "nobody listens there: an ICMP error came back";
	case EHOSTUNREACH:
		return "the receiver cannot be reached: it does not answer, or a router says so";
	default:
		return strerror(error);
	}
}

const char *reason_of_shortage(int rc)
{
	switch (rc) {
	case -EMFILE:
		return "; raise the limit of open files: ulimit -Hn, LimitNOFILE= of the service";
	case -ENFILE:
		return "; raise fs.file-max";
	case -EAGAIN:
		return "; raise the limit of processes: ulimit -u, TasksMax= of the service";
	case -ENOMEM:
	case -ENOBUFS:
		return "; there is too little memory, or the limit of the cgroup or of locked "
		       "memory is too low";
	default:
		return "";
	}
}
