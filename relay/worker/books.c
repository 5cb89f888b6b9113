// SPDX-License-Identifier: MIT
/* books: see books.h. */
#include "worker/books.h"

/* ------------------------------------------------------------------------- a new name */

static uint64_t sum_of_errors(const struct output_counters *output)
{
	uint64_t sum = 0;

	for (int i = 0; i < CAUSE_COUNT; i++)
		sum += output->errors[i];
	return sum;
}

static void add_past(struct past_counters *past, const struct output_counters *output)
{
	past->queued += output->queued - output->expired;
	past->expired += output->expired;
	past->sent += output->packets;
	past->bytes += output->bytes;
	past->errors += sum_of_errors(output);
	past->worker_died += output->errors[CAUSE_WORKER_DIED];
}

void books_begin_output(struct shared *shared, uint32_t number, uint32_t born)
{
	struct output_counters *output = &shared->outputs[number];

	if (output->born == born)
		return;
	add_past(&shared->past, output);
	*output = (struct output_counters){.born = output->born};
	__atomic_store_n(&output->born, born, __ATOMIC_RELEASE);
}

void books_begin_rule(struct shared *shared, uint32_t number, uint32_t born)
{
	struct rule_counters *rule = &shared->rules[number];

	if (rule->born == born)
		return;
	shared->past.matched += rule->packets;
	*rule = (struct rule_counters){.born = rule->born};
	__atomic_store_n(&rule->born, born, __ATOMIC_RELEASE);
}

/* ------------------------------------------------------------------------- a turn */

void books_begin_turn(struct ring_position *position, const struct published *published)
{
	position->uncounted = 0;
	position->frames_before = position->frames;
	position->packets_before = position->packets;
	__atomic_store_n(&position->turn, published->times + 1, __ATOMIC_RELEASE);
}

/* ------------------------------------------------------------------------- after a death */

/* What was in hand in a turn that was published is counted. A uring's frames are gone with their
 * buffers: they count as never received. */
static void close_position(struct ring_position *position, uint64_t published, bool uring)
{
	const bool unfinished = position->turn > published;

	if (uring) {
		if (unfinished) {
			position->frames = position->frames_before;
			position->packets = position->packets_before;
		}
		position->doubtful = position->ring != 0;
	}
	if (uring || !unfinished)
		position->uncounted = 0;
	position->turn = 0;
}

static void close_positions(struct shared *shared, bool uring)
{
	for (unsigned i = 0; i < INPUT_NUMBERS; i++)
		for (unsigned class = 0; class < FRAME_CLASSES; class ++)
			close_position(&shared->positions[i][class], shared->receiving.times,
				       uring && class == FRAMES_SMALL);
}

static void set(struct counters *counters, enum counter which, uint64_t value)
{
	counters->value[which] = value;
}

/* Totals of all outputs that there have been. */
static void close_outputs(struct shared *shared, struct counters *totals)
{
	struct past_counters sum = shared->past;

	for (unsigned i = 0; i < OUTPUT_NUMBERS; i++) {
		struct output_counters *output = &shared->outputs[i];
		const uint64_t over = output->packets + sum_of_errors(output) + output->expired;

		if (output->queued > over)
			counter_bump(&output->errors[CAUSE_WORKER_DIED], output->queued - over);
		add_past(&sum, output);
	}
	set(totals, COUNTER_drop_ttl, sum.expired);
	set(totals, COUNTER_egress_queued, sum.queued);
	set(totals, COUNTER_egress_sent, sum.sent);
	set(totals, COUNTER_egress_bytes, sum.bytes);
	set(totals, COUNTER_egress_errors, sum.errors);
	set(totals, COUNTER_egress_worker_died, sum.worker_died);
	if (counter_get(totals, COUNTER_egress_submitted) < sum.sent)
		set(totals, COUNTER_egress_submitted, sum.sent);
}

static uint64_t count_matched(const struct shared *shared)
{
	uint64_t sum = shared->past.matched;

	for (unsigned i = 0; i < RULE_NUMBERS; i++)
		sum += shared->rules[i].packets;
	return sum;
}

void books_count_lost(struct counters *counters, uint64_t *in_hand, uint64_t packets)
{
	const uint64_t counted = !in_hand ? 0 : *in_hand < packets ? *in_hand : packets;

	if (in_hand)
		*in_hand -= counted;
	counter_add(counters, COUNTER_recv_packets, packets - counted);
	counter_add(counters, COUNTER_drop_worker_died, packets - counted);
}

uint64_t books_close(struct shared *shared, const struct worker_settings *settings)
{
	const bool split = settings->threads == THREADS_SPLIT;
	struct counters receiving = {0}, sending = {0};
	uint64_t in_hand;

	close_positions(shared, settings->ingress == INGRESS_URING);
	published_add_up(&receiving, &shared->receiving);
	published_add_up(&sending, &shared->sending);
	close_outputs(shared, split ? &sending : &receiving);
	in_hand = count_matched(shared) - counter_get(&receiving, COUNTER_matched);
	counter_add(&receiving, COUNTER_matched, in_hand);
	counter_add(&receiving, COUNTER_recv_packets, in_hand);
	books_count_lost(&receiving, NULL, shared->fragments_waiting);
	shared->fragments_waiting = 0;
	counter_add(&receiving, COUNTER_drop_loop, shared->withheld);
	shared->withheld = 0;
	counters_publish(&shared->receiving, &receiving);
	if (split)
		counters_publish(&shared->sending, &sending);
	return in_hand;
}
