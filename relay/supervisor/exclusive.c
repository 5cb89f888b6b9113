// SPDX-License-Identifier: MIT
/*
 * exclusive: see exclusive.h. The program is assembled by hand: forty instructions do not warrant
 * a BPF compiler in everybody's build. It uses the LD_ABS loads, which end the program with 0
 * (TC_ACT_OK, go on) by themselves where a frame is too short.
 */
#include "supervisor/exclusive.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <asm/byteorder.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <string.h>
#include <unistd.h>

/* What is taken of a rule's packets is said by two maps. The first: of every source, or it depends.
 */
struct key {
	uint32_t group, port; /* host order */
};
enum take { TAKE_ALL = 1, TAKE_BY_SOURCE };

/* The second, where it depends: prefixes of what follows the length, bit by bit. */
struct source_key {
	uint32_t bits;
	struct key key;
	uint32_t source; /* network order */
};
enum { KEY_BITS = 8 * sizeof(struct key), SOURCE_KEY_BITS = KEY_BITS + 32 };

enum { MAP_KEYS, MAP_SOURCES }; /* in place of their descriptors, in the program */

enum {
	ATTACH_TCX_INGRESS = 46, /* BPF_TCX_INGRESS, not yet in the headers of Linux 6.1 */
	TCX_NEXT = -1,
	TCX_DROP = 2,
	SKB_PROTOCOL = offsetof(struct __sk_buff, protocol), /* network order */
	SKB_VLAN_PRESENT = offsetof(struct __sk_buff, vlan_present),
	SKB_VLAN_TCI = offsetof(struct __sk_buff, vlan_tci),
	VLAN_BITS = 0x0fff,
	/* the second key has the first one in it */
	SOURCE_KEY_ON_STACK = -(int)sizeof(struct source_key),
	KEY_ON_STACK = SOURCE_KEY_ON_STACK + (int)offsetof(struct source_key, key),
	TO_NEXT = 0x7fff, /* a jump to where the packet is left to others, until that is known */
};

/* clang-format off */
#define LOAD(size, offset)    {.code = BPF_LD | (size) | BPF_ABS, .imm = (offset)}
#define LOAD_AT(size, reg, o) {.code = BPF_LD | (size) | BPF_IND, .src_reg = (reg), .imm = (o)}
#define COPY(dst, src)        {.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = (dst), .src_reg = (src)}
#define PLUS(dst, src)        {.code = BPF_ALU64 | BPF_ADD | BPF_X, .dst_reg = (dst), .src_reg = (src)}
#define SET(dst, value)       ALU(BPF_MOV, dst, value)
#define ALU(op, dst, value)   {.code = BPF_ALU64 | (op) | BPF_K, .dst_reg = (dst), .imm = (value)}
#define FIELD(dst, src, o)    {.code = BPF_LDX | BPF_W | BPF_MEM, .dst_reg = (dst), .src_reg = (src), .off = (o)}
#define BYTE(dst, src)        {.code = BPF_LDX | BPF_B | BPF_MEM, .dst_reg = (dst), .src_reg = (src)}
#define TO_NETWORK_ORDER(dst) {.code = BPF_ALU | BPF_END | BPF_TO_BE, .dst_reg = (dst), .imm = 32}
#define PUT(o, value)         {.code = BPF_ST | BPF_W | BPF_MEM, .dst_reg = BPF_REG_10, .off = (o), .imm = (value)}
/* one 64-bit load of a map's address */
#define MAP(dst, which)       {.code = BPF_LD | BPF_DW | BPF_IMM, .dst_reg = (dst), .src_reg = BPF_PSEUDO_MAP_FD, .imm = (which)}, {0}
#define STORE(o, src)         {.code = BPF_STX | BPF_W | BPF_MEM, .dst_reg = BPF_REG_10, .src_reg = (src), .off = (o)}
#define JUMP(op, value, o)    {.code = BPF_JMP | (op) | BPF_K, .dst_reg = BPF_REG_0, .imm = (value), .off = (o)}
#define CALL(function)        {.code = BPF_JMP | BPF_CALL, .imm = (function)}
#define EXIT                  {.code = BPF_JMP | BPF_EXIT}

