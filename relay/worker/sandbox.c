// SPDX-License-Identifier: MIT
/* sandbox: see sandbox.h. Irreversible steps, in the order in which each is still allowed. */
#include "worker/sandbox.h"
#include "common/log.h"

#include <cap-ng.h>
#include <errno.h>
#include <grp.h>
#include <liburing.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

/* What the loop calls, and what libc calls for it: memory, the log, the end. */
static const int allowed[] = {
	SCMP_SYS(io_uring_enter), /* sends and sleeps */
	SCMP_SYS(sendmmsg),
	SCMP_SYS(read), /* eventfds of the split model */
	SCMP_SYS(sched_yield),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(madvise), /* a thread's end */
	SCMP_SYS(sendmsg), /* channel; repeats refused GSO sends */
	SCMP_SYS(recvmsg),
	SCMP_SYS(getsockopt), /* SO_ERROR */
	SCMP_SYS(mmap),	      /* rings, plans, memory */
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(brk),
	SCMP_SYS(close),
	SCMP_SYS(write), /* log */
	SCMP_SYS(writev),
	SCMP_SYS(futex),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
};

static int become(const struct worker_settings *settings)
{
	if (geteuid() == 0 &&
	    (setgroups(0, NULL) < 0 || setgid(settings->gid) < 0 || setuid(settings->uid) < 0))
		return -errno;
	capng_clear(CAPNG_SELECT_BOTH);
	if (capng_apply(CAPNG_SELECT_CAPS) < 0)
		return -EPERM;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
}

/* The runtime of a sanitizer makes system calls of its own. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static const bool filter_wanted = false;
#else
static const bool filter_wanted = true;
#endif

static int filter_system_calls(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int rc = filter ? 0 : -ENOMEM;

	if (rc == 0) /* for the sending thread as well */
		rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]) && rc == 0; i++)
		rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
	if (rc == 0) /* liburing gives back its registered descriptor before it closes a ring */
		rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(io_uring_register), 1,
				      SCMP_A1(SCMP_CMP_EQ, IORING_UNREGISTER_RING_FDS));
	if (rc == 0)
		rc = seccomp_load(filter);
	seccomp_release(filter);
	return rc;
}

int sandbox_pin(int cpu)
{
	cpu_set_t set;

	if (cpu < 0)
		return 0;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) < 0 ? -errno : 0;
}

int sandbox_enter(const struct worker_settings *settings)
{
	const char *step = "pin the worker to its CPU";
	int rc = sandbox_pin(settings->cpu);

	if (rc == 0) {
		step = "give up privileges";
		rc = become(settings);
	}
	/* a change of user clears it, so it comes after; should the parent have died before, the
	 * channel tells */
	if (rc == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		rc = -errno;
	if (rc == 0) {
		step = "restrict the system calls";
		rc = filter_wanted ? filter_system_calls() : 0;
	}
	if (rc < 0)
		log_error("Worker", "cannot %s: %s", step, strerror(-rc));
	return rc;
}
