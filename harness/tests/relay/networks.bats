#!/usr/bin/env bats
# Networks of several relays over links as they are by default: aggregates cross them whole, so what one relay sends as one
# the next one finds as one. The relays have default options, and then uring ingress. What is sent is fewer frames than a
# ring has slots of a kind, and than the socket behind the buffers holds: nothing can be lost, however slow a relay is.
#
#   gen  out0 ──▶ in0       out0 ──▶ in0 leaf0 out0 ──▶ in0 sink0 out0 ──▶ in0 sink
#   gen1 out0 ──▶ in1  r1   out1 ──▶ in0 leaf1 out0 ──▶ in0 sink1
#   gen2 out0 ──▶ in2       out2 ──▶ in0 leaf2 out0 ──▶ in0 sink2
#
# sink0 is a relay, too, in the chain of three.

load ../lib/testbed
load ../lib/whole_links

build() {
	local i
	node gen && node gen1 && node gen2 && node r1 && node sink
	link gen out0 10.77.1.1 r1 in0 10.77.1.2
	link gen1 out0 10.77.2.1 r1 in1 10.77.2.2
	link gen2 out0 10.77.3.1 r1 in2 10.77.3.2
	for i in 0 1 2; do
		node "leaf$i" && node "sink$i"
		link r1 "out$i" "10.77.1$i.1" "leaf$i" in0 "10.77.1$i.2"
		link "leaf$i" out0 "10.77.2$i.1" "sink$i" in0 "10.77.2$i.2"
	done
	link sink0 out0 10.77.30.1 sink in0 10.77.30.2
}

setup_file() {
	testbed build
}

setup() {
	harness_setup
	HOPS=()
}

IN=in0:$GROUP_IN:5000
BETWEEN=239.255.9.9:5009
RULE_FIRST=$(rule first "$IN" "out0:$BETWEEN")
RULE_LAST=$(rule last "in0:$BETWEEN" "out0:$GROUP_OUT:6000")

# hop NODE RULES [OPTION]...: a relay at NODE, with INGRESS.
hop() {
	rm -f "$WORK/$1.json" # of the one before
	rule_file "$2" >"$WORK/$1.rules"
	SKEW[$1]=$(node_backlog "$1")
	spawn "$1" "$1" "$RELAY" --config "$WORK/$1.rules" --control-socket-path "$WORK/$1.control" \
		--ingress "$INGRESS" --stats-file "$WORK/$1.json" --stats-interval-ms 0 "${@:3}"
	ready "$1" '^\[INFO:[A-Za-z]*\] ready'
	HOPS+=("$1")
}

# hops_end: each relay, in the order in which they were started, has been sent all and ends when it has relayed it.
hops_end() {
	local node
	for node in "${HOPS[@]}"; do
		eventually node_settled "$node"
		stop "$node"
		assert_equal "$node ${EXIT[$node]}" "$node 0"
	done
	HOPS=()
}

# assert_relayed NODE COUNT COPIES: the account of its relay: so many packets came, and each left so many times.
assert_relayed() {
	assert_equal "$1 $(jq -c '.total | [.arrived, .recv_packets, .matched, .egress_sent, .filtered, .buffer_exhaustion, .egress_errors]' \
		"$WORK/$1.json")" "$1 [$2,$2,$2,$(($2 * $3)),0,0,0]"
}

# assert_whole NODE COUNT: of the packets of one stream, each came to its receiver once, in order, not a byte changed.
assert_whole() {
	assert_equal "$1 $(jq -c '[.received, .lost, .duplicated, .reordered, .stale, .corrupt, .unverified, .foreign, .socket_drops]' \
		"$WORK/$1.json")" "$1 [$2,0,0,0,0,0,0,0,0]"
}

# assert_aggregates NODE: its relay found packets that had come together.
assert_aggregates() {
	(($(json_value "$WORK/$1.json" .total.recv_frames) < $(json_value "$WORK/$1.json" .total.recv_packets))) ||
		fail "$1 found no aggregate"
}

