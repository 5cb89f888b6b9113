#!/usr/bin/env bats
# age and soak: one relay that lives on, beside fresh ones.

load ../lib/json
load ../lib/processes
load ../lib/bench

# What a relay sends in a window as long as this is the same each time, whoever else is at work on the machine.
ageing_scenario() {
	scenario short compare=egress_pps twin=yes compare_window_ms=200000
	ln -s "$PROGRAMS/mcrelayctl" "$BUILD/mcrelayctl"
}

@test "age: one relay through all of it, fresh ones beside it; every run counts, and its rules have come and gone" {
	need_root
	local sitting
	ageing_scenario
	measure age short --packets 1800
	assert_equal "$status" 0
	assert_line --partial 'short: one relay for '
	assert_line --regexp '^ +old, 6 pairs +[+-]'
	sitting=$(echo "$RESULTS"/short/*)
	assert_schema age "$sitting/age.json"
	assert_equal "$(gojq -r '.verdict, .kind, .changes.refused, .counters.restarts, (.counters.backwards | length)' "$sitting/age.json" | paste -sd' ')" \
		'PASS age 0 0 0'
	# 2 young pairs, 2 read, 2 loads: all of 320 packets, one after the other
	assert_equal "$(gojq '.counters.packets >= 1800 and .counters.packets % 320 == 0' "$sitting/age.json")" true
	assert_equal "$(gojq -s 'map(.sink.received) | unique | join(" ")' "$sitting"/*/*/head/result.json "$sitting"/load/*/result.json)" '"320"'
	assert_equal "$(gojq -r '.sink.source' "$sitting"/read-old/*/*/result.json | sort -u)" 'trafficgen recv'
	assert_equal "$(gojq '.changes.made > 0' "$sitting/age.json")" true
	[[ ! -e $sitting/life/mcrelay && ! -e $sitting/programs ]]
	[[ -s $sitting/life.svg && -s $sitting/life.png ]]
	[[ ! -e $RESULTS/history ]] # the scenario is the test's own
	assert_no_namespace
	assert_equal "$(sysctls)" "$SYSCTLS"
}

@test "soak: at 70 % of a capacity that is looked for first, while rules come and go; Ctrl-C leaves nothing" {
	need_root
	local sitting
	ageing_scenario
	start soak short --duration 3m
	until grep -qs 'load 2 of 3' "$WORK/err" || [[ ! -d /proc/$BENCH_PID ]]; do sleep 0.02; done
	sitting=$(echo "$RESULTS"/short/*.partial)
	assert_equal "$(gojq -s '(map(.load_pps) | max * 0.7) >= .[-1].load_pps' "$sitting"/capacity/trials/[0-9]*/trial.json \
		<(gojq '{load_pps: .declared.rate_pps | tonumber}' "$sitting/load/01/result.json"))" true
	assert_equal "$(sort -u "$sitting/changes.log")" $'add ok\nremove ok'
	kill -INT -- "-$BENCH_PID"
	ended 130
	assert_host_restored
	assert_nothing_left
}

@test "age: a relay that dies is said to be, and what was measured is kept" {
	need_root
	ageing_scenario
	rm "$BUILD/mcrelay"
	# shellcheck disable=SC2016 # of the program that it writes
	printf '#!/bin/bash\n[[ $1 != --help ]] || exec %q --help\nexec timeout --signal KILL 3 %q "$@"\n' "$PROGRAMS/mcrelay" "$PROGRAMS/mcrelay" >"$BUILD/mcrelay"
	chmod +x "$BUILD/mcrelay"
	measure age short --packets 100000
	assert_equal "$status" 5
	assert_no_namespace
	assert_equal "$(sysctls)" "$SYSCTLS"
}

@test "age, soak: what they refuse" {
	need_root
	ageing_scenario
	refused 'age takes the name of one scenario' age
	refused '--packets and --duration exclude each other' age short --packets 20M --duration 1h
	refused "--packets: 'many' is not a number of packets such as 20000000 or 20M" age short --packets many
	refused "--duration: '1 day' is not a time such as 30s, 10m or 1h" age short --duration '1 day'
	refused 'a soak of 5 s tells nothing; take 30s or more' soak short --duration 5s
	refused "this command does not take '--packets'" soak short --packets 5
	scenario silent
	refused "scenario silent does not say what to compare" age silent
	rm "$BUILD/mcrelayctl"
	refused "no program '$BUILD/mcrelayctl'" age short
	assert_nothing_left
}

# refused TEXT ARGUMENT...
refused() {
	run --separate-stderr "$BENCH" "${@:2}" --results "$RESULTS"
	assert_failure 64
	assert_said "$1"
}
