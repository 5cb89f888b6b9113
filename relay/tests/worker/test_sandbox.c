// SPDX-License-Identifier: MIT
/*
 * sandbox: which system calls a worker may make, in each mode. Each is tried by a child that has
 * entered the sandbox: it is killed for it, or goes on. A build with a sanitizer has no sandbox.
 */
#include "worker/sandbox.h"
#include "common/log.h"
#include "contract/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <liburing.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

enum { OTHER_FD = 9, EVENT_FD = 10, ENDED = 7 };

#define ANY 0xf
enum { /* modes, as a set */
       RING_URING = 1,
       RING_SENDMMSG = 2,
       URING_URING = 4,
       URING_SENDMMSG = 8,
       WITH_URING = RING_URING | URING_URING | URING_SENDMMSG,
       WITH_URING_INGRESS = URING_URING | URING_SENDMMSG,
       WITH_SENDMMSG = RING_SENDMMSG | URING_SENDMMSG,
};

static const struct worker_settings modes[] = {
	{.ingress = INGRESS_RING, .egress = EGRESS_URING},
	{.ingress = INGRESS_RING, .egress = EGRESS_SENDMMSG},
	{.ingress = INGRESS_URING, .egress = EGRESS_URING},
	{.ingress = INGRESS_URING, .egress = EGRESS_SENDMMSG},
};
enum { MODES = sizeof(modes) / sizeof(modes[0]) };

struct call {
	long number;
	const char *name;
	unsigned modes; /* in which it is allowed */
	long arguments[6];
};

#define CALL(call, in, ...)            \
	{                              \
		SYS_##call, #call, in, \
		{                      \
			__VA_ARGS__    \
		}                      \
	}

static char nowhere[] = "/nonexistent/file";

/* Descriptors that are not open and addresses that are none: what is allowed fails. */
static const struct call calls[] = {
	/* the rest of the system */
	CALL(openat, 0, AT_FDCWD, (long)nowhere, O_RDONLY),
	CALL(openat2, 0, AT_FDCWD, (long)nowhere, 0, 0),
	CALL(unlinkat, 0, AT_FDCWD, (long)nowhere, 0),
	CALL(renameat2, 0, AT_FDCWD, (long)nowhere, AT_FDCWD, (long)nowhere, 0),
	CALL(mkdirat, 0, AT_FDCWD, (long)nowhere, 0),
	CALL(ftruncate, 0, OTHER_FD, 0),
	CALL(memfd_create, 0, (long)nowhere, 0),
	CALL(execve, 0, (long)nowhere, 0, 0),
	CALL(clone, 0, SIGCHLD, 0, 0, 0, 0),
	CALL(clone3, 0, 0, 0),
	CALL(kill, 0, 0, 0),
	CALL(tgkill, 0, 0, 0, 0),
	CALL(ptrace, 0, 0, 0, 0, 0),
	CALL(process_vm_writev, 0, 0, 0, 0, 0, 0, 0),
	CALL(setuid, 0, 0),
	CALL(capset, 0, 0, 0),
	CALL(prctl, 0, PR_SET_DUMPABLE, 1, 0, 0, 0),
	CALL(seccomp, 0, 0, 0, 0),
	CALL(unshare, 0, 0),
	CALL(bpf, 0, 0, 0, 0),
	/* descriptors */
	CALL(dup, 0, OTHER_FD),
	CALL(dup3, 0, OTHER_FD, EVENT_FD, 0),
	CALL(fcntl, 0, OTHER_FD, F_DUPFD, 0),
	CALL(ioctl, 0, OTHER_FD, 0, 0),
	CALL(pidfd_open, 0, 0, 0),
	CALL(pidfd_getfd, 0, 0, 0, 0),
	CALL(read, 0, STDIN_FILENO, 0, 0),
	CALL(read, 0, OTHER_FD, 0, 0),
	CALL(read, ANY, EVENT_FD, 0, 0),
	CALL(write, 0, OTHER_FD, 0, 0),
	CALL(write, 0, WORKER_CHANNEL_FD, 0, 0),
	CALL(write, ANY, STDERR_FILENO, 0, 0),
	CALL(write, ANY, EVENT_FD, 0, 0),
	CALL(close, ANY, OTHER_FD),
	/* sockets */
	CALL(socket, 0, AF_INET, SOCK_STREAM, 0),
	CALL(socketpair, 0, AF_UNIX, SOCK_STREAM, 0, 0),
	CALL(connect, 0, OTHER_FD, 0, 0),
	CALL(bind, 0, OTHER_FD, 0, 0),
	CALL(listen, 0, OTHER_FD, 0),
	CALL(accept4, 0, OTHER_FD, 0, 0, 0),
	CALL(setsockopt, 0, OTHER_FD, SOL_SOCKET, SO_DETACH_FILTER, 0, 0),
	CALL(getsockopt, ANY, OTHER_FD, SOL_SOCKET, SO_ERROR, 0, 0),
	CALL(getsockopt, 0, OTHER_FD, SOL_SOCKET, SO_PEERCRED, 0, 0),
	CALL(getsockopt, WITH_URING_INGRESS, OTHER_FD, SOL_SOCKET, SO_MEMINFO, 0, 0),
	CALL(getsockopt, WITH_URING_INGRESS, OTHER_FD, SOL_PACKET, PACKET_STATISTICS, 0, 0),
	CALL(getsockopt, 0, OTHER_FD, SOL_PACKET, PACKET_FANOUT, 0, 0),
	CALL(sendto, 0, OTHER_FD, 0, 0, 0, 0, 0),
	CALL(sendto, 0, WORKER_CHANNEL_FD, 0, 0, 0, 0, 0),
	CALL(recvfrom, 0, OTHER_FD, 0, 0, 0, 0, 0),
	CALL(sendmsg, 0, OTHER_FD, 0, 0),
	CALL(sendmsg, ANY, WORKER_CHANNEL_FD, 0, 0),
	CALL(recvmsg, 0, OTHER_FD, 0, 0),
	CALL(recvmsg, ANY, WORKER_CHANNEL_FD, 0, 0),
	CALL(recvmmsg, 0, OTHER_FD, 0, 0, 0, 0),
	CALL(sendmmsg, WITH_SENDMMSG, OTHER_FD, 0, 0, MSG_DONTWAIT),
	CALL(sendmmsg, 0, OTHER_FD, 0, 0, 0),
	CALL(splice, 0, OTHER_FD, 0, OTHER_FD, 0, 0, 0),
	/* memory */
	CALL(mmap, ANY, 0, 0, PROT_READ, MAP_SHARED, OTHER_FD, 0),
	CALL(mmap, 0, 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
	CALL(mmap, 0, 0, 4096, PROT_EXEC, MAP_SHARED, OTHER_FD, 0),
	CALL(mprotect, 0, 0, 4096, PROT_READ),
	CALL(pkey_mprotect, 0, 0, 4096, PROT_READ, 0),
	CALL(madvise, ANY, 0, 0, MADV_DONTNEED),
	CALL(madvise, 0, 0, 0, MADV_HUGEPAGE),
	CALL(personality, 0, 0x0400000 /* READ_IMPLIES_EXEC */),
	/* io_uring, and what is in its place without */
	CALL(io_uring_setup, 0, 1, 0),
	CALL(io_uring_enter, WITH_URING, OTHER_FD, 0, 0, IORING_ENTER_GETEVENTS, 0, 0),
	CALL(io_uring_enter, 0, OTHER_FD, 0, 0, IORING_ENTER_SQ_WAKEUP, 0, 0),
	CALL(io_uring_register, 0, OTHER_FD, IORING_REGISTER_FILES, 0, 0),
	CALL(io_uring_register, WITH_URING, OTHER_FD, IORING_UNREGISTER_RING_FDS, 0, 0),
	CALL(ppoll, RING_SENDMMSG, 0, 1L << 30, 0, 0, 0),
	CALL(epoll_create1, 0, 0),
};

/* In a child: enters and makes the call. */
static int attempt(const struct worker_settings *mode, const struct call *call)
{
	const int events[SANDBOX_EVENTS] = {EVENT_FD, -1};
	struct worker_settings settings = *mode;
	const long *arguments = call->arguments;

	settings.cpu = -1;
	settings.uid = settings.gid = 65534;
	close_range(STDERR_FILENO + 1, ~0U, 0);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* no core */
	if (sandbox_enter(&settings, events) < 0)
		return 1;
	syscall(call->number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4],
		arguments[5]);
	return ENDED;
}

