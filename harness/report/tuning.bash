# shellcheck shell=bash
# tuning: the verb `tuning`: what the settings of host/tuning.bash are worth, all together and each alone, side by side.

command_tuning() {
	local round name names status=0
	parse_options '--rounds --only --profile --payload --flows --fanout' "$@"
	ROUNDS=${ROUNDS:-3}
	((${#ARGUMENTS[@]} <= 1)) || refuse "tuning takes the name of one scenario"
	names=$(tuning_chosen)
	sitting_begin "${ARGUMENTS[0]:-single-hop-flood}" tuning "$@"
	for ((round = 1; round <= ROUNDS; round++)); do
		progress "round $round of $ROUNDS: control"
		measure control "$SITTING.partial/rounds/$(printf '%02d' "$round")/control"
		for name in untuned tuned $names; do
			progress "round $round of $ROUNDS: $name"
			SCENARIO[tuning]=$name
			measure relay "$SITTING.partial/rounds/$(printf '%02d' "$round")/${name//_/-}"
		done
		unset 'SCENARIO[tuning]'
	done
	progress_end
	sitting_keep
	python harness.report.matrix "$SITTING" setting || status=$?
	say $'\n'"results: $SITTING"
	exit "$status"
}

# tuning_chosen: the settings, or those that --only names.
tuning_chosen() {
	local text names
	names=$(tuning_names)
	((${#ONLY[@]})) || printf '%s\n' "$names"
	for text in "${ONLY[@]}"; do
		[[ $text != --only ]] || continue
		grep -qx "$text" <<<"$names" || refuse "--only: no setting '$text'; there are: ${names//$'\n'/ }"
		printf '%s\n' "$text"
	done
}
