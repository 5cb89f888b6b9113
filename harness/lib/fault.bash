# shellcheck shell=bash
# fault: breaks a run on purpose while its traffic flows, for `bench drill` to see that such a run is invalid.
# BENCH_FAULT names one:
#   dead-relay   the relay is killed
#   offload      the generator's end of its link is told to send aggregates
#   lossy-link   that link is interrupted for 50 ms; what is sent meanwhile is lost, and no program is told

fault_choose() {
	[[ -n ${BENCH_FAULT:-} ]] || return 0
	[[ $BENCH_FAULT =~ ^(dead-relay|offload|lossy-link)$ ]] ||
		refuse "BENCH_FAULT: '$BENCH_FAULT' is not one of dead-relay, offload, lossy-link"
	WATCHED=fault
}

# The counters of the links have not been read yet: what is lost now is within the account.
fault_start() {
	case $BENCH_FAULT in
	dead-relay) fault_later kill -KILL "${SUT[r1]%%:*}" ;;
	offload) run ip netns exec "$(namespace gen)" ethtool -K out0 tx-udp-segmentation on ;;
	lossy-link) fault_later fault_interrupt ;;
	esac
}

# fault_later COMMAND...: when traffic flows.
fault_later() {
	(pause 0.4 && "$@") {lock_fd}>&- &
	undo_push process_stop "$(process_identity $!)"
}

# Without a carrier the kernel takes packets from the sender and counts them as dropped at both ends: no account closes.
fault_interrupt() {
	ip -n "$(namespace r1)" link set in0 down
	pause 0.05
	ip -n "$(namespace r1)" link set in0 up
}

fault_end() {
	:
}
