#!/usr/bin/env bats
# Frames that ordinary senders do not make or ordinary links do not carry: VLAN tags, IP options,
# padding, fragments, wrong checksums, jumbo frames. What cannot be relayed is counted by its reason.
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

# inject KIND...: crafted frames to the rule's group; their payloads in $WORK/injected.
inject() {
	frames gen inject out0 10.77.1.1 "$GROUP_IN" 5000 "$@" >"$WORK/injected"
	relay_settle
}

# expect_payloads KIND-PATTERN: of the injected frames, exactly these came out.
expect_payloads() {
	listen_end listener sink0
	run diff <(sed -nE "s/^($1) //p" "$WORK/injected") "$WORK/listener.out"
	assert_success
}

begin() {
	relay_start "$(rule one "$IN" "$OUT")" "$@"
	listen_start listener sink0 receive 10.77.2.2 "$GROUP_OUT" 6000
}

@test "frames with a priority but of no VLAN are relayed, by ring and by uring" {
	local ingress
	for ingress in ring uring; do
		begin --ingress "$ingress"
		inject plain:100 priority:1 priority:100 priority:1400 priorities:1 priorities:100 priorities:1400 plain:50
		relay_stop
		expect_payloads '.*'
		assert_counters matched=8 egress_sent=8
	done
}

@test "frames of a VLAN do not match a rule on the link that it is on" {
	begin
	frames gen inject out0 10.77.1.1 "$GROUP_IN" 5000 vlan:100 qinq:100 priority-vlan:100 plain:60 >"$WORK/injected"
	eventually relay_counts matched 1
	relay_stop
	expect_payloads plain
	assert_counters arrived=1
}

@test "frames of a VLAN are its interface's" {
	ip_at r1 link add link in0 name in0.100 type vlan id 100 2>/dev/null || skip "this kernel has no VLAN interfaces"
	undo_push ip -n "$(namespace r1)" link del in0.100
	ip_at r1 addr add 10.77.100.2/24 dev in0.100
	ip_at r1 link set in0.100 up
	relay_start "$(rule link "$IN" "$OUT") $(rule vlan "in0.100:$GROUP_IN:5000" "out1:$GROUP_OUT:6000:8")"
	listen_start listener sink0 receive 10.77.2.2 "$GROUP_OUT" 6000
	frames gen inject out0 10.77.1.1 "$GROUP_IN" 5000 vlan:100 vlan:100 qinq:100 priority-vlan:100 plain:60 >"$WORK/injected"
	eventually relay_counts '.rules[1].matched' 3
	eventually relay_counts '.rules[0].matched' 1
	relay_stop
	expect_payloads plain
	assert_counters arrived=4 matched=4
}

@test "IP options are skipped" {
	begin
	inject options:0 options:1 options:700
	relay_stop
	expect_payloads '.*'
	assert_counters matched=3 drop_malformed=0
}

@test "the padding of short frames is not relayed" {
	begin
	inject padded:0 padded:1 padded:17 padded:18 padded:200
	relay_stop
	expect_payloads '.*'
	assert_counters matched=5 egress_bytes=236
}

@test "a packet without a UDP checksum is relayed" {
	begin
	inject no-checksum:300
	relay_stop
	expect_payloads '.*'
}

@test "a wrong UDP or IP checksum is dropped and counted as drop_checksum" {
	begin
	inject plain:100 bad-checksum:100 bad-ip-checksum:100 bad-checksum:1 plain:60
	relay_stop
	expect_payloads plain
	assert_counters drop_checksum=3 matched=2 filtered=3
	assert_ledger_closed
}

