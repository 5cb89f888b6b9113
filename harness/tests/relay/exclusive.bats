#!/usr/bin/env bats
# What the relay does to its host: the groups it joins and leaves, and --exclusive, which keeps the
# rules' packets (and only those) from the host's own programs for as long as the relay lives.

load ../lib/testbed

setup_file() {
	testbed build
}

build() {
	topology fanout
	link gen out1 10.77.9.1 r1 in1 10.77.9.2
}

IN=in0:$GROUP_IN:5000
OUT=out0:$GROUP_OUT:6000:8
RULE=$(rule one "$IN" "$OUT")

# local_start: another program at the relay's node that wants the rule's packets.
local_start() {
	spawn local r1 "$TRAFFICGEN" recv --interface 10.77.1.2 --group "$GROUP_IN" --port 5000 \
		--duration 3600 --verify --quiet --json "$WORK/local.json"
	ready local '^Listening on'
}

# local_end N: expects that it got N packets. What the tap has seen, the stack has, too, unless
# --exclusive takes it; a packet to another port closes the row.
local_end() {
	relay_settle
	eventually udp_queues_empty
	stop local
	assert_equal "local $(received local)" "local $1"
}

udp_queues_empty() {
	(($(at r1 ss -Huan | awk '{n += $2} END {print n + 0}') == 0))
}

joined() {
	ip_at r1 maddr show dev "$1" | grep -q "inet  *$2\$"
}

# Nobody but the relay runs; a program that asks for N packets gets them.
assert_local_gets() {
	spawn after r1 "$TRAFFICGEN" recv --interface 10.77.1.2 --group "$GROUP_IN" --port 5000 \
		--duration 3600 --count "$1" --verify --quiet --json "$WORK/after.json"
	ready after '^Listening on'
	send --size 100 --count "$1" --verify
	wait_for after
	assert_equal "${EXIT[after]} $(received after)" "0 $1"
}

@test "without --exclusive another program gets the packets as well" {
	relay_start "$RULE"
	receive_start sink0
	local_start
	send --size 100 --count 100 --verify
	eventually node_settled r1
	local_end 100
	relay_finish
	receive_end sink0
	assert_intact sink0 100
}

@test "with --exclusive the relay alone gets the packets" {
	relay_start "$RULE" --exclusive
	receive_start sink0
	local_start
	send --size 100 --count 100 --verify
	send --size 1400 --count 100 --verify --gso 32
	local_end 0
	relay_finish
	receive_end sink0
	assert_equal "$(received sink0) $(received sink0 corrupt) $(received sink0 duplicated)" "100 0 100"
	assert_counters matched=200 egress_sent=200 .settings.exclusive=true
}

@test "--exclusive takes what the relay takes: with priority tags, with IP options, in fragments" {
	relay_start "$RULE" --exclusive
	local_start
	listen_start listener sink0 receive 10.77.2.2 "$GROUP_OUT" 6000
	frames gen inject out0 10.77.1.1 "$GROUP_IN" 5000 plain:100 options:100 priority:100 priorities:100 \
		fragments:1000 no-checksum:100 >"$WORK/injected"
	eventually relay_counts matched 6
	local_end 0
	relay_stop
	listen_end listener sink0
	run diff <(sed 's/^[^ ]* //' "$WORK/injected") "$WORK/listener.out"
	assert_success
}

@test "without --exclusive another program gets all of that, too" {
	relay_start "$RULE"
	listen_start listener r1 receive 10.77.1.2 "$GROUP_IN" 5000
	frames gen inject out0 10.77.1.1 "$GROUP_IN" 5000 plain:100 options:100 priority:100 priorities:100 \
		fragments:1000 no-checksum:100 >"$WORK/injected"
	eventually relay_counts matched 6
	relay_stop
	listen_end listener r1
	run diff <(sed 's/^[^ ]* //' "$WORK/injected") "$WORK/listener.out"
	assert_success
}

# assert_taken SOURCES N: of 100 packets, the rule for these sources takes N; another program gets the others.
assert_taken() {
	relay_start "$(gojq -c ".input.sources = $1" <<<"$RULE")" --exclusive
	local_start
	send --size 100 --count 100 --verify
	local_end "$((100 - $2))"
	relay_stop
	assert_counters "matched=$2" "drop_source=$((100 - $2))"
}

@test "--exclusive leaves packets of sources that no rule names to others" {
	assert_taken '["10.77.1.0/25", "192.0.2.7"]' 100
	assert_taken '["10.77.0.0/24", "10.77.1.128/25"]' 0
}

