// SPDX-License-Identifier: MIT
/*
 * exclusive: see exclusive.h. The program is assembled by hand: twenty instructions do not warrant
 * a BPF compiler in everybody's build. It uses the LD_ABS loads, which end the program with 0
 * (TC_ACT_OK, go on) by themselves where a frame is too short.
 */
#include "supervisor/exclusive.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <string.h>
#include <unistd.h>

enum {
	ATTACH_TCX_INGRESS = 46, /* BPF_TCX_INGRESS, not yet in the headers of Linux 6.1 */
	TCX_NEXT = -1,
	TCX_DROP = 2,
	SKB_VLAN_PRESENT = offsetof(struct __sk_buff, vlan_present),
	KEY_ON_STACK = -8,
};

struct key {
	uint32_t group, port; /* host order */
};

/* clang-format off */
#define LOAD(size, offset)    {.code = BPF_LD | (size) | BPF_ABS, .imm = (offset)}
#define COPY(dst, src)        {.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = (dst), .src_reg = (src)}
#define SET(dst, value)       {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = (dst), .imm = (value)}
#define ADD(dst, value)       {.code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = (dst), .imm = (value)}
#define FIELD(dst, src, o)    {.code = BPF_LDX | BPF_W | BPF_MEM, .dst_reg = (dst), .src_reg = (src), .off = (o)}
#define STORE(o, src)         {.code = BPF_STX | BPF_W | BPF_MEM, .dst_reg = BPF_REG_10, .src_reg = (src), .off = (o)}
#define JUMP(op, value, o)    {.code = BPF_JMP | (op) | BPF_K, .dst_reg = BPF_REG_0, .imm = (value), .off = (o)}
#define CALL(function)        {.code = BPF_JMP | BPF_CALL, .imm = (function)}
#define EXIT                  {.code = BPF_JMP | BPF_EXIT}

static int load_program(int map_fd)
{
	const struct bpf_insn program[] = {
		/*  0 */ COPY(BPF_REG_6, BPF_REG_1), /* LD_ABS wants the packet in r6 */
		/*  1 */ FIELD(BPF_REG_0, BPF_REG_6, SKB_VLAN_PRESENT),
		/*  2 */ JUMP(BPF_JNE, 0, 20), /* a VLAN's packets are another interface's */
		/*  3 */ LOAD(BPF_H, 12), /* EtherType */
		/*  4 */ JUMP(BPF_JNE, ETH_P_IP, 18),
		/*  5 */ LOAD(BPF_B, 14), /* version and header length: no options */
		/*  6 */ JUMP(BPF_JNE, 0x45, 16),
		/*  7 */ LOAD(BPF_B, 23), /* protocol */
		/*  8 */ JUMP(BPF_JNE, IPPROTO_UDP, 14),
		/*  9 */ LOAD(BPF_H, 20), /* more fragments, fragment offset */
		/* 10 */ JUMP(BPF_JSET, 0x3fff, 12),
		/* 11 */ LOAD(BPF_W, 30), /* destination address */
		/* 12 */ STORE(KEY_ON_STACK, BPF_REG_0),
		/* 13 */ LOAD(BPF_H, 36), /* destination port */
		/* 14 */ STORE(KEY_ON_STACK + 4, BPF_REG_0),
		/* 15 */ COPY(BPF_REG_2, BPF_REG_10),
		/* 16 */ ADD(BPF_REG_2, KEY_ON_STACK),
		/* 17, 18: one 64-bit load of the map's address */
		{.code = BPF_LD | BPF_DW | BPF_IMM, .dst_reg = BPF_REG_1,
		 .src_reg = BPF_PSEUDO_MAP_FD, .imm = map_fd},
		{0},
		/* 19 */ CALL(BPF_FUNC_map_lookup_elem),
		/* 20 */ JUMP(BPF_JEQ, 0, 2),
		/* 21 */ SET(BPF_REG_0, TCX_DROP),
		/* 22 */ EXIT,
		/* 23 */ SET(BPF_REG_0, TCX_NEXT),
		/* 24 */ EXIT,
	};

	return bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "mcrelay_take", "MIT", program,
			     sizeof(program) / sizeof(program[0]), NULL);
}
/* clang-format on */

static int fill_map(int map_fd, const struct rules *rules, const char *interface)
{
	const uint8_t present = 1;

	for (unsigned i = 0; i < rules->count; i++) {
		const struct endpoint *from = &rules->rule[i].input;
		const struct key key = {ntohl(from->group.s_addr), from->port};

		if (strcmp(from->interface, interface) == 0 &&
		    bpf_map_update_elem(map_fd, &key, &present, BPF_ANY) < 0)
			return -errno;
	}
	return 0;
}

int exclusive_open(struct exclusive *exclusive, const struct rules *rules, const char *interface,
		   int ifindex)
{
	int rc;

	libbpf_set_print(NULL); /* what matters of its messages is in the errno */
	rc = exclusive->map_fd =
		bpf_map_create(BPF_MAP_TYPE_HASH, "mcrelay_rules", sizeof(struct key),
			       sizeof(uint8_t), RULES_MAX, NULL);
	if (rc >= 0)
		rc = fill_map(exclusive->map_fd, rules, interface);
	if (rc >= 0)
		rc = exclusive->program_fd = load_program(exclusive->map_fd);
	if (rc >= 0)
		rc = exclusive->link_fd =
			bpf_link_create(exclusive->program_fd, ifindex,
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
	*exclusive = (struct exclusive){0};
}