@test "fragments become datagrams again; one whose rest never comes is counted as drop_fragment" {
	begin
	inject plain:100 fragments:1000
	mv "$WORK/injected" "$WORK/injected.1"
	undo_push ip -n "$(namespace gen)" link set out0 mtu 9000
	ip_at gen link set out0 mtu 1500
	frames gen send 10.77.1.1 "$GROUP_IN" 5000 --sizes 4000 >"$WORK/long" # 3 fragments
	ip_at gen link set out0 mtu 9000
	# one that waits for its rest is not counted yet
	frames gen inject out0 10.77.1.1 "$GROUP_IN" 5000 lone-fragment:1000 plain:50 >"$WORK/injected"
	eventually relay_counts matched 4
	relay_stop
	listen_end listener sink0
	run diff <(sed -nE 's/^(plain|fragments) //p' "$WORK/injected.1"; cat "$WORK/long"
		sed -nE 's/^plain //p' "$WORK/injected") "$WORK/listener.out"
	assert_success
	assert_counters joined_fragments=3 drop_fragment=1 matched=4 filtered=4 arrived=8
	assert_ledger_closed
}

@test "a frame that ends before its IP packet is counted as drop_malformed" {
	begin
	inject plain:100 cut:100 cut:1
	relay_stop
	expect_payloads plain
	assert_counters drop_malformed=2 matched=1
	assert_ledger_closed
}

@test "frames larger than a ring slot go through a ring of their own, in order" {
	begin --ring-slot-bytes 2048
	frames gen send 10.77.1.1 "$GROUP_IN" 5000 --sizes 100 4000 8900 1400 >"$WORK/all"
	relay_finish
	listen_end listener sink0
	run diff "$WORK/all" "$WORK/listener.out"
	assert_success
	assert_counters drop_truncated=0 matched=4 filtered=0 '.inputs[0].slot_bytes=2048'
	assert_ledger_closed
}

@test "jumbo frames: 8900-byte payloads arrive intact" {
	relay_start "$(rule one "$IN" "$OUT")"
	receive_start sink0
	send --size 8900 --count 200 --rate 5000 --verify
	relay_finish
	receive_end sink0
	assert_intact sink0 200
	assert_counters drop_truncated=0
}

@test "payloads larger than the output's MTU leave in fragments and arrive whole" {
	local before
	relay_start "$(rule one "$IN" "$NARROW")"
	before=$(rx_packets sink1 in0)
	receive_start sink1
	# 7 fragments each; not more datagrams than may wait for their rest
	relay_burst --size 8900 --count 60 --rate 5000 --verify
	relay_finish
	receive_end sink1
	assert_equal "$(received sink1) $(received sink1 lost) $(received sink1 corrupt)" "60 0 0"
	assert_equal "$(($(rx_packets sink1 in0) - before))" $((60 * 7))
	assert_counters egress_sent=60 egress_errors=0 gso_sends=0
}

@test "one packet for a wide and a narrow output goes whole through one, in fragments through the other" {
	relay_start "$(rule both "$IN" "$OUT" "$NARROW")"
	receive_start sink0
	receive_start sink1
	send --size 4000 --count 50 --rate 5000 --verify
	relay_finish
	receive_end sink0
	receive_end sink1
	assert_intact sink0 50
	assert_equal "$(received sink1) $(received sink1 corrupt)" "50 0"
	assert_ledger_closed
}

@test "what is not UDP over IPv4, or not asked for, does not enter the ring" {
	begin
	# relay_settle would wait for all of them
	frames gen inject out0 10.77.1.1 "$GROUP_IN" 5001 plain:100 options:100 >/dev/null
	frames gen inject out0 10.77.1.1 239.255.1.9 5000 plain:100 fragments:1000 >/dev/null
	frames gen inject out0 10.77.1.1 "$GROUP_IN" 5000 tcp:100 not-ip:100 plain:100 >"$WORK/injected"
	eventually relay_saw 1
	relay_stop
	expect_payloads plain
	assert_counters arrived=1 filtered=0
}

@test "fragments of another port's datagrams are counted as no_match" {
	begin
	inject plain:100
	frames gen inject out0 10.77.1.1 "$GROUP_IN" 5001 fragments:1000 >/dev/null
	eventually relay_counts drop_no_match 1
	relay_stop
	expect_payloads plain
	assert_counters arrived=3 matched=1 joined_fragments=1
	assert_ledger_closed
}
