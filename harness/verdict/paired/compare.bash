# shellcheck shell=bash
# compare: two builds of the relay, made alike, run in turn on the same links in the same minutes.

declare -A COPIED=() # base, head -> the copy of the program that runs in this pair
COMPARE_NOTES=() # what the verdict has to say about how it came to be
COMPARE_QUESTION=change # or reference, or shape: paired.py has the rule of each
readonly COMPARE_WINDOW_MS=2000 COMPARE_CONTROL_MS=1000 COMPARE_SEARCH_S=15

# compare_scenario NAME: pairs until there is a verdict on this scenario, in SITTING/NAME/verdict.json.
compare_scenario() {
	local name=$1 dir=$SITTING.partial/$1 plan block number who count=0
	scenario_load "$name"
	scenario_override_all
	shape_scenario
	COMPARE_COMMON=${SCENARIO[relay_options]:-}
	compare_shape
	[[ $COMPARE_QUESTION != reference ]] || reference_known_options
	mkdir -p "$dir"
	compare_rate "$dir"
	for who in base head; do
		compare_as "$who" "${COMPARED[$who]}"
		verify_measure "$dir/verified/$who"
	done
	topology_ready
	COMPARE_BEGUN=$(clock_s)
	while true; do
		plan=$(compare_ask "$dir") || no_verdict "$?" "the pairs of $name could not be judged"
		[[ -n $plan ]] || break
		while read -r block number who; do
			if ! compare_in_time; then
				# the pairs since the last look are kept, too
				compare_ask "$dir" >/dev/null || no_verdict "$?" "the pairs of $name could not be judged"
				break 2
			fi
			compare_progress "$name" "$block" "$number" "$plan" "$count"
			((count % 2)) || measure control "$dir/$block/$number/control"
			count=$((count + 1))
			COMPARE_PAIR=$dir/$block/$number
			# shellcheck disable=SC2086 # two words
			compare_copy $who
			# shellcheck disable=SC2086
			if [[ ${SCENARIO[twin]:-no} != no ]]; then
				twins_measure compare_run $who
			else
				for who in $who; do
					compare_run "$who"
				done
			fi
			compare_pair_valid || break # which the next look says
		done <<<"$plan"
	done
	progress_end
}

