// SPDX-License-Identifier: MIT
/*
 * ingress_uring: io_uring multishot receive into buffers of the pool.
 *
 * One request per ingress stays armed and yields a completion per frame, as long as there are
 * buffers:
 *
 *     pool -> group (waits in the kernel) -> completion -> frame lent -> released -> pool
 *
 * Without a buffer the request ends with ENOBUFS, frames wait in the socket, and what does not fit
 * there is counted by the kernel; as soon as a buffer is back, the request is armed again. So it is
 * after any other end, as with ENETDOWN: one that finds nothing, and whose worker may go to
 * sleep, leaves no request of any other unarmed that could be armed.
 *
 * What does not fit a buffer comes through a ring of its own (input.c), in the order of the frames'
 * times: those that have been received and turn out to be newer wait in a queue.
 *
 * A buffer begins with the kernel's header and control data (what it knows of the checksum, and the
 * time), then the frame. They share one io_uring, which has to be set up before the sandbox closes,
 * and which takes nothing but such requests and their ends; completions name their ingress by a
 * tag, so that late ones of one that has been closed are told apart.
 */
#include "worker/books.h"
#include "worker/ingress.h"
#include "worker/uring.h"
#include "worker/vnet.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <linux/sock_diag.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

enum {
	CONTROL_BYTES = CMSG_SPACE(sizeof(struct tpacket_auxdata)) +
			CMSG_SPACE(sizeof(struct __kernel_timespec)),
	HEADER_BYTES =
		sizeof(struct io_uring_recvmsg_out) + CONTROL_BYTES + sizeof(struct virtio_net_hdr),
	FRAME_EXTRA_BYTES = 14 + 8, /* Ethernet header, two VLAN tags */
};

static struct msghdr message_shape = {.msg_controllen = CONTROL_BYTES};

static const struct uring_use use = {
	.what = "to receive with",
	.num_ops = 2,
	.ops = {IORING_OP_RECVMSG, IORING_OP_ASYNC_CANCEL},
	.flags = IOSQE_BUFFER_SELECT,
	.watched = true,
};

/* ------------------------------------------------------------------------- shared by all */

