// SPDX-License-Identifier: MIT
/* pump: see pump.h. One read takes all that the pipe can hold. */
#include "common/pump.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* What a pipe holds unless it is told otherwise: several hundred lines. */
enum { PIPE_BYTES = 1 << 16 };

/* A sanitizer's last words must not wait in the pipe: the process ends with them. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
void __sanitizer_set_report_fd(void *fd);
#define report_findings_to(fd) __sanitizer_set_report_fd((void *)(long)(fd))
#else
#define report_findings_to(fd)
#endif

int pump_open(struct pump *pump)
{
	int ends[2], rc;

	*pump = (struct pump){.in = -1, .out = -1};
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	pump->buffer = malloc(PIPE_BYTES);
	pump->out = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (pump->out >= 0 && pump->buffer && fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0 &&
	    dup2(ends[1], STDERR_FILENO) == STDERR_FILENO) {
		close(ends[1]);
		pump->in = ends[0];
		report_findings_to(pump->out);
		return 0;
	}
	rc = -errno;
	if (pump->out >= 0)
		close(pump->out);
	pump->out = -1;
	free(pump->buffer);
	close(ends[0]);
	close(ends[1]);
	return rc;
}

/* Whoever reads there may be gone: then it is lost, as it is without a pump. */
static void pass_on(const struct pump *pump, const char *bytes, size_t length)
{
	struct pollfd room = {.fd = pump->out, .events = POLLOUT};

	while (length > 0) {
		ssize_t taken = write(pump->out, bytes, length);

		if (taken > 0) {
			bytes += taken;
			length -= (size_t)taken;
		} else if (taken < 0 && errno == EAGAIN) { /* it was given to us so */
			poll(&room, 1, -1);
		} else if (taken == 0 || errno != EINTR) {
			return;
		}
	}
}

/* The end comes with the last writer's. */
static void *run(void *argument)
{
	struct pump *pump = argument;
	ssize_t length;

	while ((length = read(pump->in, pump->buffer, PIPE_BYTES)) > 0) {
		pass_on(pump, pump->buffer, (size_t)length);
		if (!pump->note || pump->buffer[length - 1] != '\n')
			continue;
		pass_on(pump, pump->buffer, pump->note(pump->context, pump->buffer, PIPE_BYTES));
	}
	sem_post(&pump->ended);
	return NULL;
}

int pump_start(struct pump *pump, pump_note note, void *context)
{
	sigset_t all, before;
	int rc;

	pump->note = note;
	pump->context = context;
	sem_init(&pump->ended, 0, 0);
	/* signals are for others: SIGTTOU, of a terminal that wants no output from the background,
	 * would stop the process, SIGPIPE end it */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&pump->thread, NULL, run, pump);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pump->running = rc == 0;
	if (pump->running)
		pthread_setname_np(pump->thread, "pump"); /* for who looks at the threads */
	return -rc;
}

/* Whether it has taken everything on. */
static bool end_thread(struct pump *pump, int patience_ms)
{
	struct timespec until;
	bool in_time;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += patience_ms / 1000;
	until.tv_nsec += patience_ms % 1000 * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_nsec -= 1000000000L;
		until.tv_sec++;
	}
	do
		in_time = sem_clockwait(&pump->ended, CLOCK_MONOTONIC, &until) == 0;
	while (!in_time && errno == EINTR);
	if (!in_time)
		pthread_cancel(pump->thread);
	pthread_join(pump->thread, NULL);
	return in_time;
}

void pump_finish(struct pump *pump, int patience_ms)
{
	if (pump->out < 0)
		return;
	report_findings_to(STDERR_FILENO);
	dup2(pump->out, STDERR_FILENO); /* the pipe has no writer any more */
	if (!pump->running && pump_start(pump, NULL, NULL) < 0)
		run(pump);
	else if (!end_thread(pump, patience_ms))
		dup2(pump->in, STDERR_FILENO); /* nothing can be written there */
	sem_destroy(&pump->ended);
	close(pump->in);
	close(pump->out);
	free(pump->buffer);
	*pump = (struct pump){.in = -1, .out = -1};
}
