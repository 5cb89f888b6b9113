#!/usr/bin/env bats
# Runs under all sorts of callers, and what they leave; then measurements that must not count.

load ../lib/bench

@test "result.json is as its schema says: relay and control" {
	need_root
	measure run short
	assert_equal "$status" 0
	assert_output --partial 'VALID: every packet accounted for'
	assert_schema result "$RESULTS"/short/*/result.json
	assert_equal "$(result '.sink.source, .sink.lost, .sink.corrupt')" $'interface counters\n0\nnull'
	rm -r "$RESULTS"
	scenario short control_window_ms=210000
	measure run short --control
	assert_equal "$status" 0
	assert_schema result "$RESULTS"/short/*/result.json
	assert_equal "$(result '.kind, (.window_ns[1] - .window_ns[0])')" $'control\n210000000000'
}

@test "sink = receive: every packet is read at every output" {
	need_root
	scenario short topology=fanout sink=receive
	measure run short
	assert_equal "$status" 0
	assert_schema result "$RESULTS"/short/*/result.json
	assert_equal "$(result '.sink | .source, .lost, .duplicated, .reordered, .corrupt')" \
		$'trafficgen recv\n0\n0\n0\n0'
	assert_equal "$(result '.sink.received == 3 * .generator.packets_sent')" true
	assert_equal "$(result '.sink.latency_ns | .count > 0 and .p50 <= .max')" true
}

@test "sink = receive: the last relay of a pipeline gets an output, and a receiver behind it" {
	need_root
	scenario short topology=pipeline3 sink=receive
	measure run short
	assert_equal "$status" 0
	assert_schema result "$RESULTS"/short/*/result.json
	assert_equal "$(result '.sink | .source, .lost, .duplicated, .reordered, .corrupt')" \
		$'trafficgen recv\n0\n0\n0\n0'
	assert_equal "$(result '[.hops[].outputs] | join(" ")')" '1 1 1'
}

@test "generator first where nothing may have real-time scheduling: the reason, and nothing is measured" {
	need_root
	scenario short generator_first=yes
	with_program chrt 'exit 1'
	measure run short
	assert_equal "$status" 4
	assert_among_said 'nothing may have real-time scheduling here'
	assert_no_namespace
}

@test "relative --results, from another folder, other HOME, umask, locale, no input" {
	need_root
	lock_free
	cd "$WORK"
	umask 077
	run env HOME=/nonexistent LC_ALL=de_DE.UTF-8 LANG=de_DE.UTF-8 CDPATH=/tmp \
		"$BENCH" run short --results 'my results' <&-
	assert_success
	assert_output --partial 'VALID'
	assert_schema result "my results"/short/*/result.json
	assert_equal "$(stat -c %a "my results"/short/*/result.json)" 644
	assert_equal "$(gojq -r .commit "my results"/short/*/result.json)" \
		"$(git -C "$ROOT" rev-parse --short=12 HEAD 2>/dev/null || echo unknown)"
}

@test "a reader that goes away, closed stdout, closed stderr: the result stands" {
	need_root
	lock_free
	"$BENCH" run short --results "$RESULTS" 2>"$WORK/err" | head -1 >/dev/null
	assert_equal "${PIPESTATUS[0]}" 0
	assert_equal "$(cat "$WORK/err")" 'short: relay run of 200 s'
	lock_free
	"$BENCH" run short --results "$RESULTS" >&- 2>&-
	assert_equal "$(cat "$RESULTS"/short/*/result.json | gojq .valid)" $'true\ntrue'
}

@test "two runs within a second get folders of their own" {
	need_root
	with_program date '[[ $1 != -u || $2 != +%Y%m%dT%H%M%SZ ]] || exec echo 20261120T000000Z; exec "$REAL" "$@"'
	measure run short
	measure run short
	assert_equal "$status" 0
	assert_equal "$(cd "$RESULTS" && echo short/*/result.json | sed -E 's/-[0-9a-f]{12}/-COMMIT/g; s/-unknown/-COMMIT/g')" \
		'short/20261120T000000Z-COMMIT-2/result.json short/20261120T000000Z-COMMIT/result.json'
}

@test "on a terminal: one line, rewritten, with the time that is left" {
	need_root
	lock_free
	script -qec "'$BENCH' run short --results '$RESULTS'" /dev/null </dev/null >"$WORK/out"
	grep -q $'\r\033\[Kshort: relay run of 200 s: relay, [0-9]* s left' "$WORK/out"
	grep -q 'VALID' "$WORK/out"
}

@test "--markdown appends the table" {
	need_root
	printf '# mine\n' >"$WORK/summary.md"
	measure run short --markdown "$WORK/summary.md"
	assert_equal "$status" 0
	assert_equal "$(head -1 "$WORK/summary.md")" '# mine'
	grep -q '^| relay | ingress |' "$WORK/summary.md"
}

