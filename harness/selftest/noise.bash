# shellcheck shell=bash
# noise: the verb `noise`.

noise_run() {
	measure relay "$SITTING.partial/runs/$(printf '%04d' "$1")/relay"
}

# A share of what it can carry, where the scenario asks for that.
noise_rate() {
	COMPARED=([base]=$RELAY) SHA256=([base]=$RELAY_SHA256) COMPARE_COMMON=${SCENARIO[relay_options]:-}
	compare_rate "$SITTING.partial"
}

# The same program again and again, in pairs as compare has them: what `harness.selftest.power` replays.
command_noise() {
	local runs number
	parse_options '--relay-options' "$@"
	[[ ${#ARGUMENTS[@]} == 2 && ${ARGUMENTS[1]} =~ ^([2468]|[1-9][0-9]{0,2}[02468])$ ]] ||
		refuse "noise takes the name of a scenario and an even number of runs from 2 to 9998"
	runs=${ARGUMENTS[1]}
	FREE_MB=500
	sitting_begin "${ARGUMENTS[0]}" noise "$@"
	[[ -n ${SCENARIO[compare]:-} ]] || refuse "scenario ${SCENARIO[name]} does not say what to compare (key 'compare')"
	compare_shape
	noise_rate
	for ((number = 1; number <= runs; number += 2)); do
		progress "${SCENARIO[name]}: runs $number and $((number + 1)) of $runs"
		# as often as compare does: beside every second pair
		((number % 4 != 1)) || measure control "$SITTING.partial/runs/$(printf '%04d' "$number")/control"
		if [[ ${SCENARIO[twin]:-no} != no ]]; then
			twins_measure noise_run "$number" "$((number + 1))"
		else
			noise_run "$number"
			noise_run "$((number + 1))"
		fi
		find "$SITTING.partial/runs" -name raw -prune -exec rm -r {} +
	done
	progress_end
	python harness.selftest.noise "$SITTING.partial" --metric "${SCENARIO[compare]}" || exit "$?"
	sitting_keep
	say "noise: $SITTING/noise.json"
}
