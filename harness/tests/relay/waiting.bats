#!/usr/bin/env bats
# What rules name is not there yet, or under another name: a rule waits, says so, and begins by itself;
# the others are served meanwhile.

load ../lib/testbed

setup_file() {
	testbed build
}

build() {
	topology single
}

# `late` is an interface of r1 that tests make, with an address and a carrier; its peer is in r1 as well.
teardown() {
	harness_teardown
	STATE=$TESTBED_STATE
	! exists late || ip_at r1 link del late
	! exists moved || ip_at r1 link del moved
	exists in0 || make_input
	! exists lan || ip_at r1 link property del dev in0 altname lan
}

exists() {
	ip_at r1 link show "$1" &>/dev/null
}

make_input() {
	harness_call link gen out0 10.77.1.1 r1 in0 10.77.1.2
}

make_late() {
	ip_at r1 link add late type veth peer name late-peer
	ip_at r1 addr add 10.77.3.1/24 dev late
	ip_at r1 link set late-peer up
	ip_at r1 link set late up
}

HTTP=127.0.0.1:9464
GOOD=$(rule good "in0:$GROUP_IN:5000" "out0:$GROUP_OUT:6000")
LATE=$(rule late in0:239.255.1.9:5009 late:239.255.2.9:6009)

# state ID: as `list` has it.
state() {
	ctl list | gojq -r --arg id "$1" '.rules[] | select(.id == $id) | [.state, .reason // empty] | join(": ")'
}

page() {
	at r1 curl --silent --max-time "$PATIENCE_S" "http://$HTTP/$1"
}

# What /health says of interfaces; that packets could not be sent is a reason of its own, for a while after.
health() {
	page health | gojq -r '(.reasons | map(select(startswith("packets could not be sent") | not))) as $of |
		if $of == [] then "ok" else "\(.status): \($of | join(", "))" end'
}

metric() {
	page metrics | awk -v name="$1" '$1 == name {print $2}'
}

# assert_log COUNT TEXT
assert_log() {
	assert_equal "$(grep -cF -- "$2" "$WORK/relay.log" || true) $2" "$1 $2"
}

# Packets for both rules; those of `good` leave, those of `late` as many as given.
assert_relays() {
	local before
	relay_report
	before=$(counter '.rules[0].matched')
	send --size 100 --count 20
	send --size 100 --count 20 --group 239.255.1.9 --port 5009
	eventually relay_counts '.outputs[0].sent' $((before + 20))
	eventually relay_counts '.outputs[1].sent' "$1"
}

# waits FAULT SPOIL MEND: an output's interface, at the start, and later in the same words.
waits() {
	"$2"
	relay_start "$GOOD$LATE" "${CONTROL[@]}" --http "$HTTP"
	assert_log 1 'ready: 2 rules, 1 of them waits, 1 workers'
	assert_waiting "$1"
	assert_relays 0
	"$3"
	assert_served
	assert_relays 20
	assert_log 1 "interface late $1; 1 rule waits for it"
	assert_log 1 'interface late is ready'
	"$2"
	eventually same health "degraded: interface late $1"
	assert_waiting "$1"
	"$3"
	assert_served
	relay_stop
	assert_log 2 "interface late $1; 1 rule waits for it"
	assert_log 2 'interface late is ready'
}

assert_waiting() {
	assert_equal "$(state late)" "waiting: interface late $1"
	assert_equal "$(state good)" running
	assert_equal "$(health)" "degraded: interface late $1"
	assert_equal "$(metric mcrelay_rules_waiting)" 1
	assert_equal "$(ctl stats | gojq -r '.stats.rules[1] | "\(.state) \(.reason)"')" "waiting interface late $1"
}

assert_served() {
	eventually same state late running
	assert_equal "$(health)" ok
	assert_equal "$(metric mcrelay_rules_waiting)" 0
}

remove_late() {
	! exists late || ip_at r1 link del late
}

take_address() {
	exists late || make_late
	ip_at r1 addr flush dev late
}

give_address() {
	ip_at r1 addr add 10.77.3.1/24 dev late
}

set_down() {
	exists late || make_late
	ip_at r1 link set late down
}

set_up() {
	ip_at r1 link set late up
}

@test "an output's interface is absent" {
	waits 'is absent' remove_late make_late
}

@test "an output's interface has no address" {
	waits 'has no IPv4 address' take_address give_address
}

@test "an output's interface is down" {
	waits 'is down' set_down set_up
}

@test "an input's interface is absent at the start; then it relays" {
	ip_at r1 link del in0
	relay_start "$GOOD" "${CONTROL[@]}"
	assert_equal "$(state good)" 'waiting: interface in0 is absent'
	make_input
	eventually same state good running
	send --size 100 --count 20
	eventually relay_counts egress_sent 20
	relay_stop
}

