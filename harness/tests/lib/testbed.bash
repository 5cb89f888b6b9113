# shellcheck shell=bash
# testbed: what the tests of behaviour share. Loaded at the head of each .bats file. Real packets go
# through a real relay between network namespaces, whose names carry the run's id:
#
#   setup_file     testbed BUILD      nodes and links, for all tests of the file
#   @test          relay_start, receive_start, send, relay_finish, receive_end, assertions
#   teardown       what the test started is stopped; teardown_file: the testbed goes
#
# Each change has its undo in a journal (harness/host/undo.bash), so that a test run that was killed
# is cleaned up by the next one. Nothing waits for a time: a condition is polled, within a bound.
# The numbers of packets are so small that every queue on their way holds all of them: where a test
# asserts that nothing is lost, no scheduling can make it lose anything.
#
# BUILD, RELAY, MCRELAYCTL and TRAFFICGEN choose the programs: BUILD=build/asan bats --recursive harness/tests

bats_load_library bats-support
bats_load_library bats-assert
bats_require_minimum_version 1.5.0

TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
HARNESS=$(dirname "$TESTS")
ROOT=$(dirname "$HARNESS")
BUILD=$(realpath "${BUILD:-$ROOT/build}")
RELAY=${RELAY:-$BUILD/mcrelay}
MCRELAYCTL=${MCRELAYCTL:-$BUILD/mcrelayctl}
TRAFFICGEN=${TRAFFICGEN:-$BUILD/trafficgen}
FRAMES=$TESTS/lib/frames.py
# shellcheck disable=SC2034 # read by bats
BATS_TEST_TIMEOUT=120

# The datagrams on a link are the datagrams that were sent, one by one.
# shellcheck disable=SC2034 # read by link()
declare -gA SCENARIO=([offload_tx-udp-segmentation]=off)

# Files of these tests may run beside each other and beside those of bench, which looks for what a run has left.
# shellcheck disable=SC2034 # read by undo
STATE_ROOT=/run/mcrelay-tests

# bats and the harness both have a run(). Here it is bats'; harness_call lends the other one.
BATS_RUN=$(declare -f run)
for part in host/{common,undo,host} topology/{links,link_profile}; do
	# shellcheck source=/dev/null
	source "$HARNESS/$part.bash"
done
HARNESS_RUN=$(declare -f run)
eval "$BATS_RUN"
# bats sources this file from a function, where the libraries' own declarations would be local
# shellcheck disable=SC2034
declare -gA HOP_OUTS=() PEER=()

harness_call() (
	eval "$HARNESS_RUN"
	"$@"
)

# ---- the testbed of a file ----------------------------------------------------------------------

# testbed FUNCTION: in setup_file; FUNCTION makes nodes and links, see harness/topology/links.bash.
testbed() {
	((EUID == 0)) || skip "network namespaces need root"
	[[ -x $RELAY && -x $TRAFFICGEN ]] || {
		printf 'no programs in %s; run: make\n' "$BUILD" >&2
		return 1
	}
	export RUN_ID=test-$$
	undo_open "$RUN_ID"
	export TESTBED_STATE=$STATE
	harness_call "$1"
}

testbed_remove() {
	[[ -z ${TESTBED_STATE:-} ]] || undo_play "$TESTBED_STATE"
}

# A file of the harness' topologies, to be used as or in the FUNCTION of testbed.
topology() {
	# shellcheck source=/dev/null
	source "$HARNESS/topology/$1.bash"
	topology_build
}

# A file that needs more has a setup or teardown of its own, which calls these.
setup() {
	harness_setup
}

teardown() {
	harness_teardown
}

teardown_file() {
	testbed_remove
}

harness_setup() {
	undo_open "$RUN_ID.test"
	WORK=$BATS_TEST_TMPDIR/work # bats keeps files of its own beside it
	mkdir "$WORK"
	CONTROL=(--control-socket-path "$WORK/control")
	declare -gA PROCESS=() EXIT=() RX_BEFORE=() SKEW=()
	# one CPU each: a sender that changes its CPU can overtake its own packets
	CPUS=() && mapfile -t CPUS < <(host_cpus)
	SEND_CPU=${CPUS[0]} RELAY_CPU=${CPUS[-1]}
}

harness_teardown() {
	undo_play "$STATE"
	show_logs
}

