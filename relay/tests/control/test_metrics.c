// SPDX-License-Identifier: MIT
/*
 * metrics: the page is read by a parser of the text format 0.0.4 that is stricter than Prometheus'
 * own, and looked up in like a scraper would. Families and samples are kept in the order of the
 * page; names and labels point into it.
 */
#include "common/version.h"
#include "control/metrics.h"

#include <ctype.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../made_up.h"

enum { FAMILIES_MAX = 256, NOW_MS = 1000000 };

static char *page;
static struct family {
	const char *name, *type, *help;
	unsigned samples;
} families[FAMILIES_MAX];
static unsigned num_families;
static struct sample_line {
	const char *series; /* name and labels, as they are written */
	const char *value;
} * samples;
static unsigned num_samples;

/* ------------------------------------------------------------------------- the parser */

/* The name that begins at *text, which moves behind it. */
static size_t take_name(const char **text, bool colon)
{
	const char *start = *text;

	assert_true(isalpha((unsigned char)**text) || **text == '_');
	while (isalnum((unsigned char)**text) || **text == '_' || (colon && **text == ':'))
		(*text)++;
	return (size_t)(*text - start);
}

/* The text of a label up to its closing quote; the only escapes are these three. */
static void take_label_value(const char **text)
{
	assert_int_equal(*(*text)++, '"');
	for (; **text != '"'; (*text)++) {
		assert_true(**text != '\0' && **text != '\n');
		if (**text == '\\') {
			(*text)++;
			assert_non_null(memchr("\\\"n", **text, 3));
		}
	}
	(*text)++;
}

/* {a="b",c="d"}; no label twice. */
static void take_labels(const char **text)
{
	const char *names[16];
	size_t lengths[16];
	unsigned count = 0;

	if (**text != '{')
		return;
	do {
		(*text)++;
		assert_in_range(count, 0, 15);
		names[count] = *text;
		lengths[count] = take_name(text, false);
		for (unsigned i = 0; i < count; i++)
			assert_false(lengths[i] == lengths[count] &&
				     memcmp(names[i], names[count], lengths[i]) == 0);
		count++;
		assert_int_equal(*(*text)++, '=');
		take_label_value(text);
	} while (**text == ',');
	assert_int_equal(*(*text)++, '}');
}

/* Digits, with decimals perhaps: nothing here is negative, infinite or not a number. */
static void assert_value(const char *text)
{
	size_t digits = strspn(text, "0123456789");

	assert_true(digits > 0);
	if (text[digits] == '.') {
		text += digits + 1;
		digits = strspn(text, "0123456789");
		assert_true(digits > 0);
	}
	assert_int_equal(text[digits], '\0');
}

/* Only the samples of a histogram have more of a name than their family. */
static void assert_suffix(const struct family *family, const char *suffix, size_t length)
{
	if (strcmp(family->type, "histogram") != 0) {
		assert_int_equal(length, 0);
		return;
	}
	assert_true((length == 7 && memcmp(suffix, "_bucket", length) == 0) ||
		    (length == 4 && memcmp(suffix, "_sum", length) == 0) ||
		    (length == 6 && memcmp(suffix, "_count", length) == 0));
}

static void parse_sample(char *line)
{
	const struct family *family = &families[num_families - 1];
	const char *end = line;
	size_t length = take_name(&end, true);

	if ((num_samples & (num_samples - 1)) == 0) { /* full: twice as many */
		struct sample_line *more =
			realloc(samples, 2 * (num_samples + 1) * sizeof(*samples));

		assert_non_null(more);
		samples = more;
	}
	/* of the family whose HELP and TYPE came last */
	assert_true(num_families > 0 && family->type);
	assert_in_range(length, strlen(family->name), strlen(family->name) + strlen("_bucket"));
	assert_memory_equal(line, family->name, strlen(family->name));
	assert_suffix(family, line + strlen(family->name), length - strlen(family->name));
	take_labels(&end);
	assert_int_equal(*end, ' ');
	line[end - line] = '\0';
	samples[num_samples].series = line;
	samples[num_samples].value = end + 1;
	assert_value(samples[num_samples++].value);
	families[num_families - 1].samples++;
}

static char *cut_word(char **text)
{
	char *word = *text;

	*text += strcspn(*text, " ");
	assert_int_equal(**text, ' ');
	*(*text)++ = '\0';
	return word;
}

