/* SPDX-License-Identifier: MIT
 *
 * http: GET /metrics (Prometheus text format 0.0.4) and GET /health (JSON; 200, or 503 when
 * degraded), answered by the supervisor between its other events. There is no access control: the
 * address to listen on is the limit. Clients at once, their time and their memory are limited
 * (http_clients.h); none can block the supervisor.
 */
#ifndef HTTP_H
#define HTTP_H

#include "common/address.h"
#include "common/log.h"
#include "control/health.h"
#include "control/http_clients.h"
#include "control/report.h"

#include <poll.h>

enum { HTTP_CLIENT_BYTES = 16384 }; /* memory of one, headers included, its answer aside */

struct http {
	struct MHD_Daemon *daemon; /* NULL: there is none */
	struct reporter *reporter;
	const struct health *health;
	struct http_clients clients;
	struct log_limit complaints;
};

/* Listens on `address`; AF_UNSPEC: does nothing. 0 or negative errno after one line in the log. */
int http_open(struct http *http, const union address *address, struct reporter *reporter,
	      const struct health *health);
void http_close(struct http *http);

/* What to poll for; its fd is -1 without a server. */
struct pollfd http_poll(const struct http *http);

/* Handles what is ready, and clients whose time is over. */
void http_handle(struct http *http);

/* Milliseconds until http_handle has to be called even if nothing is ready; -1: none. */
int64_t http_due_ms(const struct http *http);

#endif
