#!/usr/bin/env bats
# Somebody sets the clock of the machine while bench measures: what lasts a time lasts as long as before.

load ../lib/bench

setup_file() {
	gcc -O1 -shared -fPIC -o "$BATS_FILE_TMPDIR/clock.so" "$BATS_TEST_DIRNAME/../../verdict/chaos/stepped_clock.c"
}

# stepped SCRIPT: with the parts of the harness that wait, under a clock that `step SECONDS` sets.
stepped() {
	run --separate-stderr env LD_PRELOAD="$BATS_FILE_TMPDIR/clock.so" STEPPED_CLOCK="$WORK/step" timeout 60 bash -c '
		set -Eeuo pipefail
		shopt -s inherit_errexit
		source "$1/host/common.bash"
		step() { printf "%s" "$1" >"$STEPPED_CLOCK"; }
		'"$1" - "$HARNESS"
}

@test "what tests the clock does: the time of day steps" {
	stepped 'before=$(date +%s) seconds=$SECONDS
		step 36000
		((SECONDS - seconds >= 36000 && $(date +%s) - before >= 36000))'
	assert_success
}

@test "a step ahead ends nothing that is waited for" {
	stepped 'unset BENCH_PATIENCE
		tried=0
		second_time() { step 36000; ((++tried == 2)); }
		poll 1000 second_time'
	assert_success
}

@test "a step back does not make it wait for ever" {
	stepped 'never() { step -36000; return 1; }
		! poll 0 never'
	assert_success
}

@test "a budget of time is as long as before" {
	stepped 'unset BENCH_CLOCK
		begun=$(clock_s)
		step 36000
		(($(clock_s) - begun < 1000))
		step -36000
		(($(clock_s) - begun >= 0))'
	assert_success
}

# slept PID: how often it has.
slept() {
	sed -n 's/^voluntary_ctxt_switches:\s*//p' "/proc/$1/status"
}

# has_slept PID TIMES: since it had so many times.
has_slept() {
	(($(slept "$1") > $2))
}

@test "a run goes on, whatever the clock does" {
	need_root
	export LD_PRELOAD=$BATS_FILE_TMPDIR/clock.so STEPPED_CLOCK=$WORK/step
	local measures times
	start_held run short
	printf %s 36000 >"$STEPPED_CLOCK"
	measures=$(pgrep --parent "$BENCH_PID")
	times=$(slept "$measures")
	until_that has_slept "$measures" $((times + 2)) # it has looked at the time between
	release
	ended 0
	assert_equal "$(result .valid)" true
}
