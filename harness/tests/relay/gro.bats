#!/usr/bin/env bats
# --gro: the interface joins datagrams before they reach the relay, which forwards them as one and sends
# them as packets. The links carry packets: what they count is what crossed them. A message's packets
# reach the interface together, so that they come as one frame.
#
#   gen                r1           out0 ──▶ in0 sink0     MTU 9000
#   out0 ─────────▶ in0             out1 ──▶ in0 sink1     MTU 1500
#          MTU 9000

load ../lib/testbed

build() {
	node gen && node r1 && node sink0 && node sink1
	link r1 out0 10.77.2.1 sink0 in0 10.77.2.2
	link r1 out1 10.77.3.1 sink1 in0 10.77.3.2
	make_input
	run ip -n "$(namespace r1)" link set out0 mtu 9000
	run ip -n "$(namespace sink0)" link set in0 mtu 9000
}

setup_file() {
	testbed build
}

make_input() {
	link gen out0 10.77.1.1 r1 in0 10.77.1.2
	run ip -n "$(namespace gen)" link set out0 mtu 9000
	run ip -n "$(namespace r1)" link set in0 mtu 9000
}

# Whatever a failed test has left.
teardown() {
	harness_teardown
	STATE=$TESTBED_STATE
	ip_at r1 link show in0 >/dev/null 2>&1 || harness_call make_input
	ip_at r1 link set in0 up
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
	assert_counters '.inputs[0].large_slot_bytes=69632' '.inputs[0].large_slots=240' .settings.gro=true
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

@test "somebody turns it off, as another relay does that ends: it is on again, and off at the end" {
	relay_start "$RULE" --gro
	at r1 ethtool -K in0 rx-udp-gro-forwarding off
	eventually same features in0 "on on"
	at r1 ethtool -K in0 gro off
	eventually same features in0 "on on"
	relay_stop
	assert_equal "$(features in0)" "off off"
}

@test "two relays on one interface: it stays on while one of them runs" {
	relay_start "$RULE" --gro
	spawn other r1 "$RELAY" --config "$WORK/rules.json" --gro --stats-interval-ms 0
	ready other '^\[INFO:[A-Za-z]*\] ready'
	relay_stop
	eventually same features in0 "on on"
	stop other
	assert_equal "$(features in0)" "off off"
}

@test "a worker that dies changes nothing about it; a rule that is refused turns nothing on" {
	relay_start "$RULE" --gro "${CONTROL[@]}"
	kill -KILL "$(children relay)"
	eventually relay_counts '.workers[0].restarts' 1
	assert_equal "$(features in0)" "on on"
	# found when its socket is opened: the port is somebody else's
	occupy taken r1 0.0.0.0 6001
	run -1 ctl add --input-interface out1 --input-group "$GROUP_IN" --input-port 5000 \
		--outputs "$GROUP_OUT:6000:out0:1:source_port=6001" --rule-id two
	assert_output --partial 'Address already in use'
	assert_equal "$(features in0), $(features out1)" "on on, off off"
	relay_stop
	assert_equal "$(features in0)" "off off"
}

@test "an interface that is renamed is itself still, and another one that gets its name is not" {
	relay_start "$RULE" --gro
	ip_at r1 link set in0 name old0
	undo_push ip -n "$(namespace r1)" link set old0 name in0
	eventually same features old0 "off off" # the rule waits for in0
	relay_stop
	ip_at r1 link property add dev old0 altname lan0
	undo_push ip -n "$(namespace r1)" link property del dev old0 altname lan0
	relay_start "$(rule one "lan0:$GROUP_IN:5000" "$OUT")" --gro
	assert_equal "$(features old0)" "on on"
	ip_at r1 link set old0 name new0
	undo_push ip -n "$(namespace r1)" link set new0 name old0
	ip_at r1 link add old0 type veth peer name other0
	undo_push ip -n "$(namespace r1)" link del old0
	feature old0 gro on
	feature old0 rx-udp-gro-forwarding on
	at r1 ethtool -K new0 gro off
	eventually same features new0 "on on"
	relay_stop
	assert_equal "$(features new0), $(features old0)" "off off, on on"
}

@test "an interface that goes down and up, or away and comes back, aggregates again" {
	relay_start "$RULE" --gro
	bursts_arrive 1
	ip_at r1 link set in0 down
	eventually said relay 'interface in0 is down'
	ip_at r1 link set in0 up
	eventually input_ready 'interface in0 is ready'
	bursts_arrive 2
	ip_at r1 link del in0
	eventually said relay 'interface in0 is absent'
	harness_call make_input
	eventually input_ready 'interface in0 is ready'
	bursts_arrive 3
	relay_finish
	assert_counters recv_packets=1920 recv_frames=60 egress_sent=1920
	assert_equal "$(features in0)" "off off"
}

# input_ready TEXT: the relay has said so; it has joined the group, aggregates, and the link carries.
input_ready() {
	said relay "$1" && [[ $(features in0) == 'on on' ]] &&
		ip_at r1 maddr show dev in0 | grep -q "inet  *$GROUP_IN" &&
		[[ $(ip_at r1 -o link show in0) == *'state UP'* && $(ip_at gen -o link show out0) == *'state UP'* ]]
}

# bursts_arrive N: 20 aggregates of 32 packets arrive and leave, for the Nth time.
bursts_arrive() {
	assert_equal "$1 $(features in0)" "$1 on on"
	SKEW[r1]=$(node_backlog r1) # of interfaces that went away
	receive_start sink0
	relay_burst --size 1400 --count 640 --gso 32 --verify
	eventually relay_counts egress_sent $(($1 * 640))
	receive_end sink0
	assert_intact sink0 640
}

# relays RELAY-OPTION... -- COUNT PACKETS SEND-OPTION...: COUNT aggregates of PACKETS packets find room in the
# ring at once, and leave to the bit.
relays() {
	local options=() count
	while [[ $1 != -- ]]; do
		options+=("$1")
		shift
	done
	count=$(($2 * $3))
	relay_start "$RULE" --gro "${options[@]}"
	receive_start sink0
	relay_burst --verify --count "$count" --gso "$3" --rate 0 "${@:4}"
	relay_finish
	receive_end sink0
	assert_intact sink0 "$count"
	assert_counters recv_packets="$count" recv_frames="$2" matched="$count" egress_sent="$count" egress_errors=0
	assert_ledger_closed
}

@test "ring: aggregates of each size, as many as it has slots, to the bit" {
	local size
	for size in 64 512 1400 8900; do
		printf '%s bytes\n' "$size"
		relays -- 240 7 --size "$size"
	done
}

@test "uring: aggregates of each size, to the bit" {
	local size
	for size in 64 1400 8900; do
		printf '%s bytes\n' "$size"
		relays --ingress uring -- 100 7 --size "$size"
	done
}

@test "8 and 64 flows, two threads, sendmmsg, GSO off, two workers: to the bit" {
	relays -- 128 16 --size 512 --flows 8
	relays --thread-model split -- 128 16 --size 512 --flows 64
	relays --egress sendmmsg -- 128 16 --size 512 --flows 8
	relays --gso off -- 128 16 --size 512 --flows 8
	relays --num-workers 2 -- 128 16 --size 512 --flows 64
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
	local pair frames=0 packets=0
	relay_start "$RULE" --gro
	for pair in 18:64 1022:64 1023:64 1024:63 1472:44 1473:44 8971:7 8972:7; do
		size=${pair%:*} gso=${pair#*:}
		printf '%s packets of %s bytes\n' "$gso" "$size"
		receive_start sink0
		relay_burst --size "$size" --gso "$gso" --count $((gso * 4)) --batch 1 --rate 0 --verify
		relay_settle
		receive_end sink0
		assert_intact sink0 $((gso * 4))
		frames=$((frames + 4)) packets=$((packets + 4 * gso))
	done
	relay_stop
	assert_counters recv_packets="$packets" recv_frames="$frames" egress_sent="$packets" egress_errors=0
	assert_ledger_closed
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

@test "wrong checksums, priority tags and fragments behind GRO: as without" {
	relay_start "$RULE" --gro
	listen_start listener sink0 receive 10.77.2.2 "$GROUP_OUT" 6000
	frames gen inject out0 10.77.1.1 "$GROUP_IN" 5000 plain:100 plain:100 bad-checksum:100 plain:100 \
		priority:100 priority:100 bad-ip-checksum:100 fragments:1000 options:100 no-checksum:300 \
		plain:100 >"$WORK/injected"
	# GRO drops what is wrong about IP itself, so not all of it reaches the relay
	eventually relay_counts matched 9
	eventually node_settled sink0
	relay_stop
	listen_end listener sink0
	run diff <(sed -nE 's/^(plain|priority|options|no-checksum|fragments) //p' "$WORK/injected" | sort) \
		<(sort "$WORK/listener.out")
	assert_success
	assert_ledger_closed
}

@test "a ring that overflows with aggregates counts packets, and the frames they were in" {
	local lost
	relay_start "$RULE" --gro --ring-large-slots 16
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
	assert_counters recv_frames=4
}
