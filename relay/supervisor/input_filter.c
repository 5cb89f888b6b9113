// SPDX-License-Identifier: MIT
/*
 * input_filter: see input_filter.h. The program is one piece: is it a frame for this socket; where
 * is its IP header (in X); which key do group and port make (in A); is that one of ours.
 *
 * The last part is a binary search whose leaves are short rows of comparisons:
 *
 *     A >= key[16]? ──▶ ...
 *     A >= key[8]?  ──▶ key[8] .. key[15]
 *     key[0]? key[1]? ... key[7]? reject, accept
 *
 * With 1,000 keys that is 7 jumps and 4 comparisons for a frame that is let in.
 */
#include "supervisor/input_filter.h"

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <string.h>

enum {
	LEAF_KEYS = 8,
	TO_REJECT = 255,       /* a jump's distance until the end is known */
	KEY_BITS = 0x7fffffff, /* comparisons with more of them take two machine instructions */
	VLAN_BITS = 0x0fff,
	FRAGMENT_BITS = 0x3fff, /* more fragments, fragment offset */
	GROUP = 0,		/* in the program's memory */
};

/* 2^32 divided by the golden ratio */
#define PORT_SPREAD 0x9e3779b1U
#define ACCEPT	    0xffffffffU

/* ------------------------------------------------------------------------- keys */

static uint32_t key_of(struct in_addr group, uint16_t port)
{
	return (ntohl(group.s_addr) ^ port * PORT_SPREAD) & KEY_BITS;
}

/* The index of the first one that is not less. */
static unsigned place_of(const struct filter_keys *keys, uint32_t key)
{
	unsigned low = 0, high = keys->count;

	while (low < high) {
		const unsigned middle = (low + high) / 2;

		if (keys->key[middle] < key)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void insert(struct filter_keys *keys, uint32_t key)
{
	const unsigned place = place_of(keys, key);

	if (keys->everything || (place < keys->count && keys->key[place] == key))
		return;
	if (keys->count == FILTER_KEYS_MAX) {
		keys->everything = true;
		return;
	}
	memmove(&keys->key[place + 1], &keys->key[place],
		(keys->count - place) * sizeof(keys->key[0]));
	keys->key[place] = key;
	keys->count++;
}

void filter_keys_add(struct filter_keys *keys, struct in_addr group, uint16_t port)
{
	insert(keys, key_of(group, port));
	insert(keys, key_of(group, 0));
}

bool filter_keys_equal(const struct filter_keys *a, const struct filter_keys *b)
{
	if (a->everything || b->everything)
		return a->everything && b->everything;
	return a->count == b->count && memcmp(a->key, b->key, a->count * sizeof(a->key[0])) == 0;
}

/* ------------------------------------------------------------------------- the program */

static void emit(struct input_filter *filter, const struct sock_filter *code, unsigned length)
{
	memcpy(&filter->code[filter->length], code, length * sizeof(*code));
	filter->length += length;
}

#define EMIT(filter, ...)                                           \
	do {                                                        \
		const struct sock_filter code[] = {__VA_ARGS__};    \
                                                                    \
		emit(filter, code, sizeof(code) / sizeof(code[0])); \
	} while (0)

#define LOAD(size, offset)	    BPF_STMT(BPF_LD | (size) | BPF_ABS, (uint32_t)(offset))
#define LOAD_BEHIND_X(size, offset) BPF_STMT(BPF_LD | (size) | BPF_IND, (offset))
#define JUMP(op, value, yes, no)    BPF_JUMP(BPF_JMP | (op) | BPF_K, (uint32_t)(value), (yes), (no))
#define SKIP(count)		    BPF_JUMP(BPF_JMP | BPF_JA, (count), 0, 0)
#define RETURN(value)		    BPF_STMT(BPF_RET | BPF_K, (value))

/* What this host sends is refused here, too: PACKET_IGNORE_OUTGOING is asked of the socket, but the
 * members of a fanout group receive through the group. */
static void emit_is_ours(struct input_filter *filter, const struct filter_frames *frames)
{
	EMIT(filter, LOAD(BPF_B, SKF_AD_OFF + SKF_AD_PKTTYPE),
	     JUMP(BPF_JEQ, PACKET_OUTGOING, TO_REJECT, 0), BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
	     JUMP(BPF_JGE, frames->min, 0, TO_REJECT), JUMP(BPF_JGT, frames->max, TO_REJECT, 0));
}

/* The kernel takes the first tag off the frame, and keeps it beside it. */
static void emit_find_ip_ethernet(struct input_filter *filter)
{
	EMIT(filter,
	     /* 0 */ LOAD(BPF_B, SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT),
	     /* 1 */ JUMP(BPF_JEQ, 0, 2, 0),
	     /* 2 */ LOAD(BPF_H, SKF_AD_OFF + SKF_AD_VLAN_TAG),
	     /* 3 */ JUMP(BPF_JSET, VLAN_BITS, TO_REJECT, 0),
	     /* 4 */ BPF_STMT(BPF_LDX | BPF_IMM, 14),
	     /* 5 */ LOAD(BPF_H, 12),
	     /* 6 */ JUMP(BPF_JEQ, ETH_P_IP, 14, 0),
	     /* 7 */ JUMP(BPF_JEQ, ETH_P_8021Q, 1, 0),
	     /* 8 */ JUMP(BPF_JEQ, ETH_P_8021AD, 0, TO_REJECT),
	     /* 9 */ LOAD(BPF_H, 14),
	     /* 10 */ JUMP(BPF_JSET, VLAN_BITS, TO_REJECT, 0),
	     /* 11 */ BPF_STMT(BPF_LDX | BPF_IMM, 18),
	     /* 12 */ LOAD(BPF_H, 16),
	     /* 13 */ JUMP(BPF_JEQ, ETH_P_IP, 7, 0),
	     /* 14 */ JUMP(BPF_JEQ, ETH_P_8021Q, 1, 0),
	     /* 15 */ JUMP(BPF_JEQ, ETH_P_8021AD, 0, TO_REJECT),
	     /* 16 */ LOAD(BPF_H, 18),
	     /* 17 */ JUMP(BPF_JSET, VLAN_BITS, TO_REJECT, 0),
	     /* 18 */ BPF_STMT(BPF_LDX | BPF_IMM, 22),
	     /* 19 */ LOAD(BPF_H, 20),
	     /* 20 */ JUMP(BPF_JEQ, ETH_P_IP, 0, TO_REJECT));
	/* 21 */
}

/* Whatever comes before it, the kernel knows where it is. */
static void emit_find_ip_bare(struct input_filter *filter)
{
	EMIT(filter, LOAD(BPF_H, SKF_AD_OFF + SKF_AD_PROTOCOL),
	     JUMP(BPF_JEQ, ETH_P_IP, 0, TO_REJECT),
	     BPF_STMT(BPF_LDX | BPF_IMM, (uint32_t)SKF_NET_OFF));
}

/* The same as key_of. */
static void emit_make_key(struct input_filter *filter)
{
	EMIT(filter,
	     /* 0 */ LOAD_BEHIND_X(BPF_W, 16),
	     /* 1 */ BPF_STMT(BPF_ST, GROUP),
	     /* 2 */ LOAD_BEHIND_X(BPF_H, 6),
	     /* 3 */ JUMP(BPF_JSET, FRAGMENT_BITS, 8, 0),
	     /* 4: header length, in words */ LOAD_BEHIND_X(BPF_B, 0),
	     /* 5 */ BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0x0f),
	     /* 6 */ BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 2),
	     /* 7 */ BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0),
	     /* 8 */ BPF_STMT(BPF_MISC | BPF_TAX, 0),
	     /* 9 */ LOAD_BEHIND_X(BPF_H, 2),
	     /* 10 */ BPF_STMT(BPF_ALU | BPF_MUL | BPF_K, PORT_SPREAD),
	     /* 11 */ SKIP(1),
	     /* 12 */ BPF_STMT(BPF_LD | BPF_IMM, 0),
	     /* 13 */ BPF_STMT(BPF_MISC | BPF_TAX, 0),
	     /* 14 */ BPF_STMT(BPF_LD | BPF_MEM, GROUP),
	     /* 15 */ BPF_STMT(BPF_ALU | BPF_XOR | BPF_X, 0),
	     /* 16 */ BPF_STMT(BPF_ALU | BPF_AND | BPF_K, KEY_BITS));
}