# chain [OPTION]...: three relays in a row.
chain() {
	hop r1 "$RULE_FIRST" "$@"
	hop leaf0 "$(rule second "in0:$BETWEEN" "out0:$GROUP_IN:5000")" "$@"
	hop sink0 "$(rule third "$IN" "out0:$GROUP_OUT:6000")" "$@"
}

@test "three relays in a row" {
	local count options all node
	for INGRESS in ring uring; do
		chain
		all=0
		while read -r count options; do
			printf 'with %s ingress, sent with %s\n' "$INGRESS" "$options"
			receive_start sink --count "$count"
			# shellcheck disable=SC2086 # words
			send --verify --count "$count" $options
			wait_for sink
			assert_whole sink "$count"
			all=$((all + count))
		done <<-END
			1290 --size 1400 --gso 40
			50 --size 1400
			380 --size 1400x32,100,1400x3,100x2 --gso 32
		END
		hops_end
		for node in r1 leaf0 sink0; do
			assert_relayed "$node" "$all" 1
		done
	done
}

# ctl_at NODE ARGUMENT...: mcrelayctl, of the relay there.
ctl_at() {
	"$MCRELAYCTL" --socket-path "$WORK/$1.control" "${@:2}" 3>&- >/dev/null
}

# stream_through: as stream_end, through all relays.
stream_through() {
	stream_stop
	hops_end
	eventually node_settled sink
	stop stream
	assert_equal "${EXIT[stream]}" 0
}

@test "rules come and go at each of three relays in a row: no packet of another rule is lost" {
	local node i
	for INGRESS in ring uring; do
		printf 'with %s ingress\n' "$INGRESS"
		chain
		stream_start --flows 4
		for i in 1 2 3; do
			for node in r1 leaf0 sink0; do
				ctl_at "$node" add --rule-id other --input-interface in0 --input-group 239.3.3.3 --input-port 5003 \
					--outputs "239.4.4.$i:6004:out0,$BETWEEN:out0"
				stream_more 50
				ctl_at "$node" remove --rule-id other
				stream_more 50
			done
		done
		stream_through
		assert_stream_intact
		for node in r1 leaf0 sink0; do
			assert_relayed "$node" "$(streamed sent)" 1
		done
	done
}

# died NODE...: the packets that their workers may have taken along.
died() {
	local node sum=0
	for node in "$@"; do
		sum=$((sum + $(json_value "$WORK/$node.json" .total.drop_worker_died) +
			$(json_value "$WORK/$node.json" .total.egress_worker_died)))
	done
	printf '%s' "$sum"
}

# What a worker has in hand is less than the window of the stream, which would stand still otherwise: r1 takes 4 packets at
# once, and sends them as one; leaf0 takes 4 of those, sink0 4 of 16 packets, and 16 single ones in buffers besides. Packets
# are so large that no two of them share a buffer: how many were lost with one is known.
KILLABLE=(--send-batch 4 --buffer-pool-small 16 --num-recv-buffers 4) WINDOW=100

@test "a worker of each of three relays in a row is killed: what is lost, it had in hand; all else comes once, in order" {
	local node name lost
	for INGRESS in ring uring; do
		printf 'with %s ingress\n' "$INGRESS"
		chain "${KILLABLE[@]}"
		stream_start --window "$WINDOW" --size 1400
		for node in r1 leaf0 sink0; do
			kill -KILL "$(children "$node")"
			ready "$node" '\(restart 1\)'
			stream_more 300
		done
		stream_through
		for name in duplicated reordered corrupt; do
			assert_equal "$name $(streamed "$name")" "$name 0"
		done
		lost=$(streamed lost)
		((lost <= $(died r1 leaf0 sink0) && $(died r1 leaf0 sink0) < 3 * WINDOW)) ||
			fail "$lost lost, $(died r1), $(died leaf0), $(died sink0) counted"
	done
}

