#!/usr/bin/env bats
# Interfaces that go down, go away and come back while the relay runs: it survives, says so once,
# counts what it could not send and why, does not spin meanwhile, and relays again afterwards.

load ../lib/testbed
load ../lib/json

setup_file() {
	testbed build
}

build() {
	topology single
}

IN=in0:$GROUP_IN:5000
OUT=out0:$GROUP_OUT:6000:8
RULE=$(rule one "$IN" "$OUT")

# Whatever a failed test has left: both links as they were.
teardown() {
	harness_teardown
	STATE=$TESTBED_STATE
	exists in0 || make_input
	exists out0 || make_output
	ip_at r1 link set in0 up
	ip_at r1 link set out0 up
}

exists() {
	ip_at r1 link show "$1" >/dev/null 2>&1
}

make_output() {
	harness_call link r1 out0 10.77.2.1 sink in0 10.77.2.2
}

make_input() {
	harness_call link gen out0 10.77.1.1 r1 in0 10.77.1.2
}

logged() {
	grep -qF -- "$1" "$WORK/relay.log"
}

# assert_said_once TEXT...: each stands in one line of the log; there is no other line about interfaces.
assert_said_once() {
	local text
	for text in "$@"; do
		assert_equal "$(grep -cF -- "$text" "$WORK/relay.log") $text" "1 $text"
	done
	assert_equal "$(grep -vc '^\[STATS\|ready:' "$WORK/relay.log")" $#
}

# The output has a socket, and its link carries.
output_ready() {
	[[ -n $(at r1 ss -Huan dst "$GROUP_OUT") ]] && link_up r1 out0 && link_up sink in0
}

# The input has joined its group, which it does when its ring is open; and its link carries.
input_ready() {
	joined && link_up gen out0 && link_up r1 in0
}

joined() {
	ip_at r1 maddr show dev in0 | grep -q "inet  *$GROUP_IN"
}

link_up() {
	[[ $(ip_at "$1" -j link show "$2" | gojq -r '.[0].operstate') == UP ]]
}

# assert_relays N [OPTION]...: so many packets arrive at sink, whatever was before.
assert_relays() {
	local before
	relay_report
	before=$(counter matched)
	receive_start sink
	send --size 100 --count "$1" --verify "${@:2}"
	eventually relay_counts matched $((before + $1))
	eventually same rx_new sink "$1"
	receive_end sink
	assert_intact sink "$1"
}

# assert_refused N CAUSE: so many packets cannot be sent now, for this reason.
assert_refused() {
	local before
	relay_report
	before=$(counter egress_errors)
	send --size 100 --count "$1"
	eventually relay_counts egress_errors $((before + $1))
	assert_counters ".outputs[0].errors.$2=$1"
	assert_ledger_closed
}

