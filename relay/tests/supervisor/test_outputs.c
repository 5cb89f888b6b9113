// SPDX-License-Identifier: MIT
/* outputs: one for each place and way to send there, with a socket per worker when there can be
 * one. */
#include "provision_fixture.h"

#include <sys/resource.h>

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

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_source_port_refused), TEST(test_find_output),
		TEST(test_output_place_reused), TEST(test_output_on_no_interface),
		TEST(test_output_half_open),	TEST(test_output_that_cannot_be_asked_for),
		TEST(test_output_replaced),
	};

	return cmocka_run_group_tests_name("outputs", tests, enter, NULL);
}
