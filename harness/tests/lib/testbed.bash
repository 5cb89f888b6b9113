# shellcheck shell=bash
# testbed: what the tests of behaviour share. Loaded at the head of each .bats file. Real packets go
# through a real relay between network namespaces, whose names carry the run's id:
#
#   setup_file     testbed BUILD      nodes and links, for all tests of the file
#   @test          relay_start, receive_start, send, relay_finish, receive_end, assertions
#   teardown       what the test started is stopped; teardown_file: the testbed goes
#
# Each change has its undo in a journal (harness/host/undo.bash), so that a test run that was killed
# is cleaned up by the next one. Nothing waits for a time: a condition is polled, within a bound that
# only what is broken reaches.
# The numbers of packets are so small that every queue on their way holds all of them, or each packet
# waits until there is room for it (stream): where a test asserts that nothing is lost, no scheduling
# can make it lose anything.
#
# Processes are what a test costs most, and jq more than all others: what is looked at again and again
# is read by bash itself, from /proc and from the reports of the programs.
#
# BUILD, RELAY, MCRELAYCTL and TRAFFICGEN choose the programs: BUILD=build/asan bats --recursive harness/tests

bats_load_library bats-support
bats_load_library bats-assert
bats_require_minimum_version 1.5.0

TESTS=$(cd "${BASH_SOURCE[0]%/*}/.." && pwd)
HARNESS=${TESTS%/*}
ROOT=${HARNESS%/*}
BUILD=${BUILD:-$ROOT/build}
[[ $BUILD == /* ]] || BUILD=$(realpath "$BUILD")
RELAY=${RELAY:-$BUILD/mcrelay}
MCRELAYCTL=${MCRELAYCTL:-$BUILD/mcrelayctl}
TRAFFICGEN=${TRAFFICGEN:-$BUILD/trafficgen}
FRAMES=$TESTS/lib/frames.py
STREAM=$TESTS/lib/stream.py
# shellcheck disable=SC2034 # read by bats
BATS_TEST_TIMEOUT=600
PATIENCE_S=100 # for what needs a few milliseconds

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
	set +T
	((EUID == 0)) || skip "network namespaces need root"
	[[ -x $RELAY && -x $TRAFFICGEN ]] || {
		printf 'no programs in %s; run: make\n' "$BUILD" >&2
		return 1
	}
	export RUN_ID=test-$$
	undo_open "$RUN_ID"
	export TESTBED_STATE=$STATE
	harness_call testbed_build "$1"
}

# Beside each node a process that does nothing: /proc/PID/net of it is the node's. What the tests have to
# know of the nodes, a file keeps for them.
testbed_build() {
	local name key
	declare -A ANCHOR=() ADDRESS=()
	declare -a CPUS
	mapfile -t CPUS < <(host_cpus)
	"$1"
	for name in "${NODES[@]}"; do
		nsenter --net="/run/netns/$(namespace "$name")" sleep infinity </dev/null &>/dev/null 3>&- &
		ANCHOR[$name]=$!
		undo_push process_stop "$(process_identity $!)"
	done
	for key in "${INTERFACES[@]}"; do
		ADDRESS[$key]=$(ip -n "$(namespace "${key%%:*}")" -4 -o addr show dev "${key##*:}" |
			sed -nE '1s/.* inet ([0-9.]+).*/\1/p')
	done
	for name in "${NODES[@]}"; do
		poll "$PATIENCE_S" anchored "$name"
	done
	declare -p ANCHOR ADDRESS CPUS | sed 's/^declare -/declare -g/' >"$STATE/nodes"
}

