# shellcheck shell=bash
# Two ways to one receiver: a packet arrives twice, once by each, and no third time.
#
#                       ┌ out0 ──▶ in0 r2 out0 ──▶ in0 ┐
#   gen out0 ──▶ in0 r1 ┤                              ├ sink
#                       └ out1 ──▶ in0 r3 out0 ──▶ in1 ┘
topology_hops="r1 r2 r3"

topology_build() {
	node gen && node r1 && node r2 && node r3 && node sink
	link gen out0 10.77.1.1 r1 in0 10.77.1.2
	link r1 out0 10.77.2.1 r2 in0 10.77.2.2
	link r1 out1 10.77.3.1 r3 in0 10.77.3.2
	link r2 out0 10.77.4.1 sink in0 10.77.4.2
	link r3 out0 10.77.5.1 sink in1 10.77.5.2
}

diamond_sources() {
	printf 'gen 239.255.77.1:5000\n'
}

# The last link of both ways carries the same group: what one relay sends must not come in at the other.
diamond_routes() {
	printf 'r1 both in0 239.255.77.1:5000 out%d 239.255.78.%d:5000\n' 0 2 1 3
	printf 'r%d way in0 239.255.78.%d:5000 out0 239.255.79.1:5000\n' 2 2 3 3
}

diamond_receivers() {
	printf 'by-r2 sink in0 239.255.79.1:5000\n'
	printf 'by-r3 sink in1 239.255.79.1:5000\n'
}

topology_two_cores="gen=0 r1=1 r2=1 r3=0"
