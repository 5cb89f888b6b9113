// SPDX-License-Identifier: MIT
/* counters: the STATS lines that other programs parse, to the letter; sums; causes of errors. */
#include "contract/counters.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

/* Every counter another value, so that no two can be mistaken for each other. */
static struct counters distinct(void)
{
	struct counters counters = {0};

	counter_add(&counters, COUNTER_recv_packets, 1000);
	counter_add(&counters, COUNTER_recv_bytes, 2000000);
	counter_add(&counters, COUNTER_buffer_exhaustion, 7);
	counter_add(&counters, COUNTER_drop_malformed, 10);
	counter_add(&counters, COUNTER_drop_fragment, 200);
	counter_add(&counters, COUNTER_drop_truncated, 3);
	counter_add(&counters, COUNTER_drop_checksum, 40);
	counter_add(&counters, COUNTER_drop_worker_died, 5);
	counter_add(&counters, COUNTER_drop_no_match, 50);
	counter_add(&counters, COUNTER_matched, 692);
	counter_add(&counters, COUNTER_egress_queued, 2076);
	counter_add(&counters, COUNTER_egress_submitted, 2075);
	counter_add(&counters, COUNTER_egress_sent, 2070);
	counter_add(&counters, COUNTER_egress_bytes, 2898000);
	counter_add(&counters, COUNTER_egress_errors, 6);
	return counters;
}

static void test_stats_lines(void **state)
{
	struct counters counters = distinct();
	char text[1024];

	(void)state;
	counters_format(&counters, "", text, sizeof(text));
	assert_string_equal(text,
			    "[STATS:Ingress] total: recv=1007 matched=692 egr_sent=2076 "
			    "filtered=258 no_match=50 buf_exhaust=7\n"
			    "[STATS:Egress] total: sent=2070 submitted=2075 ch_recv=2076 errors=6 "
			    "bytes=2898000\n");
	counters_format(&counters, " FINAL", text, sizeof(text));
	assert_string_equal(text,
			    "[STATS:Ingress FINAL] total: recv=1007 matched=692 egr_sent=2076 "
			    "filtered=258 no_match=50 buf_exhaust=7\n"
			    "[STATS:Egress FINAL] total: sent=2070 submitted=2075 ch_recv=2076 "
			    "errors=6 bytes=2898000\n");
}

static void test_stats_lines_of_nothing(void **state)
{
	const struct counters counters = {0};
	char text[1024];

	(void)state;
	counters_format(&counters, "", text, sizeof(text));
	assert_string_equal(text, "[STATS:Ingress] total: recv=0 matched=0 egr_sent=0 filtered=0 "
				  "no_match=0 buf_exhaust=0\n"
				  "[STATS:Egress] total: sent=0 submitted=0 ch_recv=0 errors=0 "
				  "bytes=0\n");
}

/* The report's buffer is 1024 bytes: the longest lines fit, a short buffer cuts them. */
static void test_stats_lines_of_huge_numbers(void **state)
{
	struct counters counters;
	char text[1024];

	(void)state;
	for (int i = 0; i < COUNTER_COUNT; i++)
		counters.value[i] = UINT64_MAX;
	counters_format(&counters, " FINAL", text, sizeof(text));
	assert_in_range(strlen(text), 200, sizeof(text) - 2);
	assert_non_null(strstr(text, " bytes=18446744073709551615\n"));
	memset(text, 'x', sizeof(text));
	counters_format(&counters, "", text, 16);
	assert_string_equal(text, "[STATS:Ingress]");
	assert_int_equal(text[16], 'x');
}

