#!/usr/bin/env bats
# bench chaos: what it does to a relay, what it leaves. How fast a relay recovers is for the command itself to judge: here nothing is
# timed.

load ../lib/bench

setup_chaos() {
	need_root
	with_generator_real
	scenario short payload_bytes=1400 window_ms=2000
}

# A second before the fault, and three and a half after it: real packets.
with_generator_real() {
	ln -sf "$PROGRAMS/trafficgen" "$BUILD/trafficgen"
}

@test "two faults, of which one takes an interface away: every packet in an account, and a document" {
	local chaos
	setup_chaos
	measure chaos short --only worker-killed --only output-deleted --markdown "$WORK/chaos.md"
	assert_regex "$status" '^[03]$' # a busy machine may be late
	chaos=$(echo "$RESULTS"/chaos/*/chaos.json)
	assert_schema chaos "$chaos"
	assert_equal "$(gojq -r '[.faults[].name] | join(" ")' "$chaos")" 'output-deleted worker-killed'
	assert_equal "$(gojq '[.faults[] | .sent - .received == ([.lost[]] | add // 0)] | all' "$chaos")" true
	assert_equal "$(gojq '[.faults[] | .received > 0] | all' "$chaos")" true
	assert_equal "$(gojq '.faults[0].lost | has("egress_errors")' "$chaos")" true
	assert_equal "$(gojq -r '.[1].processes' <(gojq -s . "$RESULTS"/chaos/*/faults/worker-killed/state.*.json))" 2
	grep -q 'output-deleted' "$WORK/chaos.md"
	assert_no_namespace
}

@test "a disk, a cgroup, a stopped supervisor: whatever a fault makes is gone when chaos is ended in the middle of it" {
	local fault
	setup_chaos
	for fault in disk-full cpu-taken supervisor-stopped; do
		start chaos short --only "$fault"
		until_that eval 'compgen -G "$RESULTS/chaos/*.partial/faults/$fault/begun" >/dev/null'
		started 2
		kill -TERM "$BENCH_PID"
		ended 143
		assert_host_restored
		assert_equal "$(find /sys/fs/cgroup -maxdepth 2 -name "mcrelay-$BENCH_PID" 2>/dev/null)" ''
		refute grep -qF "$RESULTS" /proc/self/mountinfo
		assert_nothing_left
	done
}

@test "what chaos refuses, and why" {
	scenario short topology=pipeline3 payload_bytes=1400
	measure chaos short
	assert_equal "$status" 64
	assert_among_said 'chaos troubles a single hop; topology pipeline3 of short is none'
	scenario short payload_bytes=imix
	measure chaos short
	assert_equal "$status" 64
	assert_among_said 'chaos needs payloads of 1001 to 1472 bytes'
	scenario short payload_bytes=1400
	measure chaos short --only nonsense
	assert_equal "$status" 64
	assert_among_said "no fault 'nonsense'; there are: worker-killed"
}
