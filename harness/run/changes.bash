# shellcheck shell=bash
# changes: rules that come and go in the first hop while traffic flows, as many times a second as the scenario's `rule_changes_per_s`
# says; see changes.py.

CHANGES= # identity of the process that makes them

# changes_start RAW
changes_start() {
	local hop=${topology_hops%% *}
	CHANGES=
	[[ -n ${SCENARIO[rule_changes_per_s]:-} ]] || return 0
	/usr/bin/python3 "$HARNESS/start.py" harness.run.changes "$(living_socket "$hop")" "${SCENARIO[rule_changes_per_s]}" "$1/changes.json" \
		>"$1/changes.log" 2>&1 {lock_fd}>&- &
	CHANGES=$(process_identity $!) || die "$EXIT_INVALID" "no process could be started that changes rules"
	undo_push process_stop "$CHANGES"
	poll 5 test -s "$1/changes.log" || die "$EXIT_INVALID" "nobody changes the rules of $hop; see $1/changes.log"
}

# changes_stop RAW
changes_stop() {
	[[ -n $CHANGES ]] || return 0
	process_stop "$CHANGES"
	wait "${CHANGES%%:*}" || die "$EXIT_INVALID" "the rules could not be changed: $(last_words "$1/changes.log")"
	CHANGES=
}
