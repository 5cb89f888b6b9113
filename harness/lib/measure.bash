# shellcheck shell=bash
# measure: one run, from counters before to result.json. The topology stands already.

# measure relay|control DIR: leaves DIR/raw and DIR/result.json. A control is the same traffic over
# the same links with no relay.
measure() {
	local kind=$1 dir=$2 raw=$2/raw number=0 hop
	mkdir -p "$raw"
	topology_offloads >"$raw/offloads.before.json"
	if [[ $kind == relay ]]; then
		for hop in $topology_hops; do
			number=$((number + 1))
			sut_start "$hop" "$number" "$raw"
		done
	fi
	topology_counters >"$raw/links.before.json"
	traffic_send "$raw"
	[[ $kind == control ]] || sut_check_alive "$raw"
	traffic_drain
	[[ $kind == control ]] || sut_stop "$raw"
	topology_counters >"$raw/links.after.json"
	topology_offloads >"$raw/offloads.after.json"
	measure_describe "$kind" "$dir" >"$raw/run.json"
	"$HARNESS/result.py" "$raw" "$dir/result.json" ||
		die "$EXIT_INVALID" "the raw data in $raw could not be evaluated"
}

measure_describe() {
	jq -n --arg kind "$1" --arg run_id "$(basename "$2")" --argjson scenario "$(scenario_json)" \
		--arg utc "$(date -u +%Y-%m-%dT%H:%M:%SZ)" --arg commit "$COMMIT" \
		--argjson dirty "$DIRTY" --argjson profile "$PROFILE" \
		--argjson placement "$(placement_json)" --arg relay "$RELAY" \
		--arg built "$RELAY_SHA256" --argjson hops "$(measure_hops)" \
		'{kind: $kind, run_id: $run_id, scenario: $scenario, utc: $utc, commit: $commit,
		  dirty: $dirty, profile: $profile, placement: $placement,
		  relay: {path: $relay, sha256: $built}, hops: $hops}'
}

# [{"name": "r1", "outputs": ["out0"], "downstream": ["r2:in0"]}, ...]
measure_hops() {
	local hop out
	for hop in $topology_hops; do
		for out in ${HOP_OUTS[$hop]:--}; do
			printf '%s\t%s\t%s\n' "$hop" "$out" "${PEER[$hop:$out]:-}"
		done
	done | jq -Rn '[inputs | split("\t")] | group_by(.[0]) | map({name: .[0][0],
		outputs: map(select(.[1] != "-") | .[1]),
		downstream: map(select(.[1] != "-") | .[2])})'
}

# sitting_begin SCENARIO ARGUMENTS...: everything that the runs of one sitting share.
sitting_begin() {
	scenario_load "$1"
	host_require_root "${@:2}"
	[[ -x $RELAY ]] || die "$EXIT_USAGE" "no relay at $RELAY; run: make"
	[[ -x $BUILD/trafficgen ]] || die "$EXIT_USAGE" "no trafficgen at $BUILD/trafficgen; run: make"
	host_lock
	undo_begin
	COMMIT=$(host_commit)
	DIRTY=false
	! host_dirty || DIRTY=true
	PROFILE=$(host_profile)
	RELAY_SHA256=$(sha256sum "$RELAY" | cut -d' ' -f1)
	sitting_open_results "$1"
	host_tune
	topology_load "${SCENARIO[topology]}"
}

# Results grow in a folder named .partial, which gets its name when it is complete.
sitting_open_results() {
	SITTING=$RESULTS/$1/$(date -u +%Y%m%dT%H%M%SZ)-$COMMIT
	mkdir -p "$SITTING.partial" 2>/dev/null || die "$EXIT_INCONCLUSIVE" \
		"cannot make $SITTING.partial; name a writable folder with --results"
	undo_push sitting_discard "$SITTING.partial"
}

# Runs at exit when the sitting is not complete: an interrupted one leaves nothing, a failed one its
# raw data, for whoever looks for the reason.
sitting_discard() {
	[[ -d $1 ]] || return 0
	if ((exit_status > 128)); then
		rm -rf "$1"
	else
		mv "$1" "${1%.partial}.failed"
		printf 'bench: the raw data is in %s\n' "${1%.partial}.failed" >&2
	fi
}

sitting_keep() {
	mv "$SITTING.partial" "$SITTING"
}
