// SPDX-License-Identifier: MIT
/*
 * ingress_ring: an AF_PACKET TPACKET_V2 receive ring, mapped into memory.
 *
 * The kernel fills slots in order and hands each over at once (V3 hands over whole blocks, a
 * millisecond late). A slot belongs to the kernel until its status word says TP_STATUS_USER, and
 * to us until we write TP_STATUS_KERNEL:
 *
 *        head-lent         head
 *         |                 |
 *   [K][K][U  U  U  U  U  U][U][U][K][K][K]       K: the kernel's   U: ours
 *          <---- lent ----->                      head: the next slot to be looked at
 *
 * Slots may be released in any order, and go back to the kernel in theirs: one that is released
 * before its elders waits for them. The kernel, which fills slots in order, could not use it before
 * either; and a slot that is still held when the head comes round to it has not the look of a new
 * frame.
 *
 * Head and lent are in shared memory: should this worker die, its successor gives back what was
 * lent, and goes on at the head. `lent` there is lowered at the end of a turn only: some of those
 * slots may be back with the kernel, and filled again with frames that nobody has seen. A slot that
 * is lent is marked as such, in bytes that the kernel clears when it fills the slot.
 *
 * A full ring is a normal state: the kernel counts the frames it had no slot for.
 *
 * What a predecessor has left, in shared memory and in slots that it had not given back, is looked
 * at once, when the ring is opened: it may have gone bad. Afterwards only the kernel and we write
 * there.
 */
#include "common/log.h"
#include "worker/books.h"
#include "worker/ingress.h"
#include "worker/vnet.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { LENT = 1 }; /* in tp_padding[0] */
enum { CACHE_LINE_BYTES = 64 };

/* `steps` after slot `index`; at most once around. */
static uint32_t after(const struct ingress *ingress, uint32_t index, uint32_t steps)
{
	index += steps;
	return index < ingress->slots ? index : index - ingress->slots;
}

static struct tpacket2_hdr *slot_at(const struct ingress *ingress, uint32_t index)
{
	return (struct tpacket2_hdr *)(ingress->ring.memory + (size_t)index * ingress->slot_bytes);
}

