#!/usr/bin/env bats
# --gro: the interface joins datagrams before they reach the relay, which forwards them as one and sends
# them as packets. The links carry packets: what they count is what crossed them. Payloads up to 8900
# bytes, 200,000 packets a case; a machine that is too slow may drop some, which have to be accounted
# for, but none may come twice, late or changed.
#
#   gen                r1           out0 ──▶ in0 sink0     MTU 9000
#   out0 ─────────▶ in0             out1 ──▶ in0 sink1     MTU 1500
#          MTU 9000

load ../lib/testbed

build() {
	node gen && node r1 && node sink0 && node sink1
	link gen out0 10.77.1.1 r1 in0 10.77.1.2
	link r1 out0 10.77.2.1 sink0 in0 10.77.2.2
	link r1 out1 10.77.3.1 sink1 in0 10.77.3.2
	run ip -n "$(namespace gen)" link set out0 mtu 9000
	run ip -n "$(namespace r1)" link set in0 mtu 9000
	run ip -n "$(namespace r1)" link set out0 mtu 9000
	run ip -n "$(namespace sink0)" link set in0 mtu 9000
}

setup_file() {
	testbed build
}

IN=in0:$GROUP_IN:5000
OUT=out0:$GROUP_OUT:6000:8
NARROW=out1:$GROUP_OUT:6000:8
RULE=$(rule one "$IN" "$OUT")

# "on off": GRO and its forwarding of datagrams at r1's interface $1.
features() {
	at r1 ethtool -k "$1" |
		awk '/^generic-receive-offload:|^rx-udp-gro-forwarding:/ {printf "%s%s", s, $2; s = " "}'
}

# feature INTERFACE NAME on|off: at r1, until the end of the test.
feature() {
	undo_push ip netns exec "$(namespace r1)" ethtool -K "$1" "$2" off
	at r1 ethtool -K "$1" "$2" "$3"
}

@test "--gro turns aggregation on where rules receive, and off again at the end" {
	assert_equal "$(features in0), $(features out0)" "off off, off off"
	relay_start "$RULE" --gro "${CONTROL[@]}"
	assert_equal "$(features in0), $(features out0)" "on on, off off"
	relay_report
	assert_counters '.inputs[0].slot_bytes=69632' '.inputs[0].slots=240' .settings.gro=true
	ctl add --input-interface out1 --input-group "$GROUP_IN" --input-port 5000 \
		--outputs "$GROUP_OUT:6000:out0" --rule-id two >/dev/null
	assert_equal "$(features in0), $(features out1)" "on on, on on"
	ctl remove --rule-id two >/dev/null
	assert_equal "$(features in0), $(features out1)" "on on, off off"
	relay_stop
	assert_equal "$(features in0), $(features out0)" "off off, off off"
}

@test "--gro leaves on what was on" {
	feature in0 gro on
	relay_start "$RULE" --gro
	assert_equal "$(features in0)" "on on"
	relay_stop
	assert_equal "$(features in0)" "on off"
}

@test "a worker that dies changes nothing about it; a rule that is refused turns nothing on" {
	relay_start "$RULE" --gro "${CONTROL[@]}"
	kill -KILL "$(children relay)"
	eventually relay_counts '.workers[0].restarts' 1
	assert_equal "$(features in0)" "on on"
	run -1 ctl add --input-interface out1 --input-group "$GROUP_IN" --input-port 5000 \
		--outputs "$GROUP_OUT:6000:nowhere" --rule-id two
	assert_equal "$(features in0), $(features out1)" "on on, off off"
	relay_stop
	assert_equal "$(features in0)" "off off"
}

@test "without --gro the relay finds out whether its interface aggregates" {
	feature in0 gro on
	feature in0 rx-udp-gro-forwarding on
	relay_start "$RULE"
	relay_report
	assert_counters '.inputs[0].slot_bytes=69632'
	relay_stop
	assert_equal "$(features in0)" "on on"
}

@test "an interface that goes away and comes back aggregates again" {
	relay_start "$RULE" --gro
	ip_at r1 link set in0 down
	ip_at r1 link set in0 up
	eventually same features in0 "on on"
	receive_start sink0
	send --size 1400 --count 640 --gso 32 --verify
	relay_finish
	receive_end sink0
	assert_intact sink0 640
	assert_equal "$(features in0)" "off off"
	(($(counter recv_frames) < 640)) || fail "nothing was aggregated"
}

# accounted NODE...: the ledger closes; what arrived at each NODE is what was sent there, to the bit.
accounted() {
	local node name
	assert_ledger_closed
	assert_counters drop_truncated=0 drop_checksum=0 drop_malformed=0 egress_errors=0
	for node in "$@"; do
		for name in duplicated reordered stale corrupt unverified foreign; do
			assert_equal "$node $name $(received "$node" "$name")" "$node $name 0"
		done
		assert_equal "$(($(received "$node") + $(received "$node" socket_drops)))" "$(counter matched)"
	done
	(($(counter matched) > 0)) || fail "nothing was relayed"
	rm "$WORK/relay.json"
}

# relays_many RELAY-OPTION... -- SEND-OPTION...
relays_many() {
	local options=()
	while [[ $1 != -- ]]; do
		options+=("$1")
		shift
	done
	relay_start "$RULE" --gro "${options[@]}"
	receive_start sink0
	send --verify --count 200000 --rate 200000 "${@:2}"
	eventually node_settled r1
	relay_stop
	receive_end sink0
	(($(counter recv_frames) < $(counter recv_packets))) || fail "nothing was aggregated"
	accounted sink0
}

