// SPDX-License-Identifier: MIT
/*
 * provision: a set of rules comes into force as a whole, or is refused with a sentence, and nothing
 * of it stays open; what is not there yet is waited for.
 */
#include "provision_fixture.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum { PORT = 5009 };

static void assert_refused(struct rules rules, int rc, const char *sentence)
{
	unsigned before = open_descriptors();

	assert_int_equal(provision_set_rules(&provision, &rules, error), rc);
	assert_string_equal(error, sentence);
	assert_int_equal(open_descriptors(), before);
	assert_int_equal(rules.count, 1); /* still the caller's */
	rules_free(&rules);
}

/* ------------------------------------------------------------------------- waiting */

/* Whatever is absent, the rest is served. */
static void test_absent_interfaces(void **state)
{
	struct rules rules = one_rule("one", "lo", "lo", 6000);
	struct rules more = one_rule("two", "nope0", "lo", 6001);

	(void)state;
	need_root();
	need_address();
	rules.rule = realloc(rules.rule, 2 * sizeof(struct rule));
	assert_non_null(rules.rule);
	rules.rule[rules.count++] = more.rule[0];
	free(more.rule);
	rules.rule[0].outputs = realloc(rules.rule[0].outputs, 2 * sizeof(struct rule_output));
	assert_non_null(rules.rule[0].outputs);
	rules.rule[0].outputs[rules.rule[0].num_outputs++] = output("nope1", 6000);
	assert_set(rules);
	assert_state(0, RULE_WAITING, "interface nope1 is absent (1 of 2 outputs can be served)");
	assert_state(1, RULE_WAITING, "interface nope0 is absent");
	assert_int_equal(provision_count(&provision, RULE_WAITING), 2);
	assert_int_equal(provision.generation, 1);
	assert_int_equal(provision.served.rules.count, 2);
	assert_true(provision.outputs.output[0].fds[WORKERS - 1] >= 0);
	assert_int_equal(provision.outputs.output[1].error, ENODEV);
	/* there is nothing to try again before something changes */
	assert_int_equal(provision_due(&provision), -1);
}

/* The same state and words when it is down at first as when it goes down later. */
static void test_down_at_first_and_later(void **state)
{
	(void)state;
	need_root();
	if (!own_network)
		skip();
	for (int round = 0; round < 2; round++) {
		assert_true(own_network_set_lo(false));
		if (round == 0)
			assert_set(one_rule("one", "lo", "lo", 6000));
		else
			assert_true(provision_follow_interfaces(&provision));
		assert_state(0, RULE_WAITING, "interface lo is down");
		assert_false(provision_follow_interfaces(&provision));
		assert_true(own_network_set_lo(true));
		assert_true(provision_follow_interfaces(&provision));
		assert_state(0, RULE_RUNNING, "");
		assert_true(provision.outputs.output[0].fds[0] >= 0);
		assert_true(provision.inputs.input[0].fds[FRAMES_SMALL][0] >= 0);
	}
	assert_int_equal(provision.generation, 1);
}

/* What cannot be opened although its interface is ready is tried again after a while. */
static void test_tried_again(void **state)
{
	struct rlimit before, few;
	int64_t wait_ms;
	int lowest;

	(void)state;
	need_root();
	if (!own_network)
		skip();
	assert_true(own_network_set_lo(false));
	assert_set(one_rule("one", "lo", "lo", 6000));
	assert_true(own_network_set_lo(true));
	lowest = dup(STDERR_FILENO);
	close(lowest);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = (struct rlimit){(rlim_t)lowest + 1, before.rlim_max}; /* as many as a look takes */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	provision_follow_interfaces(&provision);
	assert_state(
		0, RULE_WAITING,
		"cannot send to 239.1.2.3:6000 through lo: Too many open files; raise the limit "
		"of open files: ulimit -Hn, LimitNOFILE= of the service");
	wait_ms = provision_due(&provision);
	assert_true(wait_ms > 0);
	setrlimit(RLIMIT_NOFILE, &before);
	time_ms += wait_ms - 1;
	assert_int_equal(provision_due(&provision), 1);
	assert_int_equal(provision.rule_status[0].state, RULE_WAITING);
	time_ms += 1;
	assert_int_equal(provision_due(&provision), -1);
	assert_state(0, RULE_RUNNING, "");
}

