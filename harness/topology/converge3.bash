# shellcheck shell=bash
# Three sources on three links, one relay: what each sends goes to a group of its own, and all of it to one that they share.
#
#   gen   out0 ──▶ in0 ┐
#   gen2  out0 ──▶ in1 ├ r1  out0 ──▶ in0 sink     239.255.78.1, .2, .3: of one source each
#   gen3  out0 ──▶ in2 ┘                           239.255.79.1: of all three
topology_hops="r1"

topology_build() {
	node gen && node gen2 && node gen3 && node r1 && node sink
	link gen out0 10.77.1.1 r1 in0 10.77.1.2
	link gen2 out0 10.77.2.1 r1 in1 10.77.2.2
	link gen3 out0 10.77.3.1 r1 in2 10.77.3.2
	link r1 out0 10.77.4.1 sink in0 10.77.4.2
}

converge3_sources() {
	printf '%s 239.255.77.1:5000\n' gen gen2 gen3
}

converge3_routes() {
	local i
	for i in 0 1 2; do
		printf 'r1 from-%d in%d 239.255.77.1:5000 out0 239.255.78.%d:5000\n' "$i" "$i" $((i + 1))
		printf 'r1 from-%d in%d 239.255.77.1:5000 out0 239.255.79.1:5000\n' "$i" "$i"
	done
}

converge3_receivers() {
	local i
	for i in 1 2 3; do
		printf 'own%d sink in0 239.255.78.%d:5000\n' "$i" "$i"
	done
	printf 'shared sink in0 239.255.79.1:5000\n'
}

topology_two_cores="gen=0 gen2=0 gen3=0 r1=1"
