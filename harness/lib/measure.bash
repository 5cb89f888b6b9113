# shellcheck shell=bash
# measure: one run, from counters before to result.json.

# measure relay|control DIR: leaves DIR/raw and DIR/result.json. A control is the same traffic over
# the same links with no relay.
measure() {
	local kind=$1 dir=$2 raw=$2/raw window_ms
	window_ms=$(measure_window "$kind")
	topology_ready
	mkdir -p "$raw"
	save "$raw/offloads.before.json" topology_offloads
	profile_begin "$kind"
	SINK=() SUT=()
	if [[ $kind == relay ]]; then
		sink_start "$raw"
		sut_start "$raw"
	fi
	[[ -z $WATCHED || $kind == control ]] || "${WATCHED}_start" "$raw"
	save "$raw/links.before.json" topology_counters
	traffic_send "$kind" "$raw" "$window_ms"
	[[ $kind == control ]] || sut_check_alive "$raw"
	[[ -z $WATCHED || $kind == control ]] || "${WATCHED}_end" "$raw"
	save "$raw/offloads.running.json" topology_offloads
	traffic_drain
	if [[ $kind == relay ]]; then
		sut_stop "$raw"
		sink_stop "$raw"
	fi
	save "$raw/links.after.json" topology_counters
	profile_end
	save "$raw/offloads.after.json" topology_offloads
	save "$raw/run.json" measure_describe "$kind" "$dir" "$window_ms"
	"$HARNESS/result.py" "$raw" "$dir/result.json" ||
		die "$EXIT_INVALID" "the raw data in $raw could not be evaluated"
}

# The controls of a sitting only have to show what the generator can do: a scenario may give them a
# shorter window.
measure_window() {
	local ms=${SCENARIO[window_ms]}
	[[ $1 == relay ]] || ms=${SCENARIO[control_window_ms]:-$ms}
	printf '%s' "$ms"
}

measure_describe() {
	jq -n --arg kind "$1" --arg run_id "$(measure_run_id "$2")" --argjson window_ms "$3" \
		--argjson scenario "$(scenario_json)" \
		--arg utc "$(date -u +%Y-%m-%dT%H:%M:%SZ)" --arg commit "$COMMIT" \
		--argjson dirty "$DIRTY" --argjson profile "$PROFILE" \
		--argjson placement "$(placement_json)" --argjson sut "$(sut_json)" \
		--argjson hops "$(measure_hops)" --argjson overrides "$(scenario_overrides_json)" \
		--argjson aggregating "$(profile_aggregating | jq -Rn '[inputs]')" \
		--argjson mtu_bytes "$topology_mtu" \
		--argjson sinks "$(jq -nc '$ARGS.positional | sort' --args "${!SINK[@]}")" \
		'{kind: $kind, run_id: $run_id, window_ms: $window_ms, scenario: $scenario, utc: $utc,
		  commit: $commit, dirty: $dirty, profile: $profile, placement: $placement,
		  sut: $sut, hops: $hops, sinks: $sinks, overrides: $overrides,
		  aggregating: $aggregating, mtu_bytes: $mtu_bytes}'
}

# SITTING-NAME, in a sitting of several runs SITTING-NAME/rounds/NN/KIND.
measure_run_id() {
	local id=${1#"${SITTING%/*}"/}
	printf '%s' "${id/.partial/}"
}

# [{"name": "r1", "outputs": ["out0"], "downstream": ["r2:in0"], "groups": 1}, ...]
measure_hops() {
	local hop out
	for hop in $topology_hops; do
		for out in ${HOP_OUTS[$hop]:--}; do
			printf '%s\t%s\t%s\n' "$hop" "$out" "${PEER[$hop:$out]:-}"
		done
	done | jq -Rn --argjson groups "$topology_groups" \
		'[inputs | split("\t")] | group_by(.[0]) | map({name: .[0][0], groups: $groups,
		outputs: map(select(.[1] != "-") | .[1]),
		downstream: map(select(.[1] != "-") | .[2])})'
}

# sitting_begin SCENARIO ARGUMENTS...: everything that the runs of one sitting share.
sitting_begin() {
	scenario_load "$1"
	scenario_override_all
	sitting_open "$@"
	topology_ready
}

# sitting_open NAME ARGUMENTS...: the same for a sitting of several scenarios.
sitting_open() {
	host_require_root "${@:2}"
	host_lock
	[[ $COMMAND != compare ]] || compare_make_generator
	programs_check
	undo_open "$RUN_ID" "$RUN_ID" # the guard plays it
	COMMIT=$(host_commit)
	DIRTY=false
	! host_dirty || DIRTY=true
	PROFILE=$(host_profile)
	RELAY_SHA256=$(sha256sum "$RELAY" | cut -d' ' -f1)
	sitting_open_results "$1"
	host_tune
}

programs_check() {
	[[ -f $RELAY && -x $RELAY ]] || die "$EXIT_USAGE" "no program '$RELAY' to measure; run: make"
	[[ -x $BUILD/trafficgen ]] || die "$EXIT_USAGE" "no program '$BUILD/trafficgen'; run: make"
	programs_fresh || die "$EXIT_USAGE" "the programs in $BUILD are older than their sources; run: make"
}

# Results name a commit: what was built before it is not measured under its name. make knows, but for build/flags,
# which it makes each time. Programs that were named, or built elsewhere, are taken as they are; compare builds relays
# of its own.
programs_fresh() {
	local programs=(build/trafficgen) # as make knows them
	[[ $BUILD == "$ROOT/build" && -f $BUILD/flags ]] || return 0
	[[ $RELAY != "$BUILD/mcrelay" || $COMMAND == compare ]] || programs+=(build/mcrelay)
	env -u MAKEFLAGS -u MFLAGS make -C "$ROOT" --question --old-file=build/flags BUILD=build "${programs[@]}" \
		>/dev/null 2>&1
}

FREE_MB=32 # the longest gate leaves 5 MB

# Results grow in a folder named .partial, which gets its name when it is complete.
sitting_open_results() {
	local base reason number=1
	base=$RESULTS/$1/$(date -u +%Y%m%dT%H%M%SZ)-$COMMIT
	SITTING=$base
	while [[ -e $SITTING || -e $SITTING.partial || -e $SITTING.failed ]]; do
		number=$((number + 1)) SITTING=$base-$number
	done
	undo_push sitting_discard "$SITTING.partial"
	reason=$(mkdir -p "$SITTING.partial" 2>&1) || die "$EXIT_INCONCLUSIVE" \
		"${reason#mkdir: }; name a writable folder with --results"
	(($(free_mb "$RESULTS") >= FREE_MB)) || die "$EXIT_INCONCLUSIVE" \
		"less than $FREE_MB MB are free in $RESULTS; make room or name another folder with --results"
}

# Runs at the end when the sitting is not complete: an interrupted one leaves nothing, a failed one its
# raw data, for whoever looks for the reason.
sitting_discard() {
	[[ -d $1 ]] || return 0
	if ((exit_status > 128)) || ! find "$1" -type f -size +0 | grep -q .; then
		rm -rf "$1"
		rmdir --ignore-fail-on-non-empty "${1%/*}"
	else
		mv -T "$1" "${1%.partial}.failed"
		note "the raw data is in ${1%.partial}.failed"
		(($(free_mb "${1%/*}") > 0)) || note "the disk under it is full"
	fi
}

free_mb() {
	df --output=avail -B1M -- "$1" | tail -1
}

sitting_keep() {
	mv -T "$SITTING.partial" "$SITTING"
}
