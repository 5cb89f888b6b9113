#!/usr/bin/env bats
# mcrelayctl and the socket behind it: rules come, change and go while packets flow, bad ones change
# nothing, and no client, however rude, costs a packet.

load ../lib/testbed

setup_file() {
	testbed build
}

build() {
	topology single
	link r1 extra 10.77.9.1 gen spare 10.77.9.2
}

CLIENTS=$TESTS/lib/clients.py
RULE=$(rule one "in0:$GROUP_IN:5000" "out0:$GROUP_OUT:6000")

# add ID [GROUP:PORT:IF]...: the rule of these tests under this id, with these outputs.
add() {
	local output outputs=()
	for output in "${@:2}"; do
		outputs+=(--outputs "$output")
	done
	ctl add --input-interface in0 --input-group "$GROUP_IN" --input-port 5000 --rule-id "$1" "${outputs[@]}"
}

# The ids of the rules in force, sorted.
ids() {
	ctl list | jq -r '[.rules[].id] | sort | join(",")'
}

# Packet sockets in the relay's namespace.
packet_sockets() {
	at r1 awk 'NR > 1' /proc/net/packet | wc -l
}

# One JSON document that JQ finds to be true; nothing on stderr.
assert_json() {
	assert_success
	assert_equal "$stderr" ''
	jq -se "length == 1 and (.[0] | $1)" <<<"$output" >/dev/null || fail "not '$1': $output"
}

# flood_end: the relay has passed on all that flood_start sent.
flood_end() {
	stop flood INT
	assert_equal "${EXIT[flood]}" 0
	relay_finish
	receive_end sink
	assert_intact sink "$(jq .packets_sent "$WORK/flood.json")"
	assert_ledger_closed
}

@test "every command answers in JSON, ping with pong; the rule that was added relays" {
	relay_start '' "${CONTROL[@]}"
	run --separate-stderr ctl ping
	assert_success
	assert_output pong
	run --separate-stderr ctl list
	assert_json '.rules == []'
	run --separate-stderr add video "$GROUP_OUT:6000:out0"
	assert_json '.id == "video"'
	run --separate-stderr ctl list
	assert_json '.rules | length == 1 and .[0].id == "video" and (.[0].input | .interface == "in0" and
		.group == "239.255.1.1" and .port == 5000) and (.[0].outputs | length == 1 and
		(.[0] | .group == "239.255.2.2" and .port == 6000 and .interface == "out0" and .ttl == 1))'
	receive_start sink
	send --count 300 --size 100 --verify
	relay_settle
	run --separate-stderr ctl stats
	assert_json '.stats | .total.matched == 300 and .total.egress_sent == 300 and .schema == 1 and
		.rules[0].matched == 300 and .outputs[0].sent == 300'
	run --separate-stderr ctl list-workers
	assert_json '.workers | length == 1 and .[0].counters.matched == 300 and .[0].pid > 1 and .[0].restarts == 0'
	run --separate-stderr ctl log-level get
	assert_json '.levels | type == "object"'
	run --separate-stderr ctl remove --rule-id video
	assert_json 'type == "object"'
	assert_equal "$(ids)" ''
	relay_finish
	receive_end sink
	assert_intact sink 300
}

@test "--outputs: several in a list, several times, with a TTL, and none" {
	relay_start '' "${CONTROL[@]}"
	add many 239.1.1.1:6001:out0,239.1.1.2:6002:out0 239.1.1.3:6003:out0:9
	assert_equal "$(ctl list | jq -c '[.rules[0].outputs[] | .port, .ttl]')" '[6001,1,6002,1,6003,9]'
	add many
	assert_equal "$(ctl list | jq -c '.rules[0].outputs')" '[]'
	relay_stop
}

@test "the socket is its owner's alone, and goes with the relay" {
	relay_start '' "${CONTROL[@]}"
	assert_equal "$(stat -c '%a %U %F' "$WORK/control")" '600 root socket'
	relay_stop
	assert [ ! -e "$WORK/control" ]
}

@test "--control-group: its members may, others may not" {
	local open=/tmp/mcr-test.$$.$BATS_TEST_NUMBER nobody=(setpriv --clear-groups --reuid)
	mkdir "$open"
	undo_push rm -rf "$open"
	chmod 755 "$open"
	cp "$MCRELAYCTL" "$open/mcrelayctl"
	relay_start '' --control-socket-path "$open/control" --control-group nogroup
	assert_equal "$(stat -c '%a %G' "$open/control")" '660 nogroup'
	run "${nobody[@]}" nobody --regid nogroup "$open/mcrelayctl" --socket-path "$open/control" ping
	assert_success
	assert_output pong
	run --separate-stderr -1 "${nobody[@]}" nobody --regid games "$open/mcrelayctl" \
		--socket-path "$open/control" ping
	assert_one_line 'cannot reach a relay at .*: Permission denied$'
	relay_stop
	run --separate-stderr -64 at r1 "$RELAY" "${CONTROL[@]}" --control-group no-such-group
	assert_one_line "^mcrelay: --control-group: no group 'no-such-group' on this host"
}

