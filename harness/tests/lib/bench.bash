# shellcheck shell=bash
# bench: what the tests of harness/bench share. They run it as a user does, on short scenarios of
# their own, and compare the host before and after. Nothing waits for a time; nothing is killed
# but by the PID that bench itself recorded under /run/mcrelay-bench/PID.

bats_load_library bats-support
bats_load_library bats-assert
bats_require_minimum_version 1.5.0

HARNESS=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
ROOT=$(dirname "$HARNESS")
BENCH=$HARNESS/bench
PROGRAMS=$(realpath "${BUILD:-$ROOT/build}")
STATE_ROOT=/run/mcrelay-bench
# shellcheck disable=SC2034 # read by bats
BATS_TEST_TIMEOUT=600

setup() {
	WORK=$BATS_TEST_TMPDIR
	RESULTS="$WORK/re sults" # a blank, as in many a home
	export BENCH_SCENARIOS=$WORK/scenarios BENCH_BASELINES=$WORK/baselines BUILD=$PROGRAMS
	mkdir -p "$BENCH_SCENARIOS" "$BENCH_BASELINES"
	cp "$ROOT"/baselines/{budgets,phase4}.json "$BENCH_BASELINES"
	scenario short
	BENCH_PID='' MOUNTED=()
}

teardown() {
	local file
	if [[ -n $BENCH_PID && -d /proc/$BENCH_PID ]]; then
		kill -TERM "$BENCH_PID" || true
		wait "$BENCH_PID" || true
	fi
	for file in "${MOUNTED[@]}"; do umount "$file"; done
	[[ -n ${BATS_TEST_COMPLETED:-} ]] || tail -n 20 "$WORK"/out "$WORK"/err 2>/dev/null || true
}

need_root() {
	((EUID == 0)) || skip "network namespaces need root"
	[[ -x $PROGRAMS/mcrelay && -x $PROGRAMS/trafficgen ]] || fail "no programs in $PROGRAMS; run: make"
}

