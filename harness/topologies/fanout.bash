# shellcheck shell=bash
# One hop with three outputs.
#
#                                        ┌─▶ in0 sink0
#   gen                r1           out0─┘
#   out0 ─────────▶ in0             out1───▶ in0 sink1
#                                   out2─┐
#                                        └─▶ in0 sink2
topology_hops="r1"

topology_build() {
	local i
	node gen && node r1
	link gen out0 10.77.1.1 r1 in0 10.77.1.2
	for i in 0 1 2; do
		node "sink$i"
		link r1 "out$i" "10.77.$((i + 2)).1" "sink$i" in0 "10.77.$((i + 2)).2"
	done
}

topology_two_cores="gen=0 r1=1"
