#!/usr/bin/env bats
# The workers: what they may do, what happens when one dies, how several share the load. Where one is
# killed, the account says how many packets may have been lost with it: no more than a burst, which is fewer
# than a stream's WINDOW.

load ../lib/testbed

setup_file() {
	testbed build
}

build() {
	topology single
}

IN=in0:$GROUP_IN:5000
RULE=$(rule one "$IN" "out0:$GROUP_OUT:6000")
SYSCALL=$TESTS/lib/syscall.py
BURST=64 # the packets that a worker has in hand at most
WINDOW=100

# status_of PID FIELD: of /proc/PID/status, words separated by one space.
status_of() {
	sed -n "s/^$2:\s*//p" "/proc/$1/status" | tr '\t' ' '
}

# An id as real, effective, saved and file system one.
four() {
	printf '%s %s %s %s' "$1" "$1" "$1" "$1"
}

# died: packets that were lost with a worker, or may have been.
died() {
	printf '%s' "$(($(counter drop_worker_died) + $(counter egress_worker_died)))"
}

# assert_bounded_loss DEATHS: what the receiver misses, the relay says a worker may have taken along; everything
# else is there once, in order and intact.
assert_bounded_loss() {
	local name lost queued
	lost=$(streamed lost) queued=$(($(counter egress_queued) - $(counter matched)))
	for name in duplicated reordered corrupt; do
		assert_equal "$name $(streamed "$name")" "$name 0"
	done
	((lost <= $(died) && $(died) <= $1 * BURST)) || fail "$lost lost, $(died) counted at $1 deaths"
	assert_counters buffer_exhaustion=0 drop_no_match=0 arrived="$(streamed sent)"
	# of a packet that a worker died over an output may have been told, but not yet its rule
	((queued >= 0 && queued <= $1)) || fail "$queued more queued than matched at $1 deaths"
	assert_ledger_closed
}

@test "a worker is nobody, has no capabilities, and can gain none" {
	local model pid task filtered=2
	! is_sanitized "$RELAY" || filtered=0
	for model in unified split; do
		relay_start "$RULE" --thread-model "$model"
		relay_report
		pid=$(worker 0 pid)
		for task in "/proc/$pid/task"/*/; do
			task=${task%/}
			assert_equal "$(sed -nE 's/^(Uid|Gid):\t//p' "$task/status" | tr '\t\n' '  ')" \
				"$(four "$(id -u nobody)") $(four "$(id -g nobody)") "
			assert_equal "$(sed -n 's/^Groups:\s*//p' "$task/status")" ''
			assert_equal "$(sed -nE 's/^Cap(Inh|Prm|Eff|Amb):\t0{16}$/\1/p' "$task/status" | paste -sd,)" \
				Inh,Prm,Eff,Amb
			# of the bounding set, no more is left than the supervisor needs:
			# KILL, SETGID, SETUID, NET_BIND_SERVICE, NET_ADMIN, NET_RAW, IPC_LOCK
			assert_equal "$((0x$(sed -n 's/^CapBnd:\s*//p' "$task/status") & ~0x74e0))" 0
			assert_equal "$(sed -nE 's/^(NoNewPrivs|Seccomp):\t//p' "$task/status" | paste -sd,)" "1,$filtered"
		done
		assert_equal "$(find "/proc/$pid/task" -mindepth 1 -maxdepth 1 | wc -l)" \
			"$([[ $model == split ]] && echo 2 || echo 1)"
		relay_stop
	done
}

# The sockets that a process has open.
count_sockets() {
	find "/proc/$1/fd" -lname 'socket:*' | wc -l
}

@test "a worker has nothing open but its channel, its sockets and its io_urings" {
	local pid
	relay_start "$RULE" "${CONTROL[@]}"
	relay_report
	pid=$(worker 0 pid)
	run find "/proc/$pid/fd" ! -name '[012]' ! -lname 'socket:*' ! -lname 'anon_inode:\[io_uring\]' \
		! -lname 'anon_inode:\[eventfd\]' -mindepth 1 -printf '%f %l\n'
	assert_output ''
	# channel, input (small and large frames), output
	assert_equal "$(count_sockets "$pid")" 4
	ctl remove --rule-id one >/dev/null
	eventually same count_sockets "$pid" 1
	relay_stop
}