/* Behind priority tags, as in input_filter.c; the kernel keeps the first tag beside the frame. */
static const struct bpf_insn find_ip_ethernet[] = {
	/*  0 */ COPY(BPF_REG_6, BPF_REG_1), /* these loads want the packet in r6 */
	/*  1 */ FIELD(BPF_REG_0, BPF_REG_6, SKB_VLAN_PRESENT),
	/*  2 */ JUMP(BPF_JEQ, 0, 2),
	/*  3 */ FIELD(BPF_REG_0, BPF_REG_6, SKB_VLAN_TCI),
	/*  4 */ JUMP(BPF_JSET, VLAN_BITS, TO_NEXT),
	/*  5 */ SET(BPF_REG_7, 14),
	/*  6 */ LOAD(BPF_H, 12),
	/*  7 */ JUMP(BPF_JEQ, ETH_P_IP, 14),
	/*  8 */ JUMP(BPF_JEQ, ETH_P_8021Q, 1),
	/*  9 */ JUMP(BPF_JNE, ETH_P_8021AD, TO_NEXT),
	/* 10 */ LOAD(BPF_H, 14),
	/* 11 */ JUMP(BPF_JSET, VLAN_BITS, TO_NEXT),
	/* 12 */ SET(BPF_REG_7, 18),
	/* 13 */ LOAD(BPF_H, 16),
	/* 14 */ JUMP(BPF_JEQ, ETH_P_IP, 7),
	/* 15 */ JUMP(BPF_JEQ, ETH_P_8021Q, 1),
	/* 16 */ JUMP(BPF_JNE, ETH_P_8021AD, TO_NEXT),
	/* 17 */ LOAD(BPF_H, 18),
	/* 18 */ JUMP(BPF_JSET, VLAN_BITS, TO_NEXT),
	/* 19 */ SET(BPF_REG_7, 22),
	/* 20 */ LOAD(BPF_H, 20),
	/* 21 */ JUMP(BPF_JNE, ETH_P_IP, TO_NEXT),
};

/* Whatever comes before it, the kernel knows where it is. */
static const struct bpf_insn find_ip_bare[] = {
	COPY(BPF_REG_6, BPF_REG_1),
	FIELD(BPF_REG_0, BPF_REG_6, SKB_PROTOCOL),
	JUMP(BPF_JNE, __constant_htons(ETH_P_IP), TO_NEXT),
	SET(BPF_REG_7, SKF_NET_OFF),
};

/* Of a datagram in fragments only the first one has the port. The host can make nothing of the
 * others. */
static const struct bpf_insn drop_ours[] = {
	LOAD_AT(BPF_B, BPF_REG_7, 9),
	JUMP(BPF_JNE, IPPROTO_UDP, TO_NEXT),
	LOAD_AT(BPF_H, BPF_REG_7, 6),
	JUMP(BPF_JSET, 0x1fff, TO_NEXT),
	LOAD_AT(BPF_W, BPF_REG_7, 16),
	STORE(KEY_ON_STACK, BPF_REG_0),
	LOAD_AT(BPF_B, BPF_REG_7, 0), /* header length, in words */
	ALU(BPF_AND, BPF_REG_0, 0x0f),
	ALU(BPF_LSH, BPF_REG_0, 2),
	COPY(BPF_REG_8, BPF_REG_7), /* where the IP header is */
	PLUS(BPF_REG_7, BPF_REG_0),
	LOAD_AT(BPF_H, BPF_REG_7, 2),
	STORE(KEY_ON_STACK + 4, BPF_REG_0),
	COPY(BPF_REG_2, BPF_REG_10),
	ALU(BPF_ADD, BPF_REG_2, KEY_ON_STACK),
	MAP(BPF_REG_1, MAP_KEYS),
	CALL(BPF_FUNC_map_lookup_elem),
	JUMP(BPF_JEQ, 0, TO_NEXT),
	BYTE(BPF_REG_0, BPF_REG_0),
	JUMP(BPF_JEQ, TAKE_ALL, 10),
	LOAD_AT(BPF_W, BPF_REG_8, 12),
	TO_NETWORK_ORDER(BPF_REG_0),
	STORE(SOURCE_KEY_ON_STACK + (int)offsetof(struct source_key, source), BPF_REG_0),
	PUT(SOURCE_KEY_ON_STACK, SOURCE_KEY_BITS),
	COPY(BPF_REG_2, BPF_REG_10),
	ALU(BPF_ADD, BPF_REG_2, SOURCE_KEY_ON_STACK),
	MAP(BPF_REG_1, MAP_SOURCES),
	CALL(BPF_FUNC_map_lookup_elem),
	JUMP(BPF_JEQ, 0, TO_NEXT),
	SET(BPF_REG_0, TCX_DROP),
	EXIT,
	SET(BPF_REG_0, TCX_NEXT),
	EXIT,
};
/* clang-format on */

