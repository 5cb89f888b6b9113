#!/usr/bin/env bats
# What harness/bench says to whom it cannot serve: one line, with what, where and what to do.

load ../lib/bench

refused() {
	run --separate-stderr "$BENCH" "$@"
	assert_failure 64
	assert_output ''
}

@test "help names every command, option, variable and exit status" {
	local word
	run --separate-stderr "$BENCH" help
	assert_success
	for word in 'bench run' 'bench gate' 'bench fastpath' 'bench sweep' 'bench matrix' 'bench plot' \
		'bench list' 'bench clean' 'bench compare' 'bench budget' 'bench capacity' 'bench drill' 'bench profile' 'bench noise' 'bench baseline' --reason --relay --results --markdown --tier --rounds --only --control \
		--sut --profile --payload --flows --fanout BENCH_SCENARIOS BENCH_BASELINES BUILD 'Exit status: 0'; do
		assert_output --partial "$word"
	done
	run "$BENCH"
	assert_success
}

@test "list shows the scenarios, and those of the harness are sound" {
	run "$BENCH" list
	assert_output --regexp '^short +a short run; 200 bytes, 20000 pps, wire$'
	BENCH_SCENARIOS=$WORK/nothing refused list
	assert_said "no scenario in $WORK/nothing"
	unset BENCH_SCENARIOS
	run "$BENCH" list
	assert_success
	assert_line --regexp '^pipeline-phase4 '
}

@test "unknown command" {
	local name
	for name in nonsense '.*' 'r.n' 'run|SCENARIO' '-x'; do
		refused "$name"
		assert_said "^bench: unknown command '.*'; see 'harness/bench help'$"
	done
}

@test "unknown option, missing value, too many or too few arguments, bad values" {
	refused run short --nonsense
	assert_said "unknown option '--nonsense'"
	local option
	for option in --relay --results --markdown --tier --rounds; do
		refused gate "$option"
		assert_said "$option needs a value"
		refused gate "$option" ''
		assert_said "$option needs a value"
	done
	refused run
	assert_said 'run takes the name of one scenario'
	refused run short short
	assert_said 'run takes the name of one scenario'
	refused gate short
	assert_said "unexpected argument 'short'"
	refused gate --tier silver
	assert_said "'silver' is not one of minimum, target, stretch"
	refused gate --rounds 0
	assert_said "'0' is not a number from 1 to 99"
	for option in --profile --payload --flows --fanout --sut; do
		refused run short "$option"
		assert_said "$option needs a value"
	done
	refused run short --tier target
	assert_said "this command does not take '--tier'"
	refused gate --payload 64
	assert_said "this command does not take '--payload'"
	refused run short --profile copper
	assert_said "^bench: --profile: found 'copper', expected wire, gro or plain$"
	refused run short --payload 17
	assert_said "^bench: --payload: found '17', expected a size from 18 to 8972 bytes, or imix$"
	refused run short --payload 8973
	refused run short --payload mix
	refused run short --flows 0
	assert_said "^bench: --flows: found '0', expected a number of flows$"
	refused run short --fanout 65
	assert_said "^bench: --fanout: found '65', expected 1 to 64 outputs$"
	refused run short --sut linux
	assert_said "--sut: 'linux' is not one of relay, kernel"
	refused matrix short --profile plain
	assert_said 'plain is one of the modes'
	refused sweep
	assert_said 'sweep takes the name of one scenario'
	refused sweep nonsense
	refused fastpath short
	assert_said "unexpected argument 'short'"
	refused plot
	assert_said "plot takes 'history'"
	refused list short
	assert_said "unexpected argument 'short'"
	refused clean now
	assert_said "unexpected argument 'now'"
	refused run short --markdown "$WORK/no/file.md"
	assert_said "cannot write '$WORK/no/file.md'"
}

@test "unknown scenario: the ones that exist are named" {
	refused run nonsense
	assert_said "no scenario 'nonsense' in $BENCH_SCENARIOS; there are: short$"
	refused run ../short
	assert_said "no scenario '../short'"
}

# bad_scenario PATTERN CHANGE...
bad_scenario() {
	scenario bad "${@:2}"
	refused run bad
	assert_said "$1"
}

