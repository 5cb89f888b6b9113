# shellcheck shell=bash
# Three relays, each linked to both others, each with a source and a receiver of its own: what the source of one sends to a port for
# another one goes there, and nowhere else. Six directed flows; none returns.
#
#           gen ──▶ r1 ──▶ sink1               r1 out1 ──▶ in2 r2 out2 ──▶ in1 r1
#                  ╱  ╲                        r1 out2 ──▶ in2 r3 out1 ──▶ in2 ...
#   gen2 ──▶ r2 ──────── r3 ◀── gen3           a link for each direction; in0 is the source's, out0 the receiver's
#            │            │
#          sink2        sink3
#
# The flow from relay I to relay J has the group 239.255.10I.J on the way.
topology_hops="r1 r2 r3"

topology_build() {
	local i j
	for i in 1 2 3; do
		node "$(mesh_source "$i")" && node "r$i" && node "sink$i"
	done
	for i in 1 2 3; do
		link "$(mesh_source "$i")" out0 "10.77.1$i.1" "r$i" in0 "10.77.1$i.2"
		link "r$i" out0 "10.77.2$i.1" "sink$i" in0 "10.77.2$i.2"
		for j in 1 2 3; do
			((i == j)) || link "r$i" "out$j" "10.77.1$i$j.1" "r$j" "in$i" "10.77.1$i$j.2"
		done
	done
}

mesh_source() {
	printf 'gen%s' "${1/#1/}"
}

# Two ports: the first one for the next relay, the second one for the one after that.
mesh_sources() {
	local i
	for i in 1 2 3; do
		printf '%s 239.255.77.1:5000 2\n' "$(mesh_source "$i")"
	done
}

mesh_routes() {
	local i j step
	for i in 1 2 3; do
		for step in 1 2; do
			j=$(((i + step - 1) % 3 + 1))
			printf 'r%d to-%d in0 239.255.77.1:%d out%d 239.255.10%d.%d:5000\n' "$i" "$j" $((4999 + step)) "$j" "$i" "$j"
			printf 'r%d from-%d in%d 239.255.10%d.%d:5000 out0 239.255.78.1:5000\n' "$j" "$i" "$i" "$i" "$j"
		done
	done
}

mesh_receivers() {
	printf 'sink%d sink%d in0 239.255.78.1:5000\n' 1 1 2 2 3 3
}

topology_two_cores="gen=0 gen2=0 gen3=0 r1=1 r2=1 r3=1"