static int load_program(const int map_fds[], bool bare)
{
	enum { OURS = sizeof(drop_ours) / sizeof(drop_ours[0]) };
	struct bpf_insn program[sizeof(find_ip_ethernet) / sizeof(find_ip_ethernet[0]) + OURS];
	const size_t find_bytes = bare ? sizeof(find_ip_bare) : sizeof(find_ip_ethernet);
	const size_t found = find_bytes / sizeof(program[0]), length = found + OURS;

	memcpy(program, bare ? find_ip_bare : find_ip_ethernet, find_bytes);
	memcpy(&program[found], drop_ours, sizeof(drop_ours));
	for (size_t i = 0; i < length; i++) {
		if (program[i].off == TO_NEXT)
			program[i].off = (int16_t)(length - 2 - 1 - i);
		if (program[i].src_reg == BPF_PSEUDO_MAP_FD &&
		    program[i].code == (BPF_LD | BPF_DW | BPF_IMM))
			program[i].imm = map_fds[program[i].imm];
	}
	return bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "mcrelay_take", "MIT", program, length, NULL);
}

static int take(const struct exclusive *exclusive, const struct rule *rule)
{
	const struct key key = {ntohl(rule->input.group.s_addr), rule->input.port};
	const uint8_t value = rule->num_sources ? TAKE_BY_SOURCE : TAKE_ALL;
	int rc = bpf_map_update_elem(exclusive->map_fd, &key, &value, BPF_ANY);

	for (unsigned i = 0; i < rule->num_sources && rc >= 0; i++) {
		const struct source_key source = {
			.bits = KEY_BITS + rule->sources[i].length,
			.key = key,
			.source = htonl(rule->sources[i].address),
		};

		rc = bpf_map_update_elem(exclusive->sources_fd, &source, &value, BPF_ANY);
	}
	return rc < 0 ? -errno : 0;
}

static int fill_maps(const struct exclusive *exclusive, const struct rules *rules,
		     const char *interface)
{
	int rc = 0;

	for (unsigned i = 0; i < rules->count && rc == 0; i++)
		if (strcmp(rules->rule[i].input.interface, interface) == 0)
			rc = take(exclusive, &rules->rule[i]);
	return rc;
}

static int create_maps(struct exclusive *exclusive)
{
	const struct bpf_map_create_opts on_demand = {.sz = sizeof(on_demand),
						      .map_flags = BPF_F_NO_PREALLOC};
	int rc;

	rc = exclusive->map_fd =
		bpf_map_create(BPF_MAP_TYPE_HASH, "mcrelay_rules", sizeof(struct key),
			       sizeof(uint8_t), RULES_MAX, NULL);
	if (rc >= 0)
		rc = exclusive->sources_fd = bpf_map_create(
			BPF_MAP_TYPE_LPM_TRIE, "mcrelay_sources", sizeof(struct source_key),
			sizeof(uint8_t), SOURCES_MAX, &on_demand);
	return rc < 0 ? rc : 0;
}

int exclusive_open(struct exclusive *exclusive, const struct rules *rules,
		   const struct netif *netif)
{
	int rc;

	libbpf_set_print(NULL); /* what matters of its messages is in the errno */
	rc = create_maps(exclusive);
	if (rc >= 0)
		rc = fill_maps(exclusive, rules, netif->name);
	if (rc >= 0)
		rc = exclusive->program_fd =
			load_program((int[]){exclusive->map_fd, exclusive->sources_fd},
				     netif_frames(netif) == NETIF_BARE);
	if (rc >= 0)
		rc = exclusive->link_fd =
			bpf_link_create(exclusive->program_fd, netif->index,
					(enum bpf_attach_type)ATTACH_TCX_INGRESS, NULL);
	if (rc >= 0)
		return 0;
	exclusive_close(exclusive);
	return rc;
}

void exclusive_close(struct exclusive *exclusive)
{
	if (exclusive->link_fd > 0)
		close(exclusive->link_fd);
	if (exclusive->program_fd > 0)
		close(exclusive->program_fd);
	if (exclusive->map_fd > 0)
		close(exclusive->map_fd);
	if (exclusive->sources_fd > 0)
		close(exclusive->sources_fd);
	*exclusive = (struct exclusive){0};
}
