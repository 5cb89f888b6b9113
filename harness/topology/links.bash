# shellcheck shell=bash
# topology: nodes are network namespaces whose names carry the run's id, links are veth pairs.
# By convention a hop receives on in0, in1, ... and sends through out0, out1, ...; everything inside a
# namespace, its end of a link included, goes away with it.

NODES=()
declare -A HOP_OUTS=() # hop -> its output interfaces
declare -A HOP_INS=()  # hop -> its input interfaces
declare -A PEER=()     # NODE:INTERFACE -> NODE:INTERFACE at the other end
INTERFACES=()          # NODE:INTERFACE

# From so many outputs of a hop on, they are groups on one link and not a link each.
readonly FANOUT_GROUPS=10
topology_groups=1 # groups that a hop sends through each output

# topology_ready: what the scenario needs stands; what an earlier one needed, if it is something else,
# does not stand any more.
topology_ready() {
	local wanted
	topology_mtu=$(scenario_mtu)
	topology_txqueuelen=$(tuning_txqueuelen)
	wanted="${SCENARIO[topology]} ${SCENARIO[fanout]:-} ${SCENARIO[sink]:-count} $topology_mtu $topology_txqueuelen $(scenario_offloads)"
	if [[ ${topology_stands:-} != "$wanted" ]]; then
		topology_stands=
		topology_remove
		# shellcheck source=/dev/null
		source "$HARNESS/topology/${SCENARIO[topology]}.bash"
		topology_build
		topology_stands=$wanted
	fi
	sink_check
}

topology_remove() {
	local name
	for name in "${NODES[@]}"; do
		run namespace_remove "$(namespace "$name")"
	done
	NODES=() INTERFACES=() HOP_OUTS=() HOP_INS=() PEER=() topology_groups=1
}

namespace() {
	printf 'mcr-%s-%s' "$RUN_ID" "$1"
}

# namespace_remove NAMESPACE: with what may still run in it, started the moment before we were killed.
namespace_remove() {
	local pid
	[[ -e /run/netns/$1 ]] || return 0
	for pid in $(ip netns pids "$1"); do
		process_stop "$(process_identity "$pid")"
	done
	ip netns del "$1"
}

# in_node NODE COMMAND...: replaces itself, so that with & the PID is the command's.
in_node() {
	exec ip netns exec "$(namespace "$1")" "${@:2}"
}

node() {
	local ns
	ns=$(namespace "$1")
	undo_push namespace_remove "$ns"
	run ip netns add "$ns"
	run ip -n "$ns" link set lo up
	# no neighbour discovery among the packets we count; -e: a host without IPv6 has none
	run ip netns exec "$ns" sysctl -qew net.ipv6.conf.all.disable_ipv6=1 \
		net.ipv6.conf.default.disable_ipv6=1
	NODES+=("$1")
	HOP_OUTS[$1]='' HOP_INS[$1]=''
}

# link NODE INTERFACE ADDRESS NODE INTERFACE ADDRESS: a veth pair, up, with the scenario's offloads.
link() {
	run ip link add "$2" netns "$(namespace "$1")" type veth \
		peer name "$5" netns "$(namespace "$4")"
	link_end "$1" "$2" "$3"
	link_end "$4" "$5" "$6"
	PEER[$1:$2]=$4:$5 PEER[$4:$5]=$1:$2
}

link_end() {
	local ns key
	ns=$(namespace "$1")
	run ip -n "$ns" addr add "$3/24" dev "$2"
	run ip -n "$ns" link set "$2" up txqueuelen "${topology_txqueuelen:-10000}" mtu "${topology_mtu:-1500}"
	for key in "${!SCENARIO[@]}"; do
		[[ $key == offload_* ]] || continue
		run ip netns exec "$ns" ethtool -K "$2" "${key#offload_}" "${SCENARIO[$key]}"
	done
	INTERFACES+=("$1:$2")
	[[ $2 != out* ]] || HOP_OUTS[$1]+="$2 "
	[[ $2 != in* ]] || HOP_INS[$1]+="$2 "
}

# The first address of a node's interface.
node_address() {
	ip -n "$(namespace "$1")" -4 -j addr show dev "$2" | gojq -r '.[0].addr_info[0].local'
}

# topology_offloads: JSON {"NODE:INTERFACE": {"tx-udp-segmentation": "off", ...}} as they are now.
topology_offloads() {
	local interface wanted
	wanted=$(printf '%s\n' "${!SCENARIO[@]}" | sed -n 's/^offload_//p' | paste -sd'|')
	for interface in "${INTERFACES[@]}"; do
		ip netns exec "$(namespace "${interface%%:*}")" ethtool -k "${interface##*:}" |
			sed -nE "s/^\s*($wanted): (on|off).*/$interface\t\1\t\2/p"
	done | gojq -Rn 'reduce (inputs | split("\t")) as $f ({}; .[$f[0]][$f[1]] = $f[2])'
}

# topology_counters: JSON {"NODE:INTERFACE": {rx_packets, rx_dropped, tx_packets, tx_bytes, tx_dropped}}, all 64-bit.
topology_counters() {
	local name
	for name in "${NODES[@]}"; do
		ip -n "$(namespace "$name")" -j -s link show type veth || exit
	done | gojq -s '[$ARGS.positional, .] | transpose | map(.[0] as $node | .[1][] | {
		key: "\($node):\(.ifname)", value: {
			rx_packets: .stats64.rx.packets, rx_dropped: .stats64.rx.dropped,
			tx_packets: .stats64.tx.packets, tx_bytes: .stats64.tx.bytes, tx_dropped: .stats64.tx.dropped}})
		| from_entries' --args "${NODES[@]}"
}

# The packets that have crossed any link so far: stands still once traffic has drained.
topology_packets() {
	topology_counters | gojq 'map(.rx_packets) | add'
}

# placement NODE: the CPU for the node's process, or nothing when it is left to the scheduler or, as in
# a hop of the kernel's, there is none.
placement() {
	local cpus processes i pair
	[[ ${SYSTEM:-relay} == relay || " $topology_hops " != *" $1 "* ]] || return 0
	cpus=$(host_cpus)
	mapfile -t cpus <<<"$cpus"
	processes="$(routes_sources) $topology_hops"
	# shellcheck disable=SC2206 # a list of words
	processes=($processes)
	if [[ -z ${SCENARIO[two_cores]:-} ]] && ((${#cpus[@]} >= ${#processes[@]})); then
		for i in "${!processes[@]}"; do
			[[ ${processes[i]} != "$1" ]] || printf '%s' "${cpus[i]}"
		done
	elif ((${#cpus[@]} >= 2)); then
		for pair in ${SCENARIO[two_cores]:-$topology_two_cores}; do
			[[ ${pair%=*} != "$1" ]] || printf '%s' "${cpus[${pair#*=}]}"
		done
	fi
}

# pinned NODE: the words to put before a command of this node.
pinned() {
	local cpu
	cpu=$(placement "$1")
	[[ -z $cpu ]] || printf 'taskset -c %s' "$cpu"
}

placement_json() {
	local name cpu
	for name in $(routes_sources) $topology_hops "${!SINK[@]}"; do
		cpu=$(placement "$name")
		printf '%s\t%s\n' "$name" "$cpu"
	done | gojq -Rn '[inputs | split("\t") | {key: .[0],
		value: (if .[1] == "" then null else (.[1] | tonumber) end)}] | from_entries'
}
