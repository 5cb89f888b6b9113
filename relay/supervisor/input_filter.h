/* SPDX-License-Identifier: MIT
 *
 * input_filter: the program that the kernel runs on each frame of an interface before it may enter
 * the ring of an input (a classic BPF program, which any packet socket may have). It lets in what
 * rules name, and leaves everything else to the kernel: traffic that nobody asked for costs no
 * slot.
 *
 * What belongs to an interface is decided in three places, alike: here, in exclusive.c, and in
 * worker/packet.c. It is IPv4 UDP, behind any number of priority tags (VLAN 0; up to three of
 * them). What has the tag of a VLAN from 1 on is that VLAN's, whose interface has inputs of its
 * own.
 *
 * This filter is the coarse one: it compares 31 bits made from group and port, so that one
 * comparison does, and lets fragments in by their group alone, as all but the first have no port.
 */
#ifndef INPUT_FILTER_H
#define INPUT_FILTER_H

#include <linux/filter.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

/* The longest program has BPF_MAXINSNS instructions, and a key needs one and a half. */
enum { FILTER_KEYS_MAX = 2600 };

/* What is let in, in ascending order. */
struct filter_keys {
	bool everything; /* all UDP: there were too many */
	unsigned count;
	uint32_t key[FILTER_KEYS_MAX];
};

/* Packets to this group and port, and fragments to this group. */
void filter_keys_add(struct filter_keys *keys, struct in_addr group, uint16_t port);

bool filter_keys_equal(const struct filter_keys *a, const struct filter_keys *b);

/* Which frames: those of `min` to `max` bytes. */
struct filter_frames {
	bool bare; /* not of Ethernet, see enum netif_frames */
	uint32_t min, max;
};

struct input_filter {
	unsigned length;
	struct sock_filter code[BPF_MAXINSNS];
};

/* Makes the program. */
void input_filter_build(struct input_filter *filter, const struct filter_frames *frames,
			const struct filter_keys *keys);

#endif
