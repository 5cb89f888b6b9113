# shellcheck shell=bash
# drift: the verb `drift`.

command_drift() {
	parse_options '' "$@"
	((${#ARGUMENTS[@]} <= 1)) || refuse "drift takes the name of one machine at most"
	exec /usr/bin/python3 "$HARNESS/start.py" harness.history.drift "$RESULTS/history" "${ARGUMENTS[0]:-$(host_id)}"
}
