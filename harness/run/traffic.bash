# shellcheck shell=bash
# traffic: the generator of a run, the receivers behind it when the scenario asks for them, and the
# end of traffic.

declare -A SINK=() # node -> process identity
SINK_RESTS=        # non-empty: no receiver reads, whatever the scenario says; the links that it asks for stand all the same

# traffic_send KIND RAW WINDOW-MS: warm-up and window in one go; rates are cut out of its samples
# afterwards. The 200 ms behind the window are the cool-down: its last sample lies in steady state, too.
traffic_send() {
	local kind=$1 raw=$2 ms status=0 pid pin first options address group rate
	ms=$((SCENARIO[warmup_ms] + $3 + 200))
	pin=$(pinned gen) # here, where a failure ends us; among the words of a command it would be none
	first=$(traffic_first)
	options=$(traffic_options)
	address=$(node_address gen out0)
	group=$(sut_group 1)
	rate=$(twins_rate)
	twins_meet
	# shellcheck disable=SC2086 # lists of words
	in_node gen $pin $first "$BUILD/trafficgen" send \
		--interface "$address" --group "$group" --port "$PORT" \
		--size "${SCENARIO[payload_bytes]}" --rate "$rate" \
		--flows "${SCENARIO[flows]}" --gso "${SCENARIO[gso_segments]}" \
		--duration "$(printf '%d.%03d' $((ms / 1000)) $((ms % 1000)))" \
		--ttl 4 --sample-ms 50 --quiet --json "$raw/gen.json" $options \
		>"$raw/gen.log" 2>&1 {lock_fd}>&- &
	pid=$!
	undo_push process_stop "$(process_identity "$pid")"
	[[ $kind == control ]] || stop_at sending
	traffic_wait "$pid" "$kind" "$raw" "$ms"
	wait "$pid" || status=$?
	((status == 0)) || die "$EXIT_INVALID" \
		"the generator failed (exit $status): $(last_words "$raw/gen.log")"
}

# A generator that comes first is not interrupted in the middle of a burst by a relay on its core.
traffic_first() {
	[[ ${SCENARIO[generator_first]:-no} == no ]] || printf 'chrt --fifo 1'
}

# traffic_wait PID KIND RAW MS: until the generator has ended, with a look at the clock and at the relays once a second, for no
# process may be started meanwhile (a fork takes a millisecond of what is measured), and each look takes a core for 0.2 ms: ten
# a second would be the slowest 0.2 % of the packets.
traffic_wait() {
	local end now hop rest
	uptime_ms now
	end=$((now + $4))
	while kill -0 "$1" 2>/dev/null; do
		uptime_ms now
		((now < end + 10000 * ${BENCH_PATIENCE:-1})) ||
			die "$EXIT_INVALID" "the generator has not ended 10 s after its time; see $3/gen.log"
		rest=$((now < end ? end - now : 20))
		((now >= end)) || progress_detail "$2, $(((end - now + 999) / 1000)) s left"
		for hop in "${!SUT[@]}"; do
			kill -0 "${SUT[$hop]%%:*}" 2>/dev/null || sut_check_alive "$3"
		done
		pause "$((rest > 1000)).$(printf '%03d' $((rest > 1000 ? 0 : rest)))"
	done
}

# Only a receiver looks at the seal, and it costs the generator time. Flows take turns by send: what
# arrives together is of several.
traffic_options() {
	! sink_reads || printf -- '--verify '
	[[ -z ${SCENARIO[batch_messages]:-} ]] || printf -- '--batch %s ' "${SCENARIO[batch_messages]}"
	[[ ${SCENARIO[flows]} == 1 ]] || printf -- --interleave
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

# The kernel sends the group on that it receives.
sink_group() {
	local hops
	read -ra hops <<<"$topology_hops"
	[[ $SYSTEM != kernel ]] || hops=()
	sut_group $((${#hops[@]} + 1))
}

# sink_start relay|control RAW: with "sink = receive", a receiver in each node behind the last hop's outputs; without a relay, where
# the first hop would be: how long the way to it takes.
sink_start() {
	local raw=$2 last=${topology_hops##* } out end=${PEER[gen:out0]}
	SINK=()
	sink_reads || return 0
	if [[ $1 == control ]]; then
		sink_start_one "$raw" "${end%%:*}" "${end##*:}" "$(sut_group 1)"
		return
	fi
	for out in ${HOP_OUTS[$last]}; do
		end=${PEER[$last:$out]}
		sink_start_one "$raw" "${end%%:*}" "${end##*:}" "$(sink_group)"
	done
}

# sink_start_one RAW NODE INTERFACE GROUP
sink_start_one() {
	local raw=$1 node=$2 pin address
	pin=$(pinned "$node")
	address=$(node_address "$node" "$3")
	# shellcheck disable=SC2086 # a list of words
	in_node "$node" $pin "$BUILD/trafficgen" recv --interface "$address" --group "$4" --port "$PORT" \
		--verify --quiet --json "$raw/$node.recv.json" >"$raw/$node.log" 2>&1 {lock_fd}>&- &
	SINK[$node]=$(process_identity $!) || die "$EXIT_INVALID" "the receiver in $node did not start"
	undo_push process_stop "${SINK[$node]}"
	poll 5 sink_ready "$raw/$node.log" || die "$EXIT_INVALID" \
		"the receiver in $node did not get ready: $(last_words "$raw/$node.log")"
}

sink_ready() {
	grep -qs '^Listening on' "$1"
}

# A receiver ends with 1 when a packet is corrupt; its report says so, too, and result.py reads that.
sink_stop() {
	local node
	for node in "${!SINK[@]}"; do
		process_stop "${SINK[$node]}"
		wait "${SINK[$node]%%:*}" || [[ -s $1/$node.recv.json ]] || die "$EXIT_INVALID" \
			"the receiver in $node failed: $(last_words "$1/$node.log")"
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
