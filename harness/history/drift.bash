# shellcheck shell=bash
# drift: the verb `drift`.

command_drift() {
	local machine
	parse_options '' "$@"
	((${#ARGUMENTS[@]} <= 1)) || refuse "drift takes the name of one machine at most"
	machine=${ARGUMENTS[0]:-}
	[[ -n $machine ]] || machine=$(host_id)
	[[ $machine =~ ^[a-z0-9][a-z0-9.-]*$ ]] || # as host_id makes them
		refuse "drift: '$machine' is no name of a machine: those are the folders of $RESULTS/history, of a-z, 0-9, '.' and '-'"
	exec /usr/bin/python3 "$HARNESS/start.py" harness.history.drift "$RESULTS/history" "$machine"
}
