# shellcheck shell=bash
# budget: work per packet, counted from outside: perf watches the workers of the first hop, at a rate far below
# saturation. Generator and relay share a core, so that each burst is complete when the relay finds it:
# the figures hardly vary, whatever the neighbours do. And from inside: valgrind counts the instructions of the packet path
# (instructions.py), which do not vary at all.

readonly BUDGET_ALLOCATORS='malloc calloc realloc mmap'
readonly BUDGET_PACKET_PATH=relay/tests/cost/packet_path.c

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
	# what the machine's own counters say, where it has any; shown, as kernels and machines differ in it
	[[ $(perf stat --field-separator , --event instructions:u true 2>&1) != [0-9]* ]] || events+=,instructions:u,instructions:k
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

# budget_instructions FOLDER: of the build that is measured, in FOLDER/here; where what was accepted is of another compiler, of the
# base of this change as well, built by this one, in FOLDER/base. FOLDER/reason: why they are not counted. A relay of
# elsewhere may come without the program that counts.
budget_instructions() {
	local folder=$1 build accepted=$BASELINES/instructions.json base
	build=$(dirname "$RELAY")
	mkdir -p "$folder"
	if [[ ! -x $build/packet_path ]]; then
		[[ $RELAY != "$BUILD/mcrelay" ]] || die "$EXIT_USAGE" "no program '$build/packet_path' to count instructions with; run: make"
		printf 'there is no packet_path beside %s\n' "$RELAY" >"$folder/reason"
		return
	fi
	progress "instructions of the packet path"
	budget_count "$folder/here" "$build"
	[[ -z $ACCEPT && $(gojq -r .compiler "$accepted" 2>/dev/null) != "$(<"$folder/here/compiler")" ]] || return 0
	base=$(gojq -r '.base // empty' <<<"${EXPECTATIONS:-null}")
	[[ -n $base ]] && host_git cat-file -e "$base:$BUDGET_PACKET_PATH" 2>/dev/null || return 0
	progress "instructions of the packet path at ${base:0:12}, built by this compiler"
	mkdir "$STATE/tree-base"
	host_git archive "$base" | tar -x -C "$STATE/tree-base" || die "$EXIT_INCONCLUSIVE" "cannot check out $base"
	compare_run_make "$STATE/tree-base" build build/packet_path >"$STATE/build-base.log" 2>&1 || die "$EXIT_INCONCLUSIVE" \
		"${base:0:12} cannot be built: $(last_words "$STATE/build-base.log")"
	budget_count "$folder/base" "$STATE/tree-base/build"
	printf '%s\n' "$base" >"$folder/base/commit"
	rm -rf "$STATE/tree-base"
}

# budget_count FOLDER BUILD: the packet path of one build, for instructions.py to read.
budget_count() {
	local flags=
	mkdir -p "$1"
	[[ ! -e $2/flags ]] || read -r flags <"$2/flags" # without the blanks at its end
	printf '%s; %s; %s\n' "$(readelf -p .comment "$2/packet_path" | sed -n '0,/.*GCC: /s///p')" "$flags" "$(uname -m)" >"$1/compiler"
	valgrind --quiet --tool=callgrind --instr-atstart=no --callgrind-out-file="$1/callgrind.out" "$2/packet_path" \
		>"$1/cases.ndjson" 2>"$1/valgrind.log" {lock_fd}>&- ||
		die "$EXIT_INVALID" "the packet path cannot be counted: $(last_words "$1/valgrind.log")"
	rm -f "$1/callgrind.out" # what came after the last case
}

command_budget() {
	local round status=0
	parse_options '--rounds --accept --base --relay-options' "$@"
	ROUNDS=${ROUNDS:-3}
	((${#ARGUMENTS[@]} == 0)) || refuse "unexpected argument '${ARGUMENTS[0]}'"
	[[ -z $ACCEPT || -z ${OVERRIDES[relay_options]:-} ]] || refuse "--accept is for the relay as it is, without --relay-options"
	perf_require
	command -v valgrind >/dev/null || die "$EXIT_INCONCLUSIVE" "there is no valgrind to count instructions with; run: ci/setup"
	terms_default --rounds "$ROUNDS" 3
	if [[ -n $ACCEPT ]]; then
		UNOFFICIAL+=("--accept: the budget is what was measured")
	else
		terms_take budget "$@"
	fi
	sitting_begin budget budget "$@"
	budget_instructions "$SITTING.partial/instructions"
	verify_measure "$SITTING.partial/verified"
	budget_probes
	WATCHED=budget
	for ((round = 1; round <= ROUNDS; round++)); do
		progress "work per packet: run $round of $ROUNDS"
		measure relay "$SITTING.partial/rounds/$(printf '%02d' "$round")/relay"
	done
	progress_end
	python harness.verdict.budget.budget "$SITTING.partial" "$BASELINES" ${ACCEPT:+--accept} || status=$?
	[[ -s $SITTING.partial/budget.json ]] || no_verdict "$status"
	sitting_keep
	say $'\n'"results: $SITTING"
	exit "$status"
}
