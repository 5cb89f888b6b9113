/* SPDX-License-Identifier: MIT
 *
 * send: what the parts of 'trafficgen send' share: send.c (set-up, threads), send_report.c.
 *
 *     source   one flow: its socket (hence source port), destination and next sequence number
 *     sender   one thread: owns every n-th source, its buffers, its pacer, its counters
 *     run      everything of one invocation; the main thread starts the senders, samples their
 *              counters while they work, joins them, and only then reads the rest of what they own
 */
#ifndef SEND_H
#define SEND_H

#include "common/options.h"
#include "pacer.h"
#include "sizes.h"
#include "trafficgen.h"

#include <netinet/in.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define COMMAND	    "send"
#define ERRNO_COUNT 134 /* EHWPOISON, the highest, is 133 */
#define CACHE_LINE  64

struct settings {
	struct in_addr interface, group;
	uint64_t port, port_step, rate_pps, count, duration_ms;
	uint64_t gso, flows, threads, batch, ttl, sndbuf, sample_ms;
	bool interleave, verify, quiet;
	const char *size, *json;
};

extern const struct option_def send_options[];

struct source {
	_Alignas(CACHE_LINE) int fd;
	uint16_t flow;
	struct sockaddr_in to;
	uint64_t next_sequence; /* also: how many it sent; a refused packet gives its back */
};

struct run;

/* What goes with a message of more than one packet: their size. */
union control {
	struct cmsghdr header;
	uint8_t bytes[CMSG_SPACE(sizeof(uint16_t))];
};

struct sender {
	/* a line of its own: the main thread reads it while the sender works */
	_Alignas(CACHE_LINE) _Atomic uint64_t packets_sent;
	_Alignas(CACHE_LINE) struct run *run;
	pthread_t thread;
	struct pacer pacer;
	unsigned first_source, next_source; /* its sources are first, first + threads, ... */
	unsigned gso;			    /* packets per message at most */
	uint8_t *packets;		    /* of a batch, back to back */
	struct mmsghdr *messages;	    /* a batch, as are the next three */
	struct iovec *vectors;
	union control *controls;
	uint16_t *packets_in; /* each message */
	uint64_t send_calls, bytes_sent;
	uint64_t refused[ERRNO_COUNT]; /* packets, by errno */
	uint64_t end_ns;
};

struct run {
	struct settings settings;
	struct sizes sizes;
	struct source *sources;
	struct sender *senders;
	unsigned segments; /* of the longest message, as far as is known before the kernel is asked
			    */
	unsigned largest_segment; /* bytes: what fits the MTU */
	atomic_bool fallback;	  /* some are sent plain although --gso could have them */
	sem_t finished;		  /* posted by each sender */
	struct samples samples;
	uint64_t start_ns, end_ns, sent, bytes_sent, send_calls, slip_ns;
	uint64_t refused[ERRNO_COUNT], refused_total;
};

/* Packets sent by all senders up to now; also while they work. */
uint64_t sent_so_far(const struct run *run);

/* After the senders have ended: sums up, writes the JSON, prints the summary. The exit status. */
int send_report(struct run *run);

#endif
