# shellcheck shell=bash
# fault: breaks a run on purpose while its traffic flows, for `bench drill` to see that such a run is invalid.
# BENCH_FAULT names one:
#   dead-relay   the relay is killed
#   offload      the generator's end of its link is told to send aggregates
#   lossy-link   that link can carry half of what is offered; the rest is lost where no program is told

fault_choose() {
	[[ -n ${BENCH_FAULT:-} ]] || return 0
	[[ $BENCH_FAULT =~ ^(dead-relay|offload|lossy-link)$ ]] ||
		refuse "BENCH_FAULT: '$BENCH_FAULT' is not one of dead-relay, offload, lossy-link"
	WATCHED=fault
}

# The counters of the links have not been read yet: what is lost now is within the account.
fault_start() {
	local bytes=${SCENARIO[payload_bytes]/imix/400} half_kbit
	half_kbit=$((SCENARIO[rate_pps] * bytes / 250 + 1))
	case $BENCH_FAULT in
	dead-relay)
		(pause 0.3 && kill -KILL "${SUT[r1]%%:*}") {lock_fd}>&- &
		undo_push process_stop "$(process_identity $!)"
		;;
	offload) run ip netns exec "$(namespace gen)" ethtool -K out0 tx-udp-segmentation on ;;
	lossy-link) run tc -n "$(namespace gen)" qdisc replace dev out0 root tbf rate "${half_kbit}kbit" burst 64kb limit 256kb ;;
	esac
}

fault_end() {
	:
}
