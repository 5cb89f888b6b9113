// SPDX-License-Identifier: MIT
/*
 * watch: see watch.h. A relay that goes away is waited for: it may be started anew. Each picture is
 * written at once, so that Ctrl-C leaves a whole one behind.
 */
#include "ctl/watch.h"
#include "common/clock.h"
#include "ctl/conversation.h"
#include "ctl/picture.h"
#include "ctl/print.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

struct watch_settings {
	uint64_t interval_ms;
};

static const struct option_def watch_options[] = {
	{OPTION_SECONDS, "interval", "SECONDS", .min = 100, .max = 86400000, .preset = "1",
	 .offset = offsetof(struct watch_settings, interval_ms),
	 .help = "time from one picture to the next"},
	{OPTION_END},
};

const struct program watch_program = {
	.name = "mcrelayctl watch",
	.usage = "[--interval SECONDS]",
	.purpose =
		"Shows what is received, sent and lost, in all and by rule and output, and which "
		"rules wait for what: as text, again and again, until Ctrl-C. On a terminal one "
		"picture replaces the other, as far as it fits; else they follow each other. When "
		"the relay goes away, a line on standard error says so, and it is waited for.",
	.options = watch_options,
};

/* Nothing is left to be done: what has been written is whole. */
static void end(int signal)
{
	(void)signal;
	_exit(EXIT_SUCCESS);
}

static void end_on_signals(void)
{
	const struct sigaction action = {.sa_handler = end};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

/* Over what is there, line by line; no line may wrap, nor the last one scroll. */
static void show_on_terminal(const char *text, const struct winsize *size)
{
	/* a serial line, or a pseudo-terminal that nobody has given a size, has none */
	const int lines = size->ws_row ? size->ws_row : 24,
		  columns = size->ws_col ? size->ws_col : 80;
	int rows = lines > 1 ? lines - 1 : 1;

	fputs("\033[H", stdout);
	for (; *text && rows > 0; rows--) {
		const int length = (int)strcspn(text, "\n");

		printf("%.*s\033[K\n", length < columns ? length : columns, text);
		text += length + (text[length] == '\n');
	}
	fputs("\033[J", stdout);
}

/* 0, or -errno when nobody takes it. */
static int show(const char *text)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
		show_on_terminal(text, &size);
	else
		printf("%s\n", text);
	return fflush(stdout) == 0 ? 0 : -errno;
}

static void sleep_until(int64_t time_ms)
{
	const struct timespec then = {.tv_sec = time_ms / 1000,
				      .tv_nsec = time_ms % 1000 * 1000000};

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &then, NULL);
}

/* From one picture to the next: *missing while there is no relay. 0, or the exit status. */
static int turn(const char *socket_path, json_t *request, struct picture *picture, bool *missing)
{
	char error[CONVERSATION_ERROR_BYTES];
	json_t *answer = converse(socket_path, request, error);
	char *text;
	int rc;

	if (!answer) {
		if (!*missing)
			print_failure("watch: %s%s", error,
				      picture_is_first(picture) ? "" : "; waiting for it");
		*missing = true;
		return picture_is_first(picture) ? EXIT_FAILURE : 0;
	}
	*missing = false;
	text = picture_draw(picture, socket_path, json_object_get(answer, "stats"));
	json_decref(answer);
	rc = text ? show(text) : -ENOMEM;
	free(text);
	if (rc == 0)
		return 0;
	print_failure("watch: cannot write: %s", strerror(-rc));
	return EXIT_FAILURE;
}

int watch_run(const char *socket_path, int argc, char **argv)
{
	struct watch_settings settings = {0};
	int status, rc = options_parse(&watch_program, argc, argv, &settings);
	json_t *request = json_pack("{s:s}", "command", "stats");
	struct picture picture = {0};
	bool missing = false;
	int64_t next_ms = now_ms();

	if (rc != 0) {
		json_decref(request);
		return rc < 0 ? EXIT_USAGE : EXIT_SUCCESS;
	}
	end_on_signals();
	while ((status = turn(socket_path, request, &picture, &missing)) == 0) {
		next_ms += (int64_t)settings.interval_ms;
		if (next_ms < now_ms()) /* the relay took its time */
			next_ms = now_ms();
		sleep_until(next_ms);
	}
	picture_exit(&picture);
	json_decref(request);
	return status;
}
