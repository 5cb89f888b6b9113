#!/usr/bin/env bats
# trafficgen recv: every datagram is counted once, under the right name.
#
#   gen                sink
#   out0 ─────────▶ in0

load ../lib/testbed
load ../lib/json

setup_file() {
	testbed build
}

build() {
	node gen && node sink
	link gen out0 10.77.1.1 sink in0 10.77.1.2
}

receive_here() {
	receive_start sink --group "$GROUP_IN" --port 5000 "$@"
}

# record: ten packets of trafficgen, as lines in $WORK/recorded.
record() {
	listen_start recorder sink receive 10.77.1.2 "$GROUP_IN" 5000
	send --size 60 --count 10 --verify
	listen_end recorder sink
	cp "$WORK/recorder.out" "$WORK/recorded"
	assert_equal "$(wc -l <"$WORK/recorded")" 10
}

# replay ORDER...: those packets in another order, again, damaged (x3) or not trafficgen's any more (f3).
replay() {
	receive_here
	frames gen replay 10.77.1.1 "$GROUP_IN" 5000 "$WORK/recorded" "$@"
	receive_end sink
}

assert_received() {
	assert_json "$WORK/sink.json" "${@/#/.}"
}

@test "duplicates, gaps, reordering, damage and foreign packets: each under its name" {
	record
	replay 0 1 1 3 2 x4 f5 8
	assert_received received=5 duplicated=1 reordered=1 corrupt=1 foreign=1 lost=4 \
		'flows | length=1' 'flows[0].first_sequence=0' 'flows[0].last_sequence=8'
	assert_equal "${EXIT[sink]}" 1 # --verify found a corrupt packet
	assert_equal "$(cat "$WORK/sink.log")" 'trafficgen recv: 1 packets are corrupt'
	assert_equal "$(sed -nE 's/^([A-Z][a-z ]*): +([0-9]+) packets$/\1=\2/p' "$WORK/sink.out" | paste -sd' ')" \
		'Received=5 Lost=4 Duplicated=1 Reordered=1 Corrupt=1 Foreign=1 Socket drops=0'
}

@test "the whole row backwards: all there, all but the first reordered" {
	record
	replay 9 8 7 6 5 4 3 2 1 0
	assert_received received=10 lost=0 duplicated=0 reordered=9
	assert_equal "${EXIT[sink]}" 0
}

@test "each packet three times" {
	record
	replay 0 0 0 1 1 1 2 2 2
	assert_received received=3 duplicated=6 lost=0 reordered=0
}

@test "what is missing before the first and after the last is not called lost" {
	record
	replay 3 4 6
	assert_received received=3 lost=1 'flows[0].first_sequence=3' 'flows[0].last_sequence=6'
}

@test "only damaged packets" {
	record
	replay x0 x1
	assert_received received=0 corrupt=2 lost=0
	assert_equal "${EXIT[sink]}" 1
}

@test "unsealed packets are received, and unverified" {
	receive_here
	send --size 60 --count 10
	receive_end sink
	assert_received received=10 unverified=10 corrupt=0
	assert_equal "${EXIT[sink]}" 0
}

@test "packets cut off by --max-size are corrupt" {
	receive_here --max-size 100
	send --size 101 --count 5
	send --size 100 --count 5
	receive_end sink
	assert_received received=5 corrupt=5
}

@test "foreign datagrams of any size" {
	receive_here
	frames gen send 10.77.1.1 "$GROUP_IN" 5000 --sizes 0 1 17 18 1472 >/dev/null
	receive_end sink
	assert_received received=0 foreign=5 corrupt=0 first_ns=null
	run cat "$WORK/sink.out"
	assert_output --partial 'Latency:      unknown'
}

@test "a receive buffer that is too small: what it dropped and what it got is what was sent" {
	receive_here --rcvbuf 4096
	freeze sink
	send --size 1000 --count 400 --verify
	eventually backlog_empty
	signal CONT sink
	receive_end sink
	(($(received sink socket_drops) > 0))
	assert_equal "$(($(received sink) + $(received sink socket_drops)))" 400
	# the account by numbers says the same: those between, and those after the last
	assert_equal "$(($(received sink) + $(received sink lost) + 399 - $(received sink 'flows[0].last_sequence')))" 400
	assert_received corrupt=0 duplicated=0 'flows[0].first_sequence=0'
}

