// SPDX-License-Identifier: MIT
/*
 * control: see control.h. The life of a client: accepted; reads until a line is complete; its
 * answer is sent, and only then the next line looked at; closed by itself, by the clock, or for a
 * line too long.
 */
#include "control/control.h"
#include "common/clock.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ACCEPT_PAUSE_MS = 100 };

json_t *control_error(const char *format, ...)
{
	char text[1024];
	va_list args;
	json_t *answer;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	answer = json_pack("{s:b, s:s}", "ok", 0, "error", text);
	/* a quotation that is cut in the middle of a character is not UTF-8 */
	return answer ? answer : json_pack("{s:b, s:s}", "ok", 0, "error", "invalid request");
}

int control_open(struct control *control, const char *path, gid_t gid, control_answer answer,
		 void *context)
{
	control->listener = (struct listener){.fd = -1};
	control->answer = answer;
	control->context = context;
	control->clock_ms = now_ms;
	for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++)
		control->clients[i].fd = -1;
	return path ? listener_open(&control->listener, path, gid) : 0;
}

/* ------------------------------------------------------------------------- clients */

static void client_close(struct control_client *client)
{
	close(client->fd);
	free(client->input);
	free(client->output);
	*client = (struct control_client){.fd = -1};
}

/* Its time begins anew. */
static void give_time(const struct control *control, struct control_client *client)
{
	client->deadline_ms = control->clock_ms() + CONTROL_PATIENCE_MS;
}

void control_close(struct control *control)
{
	if (control->listener.fd < 0)
		return;
	for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++)
		if (control->clients[i].fd >= 0)
			client_close(&control->clients[i]);
	listener_close(&control->listener);
}

static struct control_client *free_place(struct control *control)
{
	for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++)
		if (control->clients[i].fd < 0)
			return &control->clients[i];
	return NULL;
}

/* With all places taken, further clients wait in the socket's backlog until one is free. */
static void accept_clients(struct control *control)
{
	struct control_client *client;

	while ((client = free_place(control))) {
		socklen_t peer_bytes = sizeof(client->peer);
		int fd = accept4(control->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0) {
			/* without a descriptor the client keeps the socket readable: do not spin */
			if (errno == EMFILE || errno == ENFILE)
				control->accept_after_ms = control->clock_ms() + ACCEPT_PAUSE_MS;
			return;
		}
		client->fd = fd;
		getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &client->peer, &peer_bytes);
		client->input = malloc(CONTROL_REQUEST_BYTES);
		give_time(control, client);
		if (!client->input)
			client_close(client);
	}
}

static void client_send(const struct control *control, struct control_client *client)
{
	while (client->output_sent < client->output_length) {
		ssize_t sent = send(client->fd, client->output + client->output_sent,
				    client->output_length - client->output_sent,
				    MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent < 0) {
			if (errno != EAGAIN && errno != EINTR)
				client_close(client);
			return;
		}
		client->output_sent += (size_t)sent;
	}
	free(client->output);
	client->output = NULL;
	give_time(control, client);
}

/* Takes over the reference. */
static void client_answer(const struct control *control, struct control_client *client,
			  json_t *answer)
{
	char *text = json_dumps(answer, JSON_COMPACT | JSON_REAL_PRECISION(15));

	json_decref(answer);
	if (!text) {
		client_close(client);
		return;
	}
	client->output = text;
	client->output_length = strlen(text) + 1;
	client->output_sent = 0;
	text[client->output_length - 1] = '\n'; /* in place of the terminating 0 */
	give_time(control, client);
	client_send(control, client);
}

static json_t *answer_line(struct control *control, const struct control_client *client,
			   const char *line, size_t length)
{
	json_error_t error;
	json_t *request = json_loadb(line, length, JSON_REJECT_DUPLICATES, &error);
	json_t *answer;

	if (json_is_object(request))
		answer = control->answer(control->context, &client->peer, request);
	else if (request)
		answer = control_error("found %s, expected an object with the key command",
				       json_is_array(request) ? "an array" : "a value");
	else
		answer = control_error("not valid JSON at column %d: %s", error.column, error.text);
	json_decref(request);
	return answer;
}

