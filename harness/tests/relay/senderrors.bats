#!/usr/bin/env bats
# The kernel refuses what one of two outputs sends, for every reason it has: counted under that output
# and that cause, said once, the other output gets each packet, and once the reason is gone both do.
#
#                      r1           out0 ──▶ in0 sink0    healthy
#   gen                             out1 ──▶ in0 sink1    fails
#   out0 ─────────▶ in0

load ../lib/testbed
load ../lib/json

setup_file() {
	testbed build
}

build() {
	topology fanout
}

# Whatever a failed test has left: the output as it was.
teardown() {
	cgroup_leave
	at r1 tc qdisc del dev out1 root 2>/dev/null || true
	ip_at r1 link show out1 >/dev/null 2>&1 || make_output
	ip_at r1 addr replace 10.77.3.1/24 dev out1
	ip_at r1 link set out1 up
	harness_teardown
}

make_output() {
	harness_call link r1 out1 10.77.3.1 sink1 in0 10.77.3.2
}

IN=in0:$GROUP_IN:5000
FAILING=239.255.2.3
RULE=$(rule two "$IN" "out0:$GROUP_OUT:6000" "out1:$FAILING:6000")
VARIANTS=(
	"--egress uring"
	"--egress uring --gso off"
	"--egress uring --egress-reap deferred"
	"--egress sendmmsg"
	"--egress sendmmsg --gso off"
	"--egress uring --thread-model split"
	"--egress sendmmsg --thread-model split --gso off"
)

# Where the answer comes at once, later, and to another thread.
FEW=(
	"--egress sendmmsg --gso off"
	"--egress uring --egress-reap deferred"
	"--egress uring --thread-model split"
)

# in_each VARIANTS|FEW COMMAND...: once per variant, with a relay that runs so.
in_each() {
	local variant
	local -n variants=$1
	shift
	for variant in "${variants[@]}"; do
		printf 'with %s\n' "$variant"
		# shellcheck disable=SC2086 # words
		relay_start "$RULE" "${CONTROL[@]}" $variant
		"$@"
		relay_stop
		assert_ledger_closed
		assert_final errors="$(counter egress_errors)" sent="$(counter egress_sent)"
	done
}

# relays N: a burst of N packets; each arrives behind the healthy output. What the failing one sent,
# and what came of it over its link, is in SENT and ARRIVED.
relays() {
	relay_report
	SENT=$(counter '.outputs[1].sent')
	ARRIVED=$(arrived)
	receive_start sink0
	relay_burst --size 1000 --count "$1" --verify
	relay_settle
	eventually egress_done
	receive_end sink0
	assert_intact sink0 "$1"
	SENT=$(($(counter '.outputs[1].sent') - SENT))
	ARRIVED=$(($(arrived) - ARRIVED))
}

# At sink1, whose link may be gone.
arrived() {
	rx_packets sink1 in0 2>/dev/null || printf 0
}

egress_done() {
	relay_report
	(($(counter egress_sent) + $(counter egress_errors) == 2 * $(counter matched)))
}

# assert_errors N CAUSE: mcrelayctl knows of N packets of the failing output, of this cause, and no other.
assert_errors() {
	ctl stats >"$WORK/stats"
	assert_json "$WORK/stats" '[.stats.outputs[].errors | with_entries(select(.value > 0))]'"=[{},{\"$2\":$1}]" \
		".stats.total.egress_errors=$1"
}

