#!/usr/bin/env bats
# What goes in comes out: bit for bit, once per output, to the address that the rule names; and only
# what a rule asks for.
#
#                      r1           out0 ──▶ in0 sink0
#   gen                             out1 ──▶ in0 sink1
#   out0 ─────────▶ in0             out2 ──▶ in0 sink2
#   out1 ─────────▶ in1

load ../lib/testbed

build() {
	topology fanout
	link gen out1 10.77.9.1 r1 in1 10.77.9.2
}

setup_file() {
	testbed build
}

IN=in0:$GROUP_IN:5000
OUT=out0:$GROUP_OUT:6000:8

@test "payloads of 18, 512, 1400 and 1472 bytes arrive intact" {
	local size
	relay_start "$(rule one "$IN" "$OUT")"
	for size in 18 512 1400 1472; do
		receive_start sink0
		send --size "$size" --count 300 --verify
		relay_settle
		receive_end sink0
		assert_equal "$(sent)" 300
		assert_intact sink0 300
	done
	relay_stop
	assert_counters matched=1200 egress_sent=1200 egress_errors=0 \
		egress_bytes=$((300 * (18 + 512 + 1400 + 1472)))
	assert_ledger_closed
}

@test "single packets, one system call each, arrive intact" {
	relay_start "$(rule one "$IN" "$OUT")"
	receive_start sink0
	send --size 1400 --count 200 --batch 1 --verify
	assert_equal "$(gojq .send_calls "$WORK/send.json")" 200
	relay_finish
	receive_end sink0
	assert_intact sink0 200
}

@test "bytes are the same at both ends for another sender and receiver, empty payloads included" {
	relay_start "$(rule one "$IN" "$OUT")"
	listen_start listener sink0 receive "$(node_address sink0 in0)" "$GROUP_OUT" 6000
	frames gen send 10.77.1.1 "$GROUP_IN" 5000 --sizes 0 1 17 18 0 512 1400 1472 1 0 >"$WORK/expected"
	relay_finish
	listen_end listener sink0
	run diff "$WORK/expected" "$WORK/listener.out"
	assert_success
	assert_counters matched=10 egress_sent=10 drop_malformed=0
}

@test "a burst of random sizes arrives byte for byte and in order" {
	relay_start "$(rule one "$IN" "$OUT")"
	listen_start listener sink0 receive "$(node_address sink0 in0)" "$GROUP_OUT" 6000
	frames gen send 10.77.1.1 "$GROUP_IN" 5000 --random 300 --seed 7 >"$WORK/expected"
	relay_finish
	listen_end listener sink0
	assert_equal "$(wc -l <"$WORK/expected")" 300
	run diff "$WORK/expected" "$WORK/listener.out"
	assert_success
}

@test "packets leave with the output's source address, TTL, group, port, and correct checksums" {
	# a checksum left to the hardware would never be written on a veth link
	undo_push ip netns exec "$(namespace r1)" ethtool -K out0 tx-checksum-ip-generic on
	at r1 ethtool -K out0 tx-checksum-ip-generic off
	relay_start "$(rule one "$IN" "$OUT")"
	listen_start wire sink0 capture in0
	frames gen send 10.77.1.1 "$GROUP_IN" 5000 --sizes 0 1 18 1400 1400 1400 1472 \
		--ttl 3 >"$WORK/expected"
	relay_finish
	listen_end wire sink0
	run diff "$WORK/expected" <(gojq -r .payload "$WORK/wire.out")
	assert_success
	run gojq -c 'del(.payload, .from_port, .frame_bytes)' "$WORK/wire.out"
	assert_equal "$(sort -u <<<"$output")" "$(gojq -nc '{mac: "01:00:5e:7f:02:02",
		source: "10.77.2.1", destination: "239.255.2.2", port: 6000, ttl: 8, tos: 0, fragment: false,
		ip_checksum_ok: true, udp_checksum_ok: true}')"
}

@test "packets whose checksums are written out are relayed, too" {
	undo_push ip netns exec "$(namespace gen)" ethtool -K out0 tx-checksum-ip-generic on
	at gen ethtool -K out0 tx-checksum-ip-generic off
	relay_start "$(rule one "$IN" "$OUT")"
	receive_start sink0
	send --size 1400 --count 200 --verify
	relay_finish
	receive_end sink0
	assert_intact sink0 200
	assert_counters drop_checksum=0
}