backlog_empty() {
	(($(node_backlog sink) <= SKEW[sink]))
}

@test "--count ends it there; fewer: exit status 3" {
	spawn exact sink "$TRAFFICGEN" recv --interface 10.77.1.2 --group "$GROUP_IN" --port 5000 \
		--count 30 --duration 3600 --quiet --json "$WORK/exact.json"
	ready exact '^Listening on 239.255.1.1:5000$'
	send --size 60 --count 50
	wait_for exact
	assert_equal "${EXIT[exact]} $(received exact)" "0 30"
	receive_here --count 30
	send --size 60 --count 20 --verify
	receive_end sink
	assert_equal "${EXIT[sink]} $(received sink)" "3 20"
	assert_equal "$(<"$WORK/sink.log")" \
		'trafficgen recv: received 20 of the 30 packets that --count asks for'
}

@test "--idle-ms, --first-timeout-ms and --duration end it by themselves" {
	local option
	for option in '--first-timeout-ms 50' '--duration 0.05'; do
		# shellcheck disable=SC2086 # two words
		run -0 at sink "$TRAFFICGEN" recv --interface 10.77.1.2 --group "$GROUP_IN" --port 5000 $option \
			--quiet --json "$WORK/sink.json"
		assert_output --partial 'Received:     0 packets'
		assert_received interrupted=false first_ns=null '| (.end_ns - .start_ns) >= 50000000=true'
	done
	receive_here --idle-ms 100
	freeze sink
	send --size 60 --count 5 --verify # which wait for it: no pause between them ends it
	eventually backlog_empty
	signal CONT sink
	wait_for sink
	assert_equal "${EXIT[sink]}" 0
	assert_received received=5 interrupted=false '| (.end_ns - .last_ns) >= 100000000=true'
}

@test "SIGINT and SIGTERM end it with a whole report that says so" {
	local name
	for name in INT TERM; do
		receive_here
		send --size 60 --count 10 --verify
		eventually node_settled sink
		stop sink "$name"
		assert_equal "$name ${EXIT[sink]}" "$name 0"
		assert_received received=10 interrupted=true
	done
}

@test "only the joined group arrives, on the joined interface" {
	receive_here
	send --size 60 --count 10 --group 239.255.1.9 --verify
	send --size 60 --count 10 --port 5001 --verify
	receive_end sink
	assert_received received=0 foreign=0
}

@test "latency is there for each packet, and in order" {
	receive_here
	freeze sink
	send --size 60 --count 100 --verify
	pause 0.05
	signal CONT sink
	receive_end sink
	# they took as long as the receiver stood still, and no longer than it lived
	assert_received latency_ns.count=100 'latency_ns | [.min, .p50, .p99, .p99_9, .max] | . == sort=true' \
		'latency_ns.min >= 50000000=true' '| .latency_ns.max <= .end_ns - .start_ns=true'
}

# ---- aggregates: --gro -----------------------------------------------------------------------------

# offload NODE INTERFACE FEATURE on|off, until the end of the test.
offload() {
	local before
	before=$(at "$1" ethtool -k "$2" | awk -v feature="$3:" '$1 == feature {print $2}')
	undo_push ip netns exec "$(namespace "$1")" ethtool -K "$2" "$3" "$before"
	at "$1" ethtool -K "$2" "$3" "$4"
}

# A segmented message arrives as it was sent: veth as it is unless told otherwise.
link_carries_aggregates() {
	offload gen out0 tx-udp-segmentation on
	offload sink in0 tx-udp-segmentation on
}

# Packets cross the link one by one; the receiving end puts them together again.
link_makes_aggregates() {
	offload sink in0 generic-receive-offload on
	offload sink in0 rx-udp-gro-forwarding on
}

# receive_count N [OPTION]...: a receiver that ends by itself: links count an aggregate once.
receive_count() {
	spawn sink sink "$TRAFFICGEN" recv --interface 10.77.1.2 --group "$GROUP_IN" --port 5000 \
		--count "$1" --duration 3600 --quiet --json "$WORK/sink.json" "${@:2}"
	ready sink '^Listening on'
}