# A run that does not count makes the whole comparison invalid; more of them would not change that.
compare_pair_valid() {
	gojq -es 'all(.valid)' "$COMPARE_PAIR"/*/result.json >/dev/null
}

# compare_copy base|head base|head: fresh copies of both programs for one pair, made in the order in which they run. In which
# pages of memory a program lies makes it faster or slower, for as long as it lies there: a copy of one and the same
# program was the faster one in 26 of 30 sittings. Made anew for each pair, that is noise like any other.
compare_copy() {
	local who copies=$SITTING.partial/programs
	rm -rf "$copies"
	mkdir "$copies"
	for who in "$@"; do
		cp -- "${COMPARED[$who]}" "$copies/$who" || die "$EXIT_INCONCLUSIVE" \
			"cannot copy ${COMPARED[$who]} to $copies; make room, or name another folder with --results"
		[[ -x $copies/$who ]] || die "$EXIT_INCONCLUSIVE" \
			"no program can run in $copies: it is mounted noexec; name another folder with --results"
		COPIED[$who]=$copies/$who
	done
}

# compare_as base|head PROGRAM: it, with its options, is what is measured.
compare_as() {
	RELAY=$2 RELAY_SHA256=${SHA256[$1]}
	SCENARIO[relay_options]="$COMPARE_COMMON ${BUILD_OPTIONS[$1]}"
	RELAY_LEFT_OUT=${LEFT_OUT[$1]:-}
}

# compare_run base|head: one run of COMPARE_PAIR.
compare_run() {
	compare_as "$1" "${COPIED[$1]}"
	measure relay "$COMPARE_PAIR/$1"
}

# More pairs tell more than longer ones, and a control only has to show what the generator can do. What a scenario says for
# a comparison (compare_window_ms) it means.
compare_shape() {
	local ms
	scenario_as_compared
	[[ -n ${SCENARIO[compare_window_ms]:-} ]] || ((SCENARIO[window_ms] <= COMPARE_WINDOW_MS)) || SCENARIO[window_ms]=$COMPARE_WINDOW_MS
	ms=${SCENARIO[control_window_ms]:-${SCENARIO[window_ms]}}
	SCENARIO[control_window_ms]=$((ms <= COMPARE_CONTROL_MS ? ms : COMPARE_CONTROL_MS))
}

# compare_rate DIR: a share of what base can carry, where the scenario asks for that; the relay in RELAY is base's for the search.
compare_rate() {
	local capacity
	[[ -n ${SCENARIO[capacity_share]:-} ]] || return 0
	compare_as base "${COMPARED[base]}"
	capacity_known capacity "$COMPARE_SEARCH_S" "$1/capacity"
	SCENARIO[rate_pps]=$((capacity * SCENARIO[capacity_share] / 100))
	((SCENARIO[rate_pps] > 0)) || SCENARIO[rate_pps]=1
}

compare_ask() {
	python harness.verdict.paired.compare ask "$1" --metric "${SCENARIO[compare]}" --question "$COMPARE_QUESTION" \
		--base "${SHA256[base]}" --head "${SHA256[head]}"
}

compare_in_time() {
	local tenths=${BUDGET/./}
	[[ $BUDGET == *.* ]] || tenths+=0
	[[ -z $BUDGET ]] || (($(clock_s) - COMPARE_BEGUN < 10#$tenths * 6))
}

# compare_progress SCENARIO BLOCK NUMBER PLAN PAIRS-SO-FAR: what the pairs so far took, the next ones will take.
compare_progress() {
	local last pair_ms=8000
	last=$(tail -1 <<<"$4")
	last=${last#* } last=${last%% *}
	(($5 == 0)) || pair_ms=$((($(clock_s) - COMPARE_BEGUN) * 1000 / $5))
	progress "$1: $2 block, pair $3 of $last for the next look, $(seconds $(((10#$last - 10#$3 + 1) * pair_ms / 1000 * 1000))) to go"
}

command_compare() {
	local status=0 name asked=()
	parse_options '--reference --shape --scenario --when --profile --budget --builds --base --base-options --head-options' "$@"
	asked=("${CHOSEN[@]}")
	baseline_check
	compare_choose_scenarios # what is wrong with the command line is said first
	[[ -n $REFERENCE || -n $SHAPE ]] || compare_find_commits
	compare_differences "${asked[@]}"
	terms_take compare "$@"
	[[ -z $REFERENCE ]] || reference_find_commits
	CHOSEN=("${asked[@]}")
	[[ -z $SHAPE ]] || shape_choose
	compare_choose_scenarios
	asked=()
	FREE_MB=200
	sitting_open compare compare "$@"
	compare_programs
	compare_describe_programs
	undo_push rm -rf "$SITTING.partial/programs"
	[[ -z ${BENCH_CLOCK:-} ]] || COMPARE_NOTES+=("how much time had passed was told by $BENCH_CLOCK")
	if compare_same_program; then
		asked+=(--same-program)
	else
		for name in "${CHOSEN[@]}"; do
			compare_scenario "$name"
		done
		rm -rf "$SITTING.partial/programs"
	fi
	for name in "${CHOSEN[@]}"; do
		asked+=(--scenario "$name")
	done
	for name in "${COMPARE_NOTES[@]}"; do
		asked+=(--note "$name")
	done
	python harness.verdict.paired.compare finish "$SITTING.partial" --base "${SOURCE[base]}" --head "${SOURCE[head]}" \
		--base-sha256 "${SHA256[base]}" --head-sha256 "${SHA256[head]}" \
		"--base-options=${BUILD_OPTIONS[base]}" "--head-options=${BUILD_OPTIONS[head]}" \
		${REFERENCE:+--reference "$BASELINES/reference.json"} ${SHAPE:+--shape "$BASELINES/phase4.json"} ${HEAD:+--head-commit "$HEAD"} \
		"${asked[@]}" --waivers "$BASELINES/waivers.json" --history "$RESULTS/history" || status=$?
	[[ -s $SITTING.partial/compare.json ]] || no_verdict "$status"
	sitting_keep
	compare_summarize "$SITTING/compare.md"
	say $'\n'"results: $SITTING"
	exit "$status"
}

# compare_differences [SCENARIO]...: what is otherwise than in the comparison that a commit is asked for; those that were named.
compare_differences() {
	local who
	((${#BUILDS[@]} == 0)) || UNOFFICIAL+=("--builds ${BUILDS[*]}")
	for who in base head; do
		[[ -z ${BUILD_OPTIONS[$who]} ]] || UNOFFICIAL+=("--$who-options ${BUILD_OPTIONS[$who]}")
	done
	(($# == 0)) || UNOFFICIAL+=("only scenario $*")
}

# Are base and head one program with the same options? There is nothing to measure then. How the gate itself is measured, by
# what it says of a program against itself, asks for it all the same.
compare_same_program() {
	[[ -z ${BENCH_COMPARE_SAME:-} && -n ${SHA256[base]} && ${SHA256[base]} == "${SHA256[head]}" &&
		${BUILD_OPTIONS[base]} == "${BUILD_OPTIONS[head]}" ]]
}

# compare_summarize FILE: to --markdown and to the job's summary, once should both be the same file.
compare_summarize() {
	local summary job=${GITHUB_STEP_SUMMARY:-}
	[[ $job != "$MARKDOWN" ]] || job=
	for summary in "$MARKDOWN" "$job"; do
		[[ -z $summary ]] || cat "$1" >>"$summary" || note "could not write $summary"
	done
}

command_bisect() {
	exec /usr/bin/python3 "$HARNESS/start.py" harness.verdict.paired.bisection "$@"
}