@test "add: accepted and waiting, or refused with --require-interface; SIGHUP likewise" {
	local add=(add --rule-id late --input-interface in0 --input-group 239.255.1.9 --input-port 5009
		--outputs "239.255.2.9:6009:late,239.255.2.8:6008:out0")
	relay_start "$GOOD" "${CONTROL[@]}"
	run --separate-stderr -1 ctl "${add[@]}" --require-interface
	assert_one_line 'interface late is absent \(1 of 2 outputs can be served\); without --require-interface it would wait$'
	assert_equal "$(state late)" ''
	run --separate-stderr -0 ctl "${add[@]}"
	assert_equal "$(gojq -r '.id, .state, .reason' <<<"$output" | paste -sd' ')" \
		'late waiting interface late is absent (1 of 2 outputs can be served)'
	assert_log 1 'to 239.255.2.9:6009 on late, 239.255.2.8:6008 on out0; waiting: interface late is absent (1 of 2 outputs can be served)'
	# the output that is there is served
	send --size 100 --count 20 --group 239.255.1.9 --port 5009
	eventually relay_counts egress_sent 20
	make_late
	eventually same state late running
	run --separate-stderr -0 ctl "${add[@]}" --require-interface
	assert_equal "$(gojq -r .state <<<"$output")" running
	remove_late
	rule_file "$GOOD$LATE" >"$WORK/rules.json"
	signal HUP relay
	eventually said relay 'read again: 2 rules, 1 of them waits$'
	assert_equal "$(state late)" 'waiting: interface late is absent'
	relay_stop
}

@test "a rule file without rules is a start without rules; what list prints is a rule file" {
	relay_start ' ' "${CONTROL[@]}"
	ctl add --rule-id late --input-interface in0 --input-group 239.255.1.9 --input-port 5009 \
		--outputs 239.255.2.9:6009:late >/dev/null
	ctl list >"$WORK/list.json"
	echo '{"rules": []}' >"$WORK/rules.json"
	signal HUP relay
	eventually said relay 'read again: 0 rules$'
	relay_stop
	mv "$WORK/list.json" "$WORK/rules.json"
	run -3 at r1 "$RELAY" --check "$WORK/rules.json"
	assert_line 'late: would wait: interface late is absent'
}

@test "two names of one interface are one interface" {
	make_late
	ip_at r1 link property add dev late altname wan
	relay_start "$LATE$(rule wan in0:239.255.1.8:5008 wan:239.255.2.9:6009)" "${CONTROL[@]}"
	assert_equal "$(ctl stats | gojq -c '.stats | [.outputs[].interface, .interfaces[].name]')" '["late","in0","late"]'
	send --size 100 --count 20 --group 239.255.1.8 --port 5008
	eventually relay_counts '.outputs[0].sent' 20
	run --separate-stderr -1 ctl add --input-interface wan --input-group 239.255.1.7 --input-port 5000 \
		--outputs 239.255.1.7:5000:late
	assert_one_line "the output equals the rule's input, which would loop"
	run --separate-stderr -1 ctl add --input-interface in0 --input-group 239.255.1.7 --input-port 5000 \
		--outputs 239.255.1.7:5000:late,239.255.1.7:5000:wan
	assert_one_line 'outputs\[1\]: the same as outputs\[0\]'
	relay_stop
}

# The name comes when both rules are in force: one of them receives for both.
@test "an interface gets the name that another rule waits for: packets are relayed once" {
	relay_start "$GOOD$(rule lan "lan:$GROUP_IN:5000" "out0:$GROUP_OUT:6000")" "${CONTROL[@]}"
	assert_equal "$(state lan)" 'waiting: interface lan is absent'
	ip_at r1 link property add dev in0 altname lan
	eventually same state lan 'stopped: rule good receives the same on the same interface, in0'
	receive_start sink
	send --size 100 --count 50 --verify
	relay_settle
	receive_end sink
	assert_intact sink 50
	ip_at r1 link property del dev in0 altname lan
	eventually same state lan 'waiting: interface lan is absent'
	relay_stop
}

@test "an interface that is renamed is waited for; under a name that stays it goes on" {
	make_late
	ip_at r1 link property add dev late altname wan
	relay_start "$GOOD$LATE$(rule wan in0:239.255.1.8:5008 wan:239.255.2.8:6008)" "${CONTROL[@]}"
	rename late moved
	eventually same state late 'waiting: interface late is absent'
	eventually same state wan running
	send --size 100 --count 20 --group 239.255.1.8 --port 5008
	eventually relay_counts '.outputs[] | select(.port == 6008) | .sent' 20
	rename moved late
	eventually same state late running
	relay_stop
}

