// SPDX-License-Identifier: MIT
/* sockets: see sockets.h. */
#include "supervisor/sockets.h"
#include "common/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ------------------------------------------------------------------------- receive rings */

/* The kernel puts its header, a sockaddr_ll, a virtio-net header and alignment in front of the
 * frame, and the frame may bring two VLAN tags and an Ethernet header besides its MTU. */
enum { SLOT_OVERHEAD = TPACKET2_HDRLEN + 16 + 12 + TPACKET_ALIGNMENT + ETH_HLEN + 8 };
enum {
	MIN_SLOT_BYTES = 2048,
	MAX_SMALL_SLOT_BYTES = 16384,
	LARGE_SLOT_BYTES = 65536 + 4096, /* the largest IP packet, and what comes before it */
	LARGE_SLOTS = 60,		 /* 15 of them fill a block of 1 MiB but for 4 KiB */
	LARGE_SLOTS_GRO = 240,
	MIN_DEFAULT_SLOTS = 256,
	MAX_DEFAULT_SLOTS = 4096,
	DEFAULT_RING_BYTES = 16 << 20,
	MAX_BLOCK_BYTES = 1 << 20,
	PAGE_BYTES = 4096,
	URING_RCVBUF_BYTES = 8 << 20,
};

static const struct sock_filter reject_all[] = {
	BPF_STMT(BPF_RET | BPF_K, 0),
};

static int attach_filter(int fd, const struct sock_filter *filter, unsigned length)
{
	struct sock_fprog program = {(unsigned short)length, (struct sock_filter *)filter};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0 ? -errno
											   : 0;
}

static int set_packet_option(int fd, int option, const void *value, socklen_t size)
{
	return setsockopt(fd, SOL_PACKET, option, value, size) < 0 ? -errno : 0;
}

static uint32_t default_slot_bytes(const struct netif *netif)
{
	uint32_t bytes = MIN_SLOT_BYTES;

	while (bytes < netif->mtu + SLOT_OVERHEAD && bytes < MAX_SMALL_SLOT_BYTES)
		bytes *= 2;
	return bytes;
}

static uint32_t default_slots(uint32_t slot_bytes)
{
	uint32_t slots = MAX_DEFAULT_SLOTS;

	while (slots > MIN_DEFAULT_SLOTS && (size_t)slots * slot_bytes > DEFAULT_RING_BYTES)
		slots /= 2;
	return slots;
}

void sockets_ring_shapes(const struct netif *netif, const struct config *config,
			 struct ring_shape shapes[FRAME_CLASSES])
{
	struct ring_shape *small = &shapes[FRAMES_SMALL], *large = &shapes[FRAMES_LARGE];

	*small = *large = (struct ring_shape){0};
	if (config->worker.ingress == INGRESS_URING) {
		if (config->gro) /* its buffers hold all */
			return;
		/* no slots, but buffers of that size or more, with less in front of the frame */
		small->slot_bytes = default_slot_bytes(netif);
	} else {
		small->slots = (uint32_t)config->ring_slots;
		small->slot_bytes = (uint32_t)config->ring_slot_bytes;
		if (!small->slot_bytes)
			small->slot_bytes = default_slot_bytes(netif);
		if (!small->slots)
			small->slots = default_slots(small->slot_bytes);
	}
	if (small->slot_bytes >= LARGE_SLOT_BYTES)
		return;
	large->slot_bytes = LARGE_SLOT_BYTES;
	large->slots = (uint32_t)config->ring_large_slots;
	if (!large->slots)
		large->slots = config->gro ? LARGE_SLOTS_GRO : LARGE_SLOTS;
}

/* The kernel allocates blocks, of 2^n pages each whatever their size. */
static size_t block_memory(size_t bytes)
{
	size_t memory = PAGE_BYTES;

	while (memory < bytes)
		memory *= 2;
	return memory;
}

/* How many slots to a block: whole blocks of whole pages without a gap, so that slot i is at
 * i * slot_bytes, and little memory wasted. */
static uint32_t slots_per_block(struct ring_shape shape)
{
	uint32_t best = 0;

	for (uint32_t n = 1; n <= shape.slots && n * shape.slot_bytes <= MAX_BLOCK_BYTES; n++) {
		const size_t bytes = (size_t)n * shape.slot_bytes;

		if (shape.slots % n || bytes % PAGE_BYTES)
			continue;
		if (!best ||
		    block_memory(bytes) * best <= block_memory((size_t)best * shape.slot_bytes) * n)
			best = n;
	}
	return best;
}

static int request_ring(int fd, struct ring_shape shape)
{
	const uint32_t per_block = slots_per_block(shape);
	const struct tpacket_req request = {
		.tp_block_size = per_block * shape.slot_bytes,
		.tp_block_nr = shape.slots / per_block,
		.tp_frame_size = shape.slot_bytes,
		.tp_frame_nr = shape.slots,
	};
	return set_packet_option(fd, PACKET_RX_RING, &request, sizeof(request));
}

/* Without a ring, frames wait in the socket, and their time and what the kernel knows of their
 * checksums come as control data. */
