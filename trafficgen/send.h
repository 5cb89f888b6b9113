/* SPDX-License-Identifier: MIT
 *
 * send: what the parts of 'trafficgen send' share.
 *
 *     source      one flow: its socket (hence source port), destination and next sequence number
 *     sender      one thread: owns every n-th source, its buffers, its pacer, its counters
 *     generator   everything of one invocation; the main thread (send.c) starts the senders,
 *                 samples their counters while they work, joins them, and only then reads the
 *                 rest of what they own (send_report.c)
 */
#ifndef SEND_H
#define SEND_H

#include "batch.h"
#include "cpu_times.h"
#include "pacer.h"
#include "run.h"
#include "sizes.h"
#include "trafficgen.h"
#include "tunnel.h"

#include <netinet/in.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define ERRNO_COUNT   134 /* EHWPOISON, the highest, is 133 */
#define CACHE_LINE    64
#define STOP_CHECK_NS (100 * NS_PER_MS) /* longest time during which a stop goes unnoticed */

struct send_settings {
	struct settings common;
	uint64_t port_step, rate_pps, burst, gso, flows, first_flow, threads, ttl, sndbuf;
	uint64_t geneve_port, vni, gwlb_endpoint, gwlb_endpoints;
	struct in_addr geneve; /* 0.0.0.0: no tunnel */
	bool interleave;
	const char *size;
};

struct source {
	_Alignas(CACHE_LINE) int fd;
	uint16_t flow;
	struct sockaddr_in to;
	uint64_t next_sequence; /* also: how many it sent; a refused packet gives its back */
	uint16_t port;		/* that its packets are for; inside of a tunnel, not that of `to` */
	uint8_t tunnel[TUNNEL_BYTES_MAX]; /* what each packet begins with, generator->tunnel_bytes
					   */
};

struct generator;

struct sender {
	/* a line of its own: the main thread reads it while the sender works */
	_Alignas(CACHE_LINE) _Atomic uint64_t packets_sent;
	_Alignas(CACHE_LINE) struct generator *generator;
	pthread_t thread;
	struct pacer pacer;
	unsigned first_source, next_source; /* its sources are first, first + threads, ... */
	unsigned gso;			    /* packets per message at most */
	uint8_t *packets;		    /* of a batch, back to back */
	struct batch batch;
	uint16_t *packets_in; /* each message */
	uint64_t send_calls, bytes_sent;
	uint64_t refused[ERRNO_COUNT]; /* packets, by errno */
	uint64_t end_ns;
};

struct generator {
	struct run run; /* first: what the job's functions are given */
	struct send_settings settings;
	struct sizes sizes;
	struct cpu_times cpu_times; /* beside the run's samples */
	struct source *sources;
	struct sender *senders;
	/* of the longest message, as far as is known before the kernel is asked */
	unsigned segments;
	unsigned largest_segment; /* bytes: what fits the MTU */
	unsigned tunnel_bytes;	  /* before each payload; 0: no tunnel */
	atomic_bool fallback;	  /* some are sent plain although --gso could have them */
	sem_t finished;		  /* posted by each sender */
	uint64_t sent, bytes_sent, send_calls, slip_ns;
	uint64_t refused[ERRNO_COUNT], refused_total;
};

/* 0, or negative errno after saying why. */
int source_open(struct generator *generator, unsigned flow);
void source_close(struct source *source);

/* 0 or -ENOMEM. */
int sender_init(struct sender *sender, struct generator *generator, unsigned index);
void sender_set_pace(struct sender *sender, unsigned index);
void *sender_run(void *sender); /* the thread */
void sender_exit(struct sender *sender);

/* What a packet of the source is told from by the tunnel's other end: see tunnel.h. Returns its
 * length. */
size_t source_begin_tunnel(struct source *source, const struct send_settings *settings);

/* How many packets of that size, tunnel included, one message may hold, and by --gso. */
unsigned message_packets(const struct generator *generator, unsigned size, unsigned gso);

void sleep_until(uint64_t ns);

/* Packets sent by all senders up to now; also while they work. */
uint64_t sent_so_far(const struct generator *generator);

/* After the senders have ended: sums up, writes the JSON, prints the summary. The exit status. */
int send_report(struct generator *generator);

#endif
