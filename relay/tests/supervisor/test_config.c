// SPDX-License-Identifier: MIT
/* config: the relay's defaults, what it derives from its options, and the rules between them. */
#include "supervisor/config.h"

#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "../caught.h"

static struct config config;

static int parse(int argc, char **argv, void *result)
{
	return config_parse(argc, argv, result);
}

static int given(const char *first, ...) __attribute__((sentinel));

/* The words of a command line, NULL at the end. */
static int given(const char *first, ...)
{
	va_list args;
	int rc;

	(void)first;
	config = (struct config){0};
	va_start(args, first);
	rc = caught_parse(parse, &config, "mcrelay", args);
	va_end(args);
	return rc;
}

#define GIVEN(...)    given("", __VA_ARGS__, (char *)NULL)
#define ACCEPTED(...) assert_accepted(GIVEN("--config", "f", __VA_ARGS__))
#define REFUSED(message, ...) \
	assert_refused(GIVEN("--config", "f", __VA_ARGS__), "mcrelay", message)

static int clear_environment(void **state)
{
	(void)state;
	unsetenv("MCR_SOCKET_SNDBUF");
	unsetenv("MCR_STATS_INTERVAL_MS");
	unsetenv("MCR_BUFFER_POOL_SMALL");
	unsetenv("MCR_BUFFER_POOL_STANDARD");
	unsetenv("MCR_BUFFER_POOL_JUMBO");
	unsetenv("MCR_NUM_RECV_BUFFERS");
	return 0;
}

static void test_defaults(void **state)
{
	(void)state;
	assert_accepted(GIVEN("--config", "rules.json"));
	assert_string_equal(config.rule_file, "rules.json");
	assert_string_equal(config.control_path, "/run/mcrelay/control.sock");
	assert_true(config.control_unasked);
	assert_int_equal(config.control_gid, (uint32_t)-1);
	assert_int_equal(config.num_workers, 1);
	assert_int_equal(config.num_cpus, 0);
	assert_string_equal(config.user, "nobody");
	assert_false(config.fanout_cpu);
	assert_int_equal(config.queue_depth, 1024);
	assert_int_equal(config.send_batch, 64);
	assert_int_equal(config.socket_sndbuf, 4194304);
	assert_int_equal(config.stats_interval_ms, 10000);
	assert_int_equal(config.ring_slots, 0);
	assert_int_equal(config.ring_slot_bytes, 0);
	assert_int_equal(config.worker.gso, GSO_AUTO);
	assert_false(config.gro || config.exclusive);
}

static void test_environment(void **state)
{
	(void)state;
	setenv("MCR_SOCKET_SNDBUF", "212992", 1);
	setenv("MCR_STATS_INTERVAL_MS", "0", 1);
	setenv("MCR_BUFFER_POOL_SMALL", "21", 1);
	setenv("MCR_BUFFER_POOL_STANDARD", "22", 1);
	setenv("MCR_BUFFER_POOL_JUMBO", "23", 1);
	setenv("MCR_NUM_RECV_BUFFERS", "24", 1);
	ACCEPTED("--gso", "off", "--gro");
	assert_int_equal(config.socket_sndbuf, 212992);
	assert_int_equal(config.stats_interval_ms, 0);
	assert_int_equal(config.pool_small, 21);
	assert_int_equal(config.pool_standard, 22);
	assert_int_equal(config.pool_jumbo, 23);
	assert_int_equal(config.num_recv_buffers, 24);
	assert_int_equal(config.worker.gso, GSO_OFF);
	assert_true(config.gro && config.worker.aggregates);
}

/* Rules come from a file, or later over the control socket. */
static void test_rules_come_from_somewhere(void **state)
{
	(void)state;
	assert_refused(GIVEN("--control-socket-path", "none"), "mcrelay",
		       "--config FILE is missing, and --control-socket-path none leaves no way to "
		       "give it rules");
	assert_accepted(GIVEN("--gro"));
	assert_null(config.rule_file);
	assert_string_equal(config.control_path, "/run/mcrelay/control.sock");
	assert_accepted(GIVEN("--control-socket-path", "/run/s"));
	assert_null(config.rule_file);
	assert_string_equal(config.control_path, "/run/s");
	assert_false(config.control_unasked);
	ACCEPTED("--control-socket-path", "/run/s");
	assert_string_equal(config.rule_file, "f");
	ACCEPTED("--control-socket-path", "none");
	assert_null(config.control_path);
	ACCEPTED("--control-socket-path", "/run/mcrelay/control.sock"); /* asked for, after all */
	assert_false(config.control_unasked);
}