assert_all_received() {
	assert_received "received=$1" lost=0 duplicated=0 reordered=0 stale=0 corrupt=0 unverified=0 \
		foreign=0 socket_drops=0 "latency_ns.count=$1" "bytes=$2"
	assert_equal "${EXIT[sink]}" 0
}

@test "--gro: aggregates that cross the link whole; each packet verified, counted and timed" {
	local ports
	link_carries_aggregates
	for ports in 1 3; do
		receive_count 330 --verify --ports "$ports"
		send --size 1400 --count 330 --gso 32 --verify
		wait_for sink
		assert_all_received 330 462000
		assert_received gro.on=true gro.aggregates=11 gro.packets_per_aggregate=30
	done
}

@test "--gro: a mix of sizes comes as one aggregate of each, and single packets" {
	link_carries_aggregates
	receive_count 240 --verify
	send --size imix --count 240 --gso 32 --rate 0 --verify
	wait_for sink
	assert_all_received 240 75800
	assert_received gro.aggregates=40 gro.packets_per_aggregate=5.5
}

@test "--gro: the largest packets, and the largest aggregates of the smallest" {
	link_carries_aggregates
	receive_count 20 --verify
	send --size 65507 --count 20 --rate 1000 --verify
	wait_for sink
	assert_all_received 20 1310140
	assert_received gro.aggregates=0
	receive_count 640 --verify
	send --size 18 --count 640 --gso 64 --verify
	wait_for sink
	assert_all_received 640 11520
	assert_received gro.aggregates=10
}

@test "--gro: aggregates that the receiving end makes" {
	link_makes_aggregates
	receive_count 330 --verify
	send --size 1400 --count 330 --gso 32 --verify
	wait_for sink
	assert_all_received 330 462000
	# the packets of a message reach the link together, and so do they the interface: whole, 11 at most
	assert_received gro.on=true 'gro | .aggregates * .packets_per_aggregate | round=330' \
		'gro.aggregates <= 11=true'
	receive_count 240 --verify
	send --size imix --count 240 --gso 32 --rate 0 --verify
	wait_for sink
	assert_all_received 240 75800
}

@test "--gro off: the kernel takes aggregates apart" {
	link_carries_aggregates
	receive_count 330 --verify --gro off
	send --size 1400 --count 330 --gso 32 --verify
	wait_for sink
	assert_all_received 330 462000
	assert_received gro.on=false gro.aggregates=0 gro.packets_per_aggregate=0
}

@test "--gro: packets longer than --max-size are corrupt, each of an aggregate" {
	link_carries_aggregates
	receive_count 64 --max-size 100
	send --size 101 --count 64 --gso 32
	send --size 100 --count 64 --gso 32
	wait_for sink
	assert_received received=64 corrupt=64 gro.aggregates=4
}

@test "--count ends it in the middle of an aggregate" {
	link_carries_aggregates
	receive_count 40 --verify
	send --size 1000 --count 64 --gso 32 --verify
	wait_for sink
	assert_all_received 40 40000
}

@test "--gro: damage and a foreign rest within an aggregate concern these packets only" {
	record
	link_carries_aggregates
	receive_count 8 --verify
	at gen /usr/bin/python3 - "$GROUP_IN" 5000 "$WORK/recorded" <<-'END'
		import socket, sys
		packets = [bytearray.fromhex(line) for line in open(sys.argv[3])]
		packets[0][59] ^= 1
		packets[4][30] ^= 128
		sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("10.77.1.1"))
		sock.setsockopt(socket.SOL_UDP, 103, 60)  # UDP_SEGMENT
		rest = b"seventeen bytes.."
		sock.sendto(b"".join(packets[:9]) + rest, (sys.argv[1], int(sys.argv[2])))
		sock.sendto(packets[9], (sys.argv[1], int(sys.argv[2])))
	END
	wait_for sink
	assert_received received=8 corrupt=2 foreign=1 lost=1 'flows[0].corrupt=1' bytes=480 \
		gro.on=true gro.aggregates=1 gro.packets_per_aggregate=10
	assert_equal "${EXIT[sink]}" 1
}
