# shellcheck shell=bash
# age: does a relay get worse as it gets older? One relay lives through all of a sitting; what it does is measured beside a fresh one
# of the same program, a twin: when it is young, between loads, and when it is old. `age` floods it, `soak` lets it carry 70 % of
# its capacity, for long, while rules come and go. See age.py.
#
#   young/NN  between/NN  old/NN  confirmation/NN   pairs: base is a fresh relay, head the one that lives on
#   read-young/NN  read-old/NN                      pairs with receivers, at a rate at which nothing needs to be lost
#   load/NN                                         what makes it older: runs of it alone
#   processes.ndjson                                memory and descriptors of its processes, after each of these
#   changes.log                                     a line for each change of its rules

readonly AGE_PACKETS=20000000 AGE_LOADS=5 AGE_LOAD_S=5 AGE_YOUNG=2 AGE_READS=2 AGE_READ_PPS=20000 AGE_CHANGES=10 AGE_WARMUP_MS=500 AGE_FLOOD_PPS=99999999
readonly SOAK_S=3600 SOAK_SHARE=70 SOAK_LOADS=3 SOAK_LOAD_S=60 SOAK_PAIRS=6 SOAK_SEARCH_S=30
readonly AGE_RULE=bench-age

AGE_PAIR=  # the folder of the pair at hand
AGE_RATE=  # of a load, packets/s

command_age() {
	parse_options '--packets --duration --base --profile --relay-options' "$@"
	[[ -z $PACKETS || -z $DURATION ]] || refuse "--packets and --duration exclude each other"
	terms_default --packets "${PACKETS:-$AGE_PACKETS}" "$AGE_PACKETS"
	AGE_RATE=$AGE_FLOOD_PPS
	age_sitting age "$@"
}

command_soak() {
	parse_options '--duration --base --profile --relay-options' "$@"
	DURATION=${DURATION:-$SOAK_S}
	((DURATION >= 30)) || refuse "--duration: a soak of $DURATION s tells nothing; take 30s or more"
	age_sitting soak "$@"
}

