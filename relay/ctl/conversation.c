// SPDX-License-Identifier: MIT
/* conversation: see conversation.h. A connection for each: the relay closes those that are silent.
 */
#include "ctl/conversation.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

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
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
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

/* The answer, a new reference; or NULL, and a negative errno in *rc: -EPIPE when there is no whole
 * line, -EPROTO when it is not JSON. */
static json_t *hear(int fd, int *rc)
{
	FILE *stream = fdopen(dup(fd), "r");
	json_t *answer = NULL;
	char *line = NULL;
	size_t size = 0;
	ssize_t length;

	*rc = stream ? 0 : -errno;
	if (!stream)
		return NULL;
	length = getline(&line, &size, stream);
	if (length < 0 && ferror(stream))
		*rc = -errno;
	else if (length <= 0 || line[length - 1] != '\n')
		*rc = -EPIPE;
	else if (!(answer = json_loads(line, 0, NULL)))
		*rc = -EPROTO;
	free(line);
	fclose(stream);
	return answer;
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
