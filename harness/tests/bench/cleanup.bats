#!/usr/bin/env bats
# Whatever happens to bench, the host is afterwards as it was before, and results are whole or not
# there.

load ../lib/bench

@test "after a run: results complete, host restored" {
	need_root
	start_held run short
	assert_equal "$(<"$WORK/sysctl.log")" "net.core.wmem_max=16777216
net.core.wmem_default=4194304
net.core.rmem_max=134217728
net.core.netdev_max_backlog=5000"
	: >"$WORK/sysctl.log"
	release
	ended 0
	assert_host_restored
	# what was done last is undone first
	assert_equal "$(<"$WORK/sysctl.log")" "net.core.netdev_max_backlog=1004
net.core.rmem_max=1003
net.core.wmem_default=1002
net.core.wmem_max=1001"
	assert_equal "$(left_over)" $'./short\n./short/SITTING'
	assert_equal "$(result .valid)" true
}

# The relay has counted some of what the real generator sends without an end.
flowing() {
	local matched
	matched=$(tail -qn 1 "$RESULTS"/*/*.partial/raw/r1.series.ndjson 2>/dev/null | gojq .total.matched 2>/dev/null) || true
	((matched > 0))
}

start_flowing() {
	BUILD=$PROGRAMS start "$@"
	until_that flowing
	started 2
}

@test "SIGINT to the process group, as Ctrl-C at a terminal, while packets flow" {
	need_root
	scenario long window_ms=9999999 rate_pps=2000
	start_flowing run long
	kill -INT -- "-$BENCH_PID"
	ended 130
	assert_host_restored
	assert_nothing_left
}

@test "SIGINT, SIGTERM, SIGHUP to bench alone; meanwhile a second bench is refused" {
	need_root
	local signal
	for signal in INT:130 TERM:143 HUP:129; do
		start_held run short
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
	start_held run short
	kill -KILL "$BENCH_PID"
	ended 137
	[[ -d $STATE_ROOT/$BENCH_PID ]] # there is something to clean
	lock_free
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
	start_held run short
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
	scenario long window_ms=9999999 rate_pps=2000
	start_flowing run long
	kill -KILL "${STARTED[0]%%:*}"
	ended 5
	assert_host_restored
	grep -q '^bench: the relay of r1 died during the run' "$WORK/err"
	grep -q '^bench: the raw data is in .*\.failed$' "$WORK/err"
	assert_equal "$(left_over)" $'./long\n./long/SITTING.failed'
	[[ -z $(find "$RESULTS" -name result.json) ]]
}

# has_ended IDENTITY: a process that its parent may not have looked at yet.
has_ended() {
	[[ $(start_time "${1%%:*}") != "${1##*:}" ]]
}

@test "relay killed when the generator has just ended: invalid, and said" {
	need_root
	local worker
	start_held run short
	# between the end of the generator and the look at the relay: bench is stopped meanwhile
	worker=$(pgrep --parent "$BENCH_PID")
	kill -STOP "$worker"
	release
	until_that has_ended "${STARTED[1]}"
	kill -KILL "${STARTED[0]%%:*}"
	until_that has_ended "${STARTED[0]}"
	kill -CONT "$worker"
	ended 5
	assert_host_restored
	grep -q '^bench: the relay of r1 died during the run' "$WORK/err"
	[[ -z $(find "$RESULTS" -name result.json) ]]
}

@test "a relay that ignores SIGTERM is killed, and the run is invalid" {
	need_root
	# stopped, it cannot answer
	BENCH_PATIENCE=1 start_held run short
	kill -STOP "${STARTED[0]%%:*}"
	release
	ended 5
	assert_equal "$(cat "$RESULTS"/short/*/raw/r1.exit)" 137
	assert_host_restored
}

# Of the stops of bench: where each is, is in host/stops.bash.
stops() {
	sed -n "s/^readonly STOPS='\(.*\)'$/\1/p" "$HARNESS/host/stops.bash"
}

