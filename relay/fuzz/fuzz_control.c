// SPDX-License-Identifier: MIT
/*
 * fuzz_control: a client of the control socket that sends anything. Behind the socket are the real
 * commands; behind those, in place of sockets and workers, a list of rules. An input is one byte
 * and what is sent:
 *
 *   below 128   all at once
 *   else        in pieces of 1 to 128 bytes
 *
 * Every line gets one answer, what follows the last one too, and every answer says whether it is
 * ok; the rules in force keep the promises of rules.h all the while.
 */
#include "common/clock.h"
#include "common/log.h"
#include "control/commands.h"
#include "control/control.h"
#include "supervisor/rulefile.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../tests/made_up_clock.h"

enum { RULES_ENOUGH = 16 }; /* the most that are put in force */

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

/* ------------------------------------------------------------------------- in place of workers */

int provision_set_rules(struct provision *provision, struct rules *next, char error[REFUSAL_BYTES])
{
	if (next->count > RULES_ENOUGH) {
		strcpy(error, "enough");
		return -ENOSPC;
	}
	rules_free(&provision->rules);
	provision->rules = *next;
	return 0;
}

json_t *report_workers(const struct reporter *reporter)
{
	(void)reporter;
	return json_array();
}

json_t *report_build(struct reporter *reporter, enum report_kind kind)
{
	(void)reporter;
	(void)kind;
	return json_object();
}

static void rules_changed(void *context)
{
	(void)context;
}

static struct provision provision;
static struct rule_status statuses[RULES_ENOUGH]; /* all run */
static struct log_levels levels, silence;
static struct control control;

static void set_levels(void *context, const struct log_levels *next)
{
	(void)context;
	for (int i = 0; i < FACILITY_COUNT; i++)
		require(next->level[i] < LEVEL_COUNT);
	levels = *next;
}

static struct commands commands = {
	.provision = &provision,
	.levels = &levels,
	.rules_changed = rules_changed,
	.set_levels = set_levels,
};

/* ------------------------------------------------------------------------- promises */

static void check_endpoint(const struct endpoint *endpoint)
{
	require(memchr(endpoint->interface, 0, IFNAMSIZ) != NULL);
	require(endpoint->interface[0] && !strpbrk(endpoint->interface, "/: \n"));
	require(endpoint->group.s_addr != 0);
	require(endpoint->port > 0);
}

static void check_rules(const struct rules *rules)
{
	require(rules->count <= RULES_ENOUGH);
	for (unsigned i = 0; i < rules->count; i++) {
		const struct rule *rule = &rules->rule[i];

		require(memchr(rule->id, 0, RULE_ID_BYTES) != NULL && rule->id[0]);
		require(rule->num_outputs <= RULE_OUTPUTS_MAX);
		check_endpoint(&rule->input);
		for (unsigned j = 0; j < rule->num_outputs; j++)
			check_endpoint(&rule->outputs[j].to);
		for (unsigned j = 0; j < i; j++)
			require(strcmp(rule->id, rules->rule[j].id) != 0);
	}
}

static void check_answer(const char *line, size_t length)
{
	json_t *answer = json_loadb(line, length, JSON_REJECT_DUPLICATES, NULL);
	const json_t *ok = json_object_get(answer, "ok");

	require(json_is_boolean(ok));
	require(json_is_true(ok) || json_string_length(json_object_get(answer, "error")) > 0);
	json_decref(answer);
}

/* ------------------------------------------------------------------------- the client */

struct peer {
	int fd;
	char *line;
	size_t length;
	unsigned answers;
};

static void take_answers(struct peer *peer)
{
	static char part[65536];
	ssize_t got;

	while ((got = recv(peer->fd, part, sizeof(part), MSG_DONTWAIT)) > 0) {
		char *end;

		peer->line = realloc(peer->line, peer->length + (size_t)got);
		require(peer->line != NULL);
		memcpy(peer->line + peer->length, part, (size_t)got);
		peer->length += (size_t)got;
		while ((end = memchr(peer->line, '\n', peer->length))) {
			const size_t length = (size_t)(end - peer->line);

			check_answer(peer->line, length);
			peer->answers++;
			peer->length -= length + 1;
			memmove(peer->line, end + 1, peer->length);
		}
	}
}