static int prepare_for_uring(int fd)
{
	const int bytes = URING_RCVBUF_BYTES, on = 1;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
	if (setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS_NEW, &on, sizeof(on)) < 0)
		return -errno;
	return set_packet_option(fd, PACKET_AUXDATA, &on, sizeof(on));
}

/* Nobody is to send through a packet socket: see RING_END_BYTES. What a frame of that ring can take
 * is less than its header here. */
static int forbid_sends(int fd)
{
	enum { FRAME_BYTES = 64 };
	const struct tpacket_req request = {
		.tp_block_size = RING_END_BYTES,
		.tp_block_nr = 1,
		.tp_frame_size = FRAME_BYTES,
		.tp_frame_nr = RING_END_BYTES / FRAME_BYTES,
	};

	return set_packet_option(fd, PACKET_TX_RING, &request, sizeof(request));
}

static int bind_to_interface(int fd, const struct netif *netif)
{
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = netif->index,
	};

	return bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
}

int sockets_open_input(const struct netif *netif, struct ring_shape shape)
{
	const int on = 1, version = TPACKET_V2;
	/* protocol 0: nothing arrives before filter and ring are in place */
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int rc;

	if (fd < 0)
		return -errno;
	rc = set_packet_option(fd, PACKET_IGNORE_OUTGOING, &on, sizeof(on));
	if (rc == 0)
		rc = set_packet_option(fd, PACKET_VNET_HDR, &on, sizeof(on));
	if (rc == 0)
		rc = set_packet_option(fd, PACKET_VERSION, &version, sizeof(version));
	if (rc == 0)
		rc = attach_filter(fd, reject_all, 1);
	if (rc == 0 && shape.slots)
		rc = request_ring(fd, shape);
	else if (rc == 0)
		rc = prepare_for_uring(fd);
	if (rc == 0)
		rc = forbid_sends(fd);
	if (rc == 0)
		rc = bind_to_interface(fd, netif);
	if (rc == 0)
		return fd;
	close(fd);
	return rc;
}

/* What a small slot holds for sure is for the one socket, all else for the other. */
static struct filter_frames frames_of_class(const struct netif *netif,
					    const struct ring_shape shapes[FRAME_CLASSES],
					    enum frame_class class)
{
	const uint32_t small = shapes[FRAMES_SMALL].slot_bytes - SLOT_OVERHEAD + ETH_HLEN;
	struct filter_frames frames = {
		.bare = netif_frames(netif) == NETIF_BARE,
		.max = UINT32_MAX,
	};

	if (shapes[FRAMES_LARGE].slots == 0)
		return frames;
	if (class == FRAMES_SMALL)
		frames.max = small;
	else
		frames.min = small + 1;
	return frames;
}

static int attach_input_filter(int fd, const struct filter_frames *frames,
			       const struct filter_keys *keys)
{
	struct input_filter filter;

	input_filter_build(&filter, frames, keys);
	return attach_filter(fd, filter.code, filter.length);
}

/* A filter takes the place of another at once: there is no moment without. But both count against
 * net.core.optmem_max (20 KiB before Linux 6.7) meanwhile: where that is too little, a short one
 * that lets all UDP in comes in between, or stays. */
int sockets_listen(int fd, const struct netif *netif, const struct ring_shape shapes[FRAME_CLASSES],
		   enum frame_class class, const struct filter_keys *keys)
{
	static const struct filter_keys everything = {.everything = true};
	const struct filter_frames frames = frames_of_class(netif, shapes, class);
	int rc = attach_input_filter(fd, &frames, keys);

	if (rc != -ENOMEM)
		return rc;
	rc = attach_input_filter(fd, &frames, &everything);
	if (rc == 0)
		attach_input_filter(fd, &frames, keys);
	return rc;
}

void sockets_quiesce_input(int fd)
{
	attach_filter(fd, reject_all, 1);
}

uint64_t sockets_take_drops(int fd, uint64_t *accepted)
{
	struct tpacket_stats stats = {0};
	socklen_t size = sizeof(stats);

	/* reading resets the kernel's 32-bit counters */
	if (fd < 0 || getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &stats, &size) < 0)
		return 0;
	*accepted += stats.tp_packets - stats.tp_drops;
	return stats.tp_drops;
}

/* ------------------------------------------------------------------------- outputs */

/* Said once a minute: the cause is one setting of the host, there may be thousands of outputs. */
static void set_send_buffer(int fd, const char *interface, uint64_t wanted)
{
	static struct log_limit warnings = {.lines = 1, .seconds = 60};
	int value = (int)wanted, got = 0;
	socklen_t size = sizeof(got);

	/* FORCE (CAP_NET_ADMIN) is not bounded by net.core.wmem_max */
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &value, sizeof(value)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &value, sizeof(value));
	getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &got, &size);
	/* the kernel doubles what it was asked for, to allow for its own overhead */
	if (got / 2 < value)
		log_limited(&warnings, LEVEL_WARNING, "Egress",
			    "SO_SNDBUF on %s is %d bytes instead of %d; raise net.core.wmem_max",
			    interface, got / 2, value);
}

