#!/usr/bin/env bats
# Link profiles, other systems under test, other payloads, flows and fan-outs; the commands that measure
# several side by side. The loads are small: what is checked is that what was asked for was measured.

load ../lib/bench

# Whether r1 or sink of the running bench aggregates: "on on" or "off off".
aggregation() {
	ip netns exec "mcr-$BENCH_PID-$1" ethtool -k in0 |
		awk '/^generic-receive-offload:|^rx-udp-gro-forwarding:/ {printf "%s%s", s, $2; s = " "}'
}

@test "profiles: what the relay is told, what aggregates, and that it ends with the run" {
	need_root
	local profile
	for profile in wire gro plain; do
		rm -rf "$RESULTS"
		scenario short gso_segments=32
		start_held run short --profile "$profile"
		if [[ $profile == gro ]]; then
			assert_equal "$(aggregation r1), $(aggregation sink)" "on on, on on"
		else
			assert_equal "$(aggregation r1), $(aggregation sink)" "off off, off off"
		fi
		release
		ended 0
		assert_schema result "$RESULTS"/short/*/result.json
		assert_equal "$(result '.link_profile, .declared.profile, .overrides.profile')" \
			"$profile"$'\n'"$profile"$'\n'"$profile"
		assert_equal "$(result '.hops[0].settings | .gro // false, .gso, .ingress // "ring"')" \
			"$(expected_settings "$profile")"
		assert_equal "$(result '.hops[0].packets_per_frame > 1')" \
			"$([[ $profile == gro ]] && echo true || echo false)"
		assert_equal "$(result '.hops[0].segments_per_send > 1')" \
			"$([[ $profile == plain ]] && echo false || echo true)"
	done
}

expected_settings() {
	case $1 in
	wire) printf 'false\nauto\nring' ;;
	gro) printf 'true\nauto\nring' ;;
	plain) printf 'false\noff\nuring' ;;
	esac
}

@test "a scenario may declare its profile, and options for one" {
	need_root
	scenario short profile=gro 'relay_options_gro=--ring-slots 32' relay_options_wire=--nonsense
	measure run short
	assert_equal "$status" 0
	assert_equal "$(result '.link_profile, .sut.options, (.overrides | length)')" \
		$'gro\n--exclusive --ring-slots 32 --gro\n0'
	measure run short --profile wire
	assert_equal "$status" 5
	assert_among_said 'the relay of r1 did not get ready: .*nonsense'
}

@test "a control of profile gro aggregates without a relay" {
	need_root
	measure run short --control --profile gro
	assert_equal "$status" 0
	assert_equal "$(result '.kind, .link_profile, .valid')" $'control\ngro\ntrue'
}

@test "aggregation switched off behind our back: invalid" {
	need_root
	start_held run short --profile gro
	ip netns exec "mcr-$BENCH_PID-sink" ethtool -K in0 rx-udp-gro-forwarding off
	release
	ended 5
	grep -q 'sink:in0: rx-udp-gro-forwarding is off during the run, profile gro asks for on' "$WORK/out"
}

# keep NODE: the node's network stays, under another name, when its namespace is removed.
keep() {
	touch "$WORK/$1.net"
	mount --bind "/run/netns/mcr-$BENCH_PID-$1" "$WORK/$1.net"
	MOUNTED+=("$WORK/$1.net")
}

kept_aggregation() {
	nsenter "--net=$WORK/$1.net" ethtool -k in0 |
		awk '/^generic-receive-offload:|^rx-udp-gro-forwarding:/ {printf "%s%s", s, $2; s = " "}'
}

keep_no_more() {
	local file
	for file in "${MOUNTED[@]}"; do umount "$file"; done
	MOUNTED=()
}

@test "Ctrl-C during profile gro: nothing aggregates any more, even where a namespace lives on" {
	need_root
	local system
	for system in relay kernel; do
		start_held run short --profile gro --sut "$system"
		keep gen && keep r1 && keep sink
		assert_equal "$(kept_aggregation r1), $(kept_aggregation sink)" "on on, on on"
		kill -INT -- "-$BENCH_PID"
		ended 130
		assert_equal "$(kept_aggregation r1), $(kept_aggregation sink)" "off off, off off"
		keep_no_more
		assert_host_restored
		assert_nothing_left
	done
}

@test "--sut kernel: one hop, a pipeline, a fan-out, a receiver" {
	need_root
	local changes
	for changes in topology=single topology=pipeline3 topology=fanout sink=receive; do
		rm -rf "$RESULTS"
		scenario short "$changes"
		measure run short --sut kernel --profile gro
		assert_equal "$status" 0
		assert_schema result "$RESULTS"/short/*/result.json
		assert_equal "$(result '.sut.name, .sink.lost, .hops[0].cpu_ns_per_packet, .hops[0].inputs')" \
			$'smcroute\n0\nnull\n[]'
		assert_equal "$(result '.hops[0].egress_pps > 0')" true
	done
}