static void try_in(unsigned mode, const struct call *call)
{
	const bool allowed = call->modes >> mode & 1;
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(attempt(&modes[mode], call));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (allowed ? WIFEXITED(status) && WEXITSTATUS(status) == ENDED
		    : WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		return;
	fail_msg("%s(%ld, %ld, %ld, %ld) in mode %u: status 0x%x, which should be %s", call->name,
		 call->arguments[0], call->arguments[1], call->arguments[2], call->arguments[3],
		 mode, (unsigned)status, allowed ? "allowed" : "killed for");
}

static void test_system_calls(void **state)
{
	(void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	skip();
#endif
	for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		for (unsigned mode = 0; mode < MODES; mode++)
			try_in(mode, &calls[i]);
}

/* Where no user is mapped but root, as in a user namespace that anybody can make: said, with what
 * to do.
 */
static int enter_unmapped(int log_fd)
{
	const int none[SANDBOX_EVENTS] = {-1, -1};
	const struct worker_settings settings = {.cpu = -1, .uid = 12345, .gid = 12345};
	const uid_t uid = geteuid();
	FILE *map;

	if (unshare(CLONE_NEWUSER) < 0 || !(map = fopen("/proc/self/uid_map", "we")))
		return 77;
	fprintf(map, "0 %u 1", (unsigned)uid);
	if (fclose(map) != 0)
		return 77;
	dup2(log_fd, STDERR_FILENO);
	return sandbox_enter(&settings, none) < 0 ? ENDED : 1;
}

static void test_user_namespace(void **state)
{
	char said[1024] = "";
	int ends[2], status;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(enter_unmapped(ends[1]));
	close(ends[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
		close(ends[0]);
		print_message("may not make a user namespace\n");
		skip();
	}
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), ENDED);
	assert_true(read(ends[0], said, sizeof(said) - 1) > 0);
	close(ends[0]);
	assert_non_null(strstr(said, "cannot "));
	assert_non_null(strstr(said, "user namespace"));
	assert_non_null(strstr(said, "--user"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_system_calls),
		cmocka_unit_test(test_user_namespace),
	};

	return cmocka_run_group_tests_name("sandbox", tests, NULL, NULL);
}
