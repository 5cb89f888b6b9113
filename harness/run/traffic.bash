# shellcheck shell=bash
# traffic: the generators of a run, the receivers behind it when the scenario asks for them, and the
# end of traffic.

declare -A SINK=() # name -> process identity
SINK_OPTIONS=      # words that each receiver is told besides
SINK_RESTS=        # non-empty: no receiver reads, whatever the scenario says; the links that it asks for stand all the same
traffic_pids=()    # of the generators, as their table has them

# traffic_send KIND RAW WINDOW-MS: warm-up and window in one go; rates are cut out of the generators' samples
# afterwards. The 200 ms behind the window are the cool-down: their last sample lies in steady state, too.
traffic_send() {
	local kind=$1 raw=$2 ms sources number first
	local node=() words=() pin=() # of each source: everything that takes a process is done before they meet
	ms=$((SCENARIO[warmup_ms] + $3 + 200))
	sources=$(routes_table sources)
	mapfile -t sources <<<"$sources"
	for number in "${!sources[@]}"; do
		traffic_prepare "$number" "${#sources[@]}" "${sources[number]}"
	done
	first=$(traffic_first)
	traffic_pids=()
	twins_meet
	for number in "${!sources[@]}"; do
		# shellcheck disable=SC2086 # lists of words
		in_node "${node[number]}" ${pin[number]} $first "$BUILD/trafficgen" send ${words[number]} \
			--size "${SCENARIO[payload_bytes]}" --gso "${SCENARIO[gso_segments]}" \
			--duration "$(printf '%d.%03d' $((ms / 1000)) $((ms % 1000)))" \
			--ttl 4 --sample-ms 50 --quiet --json "$raw/${node[number]}.json" \
			>"$raw/${node[number]}.log" 2>&1 {lock_fd}>&- &
		traffic_pids+=($!)
		undo_push process_stop "$(process_identity $!)"
	done
	[[ $kind == control ]] || stop_at sending
	traffic_wait "$kind" "$raw" "$ms"
	for number in "${!sources[@]}"; do
		wait "${traffic_pids[number]}" || die "$EXIT_INVALID" \
			"the generator of ${node[number]} failed (exit $?): $(last_words "$raw/${node[number]}.log")"
	done
}

# traffic_prepare NUMBER COUNT 'NODE GROUP [PORTS]': sets node, pin and words of source NUMBER of so many. Its flows are numbered behind
# those of the ones before it.
traffic_prepare() {
	local number=$1 group ports flows address rate options
	read -r "node[number]" group ports <<<"$3"
	ports=${ports:-1}
	flows=$((SCENARIO[flows] > ports ? SCENARIO[flows] : ports))
	pin[number]=$(pinned "${node[number]}")
	address=$(node_address "${node[number]}" out0)
	rate=$(twins_rate)
	options=$(traffic_options "$flows" "$ports" "$number")
	words[number]="--interface $address --group ${group%:*} --port ${group#*:} --rate $((rate / $2)) --flows $flows $options"
}

# A generator that comes first is not interrupted in the middle of a burst by a relay on its core.
traffic_first() {
	[[ ${SCENARIO[generator_first]:-no} == no ]] || printf 'chrt --fifo 1'
}

# traffic_wait KIND RAW MS: until the generators have ended, with a look at the clock and at the relays once a second, for no
# process may be started meanwhile (a fork takes a millisecond of what is measured), and each look takes a core for 0.2 ms: ten
# a second would be the slowest 0.2 % of the packets.
traffic_wait() {
	local end now hop rest
	uptime_ms now
	end=$((now + $3))
	while kill -0 "${traffic_pids[@]}" 2>/dev/null; do
		uptime_ms now
		((now < end + 10000 * ${BENCH_PATIENCE:-1})) ||
			die "$EXIT_INVALID" "a generator has not ended 10 s after its time; see the logs in $2"
		rest=$((now < end ? end - now : 20))
		((now >= end)) || progress_detail "$1, $(((end - now + 999) / 1000)) s left"
		for hop in "${!SUT[@]}"; do
			kill -0 "${SUT[$hop]%%:*}" 2>/dev/null || sut_check_alive "$2"
		done
		pause "$((rest > 1000)).$(printf '%03d' $((rest > 1000 ? 0 : rest)))"
	done
}

