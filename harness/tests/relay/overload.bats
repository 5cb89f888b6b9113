#!/usr/bin/env bats
# More than the relay can take: it loses packets, and knows of every one.

load ../lib/testbed

setup_file() {
	testbed build
}

build() {
	topology fanout
}

IN=in0:$GROUP_IN:5000

# Each packet that left through an output was received by the peer's link or refused by it.
link_total() {
	ip_at r1 -j -s link show "$1" | jq '.[0].stats64.tx | .packets + .dropped'
}

flood() {
	send --size 1400 --rate 0 --duration 2 --gso 32 "$@"
}

# The packets that the receiver took, refused, or found its socket too full for.
account_of() {
	jq '.received + .duplicated + .stale + .corrupt + .foreign + .socket_drops' "$WORK/$1.json"
}

# assert_accounted SINK...: sink N is at output N.
assert_accounted() {
	local i
	assert_ledger_closed
	assert_counters egress_errors=0
	for ((i = 0; i < $#; i++)); do
		assert_equal "$((LEFT[i] + $(counter ".outputs[$i].sent")))" "$(link_total "out$i")"
		assert_equal "$(account_of "sink$i")" "$(rx_new "sink$i")"
		assert_equal "$(received "sink$i" corrupt)" 0
		assert_equal "$(received "sink$i" duplicated)" 0
	done
	# what crossed the link towards the relay is what it says has arrived
	assert_equal "$(counter arrived)" "$(($(input_packets) - RELAY_SAW))"
}

begin() {
	local i
	LEFT=()
	for i in 0 1 2; do
		receive_start "sink$i" --rcvbuf 8388608
		LEFT+=("$(link_total "out$i")")
	done
}

finish() {
	relay_finish
	receive_end sink0
	receive_end sink1
	receive_end sink2
}

@test "a ring of 16 slots, 500 packets at once: 484 are counted as lost, 16 relayed" {
	relay_start "$(rule one "$IN" "out0:$GROUP_OUT:6000")" --ring-slots 16
	receive_start sink0
	relay_burst --size 100 --count 500 --verify
	relay_finish
	receive_end sink0
	assert_counters arrived=500 buffer_exhaustion=484 matched=16 egress_sent=16
	assert_equal "$(received sink0) $(received sink0 lost)" "16 0"
	assert_ledger_closed
}

@test "a flood on a small ring with three outputs: the account is closed on every link" {
	relay_start "$(rule three "$IN" "out0:$GROUP_OUT:6000" "out1:$GROUP_OUT:6000" \
		"out2:$GROUP_OUT:6000")" --ring-slots 16
	begin
	flood --verify
	finish
	assert_accounted sink0 sink1 sink2
	(($(counter matched) > 0))
}

@test "a flood packet by packet, without GSO" {
	relay_start "$(rule three "$IN" "out0:$GROUP_OUT:6000" "out1:$GROUP_OUT:6000" \
		"out2:$GROUP_OUT:6000")" --gso off --ring-slots 64
	begin
	flood --size 18 --gso 1
	finish
	assert_accounted sink0 sink1 sink2
}

@test "a flood that nobody asked for is counted as no_match" {
	relay_start "$(rule one "$IN" "out0:$GROUP_OUT:6000")"
	flood --port 5001 --duration 1
	relay_finish
	assert_ledger_closed
	assert_counters matched=0 egress_queued=0
	assert_equal "$(counter drop_no_match)" "$(($(counter arrived) - $(counter buffer_exhaustion)))"
	assert_equal "$(counter arrived)" "$(($(input_packets) - RELAY_SAW))"
}
