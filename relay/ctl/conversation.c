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

enum { PATIENCE_S = 10 };

static int connect_to(const char *path)
{
	const struct timeval patience = {.tv_sec = PATIENCE_S};
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

/* The answer, a new reference; NULL with errno when there is none. */
static json_t *ask(int fd, json_t *request)
{
	FILE *stream = fdopen(fd, "r+");
	json_t *answer = NULL;
	char *line = NULL;
	size_t size = 0;

	if (!stream)
		return NULL;
	errno = 0;
	if (json_dumpf(request, stream, JSON_COMPACT) == 0 && fputc('\n', stream) != EOF &&
	    fflush(stream) == 0 && getline(&line, &size, stream) > 0)
		answer = json_loads(line, 0, NULL);
	free(line);
	fclose(stream);
	return answer;
}

json_t *converse(const char *path, json_t *request, char error[CONVERSATION_ERROR_BYTES])
{
	const char *refusal;
	json_t *answer;
	int fd = connect_to(path);

	if (fd < 0) {
		snprintf(error, CONVERSATION_ERROR_BYTES, "cannot reach a relay at %s: %s", path,
			 strerror(-fd));
		return NULL;
	}
	answer = ask(fd, request);
	if (!answer) {
		snprintf(error, CONVERSATION_ERROR_BYTES, "no answer from the relay at %s: %s",
			 path, errno ? strerror(errno) : "it closed the connection");
		return NULL;
	}
	if (json_is_true(json_object_get(answer, "ok")))
		return answer;
	refusal = json_string_value(json_object_get(answer, "error"));
	snprintf(error, CONVERSATION_ERROR_BYTES, "%s: %s",
		 json_string_value(json_object_get(request, "command")),
		 refusal ? refusal : "refused");
	json_decref(answer);
	return NULL;
}