# Nanoseconds that the relay's processes have run.
cpu_ns() {
	local pid
	for pid in "$(pid_of relay)" $(children relay); do
		cat "/proc/$pid"/task/*/schedstat
	done | awk '{n += $1} END {printf "%.0f", n}'
}

# While another process uses 100 ms of their CPU, they use less than half as much: one that does not sleep would
# get its share, however many others there are.
assert_not_spinning() {
	local before spent
	before=$(cpu_ns)
	taskset -c "$RELAY_CPU" /usr/bin/python3 -ISc 'import time
while time.process_time() < 0.1: pass'
	spent=$(($(cpu_ns) - before))
	((spent < 50000000)) || fail "the relay is spinning: $spent ns"
}

@test "a relay without traffic sleeps, also when it has no rule any more" {
	relay_start "$RULE" "${CONTROL[@]}"
	assert_not_spinning
	ctl remove --rule-id one >/dev/null
	assert_not_spinning
	relay_stop
}

@test "an output that goes down and up" {
	relay_start "$RULE"
	assert_relays 50
	ip_at r1 link set out0 down
	eventually logged 'interface out0 is down'
	assert_refused 30 ENETUNREACH
	assert_counters '.interfaces[] | select(.name == "out0") | .up=false'
	assert_not_spinning
	ip_at r1 link set out0 up
	eventually logged 'interface out0 is ready'
	eventually output_ready
	assert_relays 50
	relay_stop
	assert_said_once 'interface out0 is down; 1 rule waits for it' 'interface out0 is ready' \
		'sends through out0 fail: ENETUNREACH (no route: '
	assert_counters egress_sent=100 egress_errors=30 '.interfaces[] | select(.name == "out0") | .up=true'
	assert_ledger_closed
}

@test "an output whose peer goes down and up" {
	relay_start "$RULE"
	ip_at sink link set in0 down
	eventually logged 'interface out0 has no carrier'
	eventually relay_errs_with ENETDOWN
	assert_not_spinning
	ip_at sink link set in0 up
	eventually logged 'interface out0 is ready'
	eventually output_ready
	assert_relays 50
	relay_stop
	assert_said_once 'interface out0 has no carrier' 'interface out0 is ready' \
		'sends through out0 fail: ENETDOWN (the interface is down or has no carrier)'
	assert_ledger_closed
}

@test "an output that is deleted and made anew" {
	relay_start "$RULE"
	assert_relays 50
	ip_at r1 link del out0
	eventually logged 'interface out0 is absent'
	eventually relay_errs_with ENODEV
	assert_not_spinning
	make_output
	eventually logged 'interface out0 is ready'
	eventually output_ready
	assert_relays 50
	relay_stop
	assert_equal "$(grep -cF 'interface out0 is absent; 1 rule waits for it' "$WORK/relay.log")" 1
	assert_equal "$(grep -cF 'interface out0 is ready' "$WORK/relay.log")" 1
	assert_ledger_closed
}

# Sends a packet; true once such packets are counted under CAUSE: the worker has noticed.
relay_errs_with() {
	send --size 100 --count 1
	relay_report
	(($(counter ".outputs[0].errors.$1") > 0))
}

@test "an input that goes down and up" {
	relay_start "$RULE"
	assert_relays 50
	ip_at r1 link set in0 down
	eventually logged 'interface in0 is down'
	assert_not_spinning
	ip_at r1 link set in0 up
	eventually logged 'interface in0 is ready'
	eventually input_ready
	assert_relays 50
	relay_stop
	assert_said_once 'interface in0 is down; 1 rule waits for it' 'interface in0 is ready'
	assert_counters egress_sent=100 egress_errors=0
	assert_ledger_closed
}

@test "an input that is deleted and made anew: it is joined again" {
	relay_start "$RULE"
	assert_relays 50
	ip_at r1 link del in0
	eventually logged 'interface in0 is absent'
	assert_not_spinning
	make_input
	eventually logged 'interface in0 is ready'
	eventually input_ready
	assert_relays 50
	relay_stop
	assert_equal "$(grep -cF 'interface in0 is absent; 1 rule waits for it' "$WORK/relay.log")" 1
	assert_equal "$(grep -cF 'interface in0 is ready' "$WORK/relay.log")" 1
	assert_counters egress_sent=100 egress_errors=0
	assert_ledger_closed
}

@test "an input with another MTU or address keeps its rings; one made anew at once has others" {
	local sockets
	relay_start "$RULE" --num-workers 2
	assert_relays 160 --flows 16
	sockets=$(packet_sockets)
	ip_at r1 link set in0 mtu 3000
	ip_at r1 addr add 10.99.0.1/24 dev in0
	ip_at r1 addr del "$(node_address r1 in0)/24" dev in0
	eventually mtu_known 3000
	assert_relays 160 --flows 16
	assert_equal "$(packet_sockets)" "$sockets"
	ip_at r1 link del in0
	make_input
	eventually input_ready
	assert_relays 160 --flows 16
	relay_stop
	refute grep -F ERROR "$WORK/relay.log"
	assert_counters egress_sent=480
	assert_ledger_closed
}

# The relay has seen the input's MTU.
mtu_known() {
	relay_report
	[[ $(counter '.interfaces[] | select(.name == "in0") | .mtu') == "$1" ]]
}

# Those of r1, by their numbers.
packet_sockets() {
	at r1 cat /proc/net/packet | awk 'NR > 1 {print $9}' | sort -n | paste -sd' '
}

@test "an input that is deleted while packets arrive" {
	local i before slept sent=0
	relay_start "$RULE"
	for i in 1 2 3; do
		before=$(input_packets)
		spawn flood gen taskset -c "$SEND_CPU" "$TRAFFICGEN" send --interface 10.77.1.1 \
			--group "$GROUP_IN" --port 5000 --size 100 --rate 10000 --duration 3600 --quiet \
			--json "$WORK/flood.json"
		eventually at_least input_packets $((before + 100))
		relay_report
		eventually relay_counts_more
		# the last time with packets that it has not looked at
		((i < 3)) || { freeze relay && eventually at_least input_packets $(($(input_packets) + 100)); }
		ip_at r1 link del in0
		((i < 3)) || signal CONT relay
		eventually same grep -c 'interface in0 is absent' "$WORK/relay.log" "$i"
		slept=$(flood_slept)
		eventually at_least flood_slept $((slept + 2)) # between two sleeps it tries to send
		stop flood
		# it was still sending, and found no way out any more
		assert_json "$WORK/flood.json" '.interrupted and .packets_sent > 0 and .send_errors > 0=true'
		sent=$((sent + $(gojq .packets_sent "$WORK/flood.json")))
		make_input
		eventually same grep -c 'interface in0 is ready' "$WORK/relay.log" "$i"
		eventually input_ready
	done
	assert_relays 50
	relay_stop
	(($(counter matched) <= sent + 50)) || fail "$(counter matched) of $((sent + 50)) packets"
	assert_counters egress_errors=0 egress_sent="$(counter matched)"
	assert_ledger_closed
}

# How often the thread that sends has gone to sleep: of all threads, that of a sanitizer among them, by far the most often.
flood_slept() {
	awk '/^voluntary_ctxt_switches:/ && $2 > most {most = $2} END {print most + 0}' "/proc/$(pid_of flood)/task"/*/status
}