/* ------------------------------------------------------------------------- workers */

static void test_cpus(void **state)
{
	static const struct {
		const char *list;
		unsigned count;
		int cpus[8];
	} right[] = {
		{"0", 1, {0}},
		{"2,3", 2, {2, 3}},
		{"2,3,6-9", 6, {2, 3, 6, 7, 8, 9}},
		{"5-5", 1, {5}},
		{"9,1,9", 3, {9, 1, 9}}, /* in this order, and twice if wanted */
		{"0-1,0-1", 4, {0, 1, 0, 1}},
		{"1023", 1, {1023}},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
		ACCEPTED("--cpus", right[i].list);
		assert_int_equal(config.num_cpus, right[i].count);
		for (unsigned j = 0; j < right[i].count; j++)
			assert_int_equal(config.cpus[j], right[i].cpus[j]);
	}
}

/* As many as workers can have threads; no one needs the others. */
static void test_many_cpus(void **state)
{
	(void)state;
	ACCEPTED("--cpus", "0-1023");
	assert_int_equal(config.num_cpus, 2 * WORKERS_MAX);
	assert_int_equal(config.cpus[2 * WORKERS_MAX - 1], 2 * WORKERS_MAX - 1);
	ACCEPTED("--cpus", "10-520,3,4,5");
	assert_int_equal(config.num_cpus, 2 * WORKERS_MAX);
	assert_int_equal(config.cpus[2 * WORKERS_MAX - 1], 3);
}

static void test_wrong_cpus(void **state)
{
	static const char *const wrong[] = {
		",",
		"2,",
		"2,,3",
		",2",
		"-",
		"-1",
		"2-",
		"2-,3",
		"-2-3",
		"3-2",
		"2-+3",
		"2--3",
		"2-3-4",
		"x",
		"2x",
		"2,x",
		" 2",
		"2 ",
		"2, 3",
		"1024",
		"0-1024",
		"+1",
		"0x1",
		"18446744073709551616",
		"0-99999999999999999999",
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		char message[128];

		snprintf(message, sizeof(message),
			 "--cpus: '%s' is not a list of CPUs such as 2,3,6-9", wrong[i]);
		REFUSED(message, "--cpus", wrong[i]);
	}
	REFUSED("--cpus: expected LIST, found an empty string", "--cpus", "");
}

static void test_num_workers(void **state)
{
	(void)state;
	ACCEPTED("--num-workers", "256");
	assert_int_equal(config.num_workers, WORKERS_MAX);
	REFUSED("--num-workers: '257' is not a whole number from 1 to 256", "--num-workers", "257");
	REFUSED("--num-workers: '0' is not a whole number from 1 to 256", "--num-workers", "0");
}

static void test_fanout(void **state)
{
	(void)state;
	ACCEPTED("--fanout", "cpu");
	assert_true(config.fanout_cpu);
	ACCEPTED("--fanout", "hash");
	assert_false(config.fanout_cpu);
	REFUSED("--fanout: 'CPU' is not one of hash, cpu", "--fanout", "CPU");
	REFUSED("--fanout: 'hash|cpu' is not one of hash, cpu", "--fanout", "hash|cpu");
	REFUSED("--fanout: expected hash|cpu, found an empty string", "--fanout", "");
}

