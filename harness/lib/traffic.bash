# shellcheck shell=bash
# traffic: the generator of a run, and the end of traffic.

# traffic_send RAW: warm-up and window in one go; rates are cut out of its samples afterwards. The
# 200 ms behind the window are the cool-down: its last sample lies in steady state, too.
traffic_send() {
	local raw=$1 ms status=0
	ms=$((SCENARIO[warmup_ms] + SCENARIO[window_ms] + 200))
	# shellcheck disable=SC2046
	in_node gen $(pinned gen) "$BUILD/trafficgen" send \
		--interface "$(node_address gen out0)" --group "$GROUP_PREFIX.1" --port "$PORT" \
		--size "${SCENARIO[payload_bytes]}" --rate "${SCENARIO[rate_pps]}" \
		--flows "${SCENARIO[flows]}" --gso "${SCENARIO[gso_segments]}" \
		--duration "$(printf '%d.%03d' $((ms / 1000)) $((ms % 1000)))" \
		--ttl 4 --sample-ms 50 --quiet --json "$raw/gen.json" \
		>"$raw/gen.log" 2>&1 {lock_fd}>&- &
	undo_push process_stop "$(process_identity $!)"
	wait $! || status=$?
	((status == 0)) || die "$EXIT_INVALID" \
		"the generator failed (exit $status): $(tail -1 "$raw/gen.log")"
}

# Until no packet crosses any link any more.
traffic_drain() {
	traffic_moved=
	poll 5 traffic_still || die "$EXIT_INVALID" "packets are still moving 5 s after the generator ended"
}

traffic_still() {
	local before=$traffic_moved
	traffic_moved=$(topology_packets)
	[[ $traffic_moved == "$before" ]]
}