# arrives: a packet that is sent now, by and by.
arrives() {
	local before
	before=$(rx_packets sink in0)
	send --count 1 --rate 1000
	poll 0 at_least rx_packets sink in0 $((before + 1))
}

@test "each link between three relays in a row goes down and up again: packets flow again by themselves" {
	local end
	for INGRESS in ring uring; do
		printf 'with %s ingress\n' "$INGRESS"
		chain
		for end in r1:in0 r1:out0 leaf0:in0 leaf0:out0 sink0:in0 sink0:out0; do
			ip_at "${end%:*}" link set "${end#*:}" down
			ip_at "${end%:*}" link set "${end#*:}" up
			eventually arrives
		done
		for end in r1 leaf0 sink0; do
			eventually node_settled "$end"
		done
		receive_start sink
		send --verify --size 1400 --gso 40 --count 410
		hops_end
		receive_end sink
		assert_whole sink 410
	done
}

@test "a tree: one relay to three, each of which has a relay of its own behind it" {
	local i
	for INGRESS in ring uring; do
		printf 'with %s ingress\n' "$INGRESS"
		hop r1 "$(rule tree "$IN" "out0:$BETWEEN" "out1:$BETWEEN" "out2:$BETWEEN")"
		for i in 0 1 2; do
			hop "leaf$i" "$RULE_LAST"
			receive_start "sink$i"
		done
		send --verify --size 1300x31,100,1300x2,200 --gso 32 --count 700
		hops_end
		assert_relayed r1 700 3
		for i in 0 1 2; do
			receive_end "sink$i"
			assert_aggregates "leaf$i"
			assert_relayed "leaf$i" 700 1
			assert_whole "sink$i" 700
		done
	done
}

@test "three sources, each on an interface of its own, come together in one output" {
	local i nodes=(gen gen1 gen2)
	for INGRESS in ring uring; do
		printf 'with %s ingress\n' "$INGRESS"
		hop r1 "$(for i in 0 1 2; do rule "from$i" "in$i:$GROUP_IN:5000" "out0:$BETWEEN"; done)"
		hop leaf0 "$RULE_LAST"
		listen_start listener sink0 receive 10.77.20.2 "$GROUP_OUT" 6000
		for i in 0 1 2; do
			spawn "source$i" "${nodes[i]}" "$FRAMES" send "10.77.$((i + 1)).1" "$GROUP_IN" 5000 --seed "$i" --segment 1000 \
				--sizes 30000 999 1001 $(seq 2000 1500 24500)
		done
		for i in 0 1 2; do
			wait_for "source$i"
		done
		hops_end
		listen_end listener sink0
		# what came of each source is what it sent, in its order
		for i in 0 1 2; do
			grep -Fxf "$WORK/source$i.out" "$WORK/listener.out" | cmp - "$WORK/source$i.out"
		done
		assert_equal "$(wc -l <"$WORK/listener.out")" "$(cat "$WORK"/source?.out | wc -l)"
		assert_relayed r1 "$(wc -l <"$WORK/listener.out")" 1
	done
}