@test "--exclusive leaves other groups, ports and interfaces alone" {
	relay_start "$RULE" --exclusive
	spawn ports r1 "$TRAFFICGEN" recv --interface 10.77.1.2 --group "$GROUP_IN" --port 5001 \
		--duration 3600 --count 20 --quiet
	ready ports '^Listening on'
	spawn groups r1 "$TRAFFICGEN" recv --interface 10.77.1.2 --group 239.255.1.9 --port 5000 \
		--duration 3600 --count 20 --quiet
	ready groups '^Listening on'
	spawn interfaces r1 "$TRAFFICGEN" recv --interface 10.77.9.2 --group "$GROUP_IN" --port 5000 \
		--duration 3600 --count 20 --quiet
	ready interfaces '^Listening on'
	send --size 100 --count 20 --port 5001
	send --size 100 --count 20 --group 239.255.1.9
	send --size 100 --count 20 --interface 10.77.9.1
	wait_for ports
	wait_for groups
	wait_for interfaces
	assert_equal "${EXIT[ports]} ${EXIT[groups]} ${EXIT[interfaces]}" "0 0 0"
	relay_stop
}

@test "--exclusive ends with the relay" {
	relay_start "$RULE" --exclusive
	relay_stop
	assert_local_gets 50
}

@test "--exclusive ends when the relay is killed outright" {
	relay_start "$RULE" --exclusive
	local_start
	send --size 100 --count 50
	local_end 0
	stop relay KILL
	assert_equal "${EXIT[relay]}" 137
	assert_local_gets 50
}

@test "--exclusive: two relays with different rules on one interface" {
	relay_start "$RULE" --exclusive
	rule other in0:239.255.1.2:5000 "out1:$GROUP_OUT:6000:8" | gojq -s '{rules: .}' >"$WORK/second.rules"
	spawn second r1 "$RELAY" --config "$WORK/second.rules" --exclusive --stats-interval-ms 0 "${NO_CONTROL[@]}"
	ready second '^\[INFO:[A-Za-z]*\] ready'
	receive_start sink0
	receive_start sink1
	send --size 100 --count 50 --verify
	send --size 100 --count 60 --verify --group 239.255.1.2
	eventually relay_counts matched 50
	relay_stop
	stop second
	assert_equal "${EXIT[second]}" 0
	receive_end sink0
	receive_end sink1
	assert_intact sink0 50
	assert_intact sink1 60
}

@test "--exclusive survives that its interface is made anew" {
	relay_start "$RULE" --exclusive
	ip_at r1 link del in0
	eventually grep -q 'interface in0 is absent' "$WORK/relay.log"
	harness_call link gen out0 10.77.1.1 r1 in0 10.77.1.2
	eventually grep -q 'interface in0 is ready' "$WORK/relay.log"
	eventually joined in0 "$GROUP_IN"
	receive_start sink0
	eventually exclusive_again
	relay_stop
	stop sink0
}

# The relay gets a packet that the stack does not.
exclusive_again() {
	local before
	relay_report
	before=$(counter matched)
	local_start
	send --size 100 --count 10 --verify
	eventually relay_counts matched $((before + 10))
	eventually udp_queues_empty
	stop local
	[[ $(received local) == 0 ]]
}

@test "the rules' groups are joined on their interfaces, and left at the end" {
	relay_start "$RULE $(rule b in0:239.255.1.2:5000) $(rule c in0:239.255.1.2:5001) $(rule d in1:239.255.1.3:5000)"
	joined in0 "$GROUP_IN"
	joined in0 239.255.1.2
	joined in1 239.255.1.3
	run ! joined in1 "$GROUP_IN"
	run ! joined in0 239.255.1.3
	relay_stop
	run ! joined in0 "$GROUP_IN"
	run ! joined in0 239.255.1.2
	run ! joined in1 239.255.1.3
}

@test "groups are left also when the relay is killed outright" {
	relay_start "$RULE"
	joined in0 "$GROUP_IN"
	stop relay KILL
	run ! joined in0 "$GROUP_IN"
}

@test "more groups than a socket may join" {
	local i rules=
	for i in {1..50}; do rules+=" $(rule "r$i" "in0:239.255.3.$i:5000" "$OUT")"; done
	relay_start "$rules"
	joined in0 239.255.3.1
	joined in0 239.255.3.50
	receive_start sink0
	send --size 100 --count 20 --verify --group 239.255.3.50
	relay_finish
	receive_end sink0
	assert_intact sink0 20
	run ! joined in0 239.255.3.50
}
