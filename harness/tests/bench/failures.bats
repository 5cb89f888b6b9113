#!/usr/bin/env bats
# What bash would go on behind, or take for the same, when a command fails: each place where that could make a verdict, or lose
# what a run has left. The functions themselves, in a shell as bench's.

load ../lib/bench

# as_bench SCRIPT: the parts of bench in its order; $1 is the harness, $2 the folder that it stands in.
as_bench() {
	run --separate-stderr bash -c 'eval "$(grep -E "^(set|shopt) " "$1/bench")"
		HARNESS=$1 STATE_ROOT=$2/state STATE=$2/state RUN_ID=1
		mkdir -p "$STATE"
		cd "$2"
		for part in host/{common,undo,guard,host} topology/{topology,links,link_profile} run/sut/{sut,relay} run/{sitting,measure,traffic,twins,perf} \
			verdict/budget/budget verdict/paired/{builds,compare}; do
			source "$HARNESS/$part.bash"
		done
		'"$1" - "$HARNESS" "$WORK"
}

@test "the raw data of a failed sitting is kept, however much of it there is" {
	as_bench 'mkdir -p results/short/one.partial/raw
		cd results/short/one.partial/raw
		for ((i = 0; i < 3000; i++)); do echo raw >"$i-a-name-that-fills-a-pipe-before-whoever-reads-has-read-its-end"; done
		cd "$2"
		exit_status=5
		sitting_discard results/short/one.partial'
	assert_success
	assert_equal "$(ls "$WORK/results/short")" one.failed
	assert_equal "$(find "$WORK/results/short/one.failed/raw" -type f | wc -l)" 3000
}

@test "a sitting that holds nothing, and one that was interrupted, leave nothing" {
	as_bench 'mkdir -p results/{short/one.partial/raw,other/two.partial}
		echo raw >results/other/two.partial/raw
		exit_status=4
		sitting_discard results/short/one.partial
		exit_status=143
		sitting_discard results/other/two.partial'
	assert_success
	assert_equal "$(ls "$WORK/results")" ''
}

@test "a file of a run is complete, or the run is invalid" {
	as_bench 'halves() {
			echo one
			false
			echo two
		}
		save half halves
		echo "went on"'
	assert_failure 5
	assert_output ''
	assert_said "half is not complete: 'halves' failed"
}

@test "what crashed has judged nothing: that is not an invalid measurement" {
	local status_of
	for status_of in 1 2 137; do
		as_bench "no_verdict $status_of"
		assert_failure "$status_of"
		assert_said "no verdict was reached: what was to judge it crashed \(exit $status_of\)"
	done
	for status_of in 0 3 5; do
		as_bench "no_verdict $status_of"
		assert_failure 5
		assert_said 'no verdict was reached$'
	done
	as_bench 'no_verdict 4' # a full disk, which was told
	assert_failure 4
}

@test "counters that cannot be read twice are not the same: traffic has not come to rest" {
	as_bench 'NODES=(a b)
		ip() { [[ $2 == *-b ]]; }
		traffic_drain
		echo "went on"'
	assert_failure 5
	assert_output ''
	assert_among_said 'bench: the counters of the links cannot be read$'
}

@test "a machine of which something cannot be told has no description" {
	local program
	mkdir -p "$WORK/bin"
	for program in sha256sum sed; do
		printf '#!/bin/sh\nexit 1\n' >"$WORK/bin/$program"
		chmod +x "$WORK/bin/$program"
		BUILD=$PROGRAMS as_bench 'RELAY=$BUILD/mcrelay PATH=$2/bin:$PATH
			profile=$(host_profile)
			echo "went on with $profile"'
		assert_failure
		assert_output ''
		rm "$WORK/bin/$program"
	done
}

@test "a journal that cannot be read is not thrown away" {
	as_bench 'mkdir journal
		undo_play journal'
	assert_failure 1
	assert_said 'cannot read journal/undo: what it says is not undone; see to it by hand, then remove journal'
	[[ -d $WORK/journal ]]
}

@test "a pgrep that fails does not say that nothing is left of a measurement" {
	as_bench 'guard_child=1
		for answer in 0 1 2 3 127; do
			pgrep() { return "$answer"; }
			! guard_alone || echo "$answer"
		done'
	assert_success
	assert_output 1
}

@test "budget: a probe that is there is found among many" {
	as_bench 'RELAY=$(type -P bash)
		perf() {
			[[ "$*" == *--list* ]] || { echo "$*" >>added; return; }
			for name in malloc calloc realloc mmap; do printf "  mcrelay_budget:%s (on x)\n" "$name"; done
			for ((i = 0; i < 20000; i++)); do echo "  other:name_$i (on y)"; done
		}
		budget_probes'
	assert_success
	[[ ! -e $WORK/added ]]
}

@test "compare: the last look, when the time is over, may fail" {
	as_bench 'declare -A SCENARIO=([window_ms]=100 [compare]=cpu_ns_per_packet) SHA256=()
		SITTING=$2/sitting COMPARED=([base]=one [head]=other)
		compare_in_time() { false; }
		scenario_load() { :; }
		scenario_override_all() { :; }
		scenario_as_compared() { :; }
		shape_scenario() { :; }
		compare_as() { :; }
		verify_measure() { :; }
		topology_ready() { :; }
		asked=0
		compare_ask() {
			echo x >>asked
			(($(wc -l <asked) == 1)) || return 1
			echo first 01 base head
		}
		compare_scenario paired
		echo "went on"'
	assert_failure 1
	assert_said 'the pairs of paired could not be judged'
}
