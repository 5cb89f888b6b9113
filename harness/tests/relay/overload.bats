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
	ip_at r1 -j -s link show "$1" | gojq '.[0].stats64.tx | .packets + .dropped'
}

# flood PACKETS [OPTION]...: as fast as they go; FLOODED is what has crossed the link of it. The relay stands still until 1000 of them have come, then it takes
# what it can while the others come.
flood() {
	local before
	before=$(input_packets)
	freeze relay
	spawn flood gen taskset -c "$SEND_CPU" "$TRAFFICGEN" send --interface 10.77.1.1 --group "$GROUP_IN" \
		--port 5000 --size 1400 --rate 0 --count "$1" --gso 32 --quiet "${@:2}"
	eventually at_least input_packets $((before + 1000))
	signal CONT relay
	wait_for flood
	FLOODED=$(($(input_packets) - before))
}

# The packets that the receiver took, refused, or found its socket too full for.
account_of() {
	gojq '.received + .duplicated + .stale + .corrupt + .foreign + .socket_drops' "$WORK/$1.json"
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
	# and what it sent, each of the outputs has sent
	assert_equal "$(counter egress_sent)" "$(($# * $(counter matched)))"
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

# assert_lost SLOTS: of the thousand that came while the relay stood still, those without a slot.
assert_lost() {
	(($(counter buffer_exhaustion) >= 1000 - $1)) || fail "$(counter buffer_exhaustion) packets were lost"
	(($(counter matched) >= $1)) || fail "$(counter matched) packets were relayed"
}

@test "a flood on a small ring with three outputs: the account is closed on every link" {
	relay_start "$(rule three "$IN" "out0:$GROUP_OUT:6000" "out1:$GROUP_OUT:6000" \
		"out2:$GROUP_OUT:6000")" --ring-slots 16
	begin
	flood 20000 --verify
	finish
	assert_lost 16
	assert_accounted sink0 sink1 sink2
}

@test "a flood packet by packet, without GSO" {
	relay_start "$(rule three "$IN" "out0:$GROUP_OUT:6000" "out1:$GROUP_OUT:6000" \
		"out2:$GROUP_OUT:6000")" --gso off --ring-slots 64
	begin
	flood 5000 --size 18 --gso 1
	finish
	assert_lost 64
	assert_counters gso_sends=0
	assert_accounted sink0 sink1 sink2
}

@test "a flood that nobody asked for takes no slot from what is asked for" {
	relay_start "$(rule one "$IN" "out0:$GROUP_OUT:6000")" --ring-slots 64
	receive_start sink0
	freeze relay
	send --size 1400 --rate 0 --count 500 --gso 32 --port 5001
	send --size 1400 --rate 0 --count 500 --gso 32 --group 239.255.1.9
	send --size 1400 --count 64 --verify
	signal CONT relay
	eventually relay_counts matched 64
	relay_stop
	receive_end sink0
	assert_intact sink0 64
	assert_counters arrived=64 buffer_exhaustion=0 drop_no_match=0
}