@test "another binary than the one that was asked for: invalid" {
	need_root
	printf '#!/bin/bash\nexec %q "$@"\n' "$PROGRAMS/mcrelay" >"$WORK/mcrelay"
	chmod +x "$WORK/mcrelay"
	measure run short --relay "$WORK/mcrelay"
	assert_equal "$status" 5
	assert_output --partial 'r1: the binary that ran ('
}

@test "relay replaced on disk between its hash and its start: invalid" {
	need_root
	cp "$PROGRAMS/mcrelay" "$WORK/mcrelay"
	(cat "$PROGRAMS/mcrelay" && printf 'x') >"$WORK/other"
	chmod +x "$WORK/other"
	# the first namespace is made when the relay has its hash
	with_program ip '[[ $1 != netns || ! -e $WORK/other ]] || mv "$WORK/other" "$WORK/mcrelay"; exec "$REAL" "$@"'
	measure run short --relay "$WORK/mcrelay"
	assert_equal "$status" 5
	assert_output --partial 'r1: the binary that ran ('
	[[ ! -e $WORK/other ]]
}

@test "offload switched on during the run: invalid" {
	need_root
	start_held run short
	ip netns exec "mcr-$BENCH_PID-r1" ethtool -K out0 tx-udp-segmentation on
	release
	ended 5
	grep -q 'r1:out0: tx-udp-segmentation is on after the run, the scenario declares off' "$WORK/out"
	assert_equal "$(result .valid)" false
}

@test "relay with an option that it does not know: its own words" {
	need_root
	scenario short relay_options=--nonsense
	measure run short
	assert_equal "$status" 5
	assert_among_said 'the relay of r1 did not get ready: .*nonsense'
}

@test "a generator whose report says nothing: invalid, and no crash" {
	need_root
	printf 'import sys\nopen(sys.argv[sys.argv.index("--json") + 1], "w").write("{}")\n' >"$WORK/silent.py"
	with_generator "$WORK/silent.py"
	measure run short
	assert_equal "$status" 5
	assert_among_said 'could not be evaluated'
	refute [ -n "$(grep crashed <<<"$stderr")" ]
}

@test "generator that sends nothing and says so, or fails: invalid" {
	need_root
	local options
	for options in '' --control; do
		GENERATOR_PACKETS=0 measure run short $options
		assert_equal "$status" 5
		assert_output --partial 'the generator sent nothing'
		assert_schema result "$RESULTS"/short/*/result.json
		rm -r "$RESULTS"
	done
	printf 'import sys\nsys.exit("trafficgen: no way")\n' >"$WORK/failing.py"
	with_generator "$WORK/failing.py"
	for options in '' --control; do
		measure run short $options
		assert_equal "$status" 5
		assert_among_said 'the generator of gen failed \(exit 1\): trafficgen: no way'
	done
}

@test "the real generator, against the clock: what it says is what is on record" {
	need_root
	# a window that no machine stalls through, and a load that is none: but whether it is valid is not asked
	scenario short window_ms=300 rate_pps=1000
	BUILD=$PROGRAMS measure run short
	[[ $status == [05] ]]
	[[ $status == 5 ]] || assert_schema result "$RESULTS"/short/*/result.json
	local raw
	raw=$(echo "$RESULTS"/short/*/raw)
	assert_equal "$(gojq -c '.settings | .rate, .duration, .size, .gso, .ttl, ."sample-ms"' "$raw/gen.json" | paste -sd' ')" \
		'1000 0.6 "200" 1 4 50'
	assert_equal "$(gojq .twin "$raw/run.json")" false
	# where the kernel counts time by ticks, so small a load may have met none of them
	assert_equal "$(gojq '.machine | ([.cores_busy, .busy_ns_per_packet_offered] | all(type == "number" and . >= 0)) or .reason != null' \
		"$RESULTS"/short/*/result.json)" true
	assert_equal "$(gojq -s '.[0].packets_sent == ([.[1]["r1:in0"].rx_packets - .[2]["r1:in0"].rx_packets] | add)' \
		"$raw"/{gen,links.after,links.before}.json)" true
}

