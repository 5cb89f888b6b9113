// SPDX-License-Identifier: MIT
/*
 * provision: a set of rules comes into force as a whole, or is refused with a sentence, and nothing
 * of it stays open; what is not there yet is waited for. On the loopback interface, without
 * workers; a ring's socket takes root, the rest does not. As root it is the loopback of a network
 * namespace of its own.
 */
#include "supervisor/provision.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "../made_up_clock.h"
#include "../own_network.h"

enum { WORKERS = 2, RING_SLOTS = 32, PORT = 5009 };

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

static struct netif netif_of(const char *name)
{
	struct netif netif;

	netif_query(name, &netif);
	return netif;
}

static int claim(const struct rule_output *key)
{
	const struct netif netif = netif_of(key->to.interface);

	return outputs_claim(&provision.outputs, key, &netif, error);
}

static void assert_state(unsigned index, enum rule_state state, const char *reason)
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

static void assert_refused(struct rules rules, int rc, const char *sentence)
{
	unsigned before = open_descriptors();

	assert_int_equal(provision_set_rules(&provision, &rules, error), rc);
	assert_string_equal(error, sentence);
	assert_int_equal(open_descriptors(), before);
	assert_int_equal(rules.count, 1); /* still the caller's */
	rules_free(&rules);
}

/* ------------------------------------------------------------------------- outputs */

static void test_find_output(void **state)
{
	struct rule_output key = output("lo", 6000), other;
	int index;

	(void)state;
	need_address();
	assert_int_equal(outputs_find(&provision.outputs, &key), -1);
	index = claim(&key);
	assert_true(index >= 0);
	assert_int_equal(outputs_find(&provision.outputs, &key), index);
	assert_int_equal(open_descriptors(), at_rest + WORKERS);
	other = key;
	other.ttl = 2;
	assert_int_equal(outputs_find(&provision.outputs, &other), -1);
	other.ttl = TTL_DECREMENT;
	assert_int_equal(outputs_find(&provision.outputs, &other), -1);
	other = key;
	other.dscp = DSCP_KEEP;
	assert_int_equal(outputs_find(&provision.outputs, &other), -1);
	other = key;
	other.source.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(outputs_find(&provision.outputs, &other), -1);
	other = key;
	other.source_port = 5004;
	assert_int_equal(outputs_find(&provision.outputs, &other), -1);
	other = key;
	other.to.port++;
	assert_int_equal(outputs_find(&provision.outputs, &other), -1);
	other = key;
	other.to.group.s_addr = inet_addr("239.1.2.4");
	assert_int_equal(outputs_find(&provision.outputs, &other), -1);
	other = output("lo2", 6000);
	assert_int_equal(outputs_find(&provision.outputs, &other), -1);
	outputs_release_unneeded(&provision.outputs, &(struct rules){0}, true);
	assert_int_equal(outputs_find(&provision.outputs, &key), -1);
	assert_int_equal(open_descriptors(), at_rest);
}

/* A port of lo that the caller has to itself until it closes the socket. */
static uint16_t take_port(int *fd)
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

/* The reason, and what to do, of a port that cannot be had. */
static void test_source_port_refused(void **state)
{
	struct rule_output key = output("lo", 6000);
	int fd;

	(void)state;
	need_address();
	key.source_port = take_port(&fd);
	assert_int_equal(claim(&key), -EADDRINUSE);
	assert_string_equal(error, PORT_IS_TAKEN);
	close(fd);
	assert_true(claim(&key) >= 0);
}

/* As a worker does when it hears of an output. */
static void hear_of(unsigned w, unsigned index)
{
	workers.worker[w].shared->outputs[index] = (struct output_counters){
		.born = provision.outputs.output[index].born, .packets = 7};
}

static uint64_t sent(unsigned w, unsigned index)
{
	return counter_read(
		&output_counted(&provision.outputs.output[index], (int)index, &workers.worker[w])
			 ->packets);
}

/* A number that is used again counts from zero, also while a worker still counts for another one.
 */
static void test_output_place_reused(void **state)
{
	struct rule_output first = output("lo", 6000), second = output("lo", 6001),
			   third = output("lo", 6002);

	(void)state;
	need_address();
	assert_int_equal(claim(&first), 0);
	assert_int_equal(claim(&second), 1);
	for (unsigned w = 0; w < WORKERS; w++)
		for (unsigned i = 0; i < 2; i++)
			hear_of(w, i);
	provision.outputs.output[0].used = false;
	close_all(provision.outputs.output[0].fds, WORKERS);
	assert_int_equal(claim(&third), 0);
	for (unsigned w = 0; w < WORKERS; w++) {
		counter_bump(&workers.worker[w].shared->outputs[0].packets, 7);
		assert_int_equal(sent(w, 0), 0);
		assert_int_equal(sent(w, 1), 7);
	}
	hear_of(1, 0);
	assert_int_equal(sent(0, 0), 0);
	assert_int_equal(sent(1, 0), 7);
}

