/* SPDX-License-Identifier: MIT
 *
 * counters: every number the data plane keeps. Name, unit and help stand once, in COUNTERS; STATS
 * lines, JSON and the man page are printed from it.
 *
 * One writer (the worker that owns the block), any number of readers: plain 64-bit stores and
 * loads, made relaxed atomics so that readers never see half a number. Nothing is shared between
 * writers, so nothing bounces on the packet path.
 *
 * A worker may die between any two stores. Its totals are published as a whole, at the end of a
 * turn; what it counts for rules and outputs is there at once. From these, its successor works out
 * what became of the turn that it did not end (worker/books.h).
 */
#ifndef COUNTERS_H
#define COUNTERS_H

#include <errno.h>
#include <stdint.h>

#define CACHE_LINE 64

/* clang-format off */
#define COUNTERS(X) \
	X(recv_packets,     "packets", "packets taken off the receive ring; an aggregate counts as its packets") \
	X(recv_frames,      "frames",  "frames they came in") \
	X(recv_bytes,       "bytes",   "bytes of those frames, Ethernet header included") \
	X(buffer_exhaustion,"packets", "packets dropped by the kernel because no ring slot or receive buffer was free; of aggregates an estimate: those frames times the packets per frame received meanwhile") \
	X(exhaustion_frames,"frames",  "frames that those packets were in, as the kernel counts them") \
	X(pool_exhausted,   "times",   "times that no receive buffer was left to wait for packets (uring)") \
	X(drop_malformed,   "packets", "frames that are not well-formed UDP over IPv4") \
	X(joined_fragments, "packets", "IP fragments that became part of a datagram, all but one of each; that one goes on as the datagram") \
	X(drop_fragment,    "packets", "IP fragments of datagrams that never were whole: others were missing for 5 seconds, or overlapped; and repeated ones") \
	X(drop_truncated,   "packets", "frames longer than a ring slot") \
	X(drop_checksum,    "packets", "packets with a wrong IP or UDP checksum") \
	X(drop_source,      "packets", "packets for which there are rules, but none that names their source") \
	X(drop_worker_died, "packets", "packets that a worker was working on when it died") \
	X(drop_no_match,    "packets", "UDP packets that no rule asks for; nearly all of these the kernel keeps out") \
	X(matched,          "packets", "packets that matched a rule") \
	X(drop_handoff,     "packets", "packets per output lost between the threads: the queue was full (split)") \
	X(drop_loop,        "packets", "packets per output of a rule that is stopped because its packets come back to it") \
	X(drop_ttl,         "packets", "packets per output that came with a TTL of 1 or 0 and were to leave with one less (\"ttl\": \"decrement\")") \
	X(egress_queued,    "packets", "packets handed to egress, once per output") \
	X(egress_submitted, "packets", "packets in sends given to the kernel") \
	X(egress_sent,      "packets", "packets in sends the kernel completed") \
	X(egress_bytes,     "bytes",   "UDP payload bytes of those") \
	X(egress_errors,    "packets", "packets in sends that failed; per output and cause under rules") \
	X(egress_worker_died, "packets", "those of egress_errors that were on their way to the kernel when a worker died; they may have left") \
	X(gso_sends,        "sends",   "sends of more than one packet (UDP_SEGMENT)") \
	X(gso_packets,      "packets", "packets that left in such sends") \
	X(gso_refused,      "sends",   "such sends refused by the kernel and repeated packet by packet") \
	X(bursts,           "bursts",  "turns of the loop that found packets") \
	X(waits,            "calls",   "times the loop went to sleep") \
	X(submits,          "calls",   "io_uring_enter(2) calls") \
	X(sqes,             "entries", "io_uring submission entries used") \
	X(system_calls,     "calls",   "all system calls of the loop")

#define HISTOGRAMS(X) \
	X(segments_per_send, "sends",  egress_submitted, "packets in one send, whether it succeeded or not") \
	X(packets_per_burst, "bursts", recv_packets,     "packets of a turn of the loop, once each whatever the number of outputs")
/* clang-format on */

enum counter {
#define COUNTER_ENUM(name, unit, help) COUNTER_##name,
	COUNTERS(COUNTER_ENUM)
#undef COUNTER_ENUM
		COUNTER_COUNT,
};

