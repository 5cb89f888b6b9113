#!/usr/bin/env bats
# The workers: what they may do, what happens when one dies, how several share the load. Where one is
# killed, the account says how many packets may have been lost with it.

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

# status_of PID FIELD: of /proc/PID/status, words separated by one space.
status_of() {
	sed -n "s/^$2:\s*//p" "/proc/$1/status" | tr '\t' ' '
}

# An id as real, effective, saved and file system one.
four() {
	printf '%s %s %s %s' "$1" "$1" "$1" "$1"
}

worker_pid() {
	worker "$1" pid
}

# Another process than $2 is worker $1 now, and $1 has been started $3 times again.
replaced() {
	relay_report
	(($(worker "$1" pid) != 0 && $(worker "$1" pid) != $2 && $(worker "$1" restarts) == $3))
}

# kill_worker N RESTARTS: outright; returns when its successor runs.
kill_worker() {
	local pid
	relay_report
	pid=$(worker_pid "$1")
	kill -KILL "$pid"
	eventually replaced "$1" "$pid" "$2"
}

# flood_start OPTION...: sends in the background until flood_end, a report in $WORK/send.json.
flood_start() {
	spawn flood gen taskset -c "$SEND_CPU" "$TRAFFICGEN" send --interface 10.77.1.1 --verify \
		--group "$GROUP_IN" --port 5000 --size 200 --rate 20000 --duration 50 --quiet \
		--json "$WORK/send.json" "$@"
}

flood_end() {
	stop flood INT
	assert_equal "${EXIT[flood]}" 0
}

# assert_bounded_loss NODE: what the receiver misses, the relay says a worker may have taken along;
# everything else is there once, in order and intact.
assert_bounded_loss() {
	local name lost
	lost=$(received "$1" lost)
	for name in duplicated reordered stale corrupt foreign socket_drops; do
		assert_equal "$name $(received "$1" "$name")" "$name 0"
	done
	assert_equal "$(($(received "$1") + lost))" "$(sent)"
	((lost <= $(counter drop_worker_died))) || fail "$lost lost, $(counter drop_worker_died) counted"
	assert_counters arrived="$(sent)" buffer_exhaustion=0 drop_no_match=0 \
		matched="$(($(sent) - $(counter drop_worker_died)))"
}

@test "a worker is nobody, has no capabilities, and can gain none" {
	local model pid task
	for model in unified split; do
		relay_start "$RULE" --thread-model "$model"
		relay_report
		pid=$(worker_pid 0)
		for task in "/proc/$pid/task"/*/; do
			task=${task%/}
			assert_equal "$(sed -nE 's/^(Uid|Gid):\t//p' "$task/status" | tr '\t\n' '  ')" \
				"$(four "$(id -u nobody)") $(four "$(id -g nobody)") "
			assert_equal "$(sed -n 's/^Groups:\s*//p' "$task/status")" ''
			assert_equal "$(sed -nE 's/^Cap(Inh|Prm|Eff|Amb):\t0{16}$/\1/p' "$task/status" | paste -sd,)" \
				Inh,Prm,Eff,Amb
			# of the bounding set, no more is left than the supervisor needs:
			# KILL, SETGID, SETUID, NET_ADMIN, NET_RAW
			assert_equal "$((0x$(sed -n 's/^CapBnd:\s*//p' "$task/status") & ~0x30e0))" 0
			assert_equal "$(sed -nE 's/^(NoNewPrivs|Seccomp):\t//p' "$task/status" | paste -sd,)" 1,2
		done
		assert_equal "$(find "/proc/$pid/task" -mindepth 1 -maxdepth 1 | wc -l)" \
			"$([[ $model == split ]] && echo 2 || echo 1)"
		relay_stop
		rm "$WORK/relay.json"
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
	pid=$(worker_pid 0)
	run find "/proc/$pid/fd" ! -name '[012]' ! -lname 'socket:*' ! -lname 'anon_inode:\[io_uring\]' \
		! -lname 'anon_inode:\[eventfd\]' -mindepth 1 -printf '%f %l\n'
	assert_output ''
	# channel, input, output
	assert_equal "$(count_sockets "$pid")" 3
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
	RELAY_WRAPPER="chrt -i 0" relay_start "$RULE"
	assert_equal "$(policies)" "SCHED_IDLE SCHED_IDLE"
	relay_stop
}

@test "--user: another user; an unknown one is refused" {
	local pid
	relay_start "$RULE" --user daemon
	relay_report
	pid=$(worker_pid 0)
	assert_equal "$(status_of "$pid" Uid)" "$(four "$(id -u daemon)")"
	relay_stop
	run --separate-stderr -64 at r1 "$RELAY" --config "$WORK/rules.json" --user no-such-user
	assert_one_line "^mcrelay: --user: no user 'no-such-user' on this host; see 'mcrelay --help'$"
}