static bool is_blank(const char *text, size_t length)
{
	while (length > 0 && strchr(" \t\r", text[length - 1]) && text[length - 1])
		length--;
	return length == 0;
}

/* Length of the next request, up to its newline or to the end of all that the client has sent; -1:
 * it is not complete. */
static ssize_t request_length(const struct control_client *client)
{
	const char *end = memchr(client->input, '\n', client->input_length);

	if (end)
		return end - client->input;
	if (!client->at_end || is_blank(client->input, client->input_length))
		return -1;
	return (ssize_t)client->input_length;
}

/* Answers the requests that are complete, as long as answers are taken. */
static void client_process(struct control *control, struct control_client *client)
{
	ssize_t length;

	while (client->fd >= 0 && !client->output && (length = request_length(client)) >= 0) {
		json_t *answer = answer_line(control, client, client->input, (size_t)length);
		size_t used = (size_t)length;

		used += used < client->input_length; /* the newline */
		client->input_length -= used;
		memmove(client->input, client->input + used, client->input_length);
		client_answer(control, client, answer);
	}
	if (client->fd >= 0 && client->at_end && !client->output)
		client_close(client);
}

static void client_receive(struct control *control, struct control_client *client)
{
	ssize_t length = recv(client->fd, client->input + client->input_length,
			      CONTROL_REQUEST_BYTES - client->input_length, MSG_DONTWAIT);

	if (length < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (length < 0) {
		client_close(client);
		return;
	}
	if (client->input_length == 0)
		give_time(control, client);
	client->at_end = length == 0;
	client->input_length += (size_t)length;
	client_process(control, client);
	if (client->fd >= 0 && !client->output && client->input_length == CONTROL_REQUEST_BYTES) {
		client_answer(control, client,
			      control_error("the request is longer than %d bytes",
					    CONTROL_REQUEST_BYTES));
		if (client->fd >= 0)
			client_close(client);
	}
}

/* ------------------------------------------------------------------------- polling */

unsigned control_poll(const struct control *control, struct pollfd *fds)
{
	bool room = false, paused;

	if (control->listener.fd < 0)
		return 0;
	paused = control->clock_ms() < control->accept_after_ms;
	for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		const struct control_client *client = &control->clients[i];

		room |= client->fd < 0 && !paused;
		fds[i + 1] = (struct pollfd){.fd = client->fd,
					     .events = client->output ? POLLOUT : POLLIN};
	}
	fds[0] = (struct pollfd){.fd = room ? control->listener.fd : -1, .events = POLLIN};
	return CONTROL_CLIENTS_MAX + 1;
}

void control_handle(struct control *control, const struct pollfd *fds)
{
	int64_t now = control->clock_ms();

	for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		struct control_client *client = &control->clients[i];

		if (client->fd < 0)
			continue;
		if (fds[i + 1].revents & POLLOUT)
			client_send(control, client);
		else if (fds[i + 1].revents)
			client_receive(control, client);
		if (client->fd >= 0)
			client_process(control, client);
		if (client->fd >= 0 && now > client->deadline_ms)
			client_close(client);
	}
	if (fds[0].revents)
		accept_clients(control);
}

int64_t control_due_ms(const struct control *control)
{
	int64_t due = -1, now;

	if (control->listener.fd < 0)
		return -1;
	now = control->clock_ms();
	if (now < control->accept_after_ms)
		due = control->accept_after_ms - now;
	for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		int64_t left = control->clients[i].deadline_ms - now + 1;

		if (control->clients[i].fd >= 0 && (due < 0 || left < due))
			due = left > 0 ? left : 0;
	}
	return due;
}
