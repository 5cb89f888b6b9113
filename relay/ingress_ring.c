// SPDX-License-Identifier: MIT
/*
 * ingress_ring: an AF_PACKET TPACKET_V2 receive ring, mapped into memory.
 *
 * The kernel fills slots in order and hands each over at once (V3 hands over whole blocks, a
 * millisecond late). A slot belongs to the kernel until its status word says TP_STATUS_USER, and
 * to us until we write TP_STATUS_KERNEL:
 *
 *        head            head+lent
 *         |                 |
 *   [K][K][U  U  U  U  U  U][U][U][K][K][K]       K: the kernel's   U: ours
 *          <---- lent ----->
 *
 * A full ring is a normal state: the kernel counts the frames it had no slot for.
 */
#include "ingress.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* The kernel puts its header, a sockaddr_ll and alignment in front of the frame, and the frame
 * may bring two VLAN tags and an Ethernet header besides its MTU. */
enum { SLOT_OVERHEAD = TPACKET2_HDRLEN + 16 + TPACKET_ALIGNMENT + ETH_HLEN + 8 };
enum { MIN_SLOT_BYTES = 2048, MIN_BLOCK_BYTES = 65536 };

/* Lets IPv4 UDP through, behind up to two VLAN tags. Everything else stays in the kernel.
 * A tag that the NIC or the kernel took off already is not among the bytes we test. */
static const struct sock_filter accept_udp[] = {
	/* 0 */ BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
	/* 1 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 12, 0),
	/* 2 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_8021Q, 1, 0),
	/* 3 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_8021AD, 0, 13),
	/* 4 */ BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 16),
	/* 5 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 6, 0),
	/* 6 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_8021Q, 1, 0),
	/* 7 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_8021AD, 0, 9),
	/* 8 */ BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 20),
	/* 9 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 0, 7),
	/* 10 */ BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 31),
	/* 11 */ BPF_JUMP(BPF_JMP | BPF_JA, 3, 0, 0),
	/* 12 */ BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 27),
	/* 13 */ BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0),
	/* 14 */ BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 23),
	/* 15 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 1),
	/* 16 */ BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
	/* 17 */ BPF_STMT(BPF_RET | BPF_K, 0),
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

static unsigned slot_bytes_for(const struct netif *netif, const struct config *config)
{
	unsigned bytes = MIN_SLOT_BYTES;

	if (config->ring_slot_bytes)
		return (unsigned)config->ring_slot_bytes;
	while (bytes < netif->mtu + SLOT_OVERHEAD)
		bytes *= 2;
	return bytes;
}

/* Slots are powers of two that divide the blocks, so that slot i is at i * slot_bytes. */
static int map_ring(struct ingress *ingress)
{
	unsigned block =
		ingress->slot_bytes > MIN_BLOCK_BYTES ? ingress->slot_bytes : MIN_BLOCK_BYTES;
	size_t total = (size_t)ingress->slots * ingress->slot_bytes;
	struct tpacket_req request;
	void *ring;
	int rc;

	if (block > total)
		block = (unsigned)total;
	request = (struct tpacket_req){
		.tp_block_size = block,
		.tp_block_nr = (unsigned)(total / block),
		.tp_frame_size = ingress->slot_bytes,
		.tp_frame_nr = ingress->slots,
	};
	rc = set_packet_option(ingress->fd, PACKET_RX_RING, &request, sizeof(request));
	if (rc < 0)
		return rc;
	ring = mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ingress->fd, 0);
	if (ring == MAP_FAILED)
		return -errno;
	ingress->ring = ring;
	ingress->ring_bytes = total;
	ingress->head = ingress->lent = 0;
	ingress->mask = ingress->slots - 1;
	return 0;
}

static int bind_to_interface(const struct ingress *ingress)
{
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = ingress->netif.index,
	};

	return bind(ingress->fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
}

static void ring_close(struct ingress *ingress)
{
	if (ingress->ring)
		munmap(ingress->ring, ingress->ring_bytes);
	if (ingress->fd >= 0)
		close(ingress->fd);
	ingress->ring = NULL;
	ingress->fd = -1;
	ingress->lent = 0;
}

static int ring_open(struct ingress *ingress, const struct config *config)
{
	const int version = TPACKET_V2, on = 1;
	int rc;

	ingress->slots = (unsigned)config->ring_slots;
	ingress->slot_bytes = slot_bytes_for(&ingress->netif, config);
	/* protocol 0: nothing arrives before filter and ring are in place */
	ingress->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (ingress->fd < 0)
		return -errno;
	rc = set_packet_option(ingress->fd, PACKET_VERSION, &version, sizeof(version));
	if (rc == 0)
		rc = set_packet_option(ingress->fd, PACKET_IGNORE_OUTGOING, &on, sizeof(on));
	if (rc == 0)
		rc = attach_filter(ingress->fd, accept_udp,
				   sizeof(accept_udp) / sizeof(accept_udp[0]));
	if (rc == 0)
		rc = map_ring(ingress);
	if (rc == 0)
		rc = bind_to_interface(ingress);
	if (rc < 0)
		ring_close(ingress);
	return rc;
}

static struct tpacket2_hdr *slot_at(const struct ingress *ingress, unsigned index)
{
	return (struct tpacket2_hdr *)(ingress->ring +
				       (size_t)(index & ingress->mask) * ingress->slot_bytes);
}

static unsigned ring_peek(struct ingress *ingress, struct frame *frames, unsigned max)
{
	unsigned n;

	for (n = 0; n < max && ingress->lent < ingress->slots; n++) {
		struct tpacket2_hdr *slot = slot_at(ingress, ingress->head + ingress->lent);
		/* pairs with the kernel's barrier between filling the slot and its status */
		uint32_t status = __atomic_load_n(&slot->tp_status, __ATOMIC_ACQUIRE);

		if (!(status & TP_STATUS_USER))
			break;
		/* the kernel wrote this slot on another core: fetch the next ones meanwhile */
		__builtin_prefetch(slot_at(ingress, ingress->head + ingress->lent + 2));
		frames[n] = (struct frame){
			.data = (const uint8_t *)slot + slot->tp_mac,
			.captured = slot->tp_snaplen,
			.original = slot->tp_len,
			/* CSUMNOTREADY: sent on this host, the checksum is left to hardware */
			.checksum_good = status & (TP_STATUS_CSUM_VALID | TP_STATUS_CSUMNOTREADY),
		};
		ingress->lent++;
	}
	return n;
}

static void ring_release(struct ingress *ingress, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		__atomic_store_n(&slot_at(ingress, ingress->head + i)->tp_status, TP_STATUS_KERNEL,
				 __ATOMIC_RELEASE);
	ingress->head += n;
	ingress->lent -= n;
}

static uint64_t ring_take_drops(struct ingress *ingress)
{
	struct tpacket_stats stats = {0};
	socklen_t size = sizeof(stats);

	/* reading resets the kernel's 32-bit counters */
	if (ingress->fd < 0 ||
	    getsockopt(ingress->fd, SOL_PACKET, PACKET_STATISTICS, &stats, &size) < 0)
		return 0;
	return stats.tp_drops;
}

static void ring_quiesce(struct ingress *ingress)
{
	if (ingress->fd >= 0)
		attach_filter(ingress->fd, reject_all, 1);
}

const struct ingress_ops ingress_ring_ops = {
	.open = ring_open,
	.peek = ring_peek,
	.release = ring_release,
	.take_drops = ring_take_drops,
	.quiesce = ring_quiesce,
	.close = ring_close,
};
