#!/usr/bin/env bats
# trafficgen send: the asked number of packets leaves, however it is divided among flows, threads and
# messages, and the report says what happened. Whether a rate is reached depends on the machine, so
# that no test asks for it: the numbers count.
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

# receive_here [OPTION]...: at the other end of the link.
receive_here() {
	receive_start sink --group "$GROUP_IN" --port 5000 "$@"
}

# report PATH: out of the sender's report.
report() {
	gojq -c "$1" "$WORK/send.json"
}

assert_report() {
	assert_json "$WORK/send.json" "$@"
}

@test "the asked count leaves exactly, at 1k and 20k packets per second" {
	local rate
	for rate in 1000 20000; do
		receive_here
		send --size 200 --count 101 --rate "$rate" --verify
		receive_end sink
		assert_intact sink 101
		assert_report .packets_sent=101 .bytes_sent=20200 .send_errors=0 .interrupted=false \
			".settings.rate=$rate" '.send_errors_by_cause={}'
	done
}

@test "the summary has the documented lines, last" {
	send --size 1000 --count 10
	run tail -n 4 "$WORK/send.out"
	assert_line --index 0 'Total packets sent: 10'
	assert_line --index 1 --regexp '^Elapsed time: [0-9]+\.[0-9]{3}s$'
	assert_line --index 2 --regexp '^Actual packet rate: [0-9]+ pps \(target: 20000 pps\)$'
	assert_line --index 3 --regexp '^Actual throughput: [0-9]+\.[0-9]{2} Gbps$'
	assert_equal "$(<"$WORK/send.log")" ''
}

@test "the pace never runs ahead of the schedule" {
	local options
	# packet k is due at k / rate: whatever the machine does, 101 packets at 2000 pps take 50.5 ms
	for options in '' '--threads 2 --flows 4' '--gso 10 --batch 2'; do
		# shellcheck disable=SC2086 # words
		send --size 100 --count 101 --rate 2000 $options
		assert_equal "$options $(report '(.end_ns - .start_ns) >= 50500000 and .samples[-1][1] == 101')" "$options true"
	done
}

@test "what the whole machine did stands beside the packets, at the same times" {
	send --size 100 --count 200 --rate 2000 --sample-ms 20
	assert_report '[.samples[:-1][][0]] == [.cpu_samples[:-1][][0]]=true' '.cpu_samples[-1][0] >= .end_ns=true' \
		'[.cpu_samples[] | length] | unique=[9]' '.cpu_samples | map(.[1]) | . == sort=true' \
		".cpu_ticks_per_s=$(getconf CLK_TCK)"
}

@test "as fast as possible still stops at the count" {
	send --size 100 --count 5000 --rate 0
	assert_report .packets_sent=5000 .interrupted=false
}

@test "--duration ends the run, and --count when it is first" {
	send --size 100 --rate 1000 --duration 0.1
	# packet k is due at k / rate: there are no more in that time, on any machine
	assert_report '(.end_ns - .start_ns) >= 100000000=true' '.packets_sent <= 100=true' .interrupted=false
	send --size 100 --rate 0 --duration 0.05
	assert_report '(.end_ns - .start_ns) >= 50000000=true' '.packets_sent > 0=true' .interrupted=false
	send --size 100 --rate 1000 --duration 3600 --count 20
	assert_report .packets_sent=20 .interrupted=false
}

@test "several flows on several ports, each with its own source port and numbers from 0" {
	receive_here --ports 4
	listen_start wire sink capture in0
	send --size 100 --count 200 --flows 4 --port-step 1 --verify
	receive_end sink
	listen_end wire sink
	assert_intact sink 200
	assert_report '[.flows[].port]=[5000,5001,5002,5003]' '[.flows[].packets_sent] | add=200'
	run gojq -c '[.flows[] | [.flow, .first_sequence, .received == .last_sequence + 1]]' "$WORK/sink.json"
	assert_output '[[0,0,true],[1,0,true],[2,0,true],[3,0,true]]'
	assert_equal "$(gojq -r .from_port "$WORK/wire.out" | sort -u | wc -l)" 4
	assert_equal "$(gojq -r .port "$WORK/wire.out" | sort -u | paste -sd' ')" "5000 5001 5002 5003"
}

