#!/usr/bin/env bats
# Nobody at the other end of a log, a file or a descriptor keeps a relay waiting, and what they are given cannot do more
# than be read.

load ../lib/testbed

setup_file() {
	testbed build
}

build() {
	topology single
}

HTTP=127.0.0.1:9464
PYTHON=/usr/bin/python3

# begin REDIRECTION [OPTION]...: a relay whose descriptors are redirected so, with one rule. Packets wait in its ring
# from now on.
begin() {
	printf '#!/bin/bash\nexec "$@" %s\n' "$1" >"$WORK/redirected"
	chmod +x "$WORK/redirected"
	RELAY_SAW=$(input_packets)
	SKEW[r1]=$(node_backlog r1)
	spawn relay r1 "$WORK/redirected" "$RELAY" --stats-file "$WORK/relay.json" --stats-interval-ms 0 \
		"${CONTROL[@]}" "${@:2}"
	eventually ctl ping
	ctl add --rule-id one --input-interface in0 --input-group "$GROUP_IN" --input-port 5000 \
		--outputs "$GROUP_OUT:6000:out0" >/dev/null
}

# pipe_make: $WORK/pipe can be opened for writing, and nobody reads it. pipe_fill: it takes nothing more.
pipe_make() {
	mkfifo "$WORK/pipe"
	exec {PIPE}<>"$WORK/pipe"
}

pipe_fill() {
	"$PYTHON" - "$WORK/pipe" <<-'EOF'
		import os, sys
		pipe = os.open(sys.argv[1], os.O_WRONLY | os.O_NONBLOCK)
		try:
		    while True:
		        os.write(pipe, b"x")
		except BlockingIOError:
		    pass
	EOF
}

health() {
	at r1 curl --silent --max-time "$PATIENCE_S" --output /dev/null --write-out '%{http_code}' "http://$HTTP/health"
}

# relays N: packets, each of which is a line in the log.
relays() {
	receive_start sink
	send --size 100 --count "$1" --verify
	relay_settle
	receive_end sink
	assert_intact sink "$1"
}

@test "nobody reads the log: the relay answers, relays, reports; what was lost is said once somebody reads" {
	pipe_make
	begin "2>$WORK/pipe" --log-packets --http "$HTTP"
	pipe_fill
	relays 3000
	assert_equal "$(ctl ping)" pong
	assert_equal "$(health)" 200
	relay_report
	assert_counters egress_sent=3000
	spawn reader r1 cat "$WORK/pipe"
	eventually grep -qaE '^\[WARNING:Supervisor\] [0-9]+ lines were lost: ' "$WORK/reader.out"
	ctl log-level set debug Control >/dev/null
	ctl ping >/dev/null
	eventually grep -qxaF '[DEBUG:Control] ping' "$WORK/reader.out"
	relay_stop
	eventually grep -qaF 'STATS:Egress FINAL' "$WORK/reader.out"
	# every line of a packet is there, or among those that were lost, of which some are of other things
	run awk '/packet to 239/ {lines++} match($0, /[0-9]+ lines were lost/) {lines += substr($0, RSTART) + 0}
		END {print (lines >= 3000)}' "$WORK/reader.out"
	assert_output 1
}

@test "nobody reads the log at the end: it ends all the same, also with --thread-model split" {
	pipe_make
	begin "2>$WORK/pipe" --log-packets --thread-model split
	pipe_fill
	relays 3000
	relay_stop
	assert_counters .report=final egress_sent=3000
}

@test "nobody reads what statistics are written to: a line about it, and the relay goes on" {
	pipe_make
	begin ">$WORK/pipe" --stats-series /dev/stdout
	pipe_fill
	relays 100
	relay_report
	assert_equal "$(ctl ping)" pong
	relay_stop
	assert_equal "$(grep -c 'cannot write /dev/stdout: ' "$WORK/relay.log")" 1
	assert_counters egress_sent=100
}

@test "nobody reads what a generator complains of: it sends all the same" {
	pipe_make
	pipe_fill
	# that many segments do not fit a message
	at gen bash -c 'exec "$@" 2>"$0"' "$WORK/pipe" "$TRAFFICGEN" send --interface "${ADDRESS[gen:out0]}" \
		--group "$GROUP_IN" --port 5000 --size 1400 --gso 64 --rate 20000 --count 100 --json "$WORK/send.json" >/dev/null
	assert_equal "$(sent)" 100
}

@test "a rule file that becomes a FIFO: SIGHUP is answered with a line, and the rules stay" {
	rule_file "$(rule one "in0:$GROUP_IN:5000" "out0:$GROUP_OUT:6000")" >"$WORK/rules.json"
	begin '' --config "$WORK/rules.json"
	rm "$WORK/rules.json"
	mkfifo "$WORK/rules.json"
	signal HUP relay
	eventually grep -q 'rules.json: cannot read the rule file: .*; the rules stay as they are$' "$WORK/relay.log"
	relays 100
	relay_stop
}

# assert_null PID FD...: they are /dev/null.
assert_null() {
	local fd
	for fd in "${@:2}"; do
		assert_equal "$fd $(readlink "/proc/$1/fd/$fd")" "$fd /dev/null"
	done
}

@test "started with descriptors 0, 1 and 2 closed, the programs have /dev/null there and count right" {
	begin '<&- >&- 2>&-' --log-packets --stats-interval-ms 5
	assert_null "$(pid_of relay)" 0 1
	relays 100
	relay_stop
	assert_counters arrived=100 matched=100 egress_sent=100
	# the others
	spawn recv sink "$WORK/redirected" "$TRAFFICGEN" recv --interface "${ADDRESS[sink:in0]}" --group "$GROUP_IN" \
		--port 5000 --json "$WORK/recv.json"
	eventually listens sink
	assert_null "$(pid_of recv)" 0 1
	stop recv
	assert_equal "${EXIT[recv]} $(received recv)" '0 0'
	run -1 "$WORK/redirected" "$MCRELAYCTL" --socket-path "$WORK/none" ping
	assert_output ''
	run -64 "$WORK/redirected" "$TRAFFICGEN" send
	assert_output ''
}

# listens NODE: there is a UDP socket on port 5000 (1388).
listens() {
	grep -q ':1388 ' "/proc/${ANCHOR[$1]}/net/udp"
}
