#!/usr/bin/env bats
# A sender's GSO on a link that carries aggregates whole, and GRO of the receiving interface: the relay
# finds up to 64 packets in one slot, cuts them apart and counts them one by one. The links towards
# the receivers do not carry aggregates, so what these count are packets.

load ../lib/testbed

setup_file() {
	testbed build
}

build() {
	topology fanout
}

IN=in0:$GROUP_IN:5000
ONE=$(rule agg "$IN" "out0:$GROUP_OUT:6000")
THREE=$(rule agg "$IN" "out0:$GROUP_OUT:6000" "out1:$GROUP_OUT:6000" "out2:$GROUP_OUT:6000")

# offload NODE INTERFACE FEATURE...: on, until the end of the test.
offload() {
	local feature
	for feature in "${@:3}"; do
		undo_push ip netns exec "$(namespace "$1")" ethtool -K "$2" "$feature" off
		at "$1" ethtool -K "$2" "$feature" on
	done
}

# The sender's link carries aggregates.
whole() {
	offload gen out0 tx-udp-segmentation
}

# The sender's link carries packets, one burst after the other; the receiving interface joins them.
joined() {
	offload r1 in0 gro rx-udp-gro-forwarding
}

# relays FRAMES COUNT RULES OPTION... -- SEND-OPTION...: COUNT packets come in FRAMES frames, and all leave through
# all outputs.
relays() {
	local frames=$1 count=$2 rules=$3 sinks i options=()
	shift 3
	while [[ $1 != -- ]]; do
		options+=("$1")
		shift
	done
	relay_start "$rules" "${options[@]}"
	sinks=$(gojq '.rules[0].outputs | length' "$WORK/rules.json")
	for ((i = 0; i < sinks; i++)); do
		receive_start "sink$i"
	done
	send --verify --count "$count" "${@:2}"
	eventually relay_counts recv_packets "$count"
	relay_stop
	for ((i = 0; i < sinks; i++)); do
		receive_end "sink$i"
		assert_intact "sink$i" "$count"
	done
	assert_counters recv_packets="$count" matched="$count" egress_sent="$((count * sinks))"
	assert_counters recv_frames="$frames"
	assert_ledger_closed
}

@test "aggregates of a sender are relayed packet by packet, to the bit" {
	local size gso
	whole
	for size in 18 512 1400; do
		for gso in 32 40; do
			printf '%s bytes, --gso %s\n' "$size" "$gso"
			relays $((640 / gso)) 640 "$ONE" -- --size "$size" --gso "$gso"
		done
	done
}

@test "an aggregate with a shorter last one, and single packets between" {
	whole
	# 100 packets: aggregates of 32, 32, 32 and 4
	relays 4 100 "$ONE" -- --size 300 --gso 32 --batch 1
	relays 2 33 "$ONE" -- --size 300 --gso 32
}

@test "aggregates to three outputs" {
	whole
	relays 20 640 "$THREE" -- --size 1400 --gso 32
	relays 10 640 "$THREE" --gso off -- --size 512 --gso 64
	relays 10 640 "$THREE" --egress sendmmsg -- --size 18 --gso 64
	relays 20 640 "$THREE" --thread-model split --egress-reap deferred \
		-- --size 1400 --gso 32
}

@test "aggregates that fit a small slot need no larger one" {
	whole
	relays 10 640 "$ONE" -- --size 18 --gso 64
}

@test "uring ingress: aggregates of every size, in buffers or in a ring of their own" {
	whole
	relays 20 640 "$ONE" --ingress uring -- --size 18 --gso 32
	relays 20 640 "$THREE" --ingress uring -- --size 1400 --gso 32
	relays 20 640 "$ONE" --ingress uring --num-workers 2 -- --size 1000 --gso 32
}

@test "large and small frames of one flow, received apart, keep their order" {
	local mode
	whole
	for mode in "" "--ingress uring" "--ingress uring --thread-model split"; do
		printf 'with %s\n' "$mode"
		# shellcheck disable=SC2086 # words
		relay_start "$ONE" $mode
		receive_start sink0
		freeze relay
		send --verify --size 1400x32,100,1400x3,100x2 --gso 32 --count 760
		signal CONT relay
		eventually relay_counts recv_packets 760
		relay_stop
		receive_end sink0
		assert_intact sink0 760
		assert_counters matched=760 egress_sent=760 drop_truncated=0 '.inputs[0].slot_bytes=2048' \
			'.inputs[0].large_slots=60' '.inputs[0].large_slot_bytes=69632'
		assert_ledger_closed
	done
}

@test "aggregates that nobody asked for do not enter a ring" {
	whole
	relay_start "$ONE"
	send --size 1400 --gso 32 --count 320 --port 5001
	send --size 1400 --gso 32 --count 32
	eventually relay_counts recv_packets 32
	relay_stop
	assert_counters drop_no_match=0 recv_frames=1 matched=32
}

@test "what GRO joined is relayed packet by packet, to the bit" {
	local size
	joined
	for size in 18 512 1400; do
		printf '%s bytes\n' "$size"
		relays 20 640 "$ONE" -- --size "$size" --gso 32
	done
}

@test "what GRO joined, to three outputs" {
	joined
	relays 20 640 "$THREE" --egress-reap deferred -- --size 512 --gso 32
}

@test "what GRO joined of several flows and two workers" {
	joined
	relays 40 640 "$THREE" --num-workers 2 -- --size 1000 --gso 16 --flows 8
}