/* Behind "# HELP ". */
static void parse_help(char *line)
{
	struct family *family = &families[num_families];

	assert_in_range(num_families, 0, FAMILIES_MAX - 1);
	family->name = cut_word(&line);
	family->help = line;
	family->type = NULL;
	family->samples = 0;
	for (unsigned i = 0; i < num_families; i++)
		assert_string_not_equal(families[i].name, family->name);
	assert_true(strlen(line) > 0);
	assert_null(strchr(line, '\\')); /* would have to be an escape */
	num_families++;
}

/* Behind "# TYPE ": of the family that HELP has begun. */
static void parse_type(char *line)
{
	struct family *family = &families[num_families - 1];

	assert_true(num_families > 0);
	assert_null(family->type);
	assert_string_equal(cut_word(&line), family->name);
	assert_true(strcmp(line, "counter") == 0 || strcmp(line, "gauge") == 0 ||
		    strcmp(line, "histogram") == 0);
	family->type = line;
}

static void parse_page(char *text)
{
	while (*text) {
		char *end = strchr(text, '\n');

		assert_non_null(end); /* the last line ends, too */
		*end = '\0';
		if (strncmp(text, "# HELP ", 7) == 0)
			parse_help(text + 7);
		else if (strncmp(text, "# TYPE ", 7) == 0)
			parse_type(text + 7);
		else
			parse_sample(text);
		text = end + 1;
	}
	assert_non_null(families[num_families - 1].type);
}

static int by_series(const void *a, const void *b)
{
	return strcmp(((const struct sample_line *)a)->series,
		      ((const struct sample_line *)b)->series);
}

static void scrape(void)
{
	json_t *text;

	free(page);
	num_families = num_samples = 0;
	page = metrics_text(&relay.reporter, &relay.health, NOW_MS);
	assert_non_null(page);
	text = json_string(page); /* NULL if not UTF-8 */
	assert_non_null(text);
	json_decref(text);
	parse_page(page);
	qsort(samples, num_samples, sizeof(*samples), by_series);
	for (unsigned i = 1; i < num_samples; i++)
		assert_string_not_equal(samples[i - 1].series, samples[i].series);
}

/* NULL: there is no such series. */
static const char *value_of(const char *series)
{
	const struct sample_line key = {.series = series};
	const struct sample_line *found =
		bsearch(&key, samples, num_samples, sizeof(*samples), by_series);

	return found ? found->value : NULL;
}

static void assert_series(const char *series, const char *value)
{
	if (!value_of(series))
		fail_msg("no series %s", series);
	assert_string_equal(value_of(series), value);
}

/* -1: there is no such family. */
static int samples_of(const char *name)
{
	for (unsigned i = 0; i < num_families; i++)
		if (strcmp(families[i].name, name) == 0)
			return (int)families[i].samples;
	return -1;
}

static int teardown(void **state)
{
	(void)state;
	forget();
	free(page);
	free(samples);
	page = NULL;
	samples = NULL;
	return 0;
}

/* ------------------------------------------------------------------------- tests */

static bool has_word(const char *name, const char *word)
{
	const char *found = strstr(name, word);

	return found && found[-1] == '_' &&
	       (found[strlen(word)] == '_' || found[strlen(word)] == '\0');
}

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), end_length = strlen(end);

	return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

/* https://prometheus.io/docs/practices/naming */
static void assert_names(void)
{
	for (unsigned i = 0; i < num_families; i++) {
		const char *name = families[i].name;

		assert_int_equal(strncmp(name, "mcrelay_", 8), 0);
		assert_int_equal(strcmp(families[i].type, "counter") == 0,
				 ends_with(name, "_total"));
		for (const char *c = name; *c; c++)
			assert_true(islower((unsigned char)*c) || *c == '_');
		/* the unit comes last */
		if (has_word(name, "bytes"))
			assert_true(ends_with(name, "_bytes") || ends_with(name, "_bytes_total"));
		if (has_word(name, "seconds"))
			assert_true(ends_with(name, "_seconds") ||
				    ends_with(name, "_seconds_total"));
		assert_false(has_word(name, "ms") || has_word(name, "ns"));
	}
}