/* Rejects what the instructions before say so of; others go on behind. */
static void emit_reject(struct input_filter *filter)
{
	EMIT(filter, SKIP(1), RETURN(0));
	for (unsigned i = 0; i < filter->length; i++) {
		const uint8_t distance = (uint8_t)(filter->length - 2 - i);

		if (filter->code[i].jt == TO_REJECT)
			filter->code[i].jt = distance;
		if (filter->code[i].jf == TO_REJECT)
			filter->code[i].jf = distance;
	}
}

static void emit_search(struct input_filter *filter, const uint32_t *keys, unsigned count)
{
	const unsigned half = (count / 2 + LEAF_KEYS - 1) / LEAF_KEYS * LEAF_KEYS;
	unsigned skip;

	if (count <= LEAF_KEYS) {
		for (unsigned i = 0; i < count; i++)
			EMIT(filter, JUMP(BPF_JEQ, keys[i], (uint8_t)(count - i), 0));
		EMIT(filter, RETURN(0), RETURN(ACCEPT));
		return;
	}
	/* further away than a conditional jump can go */
	EMIT(filter, JUMP(BPF_JGE, keys[half], 0, 1), SKIP(0));
	skip = filter->length - 1;
	emit_search(filter, keys, half);
	filter->code[skip].k = filter->length - 1 - skip;
	emit_search(filter, keys + half, count - half);
}

void input_filter_build(struct input_filter *filter, const struct filter_frames *frames,
			const struct filter_keys *keys)
{
	filter->length = 0;
	emit_is_ours(filter, frames);
	if (frames->bare)
		emit_find_ip_bare(filter);
	else
		emit_find_ip_ethernet(filter);
	EMIT(filter, LOAD_BEHIND_X(BPF_B, 9), JUMP(BPF_JEQ, IPPROTO_UDP, 0, TO_REJECT));
	if (!keys->everything)
		emit_make_key(filter);
	emit_reject(filter);
	if (keys->everything)
		EMIT(filter, RETURN(ACCEPT));
	else
		emit_search(filter, keys->key, keys->count);
}
