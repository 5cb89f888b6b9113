// SPDX-License-Identifier: MIT
/* http_clients: see http_clients.h. */
#include "control/http_clients.h"
#include "common/clock.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>

void http_clients_init(struct http_clients *clients)
{
	*clients = (struct http_clients){.clock_ms = now_ms};
}

static void send_away(struct http_clients *clients, struct http_client *client, const char *why)
{
	log_limited(&clients->complaints, LEVEL_DEBUG, "Http", "connection shut down: %s", why);
	client->step = HTTP_LEAVING;
	shutdown(client->fd, SHUT_RDWR);
}

/* ------------------------------------------------------------------------- too many */

static unsigned count_at(const struct http_clients *clients, enum http_step step)
{
	unsigned count = 0;

	for (unsigned i = 0; i < HTTP_PLACES; i++)
		count += clients->client[i].step == step;
	return count;
}

/* Connections of the client's host at the same step. */
static unsigned count_like(const struct http_clients *clients, const struct http_client *client)
{
	unsigned count = 0;

	for (unsigned i = 0; i < HTTP_PLACES; i++)
		count += clients->client[i].step == client->step &&
			 clients->client[i].host == client->host;
	return count;
}

static struct http_client *find_victim(struct http_clients *clients, enum http_step step)
{
	struct http_client *victim = NULL;
	unsigned most = 0;

	for (unsigned i = 0; i < HTTP_PLACES; i++) {
		struct http_client *client = &clients->client[i];
		unsigned count = client->step == step ? count_like(clients, client) : 0;

		if (count < most || count == 0)
			continue;
		if (!victim || count > most || client->sequence < victim->sequence)
			victim = client;
		most = count;
	}
	return victim;
}

static void make_room(struct http_clients *clients, enum http_step step)
{
	unsigned limit = step == HTTP_ASKING ? HTTP_ASKING_MAX : HTTP_TAKING_MAX;

	if (count_at(clients, step) > limit)
		send_away(clients, find_victim(clients, step),
			  step == HTTP_ASKING ? "too many have not asked for anything yet"
					      : "too many have not taken their answer yet");
}

/* ------------------------------------------------------------------------- coming and going */

static uint64_t host_of(const struct sockaddr *address)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
	uint64_t host = 0;
	uint32_t mapped;

	if (address->sa_family == AF_INET)
		return 1ULL << 32 | v4->sin_addr.s_addr;
	if (address->sa_family != AF_INET6)
		return 0;
	if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) { /* of a socket for both families */
		memcpy(&mapped, &v6->sin6_addr.s6_addr[12], sizeof(mapped));
		return 1ULL << 32 | mapped;
	}
	memcpy(&host, &v6->sin6_addr, sizeof(host));
	return host;
}

void http_clients_step(struct http_clients *clients, struct http_client *client,
		       enum http_step step)
{
	if (client->step == HTTP_LEAVING)
		return;
	client->step = step;
	client->sequence = clients->sequence++;
	client->due_ms = clients->clock_ms() + HTTP_PATIENCE_MS;
	make_room(clients, step);
}

struct http_client *http_clients_enter(struct http_clients *clients, int fd,
				       const struct sockaddr *address)
{
	for (unsigned i = 0; i < HTTP_PLACES; i++) {
		struct http_client *client = &clients->client[i];

		if (client->step != HTTP_FREE)
			continue;
		client->fd = fd;
		client->host = host_of(address);
		http_clients_step(clients, client, HTTP_ASKING);
		return client;
	}
	return NULL;
}

void http_clients_leave(struct http_client *client)
{
	client->step = HTTP_FREE;
}

/* ------------------------------------------------------------------------- too long */

static bool is_waited_for(const struct http_client *client)
{
	return client->step == HTTP_ASKING || client->step == HTTP_TAKING;
}

void http_clients_expire(struct http_clients *clients)
{
	int64_t now = clients->clock_ms();

	for (unsigned i = 0; i < HTTP_PLACES; i++)
		if (is_waited_for(&clients->client[i]) && clients->client[i].due_ms <= now)
			send_away(clients, &clients->client[i], "its time is over");
}

int64_t http_clients_due_ms(const struct http_clients *clients)
{
	int64_t first = INT64_MAX, left;

	for (unsigned i = 0; i < HTTP_PLACES; i++)
		if (is_waited_for(&clients->client[i]) && clients->client[i].due_ms < first)
			first = clients->client[i].due_ms;
	if (first == INT64_MAX)
		return -1;
	left = first - clients->clock_ms();
	return left > 0 ? left : 0;
}
