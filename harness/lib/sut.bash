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
	local hop=$1 raw=$3
	# shellcheck disable=SC2086 # lists of words
	sut_rules "$2" ${HOP_OUTS[$hop]} >"$raw/$hop.rules.json"
	# shellcheck disable=SC2046,SC2086
	in_node "$hop" $(pinned "$hop") "$RELAY" --config "$raw/$hop.rules.json" \
		--stats-interval-ms 100 --stats-series "$raw/$hop.series.ndjson" \
		--stats-file "$raw/$hop.stats.json" ${SCENARIO[relay_options]:-} \
		>"$raw/$hop.log" 2>&1 {lock_fd}>&- &
	SUT[$hop]=$(process_identity $!) || die "$EXIT_INVALID" "the relay of $hop did not start"
	undo_push process_stop "${SUT[$hop]}"
	poll 5 sut_ready_or_dead "$hop" "$raw" && process_alive "${SUT[$hop]}" ||
		die "$EXIT_INVALID" "the relay of $hop did not get ready: $(sut_last_words "$raw/$hop.log")"
	sha256sum "/proc/${SUT[$hop]%%:*}/exe" | cut -d' ' -f1 >"$raw/$hop.sha256"
}

sut_ready_or_dead() {
	grep -qs '^\[INFO:Main\] ready' "$2/$1.log" || process_dead "${SUT[$1]}"
}

sut_last_words() {
	local words
	words=$(grep -v '^\[STATS' "$1" | tail -1)
	printf '%s' "${words:-no word in its log}"
}

sut_check_alive() {
	local hop
	for hop in $topology_hops; do
		process_alive "${SUT[$hop]}" || die "$EXIT_INVALID" \
			"the relay of $hop died during the run: $(sut_last_words "$1/$hop.log")"
	done
}

# In the order of the hops, each one drained before the next: what one still sends, the next
# still receives. The exit codes go to RAW.
sut_stop() {
	local hop status
	for hop in $topology_hops; do
		kill -TERM "${SUT[$hop]%%:*}" 2>/dev/null || true
		status=0
		wait "${SUT[$hop]%%:*}" || status=$?
		printf '%s\n' "$status" >"$1/$hop.exit"
	done
}