/* Rules on an interface with so many outputs, which differ by their ports. */
static struct rules many_outputs(const char *in, uint16_t first_port, unsigned count)
{
	const unsigned num_rules = (count + RULE_OUTPUTS_MAX - 1) / RULE_OUTPUTS_MAX;
	struct rules rules = {calloc(num_rules, sizeof(struct rule)), num_rules};

	assert_non_null(rules.rule);
	for (unsigned i = 0; i < num_rules; i++) {
		struct rule *rule = &rules.rule[i];
		const unsigned left = count - i * RULE_OUTPUTS_MAX;

		snprintf(rule->id, sizeof(rule->id), "rule-%u", i);
		strcpy(rule->input.interface, in);
		rule->input.group.s_addr = inet_addr("239.4.5.6");
		rule->input.port = (uint16_t)(5000 + i);
		rule->num_outputs = left < RULE_OUTPUTS_MAX ? left : RULE_OUTPUTS_MAX;
		rule->outputs = calloc(rule->num_outputs, sizeof(*rule->outputs));
		assert_non_null(rule->outputs);
		for (unsigned j = 0; j < rule->num_outputs; j++)
			rule->outputs[j] =
				output("lo", (uint16_t)(first_port + i * RULE_OUTPUTS_MAX + j));
	}
	return rules;
}

/* In force, as if they had been set: without sockets. */
static void make_up(struct rules rules)
{
	const struct interfaces none = {0};
	unsigned number = 0, index = 0;

	provision.rules = rules;
	provision.rule_numbers = calloc(rules.count, sizeof(*provision.rule_numbers));
	provision.rule_status = calloc(rules.count, sizeof(*provision.rule_status));
	assert_true(provision.rule_numbers && provision.rule_status);
	for (unsigned i = 0; i < rules.count; i++) {
		provision.rule_numbers[i] = i;
		if (inputs_find(&provision.inputs, rules.rule[i].input.interface) < 0)
			strcpy(provision.inputs.input[number++].netif.name,
			       rules.rule[i].input.interface);
		for (unsigned j = 0; j < rules.rule[i].num_outputs; j++) {
			provision.outputs.output[index].key = rules.rule[i].outputs[j];
			provision.outputs.output[index++].used = true;
		}
	}
	assert_int_equal(interfaces_look(&provision.interfaces, &rules, &none), 0);
	assert_int_equal(served_build(&provision.served, &rules, provision.rule_numbers,
				      &provision.interfaces, provision.stopped,
				      provision.rule_status),
			 0);
}

static void test_too_many_outputs(void **state)
{
	struct rules next = many_outputs("nope0", 1000, OUTPUTS_MAX + 1);

	(void)state;
	make_up(many_outputs("nope0", 1000, OUTPUTS_MAX));
	assert_int_equal(provision_set_rules(&provision, &next, error), -ENOSPC);
	assert_string_equal(error, "rules have more than 4096 different outputs");
	rules_free(&next);
}

/* As many as there can be are replaced by others: the old ones are there until the new ones are. */
static void test_all_outputs_replaced(void **state)
{
	struct rules next;

	(void)state;
	need_root();
	need_address();
	make_up(many_outputs("lo", 1000, OUTPUTS_MAX));
	provision.inputs.input[0].netif.name[0] = '\0'; /* to be opened */
	next = many_outputs("lo", 20000, 100);
	assert_int_equal(provision_set_rules(&provision, &next, error), 0);
	for (unsigned i = 0; i < OUTPUT_NUMBERS; i++)
		assert_int_equal(provision.outputs.output[i].used,
				 i >= OUTPUTS_MAX && i < OUTPUTS_MAX + 100);
	assert_int_equal(outputs_find(&provision.outputs, &provision.rules.rule[0].outputs[0]),
			 OUTPUTS_MAX);
}

/* Rules on so many interfaces. */
static struct rules many_inputs(unsigned count)
{
	struct rules rules = {calloc(count, sizeof(struct rule)), count};

	assert_non_null(rules.rule);
	for (unsigned i = 0; i < count; i++) {
		rules.rule[i].input = (struct endpoint){.port = 5000};
		snprintf(rules.rule[i].id, RULE_ID_BYTES, "rule-%u", i);
		snprintf(rules.rule[i].input.interface, IFNAMSIZ, "nope%u", i);
		rules.rule[i].input.group.s_addr = inet_addr("239.4.5.6");
	}
	return rules;
}

static void test_too_many_inputs(void **state)
{
	struct rules next = many_inputs(INPUTS_MAX + 1);

	(void)state;
	make_up(many_inputs(INPUTS_MAX));
	assert_int_equal(provision_set_rules(&provision, &next, error), -ENOSPC);
	assert_string_equal(error, "rules receive on more than 64 interfaces");
	rules_free(&next);
}