/* Of what no rule names any more, nothing is known. */
static void test_interfaces_are_those_of_rules(void **state)
{
	(void)state;
	need_root();
	assert_set(one_rule("one", "lo", "nope0", 6000));
	assert_int_equal(provision.interfaces.count, 2);
	assert_set(one_rule("one", "lo", "", 0));
	assert_int_equal(provision.interfaces.count, 1);
	assert_string_equal(provision.interfaces.interface[0].netif.name, "lo");
	assert_set((struct rules){0});
	assert_int_equal(provision.interfaces.count, 0);
}

/* ------------------------------------------------------------------------- stopped rules */

static void test_stopped_rule(void **state)
{
	uint32_t number;

	(void)state;
	need_root();
	need_address();
	assert_set(one_rule("one", "lo", "lo", 6000));
	number = provision.rule_numbers[0];
	assert_int_equal(provision_stop_rule(&provision, number, "it loops"), 0);
	assert_state(0, RULE_STOPPED, "it loops");
	assert_int_equal(provision.served.rules.count, 0);
	assert_int_equal(provision.generation, 2);
	assert_int_equal(provision.rules.count, 1);
	/* also when the set changes, or interfaces do */
	assert_set(one_rule("one", "lo", "lo", 6001));
	assert_false(provision_follow_interfaces(&provision));
	assert_state(0, RULE_STOPPED, "it loops");
	assert_int_equal(provision_stop_rule(&provision, number, NULL), 0);
	assert_state(0, RULE_RUNNING, "");
	assert_int_equal(provision.served.rules.count, 1);
	assert_int_equal(provision.served.numbers[0], number);
	/* its number is free for a rule that may run */
	assert_int_equal(provision_stop_rule(&provision, number, "it loops"), 0);
	assert_set((struct rules){0});
	assert_set(one_rule("two", "lo", "lo", 6000));
	assert_int_equal(provision.rule_numbers[0], number);
	assert_state(0, RULE_RUNNING, "");
}

/* ------------------------------------------------------------------------- refusals */

static int refused_without_privileges(void)
{
	struct rules rules = one_rule("one", "lo", "lo", 6000);

	if (geteuid() == 0 && setuid(65534) < 0)
		return 1;
	if (provision_set_rules(&provision, &rules, error) != -EPERM)
		return 2;
	if (strcmp(error, "cannot receive on lo: Operation not permitted; run as root or with "
			  "CAP_NET_RAW") != 0)
		return 3;
	return open_descriptors() == at_rest && inputs_find(&provision.inputs, "lo") == -1 ? 0 : 4;
}

static void test_without_privileges(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(refused_without_privileges());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static struct rules rule_with_port(const char *id, uint16_t source_port)
{
	struct rules rules = one_rule(id, "lo", "lo", 6002);

	rules.rule[0].outputs[0].source_port = source_port;
	return rules;
}

/* What was opened for a set before it was refused is closed; what was in force stays. */
static void test_rolled_back(void **state)
{
	struct rules rules, more;
	uint32_t number;
	uint16_t taken;
	int ring, out, fd;

	(void)state;
	need_root();
	need_address();
	taken = take_port(&fd);
	assert_refused(rule_with_port("one", taken), -EADDRINUSE, PORT_IS_TAKEN);
	assert_int_equal(inputs_find(&provision.inputs, "lo"), -1);
	assert_set(one_rule("one", "lo", "lo", 6000));
	assert_int_equal(provision.generation, 1);
	number = provision.rule_numbers[0];
	counter_bump(&workers.worker[1].shared->rules[number].packets, 5);
	ring = provision.inputs.input[0].fds[FRAMES_SMALL][1];
	out = provision.outputs.output[0].fds[1];
	rules = one_rule("two", "lo", "lo", 6001);
	more = rule_with_port("three", taken);
	rules.rule = realloc(rules.rule, 2 * sizeof(struct rule));
	assert_non_null(rules.rule);
	rules.rule[rules.count++] = more.rule[0];
	free(more.rule);
	assert_int_equal(provision_set_rules(&provision, &rules, error), -EADDRINUSE);
	assert_string_equal(error, PORT_IS_TAKEN);
	close(fd);
	rules_free(&rules);
	assert_int_equal(provision.generation, 1);
	assert_int_equal(provision.rules.count, 1);
	assert_string_equal(provision.rules.rule[0].id, "one");
	assert_int_equal(provision.rule_numbers[0], number);
	assert_int_equal(counter_read(&workers.worker[1].shared->rules[number].packets), 5);
	assert_int_equal(provision.inputs.input[0].fds[FRAMES_SMALL][1], ring);
	assert_int_equal(provision.outputs.output[0].fds[1], out);
	assert_false(provision.outputs.output[1].used);
}

/* Of our network namespace, on any interface. */
static bool is_member(const char *group)
{
	FILE *table = fopen("/proc/self/net/igmp", "re");
	char line[256], wanted[16];
	bool found = false;

	assert_non_null(table);
	snprintf(wanted, sizeof(wanted), "%08X", inet_addr(group));
	while (fgets(line, sizeof(line), table))
		found |= strstr(line, wanted) != NULL;
	fclose(table);
	return found;
}

/* The plan is the last that can fail: the groups of the set were joined by then. */
static void test_memberships_rolled_back(void **state)
{
	struct rules rules = one_rule("two", "lo", "lo", 6000);
	struct rlimit whole, nothing;
	int rc;

	(void)state;
	need_root();
	need_address();
	if (!own_network)
		skip();
	rules.rule[0].input.group.s_addr = inet_addr("239.9.9.9");
	assert_set(one_rule("one", "lo", "lo", 6000));
	assert_true(is_member("239.4.5.6"));
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &whole);
	nothing = (struct rlimit){0, whole.rlim_max};
	setrlimit(RLIMIT_FSIZE, &nothing);
	rc = provision_set_rules(&provision, &rules, error);
	setrlimit(RLIMIT_FSIZE, &whole);
	assert_int_equal(rc, -EFBIG);
	assert_true(is_member("239.4.5.6"));
	assert_false(is_member("239.9.9.9"));
	rules_free(&rules);
}