/* Words become the numbers that a worker is told, each its own. */
static void test_modes(void **state)
{
	static const struct {
		const char *option, *word;
		size_t offset; /* in the worker's settings */
		uint32_t mode;
	} modes[] = {
#define MODE(option, word, field, mode) \
	{option, word, offsetof(struct worker_settings, field), mode}
		MODE("--ingress", "ring", ingress, INGRESS_RING),
		MODE("--ingress", "uring", ingress, INGRESS_URING),
		MODE("--egress", "uring", egress, EGRESS_URING),
		MODE("--egress", "sendmmsg", egress, EGRESS_SENDMMSG),
		MODE("--egress-reap", "sync", reap, REAP_SYNC),
		MODE("--egress-reap", "eager", reap, REAP_EAGER),
		MODE("--egress-reap", "deferred", reap, REAP_DEFERRED),
		MODE("--thread-model", "unified", threads, THREADS_UNIFIED),
		MODE("--thread-model", "split", threads, THREADS_SPLIT),
		MODE("--wakeup", "spin", wakeup, WAKEUP_SPIN),
		MODE("--wakeup", "eventfd", wakeup, WAKEUP_EVENTFD),
		MODE("--wakeup", "hybrid", wakeup, WAKEUP_HYBRID),
#undef MODE
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		uint32_t mode;

		ACCEPTED(modes[i].option, modes[i].word);
		memcpy(&mode, (const char *)&config.worker + modes[i].offset, sizeof(mode));
		assert_int_equal(mode, modes[i].mode);
	}
	REFUSED("--ingress: 'rings' is not one of ring, uring", "--ingress", "rings");
	REFUSED("--egress: 'send' is not one of uring, sendmmsg", "--egress", "send");
	REFUSED("--egress-reap: 'now' is not one of sync, eager, deferred", "--egress-reap", "now");
	REFUSED("--thread-model: 'x' is not one of unified, split", "--thread-model", "x");
	REFUSED("--wakeup: 'spi' is not one of spin, eventfd, hybrid", "--wakeup", "spi");
}

/* What is not a word goes to the workers as it is. */
static void test_worker_settings(void **state)
{
	(void)state;
	ACCEPTED("--queue-depth", "5", "--send-batch", "6", "--buffer-pool-small", "17",
		 "--buffer-pool-standard", "18", "--buffer-pool-jumbo", "19", "--num-recv-buffers",
		 "20", "--gso", "on");
	assert_int_equal(config.worker.gso, GSO_ON);
	assert_int_equal(config.worker.queue_depth, 5);
	assert_int_equal(config.worker.send_batch, 6);
	assert_int_equal(config.worker.pool[POOL_SMALL], 17);
	assert_int_equal(config.worker.pool[POOL_STANDARD], 18);
	assert_int_equal(config.worker.pool[POOL_JUMBO], 19);
	assert_int_equal(config.worker.num_recv_buffers, 20);
	assert_int_equal(config.worker.uid, config.uid);
	assert_int_equal(config.worker.gid, config.gid);
	ACCEPTED("--fanout", "hash");
	assert_int_equal(config.worker.gso, GSO_AUTO);
	assert_int_equal(config.worker.pool[POOL_SMALL], 1000);
	assert_int_equal(config.worker.pool[POOL_STANDARD], 500);
	assert_int_equal(config.worker.pool[POOL_JUMBO], 200);
	assert_int_equal(config.worker.num_recv_buffers, 32);
}

static void test_user(void **state)
{
	const struct passwd *nobody = getpwnam("nobody");

	(void)state;
	if (!nobody)
		skip();
	ACCEPTED("--user", "nobody");
	assert_int_equal(config.uid, nobody->pw_uid);
	assert_int_equal(config.gid, nobody->pw_gid);
	REFUSED("--user: no user 'no such user' on this host", "--user", "no such user");
	REFUSED("--user: no group 'no such group' on this host", "--user", "nobody:no such group");
}

/* The group of a user that has a name is the user's own, unless one is given. */
static void test_user_by_number(void **state)
{
	static const char *const wrong[] = {
		"",
		":",
		":5",
		"-1",
		"+5",
		" 5",
		"5x",
		"0x5",
		"4294967295",
		"4294967296",
		"99999999999999999999",
	};
	const struct passwd *root = getpwuid(0);

	(void)state;
	ACCEPTED("--user", "4242424"); /* nobody's */
	assert_int_equal(config.uid, 4242424);
	assert_int_equal(config.gid, 4242424);
	ACCEPTED("--user", "4242424:4343");
	assert_int_equal(config.uid, 4242424);
	assert_int_equal(config.gid, 4343);
	ACCEPTED("--user", "4294967294:4294967294");
	assert_int_equal(config.uid, 4294967294);
	assert_int_equal(config.gid, 4294967294);
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(GIVEN("--config", "f", "--user", wrong[i]), -EINVAL);
	REFUSED("--user: no user '5x' on this host", "--user", "5x:5");
	REFUSED("--user: no group '' on this host", "--user", "5:");
	REFUSED("--user: no group '4294967295' on this host", "--user", "5:4294967295");
	REFUSED("--user: no group '5:5' on this host", "--user", "5:5:5");
	if (!root)
		skip();
	ACCEPTED("--user", "0");
	assert_int_equal(config.uid, 0);
	assert_int_equal(config.gid, root->pw_gid);
	ACCEPTED("--user", "0:7");
	assert_int_equal(config.gid, 7);
}

