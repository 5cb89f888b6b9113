// SPDX-License-Identifier: MIT
/*
 * http_clients: who has to go when there are too many, and when time is over. A client is one end
 * of a socket pair; the test holds the other, which reads the end of a stream when it was shut
 * down. Time stands still until a test moves it.
 */
#include "control/http_clients.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
#include <cmocka.h>

static struct http_clients clients;
static struct guest {
	struct http_client *client;
	int near, far;
} guests[HTTP_PLACES + 1];
static unsigned num_guests;
static int64_t time_ms;

static int64_t clock_ms(void)
{
	return time_ms;
}

static int setup(void **state)
{
	(void)state;
	http_clients_init(&clients);
	clients.clock_ms = clock_ms;
	time_ms = 1000000;
	num_guests = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (unsigned i = 0; i < num_guests; i++) {
		close(guests[i].near);
		close(guests[i].far);
	}
	return 0;
}

static struct guest *enter_as(const struct sockaddr *address)
{
	struct guest *guest = &guests[num_guests++];
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	guest->near = pair[0];
	guest->far = pair[1];
	guest->client = http_clients_enter(&clients, guest->near, address);
	return guest;
}

static struct guest *enter(const char *text)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};

	if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
		return enter_as((struct sockaddr *)&v4);
	assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
	return enter_as((struct sockaddr *)&v6);
}

static void step(struct guest *guest, enum http_step to)
{
	http_clients_step(&clients, guest->client, to);
}

static bool is_here(const struct guest *guest)
{
	char byte;
	ssize_t got = recv(guest->far, &byte, 1, 0);

	assert_true(got == 0 || (got < 0 && errno == EAGAIN));
	assert_int_equal(guest->client->step == HTTP_LEAVING, got == 0);
	return got < 0;
}

static unsigned count_here(void)
{
	unsigned count = 0;

	for (unsigned i = 0; i < num_guests; i++)
		count += is_here(&guests[i]);
	return count;
}

static void test_oldest_goes(void **state)
{
	(void)state;
	for (unsigned i = 0; i < HTTP_ASKING_MAX; i++)
		enter("10.0.0.1");
	assert_int_equal(count_here(), HTTP_ASKING_MAX);
	/* the first has asked and got its answer since, so the second has waited longest */
	step(&guests[0], HTTP_TAKING);
	step(&guests[0], HTTP_ASKING);
	assert_true(is_here(enter("10.0.0.1")));
	assert_int_equal(count_here(), HTTP_ASKING_MAX);
	assert_true(is_here(&guests[0]));
	assert_false(is_here(&guests[1]));
	enter("10.0.0.1");
	assert_false(is_here(&guests[2]));
	assert_true(is_here(&guests[3]));
}

static void test_takers_are_counted_apart(void **state)
{
	(void)state;
	for (unsigned i = 0; i < HTTP_TAKING_MAX; i++)
		step(enter("10.0.0.1"), HTTP_TAKING);
	for (unsigned i = 0; i < HTTP_ASKING_MAX; i++)
		enter("10.0.0.1");
	assert_int_equal(count_here(), HTTP_ASKING_MAX + HTTP_TAKING_MAX);
	step(&guests[HTTP_TAKING_MAX], HTTP_TAKING);
	assert_int_equal(count_here(), HTTP_ASKING_MAX + HTTP_TAKING_MAX - 1);
	assert_false(is_here(&guests[0]));
	/* a place among those who ask is free now */
	enter("10.0.0.1");
	assert_int_equal(count_here(), HTTP_ASKING_MAX + HTTP_TAKING_MAX);
}

/* A host that connects as often as it can takes no place from another one. */
static void test_crowd_pays(void **state)
{
	struct guest *first = enter("10.0.0.1"), *second = enter("2001:db8:0:2::1");

	(void)state;
	for (unsigned i = 0; i < HTTP_ASKING_MAX - 1; i++)
		enter("10.0.0.2");
	assert_true(is_here(first) && is_here(second));
	assert_false(is_here(&guests[2]));
	assert_true(is_here(&guests[3]));
}