static int group_init(struct recv_uring *shared, unsigned index)
{
	struct io_uring_buf_reg registration = {.bgid = (uint16_t)index};
	unsigned entries = 1;
	void *memory;

	while (entries < shared->num_recv_buffers)
		entries *= 2;
	memory = mmap(NULL, entries * sizeof(struct io_uring_buf), PROT_READ | PROT_WRITE,
		      MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
	if (memory == MAP_FAILED)
		return -errno;
	registration.ring_addr = (uint64_t)(uintptr_t)memory;
	registration.ring_entries = entries;
	shared->groups[index].ring = memory;
	shared->groups[index].entries = entries;
	io_uring_buf_ring_init(memory);
	return io_uring_register_buf_ring(&shared->uring, &registration, 0);
}

int recv_uring_init(struct recv_uring *shared, struct pool *pool, unsigned num_recv_buffers)
{
	int rc;

	*shared = (struct recv_uring){.pool = pool, .num_recv_buffers = num_recv_buffers};
	rc = uring_init(&shared->uring, 4 * num_recv_buffers + 2 * INPUT_NUMBERS, &use);
	if (rc < 0) {
		shared->pool = NULL; /* there is no io_uring to be closed */
		return rc;
	}
	for (unsigned i = 0; i < POOL_CLASSES && rc == 0; i++)
		rc = group_init(shared, i);
	return rc < 0 ? rc : uring_enable(&shared->uring, &use);
}

void recv_uring_exit(struct recv_uring *shared)
{
	if (!shared->pool)
		return;
	uring_exit(&shared->uring);
	for (unsigned i = 0; i < POOL_CLASSES; i++)
		if (shared->groups[i].ring)
			munmap(shared->groups[i].ring,
			       shared->groups[i].entries * sizeof(struct io_uring_buf));
	shared->pool = NULL;
}

/* Posts free buffers until as many wait as configured. */
static void refill(struct recv_uring *shared, unsigned index)
{
	struct pool_class *pool_class = &shared->pool->classes[index];
	struct io_uring_buf_ring *ring = shared->groups[index].ring;
	const int mask = (int)shared->groups[index].entries - 1;
	int added = 0;

	while (shared->groups[index].posted < shared->num_recv_buffers) {
		int64_t number = pool_get(pool_class);

		if (number < 0)
			break;
		io_uring_buf_ring_add(ring, pool_buffer(pool_class, (uint32_t)number),
				      pool_class->buffer_bytes, (uint16_t)number, mask, added++);
		shared->groups[index].posted++;
	}
	if (added)
		io_uring_buf_ring_advance(ring, added);
}

/* The open ingress that a completion is for; NULL: it has been closed. */
static struct ingress *owner_of(const struct recv_uring *shared, uint64_t tag)
{
	for (unsigned i = 0; i < INPUT_NUMBERS; i++)
		if (shared->live[i] && shared->live[i]->uring.tag == tag)
			return shared->live[i];
	return NULL;
}

/* There is room for each. */
static void replace_live(struct recv_uring *shared, const struct ingress *from, struct ingress *to)
{
	for (unsigned i = 0; i < INPUT_NUMBERS; i++) {
		if (shared->live[i] != from)
			continue;
		shared->live[i] = to;
		return;
	}
}

/* ------------------------------------------------------------------------- one ingress */

static void arm(struct ingress *ingress)
{
	struct recv_uring *shared = ingress->uring.shared;
	struct io_uring_sqe *sqe = io_uring_get_sqe(&shared->uring);

	if (!sqe)
		return;
	io_uring_prep_recvmsg_multishot(sqe, ingress->fd, &message_shape, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = (uint16_t)ingress->uring.pool_class;
	sqe->user_data = ingress->uring.tag;
	ingress->uring.armed = io_uring_submit(&shared->uring) > 0;
	counter_add(ingress->counters, COUNTER_system_calls, 1);
	counter_add(ingress->counters, COUNTER_sqes, 1);
}

static int uring_open(struct ingress *ingress)
{
	struct recv_uring *shared = ingress->uring.shared;
	struct pool_class *pool_class = pool_class_for(
		shared->pool, ingress->slot_bytes ? ingress->slot_bytes
						  : ingress->uring.frame_bytes + FRAME_EXTRA_BYTES +
							    HEADER_BYTES);

	ingress->uring.pool_class = (unsigned)(pool_class - shared->pool->classes);
	ingress->slots = pool_class->count;
	ingress->slot_bytes = pool_class->buffer_bytes;
	ingress->uring.frames = calloc(ingress->slots, sizeof(struct frame));
	if (!ingress->uring.frames)
		return -ENOMEM;
	ingress->uring.tag = (shared->last_tag += POOL_CLASSES) + ingress->uring.pool_class;
	replace_live(shared, NULL, ingress);
	refill(shared, ingress->uring.pool_class);
	arm(ingress);
	return 0;
}

/* The one that is to be lent as the nth from now. */
static struct frame *queued_frame(const struct ingress *ingress, unsigned n)
{
	return &ingress->uring.frames[(ingress->uring.next + n) % ingress->slots];
}

/* The request ends by itself some time after it is cancelled; its completions no longer match. */
static void uring_close(struct ingress *ingress)
{
	struct recv_uring *shared = ingress->uring.shared;
	struct io_uring_sqe *sqe = io_uring_get_sqe(&shared->uring);

	for (unsigned i = 0; i < ingress->uring.queued; i++)
		pool_put(&shared->pool->classes[ingress->uring.pool_class],
			 queued_frame(ingress, i)->slot);
	free(ingress->uring.frames);
	replace_live(ingress->uring.shared, ingress, NULL);
	if (!sqe)
		return;
	io_uring_prep_cancel64(sqe, ingress->uring.tag, 0);
	sqe->user_data = 0;
	io_uring_submit(&ingress->uring.shared->uring);
	ingress->uring.armed = false;
	ingress->uring.tag = 0;
}

static void uring_release(struct ingress *ingress, uint32_t slot)
{
	pool_put(&ingress->uring.shared->pool->classes[ingress->uring.pool_class], slot);
	ingress->lent--;
}

/* A completion of one that is closed: its buffer, of the class that its tag tells, goes back.
 */
static void discard(struct recv_uring *shared, const struct io_uring_cqe *cqe)
{
	unsigned index = (unsigned)(cqe->user_data % POOL_CLASSES);

	if (!(cqe->flags & IORING_CQE_F_BUFFER))
		return;
	shared->groups[index].posted--;
	pool_put(&shared->pool->classes[index], cqe->flags >> IORING_CQE_BUFFER_SHIFT);
}

/* What the kernel knows of a frame besides. */
struct known {
	struct tpacket_auxdata auxdata;
	uint64_t time;
};

static struct known read_control(struct io_uring_recvmsg_out *out)
{
	struct cmsghdr *control = io_uring_recvmsg_cmsg_firsthdr(out, &message_shape);
	struct __kernel_timespec time;
	struct known known = {0};

	for (; control; control = io_uring_recvmsg_cmsg_nexthdr(out, &message_shape, control)) {
		if (control->cmsg_level == SOL_PACKET && control->cmsg_type == PACKET_AUXDATA)
			memcpy(&known.auxdata, CMSG_DATA(control), sizeof(known.auxdata));
		if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SO_TIMESTAMPNS_NEW)
			continue;
		memcpy(&time, CMSG_DATA(control), sizeof(time));
		known.time = frame_time((uint32_t)time.tv_sec, (uint32_t)time.tv_nsec);
	}
	return known;
}

/* Fills *frame from the buffer of a completion; false when there is no frame in it. */
static bool read_frame(struct ingress *ingress, const struct io_uring_cqe *cqe, struct frame *frame)
{
	const struct pool_class *pool_class =
		&ingress->uring.shared->pool->classes[ingress->uring.pool_class];
	uint32_t slot = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
	struct io_uring_recvmsg_out *out =
		io_uring_recvmsg_validate(pool_buffer(pool_class, slot), cqe->res, &message_shape);
	struct virtio_net_hdr header;
	struct known known;
	const uint8_t *payload;
	uint32_t bytes;

	if (!out)
		return false;
	payload = io_uring_recvmsg_payload(out, &message_shape);
	bytes = io_uring_recvmsg_payload_length(out, cqe->res, &message_shape);
	if (bytes < sizeof(header))
		return false;
	*frame = (struct frame){
		.data = payload + sizeof(header),
		.captured = bytes - (uint32_t)sizeof(header),
		.slot = slot,
	};
	memcpy(&header, payload, sizeof(header));
	frame->original = frame->captured;
	frame->bare = ingress->bare;
	known = read_control(out);
	frame->time = known.time;
	if (known.auxdata.tp_status) { /* there is some */
		frame->original = known.auxdata.tp_len;
		frame->checksum_good =
			known.auxdata.tp_status & (TP_STATUS_CSUM_VALID | TP_STATUS_CSUMNOTREADY);
	}
	/* of a link that is not Ethernet, what comes before the IP header, if anything */
	if (frame->bare && known.auxdata.tp_net <= frame->captured) {
		frame->data += known.auxdata.tp_net;
		frame->captured -= known.auxdata.tp_net;
		frame->original -= known.auxdata.tp_net;
	}
	vnet_read(&header, frame);
	return true;
}

/* Queues up to `max` frames. Those of others are left to them, completions of nobody are cleared
 * away.
 */
static void take_completions(struct ingress *ingress, unsigned max)
{
	struct recv_uring *shared = ingress->uring.shared;
	struct io_uring_cqe *cqe;

	while (ingress->uring.queued < max && io_uring_peek_cqe(&shared->uring, &cqe) == 0) {
		struct ingress *owner = cqe->user_data == ingress->uring.tag
						? ingress
						: owner_of(shared, cqe->user_data);

		if (owner && owner != ingress && (cqe->flags & IORING_CQE_F_BUFFER))
			break;
		if (!owner)
			discard(shared, cqe);
		else if (!(cqe->flags & IORING_CQE_F_MORE))
			owner->uring.armed = false;
		if (owner && (cqe->flags & IORING_CQE_F_BUFFER)) {
			shared->groups[ingress->uring.pool_class].posted--;
			if (cqe->res >= 0 &&
			    read_frame(ingress, cqe, queued_frame(ingress, ingress->uring.queued)))
				ingress->uring.queued++;
			else
				pool_put(&shared->pool->classes[ingress->uring.pool_class],
					 cqe->flags >> IORING_CQE_BUFFER_SHIFT);
		}
		io_uring_cqe_seen(&shared->uring, cqe);
	}
}

/* Arms those whose request has ended and that have a buffer to wait with. True if any was. */
static bool rearm(struct recv_uring *shared)
{
	bool armed = false;

	for (unsigned i = 0; i < INPUT_NUMBERS; i++) {
		struct ingress *ingress = shared->live[i];

		if (!ingress || ingress->uring.armed)
			continue;
		refill(shared, ingress->uring.pool_class);
		if (shared->groups[ingress->uring.pool_class].posted == 0)
			continue;
		arm(ingress);
		armed |= ingress->uring.armed;
	}
	return armed;
}

/* Has the kernel complete what it can. */
static void look(struct ingress *ingress)
{
	if (io_uring_cq_ready(&ingress->uring.shared->uring) > 0)
		return;
	io_uring_get_events(&ingress->uring.shared->uring);
	counter_add(ingress->counters, COUNTER_system_calls, 1);
}

/* Whether nothing is left of what the kernel has put into the socket. */
static bool is_empty(const struct ingress *ingress)
{
	uint32_t memory[SK_MEMINFO_VARS];
	socklen_t size = sizeof(memory);

	counter_add(ingress->counters, COUNTER_system_calls, 1);
	return getsockopt(ingress->fd, SOL_SOCKET, SO_MEMINFO, memory, &size) == 0 &&
	       memory[SK_MEMINFO_RMEM_ALLOC] == 0 &&
	       io_uring_cq_ready(&ingress->uring.shared->uring) == 0;
}

/* How many frames the kernel has put into the socket. It forgets what it has said, and the
 * supervisor asks as well. The drops that it tells of besides are counted for it: each as one
 * packet. */
static uint64_t ask_accepted(const struct ingress *ingress)
{
	struct ring_position *position = ingress->position;
	struct tpacket_stats stats = {0};
	socklen_t size = sizeof(stats);

	counter_add(ingress->counters, COUNTER_system_calls, 1);
	getsockopt(ingress->fd, SOL_PACKET, PACKET_STATISTICS, &stats, &size);
	counter_add(ingress->counters, COUNTER_exhaustion_frames, stats.tp_drops);
	counter_add(ingress->counters, COUNTER_buffer_exhaustion, stats.tp_drops);
	position->accepted_here += stats.tp_packets - stats.tp_drops;
	return position->accepted_here + __atomic_load_n(&position->accepted, __ATOMIC_ACQUIRE);
}

/* In frames that nobody has seen: as many in each as in those that have been received, in the mean.
 */
static uint64_t estimate_packets(const struct ring_position *position, uint64_t frames)
{
	if (position->packets <= position->frames || position->frames == 0)
		return frames;
	return (frames * position->packets + position->frames / 2) / position->frames;
}

/* A predecessor has taken frames along when it died: those that it had not counted, and those that
 * io_uring had put into its buffers. When the socket is empty after we have asked, whatever had
 * been put there by then has been received, or is lost. */
static void count_lost(const struct ingress *ingress)
{
	struct ring_position *position = ingress->position;
	const uint32_t asking = __atomic_load_n(&position->asking, __ATOMIC_ACQUIRE);
	const uint64_t accepted = ask_accepted(ingress);
	const uint64_t received = position->frames - position->frames_at_first;
	uint64_t lost;

	if (asking % 2 || !is_empty(ingress) ||
	    __atomic_load_n(&position->asking, __ATOMIC_ACQUIRE) != asking)
		return; /* and once more when there is nothing to do again */
	position->doubtful = false;
	if (accepted <= received)
		return;
	lost = estimate_packets(position, accepted - received);
	books_count_lost(ingress->counters, ingress->in_hand, lost);
	counter_bump(&position->packets, lost);
	counter_bump(&position->frames, accepted - received);
}

/* Queues what has come, up to `max`, when nothing is queued. */
static void receive(struct ingress *ingress, unsigned max)
{
	struct recv_uring *shared = ingress->uring.shared;

	if (ingress->uring.queued > 0)
		return;
	refill(shared, ingress->uring.pool_class);
	if (shared->groups[ingress->uring.pool_class].posted == 0)
		counter_add(ingress->counters, COUNTER_pool_exhausted, 1);
	else if (!ingress->uring.armed)
		arm(ingress);
	look(ingress);
	take_completions(ingress, max);
	if (ingress->uring.queued == 0 && rearm(shared)) {
		look(ingress);
		take_completions(ingress, max);
	}
}

static unsigned uring_peek(struct ingress *ingress, struct frame *frames, unsigned max)
{
	unsigned n;

	receive(ingress, max);
	n = ingress->uring.queued < max ? ingress->uring.queued : max;
	for (unsigned i = 0; i < n; i++)
		frames[i] = *queued_frame(ingress, i);
	ingress->uring.next = (ingress->uring.next + n) % ingress->slots;
	ingress->uring.queued -= n;
	ingress->lent += n;
	if (n == 0 && ingress->position->doubtful &&
	    io_uring_cq_ready(&ingress->uring.shared->uring) == 0)
		count_lost(ingress);
	return n;
}

/* They are where they were, as long as they are lent. */
static void uring_unpeek(struct ingress *ingress, unsigned count)
{
	ingress->uring.next = (ingress->uring.next + ingress->slots - count) % ingress->slots;
	ingress->uring.queued += count;
	ingress->lent -= count;
}

static int uring_wait_fd(const struct ingress *ingress)
{
	return ingress->uring.shared->uring.ring_fd;
}

/* Behind a frame of another input, which that one has to take first, there may be anything. */
static uint64_t uring_next_time(struct ingress *ingress)
{
	receive(ingress, ingress->slots);
	if (ingress->uring.queued > 0)
		return queued_frame(ingress, 0)->time;
	return io_uring_cq_ready(&ingress->uring.shared->uring) > 0 ? 0 : UINT64_MAX;
}

const struct ingress_ops ingress_uring_ops = {
	.open = uring_open,
	.peek = uring_peek,
	.next_time = uring_next_time,
	.unpeek = uring_unpeek,
	.release = uring_release,
	.wait_fd = uring_wait_fd,
	.close = uring_close,
};