/* ------------------------------------------------------------------------- sets in force */

static uint64_t matched(unsigned w, uint32_t number)
{
	return counter_read(&provision_counted(&provision, number, &workers.worker[w])->packets);
}

static void test_counters_of_rules(void **state)
{
	uint32_t number;

	(void)state;
	need_root();
	assert_set(one_rule("one", "lo", "", 0));
	number = provision.rule_numbers[0];
	for (unsigned w = 0; w < WORKERS; w++)
		workers.worker[w].shared->rules[number] =
			(struct rule_counters){.born = 1, .packets = 5};
	assert_set(one_rule("one", "lo", "lo", 6000)); /* replaced: goes on counting */
	assert_int_equal(provision.rule_numbers[0], number);
	assert_int_equal(matched(0, number), 5);
	assert_set((struct rules){0});
	assert_set(one_rule("two", "lo", "", 0)); /* its number is free: counts from zero */
	assert_int_equal(provision.rule_numbers[0], number);
	for (unsigned w = 0; w < WORKERS; w++)
		assert_int_equal(matched(w, number), 0);
}

/* Each ring has a number that no other has had; those that are given up wait to be closed. */
static void test_rings(void **state)
{
	unsigned before;
	uint32_t ring;

	(void)state;
	need_root();
	assert_set(one_rule("one", "lo", "", 0));
	ring = provision.inputs.input[0].ring;
	assert_true(ring > 0);
	assert_set(one_rule("one", "lo", "lo", 6000));
	assert_int_equal(provision.inputs.input[0].ring, ring);
	assert_set((struct rules){0});
	assert_int_equal(inputs_find(&provision.inputs, "lo"), -1);
	assert_int_equal(provision.inputs.closing.count, WORKERS * FRAME_CLASSES);
	before = open_descriptors();
	time_ms += DEFERRED_CLOSE_MS - 1;
	assert_int_equal(provision_due(&provision), 1); /* not yet */
	assert_int_equal(open_descriptors(), before);
	time_ms += 1;
	for (unsigned i = 1; i < WORKERS * FRAME_CLASSES; i++)
		assert_int_equal(provision_due(&provision), 0); /* one at a time */
	assert_int_equal(provision_due(&provision), -1);
	assert_int_equal(open_descriptors(), before - WORKERS * FRAME_CLASSES);
	assert_set(one_rule("one", "lo", "", 0));
	assert_int_not_equal(provision.inputs.input[0].ring, ring);
}

/* Sends to a socket of ours on lo, and takes each packet there: every ring has had it then. */
static void send_over_lo(unsigned packets)
{
	const struct sockaddr_in to = {.sin_family = AF_INET,
				       .sin_port = htons(PORT),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int sender = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int receiver = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(receiver, (const struct sockaddr *)&to, sizeof(to)), 0);
	assert_int_equal(connect(sender, (const struct sockaddr *)&to, sizeof(to)), 0);
	while (packets--) {
		assert_int_equal(send(sender, "x", 1, 0), 1);
		assert_int_equal(recv(receiver, (char[1]){0}, 1, 0), 1);
	}
	close(sender);
	close(receiver);
}