# bats prints this only when the test has failed.
show_logs() {
	local log
	[[ -z ${BATS_TEST_COMPLETED:-} ]] || return 0
	for log in "$WORK"/*.log; do
		[[ ! -s $log ]] || { printf -- '--- %s\n' "${log##*/}" && tail -n 20 "$log"; }
	done
}

# ---- processes ----------------------------------------------------------------------------------

# at NODE COMMAND...: in the foreground; ended after 60 s, killed if it does not end then.
at() {
	timeout --foreground --kill-after=5 60 ip netns exec "$(namespace "$1")" "${@:2}" 3>&-
}

# ip_at NODE ARGUMENT...: the ip command.
ip_at() {
	ip -n "$(namespace "$1")" "${@:2}"
}

# spawn NAME NODE COMMAND...: in the background; output in $WORK/NAME.out, errors in $WORK/NAME.log.
spawn() {
	rm -f "$WORK/$1.out" "$WORK/$1.log" # ready() must not find what an earlier one has said
	in_node "$2" "${@:3}" >"$WORK/$1.out" 2>"$WORK/$1.log" 3>&- &
	PROCESS[$1]=$(process_identity $!)
	undo_push process_stop "${PROCESS[$1]}"
}

pid_of() {
	printf '%s' "${PROCESS[$1]%%:*}"
}

# signal SIGNAL NAME: to the process; STOP and CONT to its children as well, the relay's workers.
signal() {
	local child
	kill "-$1" "$(pid_of "$2")"
	[[ $1 == STOP || $1 == CONT ]] || return 0
	for child in $(children "$2"); do
		kill "-$1" "$child"
	done
}

# The processes that NAME has started.
children() {
	local pid
	pid=$(pid_of "$1")
	cat "/proc/$pid/task/$pid/children"
}

# wait_for NAME: until it ends by itself; its exit status is in EXIT[NAME].
wait_for() {
	poll 30 process_dead "${PROCESS[$1]}" || fail "$1 has not ended after 30 s"
	EXIT[$1]=0
	wait "$(pid_of "$1")" || EXIT[$1]=$?
}

# stop NAME [SIGNAL]
stop() {
	signal "${2:-TERM}" "$1"
	wait_for "$1"
}

# ready NAME PATTERN: until PATTERN stands in its output or log.
ready() {
	poll 20 ready_or_dead "$1" "$2" || true
	grep -qs -- "$2" "$WORK/$1.log" "$WORK/$1.out" || fail "$1 did not start: $(<"$WORK/$1.log")"
}

ready_or_dead() {
	grep -qs -- "$2" "$WORK/$1.log" "$WORK/$1.out" || process_dead "${PROCESS[$1]}"
}

# eventually COMMAND...: fails the test unless COMMAND succeeds within 20 s.
eventually() {
	poll 20 "$@" || fail "not within 20 s: $*"
}

# same COMMAND VALUE: what COMMAND prints is VALUE, for eventually.
same() {
	[[ $("${@:1:$#-1}") == "${!#}" ]]
}