static void test_sums(void **state)
{
	struct counters counters = {0};

	(void)state;
	assert_int_equal(counters_arrived(&counters), 0);
	assert_int_equal(counters_filtered(&counters), 0);
	counters = distinct();
	assert_int_equal(counters_arrived(&counters), 1000 + 7);
	assert_int_equal(counters_filtered(&counters), 10 + 200 + 3 + 40 + 5);
	/* the ledger of the ingress: what arrived was filtered, unmatched, matched or lost */
	assert_int_equal(counters_arrived(&counters),
			 counters_filtered(&counters) +
				 counter_get(&counters, COUNTER_drop_no_match) +
				 counter_get(&counters, COUNTER_matched) +
				 counter_get(&counters, COUNTER_buffer_exhaustion));
}

static void test_causes(void **state)
{
	static const struct {
		int error;
		enum send_cause cause;
		const char *name;
	} causes[] = {
		{ENOBUFS, CAUSE_ENOBUFS, "ENOBUFS"},
		{EAGAIN, CAUSE_EAGAIN, "EAGAIN"},
		{EPERM, CAUSE_EPERM, "EPERM"},
		{EMSGSIZE, CAUSE_EMSGSIZE, "EMSGSIZE"},
		{ENETUNREACH, CAUSE_ENETUNREACH, "ENETUNREACH"},
		{EHOSTUNREACH, CAUSE_EHOSTUNREACH, "EHOSTUNREACH"},
		{ECONNREFUSED, CAUSE_ECONNREFUSED, "ECONNREFUSED"},
		{ENETDOWN, CAUSE_ENETDOWN, "ENETDOWN"},
		{ENODEV, CAUSE_ENODEV, "ENODEV"},
		{EADDRNOTAVAIL, CAUSE_EADDRNOTAVAIL, "EADDRNOTAVAIL"},
		{EINVAL, CAUSE_OTHER, "other"},
		{0, CAUSE_OTHER, "other"},
		{-1, CAUSE_OTHER, "other"},
		{INT32_MAX, CAUSE_OTHER, "other"},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(causes) / sizeof(causes[0]); i++) {
		assert_int_equal(send_cause(causes[i].error), causes[i].cause);
		assert_string_equal(send_cause_name[causes[i].cause], causes[i].name);
	}
}

/* What was published last is there as a whole, and what is being written is not. */
static void test_published(void **state)
{
	struct published published = {0};
	struct counters private = {0}, sum = {0};

	(void)state;
	published_add_up(&sum, &published);
	assert_int_equal(counter_get(&sum, COUNTER_matched), 0);
	for (unsigned times = 1; times <= 5; times++) {
		counter_add(&private, COUNTER_matched, 10);
		histogram_add(&private, HISTOGRAM_segments_per_send, 3);
		counters_publish(&published, &private);
		assert_int_equal(published.times, times);
		/* half of the next turn's */
		published.copy[(times + 1) % 2].value[COUNTER_matched] = 12345;
		sum = (struct counters){.value[COUNTER_matched] = 1};
		published_add_up(&sum, &published);
		assert_int_equal(counter_get(&sum, COUNTER_matched), 1 + 10 * times);
		assert_int_equal(sum.histogram[HISTOGRAM_segments_per_send][1], times);
	}
}

/* JSON, man page and help are printed from this table. */
static void test_table_is_complete(void **state)
{
	(void)state;
	for (int i = 0; i < COUNTER_COUNT; i++) {
		assert_true(strlen(counter_info[i].name) > 0);
		assert_true(strlen(counter_info[i].unit) > 0);
		assert_true(strlen(counter_info[i].help) > 0);
		for (int j = 0; j < i; j++)
			assert_string_not_equal(counter_info[i].name, counter_info[j].name);
	}
	for (int i = 0; i < CAUSE_COUNT; i++)
		assert_non_null(send_cause_name[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stats_lines),
		cmocka_unit_test(test_stats_lines_of_nothing),
		cmocka_unit_test(test_stats_lines_of_huge_numbers),
		cmocka_unit_test(test_sums),
		cmocka_unit_test(test_causes),
		cmocka_unit_test(test_published),
		cmocka_unit_test(test_table_is_complete),
	};

	return cmocka_run_group_tests_name("counters", tests, NULL, NULL);
}
