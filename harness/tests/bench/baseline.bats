#!/usr/bin/env bats
# bench baseline: captures of short runs, from the first one to a baseline in force; what is refused; what a deleted
# scenario does. Whether the figures are right is a matter of test_baseline.py and test_waivers.py.

load ../lib/bench

refused() {
	run --separate-stderr "$BENCH" "$@"
	assert_failure 64
	assert_output ''
}

# ends STATUS ARGUMENT...: bench, without waiting for the lock: what needs no measurement.
ends() {
	local expected=$1
	shift
	run --separate-stderr "$BENCH" "$@" --results "$RESULTS"
	assert_equal "exit status $status: $stderr" "exit status $expected: $stderr"
}

# in_captures FILTER [ARGUMENT OF jq]...: changes all captures.json.
in_captures() {
	local file
	for file in "$RESULTS"/baseline/*/captures.json; do
		gojq "${@:2}" "$1" "$file" >"$WORK/changed"
		cp "$WORK/changed" "$file"
	done
}

# Twice as many runs, and a second sitting like the first one.
more_captures() {
	local sitting
	sitting=$(echo "$RESULTS"/baseline/*)
	in_captures '.scenarios.short |= (.runs = 5 | .metrics |= map_values([.[0, 1, 0, 1, 0]]))'
	cp -r "$sitting" "${sitting%/*}/20991231T000000Z-another"
}

# The one baseline that there is.
baseline_file() {
	echo "$BENCH_BASELINES"/*/short.json
}

@test "what it cannot understand" {
	refused baseline
	assert_said 'baseline takes capture, show, diff or accept'
	refused baseline remove
	assert_said 'baseline takes capture, show, diff or accept'
	refused baseline capture nowhere
	assert_said "no scenario 'nowhere'"
	refused baseline capture short short
	assert_said 'scenario short stands twice'
	refused baseline capture --rounds 0
	assert_said "'0' is not a number from 1 to 99"
	refused baseline show short short
	assert_said 'baseline show takes the name of one scenario at most'
	refused baseline diff --reason x
	assert_said "this command does not take '--reason'"
	refused baseline accept short
	assert_said 'baseline accept needs --reason TEXT'
	refused baseline accept short --reason ' '
	assert_said 'baseline accept needs --reason TEXT'
	refused baseline accept short --reason
	assert_said '--reason needs a value'
	run --separate-stderr "$BENCH" help
	assert_output --partial 'bench baseline capture'
	assert_output --partial BENCH_BASELINES
}

@test "a machine without baselines; nothing captured" {
	ends 4 baseline show
	assert_said 'no baselines of this machine, .*; there are: none; make some with bench baseline capture and accept$'
	ends 4 baseline diff
	assert_said 'nothing captured; run: bench baseline capture'
	ends 4 baseline accept --reason 'it is so'
	assert_said 'nothing captured'
	mkdir "$BENCH_BASELINES/other-2c"
	printf '{}' >"$BENCH_BASELINES/other-2c/short.json"
	ends 5 baseline diff
	assert_said 'baselines/other-2c/short.json: '
}

@test "without root: captures are refused, nothing else" {
	run --separate-stderr unshare --user "$BENCH" baseline capture short --results "$RESULTS"
	assert_failure 4
	assert_said 'needs root; run: sudo harness/bench baseline capture short'
	run --separate-stderr unshare --user "$BENCH" baseline show --results "$RESULTS"
	assert_failure 4
	assert_said 'no baselines of this machine'
}

@test "a deleted scenario, a waiver for nothing: gate, compare and baseline are invalid" {
	scenario paired compare=cpu_ns_per_packet
	mkdir "$BENCH_BASELINES/some-machine"
	printf '{}' >"$BENCH_BASELINES/some-machine/single-hop.json"
	printf '{"schema": 1, "waivers": [{"scenario": "gone", "size": 0.1, "reason": "x", "expires": "%s"}]}' \
		"$(date -ud '+30 days' +%F)" >"$BENCH_BASELINES/waivers.json"
	local command
	for command in gate compare 'baseline show'; do
		# shellcheck disable=SC2086 # words
		ends 5 $command
		assert_output ''
		assert_equal "${#stderr_lines[@]}" 2
		assert_among_said 'bench: baselines/waivers.json: a waiver for gone, and there is no such scenario'
		assert_among_said "bench: baselines/some-machine/single-hop.json has no scenario single-hop; restore \
harness/scenario/single-hop.conf or remove the baseline in a reviewed commit"
	done
	# whoever captures or accepts is about to add what is missing
	for command in 'baseline capture' 'baseline diff' 'baseline accept --reason x'; do
		# shellcheck disable=SC2086 # words
		ends 5 $command
		assert_equal "${#stderr_lines[@]}" 2
	done
	assert_nothing_left
}