static bool unread(int fd)
{
	int bytes = 0;

	return ioctl(fd, FIONREAD, &bytes) == 0 && bytes > 0;
}

/* The turns of the supervisor's loop until there is nothing left to do for the client. */
static void serve(struct peer *peer)
{
	static struct pollfd fds[CONTROL_CLIENTS_MAX + 1];
	const struct control_client *client = &control.clients[0];

	while (client->fd >= 0 && (client->output || unread(client->fd))) {
		fds[1].revents = client->output ? POLLOUT : POLLIN;
		control_handle(&control, fds);
		take_answers(peer);
	}
}

static void send_all(struct peer *peer, const uint8_t *data, size_t size, size_t piece)
{
	while (size > 0 && control.clients[0].fd >= 0) {
		const size_t length = piece < size ? piece : size;
		ssize_t sent = send(peer->fd, data, length, MSG_DONTWAIT | MSG_NOSIGNAL);

		require(sent > 0);
		data += sent;
		size -= (size_t)sent;
		serve(peer);
	}
}

static bool is_blank(const uint8_t *data, size_t size)
{
	while (size > 0 &&
	       (data[size - 1] == ' ' || data[size - 1] == '\t' || data[size - 1] == '\r'))
		size--;
	return size == 0;
}

/* Lines that fit; *too_long: there is one that does not, which ends it; *rest: something follows
 * the last one. */
static unsigned count_lines(const uint8_t *data, size_t size, bool *too_long, bool *rest)
{
	unsigned count = 0;

	for (;;) {
		const uint8_t *end = memchr(data, '\n', size);
		const size_t length = end ? (size_t)(end - data) + 1 : size;

		*too_long =
			length > CONTROL_REQUEST_BYTES || (!end && length == CONTROL_REQUEST_BYTES);
		*rest = !end && !*too_long && !is_blank(data, size);
		if (!end || *too_long)
			return count;
		count++;
		data += length;
		size -= length;
	}
}

static void start_with_a_rule(void)
{
	static const char text[] =
		"{\"rules\":[{\"id\":\"video\",\"input\":{\"interface\":\"eth0\",\"group\":"
		"\"239.1.1.1\",\"port\":5000},\"outputs\":[{\"group\":\"239.2.2.2\",\"port\":6000,"
		"\"interface\":\"eth1\",\"ttl\":8}]}]}";
	char error[RULEFILE_ERROR_BYTES];

	rules_free(&provision.rules);
	provision.rule_status = statuses;
	require(rulefile_parse("f", text, strlen(text), netif_index, NULL, &provision.rules,
			       error) == 0);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	log_use_levels(&silence);
	control_open(&control, NULL, (gid_t)-1, commands_answer, &commands);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct control_client *client = &control.clients[0];
	struct pollfd fds[CONTROL_CLIENTS_MAX + 1] = {0};
	struct peer peer = {0};
	unsigned lines;
	bool too_long, rest;
	int pair[2];

	if (size < 2 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return 0;
	start_with_a_rule();
	peer.fd = pair[0];
	*client = (struct control_client){
		.fd = pair[1], .input = malloc(CONTROL_REQUEST_BYTES), .deadline_ms = INT64_MAX};
	require(client->input != NULL);
	lines = count_lines(data + 1, size - 1, &too_long, &rest);
	send_all(&peer, data + 1, size - 1, data[0] < 128 ? size : data[0] - 127U);
	require(peer.answers == lines + too_long);
	require((client->fd < 0) == too_long);
	shutdown(peer.fd, SHUT_WR);
	fds[1].revents = POLLIN;
	control_handle(&control, fds);
	take_answers(&peer);
	serve(&peer);
	require(peer.answers == lines + too_long + rest);
	require(client->fd < 0 && !client->input && !client->output);
	check_rules(&provision.rules);
	close(peer.fd);
	require(peer.length == 0);
	free(peer.line);
	rules_free(&provision.rules);
	return 0;
}