@test "50 outputs, each to a relay behind it" {
	local ports i
	for INGRESS in ring uring; do
		printf 'with %s ingress\n' "$INGRESS"
		mapfile -t ports < <(seq 6000 6049)
		hop r1 "$(rule fifty "$IN" "${ports[@]/#/out0:$GROUP_IN:}")"
		hop leaf0 "$(for i in "${ports[@]}"; do rule "rule$i" "in0:$GROUP_IN:$i" "out0:$GROUP_OUT:$i"; done)"
		receive_start sink0 --ports 50
		send --verify --size 1200 --gso 40 --count 41
		hops_end
		receive_end sink0
		# 50 copies of one stream: the receiver counts 49 of them as duplicates
		assert_equal "$(jq -c '[.received, .duplicated, .lost, .stale, .corrupt, .foreign, .socket_drops]' "$WORK/sink0.json")" \
			'[41,2009,0,0,0,0,0]'
		assert_relayed r1 41 50
		assert_relayed leaf0 $((41 * 50)) 1
		assert_equal "$(jq -c '[.outputs | length, (map(.sent) | unique)]' "$WORK/leaf0.json")" '[50,[41]]'
	done
}

@test "two workers, then four: each flow in order" {
	for INGRESS in ring uring; do
		printf 'with %s ingress\n' "$INGRESS"
		hop r1 "$RULE_FIRST" --num-workers 2
		hop leaf0 "$RULE_LAST" --num-workers 4
		receive_start sink0
		send --verify --size 1400 --gso 20 --flows 16 --count 640
		hops_end
		receive_end sink0
		assert_whole sink0 640
		assert_relayed r1 640 1
		assert_relayed leaf0 640 1
	done
}

# edges MTU SEND-OPTION...: datagrams as frames.py sends them, through two relays (with OPTIONS) over links of that MTU.
OPTIONS=()
edges() {
	local end
	for end in gen:out0 r1:in0 r1:out0 leaf0:in0 leaf0:out0 sink0:in0; do
		undo_push ip -n "$(namespace "${end%:*}")" link set "${end#*:}" mtu 1500
		ip_at "${end%:*}" link set "${end#*:}" mtu "$1"
	done
	for INGRESS in ring uring; do
		printf 'with %s ingress\n' "$INGRESS"
		hop r1 "$RULE_FIRST" "${OPTIONS[@]}"
		hop leaf0 "$RULE_LAST" "${OPTIONS[@]}"
		listen_start listener sink0 receive 10.77.20.2 "$GROUP_OUT" 6000
		frames gen send 10.77.1.1 "$GROUP_IN" 5000 "${@:2}" >"$WORK/sent"
		hops_end
		listen_end listener sink0
		cmp "$WORK/sent" "$WORK/listener.out"
	done
}

@test "sizes at every edge: nothing, a full frame and one byte more, 64 KiB less headers" {
	edges 1500 --sizes 0 1 2 17 18 19 1471 1472 1473 1474 2951 2952 2953 8972 65506 65507 0 1 1472
}

@test "sizes at every edge of frames of 9000 bytes" {
	edges 9000 --sizes 1472 1473 4053 4054 4055 8971 8972 8973 65507 0
}

@test "sizes at the edge of a slot of 2 KiB" {
	OPTIONS=(--ring-slot-bytes 2048)
	mapfile -t sizes < <(seq 1890 1945)
	edges 9000 --sizes "${sizes[@]}"
}

@test "aggregates at every edge: one byte in the last packet, one byte in each, as many as there may be, as large as may be" {
	edges 1500 --segment 1472 --sizes 1472 1473 2943 2944 2945 64768 65507
}

@test "aggregates of small packets" {
	edges 1500 --segment 1 --sizes 1 2 63 64
}

@test "aggregates of more packets than the relay sends at once" {
	frames gen send 10.77.1.1 "$GROUP_IN" 5000 --segment 1 --sizes 128 >/dev/null 2>&1 || skip 'this kernel makes none'
	edges 1500 --segment 1 --sizes 65 127 128
	edges 1500 --segment 500 --sizes 32500 64000
}

@test "aggregates at the edge of a slot of 2 KiB" {
	mapfile -t sizes < <(seq 1890 1945)
	edges 1500 --segment 700 --sizes "${sizes[@]}"
}

@test "aggregates at the edge of a slot of 16 KiB, which frames of 9000 bytes have" {
	mapfile -t sizes < <(seq 16220 16270)
	edges 9000 --segment 8000 --sizes "${sizes[@]}"
}

@test "aggregates of frames of 9000 bytes" {
	edges 9000 --segment 8972 --sizes 8973 17944 62804 62805 65507
}
