#!/usr/bin/env bats
# Each way to receive, to hand over, to send and to reap relays the same packets: all of them, once,
# in order, to the bit; and its account is exact. Then what strains buffers and outputs: a pool that
# is too small, jumbo frames, one packet to 50 outputs, three streams into one.

load ../lib/testbed
load ../lib/json

setup_file() {
	testbed build
}

build() {
	topology fanout
}

IN=in0:$GROUP_IN:5000
MIXED=in0:$GROUP_IN:5001
EGRESS=("uring --egress-reap sync" "uring --egress-reap eager" "uring --egress-reap deferred" sendmmsg)
COUNT=400
SINKS=0
MIXED_COUNT=100

# relays OPTION...: a relay with these options passes on a stream of packets of one size to three
# outputs, and meanwhile one of random sizes and contents to the third of them. The first quarter at least
# finds the relay waiting, the mixed ones wait for the relay. SINKS: where the stream's packets are looked at
# one by one; on the other links they are counted. Each queue has room for all of them.
relays() {
	local i tx=()
	relay_start "$(rule three "$IN" "out0:$GROUP_OUT:6000" "out1:$GROUP_OUT:6000" "out2:$GROUP_OUT:6000") $(
		rule mixed "$MIXED" "out2:$GROUP_OUT:6001")" "$@"
	for i in $SINKS; do
		receive_start "sink$i"
	done
	for i in 0 1 2; do
		tx+=("$(tx_packets r1 "out$i")")
	done
	listen_start listener sink2 receive 10.77.4.2 "$GROUP_OUT" 6001
	spawn steady gen taskset -c "$SEND_CPU" "$TRAFFICGEN" send --interface 10.77.1.1 --verify \
		--group "$GROUP_IN" --port 5000 --size 700 --rate 5000 --count "$COUNT" --flows 4 --quiet
	eventually at_least input_packets $((RELAY_SAW + COUNT / 4))
	freeze relay
	frames gen send 10.77.1.1 "$GROUP_IN" 5001 --random "$MIXED_COUNT" --seed "$RANDOM" >"$WORK/mixed"
	eventually at_least input_packets $((RELAY_SAW + COUNT * 3 / 4 + MIXED_COUNT))
	signal CONT relay
	wait_for steady
	relay_finish
	listen_end listener sink2
	cmp "$WORK/mixed" "$WORK/listener.out"
	for i in $SINKS; do
		receive_end "sink$i"
		assert_intact "sink$i" "$COUNT"
	done
	for i in 0 1; do
		assert_equal "$(($(tx_packets r1 "out$i") - tx[i]))" "$COUNT"
	done
	assert_equal "$(($(tx_packets r1 out2) - tx[2]))" "$((COUNT + MIXED_COUNT))"
	assert_account
}

# The FINAL lines know of each packet, in JSON as well.
assert_account() {
	local all=$((COUNT + MIXED_COUNT)) out=$((3 * COUNT + MIXED_COUNT)) mixed_bytes
	mixed_bytes=$(awk '{n += length} END {print n / 2}' "$WORK/mixed")
	assert_final recv="$all" matched="$all" egr_sent="$out" filtered=0 no_match=0 buf_exhaust=0 \
		sent="$out" submitted="$out" ch_recv="$out" errors=0 bytes="$((3 * COUNT * 700 + mixed_bytes))"
	assert_counters recv_packets="$all" recv_frames="$all" drop_handoff=0
	assert_ledger_closed
}

# relays_each OPTION...: with each kind of egress.
relays_each() {
	local egress
	for egress in "${EGRESS[@]}"; do
		SINKS=0
		[[ $egress != *deferred ]] || SINKS='0 1'
		printf 'with %s --egress %s\n' "$*" "$egress"
		# shellcheck disable=SC2086 # words
		relays "$@" --egress $egress
	done
}

@test "ring, one thread: each kind of egress and reaping relays everything" {
	relays_each --ingress ring --thread-model unified
}

@test "--yield, one thread and two: relays everything" {
	relays --yield
	relays --yield --thread-model split
}

@test "uring, one thread: each kind of egress and reaping relays everything" {
	relays_each --ingress uring --thread-model unified
}

@test "ring, two threads: each kind of egress and reaping relays everything" {
	relays_each --ingress ring --thread-model split
}

@test "uring, two threads: each kind of egress and reaping relays everything" {
	relays_each --ingress uring --thread-model split
}

@test "two threads: each wakeup of the sending thread relays everything" {
	local ingress wakeup
	for ingress in ring uring; do
		for wakeup in spin eventfd; do # hybrid has been
			printf 'with %s, %s\n' "$ingress" "$wakeup"
			relays --ingress "$ingress" --thread-model split --wakeup "$wakeup"
		done
	done
}

@test "two threads: a packet that comes alone wakes the sending thread" {
	local wakeup i
	for wakeup in spin eventfd hybrid; do
		relay_start "$(rule one "$IN" "out0:$GROUP_OUT:6000")" --thread-model split --wakeup "$wakeup"
		receive_start sink0
		for i in 1 2 3; do
			send --size 100 --count 1
			eventually relay_counts egress_sent "$i" # which asks the supervisor, not the worker's threads
		done
		relay_finish
		receive_end sink0
		assert_equal "$wakeup $(rx_new sink0)" "$wakeup 3"
	done
}