/* What a ring had no room for is counted, also when that ring is given up. Of one worker: a fanout
 * group on lo has each packet twice, when it goes out as well. */
static void test_drops_of_a_ring_that_goes(void **state)
{
	const struct counters *counters = &workers.worker[0].shared->counters;
	struct rules rules;

	(void)state;
	need_root();
	if (!own_network)
		skip();
	workers.count = 1;
	rules = one_rule("one", "lo", "", 0);
	rules.rule[0].input.group.s_addr = htonl(INADDR_LOOPBACK);
	rules.rule[0].input.port = PORT;
	assert_set(rules);
	send_over_lo(RING_SLOTS + 100);
	assert_set((struct rules){0});
	assert_int_equal(counter_get(counters, COUNTER_buffer_exhaustion), 100);
	workers.count = WORKERS;
}

/* What the kernel lets into the rings: the rules in force ask for it, and nothing more, also after
 * a change that was refused. */
static void test_let_in(void **state)
{
	const struct filter_keys *keys = &provision.inputs.input[0].keys;
	struct filter_keys wanted = {0};
	struct rules rules;
	int fd;

	(void)state;
	need_root();
	need_address();
	assert_set(one_rule("one", "lo", "", 0));
	filter_keys_add(&wanted, (struct in_addr){inet_addr("239.4.5.6")}, 5000);
	assert_true(filter_keys_equal(keys, &wanted));
	rules = rule_with_port("two", take_port(&fd));
	rules.rule[0].input.port = 5001;
	assert_refused(rules, -EADDRINUSE, PORT_IS_TAKEN);
	close(fd);
	assert_true(filter_keys_equal(keys, &wanted));
	rules = one_rule("two", "lo", "", 0);
	rules.rule[0].input.port = 5001;
	assert_set(rules);
	assert_false(filter_keys_equal(keys, &wanted));
	wanted.count = 0;
	filter_keys_add(&wanted, (struct in_addr){inet_addr("239.4.5.6")}, 5001);
	assert_true(filter_keys_equal(keys, &wanted));
	assert_set((struct rules){0});
	assert_int_equal(keys->count, 0);
}

/* The next message that a worker would get, without what it passes. */
static struct message next_message(int channel)
{
	struct message message = {0};
	int passed;

	assert_int_equal(channel_receive(channel, &message, &passed), 1);
	if (passed >= 0)
		close(passed);
	return message;
}

/* Outputs that a plan names are there before it; inputs come when it says where their packets go;
 * what it no longer names goes after it. */
static void test_order_of_messages(void **state)
{
	static const enum message_type expected[] = {
		/* the first rule; its input has two sockets */
		MESSAGE_OUTPUT, MESSAGE_PLAN, MESSAGE_INPUT, MESSAGE_INPUT, MESSAGE_COMPLETE,
		/* the worker is a new one */
		MESSAGE_OUTPUT, MESSAGE_PLAN, MESSAGE_INPUT, MESSAGE_INPUT, MESSAGE_COMPLETE,
		/* another output */
		MESSAGE_OUTPUT, MESSAGE_PLAN, MESSAGE_COMPLETE, MESSAGE_OUTPUT_GONE,
		/* none */
		MESSAGE_PLAN, MESSAGE_COMPLETE, MESSAGE_INPUT_GONE, MESSAGE_OUTPUT_GONE};
	int pair[2];

	(void)state;
	need_root();
	need_address();
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
	workers.worker[0].channel = pair[0];
	assert_set(one_rule("one", "lo", "lo", 6000));
	provision_equip(&provision, &workers.worker[0]);
	assert_set(one_rule("one", "lo", "lo", 6001));
	assert_set((struct rules){0});
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
		assert_int_equal(next_message(pair[1]).type, expected[i]);
	workers.worker[0].channel = -1;
	close(pair[0]);
	close(pair[1]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_absent_interfaces),
		TEST(test_down_at_first_and_later),
		TEST(test_tried_again),
		TEST(test_interfaces_are_those_of_rules),
		TEST(test_stopped_rule),
		TEST(test_without_privileges),
		TEST(test_rolled_back),
		TEST(test_memberships_rolled_back),
		TEST(test_counters_of_rules),
		TEST(test_rings),
		TEST(test_let_in),
		TEST(test_drops_of_a_ring_that_goes),
		TEST(test_order_of_messages),
	};

	return cmocka_run_group_tests_name("provision", tests, enter, NULL);
}
