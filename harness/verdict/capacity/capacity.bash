# shellcheck shell=bash
# capacity: how much passes, packets/s: trials of one second with one relay that stays, until the search (mlrsearch.py) has its
# bounds or its time is over; then how long packets take at some of that. See capacity.py.

readonly CAPACITY_TRIAL_MS=1000 CAPACITY_FLOOD_PPS=99999999 CAPACITY_MINUTES=5
readonly CAPACITY_SHARES='10 50 90' # percent of the lower bound, at which latency is measured

CAPACITY_FOLDER= # of the search at hand: trials/, raw/

command_capacity() {
	local goals=(ndr pdr)
	parse_options '--goal --budget --sut --profile --payload --flows --fanout --relay-options' "$@"
	((${#ARGUMENTS[@]} == 1)) || refuse "capacity takes the name of one scenario"
	[[ -z $GOAL ]] || goals=("$GOAL")
	sitting_begin "${ARGUMENTS[0]}" capacity "$@"
	capacity_search "$SITTING.partial" "$(capacity_limit_s)" "${goals[@]}"
	capacity_latency "${goals[@]}"
	progress_end
	save "$SITTING.partial/raw/run.json" measure_describe relay "$SITTING.partial" "$CAPACITY_TRIAL_MS"
	capacity_finish "${goals[@]}"
}

# capacity_search FOLDER SECONDS GOAL...: trials of the scenario at hand, until the bounds are found or that time is over.
capacity_search() {
	local load number=0 raw=$1/raw begun limit=$2 goals=("${@:3}")
	CAPACITY_FOLDER=$1
	mkdir -p "$raw"
	SCENARIO[sink]=count SCENARIO[warmup_ms]=0
	routes_in_a_row || refuse "capacity offers packets to hops in a row, and topology ${SCENARIO[topology]} is none; take single or fanout"
	topology_ready
	[[ -n ${HOP_OUTS[${topology_hops##* }]:-} ]] || refuse \
		"capacity counts what leaves the last hop, and that of topology ${SCENARIO[topology]} sends nothing on; take single or fanout"
	profile_begin relay
	SINK=() SUT=()
	sut_start "$raw"
	progress "what the generator can offer"
	capacity_trial flood "$CAPACITY_FLOOD_PPS" # and the relay has warmed up
	begun=$(clock_s)
	while (($(clock_s) - begun < limit)); do
		load=$(capacity_ask next "${goals[@]}") || no_verdict "$?" "the trials could not be judged"
		[[ -n $load ]] || break
		number=$((number + 1))
		progress "trial $number: $load packets/s, for $(($(clock_s) - begun)) of $limit s at most"
		capacity_trial "$(printf '%03d' "$number")" "$load"
		sut_check_alive "$raw"
	done
	sut_stop "$raw"
	profile_end
}

capacity_finish() {
	local status=0
	capacity_ask finish "$@" || status=$?
	sitting_finish capacity curve "$status"
}

# capacity_ask next|lower|passes|finish GOAL...: of the search at hand.
capacity_ask() {
	local command=$1 hops
	hops=$(measure_hops)
	python harness.verdict.capacity.capacity "$command" "$CAPACITY_FOLDER" --hops "$hops" --goal "${@:2}" --history "$RESULTS/history"
}

capacity_limit_s() {
	local tenths=${BUDGET:-$CAPACITY_MINUTES}
	[[ $tenths == *.* ]] || tenths+=.0
	printf '%s' $((10#${tenths/./} * 6))
}

# capacity_trial NAME LOAD: one, in CAPACITY_FOLDER/trials/NAME; its cool-down is part of it.
capacity_trial() {
	local dir=$CAPACITY_FOLDER/trials/$1
	mkdir -p "$dir"
	SCENARIO[rate_pps]=$2
	printf '{"load_pps": %s, "seconds": %s.%03d}\n' "$2" $((CAPACITY_TRIAL_MS / 1000)) $((CAPACITY_TRIAL_MS % 1000)) >"$dir/trial.json"
	save "$dir/links.before.json" topology_counters
	traffic_send relay "$dir" $((CAPACITY_TRIAL_MS - 200))
	traffic_drain
	save "$dir/links.after.json" topology_counters
}

# capacity_latency GOAL...: runs with a receiver, of a new relay each, at shares of what the last goal's lower bound is. A receiver
# reads one group of a link; where there are more, nobody can tell.
capacity_latency() {
	local share lower
	((topology_groups == 1)) && [[ $SYSTEM == relay ]] || return 0
	lower=$(capacity_ask lower "$@") || no_verdict "$?" "the trials could not be judged"
	[[ -n $lower ]] || return 0
	scenario_load "${SCENARIO[name]}"
	scenario_override_all
	SCENARIO[sink]=receive
	for share in $CAPACITY_SHARES; do
		SCENARIO[rate_pps]=$((lower * share / 100))
		((SCENARIO[rate_pps] > 0)) || continue
		progress "latency at $share % of $lower packets/s"
		measure relay "$SITTING.partial/latency/$(printf '%03d' "$share")"
	done
}

# capacity_known VARIABLE SECONDS FOLDER: of the scenario at hand, packets/s of which 99.5 % pass: as it was found on this machine last,
# or by a search of that long now, whose trials stay in FOLDER.
capacity_known() {
	local -n capacity_found=$1
	local profile
	profile=$(gojq -r .id <<<"$PROFILE")
	capacity_found=$(python harness.verdict.capacity.last "$RESULTS/history" "$profile" "${SCENARIO[name]}") || exit "$?"
	[[ -z $capacity_found ]] || return 0
	scenario_aside capacity_search "$3" "$2" pdr
	capacity_found=$(capacity_ask passes pdr) || no_verdict "$?" "the trials could not be judged"
	[[ -n $capacity_found ]] || die "$EXIT_INCONCLUSIVE" \
		"within $2 s no rate was found that passes; look for it with: bench capacity ${SCENARIO[name]}"
}
