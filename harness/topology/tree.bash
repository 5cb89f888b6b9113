# shellcheck shell=bash
# A relay that sends to three, and a relay on each of them: a packet arrives three times, once behind each leaf.
#
#                                     ┌──▶ in0 r2 out0 ──▶ in0 sink2
#   gen out0 ──▶ in0 r1 out0 out1 out2┼──▶ in0 r3 out0 ──▶ in0 sink3
#                                     └──▶ in0 r4 out0 ──▶ in0 sink4
topology_hops="r1 r2 r3 r4"

topology_build() {
	local i
	node gen && node r1
	link gen out0 10.77.1.1 r1 in0 10.77.1.2
	for i in 2 3 4; do
		node "r$i" && node "sink$i"
		link r1 "out$((i - 2))" "10.77.$i.1" "r$i" in0 "10.77.$i.2"
		link "r$i" out0 "10.77.1$i.1" "sink$i" in0 "10.77.1$i.2"
	done
}

tree_sources() {
	printf 'gen 239.255.77.1:5000\n'
}

tree_routes() {
	local i
	for i in 2 3 4; do
		printf 'r1 fan in0 239.255.77.1:5000 out%d 239.255.78.%d:5000\n' $((i - 2)) "$i"
		printf 'r%d leaf in0 239.255.78.%d:5000 out0 239.255.79.%d:5000\n' "$i" "$i" "$i"
	done
}

tree_receivers() {
	local i
	for i in 2 3 4; do
		printf 'sink%d sink%d in0 239.255.79.%d:5000\n' "$i" "$i" "$i"
	done
}

# With five cores each relay has one.
topology_two_cores="gen=0 r1=1 r2=1 r3=1 r4=0"