# The scheduling policies of the relay and its workers, as chrt names them.
policies() {
	local pid
	for pid in "$(pid_of relay)" $(children relay); do
		chrt -p "$pid" | sed -n 's/.*policy: //p'
	done | paste -sd' '
}

@test "the supervisor gives way to its workers, unless told otherwise with chrt" {
	relay_start "$RULE"
	assert_equal "$(policies)" "SCHED_BATCH SCHED_OTHER"
	relay_stop
	# another policy than those of a relay that was not told; an idle one might never run
	RELAY_WRAPPER="chrt --batch 0" relay_start "$RULE"
	assert_equal "$(policies)" "SCHED_BATCH SCHED_BATCH"
	relay_stop
}

@test "--user: another user; an unknown one is refused" {
	local pid
	relay_start "$RULE" --user daemon
	relay_report
	pid=$(worker 0 pid)
	assert_equal "$(status_of "$pid" Uid)" "$(four "$(id -u daemon)")"
	relay_stop
	relay_start "$RULE" --user 4242:4343 # nobody's
	pid=$(children relay)
	assert_equal "$(status_of "$pid" Uid) $(status_of "$pid" Gid)" "$(four 4242) $(four 4343)"
	relay_stop
	run --separate-stderr -64 at r1 "$RELAY" --config "$WORK/rules.json" --user no-such-user
	assert_one_line "^mcrelay: --user: no user 'no-such-user' on this host; see 'mcrelay --help'$"
}

@test "without root: refused in one line that says what it needs" {
	local open
	open=$(mktemp -d /tmp/mcr-test.XXXXXX)
	undo_push rm -rf "$open"
	cp "$RELAY" "$open/mcrelay"
	rule_file "$RULE" >"$open/rules.json"
	chmod -R a+rX "$open"
	run --separate-stderr -1 at r1 setpriv --reuid "$(id -u nobody)" --regid "$(id -g nobody)" \
		--clear-groups --bounding-set=-all "$open/mcrelay" --config "$open/rules.json"
	assert_one_line 'needs CAP_NET_RAW.*run it as root'
}

@test "a forbidden system call kills the worker; its successor relays" {
	local pid
	! is_sanitized "$RELAY" || skip "a build with a sanitizer has no sandbox"
	relay_start "$RULE"
	relay_report
	pid=$(worker 0 pid)
	# getpid(2), the most harmless of all
	run "$SYSCALL" "$pid" 39
	((status != 75)) || skip "cannot make another process call: $output"
	assert_success
	eventually grep -q 'worker 0 was killed by signal 31 (Bad system call): its sandbox does not allow' "$WORK/relay.log"
	eventually replaced 0 "$pid" 1
	receive_start sink
	send --count 100 --size 100 --verify
	relay_finish
	receive_end sink
	assert_intact sink 100
}

@test "killed under traffic: packets flow again, and none comes twice" {
	relay_start "$RULE"
	stream_start --window "$WINDOW"
	stream_more 300
	kill_worker 0 1
	stream_more 300
	stream_end
	assert_bounded_loss 1
}