@test "without root: refused in one line that says what it needs" {
	local open
	open=$(mktemp -d /tmp/mcr-test.XXXXXX)
	undo_push rm -rf "$open"
	cp "$RELAY" "$open/mcrelay"
	jq -s '{rules: .}' <<<"$RULE" >"$open/rules.json"
	chmod -R a+rX "$open"
	run --separate-stderr -1 at r1 setpriv --reuid "$(id -u nobody)" --regid "$(id -g nobody)" \
		--clear-groups --bounding-set=-all "$open/mcrelay" --config "$open/rules.json"
	assert_one_line 'needs CAP_NET_RAW.*run it as root'
}

@test "a forbidden system call kills the worker; its successor relays" {
	local pid
	relay_start "$RULE"
	relay_report
	pid=$(worker_pid 0)
	# getpid(2), the most harmless of all
	run "$SYSCALL" "$pid" 39
	((status != 75)) || skip "cannot make another process call: $output"
	assert_success
	eventually grep -q 'worker 0 was killed by signal 31 (Bad system call): its sandbox does not allow' "$WORK/relay.log"
	eventually replaced 0 "$pid" 1
	receive_start sink
	send --count 500 --size 100 --verify
	relay_finish
	receive_end sink
	assert_intact sink 500
}

@test "killed under traffic: packets flow again within a second, and none comes twice" {
	local matched
	relay_start "$RULE"
	receive_start sink --sample-ms 50
	flood_start
	eventually relay_saw 4000
	kill_worker 0 1
	matched=$(counter matched)
	eventually relay_saw "$(($(counter arrived) + 4000))"
	(($(counter matched) > matched)) || fail "matched was $matched, is $(counter matched)"
	flood_end
	relay_finish
	receive_end sink
	assert_bounded_loss sink
	assert_longest_silence 1000
}

# assert_longest_silence MS: between two packets at the sink, as its samples show.
assert_longest_silence() {
	local silence
	silence=$(silence_ms)
	((silence < $1)) || fail "no packet for $silence ms"
}

# Between the first and the last packet at the sink: the longest time in which its samples, pairs of
# time and packets so far, stay the same.
silence_ms() {
	jq '(.received as $all | .samples | map(select(.[1] > 0 and .[1] < $all)))
		| [group_by(.[1])[] | .[-1][0] - .[0][0]] | max / 1e6 | floor' "$WORK/sink.json"
}

@test "one of two is killed: the other one's flows lose nothing, counters never go back" {
	local before after pid other name
	relay_start "$RULE" --num-workers 2
	receive_start sink
	flood_start --flows 16
	eventually relay_saw 4000
	other=$(worker_pid 1)
	before=$(<"$WORK/relay.json")
	kill_worker 0 1
	after=$(<"$WORK/relay.json")
	eventually relay_saw "$(($(counter arrived) + 4000))"
	flood_end
	relay_settle
	assert_equal "$(worker 1 pid) $(worker 1 restarts) $(worker 0 restarts)" "$other 0 1"
	relay_stop
	receive_end sink
	assert_bounded_loss sink
	run jq -n --argjson a "$before" --argjson b "$after" --slurpfile c "$WORK/relay.json" \
		'[[$a, $b], [$b, $c[0]] | .[0].total as $x | .[1].total as $y |
			$x | keys[] | select($y[.] < $x[.])] | tostring' -r
	assert_output '[]'
	assert_equal "$(worker 1 counters.drop_worker_died)" 0
	for name in 0 1; do
		(($(worker "$name" counters.matched) > 0))
	done
}

