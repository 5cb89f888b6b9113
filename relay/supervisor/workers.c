// SPDX-License-Identifier: MIT
/* workers: see workers.h. */
#include "supervisor/workers.h"
#include "common/clock.h"
#include "common/errno_reason.h"
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	BACKOFF_FIRST_MS = 10,
	BACKOFF_MAX_MS = 5000,
	LINES_A_MINUTE = 20, /* about workers that die, again and again */
	STABLE_MS = 10000,   /* one that lived that long starts anew without back-off */
	/* A channel holds some thousand messages, hundreds without CAP_NET_ADMIN, and a worker that
	 * has just been started is sent all outputs: it has that long to make room for the next. */
	SEND_PATIENCE_MS = 2000,
	MESSAGES_AT_A_TIME = 64,
};

/* A batch process does not interrupt one that is running: on a core that both share, the supervisor
 * waits for the end of the worker's burst, or of its time slice, and then does all that is due in
 * one go. Somebody else's choice of policy (chrt) stands. */
static bool yield_to_workers(void)
{
	const struct sched_param none = {0};

	return sched_getscheduler(0) == SCHED_OTHER &&
	       sched_setscheduler(0, SCHED_BATCH, &none) == 0;
}

int workers_init(struct workers *workers, const struct config *config)
{
	workers->config = config;
	workers->deaths = workers->starts = (struct log_limit){LINES_A_MINUTE, 60};
	workers->yielding = yield_to_workers();
	workers->worker = calloc(config->num_workers, sizeof(*workers->worker));
	if (!workers->worker) {
		log_error("Supervisor", "out of memory");
		return -ENOMEM;
	}
	for (unsigned i = 0; i < config->num_workers; i++) {
		struct worker_handle *worker = &workers->worker[workers->count];

		worker->index = i;
		worker->channel = -1;
		worker->clock_ms = now_ms;
		worker->shared_fd = shared_create(&worker->shared);
		if (worker->shared_fd < 0) {
			int rc = worker->shared_fd;

			log_error("Supervisor", "cannot make shared memory for worker %u: %s%s", i,
				  strerror(-rc), reason_of_shortage(rc));
			return rc;
		}
		worker->shared->ends = (struct log_limit){5, 60};
		workers->count++;
	}
	return 0;
}

void workers_exit(struct workers *workers)
{
	for (unsigned i = 0; i < workers->count; i++) {
		struct worker_handle *worker = &workers->worker[i];

		if (worker->channel >= 0)
			close(worker->channel);
		shared_unmap(worker->shared);
		close(worker->shared_fd);
	}
	free(workers->worker);
}

/* None; the runtimes of sanitizers are told what to do that way. */
static char *const *worker_environment(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	return environ;
#else
	static char *const none[] = {NULL};

	return none;
#endif
}

/* In the child: the channel becomes WORKER_CHANNEL_FD, 0 to 2 are the log, everything else is
 * closed, and the program starts anew, so that nothing of the supervisor's memory or environment
 * remains. */
static void become_worker(const struct workers *workers, int channel)
{
	static char name[] = "mcrelay", role[] = "--worker";
	char *const arguments[] = {name, role, NULL};
	const struct sched_param normal = {0};
	sigset_t none;

	if (workers->yielding)
		sched_setscheduler(0, SCHED_OTHER, &normal);
	/* Ctrl-C in a terminal, or a service manager, reaches all; the supervisor says what to do
	 */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGUSR1, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (channel != WORKER_CHANNEL_FD && dup2(channel, WORKER_CHANNEL_FD) < 0)
		_exit(EXIT_FAILURE);
	if (channel == WORKER_CHANNEL_FD)
		fcntl(channel, F_SETFD, 0);
	dup2(STDERR_FILENO, STDIN_FILENO);
	dup2(STDERR_FILENO, STDOUT_FILENO);
	close_range(WORKER_CHANNEL_FD + 1, ~0U, 0);
	execve("/proc/self/exe", arguments, worker_environment());
	_exit(EXIT_FAILURE);
}

static struct message setup_message(const struct config *config, unsigned index)
{
	struct message message = {.type = MESSAGE_SETUP, .settings = config->worker};

	message.settings.index = index;
	message.settings.cpu = message.settings.send_cpu = -1;
	if (config->num_cpus) { /* a CPU per thread, in turn */
		unsigned threads = config->worker.threads == THREADS_SPLIT ? 2 : 1;

		message.settings.cpu = config->cpus[index * threads % config->num_cpus];
		message.settings.send_cpu =
			config->cpus[(index * threads + threads - 1) % config->num_cpus];
	}
	return message;
}

int workers_start(struct workers *workers, struct worker_handle *worker)
{
	const struct message setup = setup_message(workers->config, worker->index);
	const int bytes = 1 << 20;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0) {
		int rc = -errno;

		log_limited(&workers->deaths, LEVEL_ERROR, "Supervisor",
			    "cannot make a channel for worker %u: %s%s", worker->index,
			    strerror(-rc), reason_of_shortage(rc));
		return rc;
	}
	setsockopt(pair[0], SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes));
	worker->pid = fork();
	if (worker->pid == 0)
		become_worker(workers, pair[1]);
	close(pair[1]);
	if (worker->pid < 0) {
		int rc = -errno;

		worker->pid = 0;
		close(pair[0]);
		log_limited(&workers->deaths, LEVEL_ERROR, "Supervisor",
			    "cannot start worker %u: %s%s", worker->index, strerror(-rc),
			    reason_of_shortage(rc));
		return rc;
	}
	worker->channel = pair[0];
	worker->ready = false;
	worker->applied = 0;
	worker->started_ms = worker->clock_ms();
	worker->restart_at_ms = 0;
	workers_send(worker, &setup, worker->shared_fd);
	return 0;
}