# age_sitting age|soak ARGUMENT...
age_sitting() {
	local kind=$1 number
	((${#ARGUMENTS[@]} == 1)) || refuse "$kind takes the name of one scenario"
	[[ -x $BUILD/mcrelayctl ]] || die "$EXIT_USAGE" "no program '$BUILD/mcrelayctl', which changes rules of the relay; run: make"
	terms_take "$@"
	FREE_MB=200
	sitting_begin "${ARGUMENTS[0]}" "$@"
	[[ -n ${SCENARIO[compare]:-} ]] || refuse "scenario ${SCENARIO[name]} does not say what to compare (key 'compare')"
	[[ $kind == age ]] || soak_rate
	COMPARED=([base]=$RELAY [head]=$RELAY)
	undo_push rm -rf "$SITTING.partial/programs"
	age_start
	for ((number = 1; number <= AGE_YOUNG; number++)); do
		age_pair young "$number" "pair $number of $AGE_YOUNG while it is young"
	done
	age_read read-young
	"${kind}_loads"
	age_old
	age_read read-old
	progress_end
	living_stop
	age_tidy
	age_finish "$kind"
}

# The relay that lives on, of a copy of its own: compare_copy would take it away.
age_start() {
	local program=$RELAY
	mkdir -p "$SITTING.partial/life"
	cp -- "$RELAY" "$SITTING.partial/life/mcrelay"
	undo_push rm -f "$SITTING.partial/life/mcrelay"
	age_as_load
	RELAY=$SITTING.partial/life/mcrelay
	living_start "$SITTING.partial/life"
	RELAY=$program
	age_processes start
}

# The scenario as pairs have it: as a comparison's.
age_as_pair() {
	age_scenario
	compare_shape
	age_reports
	SINK_RESTS=1
	[[ ${SCENARIO[compare]} != latency ]] || SINK_RESTS=''
}

# As a load has it: as it is declared, but for its rate.
age_as_load() {
	age_scenario
	SCENARIO[rate_pps]=${AGE_RATE:-1} SINK_RESTS=1
	((SCENARIO[warmup_ms] <= AGE_WARMUP_MS)) || SCENARIO[warmup_ms]=$AGE_WARMUP_MS
}

# The links are those for receivers, whoever reads, where there can be receivers; the relay lives on one placement.
age_scenario() {
	scenario_load "${ARGUMENTS[0]}"
	scenario_override_all
	age_reports
	((${SCENARIO[fanout]:-1} >= FANOUT_GROUPS)) || SCENARIO[sink]=receive
}

# age_read BLOCK: pairs whose packets are read at the end of their way: what arrives, and how long it took. Where outputs share a
# link nobody can tell.
age_read() {
	local number
	age_scenario
	[[ ${SCENARIO[sink]} == receive ]] || return 0
	for ((number = 1; number <= AGE_READS; number++)); do
		age_pair "$1" "$number" "reading what arrives"
	done
}

# Each relay reports ten times a second at least: rates are cut out of that, of windows of whatever kind.
age_reports() {
	((${SCENARIO[report_interval_ms]:-100} < 100)) || SCENARIO[report_interval_ms]=100
}

# age_pair BLOCK NUMBER TEXT: unless a run before it did not count.
age_pair() {
	[[ -z $age_broken ]] || return 0
	age_as_pair
	if [[ $1 == read-* ]]; then
		SCENARIO[rate_pps]=$AGE_READ_PPS SINK_RESTS=''
	fi
	progress "${SCENARIO[name]}: $3"
	AGE_PAIR=$SITTING.partial/$1/$(printf '%02d' "$((10#$2))")
	compare_copy base
	twins_measure age_run head base
	age_keep "$AGE_PAIR/head"
	gojq -e .valid "$AGE_PAIR/base/result.json" >/dev/null || age_broken=1
	age_processes "$1/$(printf '%02d' "$((10#$2))")"
}

# age_run head|base: one run of AGE_PAIR; the fresh relay is started in it, in the process and on the links of the twin.
age_run() {
	if [[ $1 == base ]]; then
		LIVING='' SUT=() RELAY=${COPIED[base]}
	fi
	measure relay "$AGE_PAIR/$1"
}

# age_keep DIR: of a run of the relay that lives on, what its counters did. A run that does not count ends the sitting.
age_keep() {
	python harness.verdict.age.counters "$1" || no_verdict "$?" "the reports in $1/raw could not be read"
	gojq -e .valid "$1/result.json" >/dev/null || age_broken=1
}

age_broken= # non-empty: no more is measured; the verdict says why

# age_load NUMBER MS TEXT: makes it older. The raw reports of an hour would fill a disk.
age_load() {
	local dir
	dir=$SITTING.partial/load/$(printf '%02d' "$1")
	age_as_load
	SCENARIO[window_ms]=$(($2 - SCENARIO[warmup_ms] - 200))
	progress "${SCENARIO[name]}: $3"
	measure relay "$dir"
	age_keep "$dir"
	[[ -n $age_broken ]] || rm -r "$dir/raw"
	age_processes "load/$(printf '%02d' "$1")"
}

# Floods, until it has received enough packets, or for long enough; rules come and go after each.
age_loads() {
	local number=0 ms=$((AGE_LOAD_S * 1000)) done=0 target=${PACKETS:-$AGE_PACKETS}
	[[ -z $DURATION ]] || ms=$((DURATION * 1000 / AGE_LOADS))
	((ms >= 2000)) || ms=2000
	while [[ -z $age_broken ]]; do
		number=$((number + 1))
		age_load "$number" "$ms" "load $number, $(seconds "$ms"); $done packets so far"
		age_change "$AGE_CHANGES"
		done=$(living_count recv_packets) || die "$EXIT_INVALID" "the relay does not say how many packets it has received"
		if [[ -n $DURATION ]]; then
			((number < AGE_LOADS)) || break
		else
			((done < target)) || break
			((number > 1)) || ms=$(age_load_ms "$done" "$target" "$ms")
		fi
		((number % 2)) || age_pair between "$((number / 2))" "a pair between loads"
	done
}

# age_load_ms DONE TARGET MS: how long another load has to be for AGE_LOADS in all, when one of MS had DONE packets; a minute at most.
age_load_ms() {
	local ms=$((($2 - $1) * $3 / ($1 > 0 ? $1 : 1) / (AGE_LOADS - 1)))
	((ms >= AGE_LOAD_S * 1000)) || ms=$((AGE_LOAD_S * 1000))
	((ms <= SOAK_LOAD_S * 1000)) || ms=$((SOAK_LOAD_S * 1000))
	printf '%s' "$ms"
}

# SOAK_SHARE percent of its capacity, as it was found on this machine last, or is now.
soak_rate() {
	local capacity
	capacity_known capacity "$SOAK_SEARCH_S" "$SITTING.partial/capacity"
	AGE_RATE=$((capacity * SOAK_SHARE / 100))
}

# Loads at that rate for DURATION; a rule comes and goes each second.
soak_loads() {
	local number loads every ms=$((SOAK_LOAD_S * 1000)) begun left
	loads=$((DURATION / SOAK_LOAD_S))
	((loads >= SOAK_LOADS)) || loads=$SOAK_LOADS ms=$((DURATION * 1000 / SOAK_LOADS))
	every=$(((loads + SOAK_PAIRS) / (SOAK_PAIRS + 1)))
	((every >= 2)) || every=2
	begun=$(clock_s)
	for ((number = 1; number <= loads; number++)); do
		left=$((DURATION - ($(clock_s) - begun)))
		age_changing_start
		age_load "$number" "$ms" "load $number of $loads at $AGE_RATE packets/s, $((left > 0 ? left / 60 : 0)) min to go"
		age_changing_stop
		[[ -z $age_broken ]] || return 0
		((number % every || number == loads)) || age_pair between "$((number / every))" "a pair between loads"
	done
}

# Pairs of the relay that is old now, until there is a verdict.
age_old() {
	local block number plan
	while [[ -z $age_broken ]]; do
		plan=$(python harness.verdict.age.age ask "$SITTING.partial" --metric "${SCENARIO[compare]}" --sha256 "$RELAY_SHA256") ||
			no_verdict "$?" "the pairs could not be judged"
		[[ -n $plan ]] || return 0
		while read -r block number; do
			age_pair "$block" "$number" "pair $number of $(tail -1 <<<"${plan##* }") now that it is old ($block block)"
		done <<<"$plan"
	done
}

# Copies of programs, and of an hour's STATS lines all but the last: what they say is in the results of the runs.
age_tidy() {
	local hop
	rm -rf "$SITTING.partial/programs" "$SITTING.partial/life/mcrelay"
	for hop in $topology_hops; do
		tail -n 100 "$SITTING.partial/life/$hop.log" >"$SITTING.partial/life/$hop.end.log"
		mv "$SITTING.partial/life/$hop.end.log" "$SITTING.partial/life/$hop.log"
	done
}

age_finish() {
	local status=0
	python harness.verdict.age.age finish "$SITTING.partial" --kind "$1" --metric "${SCENARIO[compare]}" --sha256 "$RELAY_SHA256" \
		--history "$RESULTS/history" || status=$?
	sitting_finish age life "$status"
}

# age_processes WHEN: a line for each process of the relays that live on: supervisors and workers.
age_processes() {
	local hop pids pid
	for hop in $topology_hops; do
		mapfile -t pids < <(printf '%s\n' "${SUT[$hop]%%:*}" && pgrep -P "${SUT[$hop]%%:*}" | sort -n)
		for pid in "${pids[@]}"; do
			age_process "$1" "$hop" "$pid" >>"$SITTING.partial/processes.ndjson"
		done
	done
}

# age_process WHEN HOP PID: what it has of the machine; nothing of one that has just gone.
age_process() {
	local key value threads=0 ms files tasks
	local -A kb=([RssAnon]=0 [RssShmem]=0 [VmRSS]=0)
	while read -r key value _; do
		case $key in RssAnon: | RssShmem: | VmRSS:) kb[${key%:}]=$value ;; esac
	done <"/proc/$3/status" || return 0
	files=("/proc/$3/fd/"*) tasks=("/proc/$3/task/"*)
	uptime_ms ms
	printf '{"when": "%s", "uptime_ms": %d, "hop": "%s", "pid": %d, "rss_bytes": %d, "own_bytes": %d, "descriptors": %d, "threads": %d}\n' \
		"$1" "$ms" "$2" "$3" $((kb[VmRSS] * 1024)) $(((kb[RssAnon] + kb[RssShmem]) * 1024)) ${#files[@]} ${#tasks[@]}
}

# age_change TIMES: a rule of its own, beside the one that is measured, comes and goes.
age_change() {
	local i
	for ((i = 0; i < $1; i++)); do
		age_tell add --input-interface in0 --input-group 239.255.200.1 --input-port 5001 --rule-id "$AGE_RULE" \
			--outputs "${HOP_OUTS[${topology_hops%% *}]:+239.255.201.1:5001:out0}"
		age_tell remove --rule-id "$AGE_RULE"
	done
}

# age_tell COMMAND...: what came of it: "COMMAND ok", or the reason.
age_tell() {
	local said word=ok
	said=$("$BUILD/mcrelayctl" --socket-path "$(living_socket "${topology_hops%% *}")" "$@" 2>&1) || word=${said:-failed}
	printf '%s %s\n' "$1" "${word//$'\n'/; }" >>"$SITTING.partial/changes.log"
}

# From here on a rule comes and goes each second, until age_changing_stop.
age_changing_start() {
	(while true; do
		age_change 1
		pause 1
	done) {lock_fd}>&- &
	age_changing=$(process_identity $!) || die "$EXIT_INCONCLUSIVE" "no process could be started that changes rules"
	undo_push process_stop "$age_changing"
}

# One that was stopped in the middle has left its rule.
age_changing_stop() {
	process_stop "$age_changing"
	"$BUILD/mcrelayctl" --socket-path "$(living_socket "${topology_hops%% *}")" remove --rule-id "$AGE_RULE" >/dev/null 2>&1 || true
}
