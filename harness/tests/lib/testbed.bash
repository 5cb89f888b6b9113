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
# Processes are what a test costs most, and those that read JSON not least: what is looked at again and again
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

for part in processes relay traffic; do
	# shellcheck source=/dev/null
	source "$TESTS/lib/$part.bash"
done

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
