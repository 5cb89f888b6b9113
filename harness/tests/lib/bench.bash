# shellcheck shell=bash
# bench: what the tests of harness/bench share. They run it as a user does, on scenarios of their own, and compare the
# host before and after. Nothing waits for a time, and nothing depends on how fast the machine is or on who else is at
# work on it: unless a test says otherwise, BUILD's generator is generator.py, whose few packets nobody can lose and whose
# window is over when all has happened; what is host-wide stands in files of the test's own (sysctl). Nothing is killed but by
# the PID that bench itself recorded under /run/mcrelay-bench/PID.

bats_load_library bats-support
bats_load_library bats-assert
bats_require_minimum_version 1.5.0

HARNESS=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
ROOT=$(dirname "$HARNESS")
BENCH=$HARNESS/bench
PROGRAMS=$(realpath "${BUILD:-$ROOT/build}")
STATE_ROOT=/run/mcrelay-bench
# One that hangs: no test is that long.
# shellcheck disable=SC2034 # read by bats
BATS_TEST_TIMEOUT=600

setup() {
	WORK=$BATS_TEST_TMPDIR
	RESULTS="$WORK/re sults" # a blank, as in many a home
	export BENCH_SCENARIOS=$WORK/scenarios BENCH_BASELINES=$WORK/baselines BUILD=$WORK/build BENCH_PATIENCE=20
	mkdir -p "$BENCH_SCENARIOS" "$BENCH_BASELINES" "$BUILD"
	cp "$ROOT/baselines/budgets.json" "$BENCH_BASELINES"
	# the tests' pipeline is another one than PHASE4's in everything but the load
	gojq 'del(.conditions)' "$ROOT/baselines/phase4.json" >"$BENCH_BASELINES/phase4.json"
	scenario short
	BENCH_PID='' STARTED=() MOUNTED=()
	with_generator "$HARNESS/tests/lib/generator.py"
	with_sysctls
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

# committed NAME...: the harness in a git of its own, in COPY, whose first commit has the scenarios NAME of the test and no other,
# and the programs of BUILD; from here on bench is that one, and what it measures is official.
committed() {
	COPY=$WORK/tree
	mkdir "$COPY"
	cp -r "$HARNESS" "$ROOT/baselines" "$ROOT/Makefile" "$ROOT/.gitignore" "$COPY"
	rm -rf "$COPY"/baselines/*/ "$COPY"/harness/scenario/*.conf
	mv "$BUILD" "$COPY/build"
	cp "${@/#/$BENCH_SCENARIOS/}" "$COPY/harness/scenario"
	cp "$BENCH_BASELINES"/*.json "$COPY/baselines"
	BENCH=$COPY/harness/bench
	export BUILD=$COPY/build
	unset BENCH_SCENARIOS BENCH_BASELINES
	git -C "$COPY" init -q -b main
	commit_copy one
}

# commit_copy MESSAGE: all that has changed in COPY.
commit_copy() {
	git -C "$COPY" add -A .
	git -C "$COPY" -c user.name=test -c user.email=test@localhost commit -qm "$1"
}

need_root() {
	((EUID == 0)) || skip "network namespaces need root"
	[[ -x $PROGRAMS/mcrelay && -x $PROGRAMS/trafficgen ]] || fail "no programs in $PROGRAMS; run: make"
}

# scenario NAME [KEY=VALUE]...: a short scenario with changes; KEY= leaves the key out. Its window is as long as generator.py
# may take at most.
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
		window_ms = 200000
		report_interval_ms = 10
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

# with_generator PROGRAM: BUILD is a folder whose relay is the real one, and whose generator is PROGRAM, in Python; its
# receiver is the real one, too.
with_generator() {
	export REAL_TRAFFICGEN=$PROGRAMS/trafficgen
	ln -sf "$PROGRAMS/mcrelay" "$BUILD/mcrelay"
	printf '#!/bin/bash\n[[ $1 != calibrate ]] || set -- "$@" --duration 0.1\n[[ $1 == send ]] || exec %q "$@"\nexec /usr/bin/python3 -SE %q "$@"\n' \
		"$REAL_TRAFFICGEN" "$1" >"$BUILD/trafficgen"
	chmod +x "$BUILD/trafficgen"
}

# with_program NAME SCRIPT: puts a program of that name in front of the real one ($REAL), for bench and what it starts.
with_program() {
	mkdir -p "$WORK/bin"
	printf '#!/bin/bash\nREAL=%q WORK=%q\n%s\n' "$(command -v "$1")" "$WORK" "$2" >"$WORK/bin/$1"
	chmod +x "$WORK/bin/$1"
	[[ $PATH == "$WORK/bin:"* ]] || export PATH=$WORK/bin:$PATH
}

# What bench sets host-wide is kept in files, one for each name; $WORK/sysctl.log has each change in its order. Where there
# is a FIFO $WORK/undoing, putting back the first value (which is undone last) waits for a file $WORK/undoing.go.
with_sysctls() {
	mkdir "$WORK/sysctl"
	printf 1001 >"$WORK/sysctl/net.core.wmem_max"
	printf 1002 >"$WORK/sysctl/net.core.wmem_default"
	printf 1003 >"$WORK/sysctl/net.core.rmem_max"
	printf 1004 >"$WORK/sysctl/net.core.netdev_max_backlog"
	with_program sysctl '
		case ${!#} in
		net.core.*=*)
			setting=${!#}
			[[ -e $WORK/sysctl/${setting%%=*} ]] || exit 255
			[[ $setting != *=1001 || ! -p $WORK/undoing ]] || {
				echo held >"$WORK/undoing"
				until [[ -e $WORK/undoing.go ]]; do sleep 0.02; done
			}
			printf %s "${setting#*=}" >"$WORK/sysctl/${setting%%=*}"
			echo "$setting" >>"$WORK/sysctl.log"
			;;
		net.core.*) cat "$WORK/sysctl/${!#}" ;;
		*) exec "$REAL" "$@" ;;
		esac'
	SYSCTLS=$(sysctls)
}

sysctls() {
	tail -n +1 "$WORK"/sysctl/*
}

# lock_free: the last one of what an earlier bench has started has ended.
lock_free() {
	mkdir -p "$STATE_ROOT"
	flock "$STATE_ROOT/lock" true
}

# measure ARGUMENT...: bench in the foreground, as bats' run does it, stderr apart.
measure() {
	lock_free
	run --separate-stderr "$BENCH" "$@" --results "$RESULTS"
	# shellcheck disable=SC2154 # set by run
	printf '%s\n' "$output" "$stderr" # bats shows it when the test fails
}

# start ARGUMENT...: bench in the background, leader of a process group of its own, as at a terminal.
start() {
	lock_free
	STARTED=()
	env --default-signal=INT,HUP,PIPE,QUIT setsid "$BENCH" "$@" --results "$RESULTS" >"$WORK/out" 2>"$WORK/err" 3>&- &
	BENCH_PID=$!
}

# start_held ARGUMENT...: the same, and its generator holds when its packets have arrived, until `release`. Returns when it does.
start_held() {
	rm -f "$WORK"/hold*
	mkfifo "$WORK/hold"
	GENERATOR_HOLD=$WORK/hold start "$@"
	hear "$WORK/hold"
	started 2
}

release() {
	touch "$WORK/hold.go"
}

# with_clock: for a comparison, each time that generator.py has sent takes six seconds, however long it is.
with_clock() {
	printf 0 >"$WORK/clock"
	export BENCH_CLOCK=$WORK/clock GENERATOR_CLOCK=$WORK/clock
}

# start_stopped POINT ARGUMENT...: bench in the background, which stops at POINT (host/stops.bash). Returns when it does.
start_stopped() {
	rm -f "$WORK"/stop*
	mkfifo "$WORK/stop" "$WORK/stop.end"
	BENCH_STOP_AT=$1:$WORK/stop start "${@:2}"
	hear "$WORK/stop"
}

# hear FIFO [TIMES]: until something is said there, so often; fails when bench ends before that.
hear() {
	local fifo times=${2:-1}
	exec {fifo}<>"$1"
	while ((times > 0)); do
		if read -rt 0.5 -u "$fifo"; then
			times=$((times - 1))
		else
			[[ -d /proc/$BENCH_PID ]] || fail "bench has ended early: $(cat "$WORK/err")"
		fi
	done
	exec {fifo}>&-
}

# started NUMBER: reads in the journal who runs, so many at least.
started() {
	mapfile -t STARTED < <(sed -n "s/^'process_stop' '\([0-9]*:[0-9]*\)' *$/\1/p" "$STATE_ROOT/$BENCH_PID/undo")
	((${#STARTED[@]} >= $1)) || fail "the journal names ${#STARTED[@]} processes"
}

# until_that COMMAND...: polls; fails when bench ends before it has succeeded.
until_that() {
	until "$@"; do
		[[ -d /proc/$BENCH_PID ]] || fail "bench has ended early: $(cat "$WORK/err")"
		sleep 0.02
	done
}

# ended STATUS: waits for bench, and checks its exit status.
ended() {
	local status=0
	wait "$BENCH_PID" || status=$?
	assert_equal "exit status $status: $(cat "$WORK/err")" "exit status $1: $(cat "$WORK/err")"
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

# result FILTER: gojq on the one result that there is.
result() {
	gojq -r "$1" "$RESULTS"/*/*/result.json
}

# assert_schema NAME FILE...: each file is as harness/result/schema/NAME.schema.json says.
assert_schema() {
	/usr/bin/python3 -c 'import json, sys, jsonschema
schema, *documents = (json.load(open(path)) for path in sys.argv[1:])
for document in documents: jsonschema.Draft202012Validator(schema).validate(document)' \
		"$HARNESS/result/schema/$1.schema.json" "${@:2}"
}