# rename OLD NEW: older kernels rename only what is down.
rename() {
	ip_at r1 link set "$1" down
	ip_at r1 link set "$1" name "$2"
	ip_at r1 link set "$2" up
}

@test "an address with a label is an address" {
	make_late
	ip_at r1 addr flush dev late
	ip_at r1 addr add 10.77.3.1/24 dev late label late:vip
	relay_start "$GOOD$LATE" "${CONTROL[@]}"
	assert_equal "$(state late)" running
	assert_relays 20
	relay_stop
}

@test "an interface that no rule names is in no report, and not in the log" {
	make_late
	relay_start "$GOOD$LATE" "${CONTROL[@]}" --http "$HTTP"
	[[ $(page metrics) == *'"late"'* ]] || fail "not there while a rule uses it"
	ctl remove --rule-id late >/dev/null
	[[ $(page metrics) != *'"late"'* ]] || fail "still in /metrics"
	assert_equal "$(ctl stats | gojq -c '[.stats.interfaces[].name]')" '["in0","out0"]'
	ip_at r1 link del late
	# what has been said of another interface by now had come later
	ip_at r1 link set out0 down
	eventually same state good 'waiting: interface out0 is down'
	ip_at r1 link set out0 up
	eventually same state good running
	relay_stop
	assert_log 0 'interface late'
}

@test "--check: what would run, wait or be refused, in text and JSON; nothing is opened" {
	local interfaces
	interfaces=$(ip_at r1 link)$(<"/proc/${ANCHOR[r1]}/net/igmp")
	rule_file "$GOOD" >"$WORK/rules.json"
	run --separate-stderr -0 at r1 "$RELAY" --check "$WORK/rules.json"
	assert_output $'good: would run\n1 rules: 1 would run, 0 would wait, 0 would not run, 0 would be refused'
	rule_file "$GOOD$LATE" | gojq '.rules[0].outputs[0].source_port = 319' >"$WORK/rules.json"
	run --separate-stderr -3 at r1 "$RELAY" --check "$WORK/rules.json"
	assert_line 'good: would run'
	assert_line 'late: would wait: interface late is absent'
	run --separate-stderr -3 at r1 setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all \
		"$RELAY" --check /dev/stdin --log-format json <"$WORK/rules.json"
	assert_equal "$(gojq -rs 'map([.id, .would, .reason // empty] | join(" ")) | join(", ")' <<<"$output")" \
		'good run, late wait interface late is absent'
	rule_file "$(rule bad "in0:$GROUP_IN:5000" "in0:$GROUP_IN:5000")" >"$WORK/rules.json"
	run --separate-stderr -1 at r1 "$RELAY" --check "$WORK/rules.json"
	assert_one_line "the output equals the rule's input, which would loop"
	run --separate-stderr -1 at r1 "$RELAY" --check "$WORK/none.json"
	rule_file "$GOOD" | gojq '.rules[0].input.interface = "e\u001b[31m\u009b"' >"$WORK/rules.json"
	run --separate-stderr -3 at r1 "$RELAY" --check "$WORK/rules.json"
	assert_line 'good: would wait: interface e?[31m?? is absent'
	run --separate-stderr -3 at r1 "$RELAY" --check "$WORK/rules.json" --log-format json
	assert_output '{"id":"good","would":"wait","reason":"interface e?[31m?? is absent"}'
	# what nobody can read is no answer
	rule_file "$GOOD" >"$WORK/rules.json"
	run --separate-stderr -1 at r1 sh -c 'exec "$@" >/dev/full' - "$RELAY" --check "$WORK/rules.json"
	assert_one_line 'cannot write to standard output: No space left on device$'
	assert_equal "$(ip_at r1 link)$(<"/proc/${ANCHOR[r1]}/net/igmp")" "$interfaces"
}

# The manual and the unit agree.
@test "the unit allows what the manual offers, and starts a relay again without end" {
	local unit=$BUILD/mcrelay.service path
	grep -q '^RestrictAddressFamilies=.*AF_INET6' "$unit"
	grep -q '^RestartSec=[1-9]' "$unit"
	grep -q '^StartLimitIntervalSec=0$' "$unit"
	for path in $(man_paths); do
		[[ $path/ == /run/mcrelay/* ]] || fail "$path is not below RuntimeDirectory"
	done
	! command -v systemd-analyze || run systemd-analyze verify "$unit"
}

# Those below /run that man pages and --help have.
man_paths() {
	{ sed 's/\\//g' "$BUILD"/*.8 && "$RELAY" --help; } | grep -oE '/run/[a-zA-Z0-9_./-]+' | sed 's/[.,]$//' | sort -u
}