@test "two generators that number their flows apart are told apart" {
	receive_here
	send --size 100 --count 100 --flows 2 --verify
	send --size 100 --count 100 --flows 2 --first-flow 65534 --verify
	receive_end sink
	assert_intact sink 200
	run gojq -c '[.flows[].flow], ([.flows[:2][].received] | add)' "$WORK/sink.json"
	assert_output $'[0,1,65534,65535]\n100'
	assert_report '[.flows[].flow]=[65534,65535]'
}

@test "on and off: as many at once as --burst says, in as many calls as it takes" {
	receive_here
	send --size 100 --count 600 --rate 2000 --burst 200 --batch 64 --verify
	receive_end sink
	assert_intact sink 600
	# all packets of a turn are due in the same moment: each is 64 + 64 + 64 + 8, unless it was late and the next one due as well
	assert_report '(.send_calls >= 10 and .send_calls <= 12)=true' '(.end_ns - .start_ns) >= 300000000=true'
}

# turns OPTION...: the order in which four flows arrive, "FLOWxPACKETS FLOWxPACKETS ...".
turns() {
	listen_start wire sink capture in0
	send --size 100 --rate 0 --count 64 --flows 4 --port-step 1 "$@"
	listen_end wire sink
	gojq '.port - 5000' "$WORK/wire.out" | uniq -c | awk '{print $2 "x" $1}' | paste -sd' '
}

@test "flows take turns by system call, and with --interleave by message" {
	assert_equal "$(turns)" '0x16 1x16 2x16 3x16'
	assert_equal "$(turns --interleave --gso 8)" '0x8 1x8 2x8 3x8 0x8 1x8 2x8 3x8'
	run turns --interleave
	assert_equal "${#lines[0]}" $((64 * 4 - 1)) # no two in a row
	assert_report .packets_sent=64 .send_calls=64 '[.flows[].packets_sent]=[16,16,16,16]'
}

@test "--interleave: all are received, with verified order within each flow" {
	receive_here --ports 4
	send --size imix --count 480 --flows 4 --port-step 1 --interleave --gso 16 --verify
	receive_end sink
	assert_intact sink 480
}

@test "several threads share flows and count without a rest" {
	receive_here
	send --size 100 --count 501 --threads 3 --flows 7 --verify
	receive_end sink
	assert_equal "$(received sink) $(received sink lost) $(received sink duplicated)" "501 0 0"
	assert_report .packets_sent=501 '[.flows[].packets_sent] | add=501' '.flows | length=7'
	assert_equal "$(gojq '[.flows[].received] | add' "$WORK/sink.json")" 501
}

@test "the sizes from the smallest to the largest" {
	local size
	receive_here --ports 6
	listen_start wire sink receive 10.77.1.2 "$GROUP_IN" 5000
	send --size 18,19,1472,1473,9000,65507 --count 36 --flows 6 --port-step 1 --batch 6 --rate 0 --verify
	receive_end sink
	listen_end wire sink
	assert_equal "$(sizes_on_wire)" '18 19 1472 1473 9000 65507'
	for size in received=36 corrupt=0 lost=0 duplicated=0 "bytes=$((6 * (18 + 19 + 1472 + 1473 + 9000 + 65507)))"; do
		assert_equal "${size%=*}=$(received sink "${size%=*}")" "$size"
	done
	for size in 18 65507; do
		receive_here
		send --size "$size" --count 5 --verify
		receive_end sink
		assert_equal "$size $(received sink) $(received sink corrupt) $(received sink bytes)" \
			"$size 5 0 $((5 * size))"
	done
}

# sizes_on_wire: the payloads that `listen_start wire sink receive` saw, as "SIZE SIZE ...".
sizes_on_wire() {
	awk '{print length($1) / 2}' "$WORK/wire.out" | paste -sd' '
}

