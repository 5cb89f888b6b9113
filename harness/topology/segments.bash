# shellcheck shell=bash
# As single, but what the relay's interfaces are plugged into stays when one of them goes away: a bridge at each end, whose address
# the source and the receiver have. For `bench chaos`.
#
#   gen                              r1                       sink
#   out0 (bridge) ─ port ════▶ in0        out0 ════▶ port ─ in0 (bridge)
topology_hops="r1"

topology_build() {
	node gen && node r1 && node sink
	segment gen out0 10.77.1.1
	segment sink in0 10.77.2.2
	segment_plug gen out0 r1 in0 10.77.1.2
	segment_plug sink in0 r1 out0 10.77.2.1
	INTERFACES+=(r1:in0 r1:out0)
	HOP_INS[r1]='in0 ' HOP_OUTS[r1]='out0 '
}

# segment NODE BRIDGE ADDRESS
segment() {
	run ip -n "$(namespace "$1")" link add "$2" type bridge mcast_snooping 0
	run ip -n "$(namespace "$1")" addr add "$3/24" dev "$2"
	run ip -n "$(namespace "$1")" link set "$2" up
}

# segment_plug NODE BRIDGE HOP INTERFACE ADDRESS: a new link from the hop into the segment; also of one that was unplugged.
segment_plug() {
	local hop port offload
	hop=$(namespace "$3") port=$(namespace "$1")
	run ip link add "$4" netns "$hop" type veth peer name port netns "$port"
	run ip -n "$port" link set port master "$2" up txqueuelen 10000
	run ip -n "$hop" addr add "$5/24" dev "$4"
	run ip -n "$hop" link set "$4" up txqueuelen 10000
	for offload in tx-udp-segmentation generic-receive-offload rx-udp-gro-forwarding; do
		run ip netns exec "$hop" ethtool -K "$4" "$offload" off
		run ip netns exec "$port" ethtool -K port "$offload" off
	done
	PEER[$1:$2]=$3:$4 PEER[$3:$4]=$1:$2
}

topology_two_cores="gen=0 r1=1"
