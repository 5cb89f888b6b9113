# shellcheck shell=bash
# sweep: the verb `sweep`: one change of a scenario at a time, in each link profile.

command_sweep() {
	local plan fanout=- status=0
	parse_options '--rounds --only' "$@"
	ROUNDS=${ROUNDS:-3}
	((${#ARGUMENTS[@]} == 1)) || refuse "sweep takes the name of one scenario"
	scenario_load "${ARGUMENTS[0]}"
	[[ ${SCENARIO[topology]} != single ]] || fanout=1
	[[ ${SCENARIO[topology]} != fanout ]] || fanout=${SCENARIO[fanout]}
	plan=$(python harness.report.sweep plan "${ARGUMENTS[0]}" --payload "${SCENARIO[payload_bytes]}" \
		--flows "${SCENARIO[flows]}" --fanout="$fanout" --rounds "$ROUNDS" "${ONLY[@]}")
	[[ -n $plan ]] || refuse "--only: no variant has '${ONLY[1]}' in its name"
	variants_check "$plan"
	FREE_MB=200
	sitting_open "${ARGUMENTS[0]}" sweep "$@"
	variants_measure "$plan"
	sitting_keep
	trap '' PIPE
	python harness.report.sweep show "$SITTING" || status=$?
	say $'\n'"results: $SITTING"
	exit "$status"
}