static void test_nothing_yet(void **state)
{
	(void)state;
	make_up(1);
	scrape();
	assert_names();
	assert_series("mcrelay_build_info{version=\"" MCRELAY_VERSION "\"}", "1");
	assert_series("mcrelay_rules", "0");
	assert_series("mcrelay_worker_up{worker=\"0\"}", "1");
	assert_series("mcrelay_worker_restarts_total{worker=\"0\"}", "0");
	assert_int_equal(samples_of("mcrelay_rule_packets_total"), 0);
	assert_int_equal(samples_of("mcrelay_output_errors_total"), 0);
	/* unknown is not zero */
	assert_int_equal(samples_of("mcrelay_last_packet_age_seconds"), -1);
}

static void test_packet_age(void **state)
{
	(void)state;
	make_up(1);
	relay.health.received_at_ms = NOW_MS - 2345;
	scrape();
	assert_int_equal(samples_of("mcrelay_last_packet_age_seconds"), 1);
	assert_series("mcrelay_last_packet_age_seconds", "2.345");
	relay.health.received_at_ms = NOW_MS;
	scrape();
	assert_series("mcrelay_last_packet_age_seconds", "0.000");
}

static void test_workers(void **state)
{
	(void)state;
	make_up(3);
	relay.workers.worker[1].ready = false;
	relay.workers.worker[1].restarts = 4294967295U;
	relay.workers.worker[1].pid = 0;
	relay.workers.worker[1].cpu_ns_before = 1234567890123U;
	relay.workers.worker[2].ready = false;
	scrape();
	assert_names();
	assert_series("mcrelay_worker_up{worker=\"0\"}", "1");
	assert_series("mcrelay_worker_up{worker=\"1\"}", "0");
	assert_series("mcrelay_worker_up{worker=\"2\"}", "0");
	assert_series("mcrelay_worker_restarts_total{worker=\"1\"}", "4294967295");
	assert_series("mcrelay_worker_cpu_seconds_total{worker=\"1\"}", "1234.567890");
	assert_series("mcrelay_worker_resident_memory_bytes{worker=\"1\"}", "0");
	assert_string_not_equal(value_of("mcrelay_worker_resident_memory_bytes{worker=\"0\"}"),
				"0");
}

/* The series of a counter, as the man page describes it. */
static void series_of(int counter, unsigned worker, char *series, size_t size)
{
	const char *name = counter_info[counter].name, *unit = counter_info[counter].unit;
	bool drop = strncmp(name, "drop_", 5) == 0;
	char suffix[32] = "";

	if (drop || counter == COUNTER_buffer_exhaustion) {
		snprintf(series, size, "mcrelay_dropped_packets_total{worker=\"%u\",cause=\"%s\"}",
			 worker, drop ? name + 5 : name);
		return;
	}
	if ((strcmp(unit, "packets") == 0 || strcmp(unit, "bytes") == 0) && !ends_with(name, unit))
		snprintf(suffix, sizeof(suffix), "_%s", unit);
	snprintf(series, size, "mcrelay_%s%s_total{worker=\"%u\"}", name, suffix, worker);
}

/* Each once, each exact: doubles would round all of these. */
static void test_every_counter(void **state)
{
	char series[160], value[32];

	(void)state;
	make_up(2);
	for (int i = 0; i < COUNTER_COUNT; i++) {
		shared_of(0)->counters.value[i] = UINT64_MAX - (uint64_t)i;
		shared_of(1)->counters.value[i] = (1ULL << 53) + 1 + 2 * (uint64_t)i;
		/* both threads of a worker are added up */
		shared_of(1)->sending.copy[0].value[i] = 1ULL << 53;
	}
	scrape();
	assert_names();
	for (int i = 0; i < COUNTER_COUNT; i++) {
		series_of(i, 0, series, sizeof(series));
		snprintf(value, sizeof(value), "%" PRIu64, UINT64_MAX - (uint64_t)i);
		assert_series(series, value);
		series_of(i, 1, series, sizeof(series));
		snprintf(value, sizeof(value), "%llu", (1ULL << 54) + 1 + 2 * (unsigned)i);
		assert_series(series, value);
	}
	assert_series("mcrelay_recv_packets_total{worker=\"0\"}", "18446744073709551615");
	snprintf(value, sizeof(value), "%llu", (1ULL << 54) + 1 + 2 * COUNTER_matched);
	assert_series("mcrelay_matched_packets_total{worker=\"1\"}", value);
}

