# shellcheck shell=bash
# budget: work per packet, counted from outside: perf watches the workers of the first hop, at a rate far below
# saturation. Generator and relay share a core, so that each burst is complete when the relay finds it:
# the figures hardly vary, whatever the neighbours do.

readonly BUDGET_ALLOCATORS='malloc calloc realloc mmap'

# Where allocations are seen: uprobes, which stay defined until the end.
budget_probes() {
	local libc name known
	libc=$({ ldd "$RELAY" || true; } | awk '$1 ~ /^libc\.so/ {print $3}')
	[[ -n $libc ]] || die "$EXIT_INVALID" "$RELAY uses no libc that perf could watch: allocations cannot be counted"
	known=$(perf probe --quiet --list 2>/dev/null) || known=
	for name in $BUDGET_ALLOCATORS; do
		[[ ! $known =~ mcrelay_budget:$name($|[^[:alnum:]_]) ]] || continue
		undo_push budget_remove_probe "$name"
		perf probe --quiet --exec "$libc" --add "mcrelay_budget:$name=$name" >"$STATE/probe.log" 2>&1 ||
			die "$EXIT_INCONCLUSIVE" "perf cannot watch $name: $(tail -1 "$STATE/probe.log")"
	done
}

budget_remove_probe() {
	perf probe --quiet --del "mcrelay_budget:$1" >/dev/null 2>&1
}

budget_start() {
	local workers name events=raw_syscalls:sys_enter,syscalls:sys_enter_write,syscalls:sys_enter_writev
	events+=,context-switches,page-faults
	for name in $BUDGET_ALLOCATORS; do
		events+=,mcrelay_budget:$name
	done
	workers=$(process_children "${SUT[r1]%%:*}" | paste -sd,) || true
	[[ -n $workers ]] || die "$EXIT_INVALID" "the relay of r1 has no workers to watch"
	perf stat --field-separator , --event "$events" --pid "$workers" --output "$1/perf.csv" \
		>"$1/perf.log" 2>&1 {lock_fd}>&- &
	WATCHER=$!
	undo_push process_stop "$(process_identity "$WATCHER")"
	poll 5 perf_watches || die "$EXIT_INVALID" "perf did not start: $(last_words "$1/perf.log")"
}

budget_end() {
	kill -INT "$WATCHER" 2>/dev/null || true
	wait "$WATCHER" || true # it ends by the signal
	[[ -s $1/perf.csv ]] || die "$EXIT_INVALID" "perf failed: $(last_words "$1/perf.log")"
}

command_budget() {
	local round status=0
	parse_options '--rounds --accept --base --relay-options' "$@"
	ROUNDS=${ROUNDS:-3}
	((${#ARGUMENTS[@]} == 0)) || refuse "unexpected argument '${ARGUMENTS[0]}'"
	[[ -z $ACCEPT || -z ${OVERRIDES[relay_options]:-} ]] || refuse "--accept is for the relay as it is, without --relay-options"
	perf_require
	terms_default --rounds "$ROUNDS" 3
	if [[ -n $ACCEPT ]]; then
		UNOFFICIAL+=("--accept: the budget is what was measured")
	else
		terms_take budget "$@"
	fi
	sitting_begin budget budget "$@"
	verify_measure "$SITTING.partial/verified"
	budget_probes
	WATCHED=budget
	for ((round = 1; round <= ROUNDS; round++)); do
		progress "work per packet: run $round of $ROUNDS"
		measure relay "$SITTING.partial/rounds/$(printf '%02d' "$round")/relay"
	done
	progress_end
	python harness.verdict.budget.budget "$SITTING.partial" "$BASELINES/budgets.json" ${ACCEPT:+--accept} || status=$?
	[[ -s $SITTING.partial/budget.json ]] || no_verdict "$status"
	sitting_keep
	say $'\n'"results: $SITTING"
	exit "$status"
}
