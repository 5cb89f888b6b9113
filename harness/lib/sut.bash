# shellcheck shell=bash
# sut: the relay of each hop: rules, start, readiness, end.

declare -A SUT=() # hop -> process identity

# The nth hop receives the nth group and sends the next one through each of its outputs; a hop
# without outputs receives and counts.
readonly GROUP_PREFIX=239.255.77 PORT=5000

sut_rules() {
	local number=$1
	shift
	jq -n --arg in "$GROUP_PREFIX.$number" --arg out "$GROUP_PREFIX.$((number + 1))" \
		--argjson port "$PORT" \
		'{rules: [{id: "bench", input: {interface: "in0", group: $in, port: $port},
		  outputs: [$ARGS.positional[] | {interface: ., group: $out, port: $port, ttl: 4}]}]}' \
		--args "$@"
}

# sut_start HOP NUMBER RAW: starts the hop's relay; its output goes to files in RAW.
sut_start() {
	local hop=$1 raw=$3 options
	read -ra options <<<"${SCENARIO[relay_options]:-}"
	# shellcheck disable=SC2086 # a list of words
	save "$raw/$hop.rules.json" sut_rules "$2" ${HOP_OUTS[$hop]}
	# shellcheck disable=SC2046 # a list of words
	in_node "$hop" $(pinned "$hop") "$RELAY" --config "$raw/$hop.rules.json" \
		--stats-interval-ms 100 --stats-series "$raw/$hop.series.ndjson" \
		--stats-file "$raw/$hop.stats.json" "${options[@]}" \
		>"$raw/$hop.log" 2>&1 {lock_fd}>&- &
	SUT[$hop]=$(process_identity $!) || die "$EXIT_INVALID" "the relay of $hop did not start"
	undo_push process_stop "${SUT[$hop]}"
	if ! poll 5 sut_ready_or_dead "$hop" "$raw" || process_dead "${SUT[$hop]}"; then
		die "$EXIT_INVALID" "the relay of $hop did not get ready: $(last_words "$raw/$hop.log")"
	fi
	sha256sum "/proc/${SUT[$hop]%%:*}/exe" | cut -d' ' -f1 >"$raw/$hop.sha256"
}

sut_ready_or_dead() {
	grep -qs '^\[INFO:[A-Za-z]*\] ready' "$2/$1.log" || process_dead "${SUT[$1]}"
}

sut_check_alive() {
	local hop
	for hop in $topology_hops; do
		process_alive "${SUT[$hop]}" || die "$EXIT_INVALID" \
			"the relay of $hop died during the run: $(last_words "$1/$hop.log")"
	done
}

# In the order of the hops, each one drained before the next: what one still sends, the next
# still receives. The exit codes go to RAW; a relay that had to be killed shows up there.
sut_stop() {
	local hop status
	for hop in $topology_hops; do
		process_stop "${SUT[$hop]}"
		status=0
		wait "${SUT[$hop]%%:*}" || status=$?
		printf '%s\n' "$status" >"$1/$hop.exit"
	done
}