# nsenter has become sleep.
anchored() {
	[[ $(<"/proc/${ANCHOR[$1]}/comm") == sleep ]]
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

# Bats notes where it is before each command, which takes far longer than most commands. It goes on to do so
# in the test itself, but no longer in the functions that are called from now on: a failure is reported
# with its line in the test.
harness_setup() {
	set +T
	# shellcheck source=/dev/null
	source "$TESTBED_STATE/nodes"
	undo_open "$RUN_ID.test"
	WORK=$BATS_TEST_TMPDIR/work # bats keeps files of its own beside it
	mkdir "$WORK"
	CONTROL=(--control-socket-path "$WORK/control") NO_CONTROL=(--control-socket-path none)
	declare -gA PROCESS=() EXIT=() RX_BEFORE=() SKEW=()
	# one CPU each: a sender that changes its CPU can overtake its own packets
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

# at NODE COMMAND...: in the foreground; ended when it takes far too long, killed if it does not end then.
at() {
	timeout --foreground --kill-after=20 "$PATIENCE_S" ip netns exec "$(namespace "$1")" "${@:2}" 3>&-
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
	local pid=${PROCESS[$1]%%:*} pids
	read -ra pids <"/proc/$pid/task/$pid/children" || [[ -n ${pids[*]} ]] || return 1
	printf '%s' "${pids[*]}"
}

# stopped PID: by SIGSTOP, all of its threads.
stopped() {
	local file stat
	for file in /proc/"$1"/task/*/stat; do
		read -r stat <"$file"
		[[ ${stat##*) } == T* ]] || return 1
	done
}

# wait_for NAME: until it ends by itself; its exit status is in EXIT[NAME].
wait_for() {
	poll "$PATIENCE_S" ended "$1" || fail "$1 has not ended after $PATIENCE_S s"
	EXIT[$1]=0
	wait "$(pid_of "$1")" || EXIT[$1]=$?
}

# stop NAME [SIGNAL]
stop() {
	signal "${2:-TERM}" "$1"
	wait_for "$1"
}

# ended NAME: as process_dead, of what this shell has started and not waited for.
ended() {
	local identity=${PROCESS[$1]} fields
	read -ra fields 2>/dev/null <"/proc/${identity%%:*}/stat" || return 0
	fields=("${fields[@]: -50}") # from the state on, whatever its name is
	[[ ${fields[0]} == Z || ${fields[19]} != "${identity##*:}" ]]
}

# ready NAME PATTERN: until PATTERN, an extended regular expression, is found in a line of its output or log.
ready() {
	poll "$PATIENCE_S" ready_or_dead "$1" "$2" || true
	said "$1" "$2" || fail "$1 did not start: $(<"$WORK/$1.log")"
}

ready_or_dead() {
	said "$1" "$2" || ended "$1"
}

# said NAME PATTERN
said() {
	local file line lines
	for file in "$WORK/$1.log" "$WORK/$1.out"; do
		[[ -s $file ]] || continue
		mapfile -t lines <"$file"
		for line in "${lines[@]}"; do
			[[ ! $line =~ $2 ]] || return 0
		done
	done
	return 1
}

# poll SECONDS COMMAND...: in place of the harness' own, which looks less often.
poll() {
	local deadline=$((SECONDS + $1 + 1)) pauses=(0.001 0.002 0.004 0.008 0.016) i=0
	shift
	until "$@"; do
		((SECONDS < deadline)) || return 1
		pause "${pauses[i]:-0.03}"
		((++i))
	done
}

# eventually COMMAND...: fails the test unless COMMAND succeeds at last.
eventually() {
	poll "$PATIENCE_S" "$@" || fail "not within $PATIENCE_S s: $*"
}

# same COMMAND VALUE: what COMMAND prints is VALUE, for eventually.
same() {
	[[ $("${@:1:$#-1}") == "${!#}" ]]
}

at_least() {
	(($("${@:1:$#-1}") >= ${!#}))
}

# A program built with a sanitizer keeps what it has freed, and runs without a sandbox.
is_sanitized() {
	grep -qE '__[at]san_init' "$1"
}

# ---- the relay ----------------------------------------------------------------------------------

# rule ID INTERFACE:GROUP:PORT [INTERFACE:GROUP:PORT[:TTL]]...: a rule as JSON.
rule() {
	local id=$1 input output end outputs=() IFS=:
	id=${id//\\/\\\\} id=${id//\"/\\\"}
	read -ra input <<<"$2"
	for end in "${@:3}"; do
		read -ra output <<<"$end"
		outputs+=("{$(endpoint "${output[@]}"),\"ttl\":${output[3]:-1}}")
	done
	IFS=,
	printf '{"id":"%s","input":{%s},"outputs":[%s]}\n' "$id" "$(endpoint "${input[@]}")" "${outputs[*]}"
}

# endpoint INTERFACE GROUP PORT
endpoint() {
	printf '"interface":"%s","group":"%s","port":%s' "${@:1:3}"
}

# rule_file RULES: one or more of rule's JSON objects as a rule file.
rule_file() {
	local rules=${1//\]\}[[:space:]]\{/]\}\{}
	printf '{"rules": [%s]}\n' "${rules//\]\}\{/]\},\{}"
}

# relay_start RULES [OPTION]...: at r1; RULES is one or more of rule's JSON objects, or '' for no rule
# file. Reports at the end and when asked. Without a control socket, unless an option says where.
# RELAY_WRAPPER: words to put before the command.
relay_start() {
	local config=()
	if [[ -n $1 ]]; then
		rule_file "$1" >"$WORK/rules.json"
		config=(--config "$WORK/rules.json")
	fi
	RELAY_SAW=$(input_packets)
	SKEW[r1]=$(node_backlog r1)
	# shellcheck disable=SC2086 # a list of words
	spawn relay r1 taskset -c "$RELAY_CPU" ${RELAY_WRAPPER:-} "$RELAY" "${config[@]}" \
		--stats-file "$WORK/relay.json" --stats-interval-ms 0 "${NO_CONTROL[@]}" "${@:2}"
	ready relay '^\[INFO:[A-Za-z]*\] ready'
}

# Packets that have crossed the links towards the relay.
input_packets() {
	local lines line sum=0
	mapfile -t lines <"/proc/${ANCHOR[r1]}/net/dev"
	for line in "${lines[@]}"; do
		[[ ! $line =~ ^\ *in[^:]*:\ *[0-9]+\ +([0-9]+) ]] || ((sum += BASH_REMATCH[1]))
	done
	printf '%s' "$sum"
}

# A new report in $WORK/relay.json.
relay_report() {
	local before
	before=$(report_number)
	kill -USR1 "${PROCESS[relay]%%:*}"
	eventually relay_reported "$before"
}

relay_reported() {
	(($(report_number) > $1))
}

# The number of the newest report; 0: there is none.
report_number() {
	local line
	[[ -e $WORK/relay.json ]] || { printf 0 && return; }
	while read -r line; do
		[[ $line != '"sequence": '* ]] || { printf '%s' "${line//[!0-9]/}" && return; }
	done <"$WORK/relay.json"
}

# counter NAME: a total of the newest report, or any jq path into it (.outputs[0].sent).
counter() {
	local path=$1
	[[ -e $WORK/relay.json ]] || return 0
	[[ $path == .* ]] || path=.total.$path
	json_value "$WORK/relay.json" "$path" || jq -r "$path" "$WORK/relay.json"
}

# json_value FILE PATH: prints what stands at PATH (.a, .a.b, .a[0].b, .a["b"]), a number, string or the
# like, in FILE, which our programs have written: indented by one space a level. Fails if it is not there.
json_value() {
	local parts lines line indent=' ' i=0 count=0 file
	[[ $2 =~ ^(\.[a-z0-9_]+|\[[0-9]+\]|\[\"[a-z0-9_-]+\"\])+$ ]] || return 1
	read -ra parts <<<"${2//[].[\"]/ }"
	exec {file}<"$1"
	# reports may be long, and what is asked for stands near their head
	while mapfile -t -n 300 -u "$file" lines && ((${#lines[@]})); do
		for line in "${lines[@]}"; do
			if [[ $line == "$indent\"${parts[i]}\": "* ]]; then
				((++i < ${#parts[@]})) || break 2
				indent+=' '
			elif [[ ${parts[i]} == [0-9]* && $line == "$indent"[\{\[]* ]]; then
				((count++ == parts[i])) || continue
				((++i < ${#parts[@]})) || break 2
				count=0 indent+=' '
			elif [[ $line == "${indent:1}"[]\}]* ]]; then
				break 2 # the end of what it should be in
			fi
		done
	done
	exec {file}<&-
	[[ $i == "${#parts[@]}" && $line == "$indent\""* && ${line#*: } != [\{\[]* ]] || return 1
	line=${line#*: } line=${line%,} line=${line#\"}
	printf '%s' "${line%\"}"
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

# relay_unasked N: so many packets have been sent that no rule asks for; the relay sees none of them.
relay_unasked() {
	((RELAY_SAW += $1))
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
		stopped "$pid" || return 1
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
	local pair value filter=() asked=() values
	for pair in "$@"; do
		if [[ $pair =~ [\ |\(] ]]; then
			filter+=("(${pair%=*} | tostring)") asked+=("$pair")
			continue
		fi
		value=$(counter "${pair%=*}")
		assert_equal "${pair%=*}=$value" "$pair"
	done
	((${#filter[@]})) || return 0
	mapfile -t values < <(IFS=, && jq -r "${filter[*]}" "$WORK/relay.json")
	for pair in "${asked[@]}"; do
		assert_equal "${pair%=*}=${values[0]-}" "$pair"
		values=("${values[@]:1}")
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
	counter ".workers[$1].$2"
}

# ctl ARGUMENT...: mcrelayctl, of a relay that was started with "${CONTROL[@]}".
ctl() {
	"$MCRELAYCTL" --socket-path "$WORK/control" "$@" 3>&-
}

# Every packet is accounted for: at ingress, and at egress.
assert_ledger_closed() {
	local open
	# the level of a key shows by its indentation
	open=$(awk '/^ "/ {part = $1}
		part == "\"total\":" && /^  "/ {total[$1] = $2 + 0}
		/^   "/ {key = $1}
		part == "\"rules\":" && key == "\"matched\":" && /^   "/ {matched += $2}
		part == "\"outputs\":" && key == "\"sent\":" && /^   "/ {sent += $2}
		part == "\"outputs\":" && key == "\"errors\":" && /^    "/ {errors += $2}
		function of(name) {
			if (!("\"" name "\":" in total)) print "no " name
			return total["\"" name "\":"]
		}
		END {
			if (of("arrived") != of("matched") + of("filtered") + of("drop_no_match") + of("buffer_exhaustion"))
				print "arrived"
			if (of("egress_sent") + of("egress_errors") != of("egress_queued")) print "egress_queued"
			if (of("egress_submitted") < of("egress_sent")) print "egress_submitted"
			if (sent != of("egress_sent")) print "sent by the outputs"
			if (errors != of("egress_errors")) print "errors of the outputs"
			if (matched != of("matched")) print "matched by the rules"
		}' "$WORK/relay.json") || fail 'no report'
	[[ -z $open ]] || fail "the ledger is open at: $open; $(jq -c .total "$WORK/relay.json")"
}

# ---- traffic ------------------------------------------------------------------------------------

GROUP_IN=239.255.1.1 GROUP_OUT=239.255.2.2

# send [OPTION]...: trafficgen at gen, a report in $WORK/send.json. A later --group or the like wins.
send() {
	at gen taskset -c "$SEND_CPU" "$TRAFFICGEN" send --interface "${ADDRESS[gen:out0]}" \
		--group "$GROUP_IN" --port 5000 --rate 20000 --json "$WORK/send.json" --quiet "$@" \
		>"$WORK/send.out" 2>"$WORK/send.log"
}

sent() {
	json_value "$WORK/send.json" .packets_sent
}

# receive_start NODE [OPTION]...: trafficgen at NODE until receive_end, a report in $WORK/NODE.json.
receive_start() {
	local node=$1
	SKEW[$node]=$(node_backlog "$node")
	RX_BEFORE[$node]=$(rx_packets "$node" in0)
	spawn "$node" "$node" "$TRAFFICGEN" recv --interface "${ADDRESS[$node:in0]}" \
		--group "$GROUP_OUT" --port 6000 --duration 3600 --verify --quiet --json "$WORK/$node.json" \
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
	local lines line
	(($(node_backlog "$1") == ${SKEW[$1]:-0})) || return 1
	mapfile -t lines <"/proc/${ANCHOR[$1]}/net/udp"
	for line in "${lines[@]:1}"; do
		# state 07, unconnected; a connected one is an output of a relay, which keeps what the kernel
		# tells it besides send(2)
		[[ ! $line =~ ^\ *[0-9]+:\ [^\ ]+\ [^\ ]+\ 07\ [0-9A-F]+:0*[1-9A-F] ]] || return 1
	done
}

# Packets between link and IP stack; frames that are not IP, and interfaces made anew, leave a rest in
# this number, which is the node's SKEW when nothing is on its way. InNoECTPkts counts an aggregate as
# its packets, InReceives would not.
node_backlog() {
	local names values lines line i link=0
	mapfile -t lines <"/proc/${ANCHOR[$1]}/net/netstat"
	for line in "${lines[@]}"; do
		[[ $line == IpExt:* ]] || continue
		names=("${values[@]}")
		read -ra values <<<"$line"
	done
	for i in "${!names[@]}"; do
		[[ ${names[i]} != InNoECTPkts ]] || break
	done
	mapfile -t lines <"/proc/${ANCHOR[$1]}/net/dev"
	for line in "${lines[@]}"; do
		[[ ! $line =~ ^\ *(in|out)[0-9]+:\ *[0-9]+\ +([0-9]+) ]] || ((link += BASH_REMATCH[2]))
	done
	printf '%s' "$((link - values[i]))"
}

# rx_packets NODE INTERFACE, tx_packets NODE INTERFACE: counters of the link.
rx_packets() {
	link_counter "$1" "$2" 1
}

tx_packets() {
	link_counter "$1" "$2" 9
}

# link_counter NODE INTERFACE COLUMN: of /proc/net/dev.
link_counter() {
	local lines line values
	mapfile -t lines <"/proc/${ANCHOR[$1]}/net/dev"
	for line in "${lines[@]}"; do
		[[ $line =~ ^\ *"$2":(.*) ]] || continue
		read -ra values <<<"${BASH_REMATCH[1]}"
		printf '%s' "${values[$3]}"
		return
	done
	return 1
}

# rx_new NODE: what has crossed its link since receive_start.
rx_new() {
	local now
	now=$(rx_packets "$1" in0)
	printf '%s' $((now - RX_BEFORE[$1]))
}

received() {
	json_value "$WORK/$1.json" ".${2:-received}"
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

# stream_start [OPTION]...: packets of the first group to the second from gen to sink, none before there is
# room for it on the way, until stream_end; for the options see stream.py. Returns when they flow.
stream_start() {
	SKEW[sink]=$(node_backlog sink)
	RX_BEFORE[sink]=$(rx_packets sink in0)
	spawn stream gen taskset -c "$SEND_CPU" "$STREAM" "$@" "${ADDRESS[gen:out0]}" "$GROUP_IN:5000" \
		"/run/netns/$(namespace sink)" "${ADDRESS[sink:in0]}" "$GROUP_OUT:6000"
	ready stream '^flowing$'
}

# stream_more N: until so many more have come to the sink.
stream_more() {
	eventually at_least rx_packets sink in0 $(($(rx_packets sink in0) + $1))
}

# stream_stop: sends no more; stream_end: and ends, with the relay, when all that was sent has been relayed.
stream_stop() {
	signal INT stream
	ready stream '^sent '
}

stream_end() {
	stream_stop
	relay_finish
	eventually node_settled sink
	stop stream
	assert_equal "${EXIT[stream]}" 0
}

# stream_flows: how many packets of each flow have arrived so far.
stream_flows() {
	local lines
	lines=$(grep -c '^arrived ' "$WORK/stream.out") || true
	signal USR1 stream
	eventually at_least grep -c '^arrived ' "$WORK/stream.out" $((lines + 1))
	sed -n 's/^arrived //p' "$WORK/stream.out" | tail -n 1
}

# streamed_lost: of each flow.
streamed_lost() {
	sed -n 's/^lost //p' "$WORK/stream.out"
}

# streamed NAME: sent, received, lost, duplicated, reordered or corrupt.
streamed() {
	local report
	report=$(tail -n 1 "$WORK/stream.out")
	[[ $report =~ \"$1\":\ ([0-9]+) ]] || return 1
	printf '%s' "${BASH_REMATCH[1]}"
}

# assert_stream_intact: each packet came once, in order, not a byte changed; and some did.
assert_stream_intact() {
	local sent
	sent=$(streamed sent)
	((sent > 0)) || fail 'nothing was sent'
	assert_equal "$(tail -n 1 "$WORK/stream.out")" \
		"{\"sent\": $sent, \"received\": $sent, \"lost\": 0, \"duplicated\": 0, \"reordered\": 0, \"corrupt\": 0}"
}