# While the one that is killed is stopped first, its flows stand still, and the others are known by that.
@test "one of two is killed: the other one's flows lose nothing, counters never go back" {
	local before after pid other i earlier later lost moving=0
	relay_start "$RULE" --num-workers 2
	stream_start --flows 32 --window "$WINDOW"
	stream_more 300
	relay_report
	pid=$(worker 0 pid) other=$(worker 1 pid)
	before=$(<"$WORK/relay.json")
	kill -STOP "$pid"
	eventually stopped "$pid"
	stream_more 1000
	read -ra earlier <<<"$(stream_flows)"
	stream_more 1000
	read -ra later <<<"$(stream_flows)"
	kill -KILL "$pid"
	eventually replaced 0 "$pid" 1
	after=$(<"$WORK/relay.json")
	stream_more 300
	stream_end
	assert_bounded_loss 1
	assert_counters '.workers[1].restarts=0' '.workers[0].restarts=1' '.workers[1].counters.drop_worker_died=0'
	assert_equal "$(jq -n --argjson after "$after" '$after.workers[1].pid')" "$other"
	read -ra lost <<<"$(streamed_lost)"
	for i in "${!later[@]}"; do
		((later[i] > earlier[i])) || continue
		assert_equal "flow $i lost ${lost[i]}" "flow $i lost 0"
		((++moving))
	done
	((moving > 0 && moving < 32)) || fail "of 32 flows, $moving went on without worker 0"
	run jq -n --argjson a "$before" --argjson b "$after" --slurpfile c "$WORK/relay.json" \
		'def bucket($name): .value[] | {key: "\($name) \(.[0])", value: .[1]};
		def counters: .total | (del(.histograms) | to_entries) + [.histograms | to_entries[] | bucket(.key)] | from_entries;
		[[$a, $b], [$b, $c[0]] | map(counters) | .[0] as $x | .[1] as $y |
			$x | keys[] | select(($y[.] // 0) < $x[.])] | tostring' -r
	assert_output '[]'
}

# Since the machine was started, in 1/100 s, as the start of a process is given.
uptime_ticks() {
	local uptime
	read -r uptime _ </proc/uptime
	printf '%s' "${uptime/./}"
}

# started_ticks PID
started_ticks() {
	local identity
	identity=$(process_identity "$1")
	printf '%s' "${identity#*:}"
}

# The pause is 10 ms and doubles, for workers that live less than 10 s. How long it really takes depends on the
# machine; that it doubles is in test_workers.
@test "killed five times in a row: started again each time, and never before its pause is over" {
	local i killed started pause=1
	relay_start "$RULE"
	stream_start --window "$WINDOW"
	started=$(started_ticks "$(children relay)")
	for i in 1 2 3 4 5; do
		stream_more 20
		killed=$(uptime_ticks)
		((killed - started < 900)) || pause=1
		kill_worker 0 "$i"
		started=$(started_ticks "$(worker 0 pid)")
		((started - killed >= pause - 1)) || fail "started $((started - killed))0 ms after it was killed, found $i"
		((pause *= 2))
	done
	stream_more 20
	stream_end
	assert_bounded_loss 5
	assert_equal "$(grep -c 'worker 0 was killed by signal 9' "$WORK/relay.log")" 5
	assert_equal "$(grep -oE 'restart [0-9]+' "$WORK/relay.log" | paste -sd,)" \
		"restart 1,restart 2,restart 3,restart 4,restart 5"
	assert_counters '.workers[0].restarts=5'
}

# many_outputs RULES OUTPUTS: so many rules with as many outputs each, no two the same.
many_outputs() {
	jq -nc --argjson rules "$1" --argjson outputs "$2" 'range($rules) as $i |
		{id: "rule-\($i)", input: {interface: "in0", group: "239.255.1.1", port: (5000 + $i)},
		 outputs: [range($outputs) | {interface: "out0", group: "239.3.\($i).\(.)", port: 6000}]}'
}

# How many messages, smaller than those to a worker, the channel of a relay with CAP_NET_ADMIN holds.
CHANNEL='
import socket
channel, worker = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
SO_SNDBUFFORCE = 32
channel.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 1 << 20)
channel.setblocking(False)
messages = 0
try:
    while True:
        messages += channel.send(bytes(64)) // 64
except BlockingIOError:
    print(messages)'

# many_outputs_relay RULES OUTPUTS: each of them, also after the worker was killed.
many_outputs_relay() {
	relay_start "$(many_outputs "$1" "$2")"
	kill_worker 0 1
	send --count "$1" --flows "$1" --port-step 1 --batch 1 --size 100
	relay_finish
	refute grep -E 'does not take messages|cannot send to worker' "$WORK/relay.log"
	assert_counters egress_sent=$(($1 * $2)) egress_errors=0 '.workers[0].restarts=1' \
		'.outputs | length='$(($1 * $2)) '.outputs | map(.sent) | unique | tostring=[1]'
}

@test "more outputs than a channel holds messages: a worker that is killed is replaced, once, and has them all" {
	(($(ulimit -Hn) >= 10000)) || skip "needs 10,000 descriptors"
	(($(/usr/bin/python3 -c "$CHANNEL") < 14 * 250)) || fail 'the channel holds them all'
	many_outputs_relay 14 250
}

@test "the same without CAP_NET_ADMIN, when the channel holds some hundred" {
	RELAY_WRAPPER='setpriv --bounding-set=-net_admin' many_outputs_relay 4 200
}

@test "a worker of each mode that is killed is replaced, and relays" {
	local mode i
	for mode in "--ingress uring" "--thread-model split" "--ingress uring --thread-model split"; do
		printf 'with %s\n' "$mode"
		# shellcheck disable=SC2086 # words
		relay_start "$RULE" $mode
		send --count 100 --size 100
		relay_settle
		kill_worker 0 1
		receive_start sink
		send --count 100 --size 100 --verify
		relay_finish
		receive_end sink
		assert_intact sink 100
		assert_counters arrived=200 matched=200 egress_sent=200 drop_worker_died=0
	done
}

@test "killed before it has seen its packets: in each mode, each is relayed or has a name" {
	local mode
	for mode in "" "--egress sendmmsg" "--egress-reap deferred" "--thread-model split" "--ingress uring" \
		"--ingress uring --thread-model split"; do
		printf 'with %s\n' "$mode"
		# shellcheck disable=SC2086 # words
		relay_start "$RULE" $mode
		receive_start sink
		send --count 10 --size 100
		relay_settle
		freeze relay
		send --count 300 --size 100
		eventually node_settled r1
		kill -KILL "$(children relay)"
		kill -CONT "$(pid_of relay)"
		ready relay "starting worker 0 again"
		relay_finish
		eventually node_settled sink
		stop sink
		assert_counters arrived=310 drop_no_match=0 egress_errors=0 buffer_exhaustion=0
		assert_equal "$(rx_new sink) received, $(died) died" "$((310 - $(died))) received, $(died) died"
		(($(died) <= BURST)) || fail "$(died) died"
		[[ $mode == *uring* ]] || assert_equal "$(died)" 0
		assert_ledger_closed
	done
}

@test "killed under traffic in each mode: what was lost with it has a name" {
	local mode
	for mode in "--gso off" "--thread-model split" "--ingress uring" "--egress-reap deferred"; do
		printf 'with %s\n' "$mode"
		# shellcheck disable=SC2086 # words
		relay_start "$RULE" $mode
		stream_start --window "$WINDOW"
		stream_more 100
		kill_worker 0 1
		stream_more 100
		kill_worker 0 2
		stream_more 20
		stream_end
		assert_bounded_loss 2
	done
}

packet_lines() {
	wc -l <"/proc/${ANCHOR[r1]}/net/packet"
}

@test "the supervisor is killed: its workers and their sockets go with it" {
	local pid identities=() identity
	relay_start "$RULE" --num-workers 2
	for pid in $(children relay); do
		identities+=("$(process_identity "$pid")")
	done
	assert_equal "${#identities[@]}" 2
	signal KILL relay
	wait_for relay
	assert_equal "${EXIT[relay]}" 137
	for identity in "${identities[@]}"; do
		eventually process_dead "$identity"
	done
	eventually same packet_lines 1 # the head line
}

@test "SIGTERM to the whole process group, as Ctrl-C and service managers do: drains, exits with 0" {
	local signal
	for signal in TERM INT; do
		RELAY_WRAPPER=setsid relay_start "$RULE" --num-workers 2
		receive_start sink
		freeze relay
		send --size 300 --count 500 --verify --flows 4
		eventually node_settled r1
		kill "-$signal" -- "-$(pid_of relay)"
		kill -CONT -- "-$(pid_of relay)"
		wait_for relay
		assert_equal "$signal ${EXIT[relay]}" "$signal 0"
		receive_end sink
		assert_intact sink 500
		assert_final recv=500 matched=500 sent=500
		refute grep -E 'was killed|ended with status' "$WORK/relay.log"
	done
}

@test "two workers share 64 flows: nothing twice, each flow in order" {
	local mode
	for mode in "--ingress ring" "--ingress uring --thread-model split"; do
		printf 'with %s\n' "$mode"
		# shellcheck disable=SC2086 # words
		relay_start "$RULE" --num-workers 2 $mode
		receive_start sink
		send --flows 64 --size 300 --count 1280 --verify
		relay_finish
		receive_end sink
		assert_intact sink 1280
		assert_ledger_closed
		(($(worker 0 counters.matched) > 0 && $(worker 1 counters.matched) > 0)) ||
			fail "one of them did all: $(worker 0 counters.matched) and $(worker 1 counters.matched)"
		assert_equal "$(($(worker 0 counters.matched) + $(worker 1 counters.matched)))" 1280
	done
}

@test "a single flow stays with one worker, in order" {
	relay_start "$RULE" --num-workers 4
	receive_start sink
	send --size 300 --count 200 --verify
	relay_finish
	receive_end sink
	assert_intact sink 200
	assert_counters '.workers | map(.counters.matched) | sort | tostring=[0,0,0,200]'
}

@test "--fanout cpu: the worker of the CPU that received" {
	[[ ${CPUS[*]:0:2} == "0 1" ]] || skip "needs CPUs 0 and 1"
	relay_start "$RULE" --num-workers 2 --fanout cpu
	receive_start sink
	SEND_CPU=${CPUS[0]} send --flows 16 --size 300 --count 160 --verify
	relay_settle
	receive_end sink
	assert_intact sink 160
	assert_counters '.workers | map(.counters.matched) | tostring=[160,0]'
	SEND_CPU=${CPUS[1]} send --flows 16 --size 300 --count 80
	relay_finish
	assert_counters '.workers | map(.counters.matched) | tostring=[160,80]' egress_sent=240
	assert_ledger_closed
}

@test "datagrams in fragments are relayed whole, by one worker and by several" {
	local size workers total
	for workers in 1 2; do
		relay_start "$RULE" --num-workers "$workers"
		total=0
		for size in 1473 3000 8000; do
			receive_start sink
			send --size "$size" --count 40 --verify --flows 4
			((total += 40))
			eventually relay_counts matched "$total"
			receive_end sink
			assert_equal "$size $(jq -c '[.received, .lost, .duplicated, .reordered, .corrupt]' "$WORK/sink.json")" \
				"$size [40,0,0,0,0]"
		done
		relay_stop
		# 2, 3 and 6 fragments
		assert_counters arrived=$((40 * 11)) joined_fragments=$((40 * 8)) drop_fragment=0 drop_truncated=0 \
			egress_sent=120
		assert_ledger_closed
	done
}

@test "--cpus: each worker runs on its CPU, in turn" {
	((${#CPUS[@]} >= 2)) || skip "needs two CPUs"
	local i
	relay_start "$RULE" --num-workers 3 --cpus "${CPUS[1]},${CPUS[0]}"
	relay_report
	for i in 0 1 2; do
		assert_equal "$(sed -n 's/^Cpus_allowed_list:\s*//p' /proc/"$(worker "$i" pid)"/status)" \
			"${CPUS[i % 2 == 0 ? 1 : 0]}"
	done
	relay_stop
	run --separate-stderr -64 at r1 "$RELAY" --config "$WORK/rules.json" --cpus 1-x
	assert_one_line "^mcrelay: --cpus: '1-x' is not a list of CPUs"
	run --separate-stderr -1 at r1 "$RELAY" --config "$WORK/rules.json" --cpus 1023 "${NO_CONTROL[@]}"
	assert_regex "$stderr" 'cannot pin the worker to its CPU: Invalid argument'
}

# threads_are_on WORKER CPU CPU: the thread that receives, whose number is the worker's, and the one that sends. (io_uring may
# have some of its own.)
threads_are_on() {
	local task cpu receives='' others=' '
	for task in /proc/"$1"/task/*; do
		cpu=$(sed -n 's/^Cpus_allowed_list:\s*//p' "$task/status")
		if [[ ${task##*/} == "$1" ]]; then
			receives=$cpu
		else
			others+="$cpu "
		fi
	done
	[[ $receives == "$2" && $others == *" $3 "* ]]
}

@test "--cpus: each thread of a worker that has two runs on its CPU, in turn" {
	((${#CPUS[@]} >= 2)) || skip "needs two CPUs"
	local i
	relay_start "$RULE" --num-workers 2 --thread-model split --cpus "${CPUS[1]},${CPUS[0]}"
	relay_report
	for i in 0 1; do
		eventually threads_are_on "$(worker "$i" pid)" "${CPUS[1]}" "${CPUS[0]}"
	done
	relay_stop
}

@test "a worker that cannot get its memory says so, and what may be too low; at the start that is the end" {
	! is_sanitized "$RELAY" || skip "a sanitizer has more addresses than that"
	run --separate-stderr -1 at r1 prlimit --as=$((500 << 20)) "$RELAY" "${CONTROL[@]}" --ingress uring \
		--buffer-pool-jumbo 32768
	assert_equal "${#stderr_lines[@]}" 3
	[[ ${stderr_lines[0]} == '[ERROR:Worker] worker 0 ends, for it cannot get its memory: Cannot allocate memory; '* ]]
	assert_equal "${stderr_lines[2]}" '[ERROR:Supervisor] a worker could not start'
}
