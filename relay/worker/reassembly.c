// SPDX-License-Identifier: MIT
/* reassembly: see reassembly.h. Times are those of the frames: nothing is done without one. */
#include "worker/reassembly.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	ETHERNET_BYTES = 14,
	MAX_HEADER_BYTES = 60,
	DATA_AT = ETHERNET_BYTES + MAX_HEADER_BYTES,
	MAX_DATA_BYTES = 65535 - 20,
	PARTIAL_BYTES = DATA_AT + MAX_DATA_BYTES,
};

static void release(struct ingress *ingress, uint32_t slot)
{
	struct reassembly *reassembly =
		(struct reassembly *)((char *)ingress - offsetof(struct reassembly, ingress));

	reassembly->partials[slot].state = PARTIAL_FREE;
	ingress->lent--;
}

static const struct ingress_ops lending_ops = {.release = release};

int reassembly_init(struct reassembly *reassembly, struct counters *counters)
{
	*reassembly = (struct reassembly){
		.ingress = {.ops = &lending_ops, .fd = -1, .slots = REASSEMBLY_DATAGRAMS},
		.partials = calloc(REASSEMBLY_DATAGRAMS, sizeof(*reassembly->partials)),
		.memory = calloc(REASSEMBLY_DATAGRAMS, PARTIAL_BYTES),
		.counters = counters,
	};
	reassembly->ingress.holds = calloc(REASSEMBLY_DATAGRAMS, sizeof(uint32_t));
	if (!reassembly->partials || !reassembly->memory || !reassembly->ingress.holds) {
		reassembly_exit(reassembly);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < REASSEMBLY_DATAGRAMS; i++)
		reassembly->partials[i].bytes = reassembly->memory + (size_t)i * PARTIAL_BYTES;
	return 0;
}

void reassembly_exit(struct reassembly *reassembly)
{
	free(reassembly->partials);
	free(reassembly->memory);
	free(reassembly->ingress.holds);
	*reassembly = (struct reassembly){0};
}

static void drop(struct reassembly *reassembly, unsigned fragments)
{
	counter_add(reassembly->counters, COUNTER_recv_packets, fragments);
	counter_add(reassembly->counters, COUNTER_drop_fragment, fragments);
}

static void give_up(struct reassembly *reassembly, struct partial *partial)
{
	drop(reassembly, partial->fragments);
	reassembly->waiting -= partial->fragments;
	partial->state = PARTIAL_FREE;
}

void reassembly_give_up(struct reassembly *reassembly)
{
	for (unsigned i = 0; reassembly->partials && i < REASSEMBLY_DATAGRAMS; i++)
		if (reassembly->partials[i].state == PARTIAL_WAITING)
			give_up(reassembly, &reassembly->partials[i]);
}

/* frame.time has seconds in its upper half. */
static bool is_over(const struct partial *partial, uint64_t now)
{
	return (now >> 32) > (partial->since >> 32) + REASSEMBLY_S;
}

/* The place for a new datagram: a free one, or that of the oldest that waits; NULL: all are lent.
 */
static struct partial *find_place(struct reassembly *reassembly)
{
	struct partial *oldest = NULL;

	for (unsigned i = 0; i < REASSEMBLY_DATAGRAMS; i++) {
		struct partial *partial = &reassembly->partials[i];

		if (partial->state == PARTIAL_FREE)
			return partial;
		if (partial->state == PARTIAL_WAITING &&
		    (!oldest || partial->since < oldest->since))
			oldest = partial;
	}
	if (oldest)
		give_up(reassembly, oldest);
	return oldest;
}

/* The datagram that a fragment belongs to, perhaps a new one. */
static struct partial *find(struct reassembly *reassembly, uint16_t input,
			    const struct fragment *fragment, uint64_t now)
{
	struct partial *partial;
	uint32_t source, group;
	uint16_t id;

	memcpy(&id, fragment->ip + 4, sizeof(id));
	memcpy(&source, fragment->ip + 12, sizeof(source));
	memcpy(&group, fragment->ip + 16, sizeof(group));
	for (unsigned i = 0; i < REASSEMBLY_DATAGRAMS; i++) {
		partial = &reassembly->partials[i];
		if (partial->state != PARTIAL_WAITING)
			continue;
		if (is_over(partial, now))
			give_up(reassembly, partial);
		else if (partial->id == id && partial->source == source &&
			 partial->group == group && partial->input == input)
			return partial;
	}
	partial = find_place(reassembly);
	if (!partial)
		return NULL;
	*partial = (struct partial){
		.state = PARTIAL_WAITING,
		.input = input,
		.id = id,
		.source = source,
		.group = group,
		.since = now,
		.bytes = partial->bytes,
	};
	return partial;
}

/* Whether the part from `begin` to `end` lies in a hole; then it is filled. Parts that touch become
 * one. */
