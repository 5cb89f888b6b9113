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

# relay_memory HOP RAW: a folder in memory for what the relay writes while it runs, and links to that in RAW: on a disk that is busy its
# supervisor may stand still for half a second, and reports nothing meanwhile. Where a full disk is the point, RAW itself.
relay_memory() {
	local folder file
	if [[ $CHAOS == disk-full ]]; then
		printf '%s' "$2"
		return
	fi
	folder=$(mktemp -d "$STATE/relay-XXXXXX")
	for file in series.ndjson stats.json log; do
		ln -sf "$folder/$1.$file" "$2/$1.$file"
	done
	printf '%s' "$folder"
}

# relay_keep FOLDER: in place of the links below it, what they lead to, if anything.
relay_keep() {
	local link
	while IFS= read -r -d '' link; do
		cp --remove-destination "$(readlink -f "$link")" "$link" 2>/dev/null || rm "$link"
	done < <(find "$1" -type l -print0)
}

# relay_start HOP RAW: its output goes to files in RAW, at the latest when it has ended.
relay_start() {
	local hop=$1 raw=$2 options pin words memory
	words="$(relay_alone "$hop")" # each where a failure of it ends us
	words+=" $(profile_relay_options "$hop")"
	read -ra options <<<"$words"
	pin=$(pinned "$hop")
	save "$raw/$hop.rules.json" routes_rules "$hop"
	memory=$(relay_memory "$hop" "$raw")
	# shellcheck disable=SC2086 # lists of words
	in_node "$hop" $pin $SUT_WITHIN "$RELAY" --config "$raw/$hop.rules.json" \
		--stats-interval-ms "${SCENARIO[report_interval_ms]:-100}" --stats-series "$memory/$hop.series.ndjson" \
		--stats-file "$memory/$hop.stats.json" "${options[@]}" \
		>"$memory/$hop.log" 2>&1 {lock_fd}>&- &
	sut_started "$hop" $!
	if ! poll 5 relay_ready_or_dead "$hop" "$raw" || process_dead "${SUT[$hop]}"; then
		die "$EXIT_INVALID" "the relay of $hop did not get ready: $(last_words "$raw/$hop.log")"
	fi
	sut_note_program "$hop" "$raw"
}

relay_ready_or_dead() {
	grep -qs '^\[INFO:[A-Za-z]*\] ready' "$2/$1.log" || process_dead "${SUT[$1]}"
}