static void test_control_group(void **state)
{
	const struct group *own = getgrgid(0);
	char name[64];

	(void)state;
	if (!own)
		skip();
	snprintf(name, sizeof(name), "%s", own->gr_name);
	ACCEPTED("--control-socket-path", "s", "--control-group", name);
	assert_int_equal(config.control_gid, 0);
	REFUSED("--control-group: no group 'no such group' on this host", "--control-group",
		"no such group");
}

/* ------------------------------------------------------------------------- ring and statistics */

static void test_ring(void **state)
{
	static const char *const wrong_slots[] = {"1", "8", "15", "17", "4095", "65535"};
	static const char *const wrong_bytes[] = {"1",	  "2",	  "1024", "2047",
						  "2049", "3000", "6144", "131071"};
	char message[128];

	(void)state;
	ACCEPTED("--ring-slots", "16", "--ring-slot-bytes", "131072");
	assert_int_equal(config.ring_slots, 16);
	assert_int_equal(config.ring_slot_bytes, 131072);
	ACCEPTED("--ring-slots", "65536", "--ring-slot-bytes", "2048");
	ACCEPTED("--ring-slots", "100", "--ring-slot-bytes", "69632");
	ACCEPTED("--ring-slots", "0", "--ring-slot-bytes", "0");
	for (unsigned i = 0; i < sizeof(wrong_slots) / sizeof(wrong_slots[0]); i++) {
		snprintf(message, sizeof(message),
			 "--ring-slots: %s is neither 0 nor an even number from 16 on",
			 wrong_slots[i]);
		REFUSED(message, "--ring-slots", wrong_slots[i]);
	}
	for (unsigned i = 0; i < sizeof(wrong_bytes) / sizeof(wrong_bytes[0]); i++) {
		snprintf(message, sizeof(message),
			 "--ring-slot-bytes: %s is neither 0, nor 2048, nor a multiple of 4096",
			 wrong_bytes[i]);
		REFUSED(message, "--ring-slot-bytes", wrong_bytes[i]);
	}
	REFUSED("--ring-slots: '-2' is not a whole number from 0 to 65536", "--ring-slots", "-2");
	REFUSED("--ring-slot-bytes: '262144' is not a whole number from 0 to 131072",
		"--ring-slot-bytes", "262144");
}

/* The kernel doubles it, in an int. */
static void test_largest_send_buffer(void **state)
{
	(void)state;
	ACCEPTED("--socket-sndbuf", "1073741823");
	REFUSED("--socket-sndbuf: '1073741824' is not a whole number from 4096 to 1073741823",
		"--socket-sndbuf", "1073741824");
}

static void test_stats_files(void **state)
{
	(void)state;
	ACCEPTED("--stats-file", "s", "--stats-series", "t");
	REFUSED("--stats-file and --stats-series name the same file, 's'", "--stats-file", "s",
		"--stats-series", "s");
}

static void test_http(void **state)
{
	(void)state;
	ACCEPTED("--num-workers", "1");
	assert_int_equal(config.http_address.any.sa_family, AF_UNSPEC);
	ACCEPTED("--http", "127.0.0.1:9464");
	assert_int_equal(config.http_address.v4.sin_family, AF_INET);
	ACCEPTED("--http", "[::]:9464");
	assert_int_equal(config.http_address.v6.sin6_family, AF_INET6);
	REFUSED("--http: 'host' is not an IPv4 address such as 127.0.0.1; names are not "
		"looked up",
		"--http", "host:9464");
	REFUSED("--http: expected ADDR:PORT, found an empty string", "--http", "");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, clear_environment)
	const struct CMUnitTest tests[] = {
		TEST(test_defaults),
		TEST(test_environment),
		TEST(test_rules_come_from_somewhere),
		TEST(test_cpus),
		TEST(test_many_cpus),
		TEST(test_wrong_cpus),
		TEST(test_num_workers),
		TEST(test_fanout),
		TEST(test_modes),
		TEST(test_worker_settings),
		TEST(test_user),
		TEST(test_user_by_number),
		TEST(test_control_group),
		TEST(test_ring),
		TEST(test_largest_send_buffer),
		TEST(test_stats_files),
		TEST(test_http),
	};

	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
