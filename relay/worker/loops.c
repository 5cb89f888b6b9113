// SPDX-License-Identifier: MIT
/* loops: see loops.h. */
#include "worker/loops.h"
#include "common/clock.h"
#include "worker/forward.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	LET_GO_NS = 20000,
	PAUSE_MAX_MS = 400,
	SAME_PAUSE_MAX_MS = 60000,
	LONGEST_MS = 3 * SAME_PAUSE_MAX_MS
};

/* Of a test's windows. */
enum { WINDOW_MIN_NS = 500000, WINDOW_MAX_NS = 50000000 };

/* The payload stays where it is: nothing is to be done when no send needs it any more. */
static void release(struct ingress *ingress, uint32_t slot)
{
	(void)ingress;
	(void)slot;
}

static const struct ingress_ops lending_ops = {.release = release};

int loops_init(struct loops *loops)
{
	*loops = (struct loops){
		.payload = malloc(GSO_BYTES_MAX),
		.pieces = calloc(GSO_SEGMENTS_MAX, sizeof(*loops->pieces)),
		.history = calloc(RULE_NUMBERS, sizeof(*loops->history)),
		.lender = {.ops = &lending_ops, .fd = -1, .slots = 1},
	};
	loops->lender.holds = &loops->lent;
	return loops->payload && loops->pieces && loops->history ? 0 : -ENOMEM;
}

void loops_exit(struct loops *loops)
{
	free(loops->payload);
	free(loops->pieces);
	free(loops->history);
	*loops = (struct loops){0};
}

/* ------------------------------------------------------------------------- withholding */

static void count_dropped(struct forwarder *forwarder, const struct route *route, uint64_t packets)
{
	counter_add(forwarder->counters, COUNTER_drop_loop, packets * route->num_outputs);
}

static void let_go(struct forwarder *forwarder, uint64_t packets)
{
	struct loops *loops = forwarder->loops;
	const struct run run = {loops->payload, loops->bytes, loops->bytes, 1, loops->marks};

	for (uint64_t i = 0; i < packets; i++)
		forward_again(forwarder, loops->route, &run, &loops->lender, 0);
}

static bool is_the_one(const struct loops *loops, const uint8_t *payload, uint32_t bytes)
{
	return bytes == loops->bytes && memcmp(payload, loops->payload, bytes) == 0;
}

/* Takes the packets out of a run that are to be withheld. The rest are as many runs, *left. When
 * there are too many of these, the last one has all that is left. */
static unsigned withhold(struct loops *loops, const struct run *run, const struct run **left)
{
	struct run *pieces = loops->pieces;
	const uint8_t *at = run->payload, *end = run->payload + run->bytes;
	unsigned count = 0;
	bool continued = false;

	for (uint32_t i = 1; i <= run->segments; i++) {
		const uint32_t bytes =
			i < run->segments ? run->segment_bytes : (uint32_t)(end - at);

		if (count < GSO_SEGMENTS_MAX && is_the_one(loops, at, bytes)) {
			loop_test_withhold(&loops->test, 1);
			loops->marks = run->marks; /* in a loop they may grow less */
			continued = false;
		} else if (continued) {
			pieces[count - 1].bytes += bytes;
			pieces[count - 1].segments++;
		} else {
			pieces[count++] =
				(struct run){at, bytes, run->segment_bytes, 1, run->marks};
			continued = true;
		}
		at += bytes;
	}
	/* one shorter packet by itself */
	if (count > 0 && pieces[count - 1].segments == 1)
		pieces[count - 1].segment_bytes = pieces[count - 1].bytes;
	*left = pieces;
	return count;
}

uint64_t loops_withheld(const struct loops *loops)
{
	if (loops->state == LOOPS_IDLE)
		return 0;
	return loops->route->num_outputs *
	       (loops->state == LOOPS_TESTING ? loops->test.withheld : loops->withheld);
}

/* ------------------------------------------------------------------------- the test */

/* Other rules that its packets pass through: their watches look for nothing else meanwhile. */
static void watch_the_way(struct forwarder *forwarder, const struct route *tested)
{
	struct loops *loops = forwarder->loops;

	for (uint32_t i = 0; i < forwarder->num_routes; i++) {
		struct route *route = &forwarder->routes[i];

		route->watch.met = false;
		if (route != tested && !route->stopped)
			loop_watch_choose(&route->watch, forwarder->tick, loops->payload,
					  loops->bytes);
	}
}

/* Several times what the packet took to go round, if it did, and longer still when such were too
 * short before: relays may have to wait for their CPU. */
static uint64_t window_ns(const struct loop_watch *watch, uint32_t failures)
{
	const uint64_t round_ns = (watch->last_ns - watch->first_ns) / watch->returns;
	const uint64_t wanted = (4 * round_ns) << failures % 3;

	return wanted < WINDOW_MIN_NS	? WINDOW_MIN_NS
	       : wanted > WINDOW_MAX_NS ? WINDOW_MAX_NS
					: wanted;
}

static void begin(struct forwarder *forwarder, struct route *route, const struct packet *packet,
		  const struct run *run)
{
	struct loops *loops = forwarder->loops;
	const struct loop_history *history = &loops->history[route->number];
	const uint64_t window = window_ns(&route->watch, history->failures);
	const uint64_t now = now_ns();

	loops->state = LOOPS_TESTING;
	loops->route = route;
	loops->bytes = run->segment_bytes;
	memcpy(loops->payload, run->payload, loops->bytes);
	loops->hash = loop_hash(loops->payload, loops->bytes);
	loops->found = (struct message){
		.index = route->number,
		.loop = {.source = packet_source(packet),
			 .source_port = packet_source_port(packet),
			 .payload_bytes = loops->bytes},
	};
	route->watch.tick = LOOP_TICK_NEVER;
	watch_the_way(forwarder, route);
	loop_test_begin(&loops->test, window, now ^ loops->hash, now);
}

