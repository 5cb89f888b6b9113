// SPDX-License-Identifier: MIT
/* send_report: what 'trafficgen send' says at its end, to people and as JSON. */
#include "common/errno_reason.h"
#include "send.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t sent_so_far(const struct generator *generator)
{
	uint64_t sent = 0;

	for (unsigned i = 0; i < generator->settings.threads; i++)
		sent += atomic_load_explicit(&generator->senders[i].packets_sent,
					     memory_order_relaxed);
	return sent;
}

static void sum_up(struct generator *generator)
{
	uint64_t end_ns = generator->run.start_ns; /* stopped before the first packet was due */

	generator->sent = sent_so_far(generator);
	for (unsigned i = 0; i < generator->settings.threads; i++) {
		const struct sender *sender = &generator->senders[i];

		if (sender->end_ns > end_ns)
			end_ns = sender->end_ns;
		if (sender->pacer.slip_ns > generator->slip_ns)
			generator->slip_ns = sender->pacer.slip_ns;
		generator->send_calls += sender->send_calls;
		generator->bytes_sent += sender->bytes_sent;
		for (unsigned error = 0; error < ERRNO_COUNT; error++) {
			generator->refused[error] += sender->refused[error];
			generator->refused_total += sender->refused[error];
		}
	}
	run_finish(&generator->run, end_ns, generator->sent);
}

static double elapsed_s(const struct generator *generator)
{
	return (double)(generator->run.end_ns - generator->run.start_ns) / 1e9;
}

static double rate_pps(const struct generator *generator)
{
	return generator->run.end_ns > generator->run.start_ns
		       ? (double)generator->sent / elapsed_s(generator)
		       : 0;
}

static double throughput_gbps(const struct generator *generator)
{
	return generator->run.end_ns > generator->run.start_ns
		       ? (double)generator->bytes_sent * 8 / 1e9 / elapsed_s(generator)
		       : 0;
}

static const char *error_name(int error)
{
	const char *name = error ? strerrorname_np(error) : NULL;

	return name ? name : "OTHER";
}

static json_t *refused_to_json(const struct generator *generator)
{
	json_t *object = json_object();

	for (int error = 0; error < ERRNO_COUNT; error++)
		if (generator->refused[error])
			json_object_set_new(object, error_name(error),
					    json_integer((json_int_t)generator->refused[error]));
	return object;
}

static json_t *source_to_json(const struct source *source)
{
	/* clang-format off */
	return json_pack("{s:i, s:i, s:I}",
		"flow", (int)source->flow,
		"port", (int)source->port,
		"packets_sent", (json_int_t)source->next_sequence);
	/* clang-format on */
}

static json_t *flows_to_json(const struct generator *generator)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < generator->settings.flows; i++)
		json_array_append_new(list, source_to_json(&generator->sources[i]));
	return list;
}

/* Of the longest message, at the end. */
static unsigned segments_in_force(const struct generator *generator)
{
	for (unsigned i = 0; i < generator->settings.threads; i++)
		if (generator->senders[i].gso == 1)
			return 1;
	return generator->segments;
}

static json_t *figures_to_json(const struct generator *generator)
{
	/* clang-format off */
	json_t *figures = json_pack(
		"{s:f, s:I, s:I, s:f, s:f, s:I, s:I, s:o, s:{s:I, s:I, s:b}, s:f}",
		"elapsed_s", elapsed_s(generator),
		"packets_sent", (json_int_t)generator->sent,
		"bytes_sent", (json_int_t)generator->bytes_sent,
		"packet_rate_pps", rate_pps(generator),
		"throughput_gbps", throughput_gbps(generator),
		"send_calls", (json_int_t)generator->send_calls,
		"send_errors", (json_int_t)generator->refused_total,
		"send_errors_by_cause", refused_to_json(generator),
		"gso",
			"requested", (json_int_t)generator->settings.gso,
			"segments", (json_int_t)segments_in_force(generator),
			"fallback", (int)atomic_load(&generator->fallback),
		"schedule_slip_ms", (double)generator->slip_ns / 1e6);
	/* clang-format on */

	cpu_times_report(&generator->cpu_times, figures);
	return figures;
}

static void print_summary(const struct generator *generator)
{
	printf("Total packets sent: %llu\n", (unsigned long long)generator->sent);
	printf("Elapsed time: %.3fs\n", elapsed_s(generator));
	printf("Actual packet rate: %.0f pps (target: %llu pps)\n", rate_pps(generator),
	       (unsigned long long)generator->settings.rate_pps);
	printf("Actual throughput: %.2f Gbps\n", throughput_gbps(generator));
}

int send_report(struct generator *generator)
{
	int status = EXIT_SUCCESS;

	sum_up(generator);
	for (int error = 0; error < ERRNO_COUNT; error++)
		if (generator->refused[error])
			complain(&generator->run, "the kernel refused %llu packets: %s (%s)",
				 (unsigned long long)generator->refused[error], error_name(error),
				 error ? reason_of_send(error) : "unknown error");
	if (generator->sent == 0 && generator->refused_total > 0) {
		complain(&generator->run,
			 "no packet was sent; check the interface and 'ip route get' for "
			 "the group");
		status = EXIT_FAILURE;
	}
	if (run_report(&generator->run, figures_to_json(generator), flows_to_json(generator)) < 0)
		status = EXIT_FAILURE;
	print_summary(generator);
	return status;
}
