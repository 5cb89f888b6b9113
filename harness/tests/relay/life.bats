#!/usr/bin/env bats
# From start to end: reports and where they go, settings and where they come from, the end with
# packets still waiting, and two relays at a time.

load ../lib/testbed

setup_file() {
	testbed build
}

build() {
	topology single
}

IN=in0:$GROUP_IN:5000
OUT=out0:$GROUP_OUT:6000:8
RULE=$(rule one "$IN" "$OUT")

setup() {
	harness_setup
	unset "${!MCR_@}"
}

# assert_stats_lines TAG COUNT: both STATS lines stand in the log COUNT times, in the documented form.
assert_stats_lines() {
	local n='[0-9]+' form
	form="^\[STATS:Ingress$1\] total: recv=$n matched=$n egr_sent=$n filtered=$n no_match=$n buf_exhaust=$n$"
	assert_equal "$(grep -cE "$form" "$WORK/relay.log")" "$2"
	form="^\[STATS:Egress$1\] total: sent=$n submitted=$n ch_recv=$n errors=$n bytes=$n$"
	assert_equal "$(grep -cE "$form" "$WORK/relay.log")" "$2"
	assert_equal "$(grep -cF "[STATS:Ingress$1]" "$WORK/relay.log")" "$2"
	assert_equal "$(grep -cF "[STATS:Egress$1]" "$WORK/relay.log")" "$2"
}

# mount_small BYTES: a full disk can be had in $WORK/small.
mount_small() {
	mkdir "$WORK/small"
	undo_push umount "$WORK/small"
	mount -t tmpfs -o "size=$1" tmpfs "$WORK/small"
}

@test "SIGUSR1 reports both lines in the documented form, with the numbers of the moment" {
	relay_start "$RULE $(rule no_outputs in0:239.255.1.2:5000)"
	send --size 100 --count 40
	frames gen inject out0 10.77.1.1 "$GROUP_IN" 5001 fragments:100 fragments:100 fragments:100 fragments:100 \
		fragments:100 >/dev/null
	relay_settle
	relay_report
	run tail -n 2 "$WORK/relay.log"
	assert_line --index 0 "[STATS:Ingress] total: recv=50 matched=40 egr_sent=40 filtered=5 no_match=5 buf_exhaust=0"
	assert_line --index 1 "[STATS:Egress] total: sent=40 submitted=40 ch_recv=40 errors=0 bytes=4000"
	relay_stop
}

@test "the form of the STATS lines, FINAL and not" {
	relay_start "$RULE"
	relay_report
	relay_report
	relay_stop
	assert_stats_lines '' 2
	assert_stats_lines ' FINAL' 1
}

@test "SIGTERM and SIGINT end with exit status 0 and the FINAL lines" {
	local name
	for name in TERM INT; do
		relay_start "$RULE"
		send --size 100 --count 7
		relay_settle
		stop relay "$name"
		assert_equal "$name ${EXIT[relay]}" "$name 0"
		run tail -n 2 "$WORK/relay.log"
		assert_line --index 0 --partial '[STATS:Ingress FINAL] total: recv=7 '
		assert_line --index 1 --partial '[STATS:Egress FINAL] total: sent=7 '
		assert_equal "$(counter .report)" final
		rm "$WORK/relay.json"
	done
}

@test "packets that wait in the ring at SIGTERM are relayed before the end" {
	relay_start "$RULE"
	receive_start sink
	freeze relay
	send --size 300 --count 200 --verify
	eventually node_settled r1
	signal TERM relay
	signal CONT relay
	wait_for relay
	assert_equal "${EXIT[relay]}" 0
	receive_end sink
	assert_intact sink 200
	assert_counters arrived=200 egress_sent=200
}

# worker_stop: the only one takes nothing out of its ring until end_both; its PID is in $worker.
worker_stop() {
	worker=$(children relay)
	kill -STOP "$worker"
	eventually stopped "$worker"
}

# terminate: the relay has closed its rings to what comes from now on. It looks for signals before it answers, and
# so the second answer is one of after that.
terminate() {
	signal TERM relay
	ctl ping >/dev/null
	ctl ping >/dev/null
}

# supervisor_stop: it would kill a worker that takes long to end.
supervisor_stop() {
	kill -STOP "$(pid_of relay)"
	eventually stopped "$(pid_of relay)"
}

