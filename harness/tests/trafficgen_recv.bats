#!/usr/bin/env bats
# trafficgen recv: every datagram is counted once, under the right name.
#
#   gen                sink
#   out0 ─────────▶ in0

load helper

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
	local pair
	for pair in "$@"; do
		assert_equal "${pair%=*}=$(received sink "${pair%=*}")" "$pair"
	done
}

@test "duplicates, gaps, reordering, damage and foreign packets: each under its name" {
	record
	replay 0 1 1 3 2 x4 f5 8
	assert_received received=5 duplicated=1 reordered=1 corrupt=1 foreign=1 lost=4 \
		'flows | length=1' 'flows[0].first_sequence=0' 'flows[0].last_sequence=8'
	assert_equal "${EXIT[sink]}" 1 # --verify found a corrupt packet
	assert_equal "$(cat "$WORK/sink.log")" 'trafficgen recv: 1 packets are corrupt'
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
	(($(node_backlog sink) == SKEW[sink]))
}

@test "--count ends it there; fewer: exit status 3" {
	spawn exact sink "$TRAFFICGEN" recv --interface 10.77.1.2 --group "$GROUP_IN" --port 5000 \
		--count 30 --duration 60 --quiet --json "$WORK/exact.json"
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
		run -0 at sink "$TRAFFICGEN" recv --interface 10.77.1.2 --group "$GROUP_IN" --port 5000 $option
		assert_output --partial 'Received:     0 packets'
	done
	spawn idle sink "$TRAFFICGEN" recv --interface 10.77.1.2 --group "$GROUP_IN" --port 5000 \
		--idle-ms 100 --quiet --json "$WORK/idle.json"
	ready idle '^Listening on'
	send --size 60 --count 5
	wait_for idle
	assert_equal "${EXIT[idle]} $(received idle interrupted)" "0 false"
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
	send --size 60 --count 100 --batch 1 --rate 1000 --verify
	receive_end sink
	assert_received latency_ns.count=100
	run jq '.latency_ns | [.min, .p50, .p99, .p99_9, .max] | . == sort and .[0] >= 0' "$WORK/sink.json"
	assert_output true
}
