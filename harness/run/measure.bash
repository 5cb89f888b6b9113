# shellcheck shell=bash
# measure: one run, from counters before to result.json.

MEASURE_AGAIN= # non-empty: a run that cannot be evaluated leaves no result.json, and its caller makes another one
WATCHED= # who else looks at the relays of a run: stages, budget or fault, whose _start and _end are called

# measure relay|control DIR: leaves DIR/raw and DIR/result.json. A control is the same traffic over
# the same links with no relay.
measure() {
	local kind=$1 dir=$2 raw=$2/raw window_ms status=0
	window_ms=$(measure_window "$kind")
	tuning_apply
	topology_ready
	stop_at topology
	mkdir -p "$raw"
	save "$raw/offloads.before.json" topology_offloads
	profile_begin "$kind"
	SINK=()
	[[ -n $LIVING && $kind == relay ]] || SUT=()
	sink_start "$kind" "$raw"
	[[ $kind == control ]] || measure_start "$raw"
	[[ -z $WATCHED || $kind == control ]] || "${WATCHED}_start" "$raw"
	save "$raw/links.before.json" topology_counters
	save "$raw/softnet.before.txt" cat /proc/net/softnet_stat
	save "$raw/routes.txt" routes_save "$kind"
	[[ $kind == control ]] || changes_start "$raw"
	traffic_send "$kind" "$raw" "$window_ms"
	[[ $kind == control ]] || stop_at sent
	[[ $kind == control ]] || changes_stop "$raw"
	[[ $kind == control ]] || sut_check_alive "$raw"
	[[ -z $WATCHED || $kind == control ]] || "${WATCHED}_end" "$raw"
	save "$raw/offloads.running.json" topology_offloads
	traffic_drain
	[[ $kind == control ]] || stop_at drained
	[[ $kind == control ]] || measure_stop "$raw"
	sink_stop "$raw"
	save "$raw/links.after.json" topology_counters
	save "$raw/softnet.after.txt" cat /proc/net/softnet_stat
	[[ $kind == control ]] || stop_at ended
	profile_end
	save "$raw/offloads.after.json" topology_offloads
	save "$raw/run.json" measure_describe "$kind" "$dir" "$window_ms"
	python harness.result.result "$raw" "$dir/result.json" || status=$?
	((status == 0)) || [[ -n $MEASURE_AGAIN && $status == "$EXIT_INVALID" ]] ||
		no_verdict "$status" "the raw data in $raw could not be evaluated"
	[[ $kind == control ]] || stop_at evaluated
}

# measure_start RAW: the relays, unless these live on.
measure_start() {
	if [[ -n $LIVING ]]; then
		living_begin "$1"
	else
		sut_start "$1"
	fi
}

measure_stop() {
	if [[ -n $LIVING ]]; then
		living_end "$1"
	else
		sut_stop "$1"
	fi
}

# The controls of a sitting only have to show what the generator can do: a scenario may give them a
# shorter window.
measure_window() {
	local ms=${SCENARIO[window_ms]}
	[[ $1 == relay ]] || ms=${SCENARIO[control_window_ms]:-$ms}
	printf '%s' "$ms"
}

measure_describe() {
	local run_id scenario utc placement sut hops overrides aggregating sinks twin=false living=false
	[[ -z $COMPANION ]] || twin=true
	[[ -z $LIVING || $1 == control ]] || living=true
	run_id=$(measure_run_id "$2")
	scenario=$(scenario_json)
	utc=$(date -u +%Y-%m-%dT%H:%M:%SZ)
	placement=$(placement_json)
	sut=$(sut_json)
	hops=$(measure_hops)
	overrides=$(scenario_overrides_json)
	aggregating=$(profile_aggregating | gojq -Rn '[inputs]')
	sinks=$(gojq -nc '$ARGS.positional | sort' --args "${!SINK[@]}")
	gojq -n --arg kind "$1" --arg run_id "$run_id" --argjson window_ms "$3" --argjson scenario "$scenario" \
		--arg utc "$utc" --arg commit "$COMMIT" --argjson dirty "$DIRTY" --argjson profile "$PROFILE" \
		--argjson placement "$placement" --argjson sut "$sut" --argjson hops "$hops" --argjson overrides "$overrides" \
		--argjson aggregating "$aggregating" --argjson mtu_bytes "$topology_mtu" --argjson sinks "$sinks" --argjson twin "$twin" \
		--argjson living "$living" \
		'{kind: $kind, run_id: $run_id, window_ms: $window_ms, scenario: $scenario, utc: $utc,
		  commit: $commit, dirty: $dirty, profile: $profile, placement: $placement,
		  sut: $sut, hops: $hops, sinks: $sinks, overrides: $overrides,
		  aggregating: $aggregating, mtu_bytes: $mtu_bytes, twin: $twin, living: $living}'
}

# SITTING-NAME, in a sitting of several runs SITTING-NAME/rounds/NN/KIND.
measure_run_id() {
	local id=${1#"${SITTING%/*}"/}
	printf '%s' "${id/.partial/}"
}

# [{"name": "r1", "inputs": ["in0"], "outputs": ["out0"], "downstream": ["r2:in0"], "groups": 1}, ...]
measure_hops() {
	local hop out
	for hop in $topology_hops; do
		for out in ${HOP_OUTS[$hop]:--}; do
			printf '%s\t%s\t%s\t%s\n' "$hop" "${HOP_INS[$hop]% }" "$out" "${PEER[$hop:$out]:-}"
		done
	done | gojq -Rn --argjson groups "$topology_groups" \
		'[inputs | split("\t")] | group_by(.[0]) | map({name: .[0][0], groups: $groups, inputs: (.[0][1] | split(" ")),
		outputs: map(select(.[2] != "-") | .[2]),
		downstream: map(select(.[2] != "-") | .[3])})'
}