@test "packet sockets are there when a rule needs them, and not before or after" {
	relay_start '' "${CONTROL[@]}" --num-workers 2
	assert_equal "$(packet_sockets)" 0
	add one "$GROUP_OUT:6000:out0" >/dev/null
	assert_equal "$(packet_sockets)" 2
	ctl add --rule-id two --input-interface in0 --input-group 239.255.1.2 --input-port 5000 >/dev/null
	assert_equal "$(packet_sockets)" 2
	ctl add --rule-id three --input-interface extra --input-group 239.255.1.2 --input-port 5000 >/dev/null
	assert_equal "$(packet_sockets)" 4
	ctl remove --rule-id three >/dev/null
	eventually same packet_sockets 2
	ctl remove --rule-id one >/dev/null
	run ip_at r1 maddr show dev in0
	refute_output --partial "$GROUP_IN"
	ctl remove --rule-id two >/dev/null
	eventually same packet_sockets 0
	relay_stop
}

# changes N: of rules on the untouched one's interface, four at a time.
changes() {
	local i other=(--input-interface in0 --input-group 239.255.1.9 --input-port)
	for ((i = 0; i < $1 / 4; i++)); do
		ctl add --rule-id a "${other[@]}" 5000 --outputs "239.1.1.$i:6000:out0"
		ctl add --rule-id a "${other[@]}" 5000 --outputs "239.1.2.$i:6000:out0"
		ctl add --rule-id b "${other[@]}" 5001 --outputs "$GROUP_OUT:6000:out0"
		ctl remove --rule-id a
	done >"$WORK/answers"
	assert_equal "$(jq -s length "$WORK/answers")" "$1"
	ctl remove --rule-id b >/dev/null
	assert_equal "$(ids)" one
}

@test "200 changes of rules under traffic: the untouched rule loses nothing and doubles nothing" {
	relay_start "$RULE" "${CONTROL[@]}"
	flood_start
	changes 200
	flood_end
}

@test "the same with two workers, and with two threads and uring ingress" {
	local options
	for options in "--num-workers 2" "--thread-model split --ingress uring"; do
		printf 'with %s\n' "$options"
		# shellcheck disable=SC2086 # words
		relay_start "$RULE" "${CONTROL[@]}" $options
		flood_start
		changes 80
		flood_end
		rm "$WORK/relay.json"
	done
}

@test "an interface that is opened and closed 40 times does not hold up the packets of another" {
	local i
	relay_start "$RULE" "${CONTROL[@]}"
	flood_start
	for ((i = 0; i < 40; i++)); do
		ctl add --rule-id b --input-interface extra --input-group 239.255.1.9 --input-port 5000 \
			--outputs "$GROUP_OUT:6000:out0"
		ctl remove --rule-id b
	done >"$WORK/answers"
	flood_end
}

@test "a rule that is replaced while it relays keeps its place and its count" {
	relay_start "$RULE" "${CONTROL[@]}"
	send --count 100 --size 100
	relay_settle
	add one 239.255.2.3:6001:out0 >/dev/null
	assert_equal "$(ids)" one
	listen_start listener sink receive 10.77.2.2 239.255.2.3 6001
	send --count 50 --size 100
	relay_finish
	listen_end listener sink
	assert_equal "$(wc -l <"$WORK/listener.out")" 50
	assert_counters '.rules[0].matched=150' '.outputs | length=1' '.outputs[0].sent=50' egress_sent=150
}

# Another ring in the place of one that has been used, and its socket waits to be closed.
@test "the only rule of an interface is removed and added again: each time its first packet is relayed" {
	local options i total
	for options in "--num-workers 1" "--num-workers 2" "--ingress uring --num-workers 2"; do
		printf 'with %s\n' "$options"
		# shellcheck disable=SC2086 # words
		relay_start '' "${CONTROL[@]}" $options
		for ((i = 1; i <= 3; i++)); do
			add one "$GROUP_OUT:6000:out0" >/dev/null
			receive_start sink
			send --count 320 --size 100 --flows 16 --verify
			eventually relay_counts egress_sent "$((320 * i))"
			receive_end sink
			assert_intact sink 320
			ctl remove --rule-id one >/dev/null
		done
		relay_stop
		rm "$WORK/relay.json"
	done
}

