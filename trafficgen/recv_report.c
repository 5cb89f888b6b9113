// SPDX-License-Identifier: MIT
/* recv_report: what 'trafficgen recv' says at its end, to people and as JSON. */
#include "recv.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

bool count_reached(const struct receiver *receiver)
{
	return receiver->settings.common.count &&
	       receiver->flows.received >= receiver->settings.common.count;
}

/* N packets have N - 1 gaps between the first and the last. */
static double rate_pps(const struct receiver *receiver)
{
	uint64_t ns = receiver->arrivals.last_ns - receiver->arrivals.first_ns;
	uint64_t received = receiver->flows.received;

	return ns && received ? (double)(received - 1) * 1e9 / (double)ns : 0;
}

/* clang-format off */
static json_t *latency_to_json(const struct histogram *latency)
{
	return json_pack("{s:I, s:I, s:f, s:I, s:I, s:I, s:I}",
		"count", (json_int_t)latency->count,
		"min", (json_int_t)latency->min_ns,
		"mean", histogram_mean(latency),
		"p50", (json_int_t)histogram_quantile(latency, 500),
		"p99", (json_int_t)histogram_quantile(latency, 990),
		"p99_9", (json_int_t)histogram_quantile(latency, 999),
		"max", (json_int_t)latency->max_ns);
}

static json_t *gro_to_json(const struct receiver *receiver)
{
	uint64_t aggregates = receiver->aggregates;

	return json_pack("{s:b, s:I, s:f}",
		"on", (int)receiver->gro,
		"aggregates", (json_int_t)aggregates,
		"packets_per_aggregate",
			aggregates ? (double)receiver->aggregated / (double)aggregates : 0.0);
}

static json_t *flow_to_json(const struct flow *flow, unsigned id)
{
	struct flow_counts counts = flow_counts_of(flow);

	return json_pack("{s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
		"flow", (int)id,
		"first_sequence", (json_int_t)flow->first_sequence,
		"last_sequence", (json_int_t)flow->last_sequence,
		"received", (json_int_t)counts.received,
		"lost", (json_int_t)counts.lost,
		"duplicated", (json_int_t)counts.duplicated,
		"reordered", (json_int_t)counts.reordered,
		"stale", (json_int_t)counts.stale,
		"corrupt", (json_int_t)counts.corrupt);
}
/* clang-format on */

static json_t *flows_to_json(const struct flows *flows)
{
	json_t *list = json_array();

	for (unsigned id = 0; id < FLOW_COUNT; id++)
		if (flows->by_id[id])
			json_array_append_new(list, flow_to_json(flows->by_id[id], id));
	return list;
}

static json_t *instant_to_json(uint64_t ns)
{
	return ns ? json_integer((json_int_t)ns) : json_null();
}

static json_t *tunnel_to_json(const struct receiver *receiver)
{
	json_t *object = receiver->settings.geneve ? json_object() : json_null();

	if (!receiver->settings.geneve)
		return object;
	for (int i = 0; i < GENEVE_RESULTS; i++)
		json_object_set_new(object, geneve_result_name[i],
				    json_integer((json_int_t)receiver->geneve[i]));
	for (int i = 0; i < TUNNEL_INSIDES; i++)
		json_object_set_new(object, tunnel_inside_name[i],
				    json_integer((json_int_t)receiver->inside[i]));
	json_object_set_new(object, "wrong_cookies",
			    json_integer((json_int_t)receiver->wrong_cookies));
	return object;
}

static json_t *figures_to_json(const struct receiver *receiver)
{
	struct flow_counts total = flows_total(&receiver->flows);
	json_t *figures;

	/* clang-format off */
	figures = json_pack(
		"{s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:I, s:I, s:o, s:o, s:o}",
		"first_ns", instant_to_json(receiver->arrivals.first_ns),
		"last_ns", instant_to_json(receiver->arrivals.last_ns),
		"received", (json_int_t)total.received,
		"lost", (json_int_t)total.lost,
		"duplicated", (json_int_t)total.duplicated,
		"reordered", (json_int_t)total.reordered,
		"stale", (json_int_t)total.stale,
		"corrupt", (json_int_t)total.corrupt,
		"unverified", (json_int_t)receiver->unverified,
		"foreign", (json_int_t)receiver->foreign,
		"bytes", (json_int_t)receiver->bytes,
		"socket_drops", (json_int_t)receiver->socket_drops,
		"rate_pps", rate_pps(receiver),
		"recv_calls", (json_int_t)receiver->recv_calls,
		"rcvbuf_bytes", (json_int_t)receiver->rcvbuf_bytes,
		"gro", gro_to_json(receiver),
		"geneve", tunnel_to_json(receiver),
		"latency_ns", latency_to_json(&receiver->latency));
	/* clang-format on */
	if (figures)
		arrivals_report(&receiver->arrivals, figures);
	return figures;
}

static void print_count(const char *label, uint64_t count)
{
	printf("%-14s%llu packets\n", label, (unsigned long long)count);
}

static void print_latency(const struct histogram *latency)
{
	if (latency->count == 0) {
		puts("Latency:      unknown");
		return;
	}
	printf("Latency:      min %.1f us, mean %.1f us, p50 %.1f us, p99 %.1f us, p99.9 %.1f us, "
	       "max %.1f us\n",
	       (double)latency->min_ns / 1e3, histogram_mean(latency) / 1e3,
	       (double)histogram_quantile(latency, 500) / 1e3,
	       (double)histogram_quantile(latency, 990) / 1e3,
	       (double)histogram_quantile(latency, 999) / 1e3, (double)latency->max_ns / 1e3);
}

static void print_summary(const struct receiver *receiver, const struct flow_counts *total)
{
	double seconds = (double)(receiver->arrivals.last_ns - receiver->arrivals.first_ns) / 1e9;

	print_count("Received:", total->received);
	print_count("Lost:", total->lost);
	print_count("Duplicated:", total->duplicated);
	print_count("Reordered:", total->reordered);
	print_count("Corrupt:", total->corrupt);
	if (total->stale)
		print_count("Stale:", total->stale);
	if (receiver->unverified)
		print_count("Unverified:", receiver->unverified);
	print_count("Foreign:", receiver->foreign);
	print_count("Socket drops:", receiver->socket_drops);
	printf("Rate:         %.0f pps, %.2f Gbps over %.3f s\n", rate_pps(receiver),
	       seconds > 0 ? (double)receiver->bytes * 8 / 1e9 / seconds : 0.0, seconds);
	print_latency(&receiver->latency);
	printf("Longest gap:  %.1f ms\n", (double)receiver->arrivals.longest_gap_ns / 1e6);
}

int recv_report(const struct receiver *receiver)
{
	struct flow_counts total = flows_total(&receiver->flows);

	print_summary(receiver, &total);
	if (run_report(&receiver->run, figures_to_json(receiver), flows_to_json(&receiver->flows)) <
	    0)
		return EXIT_FAILURE;
	if (receiver->settings.common.verify && total.corrupt) {
		complain(&receiver->run, "%llu packets are corrupt",
			 (unsigned long long)total.corrupt);
		return EXIT_FAILURE;
	}
	if (receiver->settings.common.count && !count_reached(receiver)) {
		complain(&receiver->run, "received %llu of the %llu packets that --count asks for",
			 (unsigned long long)total.received,
			 (unsigned long long)receiver->settings.common.count);
		return EXIT_COUNT_MISSED;
	}
	return EXIT_SUCCESS;
}
