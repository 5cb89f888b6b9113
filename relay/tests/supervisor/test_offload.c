// SPDX-License-Identifier: MIT
/*
 * offload: the two features are found by their names, whatever number the kernel gives them, and no
 * other is touched. The interface is one of the test's own: ioctl() here answers as ETHTOOL's does.
 */
#include "supervisor/offload.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <cmocka.h>

enum { INDEX = 7, FEATURES = 70 };

static unsigned gro, forwarding; /* the number of each */
static bool on[FEATURES], fixed[FEATURES], gone;

static void give_names(struct ethtool_gstrings *names)
{
	assert_int_equal(names->string_set, ETH_SS_FEATURES);
	assert_int_equal(names->len, FEATURES);
	for (unsigned i = 0; i < FEATURES; i++) {
		char *name = (char *)names->data + (size_t)i * ETH_GSTRING_LEN;

		if (i == gro)
			strcpy(name, "rx-gro");
		else if (i == forwarding)
			strcpy(name, "rx-udp-gro-forwarding");
		else
			snprintf(name, ETH_GSTRING_LEN, "rx-gro-%u", i);
	}
}

static void give_values(struct ethtool_gfeatures *values)
{
	assert_int_equal(values->size, (FEATURES + 31) / 32);
	for (unsigned i = 0; i < FEATURES; i++)
		values->features[i / 32].active |= (uint32_t)on[i] << (i % 32);
}

static void take_values(const struct ethtool_sfeatures *asked)
{
	assert_int_equal(asked->size, (FEATURES + 31) / 32);
	for (unsigned i = 0; i < FEATURES; i++)
		if (asked->features[i / 32].valid >> (i % 32) & 1 && !fixed[i])
			on[i] = asked->features[i / 32].requested >> (i % 32) & 1;
}

static int answer(void *command)
{
	uint32_t code;

	memcpy(&code, command, sizeof(code));
	if (code == ETHTOOL_GSSET_INFO) {
		memcpy((char *)command + offsetof(struct ethtool_sset_info, data),
		       &(uint32_t){FEATURES}, 4);
		return 0;
	}
	if (code == ETHTOOL_GSTRINGS)
		give_names(command);
	else if (code == ETHTOOL_GFEATURES)
		give_values(command);
	else if (code == ETHTOOL_SFEATURES)
		take_values(command);
	else
		fail_msg("ETHTOOL is asked %#x", code);
	return 0;
}

/* Instead of the C library's. */
int ioctl(int fd, unsigned long request, ...)
{
	struct ifreq *interface;
	va_list arguments;

	(void)fd;
	va_start(arguments, request);
	interface = va_arg(arguments, struct ifreq *);
	va_end(arguments);
	if (gone) {
		errno = ENODEV;
		return -1;
	}
	if (request == SIOCGIFNAME) {
		assert_int_equal(interface->ifr_ifindex, INDEX);
		strcpy(interface->ifr_name, "port7");
		return 0;
	}
	assert_int_equal(request, SIOCETHTOOL);
	assert_string_equal(interface->ifr_name, "port7");
	return answer(interface->ifr_data);
}

static int setup(void **state)
{
	(void)state;
	memset(on, 0, sizeof(on));
	memset(fixed, 0, sizeof(fixed));
	gone = false;
	gro = 14;
	forwarding = 52;
	return 0;
}

static void assert_on(bool is_gro, bool is_forwarding)
{
	for (unsigned i = 0; i < FEATURES; i++)
		assert_int_equal(on[i], i == gro ? is_gro : i == forwarding && is_forwarding);
}

/* Around the borders of the words in which the kernel passes them. */
static void test_any_number(void **state)
{
	static const unsigned numbers[] = {0, 1, 30, 31, 32, 33, 61, 62, 63, 64, 65, FEATURES - 1};
	const unsigned count = sizeof(numbers) / sizeof(numbers[0]);
	struct offload offload;

	(void)state;
	for (unsigned i = 0; i < count; i++) {
		gro = numbers[i];
		forwarding = numbers[(i + 1) % count];
		assert_false(offload_aggregates(INDEX));
		assert_int_equal(offload_open(&offload, INDEX), 0);
		assert_on(true, true);
		assert_true(offload_aggregates(INDEX));
		offload_close(&offload);
		assert_on(false, false);
	}
}

static void test_what_was_on_stays(void **state)
{
	struct offload offload;

	(void)state;
	on[gro] = true;
	assert_false(offload_aggregates(INDEX));
	assert_int_equal(offload_open(&offload, INDEX), 0);
	assert_on(true, true);
	offload_close(&offload);
	assert_on(true, false);
	on[forwarding] = true;
	assert_int_equal(offload_open(&offload, INDEX), 0);
	offload_close(&offload);
	assert_on(true, true);
}

/* It is turned on again, and off in the end, though another had turned it on at first. */
static void test_another_turned_it_off(void **state)
{
	struct offload offload;

	(void)state;
	on[gro] = true;
	assert_int_equal(offload_open(&offload, INDEX), 0);
	assert_int_equal(offload_keep(&offload), 0);
	on[gro] = false;
	assert_int_equal(offload_keep(&offload), 0);
	assert_on(true, true);
	offload_close(&offload);
	assert_on(false, false);
}

/* What the interface accepts and does not do is no aggregation, and nothing stays on. */
static void test_what_cannot_be(void **state)
{
	struct offload offload;

	(void)state;
	fixed[forwarding] = true;
	assert_int_equal(offload_open(&offload, INDEX), -EOPNOTSUPP);
	assert_on(false, false);
	assert_int_equal(offload.index, 0);
	forwarding = FEATURES; /* an older kernel, which has no such feature */
	assert_int_equal(offload_open(&offload, INDEX), -EOPNOTSUPP);
	assert_on(false, false);
}

static void test_interface_is_gone(void **state)
{
	struct offload offload;

	(void)state;
	assert_int_equal(offload_open(&offload, INDEX), 0);
	gone = true;
	assert_false(offload_aggregates(INDEX));
	assert_int_equal(offload_keep(&offload), -ENODEV);
	offload_close(&offload);
	assert_int_equal(offload.index, 0);
	assert_int_equal(offload_open(&offload, INDEX), -ENODEV);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_any_number, setup),
		cmocka_unit_test_setup(test_what_was_on_stays, setup),
		cmocka_unit_test_setup(test_another_turned_it_off, setup),
		cmocka_unit_test_setup(test_what_cannot_be, setup),
		cmocka_unit_test_setup(test_interface_is_gone, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
