#!/usr/bin/env bats
# What cannot work is refused at the start: one line on stderr that says what and where, exit status
# 64 for a wrong command line or environment, 1 otherwise; and nothing is left behind.

# shellcheck disable=SC2154 # stderr is set by bats' run
load ../lib/testbed

setup_file() {
	testbed build
}

build() {
	topology single
	run ip -n "$(namespace r1)" link add bare type veth peer name bare-peer
	run ip -n "$(namespace r1)" link set bare up
	run ip -n "$(namespace r1)" link set bare-peer up
}

RULE=$(rule one "in0:$GROUP_IN:5000" "out0:$GROUP_OUT:6000")

setup() {
	harness_setup
	unset "${!MCR_@}"
	rule_file "$RULE" >"$WORK/rules.json"
	FILES=$(files)
}

# What is in the test's folder.
files() (
	shopt -s dotglob
	printf '%s\n' "$WORK"/*
)

# refuses STATUS PATTERN [ARGUMENT]...: a relay with these arguments. WRAPPER: words to put before it.
refuses() {
	# shellcheck disable=SC2086 # a list of words
	run --separate-stderr -"$1" at r1 ${WRAPPER:-} "$RELAY" "${NO_CONTROL[@]}" "${@:3}"
	assert_one_line "$2"
	assert_output ''
	assert_equal "$(files)" "$FILES"
	refute_joined
}

# Nobody is in the group: /proc/net/igmp has it as the bytes of 239.255.1.1 from the last to the first.
refute_joined() {
	local groups
	groups=$(<"/proc/${ANCHOR[r1]}/net/igmp")
	[[ $groups == *in0* && $groups != *0101FFEF* ]] || fail "found: $groups"
}

# refuses_rules PATTERN JSON: a rule file with this text.
refuses_rules() {
	printf '%s' "$2" >"$WORK/rules.json"
	refuses 1 "^\[ERROR:Config\] $WORK/rules.json:?.*$1" --config "$WORK/rules.json"
}

# refuses_edited [PATTERN JQ]...: the good rule file, edited by JQ.
refuses_edited() {
	local patterns=() edits=() files
	while (($#)); do
		patterns+=("$1") edits+=("($2)")
		shift 2
	done
	mapfile -t files < <(IFS=, && rule_file "$RULE" | gojq -c "${edits[*]}")
	assert_equal "${#files[@]}" "${#patterns[@]}"
	while ((${#files[@]})); do
		refuses_rules "${patterns[0]}" "${files[0]}"
		patterns=("${patterns[@]:1}") files=("${files[@]:1}")
	done
}

@test "an unknown option, argument or value: exit status 64" {
	local good=(--config "$WORK/rules.json")
	refuses 64 "unknown or ambiguous option '--nonsense'; see 'mcrelay --help'" "${good[@]}" --nonsense
	refuses 64 "unknown or ambiguous option '--s'" "${good[@]}" --s 1
	refuses 64 "unexpected argument 'eth0'" "${good[@]}" eth0
	refuses 64 '--config FILE is missing, and --control-socket-path none leaves no way to give it rules'
	refuses 64 '--config needs a value' --config
	refuses 64 '--queue-depth needs a value' "${good[@]}" --queue-depth
	refuses 64 "--config: expected FILE, found an empty string" --config ''
}

@test "a value out of its range: exit status 64" {
	local good=(--config "$WORK/rules.json") pair
	for pair in num-workers=0 ring-slots=-2 ring-slots=131072 ring-slot-bytes=-1 queue-depth=0 \
		queue-depth=32769 send-batch=0 send-batch=1025 socket-sndbuf=4095 \
		socket-sndbuf=99999999999999999999 stats-interval-ms=x stats-interval-ms=1.5; do
		refuses 64 "^mcrelay: --${pair%=*}: '${pair#*=}' is not a whole number from [0-9]+ to [0-9]+; see" \
			"${good[@]}" "--${pair%=*}" "${pair#*=}"
	done
	refuses 64 '--ring-slots: 101 is neither' "${good[@]}" --ring-slots 101
	refuses 64 '--ring-slot-bytes: 1024 is neither' "${good[@]}" --ring-slot-bytes 1024
	refuses 64 '--ring-slot-bytes: 3000 is neither' "${good[@]}" --ring-slot-bytes 3000
	refuses 64 'name the same file' "${good[@]}" --stats-file "$WORK/x" --stats-series "$WORK/x"
}

@test "a wrong environment: exit status 64, also when an option overrides it" {
	export MCR_SOCKET_SNDBUF=lots
	refuses 64 "environment variable MCR_SOCKET_SNDBUF: 'lots' is not a whole number from 4096" \
		--config "$WORK/rules.json"
	export MCR_SOCKET_SNDBUF=
	refuses 64 "environment variable MCR_SOCKET_SNDBUF: '' is not" --config "$WORK/rules.json"
}

@test "--help and --version print to stdout and exit with 0" {
	run --separate-stderr -0 at r1 "$RELAY" --help
	assert_output --partial '--config FILE'
	assert_output --partial 'environment MCR_SOCKET_SNDBUF'
	assert_equal "$stderr" ''
	run --separate-stderr -0 at r1 "$RELAY" --version
	assert_output --regexp '^mcrelay [0-9]+\.[0-9]+\.[0-9]+$'
}

@test "a rule file that cannot be read" {
	refuses 1 "^\[ERROR:Config\] $WORK/none.json: cannot (open|read) the rule file: No such file" --config "$WORK/none.json"
	refuses 1 "$WORK: .*(directory|JSON)" --config "$WORK"
	refuses 1 '/dev/null.*JSON' --config /dev/null
	refuses 1 '/dev/zero.*JSON' --config /dev/zero
	mkfifo "$WORK/fifo"
	FILES=$(files)
	refuses 1 "^\[ERROR:Config\] $WORK/fifo: cannot read the rule file: it is not a file, and nobody at its other end" \
		--config "$WORK/fifo"
}

@test "a rule file that is not JSON: line and column" {
	refuses_rules ':1:[0-9]+: not valid JSON: ' '{"rules": ['
	refuses_rules ':3:[0-9]+: not valid JSON: ' $'{\n"rules":\n oops}'
	refuses_rules 'not valid JSON' '{"rules": [], "rules": []}'
	refuses_rules 'not valid JSON' $'\xff\xfe'
}

@test "a rule file with wrong content: the place, what was found and what is expected" {
	refuses_rules ' \$: found an array, expected an object with the key rules' '[]'
	refuses_rules ' \$.rules: found nothing, expected an array of rules' '{}'
	refuses_rules ' \$: unknown key "rule"' '{"rule": []}'
	refuses_edited \
		'\$.rules\[0\].input.port: found 70000, expected a whole number from 1 to 65535' \
		'.rules[0].input.port = 70000' \
		'\$.rules\[0\].input.group: found "127.0.0.1", expected an IPv4 ' \
		'.rules[0].input.group = "127.0.0.1"' \
		'\$.rules\[0\].outputs\[0\].ttl: found 0, expected a whole number from 1 to 255' \
		'.rules[0].outputs[0].ttl = 0' \
		'\$.rules\[0\].outputs\[0\]: unknown key "iface"' '.rules[0].outputs[0].iface = "x"' \
		'\$.rules\[0\].outputs\[0\]: the output equals the rule.s input' \
		'.rules[0].outputs[0] = .rules[0].input' \
		'\$.rules\[1\]: the same id as rules\[0\], "one"' '.rules += .rules' \
		'\$.rules\[1\]: the same input as rules\[0\]' '.rules += [.rules[0] + {id: "two"}]' \
		'\$.rules\[0\].outputs\[1\]: the same as outputs\[0\]' \
		'.rules[0].outputs += .rules[0].outputs'
}

@test "a name that no interface can ever have" {
	refuses_edited \
		'interface: found "a-name-that-is-far-too-long"' \
		'.rules[0].input.interface = "a-name-that-is-far-too-long"' \
		'\$.rules\[0\].outputs\[0\].interface: found "eth0:vip", expected the name of a network interface' \
		'.rules[0].outputs[0].interface = "eth0:vip"'
}

@test "more input interfaces than there can be, none of them there" {
	refuses_rule_set 'rules receive on more than 64 interfaces$' 'range(65) |
		{input: {interface: "absent\(.)", group: "239.1.1.1", port: 5000}, outputs: []}'
}

# refuses_rule_set PATTERN JQ: a rule file with what JQ yields.
refuses_rule_set() {
	gojq -nc "{rules: [$2]}" >"$WORK/rules.json"
	refuses 1 "$1" --config "$WORK/rules.json"
}

@test "an input interface needs no address" {
	relay_start "$(rule one "bare:$GROUP_IN:5000")"
	relay_stop
}

@test "statistics that cannot be written" {
	refuses 1 "^\[ERROR:Stats\] cannot write $WORK/no/stats.json: No such file or directory; name a file" \
		--config "$WORK/rules.json" --stats-file "$WORK/no/stats.json"
	refuses 1 "^\[ERROR:Stats\] cannot write $WORK/no/series: No such file" \
		--config "$WORK/rules.json" --stats-series "$WORK/no/series"
	refuses 1 "^\[ERROR:Stats\] cannot write $WORK/no/: " --config "$WORK/rules.json" --stats-file "$WORK/no/"
	refuses 1 "^\[ERROR:Stats\] cannot write $WORK: Is a directory" --config "$WORK/rules.json" --stats-file "$WORK"
	refuses 1 "^\[ERROR:Stats\] cannot write $WORK: Is a directory" --config "$WORK/rules.json" --stats-series "$WORK"
}

@test "statistics in the place of a symbolic link or a FIFO, which anybody may have put there" {
	local option
	ln -s other "$WORK/link"
	mkfifo "$WORK/fifo"
	FILES=$(files)
	for option in --stats-file --stats-series; do
		refuses 1 "^\[ERROR:Stats\] cannot write $WORK/link: it is a symbolic link, .*; name a file of its own in a writable folder$" \
			--config "$WORK/rules.json" "$option" "$WORK/link"
		refuses 1 "^\[ERROR:Stats\] cannot write $WORK/fifo: it is a FIFO or a socket, not a file; name a file" \
			--config "$WORK/rules.json" "$option" "$WORK/fifo"
	done
}

@test "without privileges" {
	local copy
	# where anybody may look, whatever the folders above the build allow
	copy=$(mktemp -d /tmp/mcrelay-test.XXXXXX)
	undo_push rm -rf "$copy"
	install -m 755 "$RELAY" "$copy/mcrelay"
	install -m 644 "$WORK/rules.json" "$copy/rules.json"
	chmod 755 "$copy"
	RELAY=$copy/mcrelay WRAPPER='setpriv --reuid 65534 --regid 65534 --clear-groups' \
		refuses 1 '^\[ERROR:Supervisor\] needs CAP_NET_RAW, to receive packets; run it as root' \
		--config "$copy/rules.json"
	chmod 600 "$copy/rules.json"
	RELAY=$copy/mcrelay WRAPPER='setpriv --reuid 65534 --regid 65534 --clear-groups' \
		refuses 1 'rules.json: cannot (open|read) the rule file: Permission denied$' --config "$copy/rules.json"
}

@test "--gro without CAP_NET_ADMIN; --gso with another word" {
	WRAPPER='setpriv --bounding-set=-net_admin,-sys_admin' \
		refuses 1 '^\[ERROR:Supervisor\] needs CAP_NET_ADMIN, for --gro; run it as root' \
		--config "$WORK/rules.json" --gro
	refuses 64 "^mcrelay: --gso: 'maybe' is not one of on, off, auto" --config "$WORK/rules.json" --gso maybe
}

above_is_up() {
	[[ $(ip_at r1 -o link show above) == *LOWER_UP* ]]
}

@test "--gro on an interface that has none to turn on" {
	ip_at r1 link add link bare name above type macvlan mode bridge
	ip_at r1 link set above up
	eventually above_is_up
	at r1 ethtool -K above rx-udp-gro-forwarding on 2>/dev/null || true
	[[ $(at r1 ethtool -k above) != *'rx-udp-gro-forwarding: on'* ]] || skip 'this kernel can'
	rule_file "$(rule one "above:$GROUP_IN:5000")" >"$WORK/rules.json"
	refuses 1 "^\[ERROR:Supervisor\] cannot turn on GRO on above for --gro: Operation not supported; .*: go without --gro$" \
		--config "$WORK/rules.json" --gro
	ip_at r1 link del above
}

@test "--exclusive without CAP_NET_ADMIN and CAP_BPF" {
	WRAPPER='setpriv --bounding-set=-net_admin,-bpf,-sys_admin' \
		refuses 1 '^\[ERROR:Supervisor\] needs CAP_NET_ADMIN, for --exclusive; run it as root' \
		--config "$WORK/rules.json" --exclusive
}

@test "what is asked of any program is printed, or its exit status says that it was not" {
	local program words
	for program in "$RELAY" "$MCRELAYCTL" "$TRAFFICGEN"; do
		for words in --help --version; do
			run --separate-stderr -1 bash -c '"$@" >/dev/full' - "$program" "$words"
			assert_one_line "^${program##*/}: cannot write to standard output: No space left on device$"
		done
	done
	for words in add save log-level; do
		run --separate-stderr -1 bash -c '"$@" >/dev/full' - "$MCRELAYCTL" "$words" --help
		assert_one_line '^mcrelayctl: cannot write to standard output: No space left on device$'
	done
}
