/* SPDX-License-Identifier: MIT
 *
 * http_clients: who is connected to the HTTP server, and who has to go so that the others are
 * served. A client is asking (it has yet to complete a request) or taking (an answer), and has
 * HTTP_PATIENCE_MS for each such step, however many bytes it sends or takes in between. When too
 * many are at the same step, the one goes that has been at it longest; of the address that has most
 * there, so that one host's connections cost no other host its own.
 *
 *   enter    accepted
 *   step     has asked, has taken the answer, ...
 *   leave    closed; one that has to go is shut down first, and the server finds its end
 */
#ifndef HTTP_CLIENTS_H
#define HTTP_CLIENTS_H

#include "common/log.h"

#include <stdint.h>
#include <sys/socket.h>

enum {
	HTTP_ASKING_MAX = 128,
	HTTP_TAKING_MAX = 32,  /* each has its page in memory */
	HTTP_LEAVING_MAX = 32, /* more than are accepted, and so shut down, at a time */
	HTTP_PLACES = HTTP_ASKING_MAX + HTTP_TAKING_MAX + HTTP_LEAVING_MAX,
	HTTP_PATIENCE_MS = 10000,
};

enum http_step { HTTP_FREE, HTTP_ASKING, HTTP_TAKING, HTTP_LEAVING };

struct http_client {
	enum http_step step; /* HTTP_FREE: nobody is here */
	int fd;
	uint64_t host;	   /* IPv4, or the first half of IPv6: of the rest, one host has plenty */
	uint64_t sequence; /* of its last step */
	int64_t due_ms;	   /* when its time is over */
};

struct http_clients {
	struct http_client client[HTTP_PLACES];
	int64_t (*clock_ms)(void); /* now_ms, or a clock that a test sets */
	uint64_t sequence;
	struct log_limit complaints;
};

void http_clients_init(struct http_clients *clients);

/* Of a client that was accepted; `fd` stays the server's. NULL: no place, which the server's own
 * limit of HTTP_PLACES prevents. */
struct http_client *http_clients_enter(struct http_clients *clients, int fd,
				       const struct sockaddr *address);
void http_clients_step(struct http_clients *clients, struct http_client *client,
		       enum http_step step);
void http_clients_leave(struct http_client *client);

/* Shuts down those whose time is over. */
void http_clients_expire(struct http_clients *clients);

/* Milliseconds until the next one's is; -1: there is none. */
int64_t http_clients_due_ms(const struct http_clients *clients);

#endif
