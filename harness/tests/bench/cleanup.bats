#!/usr/bin/env bats
# Whatever happens to bench, the host is afterwards as it was before, and results are whole or not
# there.

load ../lib/bench

@test "after a run: results complete, host restored" {
	need_root
	start run short
	in_window
	ended 0
	assert_host_restored
	assert_equal "$(left_over)" $'./short\n./short/SITTING'
	assert_equal "$(result .valid)" true
}

@test "SIGINT to the process group, as Ctrl-C at a terminal" {
	need_root
	scenario long window_ms=60000
	start run long
	in_window
	kill -INT -- "-$BENCH_PID"
	ended 130
	assert_host_restored
	assert_nothing_left
}

@test "SIGINT, SIGTERM, SIGHUP to bench alone; meanwhile a second bench is refused" {
	need_root
	local signal
	scenario long window_ms=60000
	for signal in INT:130 TERM:143 HUP:129; do
		start run long
		in_window
		if [[ $signal == TERM:* ]]; then
			run --separate-stderr "$BENCH" run short --results "$RESULTS"
			assert_failure 4
			assert_said 'another bench is measuring on this machine; wait for it to end'
			run --separate-stderr "$BENCH" clean
			assert_failure 4
		fi
		kill "-${signal%:*}" "$BENCH_PID"
		ended "${signal#*:}"
		assert_host_restored
		assert_nothing_left
	done
}

@test "SIGKILL, then bench clean" {
	need_root
	scenario long window_ms=60000
	start run long
	in_window
	kill -KILL "$BENCH_PID"
	ended 137
	[[ -d $STATE_ROOT/$BENCH_PID ]] # there is something to clean
	eventually lock_free
	run --separate-stderr "$BENCH" clean
	assert_success
	assert_said "cleaning up after an earlier run that was killed \($STATE_ROOT/$BENCH_PID\)"
	assert_host_restored
	assert_nothing_left
	run --separate-stderr "$BENCH" clean
	assert_success
	assert_equal "$stderr" ''
}

@test "SIGKILL, then the next run cleans up by itself" {
	need_root
	scenario long window_ms=60000
	start run long
	in_window
	kill -KILL "$BENCH_PID"
	ended 137
	measure run short
	assert_equal "$status" 0
	assert_among_said 'cleaning up after an earlier run that was killed'
	assert_host_restored
	assert_equal "$(left_over)" $'./short\n./short/SITTING'
}

@test "relay killed in the middle: invalid, said at once, raw data kept" {
	need_root
	scenario long window_ms=60000
	start run long
	in_window
	kill -KILL "${STARTED[0]%%:*}"
	ended 5
	assert_host_restored
	grep -q '^bench: the relay of r1 died during the run' "$WORK/err"
	grep -q '^bench: the raw data is in .*\.failed$' "$WORK/err"
	assert_equal "$(left_over)" $'./long\n./long/SITTING.failed'
	[[ -z $(find "$RESULTS" -name result.json) ]]
}

@test "a relay that ignores SIGTERM is killed, and the run is invalid" {
	need_root
	# stopped, it cannot answer
	start run short
	in_window
	kill -STOP "${STARTED[0]%%:*}"
	ended 5
	assert_host_restored
}

# What `start` starts is bench by now, and hears signals.
bench_begun() {
	[[ $(tr '\0' ' ' <"/proc/$BENCH_PID/cmdline") == "bash $BENCH "* ]]
}

@test "Ctrl-C twice, at one moment or another of a comparison of twins" {
	need_root
	local delay
	scenario paired compare=cpu_ns_per_packet twin=yes window_ms=1500
	for delay in 0 0.03 0.1 0.2 0.3 0.45 0.6 0.8 1 1.3 1.7 2.2 2.9 3.6; do
		start compare --builds "$PROGRAMS/mcrelay" "$PROGRAMS/mcrelay" --scenario paired
		STARTED=()
		eventually bench_begun
		sleep "$delay"
		# as timeout(1) does it: to bench, then to its group
		kill -INT "$BENCH_PID"
		kill -INT -- "-$BENCH_PID" || true # it may have ended
		ended 130
		assert_host_restored
		assert_nothing_left
		run pgrep --full -- "$RESULTS/"
		assert_failure 1
	done
}