@test "--sut kernel: a daemon that dies, that does not start, that is not there" {
	need_root
	start_held run short --sut kernel
	kill -KILL "$(pgrep_in_journal smcrouted)"
	release
	ended 5
	assert_host_restored
	grep -q '^bench: the smcrouted of r1 died during the run' "$WORK/err"
	rm -rf "$RESULTS"
	with_program smcrouted 'echo "no such luck" >&2; exit 1'
	measure run short --sut kernel
	assert_equal "$status" 5
	assert_among_said 'the smcrouted of r1 did not get ready: no such luck'
	mkdir "$WORK/sbin"
	ln -s /usr/sbin/* "$WORK/sbin"
	rm -rf "$WORK/sbin/smcrouted" "$WORK/bin/smcrouted" "$RESULTS"
	PATH=$WORK/bin:$WORK/sbin:/usr/bin:/bin measure run short --sut kernel
	assert_equal "$status" 4
	assert_said "no program 'smcrouted'; run: ci/setup"
	assert_nothing_left
}

# The PID of a program among those that bench has written down.
pgrep_in_journal() {
	local identity
	for identity in "${STARTED[@]}"; do
		[[ $(readlink "/proc/${identity%%:*}/exe") != *"/$1" ]] || printf '%s' "${identity%%:*}"
	done
}

@test "--payload, --flows, --fanout: in force, on record, and links with room for them" {
	need_root
	measure run short --payload 8900 --flows 8
	assert_equal "$status" 0
	assert_schema result "$RESULTS"/short/*/result.json
	assert_equal "$(result '.mtu_bytes, .declared.payload_bytes, .declared.flows, .overrides')" \
		$'9000\n8900\n8\n{\n  "flows": "8",\n  "payload_bytes": "8900"\n}'
	rm -r "$RESULTS"
	measure run short --payload imix
	assert_equal "$status" 0
	assert_equal "$(result '.mtu_bytes, .declared.payload_bytes')" $'1500\nimix'
	assert_output --partial 'IMIX'
}

@test "--fanout: a link each, and from ten on as many groups on one link" {
	need_root
	local fanout outputs
	for fanout in 1:1 3:3 10:1 50:1; do
		outputs=${fanout#*:} fanout=${fanout%:*}
		rm -rf "$RESULTS"
		measure run short --fanout "$fanout"
		assert_equal "$status" 0
		assert_schema result "$RESULTS"/short/*/result.json
		assert_equal "$(result '.hops[0] | .outputs, .copies')" "$outputs"$'\n'"$fanout"
		assert_equal "$(result ".sink.expected == $fanout * .generator.packets_sent and .sink.lost == 0")" true
	done
}

@test "what cannot be fanned out, or read, is refused" {
	need_root
	scenario short topology=pipeline3
	measure run short --fanout 3
	assert_equal "$status" 64
	assert_said '--fanout: scenario short: topology pipeline3 has no number of outputs; single and fanout have'
	scenario short sink=receive
	measure run short --fanout 10
	assert_equal "$status" 64
	assert_said "'sink = receive' reads one group of a link, and from 10 outputs on they share one"
	scenario short
	measure run short --fanout 10 --sut kernel
	assert_equal "$status" 64
	assert_said 'the kernel sends a packet once per interface; --sut kernel takes --fanout up to 9'
	assert_nothing_left
}

@test "gate in another profile: judged, but not in the history" {
	need_root
	scenario pipeline-phase4 topology=pipeline3 baseline=phase4 payload_bytes=1400 rate_pps=733000 \
		gso_segments=32
	measure gate --rounds 1 --profile gro
	assert_equal "$status" 4
	assert_schema verdict "$RESULTS"/pipeline-phase4/*/verdict.json
	assert_equal "$(gojq -r .declared.profile "$RESULTS"/pipeline-phase4/*/verdict.json)" gro
	assert_among_said 'not in the history'
	[[ ! -e $RESULTS/history ]]
}

# A table of two rows for short.
targets() {
	printf '{"variants": [
	{"name": "gro", "group": "g", "scenario": "short", "change": {"profile": "gro"}},
	{"name": "kernel", "group": "g", "scenario": "short", "change": {}, "sut": "kernel"}],
	"rows": [
	{"name": "easy", "what": "something is sent", "variant": "gro", "metric": "egress_1", "at_least": 1},
	{"name": "hard", "what": "against the kernel", "variant": "gro", "against": "kernel",
	 "metric": "egress_1", "at_least": %s}]}' "$1" >"$BENCH_SCENARIOS/fastpath.json"
}