static void test_histograms(void **state)
{
	(void)state;
	make_up(1);
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		shared_of(0)->counters.histogram[HISTOGRAM_segments_per_send][i] = i + 1;
	shared_of(0)->counters.value[COUNTER_egress_submitted] = 4711;
	scrape();
	assert_series("mcrelay_segments_per_send_bucket{worker=\"0\",le=\"1\"}", "1");
	assert_series("mcrelay_segments_per_send_bucket{worker=\"0\",le=\"3\"}", "3");
	assert_series("mcrelay_segments_per_send_bucket{worker=\"0\",le=\"63\"}", "21");
	assert_series("mcrelay_segments_per_send_bucket{worker=\"0\",le=\"+Inf\"}", "91");
	assert_series("mcrelay_segments_per_send_count{worker=\"0\"}", "91");
	assert_series("mcrelay_segments_per_send_sum{worker=\"0\"}", "4711");
	assert_series("mcrelay_packets_per_burst_bucket{worker=\"0\",le=\"+Inf\"}", "0");
}

static void test_labels(void **state)
{
	static const struct {
		const char *id, *written;
	} ids[] = {
		{"plain", "plain"},
		{"", ""},
		{"a\"b", "a\\\"b"},
		{"a\\b", "a\\\\b"},
		{"a\nb", "a\\nb"},
		{"\\n", "\\\\n"},
		{"\\\"", "\\\\\\\""},
		{"end\\", "end\\\\"},
		{"\"} 1\nfake{x=\"", "\\\"} 1\\nfake{x=\\\""},
		{"{},= #", "{},= #"},
		/* interfaces' names are UTF-8, as the rule file is; they stay different */
		{"stra\xc3\x9f"
		 "e",
		 "stra\xc3\x9f"
		 "e"},
		{"stra\xc3\xa4"
		 "e",
		 "stra\xc3\xa4"
		 "e"},
	};
	char series[256], value[16];

	(void)state;
	make_up(1);
	for (unsigned i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		unsigned slot = make_up_rule(ids[i].id, endpoint(ids[i].id, "239.1.1.1", i + 1));

		shared_of(0)->rules[slot].packets = i + 100;
	}
	scrape();
	for (unsigned i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		snprintf(value, sizeof(value), "%u", i + 100);
		snprintf(series, sizeof(series),
			 "mcrelay_rule_packets_total{rule=\"%s\",interface=\"%s\","
			 "group=\"239.1.1.1\",port=\"%u\"}",
			 ids[i].written, ids[i].written, i + 1);
		assert_series(series, value);
	}
}

static void test_outputs(void **state)
{
	unsigned one, other;

	(void)state;
	make_up(2);
	make_up_rule("r", endpoint("in0", "239.1.1.1", 5000));
	make_up_output(endpoint("gone", "239.2.2.2", 1), 1);
	one = make_up_output(endpoint("out0", "239.2.2.2", 65535), 255);
	other = make_up_output(endpoint("out0", "239.2.2.2", 65535), 1);
	relay.provision.outputs.output[0].used = false;
	shared_of(0)->outputs[one].packets = 9007199254740993U;
	shared_of(1)->outputs[one].packets = 1;
	shared_of(1)->outputs[one].bytes = UINT64_MAX;
	shared_of(0)->outputs[other].errors[CAUSE_ENOBUFS] = 3;
	shared_of(1)->outputs[other].errors[CAUSE_ENOBUFS] = 4;
	shared_of(1)->outputs[other].errors[CAUSE_OTHER] = 5;
	scrape();
	assert_names();
#define OUT0 "{interface=\"out0\",group=\"239.2.2.2\",port=\"65535\",ttl="
	assert_series("mcrelay_output_packets_total" OUT0 "\"255\"}", "9007199254740994");
	assert_series("mcrelay_output_bytes_total" OUT0 "\"255\"}", "18446744073709551615");
	assert_series("mcrelay_output_packets_total" OUT0 "\"1\"}", "0");
	assert_series("mcrelay_output_errors_total" OUT0 "\"1\",cause=\"ENOBUFS\"}", "7");
	assert_series("mcrelay_output_errors_total" OUT0 "\"1\",cause=\"other\"}", "5");
	assert_series("mcrelay_output_errors_total" OUT0 "\"255\",cause=\"other\"}", "0");
	assert_int_equal(samples_of("mcrelay_output_packets_total"), 2);
	assert_int_equal(samples_of("mcrelay_output_errors_total"), 2 * CAUSE_COUNT);
}