@test "capture: scenarios in turn; the sitting is kept and summed up; the baselines are not touched" {
	need_root
	local before folder name
	scenario wide topology=fanout
	before=$(cd "$BENCH_BASELINES" && find . | sort)
	measure baseline capture --rounds 1
	assert_equal "$status" 4
	assert_line --partial '1 controls do not show whether the machine is steady'
	assert_line --partial 'short: nothing captured that counts'
	folder=$(echo "$RESULTS"/baseline/*)
	assert_schema captures "$folder/captures.json"
	for name in short wide; do
		assert_schema result "$folder/rounds/01/$name/relay/result.json"
		assert_schema result "$folder/rounds/01/$name/control/result.json"
	done
	run gojq -r '.scenarios | keys[], .short.verdict, .short.runs, (.short.metrics.egress_pps | length)' \
		"$folder/captures.json"
	assert_output $'short\nwide\nunfit\n1\n1'
	assert_equal "$(cd "$BENCH_BASELINES" && find . | sort)" "$before"
}

@test "capture, diff, accept, show; then other conditions, a loss, a waiver" {
	need_root
	measure baseline capture short --rounds 2
	assert_equal "$status" 0
	assert_line --partial 'short: 2 of 10 runs, 1 of 2 sittings; capture another sitting'
	assert_equal "$(gojq -r '.scenarios.short | .verdict, .runs' "$RESULTS"/baseline/*/captures.json)" $'counted\n2'
	ends 4 baseline diff
	assert_output --partial '2 of 10 runs, 1 of 2 sittings; capture another sitting'
	more_captures
	ends 0 baseline diff --markdown "$WORK/summary"
	assert_line --partial 'short: new'
	grep -q '^| short | packets/s sent |' "$WORK/summary"

	# from a tree with changes
	in_captures '.scenarios.short.dirty = true'
	ends 4 baseline accept --reason 'as it is'
	assert_said 'was captured from a source tree with changes that are in no commit'
	[[ ! -e $(baseline_file) ]]
	in_captures '.scenarios.short |= (.dirty = false | .commit = "0123456789ab")'
	ends 0 baseline accept --reason 'as it is'
	assert_line --partial 'review it and commit it'
	assert_schema baseline "$(baseline_file)"
	assert_equal "$(gojq -r '.scenario, .runs, .changes[0].reason' "$(baseline_file)")" $'short\n10\nas it is'
	ends 0 baseline show
	assert_line --regexp 'short +20.*0123456789ab .*as it is'
	assert_line 'no waivers'
	ends 0 baseline diff
	assert_line --partial 'short: PASS'

	# a loss of 7 %; with a waiver
	local until
	until=$(date -ud '+30 days' +%F)
	in_captures '.scenarios.short.metrics.egress_pps |= map(. * 0.93)'
	ends 3 baseline diff short
	assert_line --partial 'short: REGRESSION; packets/s sent: worse by 7.0%'
	printf '{"schema": 1, "waivers": [{"scenario": "short", "size": 0.08, "reason": "known", "expires": "%s"}]}' \
		"$until" >"$BENCH_BASELINES/waivers.json"
	ends 0 baseline diff short
	assert_line --partial "waived until $until: known (loss of up to 8 % allowed)"
	ends 0 baseline show short
	assert_line --regexp "short +8 % +$until +[0-9]+ +known"

	# another kernel
	cp "$(baseline_file)" "$WORK/good"
	gojq '.profile.kernel = "6.1.0"' "$WORK/good" >"$(baseline_file)"
	ends 4 baseline diff
	assert_output --partial "kernel: 6.1 there, $(uname -r | cut -d. -f1,2 | cut -d- -f1) here"
	refute_output --partial 'worse by'
	ends 0 baseline show
	assert_output --partial "kernel: 6.1 there, $(uname -r | cut -d. -f1,2 | cut -d- -f1) here"

	# a figure that somebody has edited
	gojq '.metrics.egress_pps.median *= 0.9' "$WORK/good" >"$(baseline_file)"
	ends 5 baseline diff
	assert_said 'short.json: metrics.egress_pps.median is .*, the raw values give'
}