@test "fastpath: rows met, a row missed, a subset" {
	need_root
	targets 0.000001 # how long a window of generator.py is, differs
	measure fastpath --rounds 2 --markdown "$WORK/summary.md"
	assert_equal "$status" 0
	assert_output --partial 'met: 2 of 2 rows met'
	assert_schema fastpath "$RESULTS"/fastpath/*/fastpath.json
	assert_schema result "$RESULTS"/fastpath/*/rounds/02/kernel/result.json
	assert_equal "$(cat "$RESULTS"/fastpath/*/fastpath.md)" "$(cat "$WORK/summary.md")"
	assert_equal "$(find "$RESULTS" -name result.json | wc -l)" 6 # controls included
	rm -r "$RESULTS"
	targets 1000000
	measure fastpath --rounds 1
	assert_equal "$status" 3
	assert_output --partial 'missed: 1 of 2 rows met'
	rm -r "$RESULTS"
	measure fastpath --rounds 1 --only easy
	assert_equal "$status" 0
	assert_output --partial 'unofficial'
	refute_output --partial 'profile = gro' # which the table says, and nobody else
	assert_equal "$(find "$RESULTS" -name result.json | wc -l)" 2
}

@test "fastpath: Ctrl-C leaves nothing" {
	need_root
	targets 1
	start_held fastpath --rounds 1
	kill -INT -- "-$BENCH_PID"
	ended 130
	assert_host_restored
	assert_nothing_left
}

@test "fastpath: a run that cannot be trusted is invalid" {
	need_root
	targets 1
	printf '#!/bin/bash\nexec %q "$@"\n' "$PROGRAMS/mcrelay" >"$WORK/mcrelay"
	chmod +x "$WORK/mcrelay"
	measure fastpath --rounds 1 --only easy --relay "$WORK/mcrelay"
	assert_equal "$status" 5
	assert_output --partial 'easy: gro, round 1: r1: the binary that ran ('
	assert_schema fastpath "$RESULTS"/fastpath/*/fastpath.json
}

@test "fastpath: unknown rows, tables that are not there or wrong, before anything is measured" {
	targets 1
	refused_plan "no row 'nonsense'; there are: easy hard" --only nonsense
	sed -i 's/"scenario": "short"/"scenario": "nowhere"/' "$BENCH_SCENARIOS/fastpath.json"
	refused_plan "no scenario 'nowhere'"
	targets 1
	sed -i 's/"profile": "gro"/"rate_pps": "fast"/' "$BENCH_SCENARIOS/fastpath.json"
	refused_plan "short: rate_pps: found 'fast', expected packets per second"
	targets 1
	sed -i 's/"profile": "gro"/"report_interval_ms": "99999"/' "$BENCH_SCENARIOS/fastpath.json"
	refused_plan 'short, as the variant has it: report_interval_ms: found 99999, expected a tenth of window_ms at most'
	printf '{' >"$BENCH_SCENARIOS/fastpath.json"
	refused_plan 'Expecting'
	rm "$BENCH_SCENARIOS/fastpath.json"
	refused_plan 'No such file'
}

refused_plan() {
	run --separate-stderr "$BENCH" fastpath --results "$RESULTS" "${@:2}"
	assert_failure 64
	assert_said "$1"
	assert_nothing_left
}

@test "sweep: every profile, payload, number of flows and of outputs" {
	need_root
	refused_sweep
	# the whole plan is understood, and those that change links or topology are measured
	run --separate-stderr bash -Eeuo pipefail -c '
		ROOT=$1 HARNESS=$1/harness SCENARIOS=$2 BASELINES=$3 COMMAND=sweep RESULTS=$4
		for part in options host/{common,undo,host} scenario/{scenario,variants} topology/{topology,links,link_profile} \
			run/sut/{sut,relay,kernel} report/sweep; do
			source "$HARNESS/$part.bash"
		done
		declare -A BUILD_OPTIONS=()
		sitting_open() { variants_measure() { echo "$1"; exit; }; }
		command_sweep short --rounds 1' - "$ROOT" "$BENCH_SCENARIOS" "$BENCH_BASELINES" "$RESULTS"
	assert_success
	assert_equal "${#lines[@]}" 66 # and a control each
	measure sweep short --rounds 1 --only gro.payload-8900 --only plain.flows-64 --only wire.fanout-10
	assert_equal "$status" 0
	assert_schema sweep "$RESULTS"/short/*/sweep.json
	assert_equal "$(gojq -r '.variants[] | "\(.name) \(.mtu_bytes) \(.declared.flows)"' "$RESULTS"/short/*/sweep.json)" \
		'wire.fanout-10 1500 1
gro.payload-8900 9000 1
plain.flows-64 1500 64'
	assert_equal "$(gojq '[.variants[].problems[]] | length' "$RESULTS"/short/*/sweep.json)" 0
	assert_equal "$(gojq '.hops[0].copies' "$RESULTS"/short/*/rounds/01/wire.fanout-10/result.json)" 10
}

