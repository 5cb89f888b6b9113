/* SPDX-License-Identifier: MIT
 *
 * control_fixture: a control socket in a temporary folder, and its clients, all in one thread:
 * turn() is one turn of the supervisor's loop. What the socket answers is made up here, and so is
 * the time: it stands still until a test moves it. What one end has sent is there for the other at
 * once, so nothing is waited for.
 */
#ifndef CONTROL_FIXTURE_H
#define CONTROL_FIXTURE_H

#include "control/control.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#define PING  "{\"command\":\"ping\"}\n"
#define LARGE "{\"command\":\"large\"}\n"

enum { SOCKET_BYTES = 65536, LARGE_BYTES = 1 << 20 };

static char folder[] = "/tmp/test_control.XXXXXX", path[sizeof(folder) + 2];
static struct control control;
static unsigned answered;
static int64_t time_ms;
static bool narrowed[CONTROL_CLIENTS_MAX];

/* ------------------------------------------------------------------------- both ends */

static int64_t clock_ms(void)
{
	return time_ms;
}

/* Of the type control_answer: numbers its answers, and repeats the request in them. */
static json_t *answer(void *context, const struct ucred *peer, json_t *request)
{
	const char *command = json_string_value(json_object_get(request, "command"));
	json_t *text;
	char *large;

	assert_ptr_equal(context, folder);
	assert_int_equal(peer->pid, getpid());
	assert_int_equal(peer->uid, getuid());
	assert_true(json_is_object(request));
	answered++;
	if (command && strcmp(command, "nothing") == 0)
		return NULL; /* as when out of memory */
	if (!command || strcmp(command, "large") != 0)
		return json_pack("{s:b, s:i, s:O}", "ok", 1, "number", (int)answered, "request",
				 request);
	large = malloc(LARGE_BYTES);
	assert_non_null(large);
	memset(large, 'x', LARGE_BYTES);
	text = json_stringn(large, LARGE_BYTES);
	free(large);
	return json_pack("{s:b, s:o}", "ok", 1, "large", text);
}

static int open_control(const char *where, gid_t gid)
{
	int rc = control_open(&control, where, gid, answer, folder);

	control.clock_ms = clock_ms;
	return rc;
}

static unsigned clients(void)
{
	unsigned count = 0;

	for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++)
		count += control.clients[i].fd >= 0;
	return count;
}

/* Sockets of new clients hold no large answer, whatever the host's net.core.wmem_default. */
static void narrow(void)
{
	const int bytes = SOCKET_BYTES;

	for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		const int fd = control.clients[i].fd;

		if (fd >= 0 && !narrowed[i])
			assert_int_equal(
				setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)), 0);
		narrowed[i] = fd >= 0;
	}
}

/* False if there was nothing to do. */
static bool turn(void)
{
	static struct pollfd fds[CONTROL_CLIENTS_MAX + 1];
	unsigned count = control_poll(&control, fds);
	int ready;

	assert_in_range(count, 1, CONTROL_CLIENTS_MAX + 1);
	ready = poll(fds, count, 0);
	assert_true(ready >= 0);
	control_handle(&control, fds);
	narrow();
	return ready > 0;
}

static void turns(unsigned count)
{
	while (count--)
		turn();
}

static int connect_to(const char *where, int type)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	strcpy(address.sun_path, where);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static int connected(void)
{
	return connect_to(path, SOCK_STREAM);
}

static void say_bytes(int fd, const char *text, size_t length)
{
	assert_int_equal(send(fd, text, length, MSG_NOSIGNAL), length);
}

static void say(int fd, const char *text)
{
	say_bytes(fd, text, strlen(text));
}

/* What has come of the next line, up to its end, behind what is in *line: 1 if it is whole, 0 if
 * there is more of it, -EAGAIN if that has not come yet. */
static int receive_some(int fd, char **line, size_t *length)
{
	static char part[65536];
	char *end;
	ssize_t got = recv(fd, part, sizeof(part), MSG_PEEK);

	if (got < 0) {
		assert_int_equal(errno, EAGAIN);
		return -EAGAIN;
	}
	assert_true(got > 0); /* else it was closed */
	end = memchr(part, '\n', (size_t)got);
	if (end)
		got = end + 1 - part;
	assert_int_equal(recv(fd, part, (size_t)got, 0), got);
	*line = realloc(*line, *length + (size_t)got);
	assert_non_null(*line);
	memcpy(*line + *length, part, (size_t)got);
	*length += (size_t)got;
	return end != NULL;
}

/* The next answer: one line, one object, that says whether it is ok. */
static json_t *next_answer(int fd)
{
	char *line = NULL;
	size_t length = 0;
	json_t *object;
	int rc;

	while ((rc = receive_some(fd, &line, &length)) <= 0)
		if (rc < 0)
			assert_true(turn()); /* else it will never come */
	object = json_loadb(line, length - 1, JSON_REJECT_DUPLICATES, NULL);
	assert_true(json_is_object(object));
	assert_true(json_is_boolean(json_object_get(object, "ok")));
	free(line);
	return object;
}

static inline void assert_no_answer(int fd)
{
	turns(3);
	assert_int_equal(recv(fd, (char[1]){0}, 1, MSG_PEEK), -1);
	assert_int_equal(errno, EAGAIN);
}

/* Returns its number. */
static int assert_ok(int fd)
{
	json_t *object = next_answer(fd);
	int number = (int)json_integer_value(json_object_get(object, "number"));

	assert_true(json_is_true(json_object_get(object, "ok")));
	json_decref(object);
	return number;
}

static inline void assert_large(int fd)
{
	json_t *object = next_answer(fd);

	assert_int_equal(json_string_length(json_object_get(object, "large")), LARGE_BYTES);
	json_decref(object);
}

/* After what was sent before, if any. */
static inline void assert_closed(int fd)
{
	static char rest[65536];
	ssize_t got;
	bool busy;

	do {
		busy = turn();
		got = recv(fd, rest, sizeof(rest), 0);
	} while (got > 0 || (got < 0 && errno == EAGAIN && busy));
	assert_true(got == 0 || errno == ECONNRESET);
}

static int setup(void **state)
{
	(void)state;
	answered = 0;
	time_ms = 1000000;
	memset(narrowed, 0, sizeof(narrowed));
	strcpy(folder + sizeof(folder) - 7, "XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/s", folder);
	return open_control(path, (gid_t)-1);
}

static int teardown(void **state)
{
	(void)state;
	control_close(&control);
	unlink(path);
	return rmdir(folder); /* nothing else is left there */
}

#endif