at_least() {
	(($("${@:1:$#-1}") >= ${!#}))
}

# ---- the relay ----------------------------------------------------------------------------------

# rule ID INTERFACE:GROUP:PORT [INTERFACE:GROUP:PORT[:TTL]]...: a rule as JSON.
rule() {
	jq -nc 'def endpoint: split(":") | {interface: .[0], group: .[1], port: (.[2] | tonumber)};
		{id: $ARGS.positional[0], input: $ARGS.positional[1] | endpoint,
		 outputs: [$ARGS.positional[2:][] | endpoint + {ttl: (split(":")[3] // "1" | tonumber)}]}' \
		--args "$@"
}

# relay_start RULES [OPTION]...: at r1; RULES is one or more of rule's JSON objects, or '' for no rule
# file. Reports at the end and when asked. RELAY_WRAPPER: words to put before the command.
relay_start() {
	local config=()
	if [[ -n $1 ]]; then
		jq -s '{rules: .}' <<<"$1" >"$WORK/rules.json"
		config=(--config "$WORK/rules.json")
	fi
	RELAY_SAW=$(input_packets)
	SKEW[r1]=$(node_backlog r1)
	# shellcheck disable=SC2086 # a list of words
	spawn relay r1 taskset -c "$RELAY_CPU" ${RELAY_WRAPPER:-} "$RELAY" "${config[@]}" \
		--stats-file "$WORK/relay.json" --stats-interval-ms 0 "${@:2}"
	ready relay '^\[INFO:[A-Za-z]*\] ready'
}

# Packets that have crossed the links towards the relay.
input_packets() {
	ip_at r1 -j -s link show type veth |
		jq '[.[] | select(.ifname | startswith("in")) | .stats64.rx.packets] | add'
}

# A new report in $WORK/relay.json.
relay_report() {
	local before
	before=$(counter .sequence)
	signal USR1 relay
	eventually relay_reported "${before:-0}"
}

relay_reported() {
	[[ -s $WORK/relay.json ]] && (($(counter .sequence) > $1))
}

# counter NAME: a total of the newest report, or any jq path into it (.outputs[0].sent).
counter() {
	[[ -e $WORK/relay.json ]] || return 0
	case $1 in
	.*) jq -r "$1" "$WORK/relay.json" ;;
	*) jq -r ".total.$1" "$WORK/relay.json" ;;
	esac
}

# relay_counts NAME N: the counter is N, now. For eventually.
relay_counts() {
	relay_report
	[[ $(counter "$1") == "$2" ]]
}

# Until the relay has seen each packet that crossed its input links since it started.
relay_settle() {
	eventually relay_saw "$(($(input_packets) - RELAY_SAW))"
}

relay_saw() {
	relay_report
	(($(counter arrived) >= $1))
}

# Ends it; checks that it exits with 0.
relay_stop() {
	stop relay
	assert_equal "${EXIT[relay]}" 0
}

# freeze NAME: stopped, all threads of it and of its children, until `signal CONT`. What is sent to it piles up.
freeze() {
	signal STOP "$1"
	eventually frozen "$1"
}

frozen() {
	local pid
	for pid in "$(pid_of "$1")" $(children "$1"); do
		! cut -d')' -f2 /proc/"$pid"/task/*/stat | grep -qv '^ T' || return 1
	done
}

# relay_burst [OPTION]...: the relay finds all packets of this `send` in its ring at once.
relay_burst() {
	freeze relay
	send "$@"
	eventually node_settled r1
	signal CONT relay
}

# All that was sent so far has been relayed; then the end.
relay_finish() {
	relay_settle
	relay_stop
}

# assert_counters NAME=VALUE...: NAME as for counter.
assert_counters() {
	local pair
	for pair in "$@"; do
		assert_equal "${pair%=*}=$(counter "${pair%=*}")" "$pair"
	done
}

# assert_final KEY=VALUE...: the two FINAL lines say so, each KEY once.
assert_final() {
	local pair line
	line=$(grep -F ' FINAL]' "$WORK/relay.log")
	for pair in "$@"; do
		assert_equal "$(grep -oE "\b${pair%=*}=[0-9]+" <<<"$line")" "$pair"
	done
}

# worker N FIELD: of the newest report (pid, restarts, counters.matched).
worker() {
	jq -r ".workers[$1].$2" "$WORK/relay.json"
}

# ctl ARGUMENT...: mcrelayctl, of a relay that was started with "${CONTROL[@]}".
ctl() {
	"$MCRELAYCTL" --socket-path "$WORK/control" "$@" 3>&-
}

# Every packet is accounted for: at ingress, and at egress.
assert_ledger_closed() {
	jq -e '.total | .arrived == .matched + .filtered + .drop_no_match + .buffer_exhaustion and
		.egress_sent + .egress_errors == .egress_queued and .egress_submitted >= .egress_sent' \
		"$WORK/relay.json" >/dev/null || fail "the ledger is open: $(jq -c .total "$WORK/relay.json")"
	jq -e '([.outputs[].sent] | add // 0) == .total.egress_sent and
		([.outputs[].errors[]] | add // 0) == .total.egress_errors and
		([.rules[].matched] | add) == .total.matched' \
		"$WORK/relay.json" >/dev/null || fail "rules and outputs do not add up to the totals"
}

# ---- traffic ------------------------------------------------------------------------------------

GROUP_IN=239.255.1.1 GROUP_OUT=239.255.2.2

# send [OPTION]...: trafficgen at gen, a report in $WORK/send.json. A later --group or the like wins.
send() {
	at gen taskset -c "$SEND_CPU" "$TRAFFICGEN" send --interface "$(node_address gen out0)" \
		--group "$GROUP_IN" --port 5000 --rate 20000 --json "$WORK/send.json" --quiet "$@" \
		>"$WORK/send.out" 2>"$WORK/send.log"
}

sent() {
	jq .packets_sent "$WORK/send.json"
}

# receive_start NODE [OPTION]...: trafficgen at NODE until receive_end, a report in $WORK/NODE.json.
receive_start() {
	local node=$1
	SKEW[$node]=$(node_backlog "$node")
	RX_BEFORE[$node]=$(rx_packets "$node" in0)
	spawn "$node" "$node" "$TRAFFICGEN" recv --interface "$(node_address "$node" in0)" \
		--group "$GROUP_OUT" --port 6000 --duration 60 --verify --quiet --json "$WORK/$node.json" \
		"${@:2}"
	ready "$node" '^Listening on'
}

# receive_end NODE: all that crossed the node's link has been received; then the end.
receive_end() {
	eventually node_settled "$1"
	stop "$1"
}

# Each packet that crossed the node's links has been through its IP stack, its sockets are empty.
node_settled() {
	local queued
	(($(node_backlog "$1") == ${SKEW[$1]:-0})) || return 1
	# a connected one is an output of a relay, which keeps what the kernel tells it besides send(2)
	queued=$(at "$1" ss -Huan state unconnected | awk '{n += $1} END {print n + 0}')
	((queued == 0))
}

# Packets between link and IP stack; frames that are not IP, and interfaces made anew, leave a rest in
# this number, which is the node's SKEW when nothing is on its way. InNoECTPkts counts an aggregate as
# its packets, InReceives would not.
node_backlog() {
	at "$1" cat /proc/net/netstat /proc/net/dev | awk '
		$1 == "IpExt:" && !column {for (i = 2; i <= NF; i++) if ($i == "InNoECTPkts") column = i; next}
		$1 == "IpExt:" {ip = $column}
		/^ *(in|out)[0-9]+:/ {link += $3} END {print link - ip}'
}

# rx_packets NODE INTERFACE, tx_packets NODE INTERFACE: counters of the link.
rx_packets() {
	ip_at "$1" -j -s link show "$2" | jq '.[0].stats64.rx.packets'
}

# rx_new NODE: what has crossed its link since receive_start.
rx_new() {
	local now
	now=$(rx_packets "$1" in0)
	printf '%s' $((now - RX_BEFORE[$1]))
}

tx_packets() {
	ip_at "$1" -j -s link show "$2" | jq '.[0].stats64.tx.packets'
}

received() {
	jq ".${2:-received}" "$WORK/$1.json"
}

# assert_intact NODE N: N packets, each once, in order, not a byte changed; nothing else came.
assert_intact() {
	local name
	assert_equal "$1 received $(received "$1")" "$1 received $2"
	for name in lost duplicated reordered stale corrupt unverified foreign socket_drops; do
		assert_equal "$1 $name $(received "$1" "$name")" "$1 $name 0"
	done
	assert_equal "$1 link $(rx_new "$1")" "$1 link $2"
}

# frames NODE COMMAND ARGUMENT...: frames.py in the foreground.
frames() {
	at "$1" "$FRAMES" "${@:2}"
}

# listen_start NAME NODE capture|receive ARGUMENT...: frames.py until listen_end, lines in $WORK/NAME.out.
listen_start() {
	SKEW[$2]=$(node_backlog "$2")
	spawn "$1" "$2" "$FRAMES" "${@:3}"
	ready "$1" '^ready'
}

# listen_end NAME NODE
listen_end() {
	eventually node_settled "$2"
	stop "$1"
	assert_equal "${EXIT[$1]}" 0
}

# assert_one_line PATTERN: the last `run --separate-stderr` said exactly one line on stderr, which matches.
assert_one_line() {
	# shellcheck disable=SC2154 # set by bats' run
	assert_equal "${#stderr_lines[@]} line: $stderr" "1 line: $stderr"
	[[ $stderr =~ $1 ]] || fail "found on stderr '$stderr', expected '$1'"
}

# flood_start: 20,000 packets per second of the first group to a receiver in sink, until `stop flood INT`;
# the generator's report is $WORK/flood.json.
flood_start() {
	receive_start sink
	spawn flood gen taskset -c "$SEND_CPU" "$TRAFFICGEN" send --interface 10.77.1.1 --verify \
		--group "$GROUP_IN" --port 5000 --size 200 --rate 20000 --duration 50 --quiet \
		--json "$WORK/flood.json"
	eventually relay_saw 100
}