struct counter_info {
	const char *name, *unit, *help;
};
extern const struct counter_info counter_info[COUNTER_COUNT];

/* Bucket i counts values from 2^i to 2^(i+1) - 1; the last one all that are greater. */
enum { HISTOGRAM_BUCKETS = 13 };
enum histogram {
#define HISTOGRAM_ENUM(name, unit, sum, help) HISTOGRAM_##name,
	HISTOGRAMS(HISTOGRAM_ENUM)
#undef HISTOGRAM_ENUM
		HISTOGRAM_COUNT,
};
struct histogram_info {
	const char *name, *unit, *help;
	enum counter sum; /* of all values */
};
extern const struct histogram_info histogram_info[HISTOGRAM_COUNT];

/* Why a send failed: one place per errno that an operator can act on. */
/* clang-format off */
#define SEND_CAUSES(X) \
	X(ENOBUFS) X(EAGAIN) X(EPERM) X(EMSGSIZE) X(ENETUNREACH) X(EHOSTUNREACH) X(ECONNREFUSED) \
	X(ENETDOWN) X(ENODEV) X(EADDRNOTAVAIL)
/* clang-format on */
enum send_cause {
#define CAUSE_ENUM(name) CAUSE_##name,
	SEND_CAUSES(CAUSE_ENUM)
#undef CAUSE_ENUM
		CAUSE_OTHER,
	CAUSE_WORKER_DIED, /* before the kernel, or the worker, could say */
	CAUSE_COUNT,
};
extern const char *const send_cause_name[CAUSE_COUNT];

/* Cause of a positive errno. */
enum send_cause send_cause(int error);

struct counters {
	uint64_t value[COUNTER_COUNT];
	uint64_t histogram[HISTOGRAM_COUNT][HISTOGRAM_BUCKETS];
} __attribute__((aligned(CACHE_LINE)));

/* What was published last, there as a whole at any time. */
struct published {
	uint64_t times; /* so often; copy[times % 2] is the last */
	struct counters copy[2];
};

/* Of the rule, or output, with that number that was `born` as written here: another one was counted
 * here before, and is forgotten when the worker hears of this one. */
struct rule_counters {
	uint32_t born;
	uint64_t packets, bytes; /* matched, and queued for each output; UDP payload bytes */
};

struct output_counters {
	uint32_t born;
	uint64_t queued; /* by the receiving thread: packets on their way; each becomes one of: */
	/* by the sending thread, which is another one in the split model */
	uint64_t packets __attribute__((aligned(CACHE_LINE))); /* sent */
	uint64_t errors[CAUSE_COUNT];
	uint64_t expired; /* drop_ttl */
	uint64_t bytes;	  /* of the sent ones, UDP payload */
};

/* Writer's side: adds `n` to a number that only the caller writes. */
static inline void counter_bump(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

/* Reader's side, from any thread. */
static inline uint64_t counter_read(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static inline void counter_add(struct counters *counters, enum counter which, uint64_t n)
{
	counter_bump(&counters->value[which], n);
}

/* One more value, which is not 0. */
static inline void histogram_add(struct counters *counters, enum histogram which, uint32_t value)
{
	const unsigned bucket = 31 - (unsigned)__builtin_clz(value);

	counter_bump(
		&counters->histogram[which]
				    [bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1],
		1);
}

static inline uint64_t counter_get(const struct counters *counters, enum counter which)
{
	return counter_read(&counters->value[which]);
}

/* Publishes what the writer has counted privately. */
void counters_publish(struct published *published, const struct counters *private);

/* Adds up: sum += counters. */
void counters_add_up(struct counters *sum, const struct counters *counters);
void published_add_up(struct counters *sum, const struct published *published);

/* Packets that arrived at the socket, lost ones included: recv_packets + buffer_exhaustion. */
uint64_t counters_arrived(const struct counters *counters);

/* Packets taken off the ring that are not matched as such: malformed, of a source that no rule
 * names, lost with a worker, fragments, those that have become part of another's datagram included.
 */
uint64_t counters_filtered(const struct counters *counters);

/* The two STATS lines into `text` (each ends in \n); `tag` is "" or " FINAL". */
void counters_format(const struct counters *counters, const char *tag, char *text,
		     unsigned long size);

#endif
