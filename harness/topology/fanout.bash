# shellcheck shell=bash
# One hop with as many outputs as the scenario's `fanout` says (3 unless it does): up to nine have a
# link and a sink each,
#
#                                        ┌─▶ in0 sink0
#   gen                r1           out0─┘
#   out0 ─────────▶ in0             out1───▶ in0 sink1
#                                   out2─┐
#                                        └─▶ in0 sink2
#
# from ten on they are as many groups on one link: what fan-out costs the relay is a send per output,
# and fifty idle namespaces would measure the machine.
#
#   gen                r1           239.255.78.1 ... .50
#   out0 ─────────▶ in0             out0═══▶ in0 sink0
topology_hops="r1"

topology_build() {
	local i links=${SCENARIO[fanout]:-3}
	if ((links >= FANOUT_GROUPS)); then
		topology_groups=$links links=1
	fi
	node gen && node r1
	link gen out0 10.77.1.1 r1 in0 10.77.1.2
	for ((i = 0; i < links; i++)); do
		node "sink$i"
		link r1 "out$i" "10.77.$((i + 2)).1" "sink$i" in0 "10.77.$((i + 2)).2"
	done
}

topology_two_cores="gen=0 r1=1"
