# shellcheck shell=bash
# gate: the verb `gate`: rounds of the PHASE4 pipeline, each with a control, until floor.py has a verdict.

command_gate() {
	local round=0 status=$EXIT_MORE dir baseline history=
	parse_options '--tier --rounds --base --profile --relay-options' "$@"
	ROUNDS=${ROUNDS:-14}
	terms_default --rounds "$ROUNDS" 14
	terms_default --tier "$TIER" target
	((${#ARGUMENTS[@]} == 0)) || refuse "unexpected argument '${ARGUMENTS[0]}'"
	terms_take gate "$@"
	baseline_check
	sitting_begin pipeline-phase4 gate "$@"
	[[ -n ${SCENARIO[baseline]:-} ]] ||
		die "$EXIT_INVALID" "scenario ${SCENARIO[name]} names no baseline"
	baseline=$BASELINES/${SCENARIO[baseline]}.json
	verify_measure "$SITTING.partial/verified"
	while ((status == EXIT_MORE)); do
		round=$((round + 1))
		dir=$SITTING.partial/rounds/$(printf '%02d' "$round")
		progress "round $round of at most $ROUNDS"
		measure control "$dir/control"
		measure relay "$dir/relay"
		status=0
		python harness.verdict.floor.floor "$SITTING.partial" "$baseline" --tier "$TIER" --rounds "$ROUNDS" \
			--history "$RESULTS/history" ||
			status=$?
	done
	progress_end
	[[ -s $SITTING.partial/verdict.json ]] || no_verdict "$status"
	sitting_keep
	# a sitting without a single run is of no machine and no time
	if [[ $(gojq .official "$SITTING/terms.json") != true ]]; then
		note "not in the history, which is of the scenario as committed, with the build of its commit"
	elif gojq -e .profile "$SITTING/verdict.json" >/dev/null; then
		history=$(python harness.history.history append "$SITTING/verdict.json" "$RESULTS/history") ||
			note "this verdict is missing in the history $RESULTS/history"
	fi
	show "$SITTING/verdict.json" --baseline "$baseline"
	[[ -z $history ]] || say $'\n'"history: $history"
	say "verdict: $SITTING/verdict.json"
	exit "$status"
}
