// SPDX-License-Identifier: MIT
/* conversation: see conversation.h. A connection for each: the relay closes those that are silent.
 */
#include "ctl/conversation.h"
#include "common/clock.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

/* 4,096 rules with 256 outputs each are 80 MiB. */
enum { ANSWER_BYTES_FIRST = 1 << 16, ANSWER_BYTES_MAX = 1 << 28 };

static uint64_t patience_ms = 10000;

void conversation_patience(uint64_t ms)
{
	patience_ms = ms;
}

static int connect_to(const char *path)
{
	const struct timeval patience = {.tv_sec = (time_t)(patience_ms / 1000),
					 .tv_usec = (suseconds_t)(patience_ms % 1000 * 1000)};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd, rc;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

/* One line. 0 or negative errno. */
static int say(int fd, const json_t *request)
{
	char *text = json_dumps(request, JSON_COMPACT);
	size_t length, sent = 0;
	int rc = 0;

	if (!text)
		return -ENOMEM;
	length = strlen(text) + 1;
	text[length - 1] = '\n'; /* in place of the terminating 0 */
	while (sent < length && rc == 0) {
		ssize_t some = send(fd, text + sent, length - sent, MSG_NOSIGNAL);

		if (some < 0)
			rc = errno == EINTR ? 0 : -errno;
		else
			sent += (size_t)some;
	}
	free(text);
	return rc;
}

/* What has come of an answer. */
struct text {
	char *bytes;
	size_t length, size;
};

/* 0, or -EMSGSIZE: no answer is that long. */
static int make_room(struct text *text)
{
	char *larger;

	if (text->length < text->size)
		return 0;
	if (text->size == ANSWER_BYTES_MAX)
		return -EMSGSIZE;
	text->size = text->size ? 4 * text->size : ANSWER_BYTES_FIRST;
	larger = realloc(text->bytes, text->size);
	if (!larger)
		return -ENOMEM;
	text->bytes = larger;
	return 0;
}

/* 0; -EAGAIN when it is late, -EPIPE at the end. */
static int hear_some(int fd, struct text *text, int64_t deadline_ms)
{
	struct pollfd some = {.fd = fd, .events = POLLIN};
	const int64_t left = deadline_ms - now_ms();
	ssize_t length;

	if (left <= 0 || poll(&some, 1, left < INT_MAX ? (int)left : INT_MAX) == 0)
		return -EAGAIN;
	length = recv(fd, text->bytes + text->length, text->size - text->length, MSG_DONTWAIT);
	if (length < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : -errno;
	text->length += (size_t)length;
	return length ? 0 : -EPIPE;
}

/* One line, its newline included, however slowly or in how many pieces it comes. 0 or negative
 * errno as of those above. */
static int hear_line(int fd, struct text *text)
{
	const int64_t deadline_ms = now_ms() + (int64_t)patience_ms;
	size_t before = 0;
	int rc = 0;

	while (rc == 0 && !memchr(text->bytes + before, '\n', text->length - before)) {
		before = text->length;
		rc = make_room(text);
		if (rc == 0)
			rc = hear_some(fd, text, deadline_ms);
	}
	return rc;
}

/* The answer, a new reference; or NULL, and a negative errno in *rc: of hear_line, or -EPROTO when
 * it is not JSON. */
static json_t *hear(int fd, int *rc)
{
	struct text text = {0};
	json_t *answer = NULL;
	const char *end;

	*rc = make_room(&text);
	if (*rc == 0)
		*rc = hear_line(fd, &text);
	if (*rc == 0) {
		end = memchr(text.bytes, '\n', text.length);
		answer = json_loadb(text.bytes, (size_t)(end - text.bytes), 0, NULL);
		*rc = answer ? 0 : -EPROTO;
	}
	free(text.bytes);
	return answer;
}

static bool is_socket(const char *path)
{
	struct stat status;

	return stat(path, &status) < 0 || S_ISSOCK(status.st_mode);
}

/* Why there is no connection, and what to do. */
static void explain_silence(char *error, const char *path, int rc)
{
	const char *hint = "";

	if (rc == -EAGAIN) {
		snprintf(error, CONVERSATION_ERROR_BYTES,
			 "the relay at %s has accepted no connection for %g s; is it stopped?",
			 path, (double)patience_ms / 1000);
		return;
	}
	if (rc == -ENOENT)
		hint = "; is one running, with this --control-socket-path?";
	else if (rc == -ECONNREFUSED && !is_socket(path))
		hint = "; it is no socket: name the relay's --control-socket-path";
	else if (rc == -ECONNREFUSED)
		hint = "; the one that made it has ended";
	else if (rc == -EACCES)
		hint = "; it is for root and the relay's --control-group";
	else if (rc == -ENAMETOOLONG)
		hint = "; a socket's path has at most 107 bytes";
	snprintf(error, CONVERSATION_ERROR_BYTES, "cannot reach a relay at %s: %s%s", path,
		 strerror(-rc), hint);
}

/* Why there is a connection and no answer. */
static void explain_no_answer(char *error, const char *path, int rc)
{
	if (rc == -EAGAIN)
		snprintf(error, CONVERSATION_ERROR_BYTES,
			 "no answer from the relay at %s for %g s; is it stopped?", path,
			 (double)patience_ms / 1000);
	else
		snprintf(error, CONVERSATION_ERROR_BYTES, "no answer from the relay at %s: %s",
			 path,
			 rc == -EPIPE || rc == -ECONNRESET ? "it closed the connection"
			 : rc == -EPROTO		   ? "what it says is not JSON"
			 : rc == -EMSGSIZE		   ? "what it says has no end"
							   : strerror(-rc));
}

static json_t *ask(const char *path, const json_t *request, char *error)
{
	json_t *answer = NULL;
	int fd = connect_to(path), rc;

	if (fd < 0) {
		explain_silence(error, path, fd);
		return NULL;
	}
	rc = say(fd, request);
	if (rc == 0)
		answer = hear(fd, &rc);
	if (!answer)
		explain_no_answer(error, path, rc);
	close(fd);
	return answer;
}

json_t *converse(const char *path, json_t *request, char error[CONVERSATION_ERROR_BYTES])
{
	json_t *answer = ask(path, request, error);
	const char *refusal;

	if (answer && json_is_true(json_object_get(answer, "ok")))
		return answer;
	if (answer) {
		refusal = json_string_value(json_object_get(answer, "error"));
		snprintf(error, CONVERSATION_ERROR_BYTES, "%s: %s",
			 json_string_value(json_object_get(request, "command")),
			 refusal ? refusal : "refused");
		json_decref(answer);
	}
	return NULL;
}