# with_tool NAME SCRIPT: puts a program of that name in front of the real one ($REAL).
with_tool() {
	mkdir -p "$WORK/bin"
	printf '#!/usr/bin/env bash\nREAL=%q WORK=%q\n%s\n' "$(command -v "$1")" "$WORK" "$2" >"$WORK/bin/$1"
	chmod +x "$WORK/bin/$1"
	PATH=$WORK/bin:$PATH
}

@test "failure in the middle of building the topology" {
	need_root
	local before namespace
	# shellcheck disable=SC2016 # for the script
	with_tool ethtool '
		printf x >>"$WORK/calls"
		(($(stat -c %s "$WORK/calls") < 5)) || { echo "netlink error: no such luck" >&2; exit 1; }
		exec "$REAL" "$@"'
	before=$(sysctls)
	measure run short
	assert_equal "$status" 4
	assert_said "'ip netns exec .* ethtool .*' failed: netlink error: no such luck"
	[[ -s $WORK/calls ]]
	assert_equal "$(sysctls)" "$before"
	namespace=$(sed -n "s/.*exec \(mcr-[0-9]*\)-.*/\1/p" <<<"$stderr")
	assert_equal "$(ip netns list | grep -c "^$namespace-" || true)" 0
	assert_nothing_left
}

@test "results below a file, and on a disk that is too small: nothing is begun" {
	need_root
	touch "$WORK/file"
	RESULTS=$WORK/file/results measure run short
	assert_equal "$status" 4
	assert_said 'cannot create directory.*Not a directory; name a writable folder with --results'
	MOUNTED=("$WORK/small")
	mkdir "${MOUNTED[0]}"
	mount -t tmpfs -o size=1m none "${MOUNTED[0]}"
	RESULTS=${MOUNTED[0]} measure run short
	assert_equal "$status" 4
	assert_said "less than 32 MB are free in ${MOUNTED[0]}; make room or name another folder"
	RESULTS=${MOUNTED[0]} assert_nothing_left
}

@test "disk that becomes full in the middle: no result, a reason" {
	need_root
	MOUNTED=("$WORK/disk") RESULTS=$WORK/disk
	mkdir "${MOUNTED[0]}"
	mount -t tmpfs -o size=40m none "${MOUNTED[0]}"
	scenario long window_ms=1500
	start run long
	in_window
	dd if=/dev/zero of="$RESULTS/filler" bs=64k status=none 2>/dev/null || true
	if wait "$BENCH_PID"; then
		fail "it ended with 0"
	fi
	assert_host_restored
	[[ -z $(find "$RESULTS" -name result.json) ]]
	grep -q 'cannot write\|the generator failed' "$WORK/err"
	grep -q 'the disk under it is full' "$WORK/err"
	assert_equal "$(left_over)" $'./filler\n./long\n./long/SITTING.failed'
}

# journal COMMAND: with undo, and a journal below WORK.
journal() {
	STATE_ROOT=$WORK/journals bash -Eeuo pipefail -c 'source "$1/host/common.bash"; source "$1/host/undo.bash"; cd "$2"; eval "$3"' \
		- "$HARNESS" "$WORK" "$1"
}

@test "the journal is played backwards, each line, whatever becomes of another one" {
	run --separate-stderr journal 'undo_open one
		for what in first "the second" third; do
			undo_push eval "echo ${what@Q} >>played"
			undo_push false
		done
		undo_play "$STATE"'
	assert_success
	assert_equal "$(<"$WORK/played")" $'third\nthe second\nfirst'
	assert_equal "$stderr" "$(printf "bench: could not undo: 'false'\n%.0s" 1 2 3)"
	assert_equal "$(ls -A "$WORK/journals")" ''
}

@test "a journal of a process that lives is left to it; of one that is dead, it is played" {
	run --separate-stderr journal 'undo_open living
		undo_push touch living
		STATE=$STATE_ROOT/dead
		mkdir "$STATE"
		echo 1:1 >"$STATE/owner"
		undo_push touch dead
		undo_recover'
	assert_success
	assert_equal "$(ls "$WORK/journals")" living
	[[ -e $WORK/dead && ! -e $WORK/living ]]
}
