#!/usr/bin/env bats
# Neighbours of equal size leave in one UDP_SEGMENT send, and nobody can tell from what arrives.
# The links do not carry segmented packets: what they count are the packets on the wire.

load ../lib/testbed

setup_file() {
	testbed build
}

build() {
	topology single
}

IN=in0:$GROUP_IN:5000
OUT=out0:$GROUP_OUT:6000:8

@test "a burst is sent with GSO, and arrives packet by packet, bit for bit" {
	relay_start "$(rule one "$IN" "$OUT")"
	receive_start sink
	relay_burst --size 1400 --count 256 --gso 32 --verify
	relay_finish
	receive_end sink
	assert_intact sink 256
	# bursts of 64; 46 packets of 1400 bytes fit into one send
	assert_counters egress_sent=256 gso_packets=256 gso_sends=8 gso_refused=0
	assert_ledger_closed
}

@test "64 small packets fit one send" {
	relay_start "$(rule one "$IN" "$OUT")"
	receive_start sink
	relay_burst --size 18 --count 256 --gso 64 --verify
	relay_finish
	receive_end sink
	assert_intact sink 256
	assert_counters gso_packets=256 gso_sends=4
}

@test "--gso off sends packet by packet" {
	relay_start "$(rule one "$IN" "$OUT")" --gso off
	receive_start sink
	relay_burst --size 1400 --count 256 --gso 32 --verify
	relay_finish
	receive_end sink
	assert_intact sink 256
	assert_counters egress_sent=256 gso_packets=0 gso_sends=0 sqes=256
}

@test "--send-batch bounds what is coalesced" {
	relay_start "$(rule one "$IN" "$OUT")" --send-batch 2
	receive_start sink
	relay_burst --size 100 --count 64 --verify
	relay_finish
	receive_end sink
	assert_intact sink 64
	assert_counters gso_packets=64 gso_sends=32
}

@test "--queue-depth 1 sends everything" {
	relay_start "$(rule one "$IN" "$OUT" out0:239.255.2.3:6000)" --queue-depth 1
	receive_start sink
	listen_start other sink receive 10.77.2.2 239.255.2.3 6000
	send --size 100 --count 200 --verify
	relay_finish
	receive_end sink
	listen_end other sink
	assert_equal "$(received sink) $(received sink lost) $(wc -l <"$WORK/other.out")" "200 0 200"
	assert_ledger_closed
}

@test "sizes that alternate, shrink and grow keep their borders" {
	relay_start "$(rule one "$IN" "$OUT")"
	listen_start listener sink receive 10.77.2.2 "$GROUP_OUT" 6000
	freeze relay
	frames gen send 10.77.1.1 "$GROUP_IN" 5000 --sizes 500 500 500 100 500 500 501 501 0 0 7 7 7 6 5 \
		1472 1472 1471 1472 1 1 1 2 1473 1473 700 700 >"$WORK/expected"
	eventually node_settled r1
	signal CONT relay
	# 1473 bytes do not fit the MTU: they come in fragments, and leave so
	relay_finish
	listen_end listener sink
	run diff "$WORK/expected" "$WORK/listener.out"
	assert_success
	# 500x3 100, 500x2, 501x2, 7x3 6, 1472x2 1471, 1472 1, 1x2, 700x2; and 0, 0, 5, 2, 1473, 1473 alone
	assert_counters joined_fragments=2 matched=27 gso_sends=8 gso_packets=21 sqes=14
}

@test "a route that cannot segment: packets are sent one by one, said once, nothing lost" {
	undo_push ip -n "$(namespace r1)" route del 239.255.2.2/32 dev out0
	ip_at r1 route add 239.255.2.2/32 dev out0 mtu 600
	relay_start "$(rule one "$IN" "$OUT")"
	receive_start sink
	relay_burst --size 1000 --count 128 --verify
	relay_finish
	receive_end sink
	assert_equal "$(received sink) $(received sink lost) $(received sink corrupt)" "128 0 0"
	assert_equal "$(grep -c 'refuses UDP_SEGMENT for 1000-byte packets' "$WORK/relay.log")" 1
	assert_counters egress_sent=128 egress_errors=0 gso_packets=0
	(($(counter gso_refused) > 0)) || fail 'nothing was refused'
	assert_ledger_closed
}

# Until packets are coalesced again: a burst of eight after the other.
coalesced_again() {
	send --size 1000 --count 8 --gso 8
	relay_report
	(($(counter gso_packets) > 0))
}

@test "a route that can segment again: it is found out, and said" {
	undo_push ip -n "$(namespace r1)" route del 239.255.2.2/32 dev out0
	ip_at r1 route add 239.255.2.2/32 dev out0 mtu 600
	relay_start "$(rule one "$IN" "$OUT")"
	relay_burst --size 1000 --count 64
	eventually relay_counts egress_sent 64
	ip_at r1 route replace 239.255.2.2/32 dev out0
	eventually coalesced_again
	relay_finish
	assert_counters egress_errors=0
	assert_equal "$(grep -c 'takes UDP_SEGMENT for 1000-byte packets again' "$WORK/relay.log")" 1
	assert_ledger_closed
}
