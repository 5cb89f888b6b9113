/* SPDX-License-Identifier: MIT
 *
 * recv: what the parts of 'trafficgen recv' share: recv.c (set-up, receiving), recv_report.c.
 */
#ifndef RECV_H
#define RECV_H

#include "common/options.h"
#include "flows.h"
#include "histogram.h"
#include "trafficgen.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define COMMAND		  "recv"
#define EXIT_COUNT_MISSED 3

struct settings {
	struct in_addr interface, group;
	uint64_t port, ports, batch, max_size, rcvbuf, busy_poll_us;
	uint64_t count, duration_ms, idle_ms, first_timeout_ms, sample_ms;
	bool no_join, verify, quiet;
	const char *json, *gro;
};

extern const struct option_def recv_options[];

struct port {
	int fd;
	uint32_t drops_seen; /* the kernel's counter, which wraps, when it was last read */
};

/* What comes with a message: of an aggregate, the size of its packets. */
union control {
	struct cmsghdr header; /* for the alignment */
	uint8_t bytes[CMSG_SPACE(sizeof(int))];
};

struct receiver {
	struct settings settings;
	struct port *ports;
	int epoll_fd; /* -1 with a single port: recvmmsg waits by itself */
	bool gro;     /* a message may be an aggregate of packets; each buffer holds the largest */
	uint8_t *buffers;
	struct mmsghdr *messages;
	struct iovec *vectors;
	union control *controls;
	struct flows flows;
	struct histogram latency;
	struct samples samples;
	uint64_t start_ns, end_ns, first_ns, last_ns; /* of the packets, corrupt ones too; or 0 */
	uint64_t bytes, foreign, unverified, socket_drops, recv_calls;
	uint64_t aggregates, aggregated; /* messages of more than one packet; packets in them */
	uint64_t rcvbuf_bytes; /* granted to each socket, the kernel's overhead included */
};

/* Whether as many packets have come as --count asks for. */
bool count_reached(const struct receiver *receiver);

/* At the end: writes the JSON, prints the summary. The exit status. */
int recv_report(const struct receiver *receiver);

#endif
