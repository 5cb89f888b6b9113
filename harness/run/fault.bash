# shellcheck shell=bash
# fault: breaks a run on purpose while its traffic flows, for `bench drill` to see that such a run is invalid.
# BENCH_FAULT names one:
#   dead-relay   the relay is killed
#   offload      the generator's end of its link is told to send aggregates
#   lossy-link   one packet in a hundred is lost on that link, before any interface counts it; no program is told

fault_choose() {
	[[ -n ${BENCH_FAULT:-} ]] || return 0
	[[ $BENCH_FAULT =~ ^(dead-relay|offload|lossy-link)$ ]] ||
		refuse "BENCH_FAULT: '$BENCH_FAULT' is not one of dead-relay, offload, lossy-link"
	WATCHED=fault
}

# Classic BPF: of a random number of 32 bits, below 1 % of their range the packet is stolen (4), else it passes (0). A
# packet that is dropped instead makes the send fail, and is accounted for.
readonly FAULT_STEALS='4,32 0 0 4294963256,53 0 1 42949672,6 0 0 0,6 0 0 4'

# The counters of the links have not been read yet: what is lost now is within the account.
fault_start() {
	local gen=(ip netns exec "$(namespace gen)")
	case $BENCH_FAULT in
	dead-relay) fault_kill "$(topology_packets)" ;;
	offload) run "${gen[@]}" ethtool -K out0 tx-udp-segmentation on ;;
	lossy-link)
		run "${gen[@]}" tc qdisc add dev out0 clsact
		run "${gen[@]}" tc filter add dev out0 egress bpf direct-action bytecode "$FAULT_STEALS"
		;;
	esac
}

# fault_kill IDLE: kills the relay when traffic flows; before, the links had carried IDLE packets.
fault_kill() {
	(fault_await_traffic "$1" && kill -KILL "${SUT[r1]%%:*}") {lock_fd}>&- &
	undo_push process_stop "$(process_identity $!)"
}

# Whatever happens to us ends it, too.
fault_await_traffic() {
	until fault_flows "$1"; do
		pause 0.02
	done
}

# More than interfaces send by themselves.
fault_flows() {
	(($(topology_packets) > $1 + 1000))
}

fault_end() {
	:
}