@test "scenario file: each mistake is named with file, line and what was expected" {
	bad_scenario "bad.conf:14: unknown key 'colour'" colour=blue
	bad_scenario "bad.conf:13: rate_pps: found 'fast', expected packets per second" rate_pps=fast
	bad_scenario "payload_bytes: found '17', expected a size from 18 to 8972 bytes, or imix" payload_bytes=17
	bad_scenario "payload_bytes: found '8973'" payload_bytes=8973
	bad_scenario "profile: found 'copper', expected wire, gro or plain" profile=copper
	bad_scenario "two_cores: found 'r1=2', expected NODE=0 or NODE=1 for each process" two_cores=r1=2
	bad_scenario "bad.conf: fanout: topology single has no number of outputs; fanout has" fanout=3
	bad_scenario "sink: found 'guess', expected count or receive" sink=guess
	bad_scenario "offload_tx-udp-segmentation: found 'maybe', expected on or off" \
		offload_tx-udp-segmentation=maybe
	bad_scenario "bad.conf:14: compare_rate_pps: found 'fast', expected packets per second" compare_rate_pps=fast
	bad_scenario "bad.conf:14: unknown key 'compare_colour'" compare_colour=blue
	bad_scenario "bad.conf: 'rate_pps' is missing" rate_pps=
	bad_scenario "topology: no topology in harness/topology/moebius.bash" topology=moebius
	scenario bad
	printf 'rate_pps = 1\n' >>"$BENCH_SCENARIOS/bad.conf"
	refused run bad
	assert_said "bad.conf:14: 'rate_pps' stands twice"
	scenario bad
	printf 'just words\n' >>"$BENCH_SCENARIOS/bad.conf"
	refused run bad
	assert_said "bad.conf:14: found 'just words', expected 'key = value'"
	rm "$BENCH_SCENARIOS/bad.conf"
	mkfifo "$BENCH_SCENARIOS/bad.conf"
	refused run bad
	assert_said "bad.conf cannot be read: it is no file"
	ln -sf nothing "$BENCH_SCENARIOS/bad.conf"
	refused list
	assert_said "bad.conf cannot be read: it is no file, or a link to none"
}

@test "a scenario whose reports cannot cover its window" {
	scenario bad window_ms=500 report_interval_ms=51
	refused run bad
	assert_said 'bad.conf: report_interval_ms: found 51, expected a tenth of window_ms at most'
	scenario bad window_ms=999 report_interval_ms=
	refused run bad
	assert_said 'bad.conf: report_interval_ms: found 100, expected a tenth'
}

@test "what cannot be said changes no exit status, and a reader that has seen enough is told nothing" {
	run bash -c '"$1" list 2>/dev/full' - "$BENCH"
	assert_success
	run bash -c '"$1" nonsense 2>/dev/full' - "$BENCH"
	assert_failure 64
	assert_output ''
	mkfifo "$WORK/read"
	run bash -c 'exec 3<>"$2" 4>"$2" 3<&-; "$1" help >&4' - "$BENCH" "$WORK/read"
	assert_failure 141
	assert_output ''
}

@test "what was asked for and cannot be printed: the reason, and a status of its own" {
	local asked
	for asked in list help; do
		run --separate-stderr bash -c '"$1" "$2" >/dev/full' - "$BENCH" "$asked"
		assert_failure 4
		assert_said 'cannot print: is the disk under standard output full\?$'
	done
}

@test "results in something that is no folder" {
	local command
	touch "$WORK/file"
	for command in 'run short' gate drift 'plot history' 'compare HEAD~1' 'bisect HEAD~1 HEAD' 'baseline show'; do
		# shellcheck disable=SC2086 # words
		run --separate-stderr "$BENCH" $command --results "$WORK/file"
		assert_failure 4
		assert_output ''
		assert_said "^bench: results cannot be kept in $WORK/file.* is no folder; name .* --results$"
	done
}

@test "drift: a name that is no machine's" {
	local name
	mkdir -p "$RESULTS/history/m" "$RESULTS/m"
	for name in ../m m/../../m .. .m /tmp 'a b' M; do
		refused drift "$name" --results "$RESULTS"
		assert_said "drift: '$name' is no name of a machine: those are the folders of $RESULTS/history"
	done
	run "$BENCH" drift m --results "$RESULTS"
	assert_failure 4
}

@test "nothing in a scenario file is executed" {
	scenario bad "description=\$(touch $WORK/executed)" 'relay_options=; touch x'
	run "$BENCH" list
	assert_success
	[[ ! -e $WORK/executed ]]
}

@test "scenario with a baseline that is not there is invalid" {
	scenario bad baseline=nonsense
	run --separate-stderr "$BENCH" run bad
	assert_failure 5
	assert_said 'no file baselines/nonsense.json'
}

@test "gate without its scenario, and with one that names no baseline" {
	refused gate
	assert_said "no scenario 'pipeline-phase4'"
	need_root
	scenario pipeline-phase4
	measure gate
	assert_equal "$status" 5
	assert_said 'names no baseline'
	assert_nothing_left
}

@test "without root" {
	run --separate-stderr unshare --user "$BENCH" run short --results "$RESULTS"
	assert_failure 4
	assert_said 'needs root; run: sudo harness/bench run short'
	run --separate-stderr unshare --user "$BENCH" clean
	assert_failure 4
	assert_said 'needs root'
	assert_nothing_left
}

@test "without a build, without a generator, with something else than a relay" {
	need_root
	BUILD=$WORK/nothing measure run short
	assert_equal "$status" 64
	assert_said "no program '$WORK/nothing/mcrelay' to measure; run: make"
	mkdir "$WORK/half" && cp "$PROGRAMS/mcrelay" "$WORK/half"
	BUILD=$WORK/half measure run short
	assert_equal "$status" 64
	assert_said "no program '$WORK/half/trafficgen'; run: make"
	measure run short --relay "$WORK"
	assert_equal "$status" 64
	assert_said "no program '$WORK' to measure"
	assert_nothing_left
}

@test "plot without a history" {
	run --separate-stderr "$BENCH" plot history "$WORK/nothing" --results "$RESULTS"
	assert_failure 4
	assert_said 'no history in'
}