static void test_all_inputs_replaced(void **state)
{
	(void)state;
	need_root();
	make_up(many_inputs(INPUTS_MAX));
	assert_set(one_rule("one", "lo", "", 0));
	assert_int_equal(inputs_find(&provision.inputs, "lo"), INPUTS_MAX);
	for (unsigned i = 0; i < INPUTS_MAX; i++)
		assert_string_equal(provision.inputs.input[i].netif.name, "");
}

/* It is an output all the same, without sockets. */
static void test_output_on_no_interface(void **state)
{
	struct rule_output key = output("nope0", 6000);

	(void)state;
	assert_int_equal(claim(&key), 0);
	assert_int_equal(provision.outputs.output[0].error, ENODEV);
	assert_true(outputs_all_open(&provision.outputs));
	assert_int_equal(outputs_find(&provision.outputs, &key), 0);
	assert_int_equal(open_descriptors(), at_rest);
}

/* No descriptor can be opened, until `limit` is set again. */
static void exhaust_descriptors(struct rlimit *limit)
{
	struct rlimit none;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, limit), 0);
	none = (struct rlimit){0, limit->rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
}

/* Two workers' sockets are open, the third one's cannot be. */
static void test_output_half_open(void **state)
{
	struct rule_output key = output("lo", 6000);
	const struct netif lo = netif_of("lo");
	struct rlimit before, few;
	int lowest, rc;

	(void)state;
	need_address();
	lowest = dup(STDERR_FILENO);
	close(lowest);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = (struct rlimit){(rlim_t)lowest + 2, before.rlim_max};
	workers.count = 3;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	rc = outputs_claim(&provision.outputs, &key, &lo, error);
	setrlimit(RLIMIT_NOFILE, &before);
	workers.count = WORKERS;
	assert_int_equal(rc, -EMFILE);
	assert_string_equal(error,
			    "cannot send through lo: Too many open files; raise the limit of "
			    "open files: ulimit -Hn, LimitNOFILE= of the service");
	assert_int_equal(open_descriptors(), at_rest);
}

/* That an interface cannot be asked for does not mean that it is gone. */
static void test_output_that_cannot_be_asked_for(void **state)
{
	struct rlimit before;
	int fd;

	(void)state;
	need_root();
	need_address();
	assert_set(one_rule("one", "lo", "lo", 6000));
	fd = provision.outputs.output[0].fds[0];
	exhaust_descriptors(&before);
	provision_follow_interfaces(&provision);
	setrlimit(RLIMIT_NOFILE, &before);
	assert_int_equal(provision.outputs.output[0].fds[0], fd);
	assert_int_equal(provision.outputs.output[0].error, 0);
	assert_true(fcntl(fd, F_GETFD) >= 0);
	/* nor does one that is as it was get other sockets */
	provision_follow_interfaces(&provision);
	assert_int_equal(provision.outputs.output[0].fds[0], fd);
	assert_state(0, RULE_RUNNING, "");
}

/* Another address, as far as the output knows. */
static void test_output_replaced(void **state)
{
	unsigned before;

	(void)state;
	need_root();
	need_address();
	assert_set(one_rule("one", "lo", "lo", 6000));
	before = open_descriptors();
	provision.outputs.output[0].netif.address.s_addr = inet_addr("127.0.0.77");
	provision_follow_interfaces(&provision);
	assert_int_equal(provision.outputs.output[0].netif.address.s_addr, htonl(INADDR_LOOPBACK));
	assert_int_equal(provision.outputs.output[0].error, 0);
	assert_int_equal(open_descriptors(), before);
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
			provision_follow_interfaces(&provision);
		assert_state(0, RULE_WAITING, "interface lo is down");
		assert_true(own_network_set_lo(true));
		provision_follow_interfaces(&provision);
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
	provision_follow_interfaces(&provision);
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

static int enter(void **state)
{
	(void)state;
	own_network = geteuid() == 0 && own_network_enter();
	return 0;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_source_port_refused),
		TEST(test_find_output),
		TEST(test_output_place_reused),
		TEST(test_too_many_outputs),
		TEST(test_all_outputs_replaced),
		TEST(test_output_on_no_interface),
		TEST(test_output_half_open),
		TEST(test_output_that_cannot_be_asked_for),
		TEST(test_output_replaced),
		TEST(test_absent_interfaces),
		TEST(test_down_at_first_and_later),
		TEST(test_tried_again),
		TEST(test_interfaces_are_those_of_rules),
		TEST(test_stopped_rule),
		TEST(test_without_privileges),
		TEST(test_too_many_inputs),
		TEST(test_all_inputs_replaced),
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