# end_both: first the worker, then the supervisor, both by themselves.
end_both() {
	local identity
	identity=$(process_identity "$worker")
	kill -CONT "$worker"
	eventually process_dead "$identity"
	kill -CONT "$(pid_of relay)"
	wait_for relay
	assert_equal "${EXIT[relay]}" 0
	refute grep -E 'ERROR|was killed' "$WORK/relay.log"
}

@test "what arrives after SIGTERM is not let in, and so does not keep the relay from ending" {
	local worker
	relay_start "$RULE" "${CONTROL[@]}"
	receive_start sink
	worker_stop
	send --size 300 --count 100 --verify
	terminate
	supervisor_stop
	send --size 300 --count 200 --verify
	end_both
	receive_end sink
	assert_intact sink 100
	assert_counters matched=100 egress_sent=100
	assert_ledger_closed
}

@test "the ring of a rule that is added after SIGTERM lets nothing in, as those before" {
	local worker
	relay_start '' "${CONTROL[@]}"
	worker_stop
	terminate
	ctl add --rule-id late --input-interface in0 --input-group "$GROUP_IN" --input-port 5000 >/dev/null
	supervisor_stop
	send --size 300 --count 100
	end_both
	assert_counters matched=0
}

@test "too few descriptors: one line, exit status 1; with just enough of them it relays and ends" {
	local files=5 status=1
	while ((status)); do
		((files++ < 64)) || fail "does not start with 64 descriptors"
		printf 'with %s\n' "$files"
		spawn relay r1 prlimit --nofile="$files" "$RELAY" "${CONTROL[@]}" --num-workers 4
		eventually relay_began
		status=0
		grep -q '\] ready: ' "$WORK/relay.log" || status=1
		((status == 0)) || {
			wait_for relay
			assert_equal "${EXIT[relay]}" 1
			assert_equal "$(wc -l <"$WORK/relay.log")" 1
			grep -q 'Too many open files' "$WORK/relay.log"
		}
	done
	((files > 6)) || fail "nothing was too few"
	signal TERM relay
	wait_for relay
	assert_equal "${EXIT[relay]}" 0
}

relay_began() {
	ready_or_dead relay '\] ready: '
}

@test "--stats-interval-ms reports by itself" {
	relay_start "$RULE" --stats-interval-ms 20
	eventually at_least counter .sequence 5
	assert_equal "$(counter .report)" interval
	relay_stop
	(($(grep -c '^\[STATS:Ingress\] ' "$WORK/relay.log") >= 5))
}

@test "--stats-file is whole whenever it is read" {
	relay_start "$RULE" --stats-interval-ms 10
	eventually test -s "$WORK/relay.json"
	run /usr/bin/python3 - "$WORK/relay.json" <<-'EOF'
		import json, sys, time
		first = last = None
		end = time.monotonic() + 100
		while first is None or last < first + 15:
		    assert time.monotonic() < end, "no new reports"
		    report = json.load(open(sys.argv[1]))
		    first = report["sequence"] if first is None else first
		    assert last is None or report["sequence"] >= last
		    last = report["sequence"]
	EOF
	assert_success
	relay_stop
	run find "$WORK" -name 'relay.json*'
	assert_output "$WORK/relay.json"
}

@test "--stats-series has one object a line, in order" {
	relay_start "$RULE" --stats-series "$WORK/series" --stats-interval-ms 10
	eventually at_least counter .sequence 10
	relay_stop
	run gojq -Rn '[inputs | fromjson] | length >= 10 and .[-1].report == "final" and
		map(.sequence) == [range(1; length + 1)] and (map(.time_ns) | . == sort)' "$WORK/series"
	assert_output true
}

@test "the report names rules, outputs, inputs, interfaces and settings" {
	relay_start "$(rule a "$IN" "$OUT") $(rule b in0:239.255.1.2:5000)" --send-batch 32
	relay_stop
	assert_counters .schema=1 .program=mcrelay '.settings["send-batch"]=32' \
		'.settings["queue-depth"]=1024' .settings.gso=auto '.settings.exclusive=false' \
		'.rules | map(.id) | join(",")=a,b' '.rules[1].outputs | length=0' \
		'.outputs[0].ttl=8' '.outputs[0].group=239.255.2.2' '.outputs[0].port=6000' \
		'.inputs[0].interface=in0' '.inputs[0].slots=4096' \
		'.interfaces | map(.name) | sort | join(",")=in0,out0' '.interfaces[0].up=true'
}

