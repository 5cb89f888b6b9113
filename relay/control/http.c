// SPDX-License-Identifier: MIT
/*
 * http: see http.h. libmicrohttpd without threads: all its sockets are in one epoll instance, which
 * the supervisor polls for.
 */
#include "control/http.h"
#include "common/clock.h"
#include "common/errno_reason.h"
#include "control/metrics.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TYPE_METRICS "text/plain; version=0.0.4; charset=utf-8"
#define TYPE_JSON    "application/json"
#define TYPE_TEXT    "text/plain; charset=utf-8"

/* ------------------------------------------------------------------------- clients */

/* Of the type MHD_NotifyConnectionCallback. */
static void follow_connection(void *context, struct MHD_Connection *connection, void **place,
			      enum MHD_ConnectionNotificationCode code)
{
	struct http *http = context;

	if (code == MHD_CONNECTION_NOTIFY_STARTED)
		*place = http_clients_enter(
			&http->clients,
			MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)
				->connect_fd,
			MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)
				->client_addr);
	else if (*place)
		http_clients_leave(*place);
}

static void take_step(struct http *http, struct MHD_Connection *connection, enum http_step step)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	if (info && info->socket_context)
		http_clients_step(&http->clients, info->socket_context, step);
}

/* Of the type MHD_RequestCompletedCallback. */
static void request_completed(void *context, struct MHD_Connection *connection, void **state,
			      enum MHD_RequestTerminationCode code)
{
	(void)state;
	if (code == MHD_REQUEST_TERMINATED_COMPLETED_OK)
		take_step(context, connection, HTTP_ASKING);
}

/* ------------------------------------------------------------------------- answers */

/* `text` has been allocated, and is freed; NULL: there was no memory for it. */
static enum MHD_Result answer(struct http *http, struct MHD_Connection *connection, unsigned status,
			      const char *type, char *text)
{
	struct MHD_Response *response;
	enum MHD_Result result;

	if (!text)
		return MHD_NO; /* closes the connection */
	response = MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE);
	if (!response) {
		free(text);
		return MHD_NO;
	}
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	take_step(http, connection, HTTP_TAKING);
	return result;
}

static enum MHD_Result answer_health(struct http *http, struct MHD_Connection *connection)
{
	bool good;
	json_t *value = health_json(http->health, http->reporter, now_ms(), &good);
	char *text = json_dumps(value, JSON_INDENT(1) | JSON_REAL_PRECISION(15));

	json_decref(value);
	return answer(http, connection, good ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE,
		      TYPE_JSON, text);
}

static enum MHD_Result handle_request(void *context, struct MHD_Connection *connection,
				      const char *url, const char *method, const char *version,
				      const char *body, size_t *body_bytes, void **state)
{
	struct http *http = context;

	(void)version;
	(void)body;
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return answer(http, connection, MHD_HTTP_METHOD_NOT_ALLOWED, TYPE_TEXT,
			      strdup("only GET and HEAD\n"));
	if (!*state) { /* headers only; an answer now would close the connection */
		*state = http;
		return MHD_YES;
	}
	if (*body_bytes) { /* of a GET: it has no meaning, and is no error */
		*body_bytes = 0;
		return MHD_YES;
	}
	log_trace("Http", "%s %s", method, url);
	if (strcmp(url, "/metrics") == 0)
		return answer(http, connection, MHD_HTTP_OK, TYPE_METRICS,
			      metrics_text(http->reporter, http->health, now_ms()));
	if (strcmp(url, "/health") == 0)
		return answer_health(http, connection);
	return answer(http, connection, MHD_HTTP_NOT_FOUND, TYPE_TEXT,
		      strdup("there are /metrics and /health\n"));
}

/* What libmicrohttpd has to say about its clients. */
static void complain(void *context, const char *format, va_list args)
	__attribute__((format(printf, 2, 0)));

static void complain(void *context, const char *format, va_list args)
{
	struct http *http = context;
	char text[512];

	vsnprintf(text, sizeof(text), format, args);
	text[strcspn(text, "\n")] = '\0';
	log_limited(&http->complaints, LEVEL_DEBUG, "Http", "%s", text);
}

/* ------------------------------------------------------------------------- the server */

/* [::] is for IPv4 as well, whatever net.ipv6.bindv6only says. */
static int listen_on(const union address *address)
{
	int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const int on = 1, off = 0;

	if (fd < 0)
		return -errno;
	/* a restart need not wait for the connections of the last one to be forgotten */
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (address->any.sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (bind(fd, &address->any, address_bytes(address)) < 0 || listen(fd, SOMAXCONN) < 0) {
		int rc = -errno;

		close(fd);
		return rc;
	}
	return fd;
}

static const char *hint(int rc)
{
	switch (rc) {
	case -EADDRINUSE:
		return "; see 'ss -tlnp' for who has it";
	case -EADDRNOTAVAIL:
		return "; no interface has this address, see 'ip addr'";
	case -EACCES:
		return "; a port below 1024 needs CAP_NET_BIND_SERVICE";
	default:
		return reason_of_shortage(rc);
	}
}

int http_open(struct http *http, const union address *address, struct reporter *reporter,
	      const struct health *health)
{
	char text[ADDRESS_TEXT_BYTES];
	int fd, rc;

	*http = (struct http){.reporter = reporter, .health = health};
	http_clients_init(&http->clients);
	if (address->any.sa_family == AF_UNSPEC)
		return 0;
	fd = rc = listen_on(address);
	if (fd >= 0) {
		http->daemon = MHD_start_daemon(
			MHD_USE_EPOLL | MHD_USE_ERROR_LOG, 0, NULL, NULL, handle_request, http,
			MHD_OPTION_EXTERNAL_LOGGER, complain, http, MHD_OPTION_LISTEN_SOCKET, fd,
			MHD_OPTION_CONNECTION_LIMIT, (unsigned)HTTP_PLACES,
			MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_CLIENT_BYTES,
			MHD_OPTION_NOTIFY_CONNECTION, follow_connection, http,
			MHD_OPTION_NOTIFY_COMPLETED, request_completed, http, MHD_OPTION_END);
		if (http->daemon)
			return 0;
		close(fd);
		rc = -EIO;
	}
	log_error("Http", "cannot listen on %s: %s%s", address_format(address, text), strerror(-rc),
		  hint(rc));
	return rc;
}

void http_close(struct http *http)
{
	if (http->daemon)
		MHD_stop_daemon(http->daemon);
	http->daemon = NULL;
}

struct pollfd http_poll(const struct http *http)
{
	const union MHD_DaemonInfo *info =
		http->daemon ? MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;

	return (struct pollfd){.fd = info ? info->epoll_fd : -1, .events = POLLIN};
}

void http_handle(struct http *http)
{
	if (!http->daemon)
		return;
	http_clients_expire(&http->clients);
	MHD_run(http->daemon);
}

int64_t http_due_ms(const struct http *http)
{
	MHD_UNSIGNED_LONG_LONG due;

	if (!http->daemon)
		return -1;
	/* it asks for a turn at once, or not at all: the limits of time are ours */
	if (MHD_get_timeout(http->daemon, &due) == MHD_YES)
		return (int64_t)due;
	return http_clients_due_ms(&http->clients);
}