@test "TTL is 1 when the rule gives none" {
	relay_start "$(rule one "$IN" "out0:$GROUP_OUT:6000" | gojq -c 'del(.outputs[].ttl)')"
	listen_start wire sink0 capture in0
	send --size 100 --count 1 --ttl 9
	relay_finish
	listen_end wire sink0
	assert_equal "$(gojq .ttl "$WORK/wire.out")" 1
}

# from ADDRESS KIND...: frames of this source to the rule's group.
from() {
	frames gen inject out0 "$1" "$GROUP_IN" 5000 "${@:2}" >/dev/null
}

# sources ID LIST [OUTPUT]...: a rule for packets of these sources, a JSON array.
sources() {
	rule "$1" "$IN" "${@:3}" | gojq -c --argjson list "$2" '.input.sources = $list'
}

@test "\"sources\": rules share an input, each has its own senders' packets, others' are drop_source" {
	relay_start "$(sources a '["10.1.0.0/16", "192.0.2.7"]' "$OUT")$(
		sources b '["10.2.0.0/16"]' "out1:$GROUP_OUT:6000:8")"
	listen_start sink0 sink0 capture in0
	listen_start sink1 sink1 capture in0
	from 10.1.255.255 plain:100 plain:100
	from 192.0.2.7 plain:100
	from 10.2.0.1 plain:100 fragments:1000
	from 10.3.0.1 plain:100
	from 192.0.2.8 plain:100 plain:200
	relay_finish
	listen_end sink0 sink0
	listen_end sink1 sink1
	assert_counters '.rules[0].matched=3' '.rules[1].matched=2' drop_source=3 drop_no_match=0 filtered=4
	assert_equal "$(wc -l <"$WORK/sink0.out") $(wc -l <"$WORK/sink1.out")" '3 2'
	assert_ledger_closed
}

@test "\"sources\": as many as a rule may have, and more than one rule of them" {
	local list
	list=$(seq -s, 0 255)
	relay_start "$(sources a "[\"10.1.${list//,/.1\",\"10.1.}.1\"]" "$OUT")$(
		sources b "[\"10.1.${list//,/.2\",\"10.1.}.2\"]" "out1:$GROUP_OUT:6000:8")"
	from 10.1.0.1 plain:100
	from 10.1.255.2 plain:100 plain:100
	from 10.1.255.3 plain:100
	relay_finish
	assert_counters '.rules[0].matched=1' '.rules[1].matched=2' drop_source=1 egress_sent=3
	refute grep -q "worker 0" "$WORK/relay.log"
	assert_ledger_closed
}

@test "\"sources\": aggregates match by their source" {
	relay_start "$(sources a "[\"${ADDRESS[gen:out0]}\"]" "$OUT")" --gro
	receive_start sink0
	relay_burst --size 1400 --count 200 --verify
	relay_finish
	receive_end sink0
	assert_intact sink0 200
	assert_counters matched=200 drop_source=0
}

# The groups of in0 that are joined for some sources, with those.
joined_for() {
	awk '$2 == "in0" {print $3, $4}' "/proc/${ANCHOR[r1]}/net/mcfilter" | sort
}

@test "a rule that names its sources joins its group for those alone; one with a prefix, for any" {
	local bytes group
	IFS=. read -ra bytes <<<"$GROUP_IN"
	group=$(printf '0x%02x%02x%02x%02x' "${bytes[@]}")
	# the last one has sources: else the kernel's table is without the whole interface
	relay_start "$(sources b '["10.2.0.0/16"]' | gojq -c '.input.group = "239.255.9.9"')$(
		sources a '["192.0.2.7", "192.0.2.8"]')"
	assert_equal "$(joined_for)" "$group 0xc0000207
$group 0xc0000208"
	assert_equal "$(ip_at r1 maddr show dev in0 | grep -cE '239\.255\.(1\.1|9\.9)$')" 2
	relay_stop
	assert_equal "$(joined_for)" ''
}

# came SINK FIELD...: these fields of what SINK captured, how many packets had the same, a line each.
came() {
	local sink=$1
	shift
	gojq -r "\"$(printf '\(.%s) ' "$@")\"" "$WORK/$sink.out" | sort -n | uniq -c | awk '{$1 = $1; print}'
}