@test "a full disk: one line, the relay goes on; and reports again when there is space" {
	local line="cannot write $WORK/small/stats: No space left on device"
	mount_small 64k
	dd if=/dev/zero of="$WORK/small/ballast" bs=4k count=16 status=none 2>/dev/null || true
	relay_start "$RULE" --stats-file "$WORK/small/stats" --stats-interval-ms 10
	receive_start sink
	eventually at_least grep -c '^\[STATS:Ingress\] ' "$WORK/relay.log" 5
	send --size 100 --count 100 --verify
	eventually grep -q 'recv=100 ' "$WORK/relay.log"
	assert_equal "$(grep -cF "$line" "$WORK/relay.log")" 1
	rm "$WORK/small/ballast"
	eventually test -s "$WORK/small/stats"
	relay_stop
	assert_equal "$(gojq .total.egress_sent "$WORK/small/stats")" 100
	run find "$WORK/small" -name 'stats*'
	assert_output "$WORK/small/stats"
	receive_end sink
	assert_intact sink 100
}

@test "a series on a disk that fills up has whole lines only, also after there is space again" {
	mount_small 20k
	relay_start "$RULE" --stats-series "$WORK/small/series" --stats-interval-ms 10
	eventually grep -q "cannot write $WORK/small/series: No space" "$WORK/relay.log"
	run gojq -Rne '[inputs | fromjson] | length > 1' "$WORK/small/series"
	assert_success
	mount -o remount,size=1m "$WORK/small"
	relay_report
	relay_stop
	run gojq -Rne '[inputs | fromjson] | .[-1].report == "final"' "$WORK/small/series"
	assert_success
	assert_equal "$(grep -c 'cannot write' "$WORK/relay.log")" 1
}

@test "a statistics file that is a device stays one" {
	mknod "$WORK/full" c 1 7
	mknod "$WORK/null" c 1 3
	relay_start "$RULE" --stats-file "$WORK/null" --stats-series "$WORK/full" --stats-interval-ms 10
	eventually grep -q "cannot write $WORK/full: No space left on device" "$WORK/relay.log"
	relay_stop
	assert_equal "$(stat -c '%F %t %T' "$WORK/null" "$WORK/full" | paste -sd,)" \
		"character special file 1 3,character special file 1 7"
	assert_equal "$(grep -c 'cannot write' "$WORK/relay.log")" 1
}

# The send buffer that the kernel gave the output, as asked for: it doubles that.
granted_sndbuf() {
	at r1 ss -Huanm dst "$GROUP_OUT" | sed -nE 's/.*,tb([0-9]+),.*/\1/p'
}

@test "the environment sets what no option does, and shows in the report; the option wins" {
	MCR_SOCKET_SNDBUF=123392 MCR_STATS_INTERVAL_MS=86000 relay_start "$RULE"
	assert_equal "$(granted_sndbuf)" 246784
	relay_stop
	assert_counters '.settings["socket-sndbuf"]=123392'
	rm "$WORK/relay.json"
	MCR_SOCKET_SNDBUF=123392 relay_start "$RULE" --socket-sndbuf 200704
	assert_equal "$(granted_sndbuf)" 401408
	relay_stop
	assert_counters '.settings["socket-sndbuf"]=200704'
}

@test "the default send buffer is 4 MiB, whatever net.core.wmem_max says" {
	relay_start "$RULE"
	assert_equal "$(granted_sndbuf)" 8388608
	relay_stop
}

@test "without CAP_NET_ADMIN a send buffer beyond wmem_max is cut, with a warning" {
	RELAY_WRAPPER="setpriv --bounding-set=-net_admin" relay_start "$RULE" --socket-sndbuf 1000000000
	relay_stop
	assert_equal "$(grep -cE '^\[WARN.*SO_SNDBUF on out0 is [0-9]+ bytes instead of 1000000000' \
		"$WORK/relay.log")" 1
}

@test "two relays with the same rules both relay" {
	relay_start "$RULE"
	spawn second r1 "$RELAY" --config "$WORK/rules.json" --stats-interval-ms 0 \
		--stats-file "$WORK/second.json" "${NO_CONTROL[@]}"
	ready second '^\[INFO:[A-Za-z]*\] ready'
	receive_start sink
	send --size 100 --count 100 --verify
	eventually node_settled r1
	relay_finish
	stop second
	assert_equal "${EXIT[second]}" 0
	receive_end sink
	assert_equal "$(received sink) $(received sink duplicated)" "100 100"
	assert_counters egress_sent=100
	assert_equal "$(gojq .total.egress_sent "$WORK/second.json")" 100
}
