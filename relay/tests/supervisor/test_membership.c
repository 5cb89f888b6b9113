// SPDX-License-Identifier: MIT
/* membership: what the kernel reports of an interface, in a network namespace of our own, on lo. */
#include "supervisor/membership.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "../own_network.h"

enum { LO = 1, MANY = 25 }; /* sources: more than a socket may have of a group, by default */

static struct membership membership;

/* Lines of a table of the kernel's that have this text. */
static unsigned lines_with(const char *path, const char *text)
{
	FILE *table = fopen(path, "re");
	unsigned count = 0;
	char line[256];

	assert_non_null(table);
	while (fgets(line, sizeof(line), table))
		count += strstr(line, text) != NULL;
	fclose(table);
	return count;
}

static unsigned groups(const char *group)
{
	char text[16];

	snprintf(text, sizeof(text), "%08X", inet_addr(group));
	return lines_with("/proc/self/net/igmp", text);
}

/* Sources of the group that are asked for. The kernel leaves out the whole interface when the group
 * that was joined last has none. */
static unsigned sources(const char *group)
{
	char text[16];

	snprintf(text, sizeof(text), "0x%08x", ntohl(inet_addr(group)));
	return lines_with("/proc/self/net/mcfilter", text);
}

static int join(const char *group)
{
	return membership_join(&membership, LO, (struct in_addr){inet_addr(group)});
}

static int join_source(const char *group, uint32_t source)
{
	return membership_join_source(&membership, LO, (struct in_addr){inet_addr(group)},
				      (struct in_addr){htonl(source)});
}

static int teardown(void **state)
{
	(void)state;
	membership_leave(&membership);
	assert_int_equal(groups("239.1.1.1") + groups("239.1.1.2"), 0);
	return 0;
}

static void test_any(void **state)
{
	(void)state;
	assert_int_equal(join("239.1.1.1"), 0);
	assert_int_equal(join("239.1.1.1"), 0); /* for another port */
	assert_int_equal(groups("239.1.1.1"), 1);
	assert_int_equal(sources("239.1.1.1"), 0);
}

static void test_sources(void **state)
{
	(void)state;
	for (unsigned i = 0; i < MANY; i++)
		assert_int_equal(join_source("239.1.1.1", 0x0a000001 + i), 0);
	assert_int_equal(groups("239.1.1.1"), 1);
	assert_int_equal(sources("239.1.1.1"), MANY);
	for (unsigned i = 0; i < MANY; i++) /* for another port */
		assert_int_equal(join_source("239.1.1.1", 0x0a000001 + i), 0);
	assert_int_equal(sources("239.1.1.1"), MANY);
}

/* More groups than a socket may have, by default. */
static void test_many_groups(void **state)
{
	char group[INET_ADDRSTRLEN];

	(void)state;
	for (unsigned i = 1; i <= MANY; i++) {
		snprintf(group, sizeof(group), "239.3.1.%u", i);
		assert_int_equal(join(group), 0);
		snprintf(group, sizeof(group), "239.2.1.%u", i);
		assert_int_equal(join_source(group, 0x0a000001), 0);
	}
	assert_int_equal(sources("239.2.1.25"), 1);
	assert_int_equal(groups("239.3.1.25"), 1);
}

/* For one rule all packets of the group, for another those of a source: neither takes from the
 * other. */
static void test_both(void **state)
{
	(void)state;
	assert_int_equal(join("239.1.1.1"), 0);
	assert_int_equal(join_source("239.1.1.1", 0x0a000001), 0);
	assert_int_equal(join_source("239.1.1.2", 0x0a000001), 0);
	assert_int_equal(join("239.1.1.2"), 0);
	assert_int_equal(groups("239.1.1.1") + groups("239.1.1.2"), 2);
	assert_int_equal(sources("239.1.1.1") + sources("239.1.1.2"), 2);
}

static void test_unicast(void **state)
{
	(void)state;
	assert_int_equal(join("10.0.0.7"), 0);
	assert_int_equal(join_source("10.0.0.7", 0x0a000001), 0);
	assert_int_equal(membership.any.count + membership.some.count, 0);
}

static void test_no_such_interface(void **state)
{
	const struct in_addr group = {inet_addr("239.1.1.1")}, source = {inet_addr("10.0.0.1")};

	(void)state;
	assert_int_equal(membership_join(&membership, 4711, group), -ENODEV);
	assert_int_equal(membership_join_source(&membership, 4711, group, source), -ENODEV);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_any),	 TEST(test_sources), TEST(test_many_groups),
		TEST(test_both), TEST(test_unicast), TEST(test_no_such_interface),
	};

	if (!own_network_enter()) {
		print_message("may not make a network namespace\n");
		return 0;
	}
	return cmocka_run_group_tests_name("membership", tests, NULL, NULL);
}