static bool fill_hole(struct partial *partial, uint32_t begin, uint32_t end)
{
	unsigned i = 0;

	while (i < partial->num_parts && partial->parts[i].end < begin)
		i++;
	/* i: the first part that does not end before this one begins */
	if (i < partial->num_parts && partial->parts[i].end == begin) {
		if (i + 1 < partial->num_parts && partial->parts[i + 1].begin < end)
			return false;
		partial->parts[i].end = end;
		if (i + 1 < partial->num_parts && partial->parts[i + 1].begin == end) {
			partial->parts[i].end = partial->parts[i + 1].end;
			partial->num_parts--;
			memmove(&partial->parts[i + 1], &partial->parts[i + 2],
				(partial->num_parts - i - 1) * sizeof(partial->parts[0]));
		}
		return true;
	}
	if (i < partial->num_parts && partial->parts[i].begin < end)
		return false;
	if (i < partial->num_parts && partial->parts[i].begin == end) {
		partial->parts[i].begin = begin;
		return true;
	}
	if (partial->num_parts == REASSEMBLY_PARTS)
		return false;
	memmove(&partial->parts[i + 1], &partial->parts[i],
		(partial->num_parts - i) * sizeof(partial->parts[0]));
	partial->parts[i].begin = begin;
	partial->parts[i].end = end;
	partial->num_parts++;
	return true;
}

/* Whether all of a fragment has come before, the same bytes. Networks repeat packets. */
static bool is_repeated(const struct partial *partial, const struct fragment *fragment)
{
	const uint32_t begin = fragment->offset, end = begin + fragment->bytes;

	if (fragment->bytes == 0 || fragment->last != (partial->total == end))
		return false;
	for (unsigned i = 0; i < partial->num_parts; i++)
		if (partial->parts[i].begin <= begin && end <= partial->parts[i].end)
			return memcmp(partial->bytes + DATA_AT + begin, fragment->data,
				      fragment->bytes) == 0;
	return false;
}

/* Whether a fragment goes with those that have come. */
static bool take(struct partial *partial, const struct fragment *fragment)
{
	const uint32_t end = fragment->offset + fragment->bytes;

	if (fragment->bytes == 0 || end > MAX_DATA_BYTES)
		return false;
	if (fragment->last ? partial->total && partial->total != end
			   : fragment->bytes % 8 || (partial->total && end > partial->total))
		return false;
	if (partial->num_parts && fragment->last &&
	    partial->parts[partial->num_parts - 1].end > end)
		return false;
	if (!fill_hole(partial, fragment->offset, end))
		return false;
	memcpy(partial->bytes + DATA_AT + fragment->offset, fragment->data, fragment->bytes);
	if (fragment->last)
		partial->total = end;
	if (fragment->offset == 0) {
		partial->header_bytes = fragment->header_bytes;
		memcpy(partial->bytes + DATA_AT - fragment->header_bytes, fragment->ip,
		       fragment->header_bytes);
	}
	return true;
}

static bool is_whole(const struct partial *partial)
{
	return partial->total && partial->num_parts == 1 && partial->parts[0].begin == 0 &&
	       partial->parts[0].end == partial->total &&
	       partial->header_bytes + partial->total <= 65535;
}

/* The datagram as a frame, as if it had come in one. */
static struct frame lend(struct reassembly *reassembly, struct partial *partial, uint64_t now)
{
	uint8_t *ip = partial->bytes + DATA_AT - partial->header_bytes;
	uint8_t *ethernet = ip - ETHERNET_BYTES;
	const uint32_t bytes = ETHERNET_BYTES + partial->header_bytes + partial->total;

	packet_make_whole(ip, partial->header_bytes, partial->total);
	memset(ethernet, 0, ETHERNET_BYTES);
	ethernet[12] = 0x08; /* IPv4 */
	partial->state = PARTIAL_LENT;
	reassembly->ingress.lent++;
	reassembly->waiting -= partial->fragments;
	/* its packet is counted when it is forwarded */
	counter_add(reassembly->counters, COUNTER_recv_packets, partial->fragments - 1);
	counter_add(reassembly->counters, COUNTER_joined_fragments, partial->fragments - 1);
	return (struct frame){
		.data = ethernet,
		.captured = bytes,
		.original = bytes,
		.slot = (uint32_t)(partial - reassembly->partials),
		.time = now,
	};
}

bool reassembly_add(struct reassembly *reassembly, uint16_t input, const struct frame *frame,
		    struct frame *whole)
{
	struct fragment fragment;
	struct partial *partial;

	packet_fragment(frame, &fragment);
	partial = find(reassembly, input, &fragment, frame->time);
	if (!partial) {
		drop(reassembly, 1);
		return false;
	}
	if (is_repeated(partial, &fragment)) {
		drop(reassembly, 1);
		return false;
	}
	partial->fragments++;
	reassembly->waiting++;
	if (!take(partial, &fragment)) {
		give_up(reassembly, partial);
		return false;
	}
	if (!is_whole(partial))
		return false;
	*whole = lend(reassembly, partial, frame->time);
	return true;
}
