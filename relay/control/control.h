/* SPDX-License-Identifier: MIT
 *
 * control: the Unix socket for runtime control. One JSON object per line and request, one per
 * answer; the last line may end without a newline:
 *
 *   {"command":"remove","id":"video"}     ->  {"ok":true}
 *   {"command":"remove","id":"vidoe"}     ->  {"ok":false,"error":"no rule \"vidoe\"; see 'list'"}
 *
 * Many clients at once; none can block the supervisor: a request has a largest size and a time in
 * which it must be complete, an answer a time in which it must be taken.
 */
#ifndef CONTROL_H
#define CONTROL_H

#include "control/listener.h"

#include <jansson.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

enum {
	CONTROL_CLIENTS_MAX = 256,
	CONTROL_REQUEST_BYTES = 65536, /* the longest line */
	CONTROL_PATIENCE_MS = 5000,
};

/* Answers one request (an object) of the process `peer`; returns a new reference. */
typedef json_t *(*control_answer)(void *context, const struct ucred *peer, json_t *request);

struct control_client {
	int fd;		   /* -1: this place is free */
	struct ucred peer; /* as it connected */
	char *input;
	size_t input_length;
	bool at_end;  /* it will send no more: what it has sent is its last request */
	char *output; /* NULL: nothing to send */
	size_t output_length, output_sent;
	int64_t deadline_ms; /* until then its request has to be whole, its answer taken */
};

struct control {
	struct listener listener;
	control_answer answer;
	void *context;
	int64_t (*clock_ms)(void); /* now_ms, or a clock that a test sets */
	int64_t accept_after_ms;   /* no descriptor was left for a client: not before then */
	struct control_client clients[CONTROL_CLIENTS_MAX];
};

/* Listens on `path`, see listener.h; NULL: nowhere. 0 or negative errno after one line in the log.
 */
int control_open(struct control *control, const char *path, gid_t gid, control_answer answer,
		 void *context);
void control_close(struct control *control);

/* Fills fds, CONTROL_CLIENTS_MAX + 1 at most, with what to poll for. Returns how many. */
unsigned control_poll(const struct control *control, struct pollfd *fds);

/* Handles what poll(2) found in the same fds, and closes clients whose time is over. */
void control_handle(struct control *control, const struct pollfd *fds);

/* Milliseconds until a client's time is over; -1: none. */
int64_t control_due_ms(const struct control *control);

/* New object {"ok":false,"error":...}. */
json_t *control_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