@test "\"ttl\": \"decrement\" sends on with one less, and drops what has come to its end, as drop_ttl" {
	relay_start "$(rule one "$IN" "out0:$GROUP_OUT:6000:\"decrement\"" "out1:$GROUP_OUT:6000:8")"
	listen_start sink0 sink0 capture in0
	listen_start sink1 sink1 capture in0
	frames gen inject out0 10.77.1.1 "$GROUP_IN" 5000 --ttl 64 plain plain plain >/dev/null
	frames gen inject out0 10.77.1.1 "$GROUP_IN" 5000 --ttl 2 plain plain >/dev/null
	frames gen inject out0 10.77.1.1 "$GROUP_IN" 5000 --ttl 1 plain >/dev/null
	frames gen inject out0 10.77.1.1 "$GROUP_IN" 5000 --ttl 0 plain fragments:200 >/dev/null
	relay_finish
	listen_end sink0 sink0
	listen_end sink1 sink1
	run came sink0 ttl
	assert_output $'2 1\n3 63'
	run came sink1 ttl
	assert_output '8 8'
	assert_counters matched=8 drop_ttl=3 egress_queued=13 egress_errors=0 '.outputs[0].ttl=decrement'
	assert_ledger_closed
}

@test "\"dscp\": of the output, or \"keep\": that of each packet, without its ECN bits" {
	local dscp
	relay_start "$(rule one "$IN" "$OUT" "out1:$GROUP_OUT:6000:8" "out2:$GROUP_OUT:6000:8" |
		gojq -c '.outputs[1].dscp = 46 | .outputs[2].dscp = "keep"')"
	for dscp in 0 1 2; do listen_start "sink$dscp" "sink$dscp" capture in0; done
	for dscp in 0 10 63; do
		frames gen inject out0 10.77.1.1 "$GROUP_IN" 5000 --tos $((dscp << 2 | 3)) plain plain >/dev/null
	done
	relay_finish
	for dscp in 0 1 2; do listen_end "sink$dscp" "sink$dscp"; done
	run came sink0 tos
	assert_output '6 0'
	run came sink1 tos
	assert_output '6 184'
	run came sink2 tos
	assert_output $'2 0\n2 40\n2 252'
	assert_counters '.outputs[1].dscp=46' '.outputs[2].dscp=keep'
}

@test "\"source_port\": one for all outputs and workers, the same after a restart" {
	local rules
	rules=$(rule one "$IN" "$OUT" "out0:239.255.2.3:6000:8" "out1:$GROUP_OUT:6000:8" |
		gojq -c '.outputs[].source_port = 319')
	listen_start sink0 sink0 capture in0
	listen_start sink1 sink1 capture in0
	relay_start "$rules" --num-workers 2
	send --size 100 --count 20 --flows 10
	relay_finish
	relay_start "$rules" --num-workers 2
	send --size 100 --count 20 --flows 10
	relay_finish
	listen_end sink0 sink0
	listen_end sink1 sink1
	run came sink0 destination from_port
	assert_output $'40 239.255.2.2 319\n40 239.255.2.3 319'
	run came sink1 from_port
	assert_output '40 319'
	assert_counters egress_errors=0 '.outputs[0].source_port=319'
}

@test "\"source\": another address of the output's interface, which it has to have" {
	local rules
	rules=$(rule one "$IN" "$OUT" "out1:$GROUP_OUT:6000:8" |
		gojq -c '.outputs[0].source = "10.77.2.66" | .outputs[1].source = "10.77.3.66"')
	ip_at r1 addr add 10.77.2.66/24 dev out0
	undo_push ip -n "$(namespace r1)" addr del 10.77.2.66/24 dev out0
	listen_start sink0 sink0 capture in0
	relay_start "$rules" "${CONTROL[@]}"
	assert_equal "$(ctl list | gojq -r '.rules[0].reason')" "cannot send to $GROUP_OUT:6000 through out1: \
Cannot assign requested address; the source is no address of it: ip addr add ADDRESS/LEN dev INTERFACE \
(1 of 2 outputs can be served)"
	send --size 100 --count 20
	eventually relay_counts '.outputs[0].sent' 20
	eventually grep -q "through out1 fail: EADDRNOTAVAIL (.*, or not the output's source)" "$WORK/relay.log"
	ip_at r1 addr add 10.77.3.66/24 dev out1
	undo_push ip -n "$(namespace r1)" addr del 10.77.3.66/24 dev out1
	eventually same first_state running
	ip_at r1 addr del 10.77.3.66/24 dev out1
	eventually same first_state waiting
	ip_at r1 addr add 10.77.3.66/24 dev out1
	relay_finish
	listen_end sink0 sink0
	run came sink0 source
	assert_output '20 10.77.2.66'
}

