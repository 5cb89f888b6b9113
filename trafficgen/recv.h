/* SPDX-License-Identifier: MIT
 *
 * recv: what the parts of 'trafficgen recv' share.
 *
 *     receiver   everything of one invocation: one socket per port (port.c), one set of
 *                buffers, the flows' accounts, the latency histogram. One thread (receiver.c);
 *                what it found is reported in the end (recv_report.c)
 */
#ifndef RECV_H
#define RECV_H

#include "arrivals.h"
#include "batch.h"
#include "flows.h"
#include "histogram.h"
#include "run.h"
#include "trafficgen.h"
#include "tunnel.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define EXIT_COUNT_MISSED 3
#define TICK_MS		  20 /* longest wait in the kernel: how exact the time limits are */

struct recv_settings {
	struct settings common;
	uint64_t ports, max_size, rcvbuf, busy_poll_us, idle_ms, first_timeout_ms;
	bool no_join, geneve;
	const char *gro;
};

struct port {
	int fd;
	uint32_t drops_seen; /* the kernel's counter, which wraps, when it was last read */
};

struct receiver {
	struct run run; /* first: what the job's functions are given */
	struct recv_settings settings;
	struct port *ports;
	int epoll_fd; /* -1 with a single port: recvmmsg waits by itself */
	bool gro;     /* a message may be an aggregate of packets; each buffer holds the largest */
	uint8_t *buffers;
	struct batch batch;
	struct flows flows;
	struct histogram latency;
	struct arrivals arrivals; /* of the packets, corrupt ones too */
	uint64_t bytes, foreign, unverified, socket_drops, recv_calls;
	/* of a tunnel; all but what is GENEVE_OK and TUNNEL_UDP is foreign as well */
	uint64_t geneve[GENEVE_RESULTS], inside[TUNNEL_INSIDES], wrong_cookies;
	uint64_t aggregates, aggregated; /* messages of more than one packet; packets in them */
	uint64_t rcvbuf_bytes; /* granted to each socket, the kernel's overhead included */
};

/* The socket of port number `index`; 0, or negative errno after saying why. */
int port_open(struct receiver *receiver, unsigned index);
void port_close(struct port *port);

/* What the socket has dropped since the last time. */
uint32_t port_new_drops(struct port *port);

/* Whether as many packets have come as --count asks for. */
bool count_reached(const struct receiver *receiver);

/* Until it is told to end or has what it was to wait for. 0, or negative errno after saying why. */
int receiver_run(struct receiver *receiver);

/* At the end: writes the JSON, prints the summary. The exit status. */
int recv_report(const struct receiver *receiver);

#endif