/* Has that time passed, or was it never set? What is further away than any pause is of a clock that
 * was set back since, or went round. */
static bool is_past(uint32_t tick, uint32_t until)
{
	return until - tick - 1 >= LONGEST_MS;
}

/* Half of it to one and a half: no two relays take the same. */
static uint32_t vary(uint64_t pause_ms)
{
	return (uint32_t)(pause_ms / 2 + now_ns() / 7 % pause_ms);
}

/* Not soon again: in 50 ms at first, later in 400; with the same payload in a minute. */
static void note_failure(struct forwarder *forwarder, struct loops *loops)
{
	struct loop_history *history = &loops->history[loops->route->number];
	const uint32_t tick = forwarder->tick;
	uint64_t pause_ms = 25;

	if (is_past(tick, history->cleared_until + SAME_PAUSE_MAX_MS))
		history->failures = 0;
	history->failures++;
	for (uint32_t i = 0; i < history->failures && pause_ms < SAME_PAUSE_MAX_MS; i++)
		pause_ms *= 2;
	history->cleared = loops->hash;
	history->cleared_until = tick + vary(pause_ms);
	history->until = tick + vary(pause_ms < PAUSE_MAX_MS ? pause_ms : PAUSE_MAX_MS);
}

static void end_test(struct forwarder *forwarder)
{
	struct loops *loops = forwarder->loops;

	for (uint32_t i = 0; i < forwarder->num_routes; i++)
		if (!forwarder->routes[i].stopped)
			loop_watch_forget(&forwarder->routes[i].watch, forwarder->tick);
	loops->withheld = loops->test.withheld;
	loops->let_go_ns = now_ns();
	loops->state = LOOPS_LETTING_GO;
}

static void stop_rule(struct forwarder *forwarder)
{
	struct loops *loops = forwarder->loops;
	struct message *found = &loops->found;

	found->type = MESSAGE_LOOP;
	for (uint32_t i = 0; i < forwarder->num_routes; i++) {
		const struct route *route = &forwarder->routes[i];

		if (route->watch.met && found->loop.num_rules < MESSAGE_LOOP_RULES)
			found->loop.rules[found->loop.num_rules++] = route->number;
	}
	count_dropped(forwarder, loops->route, loops->withheld);
	loops->withheld = 0;
	loops->state = LOOPS_IDLE;
	loops->history[loops->route->number] = (struct loop_history){0};
	loops->route->stopped = true;
	loops->route->watch.tick = LOOP_TICK_NEVER;
}

static void let_some_go(struct forwarder *forwarder)
{
	struct loops *loops = forwarder->loops;
	const uint64_t now = now_ns();
	uint64_t packets = (now - loops->let_go_ns) / LET_GO_NS;

	if (packets == 0)
		return;
	if (packets > loops->withheld)
		packets = loops->withheld;
	let_go(forwarder, packets);
	loops->withheld -= packets;
	loops->let_go_ns = now;
	if (loops->withheld == 0)
		loops->state = LOOPS_IDLE;
}

void loops_step(struct forwarder *forwarder, bool idle)
{
	struct loops *loops = forwarder->loops;
	uint64_t packets;

	if (loops->state == LOOPS_LETTING_GO)
		let_some_go(forwarder);
	if (loops->state != LOOPS_TESTING)
		return;
	switch (loop_test_step(&loops->test, idle, now_ns(), &packets)) {
	case LOOP_NOT_KNOWN:
		let_go(forwarder, packets);
		break;
	case LOOP_NONE:
		note_failure(forwarder, loops);
		end_test(forwarder);
		break;
	case LOOP_FOUND:
		end_test(forwarder);
		stop_rule(forwarder);
		break;
	}
}

void loops_give_up(struct forwarder *forwarder)
{
	struct loops *loops = forwarder->loops;

	if (loops->state == LOOPS_TESTING)
		end_test(forwarder);
	if (loops->state == LOOPS_IDLE)
		return;
	let_go(forwarder, loops->withheld);
	loops->withheld = 0;
	loops->state = LOOPS_IDLE;
}

unsigned loops_look(struct forwarder *forwarder, struct route *route, const struct packet *packet,
		    const struct run *run, const struct run **left)
{
	struct loops *loops = forwarder->loops;
	const struct loop_history *history = &loops->history[route->number];
	uint64_t cleared;

	*left = run;
	if (route->stopped) {
		count_dropped(forwarder, route, run->segments);
		return 0;
	}
	if (loops->state == LOOPS_TESTING && loops->route == route)
		return withhold(loops, run, left);
	if (loops->state == LOOPS_TESTING) {
		route->watch.tick = forwarder->tick;
		route->watch.met |= loop_watch_count(&route->watch, run) > 0;
		return 1;
	}
	cleared = is_past(forwarder->tick, history->cleared_until) ? 0 : history->cleared;
	if (!loop_watch_look(&route->watch, forwarder->tick,
			     counter_read(&route->counters->packets), cleared, run))
		return 1;
	if (!is_past(forwarder->tick, history->until) || loops->state != LOOPS_IDLE ||
	    loops->lent > 0) {
		loop_watch_forget(&route->watch, forwarder->tick);
		return 1;
	}
	begin(forwarder, route, packet, run);
	return withhold(loops, run, left);
}
