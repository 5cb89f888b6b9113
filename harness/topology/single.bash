# shellcheck shell=bash
# One hop.
#
#   gen                r1                 sink
#   out0 ─────────▶ in0  out0 ─────────▶ in0
#   10.77.1.1  10.77.1.2  10.77.2.1  10.77.2.2
#
topology_hops="r1"

topology_build() {
	node gen && node r1 && node sink
	link gen out0 10.77.1.1 r1 in0 10.77.1.2
	link r1 out0 10.77.2.1 sink in0 10.77.2.2
}

# Where each process runs when there are two cores; with more, each has one of its own.
topology_two_cores="gen=0 r1=1"
