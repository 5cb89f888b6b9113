// SPDX-License-Identifier: MIT
/* sandbox: see sandbox.h. Irreversible steps, in the order in which each is still allowed. */
#include "worker/sandbox.h"
#include "common/log.h"
#include "contract/channel.h"

#include <cap-ng.h>
#include <errno.h>
#include <grp.h>
#include <linux/if_packet.h>
#include <liburing.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* ------------------------------------------------------------------------- user and capabilities
 */

static int complain(const char *step, int rc, const char *hint)
{
	log_error("Worker", "cannot %s: %s%s", step, strerror(-rc), hint);
	return rc;
}

static int become_user(const struct worker_settings *settings)
{
	static const char hint[] = "; in a user namespace, map groups and the user of --user "
				   "(newgidmap, newuidmap), or "
				   "name one that is mapped";

	/* where it is not allowed, there may be nothing to give up */
	if (setgroups(0, NULL) < 0 && getgroups(0, NULL) != 0)
		return complain("give up the groups of root", -EPERM, hint);
	if (setgid(settings->gid) < 0 || setuid(settings->uid) < 0)
		return complain("become the user of --user", -errno, hint);
	return 0;
}

static int give_up_capabilities(void)
{
	capng_clear(CAPNG_SELECT_BOTH);
	if (capng_apply(CAPNG_SELECT_CAPS) < 0)
		return complain("give up capabilities", -EPERM, "");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return complain("give up gaining privileges", -errno, "");
	/* a change of user clears it, so it comes after; should the parent have died before, the
	 * channel tells */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return complain("end with the supervisor", -errno, "");
	return 0;
}

/* ------------------------------------------------------------------------- system calls */

/* The runtime of a sanitizer makes system calls of its own. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static const bool filter_wanted = false;
#else
static const bool filter_wanted = true;
#endif

/* What the loop calls, and what libc calls for it: memory, the end. */
static const int harmless[] = {
	SCMP_SYS(sched_yield),	 SCMP_SYS(futex),
	SCMP_SYS(clock_gettime), SCMP_SYS(munmap),
	SCMP_SYS(mremap),	 SCMP_SYS(brk),
	SCMP_SYS(close),	 SCMP_SYS(exit),
	SCMP_SYS(exit_group),	 SCMP_SYS(rt_sigprocmask), /* a thread's end */
	SCMP_SYS(rt_sigreturn),	 SCMP_SYS(restart_syscall),
};

/* What it calls with certain arguments only. The filter sees numbers, not what a pointer leads to:
 * no call is among these that takes an address to send to, but sendmmsg(2) where that is the back
 * end. */
static const struct {
	int call;
	unsigned count;
	struct scmp_arg_cmp arguments[2];
} limited[] = {
	/* rings, plans, memory: none of it is to be executed, and there is no mprotect(2) */
	{SCMP_SYS(mmap), 1, {SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)}},
	{SCMP_SYS(madvise), 1, {SCMP_A2(SCMP_CMP_EQ, MADV_DONTNEED)}}, /* a thread's end */
	{SCMP_SYS(sendmsg), 1, {SCMP_A0(SCMP_CMP_EQ, WORKER_CHANNEL_FD)}},
	{SCMP_SYS(recvmsg), 1, {SCMP_A0(SCMP_CMP_EQ, WORKER_CHANNEL_FD)}},
	{SCMP_SYS(write), 1, {SCMP_A0(SCMP_CMP_EQ, STDERR_FILENO)}}, /* the log */
	{SCMP_SYS(writev), 1, {SCMP_A0(SCMP_CMP_EQ, STDERR_FILENO)}},
	{SCMP_SYS(getsockopt),
	 2,
	 {SCMP_A1(SCMP_CMP_EQ, SOL_SOCKET), SCMP_A2(SCMP_CMP_EQ, SO_ERROR)}},
};

static int allow(scmp_filter_ctx filter, int call)
{
	return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, call, 0, NULL);
}

static int allow_if(scmp_filter_ctx filter, int call, struct scmp_arg_cmp argument)
{
	return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, call, 1, &argument);
}

