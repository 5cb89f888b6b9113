# shellcheck shell=bash
# Three hops; the last one has no output: it receives and counts. With `sink = receive` it has one, and a receiver behind it.
#
#   gen           r1            r2            r3            sink
#   out0 ──▶ in0  out0 ──▶ in0  out0 ──▶ in0 (out0 ──────▶ in0)
#
topology_hops="r1 r2 r3"

topology_build() {
	node gen && node r1 && node r2 && node r3
	link gen out0 10.77.1.1 r1 in0 10.77.1.2
	link r1 out0 10.77.2.1 r2 in0 10.77.2.2
	link r2 out0 10.77.3.1 r3 in0 10.77.3.2
	[[ ${SCENARIO[sink]:-count} == receive ]] || return 0
	node sink
	link r3 out0 10.77.4.1 sink in0 10.77.4.2
}

# Two cores for four processes. The generator needs three quarters of a core for PHASE4's load and
# the terminus little, so they share one; the two relays that forward share the other. Left to
# the scheduler, the relays take the generator's time, and the load is no longer PHASE4's.
topology_two_cores="gen=0 r1=1 r2=1 r3=0"
