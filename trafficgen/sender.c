// SPDX-License-Identifier: MIT
/*
 * sender: one thread of 'trafficgen send'; see send.h. In each turn of its loop: how many packets
 * are due, lay them out as messages, one system call for them, account for what the kernel took.
 *
 * A packet counts as sent when the kernel took it. What a queue or device drops afterwards is in
 * the interface's counters: IP_RECVERR would report some of these drops to the sender, but for a
 * segmented message only that of its last segment, and the account would be wrong.
 */
#include "common/clock.h"
#include "payload.h"
#include "send.h"

#include <errno.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#define REFUSAL_NAP_NS (100 * NS_PER_US) /* unpaced: after a refusal, instead of spinning */

static struct source *sender_next_source(struct sender *sender)
{
	const struct send_settings *settings = &sender->generator->settings;
	struct source *source = &sender->generator->sources[sender->next_source];

	sender->next_source += (unsigned)settings->threads;
	if (sender->next_source >= settings->flows)
		sender->next_source = sender->first_source;
	return source;
}

unsigned message_packets(const struct generator *generator, unsigned size, unsigned gso)
{
	unsigned fit = PAYLOAD_MAX / size;

	if (size > generator->largest_segment)
		return 1;
	return gso < fit ? gso : fit;
}

/* Message number `index` is to be `packets` of `size` bytes at `bytes`. */
static void sender_lay_message(struct sender *sender, unsigned index, struct source *source,
			       uint8_t *bytes, unsigned packets, uint16_t size)
{
	struct msghdr *header = &sender->batch.messages[index].msg_hdr;

	sender->batch.vectors[index] = (struct iovec){bytes, (size_t)packets * size};
	sender->packets_in[index] = (uint16_t)packets;
	memcpy(CMSG_DATA(&sender->batch.controls[index].header), &size, sizeof(size));
	header->msg_name = &source->to;
	header->msg_controllen = packets > 1 ? sizeof(*sender->batch.controls) : 0;
}

/* What the packet begins with, where there is a tunnel; returns where its payload of `size` bytes
 * is. */
static uint8_t *sender_begin(const struct generator *generator, const struct source *source,
			     uint8_t *at, uint16_t size)
{
	if (generator->tunnel_bytes == 0)
		return at;
	memcpy(at, source->tunnel, generator->tunnel_bytes);
	tunnel_set_payload(at, generator->tunnel_bytes, size);
	return at + generator->tunnel_bytes;
}

/* Lays out up to a batch of messages of what is due, in which no message is cut short unless it is
 * the only one; returns their number. */
static unsigned sender_prepare(struct sender *sender, struct source *source, uint64_t due,
			       uint64_t sent_ns)
{
	const struct generator *generator = sender->generator;
	unsigned most =
		generator->settings.interleave ? 1 : (unsigned)generator->settings.common.batch;
	struct payload payload = {source->flow, source->next_sequence, sent_ns};
	uint8_t *at = sender->packets;
	unsigned messages = 0;

	while (messages < most && due > 0) {
		uint16_t size = sizes_of(&generator->sizes, payload.sequence);
		uint16_t whole = (uint16_t)(size + generator->tunnel_bytes);
		unsigned packets = sizes_run(&generator->sizes, payload.sequence,
					     message_packets(generator, whole, sender->gso));

		if (packets > due && messages > 0)
			break;
		if (packets > due)
			packets = (unsigned)due;
		sender_lay_message(sender, messages++, source, at, packets, whole);
		due -= packets;
		/* the header of a shorter packet ends in the next one, which is written then */
		for (; packets > 0; packets--, payload.sequence++, at += size) {
			at = sender_begin(generator, source, at, size);
			payload_write(at, &payload);
			if (generator->settings.common.verify)
				payload_seal(at, size);
		}
	}
	return messages;
}

/* What the kernel says of a segmented message that this path cannot carry: EIO without checksum
 * offload (before 6.11) or under IPsec; EINVAL or, on newer kernels, EMSGSIZE when the route's MTU
 * is smaller than the interface's. */
static bool refuses_gso(int error)
{
	return error == EIO || error == EINVAL || error == EMSGSIZE;
}

/* Plain sends from here on; nothing of the refused message counts as sent or as an error. */
static void sender_give_up_gso(struct sender *sender, int error)
{
	struct generator *generator = sender->generator;

	sender->gso = 1;
	pacer_set_burst(&sender->pacer, 1, generator->settings.common.batch);
	if (!atomic_exchange(&generator->fallback, true))
		complain(&generator->run,
			 "the kernel refuses segmented messages here (%s); going on with plain "
			 "sends",
			 strerrorname_np(error));
}