/* Only with IP_RECVERR does the kernel say ENOBUFS when the queue of the interface drops a packet;
 * without, such a send succeeds. What it queues besides for readers is never read, nor is what the
 * destination may send: both get the least memory that a socket can have. */
static int report_drops(int fd)
{
	const int on = 1, least = 0;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &least, sizeof(least));
	return setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof(on)) < 0 ? -errno : 0;
}

/* Where each packet brings its own, the worker says so with each send. */
static int socket_ttl(const struct rule_output *key)
{
	return key->ttl == TTL_DECREMENT ? 1 : key->ttl;
}

static int set_dscp(int fd, const struct rule_output *key)
{
	const int tos = key->dscp == DSCP_KEEP ? 0 : key->dscp << 2;

	return setsockopt(fd, IPPROTO_IP, IP_TOS, &tos, sizeof(tos)) < 0 ? -errno : 0;
}

static struct in_addr source_of(const struct rule_output *key, const struct netif *netif)
{
	return key->source.s_addr == INADDR_ANY ? netif->address : key->source;
}

/* Nothing is to be received through an output, whoever has it: refused for good. */
static int deafen(int fd)
{
	const int on = 1;
	int rc = attach_filter(fd, reject_all, 1);

	if (rc < 0)
		return rc;
	return setsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, &on, sizeof(on)) < 0 ? -errno : 0;
}

/* Bound to the interface as well, so that nothing else can be sent through any other. */
static int set_multicast_options(int fd, const struct rule_output *key, const struct netif *netif)
{
	const struct ip_mreqn interface = {
		.imr_address = source_of(key, netif),
		.imr_ifindex = netif->index,
	};
	const int ttl = socket_ttl(key), off = 0;

	if (setsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX, &netif->index, sizeof(netif->index)) < 0 ||
	    setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &interface, sizeof(interface)) < 0 ||
	    setsockopt(fd, IPPROTO_IP, IP_MULTICAST_TTL, &ttl, sizeof(ttl)) < 0 ||
	    setsockopt(fd, IPPROTO_IP, IP_MULTICAST_LOOP, &off, sizeof(off)) < 0)
		return -errno;
	return 0;
}

/* The route is looked up on this interface only, as the rule says. The address may be the broadcast
 * address of its network, which a socket has to be allowed to send to. */
static int set_unicast_options(int fd, const struct rule_output *key)
{
	const int ttl = socket_ttl(key), on = 1;

	if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, key->to.interface,
		       (socklen_t)strlen(key->to.interface)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, IPPROTO_IP, IP_TTL, &ttl, sizeof(ttl)) < 0)
		return -errno;
	return 0;
}

/* A port of the rule's may be that of several outputs, each with a socket per worker. They are
 * connected to different places, or send only: none takes from another what it is to receive. */
static int bind_and_connect(int fd, const struct rule_output *key, const struct netif *netif)
{
	const int on = 1;
	const struct sockaddr_in from = {
		.sin_family = AF_INET,
		.sin_addr = source_of(key, netif),
		.sin_port = htons(key->source_port),
	};
	const struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_addr = key->to.group,
		.sin_port = htons(key->to.port),
	};

	if (key->source_port && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		return -errno;
	if (bind(fd, (const struct sockaddr *)&from, sizeof(from)) < 0 ||
	    connect(fd, (const struct sockaddr *)&to, sizeof(to)) < 0)
		return -errno;
	return 0;
}

/* Without a send buffer of the size that is wanted. */
static int open_output(const struct rule_output *key, const struct netif *netif)
{
	int fd, rc;

	if (netif->index == 0)
		return -ENODEV;
	if (source_of(key, netif).s_addr == INADDR_ANY ||
	    (key->source.s_addr && !netif_has_address(netif, key->source)))
		return -EADDRNOTAVAIL;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	rc = report_drops(fd);
	if (rc == 0)
		rc = deafen(fd);
	if (rc == 0 && IN_MULTICAST(ntohl(key->to.group.s_addr)))
		rc = set_multicast_options(fd, key, netif);
	else if (rc == 0)
		rc = set_unicast_options(fd, key);
	if (rc == 0)
		rc = set_dscp(fd, key);
	if (rc == 0)
		rc = bind_and_connect(fd, key, netif);
	if (rc == 0)
		return fd;
	close(fd);
	return rc;
}

int sockets_open_output(const struct rule_output *key, const struct netif *netif,
			const struct config *config)
{
	int fd = open_output(key, netif);

	if (fd >= 0)
		set_send_buffer(fd, key->to.interface, config->socket_sndbuf);
	return fd;
}

/* Whoever tries may lack the privilege for a source_port below 1024 that the relay has. */
int sockets_try_output(const struct rule_output *key, const struct netif *netif)
{
	struct rule_output elsewhere = *key;
	int fd = open_output(key, netif);

	if (fd == -EACCES && key->source_port) {
		elsewhere.source_port = 0;
		fd = open_output(&elsewhere, netif);
	}
	return fd < 0 ? fd : close(fd);
}
