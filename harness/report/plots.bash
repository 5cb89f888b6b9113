# shellcheck shell=bash
# plots: the verb `plot`.

command_plot() {
	parse_options '' "$@"
	[[ ${ARGUMENTS[0]:-} == history && ${#ARGUMENTS[@]} -le 2 ]] ||
		refuse "plot takes 'history' and perhaps its folder"
	exec /usr/bin/python3 "$HARNESS/start.py" harness.report.plots "${ARGUMENTS[1]:-$RESULTS/history}" "$RESULTS/plots"
}