relay_counts_more() {
	local before
	before=$(counter matched)
	relay_report
	(($(counter matched) > ${before:-0}))
}

@test "an interface that is down at the start is waited for" {
	ip_at r1 link set in0 down
	relay_start "$RULE"
	assert_not_spinning
	ip_at r1 link set in0 up
	eventually logged 'interface in0 is ready'
	eventually input_ready
	assert_relays 50
	relay_stop
	assert_said_once 'interface in0 is down; 1 rule waits for it' 'interface in0 is ready'
}

@test "the output's address changes: packets leave with the new one" {
	undo_push ip -n "$(namespace r1)" addr replace 10.77.2.1/24 dev out0
	undo_push ip -n "$(namespace r1)" addr flush dev out0
	relay_start "$RULE"
	ip_at r1 addr add 10.77.2.7/24 dev out0
	ip_at r1 addr del 10.77.2.1/24 dev out0 # and its secondary ones with it
	ip_at r1 addr replace 10.77.2.7/24 dev out0
	eventually sends_from 10.77.2.7
	listen_start wire sink capture in0
	send --size 100 --count 20
	eventually relay_counts egress_sent 20
	listen_end wire sink
	assert_equal "$(gojq -r .source "$WORK/wire.out" | sort | uniq -c | xargs)" "20 10.77.2.7"
	relay_stop
	assert_counters egress_errors=0
}

sends_from() {
	[[ $(at r1 ss -Huan dst "$GROUP_OUT") == *" $1%out0:"* ]]
}
