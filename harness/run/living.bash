# shellcheck shell=bash
# living: relays that live on from run to run. They are started once; what they counted in a run is the change from the last report
# before it to the last one of it (result/living.py).

LIVING=            # while relays live on: the folder of what they write
declare -A LIVED=() # hop -> bytes of its log when the run began

# living_start FOLDER
living_start() {
	LIVING=$1
	mkdir -p "$LIVING"
	topology_ready
	SUT=()
	sut_start "$LIVING"
}

living_stop() {
	sut_stop "$LIVING"
	LIVING=
}

# living_socket HOP: where it is told of rules. In the journal's folder: a socket's path is short.
living_socket() {
	printf '%s/%s.sock' "$STATE" "$1"
}

# living_begin RAW: a run begins, with the last report before it. A relay opens its series anew for each report: the file that it finds
# is that of this run.
living_begin() {
	local hop series
	living_await_quiet
	for hop in $topology_hops; do
		series=$(readlink -f "$LIVING/$hop.series.ndjson")
		tail -n 1 "$series" >"$series.begun"
		mv "$series.begun" "$series"
		LIVED[$hop]=$(stat -L -c %s "$LIVING/$hop.log")
		cp "$LIVING/$hop.sha256" "$LIVING/$hop.rules.json" "$1"
		ln -s "$LIVING/$hop.log" "$LIVING/$hop.series.ndjson" "$1" # until the run is over, for who asks
	done
}

# living_end RAW: the run is over, and the links are still.
living_end() {
	local hop
	sut_check_alive "$1"
	living_await_quiet
	for hop in $topology_hops; do
		rm "$1/$hop.series.ndjson" "$1/$hop.log"
		sed -n '/^{.*}$/p' "$LIVING/$hop.series.ndjson" >"$1/$hop.series.ndjson" # but for a report that is being written
		tail -c "+$((LIVED[$hop] + 1))" "$LIVING/$hop.log" >"$1/$hop.log"
	done
}

living_await_quiet() {
	poll 10 living_quiet || die "$EXIT_INVALID" "a relay goes on counting 10 s after the last packet, or reports no more; see $LIVING"
}

# Two reports in which each relay had counted the same: what it says is all that there was.
living_quiet() {
	local hop
	for hop in $topology_hops; do
		tail -n 2 "$LIVING/$hop.series.ndjson" 2>/dev/null |
			gojq -es 'length == 2 and (map([.total.recv_packets, .total.egress_sent]) | .[0] == .[1])' >/dev/null 2>&1 || return 1
	done
}

# living_count COUNTER: of the first hop, over all of its life.
living_count() {
	tail -n 1 "$LIVING/${topology_hops%% *}.series.ndjson" | gojq -e ".total.$1"
}