void sleep_until(uint64_t ns)
{
	struct timespec at = {(time_t)(ns / NS_PER_SECOND), (long)(ns % NS_PER_SECOND)};

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

/* The first message of the call was refused; the others were not tried. */
static void sender_refused(struct sender *sender, int error, uint64_t at_ns)
{
	unsigned refused = sender->packets_in[0];

	if (error == EINTR)
		return;
	if (refused > 1 && refuses_gso(error)) {
		sender_give_up_gso(sender, error);
		return;
	}
	/* they had their turn: the pace goes on, and so does the run towards its end */
	pacer_release(&sender->pacer, refused);
	sender->refused[error < ERRNO_COUNT ? error : 0] += refused;
	if (sender->generator->settings.rate_pps == 0)
		sleep_until(at_ns + REFUSAL_NAP_NS);
}

/* One system call: up to a batch of messages of one flow. */
static void sender_send(struct sender *sender, uint64_t due, uint64_t at_ns)
{
	struct source *source = sender_next_source(sender);
	unsigned messages = sender_prepare(sender, source, due, at_ns);
	int taken = sendmmsg(source->fd, sender->batch.messages, messages, 0);
	unsigned sent = 0;

	sender->send_calls++;
	if (taken < 0) {
		sender_refused(sender, errno, at_ns);
		return;
	}
	for (int i = 0; i < taken; i++) {
		sent += sender->packets_in[i];
		sender->bytes_sent += sender->batch.vectors[i].iov_len;
	}
	source->next_sequence += sent;
	pacer_release(&sender->pacer, sent);
	atomic_fetch_add_explicit(&sender->packets_sent, sent, memory_order_relaxed);
}

void *sender_run(void *argument)
{
	struct sender *sender = argument;
	uint64_t now, due, wake;

	prctl(PR_SET_TIMERSLACK, 1ul); /* ns; the default adds 50 us to every sleep */
	while (!atomic_load_explicit(&stop_requested, memory_order_relaxed)) {
		now = now_ns();
		if (pacer_done(&sender->pacer, now))
			break;
		due = pacer_due(&sender->pacer, now);
		if (due > 0) {
			sender_send(sender, due, now);
			continue;
		}
		wake = pacer_wake_ns(&sender->pacer);
		sleep_until(wake < now + STOP_CHECK_NS ? wake : now + STOP_CHECK_NS);
	}
	sender->end_ns = now_ns();
	sem_post(&sender->generator->finished);
	return NULL;
}

/* ---- setting up ------------------------------------------------------------------------------ */

/* This sender's part of a total: parts differ by one at most and add up. */
static uint64_t share(uint64_t total, uint64_t parts, uint64_t index)
{
	return total / parts + (index < total % parts);
}

void sender_set_pace(struct sender *sender, unsigned index)
{
	const struct send_settings *settings = &sender->generator->settings;
	struct pacer *pacer = &sender->pacer;

	pacer->rate_pps = share(settings->rate_pps, settings->threads, index);
	pacer->start_ns = sender->generator->run.start_ns;
	pacer->at_once = share(settings->burst, settings->threads, index);
	pacer->limit = PACER_NO_LIMIT;
	pacer->end_ns = PACER_NO_LIMIT;
	if (settings->common.count)
		pacer->limit = share(settings->common.count, settings->threads, index);
	if (settings->common.duration_ms)
		pacer->end_ns = pacer->start_ns + settings->common.duration_ms * NS_PER_MS;
	pacer_set_burst(pacer, sender->generator->segments, settings->common.batch);
}

/* Bytes that a batch can take: of each message, and what the header of a short last packet exceeds.
 */
static size_t batch_bytes(const struct generator *generator)
{
	size_t message =
		(size_t)generator->segments * (generator->sizes.largest + generator->tunnel_bytes);

	if (message > PAYLOAD_MAX)
		message = PAYLOAD_MAX;
	return generator->settings.common.batch * message + PAYLOAD_MIN;
}

int sender_init(struct sender *sender, struct generator *generator, unsigned index)
{
	size_t count = generator->settings.common.batch, bytes = batch_bytes(generator);

	sender->generator = generator;
	sender->gso = (unsigned)generator->settings.gso;
	sender->first_source = sender->next_source = index;
	sender->packets = malloc(bytes);
	sender->packets_in = calloc(count, sizeof(*sender->packets_in));
	if (!sender->packets || !sender->packets_in || batch_init(&sender->batch, count) < 0)
		return -ENOMEM;
	payload_fill(sender->packets, bytes, 0);
	for (size_t i = 0; i < count; i++) {
		sender->batch.messages[i].msg_hdr.msg_namelen = sizeof(struct sockaddr_in);
		sender->batch.controls[i].header =
			(struct cmsghdr){CMSG_LEN(sizeof(uint16_t)), SOL_UDP, UDP_SEGMENT};
	}
	return 0;
}

void sender_exit(struct sender *sender)
{
	free(sender->packets);
	free(sender->packets_in);
	batch_exit(&sender->batch);
}
