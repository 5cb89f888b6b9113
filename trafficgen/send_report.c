// SPDX-License-Identifier: MIT
/* send_report: what 'trafficgen send' says at its end, to people and as JSON. */
#include "common/version.h"
#include "send.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t sent_so_far(const struct run *run)
{
	uint64_t sent = 0;

	for (unsigned i = 0; i < run->settings.threads; i++)
		sent += atomic_load_explicit(&run->senders[i].packets_sent, memory_order_relaxed);
	return sent;
}

static void sum_up(struct run *run)
{
	run->sent = sent_so_far(run);
	for (unsigned i = 0; i < run->settings.threads; i++) {
		const struct sender *sender = &run->senders[i];

		if (sender->end_ns > run->end_ns)
			run->end_ns = sender->end_ns;
		if (sender->pacer.slip_ns > run->slip_ns)
			run->slip_ns = sender->pacer.slip_ns;
		run->send_calls += sender->send_calls;
		run->bytes_sent += sender->bytes_sent;
		for (unsigned error = 0; error < ERRNO_COUNT; error++) {
			run->refused[error] += sender->refused[error];
			run->refused_total += sender->refused[error];
		}
	}
	if (run->end_ns < run->start_ns) /* stopped before the first packet was due */
		run->end_ns = run->start_ns;
	samples_finish(&run->samples, run->end_ns, run->sent);
}

static double elapsed_s(const struct run *run)
{
	return (double)(run->end_ns - run->start_ns) / 1e9;
}

static double rate_pps(const struct run *run)
{
	return run->end_ns > run->start_ns ? (double)run->sent / elapsed_s(run) : 0;
}

static double throughput_gbps(const struct run *run)
{
	return run->end_ns > run->start_ns ? (double)run->bytes_sent * 8 / 1e9 / elapsed_s(run) : 0;
}

static json_t *refused_to_json(const struct run *run)
{
	json_t *object = json_object();

	for (int error = 0; error < ERRNO_COUNT; error++) {
		const char *name = error ? strerrorname_np(error) : "OTHER";

		if (run->refused[error])
			json_object_set_new(object, name ? name : "OTHER",
					    json_integer((json_int_t)run->refused[error]));
	}
	return object;
}

static json_t *source_to_json(const struct source *source)
{
	/* clang-format off */
	return json_pack("{s:i, s:i, s:I}",
		"flow", (int)source->flow,
		"port", (int)ntohs(source->to.sin_port),
		"packets_sent", (json_int_t)source->next_sequence);
	/* clang-format on */
}

static json_t *flows_to_json(const struct run *run)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < run->settings.flows; i++)
		json_array_append_new(list, source_to_json(&run->sources[i]));
	return list;
}

/* Of the longest message, at the end. */
static unsigned segments_in_force(const struct run *run)
{
	for (unsigned i = 0; i < run->settings.threads; i++)
		if (run->senders[i].gso == 1)
			return 1;
	return run->segments;
}

static json_t *report_to_json(const struct run *run)
{
	/* clang-format off */
	json_t *report = json_pack(
		"{s:i, s:s, s:s, s:s, s:o, s:I, s:I, s:f, s:I, s:I, s:f, s:f, s:I, s:I, s:o,"
		" s:{s:I, s:I, s:b}, s:f, s:b, s:o}",
		"schema", 1,
		"program", "trafficgen",
		"mode", COMMAND,
		"version", MCRELAY_VERSION,
		"settings", options_to_json(send_options, &run->settings),
		"start_ns", (json_int_t)run->start_ns,
		"end_ns", (json_int_t)run->end_ns,
		"elapsed_s", elapsed_s(run),
		"packets_sent", (json_int_t)run->sent,
		"bytes_sent", (json_int_t)run->bytes_sent,
		"packet_rate_pps", rate_pps(run),
		"throughput_gbps", throughput_gbps(run),
		"send_calls", (json_int_t)run->send_calls,
		"send_errors", (json_int_t)run->refused_total,
		"send_errors_by_cause", refused_to_json(run),
		"gso",
			"requested", (json_int_t)run->settings.gso,
			"segments", (json_int_t)segments_in_force(run),
			"fallback", (int)atomic_load(&run->fallback),
		"schedule_slip_ms", (double)run->slip_ns / 1e6,
		"interrupted", (int)atomic_load(&stop_requested),
		"flows", flows_to_json(run));
	/* clang-format on */

	if (report)
		samples_report(&run->samples, report);
	return report;
}

static void print_summary(const struct run *run)
{
	printf("Total packets sent: %llu\n", (unsigned long long)run->sent);
	printf("Elapsed time: %.3fs\n", elapsed_s(run));
	printf("Actual packet rate: %.0f pps (target: %llu pps)\n", rate_pps(run),
	       (unsigned long long)run->settings.rate_pps);
	printf("Actual throughput: %.2f Gbps\n", throughput_gbps(run));
}

int send_report(struct run *run)
{
	int status = EXIT_SUCCESS;

	sum_up(run);
	for (int error = 0; error < ERRNO_COUNT; error++)
		if (run->refused[error])
			complain(COMMAND, "the kernel refused %llu packets: %s",
				 (unsigned long long)run->refused[error],
				 error ? strerror(error) : "unknown error");
	if (run->sent == 0 && run->refused_total > 0) {
		complain(COMMAND, "no packet was sent; check the interface and 'ip route get' for "
				  "the group");
		status = EXIT_FAILURE;
	}
	if (write_report(COMMAND, run->settings.json, report_to_json(run)) < 0)
		status = EXIT_FAILURE;
	print_summary(run);
	return status;
}
