# shellcheck shell=bash
# stages: where a relay's time goes. perf watches the workers of the first hop while traffic flows;
# stages.py sorts what it saw into the stages of a packet's way.

readonly STAGES_HZ=1999

# stages_start RAW: called when the relays run and before traffic does.
stages_start() {
	local workers
	workers=$(process_children "${SUT[r1]%%:*}" | paste -sd,) || true
	[[ -n $workers ]] || die "$EXIT_INVALID" "the relay of r1 has no workers to watch"
	perf record --quiet --call-graph fp --freq "$STAGES_HZ" --delay "${SCENARIO[warmup_ms]}" --pid "$workers" \
		--output "$1/perf.data" >"$1/perf.log" 2>&1 {lock_fd}>&- &
	WATCHER=$!
	undo_push process_stop "$(process_identity "$WATCHER")"
	poll 5 perf_watches || die "$EXIT_INVALID" "perf did not start: $(last_words "$1/perf.log")"
}

# stages_end RAW: called when the window is over. The samples as text, for stages.py.
stages_end() {
	kill -INT "$WATCHER" 2>/dev/null || true
	wait "$WATCHER" || true # it ends by the signal
	perf script --input "$1/perf.data" --fields comm,ip,sym,dso --no-inline >"$1/perf.txt" 2>>"$1/perf.log" ||
		die "$EXIT_INVALID" "perf failed: $(last_words "$1/perf.log")"
	rm "$1/perf.data"
}

command_profile() {
	local status=0
	parse_options '--profile --payload --flows --fanout' "$@"
	((${#ARGUMENTS[@]} == 1)) || refuse "profile takes the name of one scenario"
	perf_require
	FREE_MB=200
	sitting_begin "${ARGUMENTS[0]}" profile "$@"
	progress "${SCENARIO[name]}: control"
	measure control "$SITTING.partial/control"
	progress "${SCENARIO[name]}: relay, watched by perf"
	WATCHED=stages
	measure relay "$SITTING.partial/relay"
	progress_end
	sitting_keep
	python harness.report.stages "$SITTING" || status=$?
	say $'\n'"results: $SITTING"
	exit "$status"
}