refused_sweep() {
	run --separate-stderr "$BENCH" sweep short --only nonsense --results "$RESULTS"
	assert_failure 64
	assert_said "--only: no variant has 'nonsense' in its name"
}

@test "matrix: each mode of the relay has run with its options, and has its row" {
	need_root
	local mode
	scenario short rate_pps=5000
	measure matrix short --rounds 1
	assert_equal "$status" 0
	assert_equal "$(find "$RESULTS"/short/*/rounds/01 -mindepth 1 -maxdepth 1 -printf '%f\n' | sort | paste -sd' ')" \
		"control ring ring-deferred ring-eager ring-no-gso ring-sendmmsg split-eventfd split-hybrid uring uring-deferred uring-no-gso"
	for mode in "$RESULTS"/short/*/rounds/01/*; do
		[[ ${mode##*/} != control ]] || continue
		[[ $output == *$'\n'"  ${mode##*/} "*" pps "* ]] || fail "no row for ${mode##*/}"
	done
	assert_equal "$(gojq -r .sut.options "$RESULTS"/short/*/rounds/01/uring-deferred/result.json)" \
		'--exclusive --ingress uring --egress-reap deferred'
}

@test "capacity: a search with one relay, latency at shares of it, a picture; what it refuses" {
	need_root
	measure capacity short --goal ndr
	assert_equal "$status" 0
	assert_line --regexp 'ndr: no packet may be lost +[0-9,]+ pps +all that can be offered .* complete'
	assert_line --partial 'ndr: the generator is the limit, not what was measured'
	assert_schema capacity "$RESULTS"/short/*/capacity.json
	assert_equal "$(gojq -r '[.latency[] | .valid] | map(tostring) | unique | join(" ")' "$RESULTS"/short/*/capacity.json)" true
	[[ -s $(echo "$RESULTS"/short/*/curve.svg) ]]
	[[ ! -e $RESULTS/history ]] # the scenario is the test's own
	rm -r "$RESULTS"
	measure capacity short --budget 0
	assert_equal "$status" 4
	assert_output --partial 'time was over'
	run --separate-stderr "$BENCH" capacity short --goal most --results "$RESULTS"
	assert_failure 64
	assert_said "--goal: 'most' is not one of ndr, pdr"
	run --separate-stderr "$BENCH" capacity --results "$RESULTS"
	assert_failure 64
	assert_said 'capacity takes the name of one scenario'
	scenario row topology=pipeline3
	measure capacity row
	assert_equal "$status" 64
	assert_among_said 'that of topology pipeline3 sends nothing on; take single or fanout'
}

@test "capacity: Ctrl-C leaves nothing" {
	need_root
	start capacity short
	until grep -qs '^trial 2' "$WORK/err" || [[ ! -d /proc/$BENCH_PID ]]; do sleep 0.02; done
	kill -INT -- "-$BENCH_PID"
	ended 130
	assert_host_restored
	assert_nothing_left
}
