// SPDX-License-Identifier: MIT
/*
 * reachability: a receiver that does not answer for a second is unreachable, until it answers; what
 * the kernel knows of it is set by hand, and the time as well. In a network namespace of its own.
 */
#include "common/log.h"
#include "supervisor/neighbours.h"
#include "supervisor/outputs.h"
#include "supervisor/refusal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../own_network.h"

static struct config config = {.num_workers = 1, .socket_sndbuf = 65536};
static struct workers workers;
static struct outputs outputs;
static bool own_network;
static int64_t now;

static void need(const char *command)
{
	if (system(command) != 0) {
		print_message("cannot: %s\n", command);
		skip();
	}
}

static struct in_addr address(const char *text)
{
	struct in_addr in;

	assert_int_equal(inet_pton(AF_INET, text, &in), 1);
	return in;
}

static int near_index(void)
{
	return (int)if_nametoindex("near0");
}

static int setup(void **state)
{
	(void)state;
	now = 1000000;
	workers = (struct workers){0};
	return workers_init(&workers, &config) < 0 || outputs_init(&outputs, &config, &workers) < 0
		       ? -1
		       : 0;
}

static int teardown(void **state)
{
	(void)state;
	outputs_exit(&outputs);
	workers_exit(&workers);
	return system("ip link del near0 2>/dev/null") < 0 ? -1 : 0;
}

/* A link with an address; the other end of it is deaf. The kernel, which would give up a neighbour
 * after three seconds without an answer, waits for hours. */
static void make_link(void)
{
	if (!own_network)
		skip();
	need("ip link add near0 type veth peer name far0 && ip link set far0 arp off up && "
	     "ip addr add 10.77.8.1/24 dev near0 && ip link set near0 up && "
	     "ip ntable change name arp_cache dev near0 retrans 3600000");
}

static int claim(const char *group)
{
	struct rule_output key = {.to = {.interface = "near0", .port = 6000}, .ttl = 1};
	char error[REFUSAL_BYTES];
	struct netif near;

	assert_int_equal(netif_query("near0", &near), 0);
	key.to.group = address(group);
	return outputs_claim(&outputs, &key, &near, error);
}

static bool unreachable(int index)
{
	return outputs.output[index].reach.unreachable;
}

/* So many ms later. Returns ms until the next look. */
static int64_t look(int ms)
{
	now += ms;
	return reachability_look(&outputs, now);
}

static enum neighbour_state state_of(const char *text)
{
	struct neighbours neighbours;
	enum neighbour_state found;

	assert_int_equal(neighbours_read(&neighbours), 0);
	found = neighbours_find(&neighbours, near_index(), address(text));
	neighbours_exit(&neighbours);
	return found;
}

/* ------------------------------------------------------------------------- neighbours */

static void test_neighbours(void **state)
{
	char command[128];

	(void)state;
	make_link();
	assert_int_equal(state_of("10.77.8.2"), NEIGHBOUR_UNKNOWN);
	for (unsigned i = 10; i < 50; i++) {
		snprintf(command, sizeof(command),
			 "ip neigh add 10.77.8.%u dev near0 lladdr 02:00:00:00:00:01", i);
		need(command);
	}
	assert_int_equal(state_of("10.77.8.10"), NEIGHBOUR_KNOWN);
	assert_int_equal(state_of("10.77.8.49"), NEIGHBOUR_KNOWN);
	need("ip neigh add 10.77.8.2 dev near0 nud failed");
	assert_int_equal(state_of("10.77.8.2"), NEIGHBOUR_FAILED);
	assert_int_equal(neighbour_ask(near_index(), address("10.77.8.2")), 0);
	assert_int_equal(neighbour_ask(near_index(), address("10.77.8.3")), 0);
	assert_int_equal(state_of("10.77.8.3"), NEIGHBOUR_ASKED);
	assert_int_not_equal(state_of("10.77.8.2"), NEIGHBOUR_UNKNOWN);
	assert_int_equal(neighbour_ask(1 << 20, address("10.77.8.3")), -ENODEV);
}

static void test_routes(void **state)
{
	struct in_addr found;

	(void)state;
	make_link();
	need("ip route add 10.99.0.0/16 via 10.77.8.7");
	assert_int_equal(neighbour_for(near_index(), address("10.77.8.2"), &found), 0);
	assert_int_equal(found.s_addr, address("10.77.8.2").s_addr);
	assert_int_equal(neighbour_for(near_index(), address("10.99.1.1"), &found), 0);
	assert_int_equal(found.s_addr, address("10.77.8.7").s_addr);
	assert_true(neighbour_for(near_index(), address("10.77.8.255"), &found) < 0);
	assert_true(neighbour_for(near_index(), address("10.77.8.1"), &found) < 0);
}

/* ------------------------------------------------------------------------- outputs */

static void test_nothing_to_look_at(void **state)
{
	(void)state;
	make_link();
	assert_int_equal(look(0), -1);
	assert_true(claim("239.1.1.1") >= 0);
	assert_int_equal(look(0), -1);
	assert_true(claim("10.77.8.2") >= 0);
	assert_int_equal(look(0), 500);
	assert_int_equal(look(200), 300);
}

static void test_silent(void **state)
{
	int index, other, behind;

	(void)state;
	make_link();
	need("ip route add 10.99.0.0/16 via 10.77.8.2");
	index = claim("10.77.8.2");
	other = claim("10.77.8.3");
	behind = claim("10.99.1.1");
	need("ip neigh add 10.77.8.2 dev near0 nud failed");
	look(0); /* that may have been long ago: it is asked again, and who never was, too */
	assert_int_not_equal(state_of("10.77.8.2"), NEIGHBOUR_UNKNOWN);
	assert_int_equal(state_of("10.77.8.3"), NEIGHBOUR_ASKED);
	need("ip neigh replace 10.77.8.3 dev near0 lladdr 02:00:00:00:00:01 nud reachable");
	look(500);
	assert_false(unreachable(index) || unreachable(behind));
	look(500);
	assert_true(unreachable(index) && unreachable(behind));
	assert_false(unreachable(other));
	need("ip neigh flush dev near0 nud all"); /* forgotten: asked for again */
	look(1000);
	assert_int_equal(state_of("10.77.8.2"), NEIGHBOUR_ASKED);
	assert_true(unreachable(index) && unreachable(behind));
	need("ip neigh replace 10.77.8.2 dev near0 lladdr 02:00:00:00:00:01 nud reachable");
	look(500);
	assert_false(unreachable(index) || unreachable(behind));
}

/* One that has answered within a second, and one that answers late. */
static void test_answers(void **state)
{
	int index;

	(void)state;
	make_link();
	index = claim("10.77.8.2");
	need("ip neigh add 10.77.8.2 dev near0 nud failed");
	look(0);
	need("ip neigh replace 10.77.8.2 dev near0 lladdr 02:00:00:00:00:01 nud reachable");
	look(900);
	need("ip neigh replace 10.77.8.2 dev near0 nud failed");
	look(500);
	assert_false(unreachable(index));
	look(500);
	assert_false(unreachable(index)); /* silent for half a second again */
}

static int enter(void **state)
{
	static const struct log_levels quiet;

	(void)state;
	log_use_levels(&quiet);
	own_network = own_network_enter();
	return 0;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_neighbours), TEST(test_routes),  TEST(test_nothing_to_look_at),
		TEST(test_silent),     TEST(test_answers),
	};

	return cmocka_run_group_tests_name("reachability", tests, enter, NULL);
}