first_state() {
	ctl list | gojq -r '.rules[0].state'
}

@test "fan-out: each of three outputs gets each packet once" {
	local sink
	relay_start "$(rule three "$IN" "$OUT" "out1:$GROUP_OUT:6000:8" "out2:$GROUP_OUT:6000:8")"
	for sink in sink0 sink1 sink2; do receive_start "$sink"; done
	send --size 1400 --count 300 --verify
	relay_finish
	for sink in sink0 sink1 sink2; do
		receive_end "$sink"
		assert_intact "$sink" 300
	done
	assert_counters matched=300 egress_queued=900 egress_sent=900 '.outputs[2].sent=300'
	assert_ledger_closed
}

@test "fan-out to two groups on one link" {
	relay_start "$(rule two "$IN" "$OUT" out0:239.255.2.3:6001:8)"
	listen_start wire sink0 capture in0
	send --size 200 --count 20
	relay_finish
	listen_end wire sink0
	run gojq -rs 'map("\(.destination):\(.port)") | group_by(.) | map("\(.[0]) \(length)")[]' \
		"$WORK/wire.out"
	assert_output "239.255.2.2:6000 20
239.255.2.3:6001 20"
}

@test "two rules on one interface: each has its own packets" {
	relay_start "$(rule a "$IN" "$OUT") $(rule b in0:239.255.1.2:5000 "out1:$GROUP_OUT:6000:8")"
	receive_start sink0
	receive_start sink1
	send --size 100 --count 100 --verify
	send --size 100 --count 50 --verify --group 239.255.1.2
	relay_finish
	receive_end sink0
	receive_end sink1
	assert_intact sink0 100
	assert_intact sink1 50
	assert_counters '.rules[0].matched=100' '.rules[1].matched=50' \
		'.rules[1].matched_bytes=5000' '.outputs[1].sent=50' '.outputs[1].sent_bytes=5000'
}

@test "two rules on two interfaces for the same group: the interface tells them apart" {
	relay_start "$(rule a "$IN" "$OUT") $(rule b "in1:$GROUP_IN:5000" "out1:$GROUP_OUT:6000:8")"
	receive_start sink0
	receive_start sink1
	send --size 100 --count 100 --verify
	send --size 100 --count 50 --verify --interface 10.77.9.1
	relay_finish
	receive_end sink0
	receive_end sink1
	assert_intact sink0 100
	assert_intact sink1 50
	assert_counters '.rules[0].matched=100' '.rules[1].matched=50' drop_no_match=0
}

@test "another port or another group goes nowhere" {
	local before
	before=$(rx_packets sink0 in0)
	relay_start "$(rule one "$IN" "$OUT")"
	send --size 100 --count 30 --port 5001
	send --size 100 --count 20 --group 239.255.1.9
	send --size 100 --count 1
	eventually relay_counts matched 1
	relay_stop
	eventually node_settled sink0
	assert_counters arrived=1 matched=1 drop_no_match=0 egress_queued=1
	assert_equal "$(rx_packets sink0 in0)" "$((before + 1))"
	assert_ledger_closed
}

@test "a rule's packets on another interface do not match" {
	relay_start "$(rule one "$IN" "$OUT") $(rule other in1:239.255.1.7:5000)"
	send --size 100 --count 20 --interface 10.77.9.1
	send --size 100 --count 1 --interface 10.77.9.1 --group 239.255.1.7
	eventually relay_counts matched 1
	relay_stop
	assert_counters arrived=1 drop_no_match=0 egress_queued=0
}

@test "a rule without outputs receives and counts" {
	relay_start "$(rule terminus "$IN")"
	send --size 100 --count 200
	relay_finish
	assert_counters arrived=200 matched=200 egress_queued=0 '.rules[0].matched_bytes=20000'
	assert_ledger_closed
}

@test "one output of two rules carries the packets of both" {
	relay_start "$(rule a "$IN" "$OUT") $(rule b in0:239.255.1.2:5000 "$OUT")"
	receive_start sink0
	send --size 100 --count 80 --verify
	relay_settle
	# the generator numbers from 0 again: other flows
	frames gen send 10.77.1.1 239.255.1.2 5000 --sizes 100 100 100 >/dev/null
	relay_finish
	receive_end sink0
	assert_equal "$(received sink0) $(received sink0 foreign)" "80 3"
	assert_counters '.outputs | length=1' '.outputs[0].sent=83' '.rules[1].matched=3'
}
