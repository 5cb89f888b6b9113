# shellcheck shell=bash
# Two segments, and a source whose address the relay's host has no way back to: its kernel, which checks that (rp_filter), would drop
# what the relay passes on.
#
#   gen 192.0.2.1                r1 rp_filter=1
#   out0 ────────────▶ in0 10.77.1.2  out0 ──▶ in0 sink
topology_hops="r1"

topology_build() {
	node gen && node r1 && node sink
	link gen out0 192.0.2.1 r1 in0 10.77.1.2
	link r1 out0 10.77.2.1 sink in0 10.77.2.2
	run ip netns exec "$(namespace r1)" sysctl -qw net.ipv4.conf.all.rp_filter=1 net.ipv4.conf.in0.rp_filter=1
}

topology_two_cores="gen=0 r1=1"