/* Sends and sleeps through io_uring. liburing gives back its registered descriptor before it closes
 * a ring; some of its versions set the highest bit then. */
static int allow_uring(scmp_filter_ctx filter)
{
	const unsigned enter = IORING_ENTER_GETEVENTS | IORING_ENTER_REGISTERED_RING;
	int rc = allow_if(filter, SCMP_SYS(io_uring_enter),
			  SCMP_A3(SCMP_CMP_MASKED_EQ, UINT32_MAX & ~enter, 0));

	if (rc == 0)
		rc = allow_if(filter, SCMP_SYS(io_uring_register),
			      SCMP_A1(SCMP_CMP_MASKED_EQ, INT32_MAX, IORING_UNREGISTER_RING_FDS));
	return rc;
}

/* uring ingress asks the kernel what there is in its sockets, and what has not got there. */
static int allow_accounts(scmp_filter_ctx filter)
{
	const struct scmp_arg_cmp memory[] = {SCMP_A1(SCMP_CMP_EQ, SOL_SOCKET),
					      SCMP_A2(SCMP_CMP_EQ, SO_MEMINFO)},
				  drops[] = {SCMP_A1(SCMP_CMP_EQ, SOL_PACKET),
					     SCMP_A2(SCMP_CMP_EQ, PACKET_STATISTICS)};
	int rc = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(getsockopt), 2, memory);

	return rc < 0 ? rc
		      : seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(getsockopt), 2,
					       drops);
}

/* What depends on the settings. */
static int allow_mode(scmp_filter_ctx filter, const struct worker_settings *settings)
{
	int rc = settings->ingress == INGRESS_URING ? allow_accounts(filter) : 0;

	if (rc == 0 && settings->egress == EGRESS_SENDMMSG)
		rc = allow_if(filter, SCMP_SYS(sendmmsg), SCMP_A3(SCMP_CMP_EQ, MSG_DONTWAIT));
	if (rc < 0 || settings_need_uring(settings))
		return rc < 0 ? rc : allow_uring(filter);
	rc = allow(filter, SCMP_SYS(ppoll)); /* sleeps */
	return rc < 0 ? rc : allow(filter, SCMP_SYS(poll));
}

static int allow_event(scmp_filter_ctx filter, int fd)
{
	const struct scmp_arg_cmp on_it = SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)fd);
	int rc;

	if (fd < 0)
		return 0;
	rc = allow_if(filter, SCMP_SYS(read), on_it);
	return rc < 0 ? rc : allow_if(filter, SCMP_SYS(write), on_it);
}

static int filter_system_calls(const struct worker_settings *settings,
			       const int events[SANDBOX_EVENTS])
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int rc = filter ? 0 : -ENOMEM;

	if (rc == 0) /* for the sending thread as well */
		rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]) && rc == 0; i++)
		rc = allow(filter, harmless[i]);
	for (size_t i = 0; i < sizeof(limited) / sizeof(limited[0]) && rc == 0; i++)
		rc = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, limited[i].call,
					    limited[i].count, limited[i].arguments);
	for (unsigned i = 0; i < SANDBOX_EVENTS && rc == 0; i++)
		rc = allow_event(filter, events[i]);
	if (rc == 0)
		rc = allow_mode(filter, settings);
	if (rc == 0)
		rc = seccomp_load(filter);
	seccomp_release(filter);
	return rc;
}

/* ------------------------------------------------------------------------- all of it */

int sandbox_pin(int cpu)
{
	cpu_set_t set;

	if (cpu < 0)
		return 0;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) < 0 ? -errno : 0;
}

int sandbox_enter(const struct worker_settings *settings, const int events[SANDBOX_EVENTS])
{
	int rc = sandbox_pin(settings->cpu);

	if (rc < 0)
		return complain("pin the worker to its CPU", rc, "");
	if (geteuid() == 0)
		rc = become_user(settings);
	if (rc == 0)
		rc = give_up_capabilities();
	if (rc < 0 || !filter_wanted)
		return rc;
	rc = filter_system_calls(settings, events);
	return rc < 0 ? complain("restrict the system calls", rc, "") : 0;
}