static void assert_crowd_of(const char *one, const char *other, bool same)
{
	struct guest *guest;

	setup(NULL);
	enter("10.0.0.1"); /* the oldest of all */
	guest = enter(one);
	for (unsigned i = 0; i < HTTP_ASKING_MAX / 2 - 1; i++)
		enter("10.0.0.1");
	for (unsigned i = 0; i < HTTP_ASKING_MAX / 2; i++)
		enter(other);
	assert_int_equal(!is_here(guest), same);
	teardown(NULL);
}

static void test_hosts(void **state)
{
	(void)state;
	assert_crowd_of("10.0.0.2", "10.0.0.2", true);
	assert_crowd_of("10.0.0.2", "10.0.0.3", false);
	assert_crowd_of("10.0.0.2", "::ffff:10.0.0.2", true);
	assert_crowd_of("::ffff:10.0.0.2", "::ffff:10.0.0.3", false);
	assert_crowd_of("2001:db8::1", "2001:db8::ffff:1", true);
	assert_crowd_of("2001:db8:0:1::1", "2001:db8:0:2::1", false);
	assert_crowd_of("::1", "::2", true);
	assert_crowd_of("::1", "0.0.0.1", false);
	num_guests = 0;
}

static void test_places(void **state)
{
	(void)state;
	/* nobody whom they shut down is gone yet */
	for (unsigned i = 0; i < HTTP_PLACES; i++)
		assert_non_null(enter("10.0.0.1")->client);
	assert_null(enter("10.0.0.1")->client);
	num_guests--;
	close(guests[num_guests].near);
	close(guests[num_guests].far);
	http_clients_leave(guests[0].client);
	assert_ptr_equal(enter("10.0.0.1")->client, guests[0].client);
	num_guests--;
	close(guests[num_guests].near);
	close(guests[num_guests].far);
}

/* To the millisecond; of several, the first. */
static void test_time(void **state)
{
	struct guest *slow, *quick;

	(void)state;
	assert_int_equal(http_clients_due_ms(&clients), -1);
	slow = enter("10.0.0.1");
	assert_int_equal(http_clients_due_ms(&clients), HTTP_PATIENCE_MS);
	time_ms += 4000;
	quick = enter("10.0.0.1");
	assert_int_equal(http_clients_due_ms(&clients), HTTP_PATIENCE_MS - 4000);
	time_ms += HTTP_PATIENCE_MS - 4001;
	assert_int_equal(http_clients_due_ms(&clients), 1);
	http_clients_expire(&clients);
	assert_true(is_here(slow));
	time_ms++;
	assert_int_equal(http_clients_due_ms(&clients), 0);
	http_clients_expire(&clients);
	assert_false(is_here(slow));
	assert_true(is_here(quick));
	/* of one that leaves, only the end is waited for; whatever it has done still */
	step(slow, HTTP_ASKING);
	assert_false(is_here(slow));
	assert_int_equal(http_clients_due_ms(&clients), 4000);
	time_ms += 5000; /* later than asked for */
	assert_int_equal(http_clients_due_ms(&clients), 0);
	http_clients_leave(quick->client);
	assert_int_equal(http_clients_due_ms(&clients), -1);
}

static void test_a_step_begins_anew(void **state)
{
	struct guest *guest = enter("10.0.0.1");

	(void)state;
	time_ms += HTTP_PATIENCE_MS - 1;
	step(guest, HTTP_TAKING);
	assert_int_equal(http_clients_due_ms(&clients), HTTP_PATIENCE_MS);
	time_ms += HTTP_PATIENCE_MS - 1;
	http_clients_expire(&clients);
	assert_true(is_here(guest));
	time_ms++;
	http_clients_expire(&clients);
	assert_false(is_here(guest));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_oldest_goes),
		TEST(test_takers_are_counted_apart),
		TEST(test_crowd_pays),
		TEST(test_hosts),
		TEST(test_places),
		TEST(test_time),
		TEST(test_a_step_begins_anew),
	};

	return cmocka_run_group_tests_name("http_clients", tests, NULL, NULL);
}