@test "sizes below the header: its beginning, which the receiver calls foreign" {
	receive_here
	listen_start wire sink receive 10.77.1.2 "$GROUP_IN" 5000
	send --size 1,17,1400,18 --count 8
	listen_end wire sink
	receive_end sink
	assert_equal "$(sizes_on_wire)" '1 17 1400 18 1 17 1400 18'
	assert_equal "$(sed -n 5p "$WORK/wire.out")" 6d
	assert_equal "$(sed -n 6p "$WORK/wire.out" | cut -c1-20)" 6d630000000000000005
	assert_equal "$(received sink) $(received sink foreign) $(received sink bytes)" "4 4 2836"
	assert_report .bytes_sent=2872
}

@test "sizes in a pattern, which each flow repeats" {
	receive_here --ports 2
	listen_start wire sink receive 10.77.1.2 "$GROUP_IN" 5000
	send --size 64x3,576x2,1400 --count 24 --flows 2 --port-step 1 --verify --gso 16 --rate 0 --batch 3
	listen_end wire sink
	receive_end sink
	assert_equal "$(sizes_on_wire)" '64 64 64 576 576 1400 64 64 64 576 576 1400'
	assert_intact sink 24
	assert_report '.gso={"fallback":false,"requested":16,"segments":3}' .bytes_sent=10976
	assert_equal "$(<"$WORK/send.log")" ''
}

@test "imix: frames of 60, 590 and 1514 bytes and their checksum" {
	receive_here
	listen_start wire sink receive 10.77.1.2 "$GROUP_IN" 5000
	send --size imix --count 120 --gso 32 --verify
	listen_end wire sink
	receive_end sink
	assert_equal "$(sizes_on_wire | tr ' ' '\n' | sort -n | uniq -c | awk '{print $1 "x" $2}' | paste -sd' ')" \
		'70x18 40x548 10x1472'
	assert_intact sink 120
}

@test "large packets over a link that takes them, single and segmented" {
	local gso
	undo_push ip -n "$(namespace gen)" link set out0 mtu 1500
	undo_push ip -n "$(namespace sink)" link set in0 mtu 1500
	ip_at gen link set out0 mtu 9000
	ip_at sink link set in0 mtu 9000
	for gso in 1 7; do
		receive_here
		send --size 8900 --count 50 --gso "$gso" --verify
		receive_end sink
		assert_intact sink 50
		assert_report ".gso={\"fallback\":false,\"requested\":$gso,\"segments\":$gso}"
	done
}

@test "--gso: what crosses the link are single packets, all of them, in order" {
	receive_here
	send --size 1400 --count 333 --gso 32 --verify
	receive_end sink
	assert_intact sink 333
	assert_report '.gso={"fallback":false,"requested":32,"segments":32}'
	# never fewer than a message's packets at a time: at most ten calls for 32 or more, and one for the rest
	assert_report '.send_calls <= 11=true'
}

@test "--gso beyond what fits a message is clamped, and says so" {
	receive_here
	send --size 1400 --count 100 --gso 64 --verify
	receive_end sink
	assert_intact sink 100
	assert_report '.gso={"fallback":false,"requested":64,"segments":46}'
	assert_equal "$(<"$WORK/send.log")" \
		"trafficgen send: --gso 64: only 46 packets of 1400 bytes fit a message of 65507; using 46"
}

@test "--gso with payloads larger than the MTU falls back to plain sends, and says so" {
	receive_here
	send --size 2000 --count 50 --gso 8 --verify
	receive_end sink
	assert_equal "$(received sink) $(received sink corrupt)" "50 0"
	assert_report '.gso={"fallback":true,"requested":8,"segments":1}'
	assert_equal "$(wc -l <"$WORK/send.log")" 1
	run cat "$WORK/send.log"
	assert_output --partial '2000-byte payloads do not fit the interface'
}