@test "gate: a load that is not the baseline's is invalid after one round; as committed, it is in the history" {
	need_root
	scenario pipeline-phase4 topology=pipeline3 baseline=phase4
	committed pipeline-phase4.conf
	commit_copy() { git -C "$COPY" -c user.name=test -c user.email=test@localhost commit -qm "$1" --allow-empty; }
	commit_copy two # whose base is the first one
	# a build with make's own flags, as make leaves it; make has nothing to do
	printf 'gcc -O2 -g \n' >"$COPY/build/flags"
	printf 'CFLAGS  ?= -O2 -g\nbuild/mcrelay build/trafficgen:\n' >"$COPY/Makefile"
	git -C "$COPY" -c user.name=test -c user.email=test@localhost commit -q --all --amend --no-edit
	measure gate
	assert_equal "$status" 5
	assert_output --partial 'INVALID: the measurement itself is broken'
	assert_output --partial "is not the baseline's"
	assert_schema terms "$RESULTS"/pipeline-phase4/*/terms.json
	assert_equal "$(gojq -c '[.official, .expectations.base, .expectations.changed]' "$RESULTS"/pipeline-phase4/*/terms.json)" \
		"[true,\"$(git -C "$COPY" rev-parse HEAD~1)\",[]]"
	assert_schema verdict "$RESULTS"/pipeline-phase4/*/verdict.json
	assert_equal "$(gojq -s "map(.verdict) | join(\" \")" -r "$RESULTS"/history/*/*.ndjson)" INVALID
	assert_schema verdict "$RESULTS"/history/*/*.ndjson
	# a history that cannot be written changes no verdict, and is said
	rm -r "$RESULTS"
	mkdir "$RESULTS"
	touch "$RESULTS/history"
	measure gate
	assert_equal "$status" 5
	assert_among_said 'this verdict is missing in the history'
	assert_output --partial 'verdict: '
}

@test "gate: a change does not set the limits that it is judged by, and takes none away" {
	need_root
	scenario pipeline-phase4 topology=pipeline3 baseline=phase4
	committed pipeline-phase4.conf
	# what is judged by the floor as it stands here would not be invalid
	gojq '.load = {payload_bytes: 200, offered_pps: 20000} | .tiers.target.egress_pps_min = 1' "$COPY/baselines/phase4.json" >"$WORK/floor"
	cp "$WORK/floor" "$COPY/baselines/phase4.json"
	measure gate
	assert_equal "$status" 5
	assert_output --partial "is not the baseline's (1400, 733000)"
	assert_output --partial 'expectations changed here, judged as they were: baselines/phase4.json'
	assert_output --partial 'unofficial: the files have changes that are in no commit'
	[[ ! -e $RESULTS/history ]]
	# of two commits, the first one is the base
	commit_copy two
	gojq 'del(.tiers.stretch.ingress_pps_min)' "$WORK/floor" >"$COPY/baselines/phase4.json"
	rm "$COPY/harness/scenario/pipeline-phase4.conf"
	measure gate
	assert_equal "$status" 5
	assert_among_said 'INVALID: baselines/phase4.json: tiers.stretch.ingress_pps_min is expected at '
	assert_among_said 'INVALID: harness/scenario/pipeline-phase4.conf is expected at '
	measure gate --base HEAD~2
	assert_equal "$status" 64
	assert_said "--base: no commit 'HEAD~2'"
	rm -r "$RESULTS"
	assert_nothing_left
}

@test "gate: expectations that no base proves are no pass" {
	need_root
	scenario pipeline-phase4 topology=pipeline3 baseline=phase4
	committed pipeline-phase4.conf
	measure gate # of a first commit
	assert_equal "$status" 5
	assert_output --partial 'expectations unproven: there is no commit before HEAD; name a BASE'
	rm -rf "$COPY/.git" "$RESULTS"
	measure gate
	assert_equal "$status" 5
	assert_output --partial 'expectations unproven: '
	assert_output --partial 'unofficial: the files are of no commit'
}

@test "gate: one round is too few for a verdict" {
	need_root
	scenario pipeline-phase4 topology=pipeline3 baseline=phase4 payload_bytes=1400 rate_pps=733000 \
		gso_segments=32
	measure gate --rounds 1
	assert_equal "$status" 4
	assert_output --regexp '(INCONCLUSIVE|UNFIT): tier none reached, target asked'
	assert_schema verdict "$RESULTS"/pipeline-phase4/*/verdict.json
	assert_schema result "$RESULTS"/pipeline-phase4/*/rounds/01/{relay,control}/result.json
	assert_output --partial 'unofficial: the programs of '
	assert_output --partial '; --rounds 1 instead of 14'
	assert_among_said 'not in the history'
	[[ ! -e $RESULTS/history ]]
}

# cpus_of PID: where it may run.
cpus_of() {
	sed -n 's/^Cpus_allowed_list:\s*//p' "/proc/$1/status"
}

# The process is what it was started to be: no longer a command that sets something and goes on as another.
is_itself() {
	[[ ! $(<"/proc/$1/comm") =~ ^(bash|bench|ip|taskset)$ ]]
}

@test "relay and generator run on the CPUs that the scenario names" {
	need_root
	local relay generator cpus
	mapfile -t cpus < <(tr ',' '\n' <<<"$(cpus_of $$)" |
		awk -F- '{for (cpu = $1; cpu <= (NF > 1 ? $2 : $1); cpu++) print cpu}')
	((${#cpus[@]} >= 2)) || skip "needs two CPUs"
	for relay in 1 0; do
		generator=$((1 - relay))
		scenario short two_cores="gen=$generator r1=$relay"
		start_stopped sending run short
		started 2 # in the order in which they were started: the relay, the generator
		until_that is_itself "${STARTED[1]%%:*}"
		assert_equal "$(cpus_of "${STARTED[0]%%:*}") $(cpus_of "${STARTED[1]%%:*}")" \
			"${cpus[relay]} ${cpus[generator]}"
		echo >"$WORK/stop.end"
		ended 5
	done
}
