# shellcheck shell=bash
# relay: mcrelay in a hop: rules, start, readiness. A hop without outputs receives and counts.

# relay_alone HOP: options with which relays run beside each other; one whose rules change has a socket. Builds from before there was a
# default socket have none.
relay_alone() {
	local help
	if [[ -n $LIVING || -n ${SCENARIO[rule_changes_per_s]:-} || -n $CHAOS ]]; then
		printf -- '--control-socket-path %s' "$(living_socket "$1")"
		return
	fi
	help=$("$RELAY" --help) || true # one that has no help does not start, either, and says why
	[[ $help != *'--control-socket-path PATH|none'* ]] || printf '%s' '--control-socket-path none'
}

# relay_start HOP RAW: its output goes to files in RAW.
relay_start() {
	local hop=$1 raw=$2 options pin words
	words="$(relay_alone "$hop")" # each where a failure of it ends us
	words+=" $(profile_relay_options "$hop")"
	read -ra options <<<"$words"
	pin=$(pinned "$hop")
	save "$raw/$hop.rules.json" routes_rules "$hop"
	# shellcheck disable=SC2086 # lists of words
	in_node "$hop" $pin $SUT_WITHIN "$RELAY" --config "$raw/$hop.rules.json" \
		--stats-interval-ms "${SCENARIO[report_interval_ms]:-100}" --stats-series "$raw/$hop.series.ndjson" \
		--stats-file "$raw/$hop.stats.json" "${options[@]}" \
		>"$raw/$hop.log" 2>&1 {lock_fd}>&- &
	sut_started "$hop" $!
	if ! poll 5 relay_ready_or_dead "$hop" "$raw" || process_dead "${SUT[$hop]}"; then
		die "$EXIT_INVALID" "the relay of $hop did not get ready: $(last_words "$raw/$hop.log")"
	fi
	sut_note_program "$hop" "$raw"
}

relay_ready_or_dead() {
	grep -qs '^\[INFO:[A-Za-z]*\] ready' "$2/$1.log" || process_dead "${SUT[$1]}"
}