@test "Ctrl-C twice, at each moment of a comparison of twins or of one run" {
	need_root
	local point points what
	export BENCH_COMPARE_SAME=1
	scenario paired compare=cpu_ns_per_packet twin=yes
	read -ra points < <(stops)
	((${#points[@]} >= 10))
	for point in "${points[@]}"; do
		what=(compare --builds "$PROGRAMS/mcrelay" "$PROGRAMS/mcrelay" --scenario paired)
		[[ $point != @(ready|sent|drained|evaluated) ]] || what=(run short)
		echo "to be stopped: $point of ${what[0]}"
		start_stopped "$point" "${what[@]}"
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

# holding_program NAME PATTERN: the program says into $WORK/stop that it has done what PATTERN matches, and goes no further.
holding_program() {
	rm -f "$WORK/stop"
	mkfifo "$WORK/stop"
	with_program "$1" "
		\"\$REAL\" \"\$@\" || exit
		[[ \$* != $2 ]] || { echo done >\"\$WORK/stop\"; exec sleep infinity; }"
}

@test "Ctrl-C after a namespace or a link was made, before bench knows of it" {
	need_root
	local made
	for made in '*netns\ add*sink' '*link\ add\ out0*'; do
		holding_program ip "$made"
		start run short
		hear "$WORK/stop"
		ip netns list | grep -q "^mcr-$BENCH_PID-" # there is something to undo
		kill -INT -- "-$BENCH_PID"
		ended 130
		assert_host_restored
		assert_nothing_left
		rm "$WORK/bin/ip"
		hash -r
	done
}

@test "Ctrl-C while bench cleans up after a Ctrl-C: it goes on" {
	need_root
	start_stopped ready run short
	started 1
	mkfifo "$WORK/undoing"
	kill -INT -- "-$BENCH_PID"
	hear "$WORK/undoing"
	kill -INT "$BENCH_PID"
	kill -INT -- "-$BENCH_PID"
	kill -TERM -- "-$BENCH_PID"
	touch "$WORK/undoing.go"
	ended 130
	assert_equal "$(<"$WORK/err")" 'short: relay run of 200 s'
	assert_host_restored
	assert_nothing_left
}

@test "a bench that was stopped goes no further: it is invalid; a stop that there is not is refused" {
	need_root
	start_stopped evaluated run short
	echo >"$WORK/stop.end"
	ended 5
	assert_host_restored
	grep -qx "bench: stopped at 'evaluated', as BENCH_STOP_AT asks: nothing was measured" "$WORK/err"
	assert_equal "$(left_over)" $'./short\n./short/SITTING.failed'
	rm -r "$RESULTS"
	mkfifo "$WORK/other"
	local wrong
	for wrong in "nowhere:$WORK/other" "ready:$WORK/no fifo" ready; do
		BENCH_STOP_AT=$wrong measure run short
		assert_equal "$status" 64
		assert_said "BENCH_STOP_AT: '.*' is not POINT:FIFO"
	done
}

@test "failure in the middle of building the topology" {
	need_root
	local namespace
	with_program ethtool '
		printf x >>"$WORK/calls"
		(($(stat -c %s "$WORK/calls") < 5)) || { echo "netlink error: no such luck" >&2; exit 1; }
		exec "$REAL" "$@"'
	measure run short
	assert_equal "$status" 4
	assert_said "'ip netns exec .* ethtool .*' failed: netlink error: no such luck"
	assert_equal "$(stat -c %s "$WORK/calls")" 5
	assert_equal "$(sysctls)" "$SYSCTLS"
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
	[[ ! -e $WORK/sysctl.log ]]
}

@test "disk that becomes full in the middle: no result, a reason" {
	need_root
	MOUNTED=("$WORK/disk") RESULTS=$WORK/disk
	mkdir "${MOUNTED[0]}"
	mount -t tmpfs -o size=40m none "${MOUNTED[0]}"
	start_held run short
	dd if=/dev/zero of="$RESULTS/filler" bs=4k status=none 2>/dev/null || true # until it is full
	release
	if wait "$BENCH_PID"; then
		fail "it ended with 0"
	fi
	assert_host_restored
	[[ -z $(find "$RESULTS" -name result.json) ]]
	grep -q 'cannot write\|the generator failed' "$WORK/err"
	grep -q 'the disk under it is full' "$WORK/err"
	assert_equal "$(left_over)" $'./filler\n./short\n./short/SITTING.failed'
}

# journal COMMANDS: with undo, and a journal below WORK; $1 is the harness.
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

@test "a setting of the host is in the journal as it was, before it is changed" {
	local name expected=''
	run --separate-stderr journal 'source "$1/host/tuning.bash"
		sysctl() {
			if [[ $1 == -n ]]; then
				echo "old $2"
			else
				{ tail -n 1 "$STATE/undo"; echo "${2%%=*}"; } >>said
			fi
		}
		undo_open one
		host_tune'
	assert_success
	for name in wmem_max wmem_default rmem_max netdev_max_backlog; do
		expected+="'host_set' 'net.core.$name=old net.core.$name'"$'\n'"net.core.$name"$'\n'
	done
	assert_equal "$(<"$WORK/said")" "${expected%$'\n'}"
}
