// SPDX-License-Identifier: MIT
/* loop_watch: see loop_watch.h. */
#include "worker/loop_watch.h"
#include "common/clock.h"

enum { SUSPICIOUS_PPS = 1000, FORGET_NS = 1000000000 };

static const uint16_t life_ms[] = {10, 10, 40, 600};

uint64_t loop_hash(const uint8_t *payload, uint32_t bytes)
{
	uint64_t hash = bytes, word;
	uint32_t i;

	for (i = 0; i + sizeof(word) <= bytes; i += sizeof(word)) {
		memcpy(&word, payload + i, sizeof(word));
		hash = (hash ^ word) * 0x9e3779b97f4a7c15ULL;
		hash ^= hash >> 29;
	}
	word = 0;
	memcpy(&word, payload + i, bytes - i);
	hash = (hash ^ word) * 0x9e3779b97f4a7c15ULL;
	return (hash ^ hash >> 32) | 1;
}

/* Where eight bytes are compared, of so many. Near the head they cost nothing, as the headers are
 * read anyway; many protocols begin with what is always the same. */
static uint32_t place(uint32_t bytes, unsigned number)
{
	const uint32_t last = bytes < 8 ? 0 : bytes - 8;
	const uint32_t places[] = {0, 8, 16, 24, last / 2, last};
	const uint32_t at = places[number % (sizeof(places) / sizeof(places[0]))];

	return at < last ? at : last;
}

void loop_watch_choose(struct loop_watch *watch, uint32_t tick, const uint8_t *payload,
		       uint32_t bytes)
{
	watch->bytes = bytes;
	watch->at = place(bytes, watch->places);
	if (bytes >= sizeof(watch->word))
		memcpy(&watch->word, payload + watch->at, sizeof(watch->word));
	watch->hash = loop_hash(payload, bytes);
	watch->chosen = tick;
	watch->returns = 0;
	watch->first_ns = watch->last_ns = now_ns();
	watch->choices++;
}

void loop_watch_forget(struct loop_watch *watch, uint32_t tick)
{
	watch->tick = tick;
	watch->bytes = LOOP_NOTHING;
}

bool loop_watch_within(struct loop_watch *watch, const struct run *run)
{
	const uint8_t *at = run->payload;

	if ((watch->returns < 2 && ++watch->aggregates % 8 != 0) ||
	    run->segment_bytes != watch->bytes || watch->bytes < sizeof(watch->word))
		return false;
	for (uint32_t i = 1; i < run->segments; i++, at += run->segment_bytes)
		if (memcmp(at + watch->at, &watch->word, sizeof(watch->word)) == 0)
			return true;
	return false;
}

uint32_t loop_watch_count(struct loop_watch *watch, const struct run *run)
{
	const uint8_t *at = run->payload;
	uint32_t left = run->bytes, count = 0, similar = 0;

	for (uint32_t i = 0; i < run->segments; i++) {
		const uint32_t bytes = left < run->segment_bytes ? left : run->segment_bytes;

		if (bytes == watch->bytes &&
		    (bytes < sizeof(watch->word) ||
		     memcmp(at + watch->at, &watch->word, sizeof(watch->word)) == 0)) {
			similar++;
			count += loop_hash(at, bytes) == watch->hash;
		}
		at += bytes;
		left -= bytes;
	}
	if (similar > 0 && count == 0) {
		watch->places++;
		watch->bytes = LOOP_NOTHING;
	}
	return count;
}

/* Returns come in one breath: after a pause that is long compared with those before, as when
 * somebody else is testing the loop, counting begins anew. */
static bool count_returns(struct loop_watch *watch, uint64_t packets, uint32_t count)
{
	const uint64_t now = now_ns();
	const uint64_t pause = now - watch->last_ns, so_far = watch->last_ns - watch->first_ns;

	if (now - watch->first_ns > FORGET_NS ||
	    (watch->returns >= 4 && pause * watch->returns > 4 * so_far)) {
		watch->returns = 0;
		watch->first_ns = now;
		watch->first_packets = packets;
	}
	watch->returns += count;
	watch->last_ns = now;
	return watch->returns >= LOOP_RETURNS &&
	       (packets - watch->first_packets) * (FORGET_NS / SUSPICIOUS_PPS) >=
		       now - watch->first_ns;
}

bool loop_watch_look(struct loop_watch *watch, uint32_t tick, uint64_t packets, uint64_t cleared,
		     const struct run *run)
{
	const uint32_t life = life_ms[watch->choices % (sizeof(life_ms) / sizeof(life_ms[0]))];
	const bool nothing = watch->bytes == LOOP_NOTHING || watch->chosen == 0;
	const bool first = watch->tick != tick;
	const uint32_t count = nothing ? 0 : loop_watch_count(watch, run);

	watch->tick = tick;
	if (count > 0 && count_returns(watch, packets, count))
		return true;
	if (!first || (!nothing && tick - watch->chosen < life))
		return false;
	loop_watch_choose(watch, tick, run->payload, run->segment_bytes);
	watch->first_packets = packets;
	if (watch->hash == cleared)
		loop_watch_forget(watch, tick);
	return false;
}
