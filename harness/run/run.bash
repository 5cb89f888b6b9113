# shellcheck shell=bash
# run: the verb `run`, one run of a scenario.

command_run() {
	local kind=relay
	parse_options '--control --sut --profile --payload --flows --fanout --relay-options' "$@"
	((${#ARGUMENTS[@]} == 1)) || refuse "run takes the name of one scenario"
	[[ -z $CONTROL ]] || kind=control
	fault_choose
	sitting_begin "${ARGUMENTS[0]}" run "$@"
	progress "${SCENARIO[name]}: $kind run of $(seconds "$(measure_window "$kind")")"
	measure "$kind" "$SITTING.partial"
	progress_end
	sitting_keep
	show "$SITTING/result.json"
	say $'\n'"result: $SITTING/result.json"
	[[ $(gojq .valid "$SITTING/result.json") == true ]] || exit "$EXIT_INVALID"
}