@test "two threads: the receiving one sleeps while the other has what it has received" {
	local egress RELAY_CPU=$SEND_CPU,$RELAY_CPU # at the same time
	for egress in sendmmsg "uring --egress-reap deferred"; do
		# shellcheck disable=SC2086 # words
		relay_start "$(rule one "$IN" "out0:$GROUP_OUT:6000")" --thread-model split --egress $egress
		send --size 100 --rate 2000 --count 100
		relay_finish
		assert_counters egress_sent=100
		# for packets, for slots that come back, to send: each a few times for a packet at most
		assert [ "$(counter waits)" -lt 1000 ]
	done
}

# starved OPTION...: a pool of 16 buffers finds 400 packets at once, and loses none: they wait in the socket. What
# the socket has no room for is counted, and nothing is lost afterwards.
starved() {
	local all lost
	relay_start "$(rule three "$IN" "out0:$GROUP_OUT:6000" "out1:$GROUP_OUT:6000" "out2:$GROUP_OUT:6000")" \
		--ingress uring --buffer-pool-small 16 --num-recv-buffers 4 "$@"
	receive_start sink0
	relay_burst --size 1400 --count 400 --rate 0 --gso 32 --verify
	relay_settle
	receive_end sink0
	assert_intact sink0 400
	relay_report
	assert_counters arrived=400 matched=400 egress_sent=1200 buffer_exhaustion=0
	relay_burst --size 1400 --count 20000 --rate 0 --gso 32
	relay_settle
	relay_report
	all=$(($(input_packets) - RELAY_SAW)) lost=$(counter buffer_exhaustion)
	((lost > 0 && lost < all - 400)) || fail "$lost of $((all - 400)) packets are lost"
	assert_counters arrived="$all" matched=$((all - lost))
	eventually node_settled sink0
	receive_start sink0
	relay_burst --size 1400 --count 400 --rate 0 --gso 32 --verify
	relay_finish
	receive_end sink0
	assert_intact sink0 400
	assert_counters buffer_exhaustion="$lost" matched=$((all + 400 - lost)) egress_sent=$((3 * (all + 400 - lost)))
	assert_ledger_closed
}

@test "uring with a tiny pool and more than its socket holds: exhaustion is counted, and over when the flood is" {
	starved
}

@test "the same with bursts of as many frames as buffers" {
	starved --send-batch 4
	starved --send-batch 1 --thread-model split
}

@test "the same with two threads, and with deferred reaping" {
	starved --thread-model split
	starved --egress-reap deferred
}

@test "MTU 9000: jumbo packets arrive intact, from the ring and from buffers of the jumbo class" {
	local ingress place
	for place in gen:out0 r1:in0 r1:out0 sink0:in0; do
		undo_push ip -n "$(namespace "${place%:*}")" link set "${place#*:}" mtu 1500
		ip_at "${place%:*}" link set "${place#*:}" mtu 9000
	done
	for ingress in ring uring; do
		relay_start "$(rule one "$IN" "out0:$GROUP_OUT:6000")" --ingress "$ingress" \
			--buffer-pool-jumbo 50 --buffer-pool-small 16 --buffer-pool-standard 16
		receive_start sink0
		relay_burst --size 8972 --rate 0 --count 200 --verify
		relay_finish
		receive_end sink0
		assert_intact sink0 200
		assert_final recv=200 matched=200 sent=200 filtered=0 errors=0 bytes=1794400
		assert_ledger_closed
	done
}

@test "MTU 3000: buffers of the standard class" {
	local place
	for place in gen:out0 r1:in0 r1:out0 sink0:in0; do
		undo_push ip -n "$(namespace "${place%:*}")" link set "${place#*:}" mtu 1500
		ip_at "${place%:*}" link set "${place#*:}" mtu 3000
	done
	relay_start "$(rule one "$IN" "out0:$GROUP_OUT:6000")" --ingress uring
	receive_start sink0
	relay_burst --size 2972 --count 600 --rate 0 --verify # more than there are buffers of that class
	relay_finish
	receive_end sink0
	assert_intact sink0 600
	assert_counters matched=600 buffer_exhaustion=0
	assert_ledger_closed
}

@test "1:50: each of 50 outputs gets each packet once, to the bit" {
	local ingress
	for ingress in ring uring; do
		# shellcheck disable=SC2046 # words
		relay_start "$(rule fifty "$IN" $(seq -f "out0:$GROUP_OUT:%.0f" 6000 6049))" --ingress "$ingress"
		receive_start sink0 --ports 50
		relay_burst --size 200 --rate 0 --count 100 --verify
		relay_finish
		receive_end sink0
		# 50 copies of one stream: the receiver counts 49 of them as duplicates
		assert_json "$WORK/sink0.json" \
			'[.received, .duplicated, .lost, .stale, .corrupt, .foreign, .socket_drops]=[100,4900,0,0,0,0,0]'
		assert_equal "$(rx_new sink0)" 5000
		assert_counters matched=100 egress_sent=5000
		assert_json "$WORK/relay.json" '[.outputs | length, (map(.sent) | unique)]=[50,[100]]'
		assert_ledger_closed
	done
}

@test "three streams into one output: the packets of each stay whole and in order" {
	local port threads rules=''
	for port in 5000 5001 5002; do
		rules+=" $(rule "from$port" "in0:$GROUP_IN:$port" "out0:$GROUP_OUT:6000")"
	done
	for threads in unified split; do
		relay_start "$rules" --thread-model "$threads"
		receive_start sink0
		relay_burst --size 1000 --count 600 --rate 0 --flows 3 --port-step 1 --batch 8 --verify
		relay_finish
		receive_end sink0
		assert_intact sink0 600
		assert_json "$WORK/relay.json" '[.rules[].matched]=[200,200,200]' '[.outputs[].sent]=[600]'
		assert_ledger_closed
	done
}