/* One that has missed a message, or cannot be talked to, is of no use: its successor gets all. */
static void give_up(struct worker_handle *worker)
{
	if (worker->pid)
		kill(worker->pid, SIGKILL);
	close(worker->channel);
	worker->channel = -1;
}

static int send_patiently(const struct worker_handle *worker, const struct message *message,
			  int passed)
{
	struct pollfd room = {.fd = worker->channel, .events = POLLOUT};
	int64_t deadline = worker->clock_ms() + SEND_PATIENCE_MS;
	int rc;

	while ((rc = channel_send(worker->channel, message, passed)) == -EAGAIN) {
		int64_t left = deadline - worker->clock_ms();

		if (left <= 0)
			return -ETIMEDOUT;
		poll(&room, 1, (int)left);
	}
	return rc;
}

void workers_send(struct worker_handle *worker, const struct message *message, int passed)
{
	int rc;

	if (worker->channel < 0)
		return;
	rc = send_patiently(worker, message, passed);
	__atomic_add_fetch(&worker->shared->doorbell.rung, 1, __ATOMIC_RELEASE);
	if (rc == 0)
		return;
	if (rc == -ETIMEDOUT)
		log_error("Supervisor", "worker %u does not take messages; killing it",
			  worker->index);
	else if (rc != -EPIPE) /* else it is dying by itself */
		log_error("Supervisor", "cannot send to worker %u: %s; killing it", worker->index,
			  strerror(-rc));
	give_up(worker);
}

/* One that says what no worker says has gone bad; one that never stops talking does not keep the
 * supervisor from anything else. */
void workers_receive(struct worker_handle *worker)
{
	struct message message;
	int passed, rc = 0;

	if (worker->channel < 0)
		return;
	for (unsigned i = 0; i < MESSAGES_AT_A_TIME && rc >= 0; i++) {
		rc = channel_receive(worker->channel, &message, &passed);
		if (rc <= 0)
			break;
		if (passed >= 0)
			close(passed);
		if (message.type == MESSAGE_READY)
			worker->ready = true;
		else if (message.type == MESSAGE_APPLIED)
			worker->applied = message.plan.generation;
		else if (message.type == MESSAGE_LOOP)
			worker->found = message;
		else
			rc = -EPROTO;
	}
	if (rc == -EPROTO)
		log_error("Supervisor", "worker %u says what no worker says; killing it",
			  worker->index);
	if (rc < 0)
		give_up(worker);
}

static void log_death(struct workers *workers, const struct worker_handle *worker, int status)
{
	if (WIFSIGNALED(status))
		log_limited(&workers->deaths, LEVEL_ERROR, "Supervisor",
			    "worker %u was killed by signal %d (%s)%s", worker->index,
			    WTERMSIG(status), strsignal(WTERMSIG(status)),
			    WTERMSIG(status) == SIGSYS
				    ? ": its sandbox does not allow what it called"
				    : "");
	else
		log_limited(&workers->deaths, LEVEL_ERROR, "Supervisor",
			    "worker %u ended with status %d", worker->index, WEXITSTATUS(status));
}

static void note_end(struct workers *workers, struct worker_handle *worker, int status,
		     const struct rusage *usage, bool stopping)
{
	const struct timeval *user = &usage->ru_utime, *system = &usage->ru_stime;
	int64_t now = worker->clock_ms(), pause = BACKOFF_FIRST_MS;

	if (worker->channel >= 0)
		close(worker->channel);
	worker->channel = -1;
	worker->pid = 0;
	worker->cpu_ns_before += (uint64_t)(user->tv_sec + system->tv_sec) * 1000000000U +
				 (uint64_t)(user->tv_usec + system->tv_usec) * 1000U;
	if (stopping && WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return;
	log_death(workers, worker, status);
	if (stopping)
		return;
	worker->failures = now - worker->started_ms < STABLE_MS ? worker->failures + 1 : 1;
	for (unsigned i = 1; i < worker->failures && pause < BACKOFF_MAX_MS; i++)
		pause *= 2;
	worker->restarts++;
	worker->restart_at_ms = now + (pause < BACKOFF_MAX_MS ? pause : BACKOFF_MAX_MS);
}

void workers_reap(struct workers *workers, bool stopping)
{
	struct rusage usage;
	int status;
	pid_t pid;

	while ((pid = wait4(-1, &status, WNOHANG, &usage)) > 0)
		for (unsigned i = 0; i < workers->count; i++)
			if (workers->worker[i].pid == pid)
				note_end(workers, &workers->worker[i], status, &usage, stopping);
}

int64_t workers_restart_due_ms(const struct workers *workers)
{
	int64_t due = -1;

	for (unsigned i = 0; i < workers->count; i++) {
		const struct worker_handle *worker = &workers->worker[i];
		int64_t left;

		if (!worker->restart_at_ms)
			continue;
		left = worker->restart_at_ms - worker->clock_ms();
		if (due < 0 || left < due)
			due = left > 0 ? left : 0;
	}
	return due;
}

bool workers_any_alive(const struct workers *workers)
{
	for (unsigned i = 0; i < workers->count; i++)
		if (workers->worker[i].pid)
			return true;
	return false;
}

uint64_t workers_cpu_ns(const struct worker_handle *worker)
{
	struct timespec time;
	clockid_t clock;

	if (!worker->pid || clock_getcpuclockid(worker->pid, &clock) != 0 ||
	    clock_gettime(clock, &time) != 0)
		return worker->cpu_ns_before;
	return worker->cpu_ns_before + (uint64_t)time.tv_sec * 1000000000U + (uint64_t)time.tv_nsec;
}