# scenario NAME [KEY=VALUE]...: a short scenario with changes; KEY= leaves the key out.
scenario() {
	local file=$BENCH_SCENARIOS/$1.conf change
	cat >"$file" <<-END
		description = a short run
		topology = single
		payload_bytes = 200
		rate_pps = 20000
		flows = 1
		gso_segments = 1
		warmup_ms = 100
		window_ms = 900
		relay_options = --exclusive
		offload_tx-udp-segmentation = off
		offload_generic-receive-offload = off
		offload_rx-udp-gro-forwarding = off
	END
	for change in "${@:2}"; do
		sed -i "/^${change%%=*} = /d" "$file"
		[[ -z ${change#*=} ]] || printf '%s = %s\n' "${change%%=*}" "${change#*=}" >>"$file"
	done
}

# eventually COMMAND...: polls; fails the test when it has not succeeded after 20 s.
eventually() {
	local deadline=$((SECONDS + 20))
	until "$@"; do
		((SECONDS < deadline)) || fail "not within 20 s: $*"
		sleep 0.02
	done
}

lock_free() {
	mkdir -p "$STATE_ROOT" && flock --nonblock "$STATE_ROOT/lock" true
}

# measure ARGUMENT...: bench in the foreground, as bats' run does it, stderr apart.
measure() {
	eventually lock_free
	run --separate-stderr "$BENCH" "$@" --results "$RESULTS"
	# shellcheck disable=SC2154 # set by run
	printf '%s\n' "$output" "$stderr" # bats shows it when the test fails
}

# measure_fit ARGUMENT...: the same, again while the machine is unfit: a neighbour may have had the generator's time.
measure_fit() {
	local try
	for try in 1 2 3 4 5; do
		measure "$@"
		((status == 4)) || return 0
		echo "unfit, try $try"
		rm -rf "$RESULTS" "$WORK/summary.md"
	done
}

# start ARGUMENT...: bench in the background, leader of a process group of its own, as at a terminal.
start() {
	eventually lock_free
	SYSCTLS=$(sysctls)
	/usr/bin/python3 -c 'import os, signal, sys
for number in signal.SIGINT, signal.SIGHUP, signal.SIGPIPE:
    signal.signal(number, signal.SIG_DFL)
os.setsid()
os.execv(sys.argv[1], sys.argv[1:])' "$BENCH" "$@" --results "$RESULTS" >"$WORK/out" 2>"$WORK/err" 3>&- &
	BENCH_PID=$!
}

# in_window: until traffic flows and the relay has counted some; reads who runs.
in_window() {
	eventually counting
	mapfile -t STARTED < <(sed -n "s/^'process_stop' '\([0-9]*:[0-9]*\)' *$/\1/p" "$STATE_ROOT/$BENCH_PID/undo")
	((${#STARTED[@]} >= 2)) || fail "the journal names ${#STARTED[@]} processes"
}

counting() {
	[[ -d /proc/$BENCH_PID ]] || fail "bench has ended early: $(cat "$WORK/err")"
	local matched
	matched=$(tail -qn 1 "$RESULTS"/*/*.partial/{raw,rounds/*/*/raw}/r1.series.ndjson 2>/dev/null | jq .total.matched) || true
	((matched > 1000))
}

# ended STATUS: waits for bench, and checks its exit status.
ended() {
	local status=0
	wait "$BENCH_PID" || status=$?
	assert_equal "exit status $status: $(cat "$WORK/err")" "exit status $1: $(cat "$WORK/err")"
}

sysctls() {
	sysctl net.core.wmem_max net.core.wmem_default net.core.rmem_max net.core.netdev_max_backlog
}

# The host is as it was before `start`: namespaces, sysctls, processes, journal.
assert_host_restored() {
	local identity
	for identity in "${STARTED[@]}"; do
		[[ $(start_time "${identity%%:*}") != "${identity##*:}" ]] || fail "process $identity still runs"
	done
	assert_equal "$(ip netns list | grep -c "^mcr-$BENCH_PID-" || true)" 0
	assert_equal "$(sysctls)" "$SYSCTLS"
	[[ ! -e $STATE_ROOT/$BENCH_PID ]] || fail "$STATE_ROOT/$BENCH_PID is still there"
}

# Of any bench. The tests of the relay, which may run beside these, have namespaces called mcr-test-...
assert_no_namespace() {
	assert_equal "$(ip netns list | grep '^mcr-[0-9]' || true)" ''
}

# A zombie has none: it is dead, and the host's init will notice.
start_time() {
	sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | awk '$1 != "Z" {print $20}'
}

# What is left below the results, without the history: paths, the time and commit as SITTING.
left_over() {
	[[ ! -d $RESULTS ]] || (cd "$RESULTS" &&
		find . -mindepth 1 -maxdepth 2 | sed -E 's/20[0-9]{6}T[0-9]{6}Z-[^.]*/SITTING/' | sort)
}

assert_nothing_left() {
	assert_equal "$(left_over)" ""
}

# assert_said PATTERN: bench's stderr has exactly one line, and it matches.
assert_said() {
	assert_equal "${#stderr_lines[@]} line: $stderr" "1 line: $stderr"
	[[ $stderr =~ $1 ]] || fail "found '$stderr', expected '$1'"
}

# Some line of stderr matches.
assert_among_said() {
	[[ $stderr =~ $1 ]] || fail "found '$stderr', expected '$1'"
}

# result FILTER: jq on the one result that there is.
result() {
	jq -r "$1" "$RESULTS"/*/*/result.json
}

# assert_schema NAME FILE: the file is as harness/result/schema/NAME.schema.json says.
assert_schema() {
	/usr/bin/python3 -c 'import json, sys, jsonschema
schema, document = (json.load(open(path)) for path in sys.argv[1:])
jsonschema.Draft202012Validator(schema).validate(document)' "$HARNESS/result/schema/$1.schema.json" "$2"
}