# The last pause is 160 ms: the ring has room for 800, so that only what died with a worker is lost.
@test "killed five times in a row: started again each time, later each time" {
	local i
	relay_start "$RULE" --ring-slots 16384
	receive_start sink
	flood_start
	for i in 1 2 3 4 5; do
		kill_worker 0 "$i"
		eventually relay_saw "$(($(counter arrived) + 100))"
	done
	flood_end
	relay_finish
	receive_end sink
	assert_bounded_loss sink
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

@test "more outputs than a channel holds messages: a worker that is killed is replaced, once" {
	local wrapper
	(($(ulimit -Hn) >= 10000)) || skip "needs 10,000 descriptors"
	for wrapper in '' 'setpriv --bounding-set=-net_admin'; do
		printf 'with %s\n' "$wrapper"
		RELAY_WRAPPER=$wrapper relay_start "$(many_outputs 14 250)"
		kill_worker 0 1
		send --count 10 --size 100
		relay_settle
		relay_stop
		refute grep -E 'does not take messages|cannot send to worker' "$WORK/relay.log"
		assert_counters egress_sent=2500 egress_errors=0 '.workers[0].restarts=1'
		rm "$WORK/relay.json"
	done
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
		send --count 500 --size 100 --verify
		relay_finish
		receive_end sink
		assert_intact sink 500
		assert_counters arrived=600 matched=600 egress_sent=600 drop_worker_died=0
		rm "$WORK/relay.json"
	done
}

packet_lines() {
	at r1 cat /proc/net/packet | wc -l
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
		rm "$WORK/relay.json"
	done
}

@test "two workers share 16 flows: nothing twice, each flow in order" {
	local mode
	for mode in "--ingress ring" "--ingress uring --thread-model split"; do
		printf 'with %s\n' "$mode"
		# shellcheck disable=SC2086 # words
		relay_start "$RULE" --num-workers 2 $mode
		receive_start sink
		send --flows 16 --size 300 --count 8000 --verify
		relay_finish
		receive_end sink
		assert_intact sink 8000
		assert_ledger_closed
		(($(worker 0 counters.matched) > 0 && $(worker 1 counters.matched) > 0)) ||
			fail "one of them did all: $(worker 0 counters.matched) and $(worker 1 counters.matched)"
		assert_equal "$(($(worker 0 counters.matched) + $(worker 1 counters.matched)))" 8000
		rm "$WORK/relay.json"
	done
}

@test "a single flow stays with one worker, in order" {
	relay_start "$RULE" --num-workers 4
	receive_start sink
	send --size 300 --count 2000 --verify
	relay_finish
	receive_end sink
	assert_intact sink 2000
	assert_counters '.workers | map(.counters.matched) | sort | tostring=[0,0,0,2000]'
}

@test "--fanout cpu: the worker of the CPU that received" {
	[[ ${CPUS[*]:0:2} == "0 1" ]] || skip "needs CPUs 0 and 1"
	relay_start "$RULE" --num-workers 2 --fanout cpu
	receive_start sink
	SEND_CPU=${CPUS[0]} send --flows 16 --size 300 --count 1000 --verify
	relay_settle
	receive_end sink
	assert_intact sink 1000
	assert_counters '.workers | map(.counters.matched) | tostring=[1000,0]'
	SEND_CPU=${CPUS[1]} send --flows 16 --size 300 --count 500
	relay_finish
	assert_counters '.workers | map(.counters.matched) | tostring=[1000,500]' egress_sent=1500
	assert_ledger_closed
}

@test "several workers get datagrams put together: relayed whole where the slot has room" {
	local size done=0
	relay_start "$RULE" --num-workers 2 --ring-slot-bytes 16384
	for size in 1473 3000 8000; do
		receive_start sink
		send --size "$size" --count 200 --rate 2000 --verify --flows 4
		((done += 200))
		eventually relay_counts matched "$done"
		receive_end sink
		assert_equal "$size $(jq -c '[.received, .lost, .duplicated, .reordered, .corrupt]' "$WORK/sink.json")" \
			"$size [200,0,0,0,0]"
	done
	relay_stop
	assert_counters drop_fragment=0 drop_truncated=0 egress_sent=600
	assert_ledger_closed
}

@test "several workers: datagrams put together that do not fit a slot are counted, others relayed" {
	relay_start "$RULE" --num-workers 2
	receive_start sink
	send --size 3000 --count 100 --rate 2000
	send --size 1000 --count 200 --verify
	eventually relay_counts recv_packets 300
	relay_stop
	receive_end sink
	assert_intact sink 200
	assert_counters drop_truncated=100 matched=200
	assert_ledger_closed
}

@test "--cpus: each worker runs on its CPU, in turn" {
	((${#CPUS[@]} >= 2)) || skip "needs two CPUs"
	local i
	relay_start "$RULE" --num-workers 3 --cpus "${CPUS[1]},${CPUS[0]}"
	relay_report
	for i in 0 1 2; do
		assert_equal "$(sed -n 's/^Cpus_allowed_list:\s*//p' /proc/"$(worker_pid "$i")"/status)" \
			"${CPUS[i % 2 == 0 ? 1 : 0]}"
	done
	relay_stop
	run --separate-stderr -64 at r1 "$RELAY" --config "$WORK/rules.json" --cpus 1-x
	assert_one_line "^mcrelay: --cpus: '1-x' is not a list of CPUs"
	run --separate-stderr -1 at r1 "$RELAY" --config "$WORK/rules.json" --cpus 1023
	assert_regex "$stderr" 'cannot pin the worker to its CPU: Invalid argument'
}
