# shellcheck shell=bash
# chaos: the verb `chaos`: one fault after another (faults.bash), each of a relay of its own, under load; what came of it is judged by
# chaos.py.

readonly CHAOS_PPS=10000 CHAOS_STEADY_MS=1000 CHAOS_HOLD_MS=1000 CHAOS_AFTER_MS=3500 CHAOS_SAMPLE_MS=20

CHAOS=     # non-empty while a relay is troubled
CHAOS_RAW= # the files of the fault at hand

command_chaos() {
	local names name number=0 count status=0
	parse_options '--only --relay-options' "$@"
	((${#ARGUMENTS[@]} == 1)) || refuse "chaos takes the name of one scenario"
	names=$(chaos_chosen)
	count=$(wc -l <<<"$names")
	FREE_MB=200
	chaos_scenario "${ARGUMENTS[0]}"
	sitting_open chaos chaos "$@"
	for name in $names; do
		number=$((number + 1))
		progress "$number of $count: $name: $(chaos_field "$name" 5)"
		chaos_scenario "${ARGUMENTS[0]}"
		chaos_trouble "$name"
	done
	progress_end
	chaos_scenario "${ARGUMENTS[0]}"
	save "$SITTING.partial/run.json" chaos_describe
	python harness.verdict.chaos.chaos "$SITTING.partial" || status=$?
	sitting_finish chaos - "$status"
}

# chaos_chosen: the faults, or those that --only names.
chaos_chosen() {
	local text
	((${#ONLY[@]})) || chaos_names
	for text in "${ONLY[@]}"; do
		[[ $text != --only ]] || continue
		grep -q "^$text|" <<<"$CHAOS_FAULTS" || refuse "--only: no fault '$text'; there are: $(chaos_names | paste -sd' ')"
		printf '%s\n' "$text"
	done
}

# chaos_scenario NAME: its load, so low that a second of it is all that a fault costs, on links that stay when an interface goes.
chaos_scenario() {
	scenario_load "$1"
	scenario_override_all
	[[ ${SCENARIO[topology]} == single ]] || refuse "chaos troubles a single hop; topology ${SCENARIO[topology]} of $1 is none"
	SCENARIO[topology]=segments SCENARIO[sink]=receive SCENARIO[rate_pps]=$CHAOS_PPS SCENARIO[flows]=4 SCENARIO[gso_segments]=1
	SCENARIO[warmup_ms]=$CHAOS_STEADY_MS SCENARIO[report_interval_ms]=200
	[[ ${SCENARIO[payload_bytes]} != imix && ${SCENARIO[payload_bytes]} -gt 1000 && ${SCENARIO[payload_bytes]} -le 1472 ]] ||
		refuse "chaos needs payloads of 1001 to 1472 bytes: that an MTU is too small for them is one of its faults"
	SUT_WITHIN=
}

chaos_describe() {
	local sut scenario
	sut=$(sut_json)
	scenario=$(scenario_json)
	gojq -n --arg utc "$(date -u +%Y-%m-%dT%H:%M:%SZ)" --arg commit "$COMMIT" --argjson dirty "$DIRTY" --argjson profile "$PROFILE" \
		--argjson sut "$sut" --argjson scenario "$scenario" \
		'{utc: $utc, commit: $commit, dirty: $dirty, profile: $profile, sut: ($sut | {name, sha256, options}), declared: $scenario}'
}

# chaos_trouble NAME: leaves what was seen in faults/NAME.
chaos_trouble() {
	local name=$1 ms=$((CHAOS_HOLD_MS + CHAOS_AFTER_MS)) idle injector status=0
	CHAOS=$name CHAOS_RAW=$SITTING.partial/faults/$name
	mkdir -p "$CHAOS_RAW"
	topology_stands= # a fault may have left something
	topology_remove
	topology_ready
	chaos_call before "$name"
	SINK_OPTIONS="--sample-ms $CHAOS_SAMPLE_MS" SUT=()
	profile_begin relay
	sink_start relay "$CHAOS_RAW"
	sut_start "$CHAOS_RAW"
	chaos_state before
	chaos_count before
	idle=$(topology_packets)
	(chaos_inject "$name" "$idle") {lock_fd}>&- &
	injector=$!
	undo_push process_stop "$(process_identity "$injector")"
	traffic_send relay "$CHAOS_RAW" "$ms"
	wait "$injector" || status=$?
	((status == 0)) || die "$EXIT_INVALID" "the fault $name could not be made (exit $status); see above"
	traffic_drain
	chaos_state after
	chaos_count after
	sut_stop "$CHAOS_RAW"
	sink_stop "$CHAOS_RAW"
	profile_end
	SINK_OPTIONS='' SUT_WITHIN='' CHAOS=''
	chaos_settle
	printf '%s' "$CHAOS_FAULTS" | gojq -Rn --arg name "$name" '[inputs | split("|") | select(.[0] == $name)][0] | {name: .[0],
		limit_ms: (.[1] | tonumber), keeps: (.[2] == "keep"), may_lose: (.[3] | split(" ") | map(select(. != ""))), what: .[4]}' \
		>"$CHAOS_RAW/declared.json"
}

# chaos_settle: files that lay on a disk of their own come to the others.
chaos_settle() {
	mountpoint -q "$CHAOS_RAW" || return 0
	mkdir "$CHAOS_RAW.kept"
	cp -r "$CHAOS_RAW/." "$CHAOS_RAW.kept"
	umount "$CHAOS_RAW"
	rmdir "$CHAOS_RAW"
	mv "$CHAOS_RAW.kept" "$CHAOS_RAW"
}

# chaos_call before|begin|end NAME: nothing where the fault has no such part.
chaos_call() {
	! declare -F "chaos_$1_$2" >/dev/null || "chaos_$1_$2"
}

# chaos_inject NAME IDLE: the fault, some time after packets began to flow; before, the links had carried IDLE packets. One without an end
# has ended when it has begun.
chaos_inject() {
	local begun ended
	fault_await_traffic "$2"
	pause "$((CHAOS_STEADY_MS / 1000)).$(printf '%03d' $((CHAOS_STEADY_MS % 1000)))"
	uptime_ms begun
	chaos_call begin "$1"
	: >"$CHAOS_RAW/begun"
	if declare -F "chaos_end_$1" >/dev/null; then
		pause "$((CHAOS_HOLD_MS / 1000)).$(printf '%03d' $((CHAOS_HOLD_MS % 1000)))"
		chaos_call end "$1"
	fi
	uptime_ms ended
	printf '{"begun_ms": %d, "ended_ms": %d}\n' "$begun" "$ended" >"$CHAOS_RAW/times.json"
}

# chaos_count WHEN [NODE:INTERFACE]: the counters of all links, or of the one that is about to go, in links.WHEN.json.
chaos_count() {
	topology_counters | gojq --arg end "${2:-}" 'with_entries(select($end == "" or .key == $end))' >"$CHAOS_RAW/links.$1.json"
}

# chaos_state WHEN: what the relay has of the machine, and how its interfaces are set, in state.WHEN.json.
chaos_state() {
	local pid rss=0 descriptors=0 threads=0 processes=0 value files tasks
	for pid in $(chaos_processes); do
		[[ -d /proc/$pid ]] || continue
		files=("/proc/$pid/fd/"*) tasks=("/proc/$pid/task/"*)
		value=$(awk '/^RssAnon|^RssShmem/ {sum += $2} END {print sum * 1024}' "/proc/$pid/status")
		rss=$((rss + value)) descriptors=$((descriptors + ${#files[@]})) threads=$((threads + ${#tasks[@]})) processes=$((processes + 1))
	done
	{
		printf '{"processes": %d, "own_bytes": %d, "descriptors": %d, "threads": %d}\n' "$processes" "$rss" "$descriptors" "$threads"
		in_r1 -j -d link show type veth
		in_r1 -j maddr show
	} | gojq -s '.[0] + {interfaces: (.[1] | map({key: .ifname, value: {promiscuity, allmulti: (.flags | contains(["ALLMULTI"])), mtu,
		operstate}}) | from_entries), groups: [.[2][] | select(.ifname | test("^(in|out)0$")) | .ifname as $name | .maddr[]?
		| select(.family == "inet") | "\($name) \(.address)"] | sort}' >"$CHAOS_RAW/state.$1.json"
}
