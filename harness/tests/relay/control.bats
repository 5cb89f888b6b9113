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
	ctl list | gojq -r '[.rules[].id] | sort | join(",")'
}

# Packet sockets in the relay's namespace.
packet_sockets() {
	local lines
	mapfile -t lines <"/proc/${ANCHOR[r1]}/net/packet"
	printf '%s' $((${#lines[@]} - 1)) # the head line
}

# One JSON document that JQ finds to be true; nothing on stderr.
assert_json() {
	assert_success
	assert_equal "$stderr" ''
	gojq -se "length == 1 and (.[0] | $1)" <<<"$output" >/dev/null || fail "not '$1': $output"
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
	assert_equal "$(ctl list | gojq -c '[.rules[0].outputs[] | .port, .ttl]')" '[6001,1,6002,1,6003,9]'
	add many 239.1.1.1:6001:out0:decrement:dscp=46,239.1.1.2:6002:out0:dscp=keep:ttl=3
	assert_equal "$(ctl list | gojq -c '[.rules[0].outputs[] | .ttl, .dscp]')" '["decrement",46,3,"keep"]'
	run --separate-stderr -1 add many 239.1.1.1:6001:out0:shape=round
	assert_one_line 'unknown key "shape", expected group, port, interface, ttl'
	add many
	assert_equal "$(ctl list | gojq -c '.rules[0].outputs')" '[]'
	relay_stop
}

@test "--sources: shown in order; the same input without a name replaces its rule; overlaps are refused" {
	local input=(--input-interface in0 --input-group "$GROUP_IN" --input-port 5000)
	relay_start '' "${CONTROL[@]}"
	ctl add "${input[@]}" --sources 192.0.2.7,10.1.7.0/24 --sources 10.1.2.3/16
	assert_equal "$(ctl list | gojq -c '.rules[].input.sources')" '["10.1.0.0/16","192.0.2.7"]'
	ctl add "${input[@]}" --sources 10.1.0.0/16,192.0.2.7 --outputs "$GROUP_OUT:6000:out0"
	assert_equal "$(ctl list | gojq -c '[.rules[].outputs[].port]')" '[6000]'
	ctl add "${input[@]}" --sources 192.0.2.8 --rule-id other
	run --separate-stderr -1 ctl add "${input[@]}" --sources 192.0.2.0/28 --rule-id third
	assert_one_line 'which takes packets from 192.0.2.7 as well; expected sources that do not overlap$'
	run --separate-stderr -1 ctl add "${input[@]}" --rule-id third
	assert_one_line 'and this one takes packets of any source; expected sources for both$'
	run --separate-stderr -1 ctl add "${input[@]}" --sources '' --rule-id third
	assert_one_line 'found "", expected an IPv4 address or prefix'
	assert_equal "$(ctl list | gojq '.rules | length')" 2
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
	assert_one_line "cannot reach a relay at .*: Permission denied; it is for root and the relay's --control-group$"
	relay_stop
	run --separate-stderr -64 at r1 "$RELAY" "${CONTROL[@]}" --control-group no-such-group
	assert_one_line "^mcrelay: --control-group: no group 'no-such-group' on this host"
}

@test "packet sockets are there when a rule needs them, and not before or after" {
	relay_start '' "${CONTROL[@]}" --num-workers 2
	assert_equal "$(packet_sockets)" 0
	# two workers, each with a socket for small frames and one for large ones
	add one "$GROUP_OUT:6000:out0" >/dev/null
	assert_equal "$(packet_sockets)" 4
	ctl add --rule-id two --input-interface in0 --input-group 239.255.1.2 --input-port 5000 >/dev/null
	assert_equal "$(packet_sockets)" 4
	ctl add --rule-id three --input-interface extra --input-group 239.255.1.2 --input-port 5000 >/dev/null
	assert_equal "$(packet_sockets)" 8
	run ip_at r1 maddr show dev in0
	assert_output --partial "$GROUP_IN"
	ctl remove --rule-id one >/dev/null
	run ip_at r1 maddr show dev in0
	refute_output --partial "$GROUP_IN"
	assert_output --partial 239.255.1.2
	ctl remove --rule-id two >/dev/null
	ctl remove --rule-id three >/dev/null
	eventually same packet_sockets 0
	relay_stop
}

# changes N: of rules on the untouched one's interface, four at a time, with traffic in between.
changes() {
	local i other=(--input-interface in0 --input-group 239.255.1.9 --input-port)
	for ((i = 0; i < $1 / 4; i++)); do
		ctl add --rule-id a "${other[@]}" 5000 --outputs "239.1.1.$i:6000:out0"
		ctl add --rule-id a "${other[@]}" 5000 --outputs "239.1.2.$i:6000:out0"
		ctl add --rule-id b "${other[@]}" 5001 --outputs "$GROUP_OUT:6000:out0"
		ctl remove --rule-id a
		stream_more 16
	done >"$WORK/answers"
	assert_equal "$(grep -c '^{' "$WORK/answers")" "$1"
	ctl remove --rule-id b >/dev/null
	assert_equal "$(ids)" one
}

@test "80 changes of rules under traffic: the untouched rule loses nothing and doubles nothing" {
	relay_start "$RULE" "${CONTROL[@]}"
	stream_start
	changes 80
	stream_end
	assert_stream_intact
	assert_ledger_closed
}

@test "the same with two workers, and with two threads and uring ingress" {
	local options
	for options in "--num-workers 2" "--thread-model split --ingress uring"; do
		printf 'with %s\n' "$options"
		# shellcheck disable=SC2086 # words
		relay_start "$RULE" "${CONTROL[@]}" $options
		stream_start --flows 4
		changes 40
		stream_end
		assert_stream_intact
		assert_ledger_closed
	done
}

@test "an interface that is opened and closed 10 times: the packets of another are all relayed meanwhile" {
	local i
	relay_start "$RULE" "${CONTROL[@]}"
	stream_start
	for ((i = 0; i < 10; i++)); do
		ctl add --rule-id b --input-interface extra --input-group 239.255.1.9 --input-port 5000 \
			--outputs "$GROUP_OUT:6000:out0" >/dev/null
		stream_more 16
		ctl remove --rule-id b >/dev/null
		stream_more 16
	done
	stream_end
	assert_stream_intact
	assert_ledger_closed
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
			send --count 64 --size 100 --flows 16 --verify
			eventually relay_counts egress_sent "$((64 * i))"
			receive_end sink
			assert_intact sink 64
			ctl remove --rule-id one >/dev/null
		done
		relay_stop
	done
}

@test "a default id depends on the input alone, and is the one of a rule file" {
	local first second
	relay_start '' "${CONTROL[@]}"
	first=$(ctl add --input-interface in0 --input-group 239.1.1.1 --input-port 7 | gojq -r .id)
	ctl remove --rule-id "$first" >/dev/null
	second=$(ctl add --input-interface in0 --input-group 239.1.1.1 --input-port 7 \
		--outputs 239.1.1.2:8:out0 | gojq -r .id)
	assert_equal "$second" "$first"
	[[ $first =~ ^[0-9a-f]{16}$ ]] || fail "found id '$first'"
	relay_stop
	relay_start '{"input":{"interface":"in0","group":"239.1.1.1","port":7},"outputs":[]}' "${CONTROL[@]}"
	assert_equal "$(ids)" "$first"
	relay_stop
}

# refused PATTERN ARGUMENT...: by the relay, in one line; and nothing has changed.
refused() {
	local before sockets
	before=$(ctl list)
	sockets=$(packet_sockets)$(<"/proc/${ANCHOR[r1]}/net/igmp")
	run --separate-stderr -1 ctl "${@:2}"
	assert_one_line "^mcrelayctl: ${2}: .*$1"
	assert_output ''
	assert_equal "$(ctl list)" "$before"
	assert_equal "$(packet_sockets)$(<"/proc/${ANCHOR[r1]}/net/igmp")" "$sockets"
}

@test "a bad rule is refused with its reason, and changes nothing" {
	local add=(add --rule-id new --input-interface)
	relay_start "$RULE" "${CONTROL[@]}"
	stream_start
	refused '\[1\]\.input\.interface: found "no such", expected the name of a network interface' \
		"${add[@]}" 'no such' --input-group 239.1.1.1 --input-port 5000
	refused '\[1\]\.input\.group: found "239\.1\.1", expected an IPv4 ' \
		"${add[@]}" in0 --input-group 239.1.1 --input-port 5000
	refused '\[1\]\.outputs\[0\]\.port: found 70000, expected a whole number from 1 to 65535$' \
		"${add[@]}" in0 --input-group 239.1.1.1 --input-port 5000 --outputs 239.1.1.2:70000:out0
	refused '\[1\]\.outputs\[0\]\.ttl: found 256, expected a whole number from 1 to 255 or "decrement"$' \
		"${add[@]}" in0 --input-group 239.1.1.1 --input-port 5000 --outputs 239.1.1.2:6000:out0:256
	refused '\[1\]\.id: found "x+", expected a string of 1 to 64 characters$' \
		add --rule-id "$(printf 'x%.0s' {1..65})" --input-interface in0 --input-group 239.1.1.1 --input-port 5000
	refused '\[1\]: the same input as rules\[0\], "one"; ' \
		"${add[@]}" in0 --input-group "$GROUP_IN" --input-port 5000
	refused "\[1\]\.outputs\[0\]: the output equals the rule's input, which would loop; " \
		"${add[@]}" in0 --input-group 239.1.1.1 --input-port 5000 --outputs 239.1.1.1:5000:in0
	# for those who want that; the last of its outputs has no address
	undo_push ip -n "$(namespace r1)" link del bare
	ip_at r1 link add bare type veth peer name bare-peer
	ip_at r1 link set bare up
	ip_at r1 link set bare-peer up
	refused 'interface bare has no IPv4 address \(1 of 2 outputs can be served\); without --require-interface it would wait' \
		"${add[@]}" extra --input-group 239.1.1.1 --input-port 5000 --require-interface \
		--outputs 239.1.1.2:6000:out0 --outputs 239.1.1.2:6000:bare
	refused 'interface out0 has no address 10\.77\.99\.1; without --require-interface it would wait$' \
		"${add[@]}" extra --input-group 239.1.1.1 --input-port 5000 --require-interface \
		--outputs 239.1.1.2:6000:out0,239.1.1.3:6000:out0:source=10.77.99.1
	refused 'no rule "nobody"; see .list.$' remove --rule-id nobody
	stream_more 16
	stream_end
	assert_stream_intact
	assert_ledger_closed
}

rss_kib() {
	sed -nE 's/^VmRSS:\s*([0-9]+) kB/\1/p' "/proc/$(pid_of relay)/status"
}

# Files that the relay's supervisor has open.
open_files() {
	local files=("/proc/${PROCESS[relay]%%:*}"/fd/*)
	printf '%s' "${#files[@]}"
}

@test "1,000 malformed, huge, slow and half-sent requests, and 200 clients at once: no packet is lost, nothing is kept" {
	local kib files
	relay_start "$RULE" "${CONTROL[@]}"
	stream_start
	"$CLIENTS" "$WORK/control" abuse 100
	"$CLIENTS" "$WORK/control" crowd 200
	kib=$(rss_kib) files=$(open_files)
	run "$CLIENTS" "$WORK/control" abuse 1000
	assert_success
	run "$CLIENTS" "$WORK/control" crowd 200
	assert_success
	assert_output '{"answers": 200}'
	run ctl ping
	assert_output pong
	assert_equal "$(ids)" one
	eventually same open_files "$files"
	is_sanitized "$RELAY" || (($(rss_kib) - kib < 1024)) || fail "the supervisor had $kib KiB, has $(rss_kib)"
	stream_more 16
	stream_end
	assert_stream_intact
	assert_ledger_closed
	assert_counters '.workers[0].restarts=0'
}

# Their messages, of which a channel holds some two thousand, wait for the workers all at once.
@test "800 changes of rules in one rush: no worker chokes on them" {
	local pid
	relay_start "$RULE" "${CONTROL[@]}" --num-workers 2
	stream_start --flows 4
	for pid in $(children relay); do
		kill -STOP "$pid"
		eventually stopped "$pid"
	done
	run "$CLIENTS" "$WORK/control" rush 100
	assert_success
	assert_output '{"answers": 800}'
	for pid in $(children relay); do
		kill -CONT "$pid"
	done
	assert_equal "$(ids)" one,rush-0,rush-1,rush-2,rush-3,rush-4,rush-5,rush-6,rush-7
	stream_more 16
	stream_end
	assert_stream_intact
	refute grep -F ERROR "$WORK/relay.log"
	assert_counters '.workers | map(.restarts) | add=0'
}

@test "300 clients that stop in the middle of a request: others are served once they go" {
	local files
	relay_start "$RULE" "${CONTROL[@]}"
	files=$(open_files)
	spawn stall r1 "$CLIENTS" "$WORK/control" stall 300
	ready stall '^ready'
	spawn ping r1 "$MCRELAYCTL" --socket-path "$WORK/control" ping
	stop stall
	assert_equal "${EXIT[stall]}" 0
	wait_for ping
	assert_equal "$(<"$WORK/ping.out")" pong
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
	assert_one_line "^\[ERROR:Control\] cannot listen on $WORK/control: process $(pid_of relay) \(mcrelay\) uses it; "
	run ctl ping
	assert_output pong
	relay_stop
	echo precious >"$WORK/control"
	run --separate-stderr -1 at r1 "$RELAY" "${CONTROL[@]}" --stats-interval-ms 0
	assert_one_line "^\[ERROR:Control\] cannot listen on $WORK/control: File exists; what has this name is no socket: "
	assert_equal "$(<"$WORK/control")" precious
	run --separate-stderr -1 at r1 "$RELAY" --control-socket-path "$WORK/$(printf 'x%.0s' {1..120})"
	assert_one_line '^\[ERROR:Control\] cannot listen on .*: File name too long; a socket.s path has at most 107 bytes$'
	run --separate-stderr -1 at r1 "$RELAY" --control-socket-path "$WORK/none/other/deep/socket"
	assert_one_line "^\[ERROR:Control\] cannot listen on $WORK/none/other/deep/socket: there is no folder $WORK/none/other; make it: "
	refute [ -e "$WORK/none" ]
}

# wrong PATTERN ARGUMENT...: usage, in one line.
wrong() {
	run --separate-stderr -64 "$MCRELAYCTL" "${@:2}"
	assert_one_line "$1"
	assert_output ''
}

@test "wrong command lines of mcrelayctl: exit status 64, one line" {
	local at=(--socket-path "$WORK/control") input=(--input-interface in0 --input-group 239.1.1.1) pair
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
	wrong "'239.1.1.1:6000:out0:dscp=' is not" "${at[@]}" add "${input[@]}" --input-port 1 \
		--outputs 239.1.1.1:6000:out0:dscp=
	for pair in ttl/ttl=3:ttl=4 ttl/3:ttl=4 dscp/dscp=1:ttl=3:dscp=1 port/port=6001; do
		wrong "--outputs: '239.1.1.1:6000:out0:${pair#*/}': ${pair%/*} is given twice;" "${at[@]}" add \
			"${input[@]}" --input-port 1 --outputs "239.1.1.2:6000:out0,239.1.1.1:6000:out0:${pair#*/}"
	done
	wrong 'rule-id ID is missing' "${at[@]}" remove
	wrong 'expected get, or set' "${at[@]}" log-level
	wrong 'expected get, or set' "${at[@]}" log-level set
	wrong 'expected the name of one file, or -' "${at[@]}" save
	wrong 'expected the name of one file, or -' "${at[@]}" save a b
	wrong 'expected the name of one file, or -' "${at[@]}" save ''
	wrong "'0.05' is not a time from 0.1 to " "${at[@]}" watch --interval 0.05
	wrong "unexpected argument '5'" "${at[@]}" watch 5
}

@test "no relay there: exit status 1, one line" {
	local path
	run --separate-stderr -1 ctl ping
	assert_one_line "^mcrelayctl: cannot reach a relay at $WORK/control: No such file or directory; is one running, with this --control-socket-path\?$"
	/usr/bin/python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$WORK/control"
	run --separate-stderr -1 ctl list
	assert_one_line "^mcrelayctl: cannot reach a relay at $WORK/control: Connection refused; the one that made it has ended$"
	echo text >"$WORK/file"
	for path in /dev/null "$WORK/file" "$WORK"; do
		run --separate-stderr -1 "$MCRELAYCTL" --socket-path "$path" ping
		assert_one_line "^mcrelayctl: cannot reach a relay at $path: Connection refused; it is no socket: name the relay's --control-socket-path$"
	done
}

@test "--help of mcrelayctl and of its commands: exit status 0" {
	local command
	for command in '' add remove list save watch stats ping log-level; do
		# shellcheck disable=SC2086 # none or one
		run "$MCRELAYCTL" --socket-path x $command --help
		assert_success
		assert_output --partial Usage:
	done
}

@test "neither rules nor a control socket: exit status 64" {
	run --separate-stderr -64 at r1 "$RELAY" "${NO_CONTROL[@]}"
	assert_one_line '--config FILE is missing, and --control-socket-path none leaves no way to give it rules'
}
