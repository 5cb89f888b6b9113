/* SPDX-License-Identifier: MIT
 *
 * provision_fixture: provision on the loopback interface, without workers; a ring's socket takes
 * root, the rest does not. As root it is the loopback of a network namespace of its own.
 */
#ifndef PROVISION_FIXTURE_H
#define PROVISION_FIXTURE_H

#include "supervisor/provision.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "../made_up_clock.h"
#include "../own_network.h"

enum { WORKERS = 2, RING_SLOTS = 32 };

static struct config config = {
	.num_workers = WORKERS,
	.ring_slots = RING_SLOTS,
	.socket_sndbuf = 65536,
	.worker = {.ingress = INGRESS_RING},
};
static struct workers workers;
static struct provision provision;
static char error[REFUSAL_BYTES];
static bool own_network;
static unsigned at_rest; /* descriptors that are open before a test */

static unsigned open_descriptors(void)
{
	unsigned count = 0;

	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static int setup(void **state)
{
	struct netif lo;

	(void)state;
	workers = (struct workers){0};
	if (workers_init(&workers, &config) < 0 ||
	    provision_init(&provision, &config, &workers) < 0)
		return -1;
	at_rest = open_descriptors();
	return netif_query("lo", &lo);
}

static int teardown(void **state)
{
	(void)state;
	provision_exit(&provision);
	assert_int_equal(open_descriptors(), at_rest);
	workers_exit(&workers);
	return 0;
}

static void need_root(void)
{
	int fd = socket(AF_PACKET, SOCK_RAW, 0);

	if (fd < 0)
		skip();
	close(fd);
}

static void need_address(void)
{
	struct netif lo;

	netif_query("lo", &lo);
	if (lo.address.s_addr == INADDR_ANY || !lo.up)
		skip();
}

static struct rule_output output(const char *interface, uint16_t port)
{
	struct rule_output key = {.to = {.port = port}, .ttl = 1};

	strcpy(key.to.interface, interface);
	key.to.group.s_addr = inet_addr("239.1.2.3");
	return key;
}

/* One rule, to be handed over or freed. */
static struct rules one_rule(const char *id, const char *in, const char *out, uint16_t port)
{
	struct rules rules = {calloc(1, sizeof(struct rule)), 1};
	struct rule *rule = rules.rule;

	assert_non_null(rule);
	strcpy(rule->id, id);
	strcpy(rule->input.interface, in);
	rule->input.group.s_addr = inet_addr("239.4.5.6");
	rule->input.port = 5000;
	rule->outputs = calloc(1, sizeof(*rule->outputs));
	assert_non_null(rule->outputs);
	rule->outputs[0] = output(out, port);
	rule->num_outputs = out[0] != '\0';
	return rules;
}

static inline void assert_state(unsigned index, enum rule_state state, const char *reason)
{
	assert_string_equal(provision.rule_status[index].reason, reason);
	assert_int_equal(provision.rule_status[index].state, state);
}

static void assert_set(struct rules rules)
{
	error[0] = '\0';
	assert_int_equal(provision_set_rules(&provision, &rules, error), 0);
	assert_string_equal(error, "");
}

/* A port of lo that the caller has to itself until it closes the socket. */
static inline uint16_t take_port(int *fd)
{
	struct sockaddr_in taken = {.sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(taken);

	*fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(*fd, (struct sockaddr *)&taken, size), 0);
	assert_int_equal(getsockname(*fd, (struct sockaddr *)&taken, &size), 0);
	return ntohs(taken.sin_port);
}

#define PORT_IS_TAKEN                                                                          \
	"cannot send through lo: Address already in use; another program has the source_port " \
	"for itself alone"

static int enter(void **state)
{
	(void)state;
	own_network = geteuid() == 0 && own_network_enter();
	return 0;
}

#endif