@test "ring: 200,000 packets of each size, to the bit" {
	local size
	for size in 64 512 1400 8900; do
		printf '%s bytes\n' "$size"
		relays_many -- --size "$size" --gso 7 --rate $((size > 2000 ? 50000 : 200000))
	done
}

@test "uring: 200,000 packets of each size, to the bit" {
	local size
	for size in 64 1400 8900; do
		printf '%s bytes\n' "$size"
		relays_many --ingress uring -- --size "$size" --gso 7 \
			--rate $((size > 2000 ? 50000 : 200000))
	done
}

@test "8 and 64 flows, two threads, sendmmsg, GSO off: 200,000 packets each, to the bit" {
	relays_many -- --size 512 --gso 16 --flows 8
	relays_many --thread-model split -- --size 512 --gso 16 --flows 64
	relays_many --egress sendmmsg -- --size 512 --gso 16 --flows 8
	relays_many --gso off -- --size 512 --gso 16 --flows 8
	relays_many --num-workers 2 -- --size 512 --gso 16 --flows 64
}

@test "an aggregate for a wide and a narrow output: whole packets, and fragments of each" {
	relay_start "$(rule both "$IN" "$OUT" "$NARROW")" --gro
	receive_start sink0
	receive_start sink1
	# not more datagrams than may wait for their rest
	relay_burst --size 4000 --count 48 --gso 16 --rate 5000 --verify
	relay_finish
	receive_end sink0
	receive_end sink1
	assert_intact sink0 48
	assert_equal "$(received sink1) $(received sink1 lost) $(received sink1 corrupt)" "48 0 0"
	assert_counters recv_packets=48 recv_frames=3 egress_sent=96
	assert_ledger_closed
}

@test "sizes at the limits: 64 packets, 65,507 bytes, the MTU" {
	local size gso
	for pair in 18:64 1022:64 1023:64 1024:63 1472:44 1473:44 8971:7 8972:7; do
		size=${pair%:*} gso=${pair#*:}
		printf '%s packets of %s bytes\n' "$gso" "$size"
		relay_start "$RULE" --gro
		receive_start sink0
		send --size "$size" --gso "$gso" --count $((gso * 20)) --batch 1 --rate 20000 --verify
		relay_finish
		receive_end sink0
		assert_intact sink0 $((gso * 20))
		accounted sink0
	done
}

@test "an interface that cannot segment gets the packets of an aggregate one by one" {
	undo_push ip -n "$(namespace r1)" route del 239.255.2.2/32 dev out0
	ip_at r1 route add 239.255.2.2/32 dev out0 mtu 600
	relay_start "$RULE" --gro
	receive_start sink0
	relay_burst --size 1000 --gso 32 --count 320 --verify
	relay_finish
	receive_end sink0
	assert_equal "$(received sink0) $(received sink0 corrupt) $(received sink0 reordered)" "320 0 0"
	assert_equal "$(grep -c 'refuses UDP_SEGMENT for 1000-byte packets' "$WORK/relay.log")" 1
	assert_counters egress_sent=320 egress_errors=0
	assert_ledger_closed
}

@test "wrong checksums, VLAN tags and fragments behind GRO: as without" {
	relay_start "$RULE" --gro
	listen_start listener sink0 receive 10.77.2.2 "$GROUP_OUT" 6000
	frames gen inject out0 10.77.1.1 "$GROUP_IN" 5000 plain:100 plain:100 bad-checksum:100 plain:100 \
		vlan:100 vlan:100 bad-ip-checksum:100 fragments:1000 options:100 no-checksum:300 \
		plain:100 >"$WORK/injected"
	# GRO drops what is wrong about IP itself, so not all of it reaches the relay
	eventually relay_counts matched 8
	eventually node_settled sink0
	relay_stop
	listen_end listener sink0
	run diff <(sed -nE 's/^(plain|vlan|options|no-checksum) //p' "$WORK/injected" | sort) \
		<(sort "$WORK/listener.out")
	assert_success
	assert_ledger_closed
}

@test "a ring that overflows with aggregates counts packets, and the frames they were in" {
	local lost
	relay_start "$RULE" --gro --ring-slots 16
	send --size 1000 --gso 32 --count 320
	eventually relay_counts recv_packets 320
	# 16 of 40 aggregates find a slot
	relay_burst --size 1000 --gso 32 --count 1280
	eventually relay_counts recv_packets $((320 + 512))
	relay_stop
	lost=$(counter buffer_exhaustion)
	assert_counters exhaustion_frames=24 buffer_exhaustion=768 matched=832
	assert_equal "$lost" $((1600 - 832))
	assert_ledger_closed
}

@test "histograms: packets per send and per burst" {
	relay_start "$RULE" --gro --send-batch 1
	send --size 1000 --gso 32 --count 320 --batch 1
	eventually relay_counts recv_packets 320
	send --size 1000 --gso 5 --count 100 --batch 1
	eventually relay_counts recv_packets 420
	relay_stop
	assert_equal "$(counter '.total.histograms | [.segments_per_send, .packets_per_burst] | tojson')" \
		'[[[4,20],[32,10]],[[4,20],[32,10]]]'
}

@test "--log-packets writes a line for each packet of an aggregate" {
	relay_start "$RULE" --gro --log-packets
	send --size 1000 --gso 10 --count 40 --batch 1
	relay_finish
	assert_equal "$(grep -c 'packet to 239.255.1.1:5000, 1000 bytes' "$WORK/relay.log")" 40
	(($(counter recv_frames) < 40)) || fail "nothing was aggregated"
}