@test "--gso with a mix of which some exceed the MTU: the others are segmented" {
	receive_here
	send --size 500x4,2000x2 --count 60 --gso 8 --verify
	receive_end sink
	assert_equal "$(received sink) $(received sink lost) $(received sink corrupt)" "60 0 0"
	assert_report '.gso={"fallback":true,"requested":8,"segments":4}'
	run cat "$WORK/send.log"
	assert_output --partial '2000-byte payloads do not fit the interface'
}

@test "--gso that the kernel refuses on a route falls back to plain sends, and says so once" {
	undo_push ip -n "$(namespace gen)" route del "$GROUP_IN/32" dev out0
	ip_at gen route add "$GROUP_IN/32" dev out0 mtu 600
	receive_here
	send --size 1000 --count 100 --gso 8 --flows 3 --verify
	receive_end sink
	assert_equal "$(received sink) $(received sink lost) $(received sink corrupt)" "100 0 0"
	assert_report .packets_sent=100 .send_errors=0 '.gso={"fallback":true,"requested":8,"segments":1}'
	assert_equal "$(grep -c 'refuses segmented messages' "$WORK/send.log")" 1
}

@test "packets that the kernel refuses are counted by cause; none sent: exit status 1" {
	undo_push ip -n "$(namespace gen)" link set out0 up
	ip_at gen link set out0 down
	run -1 send --size 100 --count 20
	assert_report .packets_sent=0 .send_errors=20
	assert_equal "$(report '.send_errors_by_cause | length == 1 and ([.[]] == [20])')" true
	run cat "$WORK/send.log"
	assert_output --partial 'the kernel refused 20 packets'
	assert_output --partial 'no packet was sent'
}

@test "--ttl, source address and group are what was asked for" {
	listen_start wire sink capture in0
	send --size 100 --count 3 --ttl 17
	listen_end wire sink
	assert_equal "$(gojq -c '[.source, .destination, .port, .ttl]' "$WORK/wire.out" | sort -u)" \
		'["10.77.1.1","239.255.1.1",5000,17]'
	assert_equal "$(wc -l <"$WORK/wire.out")" 3
}

@test "a unicast address as the group" {
	receive_start sink --group 10.77.1.2 --port 5000
	send --size 100 --count 50 --group 10.77.1.2 --verify
	eventually udp_received
	stop sink
	assert_equal "$(received sink) $(received sink lost)" "50 0"
}

# Neighbour discovery is not IP: the socket's own count tells when all have come.
udp_received() {
	[[ $(at sink ss -Huan | awk '{n += $2} END {print n + 0}') == 0 ]] &&
		(($(at sink cat /proc/net/snmp | awk '$1 == "Udp:" {n = $2} END {print n}') >= 50))
}

@test "SIGINT and SIGTERM end it with a whole report that says so" {
	local name before
	for name in INT TERM; do
		before=$(rx_packets sink in0)
		spawn sender gen "$TRAFFICGEN" send --interface 10.77.1.1 --group "$GROUP_IN" --port 5000 \
			--rate 500 --count 1000000 --quiet --json "$WORK/send.json"
		eventually at_least rx_packets sink in0 $((before + 5))
		stop sender "$name"
		assert_equal "$name ${EXIT[sender]}" "$name 0"
		assert_report .interrupted=true
		(($(report .packets_sent) >= 5 && $(report .packets_sent) < 1000000))
		assert_equal "Total packets sent: $(report .packets_sent)" "$(grep '^Total' "$WORK/sender.out")"
		rm "$WORK/send.json"
	done
}

@test "the report goes to standard output when asked, and leaves the device alone" {
	mknod "$WORK/null" c 1 3
	send --size 100 --count 5 --json "$WORK/null"
	assert_equal "$(stat -c '%F' "$WORK/null")" 'character special file'
	run --separate-stderr at gen "$TRAFFICGEN" send --interface 10.77.1.1 --group "$GROUP_IN" \
		--port 5000 --rate 1000 --count 5 --quiet --json /dev/stdout
	assert_success
	assert_output --partial '"packets_sent": 5,'
	assert_output --partial 'Total packets sent: 5'
}