assert_said_once() {
	assert_equal "$(grep -c "^\[WARNING:Egress\] sends through out1 fail: $1 (" "$WORK/relay.log")" 1
	assert_equal "$(grep -c 'sends through out0' "$WORK/relay.log")" 0
}

# refuses CAUSE BREAK MEND: after BREAK nothing leaves through the failing output, after MEND all does.
refuses() {
	"$2"
	relays 200
	assert_equal "$SENT sent, $ARRIVED arrived" "0 sent, 0 arrived"
	assert_errors 200 "$1"
	"$3"
	relays 100
	assert_equal "$SENT sent, $ARRIVED arrived" "100 sent, $((100 * ${FRAGMENTS:-1})) arrived"
	assert_errors 200 "$1"
}

# ---- what is said ------------------------------------------------------------------------------

@test "an interface with many outputs: its failing sends are said once for each cause" {
	local i outputs=()
	for i in {1..40}; do
		outputs+=("out1:239.255.3.$i:6000")
	done
	relay_start "$(rule many "$IN" "out0:$GROUP_OUT:6000" "${outputs[@]}")"
	receive_start sink0
	ip_at r1 link set out1 down
	relay_burst --size 1000 --count 50 --verify
	eventually relay_counts egress_errors 2000
	receive_end sink0
	assert_intact sink0 50
	relay_stop
	run grep -oE 'sends through out1 fail: [A-Z]+' "$WORK/relay.log"
	assert_success
	assert_equal "$(sort -u <<<"$output")" "$(sort <<<"$output")"
	assert_ledger_closed
}

# ---- EPERM --------------------------------------------------------------------------------------

# The shell's own cgroup, and with it that of the relay that it starts.
cgroup_enter() {
	local root
	root=$(findmnt -nt cgroup2 -o TARGET | head -n 1)
	if [[ -z $root ]]; then
		root=$WORK/cgroup
		mkdir "$root"
		undo_push umount "$root"
		mount -t cgroup2 none "$root" || skip "no cgroup2 on this kernel"
	fi
	CGROUP_BEFORE=$root$(sed -n 's/^0:://p' /proc/self/cgroup)
	CGROUP=$(mktemp -d "$root/mcrelay-XXXXXX") # a PID may be that of others, too, in a namespace of theirs
	undo_push rmdir "$CGROUP"
	echo $BASHPID >"$CGROUP/cgroup.procs"
}

cgroup_leave() {
	[[ -z ${CGROUP:-} ]] || echo $BASHPID >"$CGROUP_BEFORE/cgroup.procs"
}

deny() {
	# not in a node: ip-netns(8) hides cgroups behind a new /sys
	"$TESTS/lib/cgroup_deny.py" "$CGROUP" "$FAILING" >"$WORK/deny.out" 2>"$WORK/deny.log" 3>&- &
	PROCESS[deny]=$(process_identity $!)
	undo_push process_stop "${PROCESS[deny]}"
	poll 20 ready_or_dead deny '^ready' || true
	! process_dead "${PROCESS[deny]}" || {
		wait_for deny
		((EXIT[deny] != 75)) || skip "no BPF programs of cgroups: $(<"$WORK/deny.log")"
	}
	ready deny '^ready'
}

allow() {
	stop deny
}

@test "EPERM: a cgroup's BPF program, like a firewall, lets nothing out" {
	cgroup_enter
	in_each FEW refuses_and_says EPERM deny allow
}

refuses_and_says() {
	refuses "$@"
	assert_said_once "$1"
}

# ---- ENOBUFS ------------------------------------------------------------------------------------

# crowd PASSING WAITING: so many bytes leave the output at once, so many more wait in its queue, and what comes
# then is refused: at a byte per second, no test lives to see another packet leave. A packet has 1042 bytes.
crowd() {
	at r1 tc qdisc add dev out1 root tbf rate 8bit burst "$1" limit "$2"
}

# Until the next packet is sent, which takes along those that wait.
widen() {
	at r1 tc qdisc change dev out1 root tbf rate 10gbit burst 1mb limit 100mb
}

relieve() {
	at r1 tc qdisc del dev out1 root
}

# refused SENT-AT-MOST: some, and all that were not sent are counted; sets WAITING, which were sent and have not arrived.
refused() {
	printf '%s of 200 sent, %s arrived\n' "$SENT" "$ARRIVED"
	((SENT > 0 && SENT <= $1)) || fail "the queue took $SENT of 200 packets"
	assert_errors "$((200 - SENT))" ENOBUFS
	WAITING=$((SENT - ARRIVED))
}

# 67 packets pass and 67 wait; of larger sends, less.
overflows() {
	crowd 70000 70000
	relays 200
	refused 134
	((WAITING > 0)) || fail "nothing waits"
	[[ $(counter gso_sends) != 0 ]] || assert_equal "$SENT sent, $ARRIVED arrived" "134 sent, 67 arrived"
	widen
	relays 100
	# to the packet: what the queue took whole or not at all
	assert_equal "$SENT sent, $ARRIVED arrived" "100 sent, $((100 + WAITING)) arrived"
	relieve
	assert_said_once ENOBUFS
}

@test "ENOBUFS: the interface's queue is full" {
	in_each VARIANTS overflows
}

# A queue whose packets may not be as large as a GSO send cuts it, and the send succeeds when it takes any of
# its packets: four pass, nine wait, the others of the send are lost behind its back.
overflows_in_parts() {
	local arrived
	crowd 5000 10000
	relays 200
	refused 199
	arrived=$ARRIVED
	widen
	relays 100
	assert_equal "$SENT sent" "100 sent"
	arrived=$((arrived + ARRIVED - 100))
	relieve
	if [[ $(counter gso_sends) == 0 ]]; then
		assert_equal "$arrived arrived, $WAITING waited" "13 arrived, 9 waited"
	elif [[ $(counter .settings.thread_model) == split ]]; then
		# sends of up to four packets, of which there may be some, are not cut
		((arrived > 0 && arrived <= 13)) || fail "$arrived arrived"
	else
		assert_equal "$arrived arrived" "13 arrived"
	fi
}

@test "ENOBUFS: a queue that cuts GSO sends" {
	in_each VARIANTS overflows_in_parts
}

# ---- EMSGSIZE -----------------------------------------------------------------------------------

fragment() {
	"$TESTS/lib/dont_fragment.py" "$(pid_of relay)" "$FAILING" 6000 "$1"
}

do_not_fragment() {
	fragment on
}

do_fragment() {
	fragment off
}

@test "EMSGSIZE: packets that do not fit, and must not be fragmented; else they are" {
	undo_push ip -n "$(namespace r1)" route del "$FAILING/32" dev out1
	ip_at r1 route add "$FAILING/32" dev out1 mtu lock 600
	FRAGMENTS=2 in_each VARIANTS refuses_and_says EMSGSIZE do_not_fragment do_fragment
}

# ---- interfaces ---------------------------------------------------------------------------------

logged() {
	grep -qF -- "$1" "$WORK/relay.log"
}

output_ready() {
	[[ -n $(at r1 ss -Huan dst "$FAILING") ]] && link_up r1 out1 && link_up sink1 in0
}

link_up() {
	[[ $(ip_at "$1" -j link show "$2" | jq -r '.[0].operstate') == UP ]]
}

set_down() {
	ip_at r1 link set out1 down
	eventually logged 'interface out1 is down'
}

set_up() {
	ip_at r1 link set out1 up
	eventually logged 'interface out1 is ready'
	eventually output_ready
}

@test "ENETUNREACH: the interface is down" {
	in_each FEW refuses_and_says ENETUNREACH set_down set_up
}

remove_address() {
	ip_at r1 addr del 10.77.3.1/24 dev out1
	eventually output_closed
}

# By every worker: it knows why.
output_closed() {
	[[ -z $(at r1 ss -Huan dst "$FAILING") ]]
}

add_address() {
	ip_at r1 addr add 10.77.3.1/24 dev out1
	eventually output_ready
}

@test "EADDRNOTAVAIL: the interface has no address" {
	in_each FEW refuses_and_says EADDRNOTAVAIL remove_address add_address
}

delete() {
	ip_at r1 link del out1
	SKEW[r1]=$(node_backlog r1) # without what out1 had counted
	eventually logged 'interface out1 is absent'
	eventually output_closed
}

create() {
	make_output
	eventually output_ready
}

# A unicast receiver that is not there: its host says so, and the next send reports it.
answered() {
	send --size 100 --count 1
	relay_report
	(($(counter '.outputs[1].errors.ECONNREFUSED') > 0))
}

# know NODE INTERFACE ADDRESS NODE INTERFACE: the first needs no ARP to find the second, as node_settled
# counts IP.
know() {
	undo_push ip -n "$(namespace "$1")" neigh del "$3" dev "$2"
	ip_at "$1" neigh replace "$3" dev "$2" nud permanent \
		lladdr "$(ip_at "$4" -j link show "$5" | jq -r '.[0].address')"
}

@test "ECONNREFUSED: nobody listens at a unicast destination; then somebody does" {
	know r1 out1 10.77.3.2 sink1 in0
	know sink1 in0 10.77.3.1 r1 out1
	SKEW[sink1]=$(node_backlog sink1)
	relay_start "$(rule two "$IN" "out0:$GROUP_OUT:6000" out1:10.77.3.2:6002)" "${CONTROL[@]}"
	receive_start sink0
	eventually answered
	relay_settle
	receive_end sink0
	assert_equal "$(rx_new sink0)" "$(counter matched)"
	assert_errors "$(counter egress_errors)" ECONNREFUSED
	assert_said_once ECONNREFUSED
	occupy there sink1 10.77.3.2 6002
	eventually node_settled sink1
	eventually node_settled r1
	send --size 100 --count 1 # learns of the last answer
	relay_settle
	relays 100
	assert_equal "$SENT sent, $ARRIVED arrived" "100 sent, 100 arrived"
	relay_stop
	assert_ledger_closed
}

# health_says TEXT: among the reasons; and the opposite.
health_says() {
	at r1 curl -s http://127.0.0.1:9464/health | jq -e --arg text "$1" 'any(.reasons[]; contains($text))' >/dev/null
}

health_silent() {
	! health_says "$1"
}

# A stray packet, whatever becomes of it.
unreachable() {
	send --size 100 --count 1
	health_says 'nobody on interface out1 answers for 10.77.3.9'
}

# Nobody has the address, on a link that asks for it.
@test "EHOSTUNREACH: a unicast receiver that is not there; then it is" {
	local failed sent
	relay_start "$(rule two "$IN" "out0:$GROUP_OUT:6000" out1:10.77.3.9:6002)" "${CONTROL[@]}" --http 127.0.0.1:9464
	eventually unreachable
	relay_settle
	failed=$(counter egress_errors) sent=$(counter '.outputs[1].sent')
	receive_start sink0
	send --size 100 --count 100 --verify
	relay_settle
	receive_end sink0
	assert_intact sink0 100
	assert_errors "$((failed + 100))" EHOSTUNREACH
	assert_counters '.outputs[1].sent'="$sent"
	assert_said_once EHOSTUNREACH
	undo_push ip -n "$(namespace sink1)" addr del 10.77.3.9/32 dev in0
	ip_at sink1 addr add 10.77.3.9/32 dev in0
	occupy there sink1 10.77.3.9 6002
	eventually health_silent 'nobody on interface out1'
	send --size 100 --count 100
	relay_finish
	assert_counters '.outputs[1].sent'="$((sent + 100))" egress_errors="$((failed + 100))"
	assert_equal "$(grep -c 'nobody on out1 answers for 10.77.3.9' "$WORK/relay.log")" 1
	assert_equal "$(grep -c '10.77.3.9 on out1 answers' "$WORK/relay.log")" 1
	assert_ledger_closed
}

@test "ENODEV: the interface is gone" {
	in_each FEW refuses_and_says ENODEV delete create
}
