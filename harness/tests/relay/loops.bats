#!/usr/bin/env bats
# Packets that come back to the rule that has sent them: it is stopped, named, and tried again. What only
# looks like a loop, because senders repeat themselves, is relayed to the last packet.
#
#   gen out0 ──▶ in0 r1 a0 ──▶ a0 other        other can be made to send b0 what comes on a0
#                    r1 b0 ◀── b0 other
#                    r1 v0 ─── v1 r1

load ../lib/testbed

build() {
	node gen && node r1 && node other
	link gen out0 10.77.1.1 r1 in0 10.77.1.2
	link r1 a0 10.77.2.1 other a0 10.77.2.2
	link other b0 10.77.3.2 r1 b0 10.77.3.1
	link r1 v0 10.77.4.1 r1 v1 10.77.5.1
}

setup_file() {
	testbed build
}

setup() {
	harness_setup
	GROUP=$GROUP_IN:5000
}

# state ID: running, waiting or stopped.
state() {
	ctl list >"$WORK/list"
	gojq -r --arg id "$1" '.rules[] | select(.id == $id) | .state' "$WORK/list"
}

# A loop goes round hundreds of thousands of times a second.
assert_few_sent() {
	relay_report
	(($(counter egress_sent) < $1)) || fail "$(counter egress_sent) packets were sent"
}

other_relay_start() {
	rule_file "$1" >"$WORK/other.rules"
	spawn other other "$RELAY" --config "$WORK/other.rules" --stats-interval-ms 0 "${@:2}"
	ready other '^\[INFO:[A-Za-z]*\] ready'
}

@test "a rule that hears its own packets is stopped, and list, log, health and metrics say so" {
	local matched
	relay_start "$(rule self "v1:$GROUP" "v0:$GROUP") $(rule good "in0:$GROUP" "a0:$GROUP")" "${CONTROL[@]}" --http 127.0.0.1:9464
	frames r1 inject v0 10.77.4.9 "$GROUP_IN" 5000 plain:100 >/dev/null
	eventually same state self stopped
	assert_few_sent 20000
	assert_equal "$(state good)" running
	grep -qE '^\[WARNING:Supervisor\] rule self is stopped: its packets come back to it, from 10\.77\.4\.1:[0-9]+' "$WORK/relay.log"
	gojq -e '.rules[] | select(.id == "self") | .reason | startswith("its packets come back to it")' "$WORK/list" >/dev/null
	at r1 curl --silent http://127.0.0.1:9464/health >"$WORK/health" || true
	gojq -e '.status == "degraded" and (.reasons | any(startswith("rule self is stopped")))' "$WORK/health" >/dev/null
	at r1 curl --silent http://127.0.0.1:9464/metrics | grep -q '^mcrelay_rule_running{rule="self",.*} 0$'
	(($(counter drop_loop) >= 1))
	# what makes a loop no more runs again, at once when rules change
	ctl add --rule-id self --input-interface v1 --input-group "$GROUP_IN" --input-port 5000 --outputs "$GROUP:a0" >/dev/null
	eventually same state self running
	relay_report
	matched=$(counter matched)
	frames r1 inject v0 10.77.4.9 "$GROUP_IN" 5000 plain:100 >/dev/null
	eventually relay_counts matched $((matched + 1))
	relay_stop
}

@test "a rule in a loop stays stopped whatever other interfaces do, and the offloads of its own input" {
	relay_start "$(rule self "v1:$GROUP" "v0:$GROUP")" "${CONTROL[@]}" --gro
	frames r1 inject v0 10.77.4.9 "$GROUP_IN" 5000 plain:100 >/dev/null
	eventually grep -q 'rule self is stopped' "$WORK/relay.log"
	at r1 ip link add other0 type veth peer name other1
	at r1 ip link del other0
	assert_equal "$(state self)" stopped
	relay_stop
}

@test "two rules opposite each other: one is stopped, the other named" {
	relay_start "$(rule there "v1:$GROUP" "v1:239.255.1.7:5000") $(rule back "v0:239.255.1.7:5000" "v0:$GROUP")" "${CONTROL[@]}"
	frames r1 inject v0 10.77.4.9 "$GROUP_IN" 5000 plain:100 plain:200 plain:300 >/dev/null
	eventually grep -qE 'rule (there|back) is stopped: .*, by way of rule (back|there);' "$WORK/relay.log"
	assert_few_sent 60000
	relay_stop
}

@test "two relays that send to each other: one of them stops, whatever the number of packets" {
	other_relay_start "$(rule round "a0:$GROUP" "b0:$GROUP")"
	relay_start "$(rule there "in0:$GROUP" "a0:$GROUP") $(rule back "b0:$GROUP" "a0:$GROUP")"
	send --size 500 --count 300 --rate 10000
	eventually grep -qhE 'rule (back|round) is stopped' "$WORK/relay.log" "$WORK/other.log"
	eventually silent
	relay_stop
	stop other
}

# Nothing goes round any more.
silent() {
	local before
	before=$(rx_packets r1 b0)
	pause 0.1
	[[ $(rx_packets r1 b0) == "$before" ]]
}

@test "several workers, uring ingress, two threads each" {
	relay_start "$(rule self "v1:$GROUP" "v0:$GROUP")" "${CONTROL[@]}" --num-workers 3
	frames r1 inject v0 10.77.4.9 "$GROUP_IN" 5000 plain:100 >/dev/null
	eventually same state self stopped
	relay_stop
	relay_start "$(rule self "v1:$GROUP" "v0:$GROUP")" "${CONTROL[@]}" --ingress uring --thread-model split
	frames r1 inject v0 10.77.4.9 "$GROUP_IN" 5000 plain:100 >/dev/null
	eventually same state self stopped
	relay_stop
}

@test "a chain of rules within one relay is no loop" {
	relay_start "$(rule one "in0:$GROUP" "v0:$GROUP") $(rule two "v1:$GROUP" "a0:239.255.1.7:5000")"
	send --size 100 --count 500
	eventually relay_counts '.rules[1].matched' 500
	relay_stop
	assert_counters egress_sent=1000 drop_loop=0
}

@test "equal payloads that are in no loop are all relayed, whoever sends them" {
	local sender
	relay_start "$(rule one "in0:$GROUP" "a0:$GROUP")"
	for sender in 1 2; do
		spawn "same$sender" gen "$FRAMES" inject out0 "10.77.1.$sender" "$GROUP_IN" 5000 --times 1500 plain:100
	done
	wait_for same1
	wait_for same2
	relay_settle
	eventually relay_counts egress_sent 3000
	relay_stop
	assert_counters matched=3000 drop_loop=0
	run ! grep -q stopped "$WORK/relay.log"
}