static void give_to_kernel(const struct ingress *ingress, uint32_t index)
{
	__atomic_store_n(&slot_at(ingress, index)->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
}

static uint64_t slot_time(const struct tpacket2_hdr *slot)
{
	return frame_time(slot->tp_sec, slot->tp_nsec);
}

/* The frame in a slot that is ours. */
static inline struct frame read_slot(const struct ingress *ingress, const struct tpacket2_hdr *slot,
				     uint32_t index)
{
	const uint8_t *data = (const uint8_t *)slot + slot->tp_mac;
	/* of a link that is not Ethernet, what comes before the IP header, if anything */
	const uint32_t skip = ingress->bare ? (uint32_t)(slot->tp_net - slot->tp_mac) : 0;
	struct virtio_net_hdr header;
	struct frame frame = {
		.data = data + skip,
		.captured = slot->tp_snaplen > skip ? slot->tp_snaplen - skip : 0,
		.original = slot->tp_len > skip ? slot->tp_len - skip : 0,
		.slot = index,
		.time = slot_time(slot),
		/* CSUMNOTREADY: sent on this host, the checksum is left to hardware */
		.checksum_good = slot->tp_status & (TP_STATUS_CSUM_VALID | TP_STATUS_CSUMNOTREADY),
		.bare = ingress->bare,
	};

	/* right before the frame, at no particular alignment */
	memcpy(&header, data - sizeof(header), sizeof(header));
	vnet_read(&header, &frame);
	return frame;
}

/* Whether the frame is within the slot, as the kernel has it. */
static bool slot_good(const struct ingress *ingress, const struct tpacket2_hdr *slot)
{
	return slot->tp_mac >= sizeof(*slot) + sizeof(struct virtio_net_hdr) &&
	       slot->tp_mac <= ingress->slot_bytes &&
	       slot->tp_snaplen <= ingress->slot_bytes - slot->tp_mac;
}

static void check_what_is_left(struct ingress *ingress)
{
	struct ring_position *position = ingress->position;

	for (uint32_t i = 0; i < ingress->slots; i++) {
		struct tpacket2_hdr *slot = slot_at(ingress, i);

		/* the kernel may be filling any other */
		if (!(__atomic_load_n(&slot->tp_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER) ||
		    slot_good(ingress, slot))
			continue;
		slot->tp_mac = sizeof(*slot) + sizeof(struct virtio_net_hdr);
		slot->tp_snaplen = 0; /* a frame without a byte is dropped */
		memset(slot + 1, 0, sizeof(struct virtio_net_hdr));
	}
	if (ring_position_good(position, ingress->slots))
		return;
	log_error("Ingress", "the position in a ring of %s is none; beginning at its first slot",
		  ingress->interface);
	position->head = position->lent = position->uncounted = 0;
}

/* What a predecessor was working on when it died may have been sent: it is given back unless it had
 * been already, and counted unless that was done at the end of an earlier turn. Of a slot that the
 * kernel has filled again, the new frame stays, and of the old one it is known at best how many
 * packets it had together with others. */
static void take_over(struct ingress *ingress)
{
	struct ring_position *position = ingress->position;
	uint64_t lost = 0;

	for (uint32_t i = position->lent; i > 0; i--) {
		const uint32_t index = after(ingress, position->head, ingress->slots - i);
		const struct tpacket2_hdr *slot = slot_at(ingress, index);
		const bool ours = slot->tp_status & TP_STATUS_USER;
		uint32_t packets = 1;

		if ((!ours || slot->tp_padding[0] == LENT) && slot_good(ingress, slot)) {
			const struct frame frame = read_slot(ingress, slot, index);

			packets = frame_packets(&frame);
		}
		if (ours && slot->tp_padding[0] == LENT)
			give_to_kernel(ingress, index);
		if (i > position->uncounted)
			continue;
		lost += packets;
	}
	if (position->uncounted && lost < position->packets - position->packets_before)
		lost = position->packets - position->packets_before;
	books_count_lost(ingress->counters, ingress->in_hand, lost);
	position->lent = position->uncounted = 0;
}

static int ring_open(struct ingress *ingress)
{
	size_t bytes = (size_t)ingress->slots * ingress->slot_bytes + RING_END_BYTES;
	void *ring = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
			  ingress->fd, 0);

	if (ring == MAP_FAILED)
		return -errno;
	ingress->ring.released = calloc(ingress->slots, sizeof(*ingress->ring.released));
	if (!ingress->ring.released) {
		munmap(ring, bytes);
		return -ENOMEM;
	}
	ingress->ring.memory = ring;
	ingress->ring.bytes = bytes;
	check_what_is_left(ingress);
	take_over(ingress);
	return 0;
}

static void ring_close(struct ingress *ingress)
{
	munmap(ingress->ring.memory, ingress->ring.bytes);
	free(ingress->ring.released);
	ingress->ring.memory = NULL;
}

static unsigned ring_peek(struct ingress *ingress, struct frame *frames, unsigned max)
{
	const unsigned most =
		ingress->slots - ingress->lent < max ? ingress->slots - ingress->lent : max;
	uint32_t index = ingress->position->head;
	unsigned n;

	for (n = 0; n < most; n++, index = after(ingress, index, 1)) {
		struct tpacket2_hdr *slot = slot_at(ingress, index);
		/* pairs with the kernel's barrier between filling the slot and its status */
		uint32_t status = __atomic_load_n(&slot->tp_status, __ATOMIC_ACQUIRE);

		if (!(status & TP_STATUS_USER))
			break;
		/* the kernel wrote this slot on another core: fetch the next ones meanwhile */
		__builtin_prefetch(slot_at(ingress, after(ingress, index, 2)));
		slot->tp_padding[0] = LENT;
		frames[n] = read_slot(ingress, slot, index);
		/* the first bytes of the payload, which are compared when loops are looked for */
		__builtin_prefetch(frames[n].data + CACHE_LINE_BYTES);
	}
	ingress->lent += n;
	/* should we die now, the successor gives back what lies behind the head */
	__atomic_store_n(&ingress->position->uncounted, ingress->position->uncounted + n,
			 __ATOMIC_RELEASE);
	__atomic_store_n(&ingress->position->lent, ingress->lent, __ATOMIC_RELEASE);
	__atomic_store_n(&ingress->position->head, index, __ATOMIC_RELEASE);
	return n;
}

static uint64_t ring_next_time(struct ingress *ingress)
{
	const struct tpacket2_hdr *slot = slot_at(ingress, ingress->position->head);

	if (ingress->lent == ingress->slots ||
	    !(__atomic_load_n(&slot->tp_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER))
		return UINT64_MAX;
	return slot_time(slot);
}

static void ring_unpeek(struct ingress *ingress, unsigned count)
{
	const uint32_t head = after(ingress, ingress->position->head, ingress->slots - count);

	for (unsigned i = 0; i < count; i++)
		slot_at(ingress, after(ingress, head, i))->tp_padding[0] = 0;
	ingress->lent -= count;
	ingress->position->uncounted -= count;
	__atomic_store_n(&ingress->position->head, head, __ATOMIC_RELEASE);
	__atomic_store_n(&ingress->position->lent, ingress->lent, __ATOMIC_RELEASE);
}

static void ring_release(struct ingress *ingress, uint32_t slot)
{
	uint32_t oldest = after(ingress, ingress->position->head, ingress->slots - ingress->lent);

	ingress->ring.released[slot] = true;
	while (ingress->lent > 0 && ingress->ring.released[oldest]) {
		ingress->ring.released[oldest] = false;
		give_to_kernel(ingress, oldest);
		oldest = after(ingress, oldest, 1);
		ingress->lent--;
	}
}

/* To poll(2), a ring has something to read until its newest filled slot is the kernel's again. */
static int ring_wait_fd(const struct ingress *ingress)
{
	return ingress->fd;
}

const struct ingress_ops ingress_ring_ops = {
	.open = ring_open,
	.peek = ring_peek,
	.next_time = ring_next_time,
	.unpeek = ring_unpeek,
	.release = ring_release,
	.wait_fd = ring_wait_fd,
	.readable_while_lent = true,
	.close = ring_close,
};