/* Outputs that differ in nothing but how they send are different series. */
static void test_ways_to_send(void **state)
{
	struct rule_output *keys[6];

	(void)state;
	make_up(1);
	for (unsigned i = 0; i < 6; i++) {
		const unsigned index = make_up_output(endpoint("out0", "239.2.2.2", 65535), 1);

		keys[i] = &relay.provision.outputs.output[index].key;
		shared_of(0)->outputs[index].packets = i + 1;
	}
	keys[1]->ttl = TTL_DECREMENT;
	keys[2]->dscp = 46;
	keys[3]->dscp = DSCP_KEEP;
	keys[4]->source.s_addr = inet_addr("10.0.0.5");
	keys[5]->source_port = 5004;
	scrape();
	assert_names();
	assert_series("mcrelay_output_packets_total" OUT0 "\"1\"}", "1");
	assert_series("mcrelay_output_packets_total" OUT0 "\"decrement\"}", "2");
	assert_series("mcrelay_output_packets_total" OUT0 "\"1\",dscp=\"46\"}", "3");
	assert_series("mcrelay_output_packets_total" OUT0 "\"1\",dscp=\"keep\"}", "4");
	assert_series("mcrelay_output_packets_total" OUT0 "\"1\",source=\"10.0.0.5\"}", "5");
	assert_series("mcrelay_output_packets_total" OUT0 "\"1\",source_port=\"5004\"}", "6");
}

/* As many as there can be. */
static void test_full(void **state)
{
	static const unsigned shown[] = {0, 1, 2047, 4095};
	char id[RULE_ID_BYTES], series[256], value[32];

	(void)state;
	make_up(2);
	for (unsigned i = 0; i < RULES_MAX; i++) {
		unsigned slot;

		snprintf(id, sizeof(id), "%064u", i);
		slot = make_up_rule(id, endpoint("fifteen-letters", "239.255.255.255", i + 1));
		shared_of(0)->rules[slot].bytes = 1ULL << 63 | i;
		shared_of(1)->rules[slot].bytes = 1ULL << 62;
	}
	for (unsigned i = 0; i < OUTPUTS_MAX; i++) {
		unsigned index =
			make_up_output(endpoint("fifteen-letters", "239.255.255.255", i + 1), 255);

		shared_of(1)->outputs[index].packets = UINT64_MAX - i;
	}
	scrape();
	assert_series("mcrelay_rules", "4096");
	assert_int_equal(samples_of("mcrelay_rule_packets_total"), RULES_MAX);
	assert_int_equal(samples_of("mcrelay_rule_bytes_total"), RULES_MAX);
	assert_int_equal(samples_of("mcrelay_output_packets_total"), OUTPUTS_MAX);
	assert_int_equal(samples_of("mcrelay_output_errors_total"), OUTPUTS_MAX * CAUSE_COUNT);
	for (unsigned i = 0; i < sizeof(shown) / sizeof(shown[0]); i++) {
#define WHERE "interface=\"fifteen-letters\",group=\"239.255.255.255\",port=\"%u\""
		snprintf(series, sizeof(series),
			 "mcrelay_rule_bytes_total{rule=\"%064u\"," WHERE "}", shown[i],
			 shown[i] + 1);
		snprintf(value, sizeof(value), "%llu", 3ULL << 62 | shown[i]);
		assert_series(series, value);
		snprintf(series, sizeof(series),
			 "mcrelay_output_packets_total{" WHERE ",ttl=\"255\"}", shown[i] + 1);
		snprintf(value, sizeof(value), "%" PRIu64, UINT64_MAX - shown[i]);
		assert_series(series, value);
	}
}

static void test_interfaces(void **state)
{
	(void)state;
	make_up(1);
	make_up_netif("lo");
	make_up_netif("mcr-none"); /* there is no such one any more */
	scrape();
	assert_names();
	assert_int_equal(samples_of("mcrelay_interface_up"), 2);
	assert_non_null(value_of("mcrelay_interface_up{interface=\"lo\"}"));
	assert_non_null(value_of("mcrelay_interface_receive_bytes_total{interface=\"lo\"}"));
	assert_series("mcrelay_interface_up{interface=\"mcr-none\"}", "0");
	assert_series("mcrelay_interface_transmit_packets_total{interface=\"mcr-none\"}", "0");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_nothing_yet), TEST(test_packet_age),	  TEST(test_workers),
		TEST(test_labels),	TEST(test_every_counter), TEST(test_histograms),
		TEST(test_outputs),	TEST(test_ways_to_send),  TEST(test_full),
		TEST(test_interfaces),
	};

	return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