@test "a default id depends on the input alone, and is the one of a rule file" {
	local first second
	relay_start '' "${CONTROL[@]}"
	first=$(ctl add --input-interface in0 --input-group 239.1.1.1 --input-port 7 | jq -r .id)
	ctl remove --rule-id "$first" >/dev/null
	second=$(ctl add --input-interface in0 --input-group 239.1.1.1 --input-port 7 \
		--outputs 239.1.1.2:8:out0 | jq -r .id)
	assert_equal "$second" "$first"
	[[ $first =~ ^[0-9a-f]{16}$ ]] || fail "found id '$first'"
	relay_stop
	relay_start "$(rule x in0:239.1.1.1:7 | jq -c 'del(.id)')" "${CONTROL[@]}"
	assert_equal "$(ids)" "$first"
	relay_stop
}

# refused PATTERN ARGUMENT...: by the relay, in one line; and nothing has changed.
refused() {
	local before sockets
	before=$(ctl list)
	sockets=$(packet_sockets)$(ip_at r1 maddr)
	run --separate-stderr -1 ctl "${@:2}"
	assert_one_line "^mcrelayctl: ${2}: .*$1"
	assert_output ''
	assert_equal "$(ctl list)" "$before"
	assert_equal "$(packet_sockets)$(ip_at r1 maddr)" "$sockets"
}

@test "a bad rule is refused with its reason, and changes nothing" {
	local add=(add --rule-id new --input-interface)
	relay_start "$RULE" "${CONTROL[@]}"
	flood_start
	refused 'no-such-if' "${add[@]}" no-such-if --input-group 239.1.1.1 --input-port 5000
	refused 'interface' "${add[@]}" in0 --input-group 239.1.1.1 --input-port 5000 --outputs 239.1.1.2:6000:nowhere
	refused 'group' "${add[@]}" in0 --input-group 239.1.1 --input-port 5000
	refused 'port' "${add[@]}" in0 --input-group 239.1.1.1 --input-port 5000 --outputs 239.1.1.2:70000:out0
	refused 'ttl' "${add[@]}" in0 --input-group 239.1.1.1 --input-port 5000 --outputs 239.1.1.2:6000:out0:256
	refused 'id' add --rule-id "$(printf 'x%.0s' {1..65})" --input-interface in0 --input-group 239.1.1.1 \
		--input-port 5000
	# two rules with one input
	refused 'one' "${add[@]}" in0 --input-group "$GROUP_IN" --input-port 5000
	# back to where it came from: a loop
	refused '' "${add[@]}" in0 --input-group 239.1.1.1 --input-port 5000 --outputs 239.1.1.1:5000:in0
	# the last of its outputs cannot be opened: it has no address
	undo_push ip -n "$(namespace r1)" link del bare
	ip_at r1 link add bare type veth peer name bare-peer
	ip_at r1 link set bare up
	refused 'cannot send through bare' "${add[@]}" extra --input-group 239.1.1.1 --input-port 5000 \
		--outputs 239.1.1.2:6000:out0 --outputs 239.1.1.2:6000:bare
	refused 'no rule "nobody"' remove --rule-id nobody
	flood_end
}

@test "10,000 malformed, huge, slow and half-sent requests, and 200 clients at once: no packet is lost" {
	local before after
	relay_start "$RULE" "${CONTROL[@]}"
	flood_start
	before=$(rss_kib)
	run "$CLIENTS" "$WORK/control" abuse 10000
	assert_success
	run "$CLIENTS" "$WORK/control" crowd 200
	assert_success
	run ctl ping
	assert_output pong
	assert_equal "$(ids)" one
	after=$(rss_kib)
	((after - before < 8192)) || fail "the supervisor had $before KiB, has $after"
	assert_equal "$(jq '.workers[0].restarts' "$WORK/relay.json")" 0
	flood_end
}

@test "3,200 changes of rules in one rush: no worker chokes on them" {
	relay_start "$RULE" "${CONTROL[@]}" --num-workers 2 --cpus "$SEND_CPU"
	flood_start
	run "$CLIENTS" "$WORK/control" rush 400
	assert_success
	assert_output '{"answers": 3200}'
	assert_equal "$(ids)" one,rush-0,rush-1,rush-2,rush-3,rush-4,rush-5,rush-6,rush-7
	flood_end
	refute grep -F ERROR "$WORK/relay.log"
	assert_counters '.workers | map(.restarts) | add=0'
}