# traffic_options FLOWS PORTS NUMBER. Only a receiver looks at the seal, and it costs the generator time. Flows take turns by send: what
# arrives together is of several.
traffic_options() {
	! sink_reads || printf -- '--verify '
	[[ -z ${SCENARIO[batch_messages]:-} ]] || printf -- '--batch %s ' "${SCENARIO[batch_messages]}"
	[[ -z ${SCENARIO[burst_packets]:-} ]] || printf -- '--burst %s ' "${SCENARIO[burst_packets]}"
	(($2 == 1)) || printf -- '--port-step 1 '
	(($3 == 0)) || printf -- '--first-flow %d ' $(($1 * $3))
	(($1 == 1)) || printf -- --interleave
}

sink_reads() {
	[[ ${SCENARIO[sink]:-count} == receive && -z $SINK_RESTS ]]
}

# sink_check: topology and machine have what the scenario and the system under test need.
sink_check() {
	[[ ${SCENARIO[generator_first]:-no} == no ]] || chrt --fifo 1 true 2>/dev/null || die "$EXIT_INCONCLUSIVE" \
		"scenario ${SCENARIO[name]}: the generator is to run first, but nothing may have real-time scheduling here (chrt" \
		"--fifo 1): a container without CAP_SYS_NICE, or a cgroup whose cpu.rt_runtime_us is 0; run this outside of it"
	[[ ${SCENARIO[sink]:-count} == count ]] || ((topology_groups == 1)) || die "$EXIT_USAGE" \
		"scenario ${SCENARIO[name]}: 'sink = receive' reads one group of a link, and from" \
		"$FANOUT_GROUPS outputs on they share one"
	[[ $SYSTEM != kernel ]] || kernel_check
}

# sink_start relay|control RAW: with "sink = receive", the receivers.
sink_start() {
	local name node interface group ports receivers
	SINK=()
	sink_reads || return 0
	receivers=$(routes_receivers "$1")
	while read -r name node interface group ports; do
		sink_start_one "$2" "$name" "$node" "$interface" "$group" "${ports:-1}"
	done <<<"$receivers"
}

# sink_start_one RAW NAME NODE INTERFACE GROUP PORTS
sink_start_one() {
	local raw=$1 name=$2 node=$3 pin address
	pin=$(pinned "$node")
	address=$(node_address "$node" "$4")
	# shellcheck disable=SC2086 # lists of words
	in_node "$node" $pin "$BUILD/trafficgen" recv --interface "$address" --group "${5%:*}" --port "${5#*:}" --ports "$6" \
		--verify --quiet --json "$raw/$name.recv.json" $SINK_OPTIONS >"$raw/$name.log" 2>&1 {lock_fd}>&- &
	SINK[$name]=$(process_identity $!) || die "$EXIT_INVALID" "the receiver $name did not start"
	undo_push process_stop "${SINK[$name]}"
	poll 5 sink_ready "$raw/$name.log" || die "$EXIT_INVALID" \
		"the receiver $name did not get ready: $(last_words "$raw/$name.log")"
}

sink_ready() {
	grep -qs '^Listening on' "$1"
}

# A receiver ends with 1 when a packet is corrupt; its report says so, too, and result.py reads that.
sink_stop() {
	local name
	for name in "${!SINK[@]}"; do
		process_stop "${SINK[$name]}"
		wait "${SINK[$name]%%:*}" || [[ -s $1/$name.recv.json ]] || die "$EXIT_INVALID" \
			"the receiver $name failed: $(last_words "$1/$name.log")"
	done
}

# Until no packet crosses any link any more.
traffic_drain() {
	traffic_moved=
	poll 5 traffic_still || die "$EXIT_INVALID" "packets are still moving 5 s after the generator ended"
}

traffic_still() {
	local before=$traffic_moved
	traffic_moved=$(topology_packets) || die "$EXIT_INVALID" "the counters of the links cannot be read"
	[[ $traffic_moved == "$before" ]]
}
