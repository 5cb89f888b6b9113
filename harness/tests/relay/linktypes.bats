#!/usr/bin/env bats
# Inputs and outputs whose link is not Ethernet. A tun device stands for all of them (WireGuard, PPP, IP in
# IP): its packets begin with the IP header. Whoever holds its other end sends and takes them.
#
#   tun0 ──▶ r1 out0 ──▶ in0 sink
#        ◀── r1 in0  ◀── out0 gen

load ../lib/testbed

setup_file() {
	testbed build
}

build() {
	topology single
}

setup() {
	harness_setup
	ip_at r1 tuntap add dev tun0 mode tun
	undo_push ip -n "$(namespace r1)" link del tun0
	ip_at r1 addr add 10.77.8.2/24 dev tun0
	ip_at r1 link set tun0 multicast on up
}

IN=tun0:$GROUP_IN:5000
OUT=out0:$GROUP_OUT:6000:8

# tunnel_hold KIND...: the other end; on SIGUSR1 it sends these packets to the rule's group.
tunnel_hold() {
	spawn tunnel r1 "$FRAMES" tunnel tun0 10.77.8.1 "$GROUP_IN" 5000 "$@"
	ready tunnel '^ready'
}

relays_from_tunnel() {
	tunnel_hold plain:100 plain:1 options:700 no-checksum:300 fragments:1000 bad-checksum:100 plain:1400 \
		aggregate:1000x5 plain:60
	relay_start "$(rule one "$IN" "$OUT")" "$@"
	listen_start listener sink receive 10.77.2.2 "$GROUP_OUT" 6000
	signal USR1 tunnel
	eventually relay_counts matched 12
	relay_stop
	listen_end listener sink
	run diff <(sed -nE 's/^sent (plain|options|no-checksum|fragments|aggregate) //p' "$WORK/tunnel.out") "$WORK/listener.out"
	assert_success
	assert_counters drop_checksum=1 drop_malformed=0 egress_sent=12
	assert_ledger_closed
}

@test "a tun device as input: packets without a link header are relayed" {
	relays_from_tunnel
}

@test "the same with uring ingress" {
	relays_from_tunnel --ingress uring --gro
}

@test "--exclusive takes the packets of a tun device" {
	tunnel_hold plain:100 options:100 fragments:1000
	relay_start "$(rule one "$IN" "$OUT")" --exclusive
	listen_start local r1 receive 10.77.8.2 "$GROUP_IN" 5000
	signal USR1 tunnel
	eventually relay_counts matched 3
	relay_stop
	stop local # with what has reached it by then
	assert_equal "$(<"$WORK/local.out")" ""
}

@test "a tun device as output" {
	tunnel_hold
	relay_start "$(rule one "in0:$GROUP_IN:5000" "tun0:$GROUP_OUT:6000:8")"
	frames gen send 10.77.1.1 "$GROUP_IN" 5000 --sizes 1 100 1000 1000 1000 1400 >"$WORK/sent"
	relay_finish
	eventually same taken_from_tunnel "$(<"$WORK/sent")"
	assert_counters egress_sent=6 egress_errors=0
}

taken_from_tunnel() {
	sed -n 's/^taken //p' "$WORK/tunnel.out"
}

@test "an interface that carries no IP is refused as input, with the reason" {
	ip_at r1 link set tun0 down
	at r1 "$FRAMES" link-type tun0 803
	rule_file "$(rule one "$IN" "$OUT")" >"$WORK/rules.json"
	run -1 --separate-stderr at r1 "$RELAY" --config "$WORK/rules.json"
	# shellcheck disable=SC2154 # set by run
	[[ $stderr == *"cannot receive on tun0: its link (type 803) carries neither Ethernet frames nor IP packets"* ]]
}

@test "lo as input" {
	relay_start "$(rule one lo:10.77.1.2:5000 "$OUT")"
	receive_start sink
	at r1 "$TRAFFICGEN" send --interface 10.77.1.2 --group 10.77.1.2 --port 5000 --size 100 --rate 1000 --count 50 --verify --quiet
	eventually relay_counts matched 50
	relay_stop
	receive_end sink
	assert_intact sink 50
}