rss_kib() {
	awk '/^VmRSS:/ {print $2}' "/proc/$(pid_of relay)/status"
}

# Files that the relay's supervisor has open.
open_files() {
	find "/proc/$(pid_of relay)/fd" -mindepth 1 | wc -l
}

@test "300 clients that stop in the middle of a request: others wait a while, then are served" {
	local files
	relay_start "$RULE" "${CONTROL[@]}"
	files=$(open_files)
	spawn stall r1 "$CLIENTS" "$WORK/control" stall 300
	ready stall '^ready'
	run ctl ping
	assert_output pong
	stop stall
	assert_equal "${EXIT[stall]}" 0
	eventually same open_files "$files"
	relay_stop
}

@test "a socket that a dead relay left behind is replaced; one in use, or a file, is not" {
	relay_start '' "${CONTROL[@]}"
	signal KILL relay
	wait_for relay
	assert [ -S "$WORK/control" ]
	relay_start '' "${CONTROL[@]}"
	run --separate-stderr -1 at r1 "$RELAY" "${CONTROL[@]}" --stats-interval-ms 0
	assert_one_line "^\[ERROR:Control\] cannot listen on $WORK/control: .*another mcrelay uses it$"
	run ctl ping
	assert_output pong
	relay_stop
	echo precious >"$WORK/control"
	run --separate-stderr -1 at r1 "$RELAY" "${CONTROL[@]}" --stats-interval-ms 0
	assert_one_line "^\[ERROR:Control\] cannot listen on $WORK/control: File exists"
	assert_equal "$(<"$WORK/control")" precious
	run --separate-stderr -1 at r1 "$RELAY" --control-socket-path "$WORK/$(printf 'x%.0s' {1..120})"
	assert_one_line '^\[ERROR:Control\] cannot listen on .*: File name too long$'
}

# wrong PATTERN ARGUMENT...: usage, in one line.
wrong() {
	run --separate-stderr -64 "$MCRELAYCTL" "${@:2}"
	assert_one_line "$1"
	assert_output ''
}

@test "wrong command lines of mcrelayctl: exit status 64, one line" {
	local at=(--socket-path "$WORK/control") input=(--input-interface in0 --input-group 239.1.1.1)
	wrong 'socket-path PATH is missing' ping
	wrong 'a command is missing' "${at[@]}"
	wrong "unknown command 'destroy'" "${at[@]}" destroy
	wrong "unknown or ambiguous option '--nonsense'" "${at[@]}" --nonsense list
	wrong "unexpected argument 'now'" "${at[@]}" list now
	wrong 'input-port N is missing' "${at[@]}" add "${input[@]}"
	wrong "'0' is not a whole number from 1 to 65535" "${at[@]}" add "${input[@]}" --input-port 0
	wrong "'70000' is not a whole number" "${at[@]}" add "${input[@]}" --input-port 70000
	wrong "--outputs: '239.1.1.1:6000' is not GROUP:PORT:IF" "${at[@]}" add "${input[@]}" \
		--input-port 1 --outputs 239.1.1.1:6000
	wrong "--outputs: '' is not GROUP:PORT:IF" "${at[@]}" add "${input[@]}" --input-port 1 \
		--outputs 239.1.1.1:6000:out0,
	wrong "'239.1.1.1:6000:out0:1:2' is not" "${at[@]}" add "${input[@]}" --input-port 1 \
		--outputs 239.1.1.1:6000:out0:1:2
	wrong 'rule-id ID is missing' "${at[@]}" remove
	wrong 'expected get, or set' "${at[@]}" log-level
	wrong 'expected get, or set' "${at[@]}" log-level set
}

@test "no relay there: exit status 1, one line" {
	run --separate-stderr -1 ctl ping
	assert_one_line "^mcrelayctl: cannot reach a relay at $WORK/control: No such file or directory$"
	/usr/bin/python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$WORK/control"
	run --separate-stderr -1 ctl list
	assert_one_line "^mcrelayctl: cannot reach a relay at $WORK/control: Connection refused$"
}

@test "--help of mcrelayctl and of its commands: exit status 0" {
	local command
	for command in '' add remove list stats ping log-level; do
		# shellcheck disable=SC2086 # none or one
		run "$MCRELAYCTL" --socket-path x $command --help
		assert_success
		assert_output --partial Usage:
	done
}

@test "neither rules nor a control socket: exit status 64" {
	run --separate-stderr -64 at r1 "$RELAY"
	assert_one_line 'config FILE or --control-socket-path PATH is missing'
}
