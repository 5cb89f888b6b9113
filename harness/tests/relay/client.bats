#!/usr/bin/env bats
# Where relay and mcrelayctl meet, and what the relay says of who has changed what.

load ../lib/testbed

setup_file() {
	testbed build
}

build() {
	topology single
}

RULE=$(rule one "in0:$GROUP_IN:5000" "out0:$GROUP_OUT:6000")

# In a /run of their own: relays and clients that nobody has told where to meet.
# shellcheck disable=SC2016 # words of another shell
UNTOLD='
mount -t tmpfs -o mode=755 tmpfs /run
start() {
	"$RELAY" --stats-interval-ms 0 2>>"$WORK/untold.log" &
	pid=$!
	until "$MCRELAYCTL" ping >/dev/null 2>&1; do kill -0 "$pid" || exit 1; sleep 0.01; done
}
end() {
	kill "-$1" "$pid"
	wait "$pid" 2>/dev/null && true
	echo "ended with $?, left: $(find /run -mindepth 1 | sort | xargs)"
}
start
stat -c "%n %a %U" /run/mcrelay /run/mcrelay/control.sock
"$RELAY" --stats-interval-ms 0 2>&1 && true
echo "second: $?" | sed "s/$pid/PID/"
end TERM
start
end KILL
start
end TERM
'

# untold WORDS: as a shell's.
untold() {
	run at r1 env RELAY="$RELAY" MCRELAYCTL="$MCRELAYCTL" WORK="$WORK" unshare --mount bash -euc "$1"
}

@test "without being told, relay and client meet in a folder that is made; a second relay is told who is there" {
	untold "$UNTOLD"
	assert_success
	assert_line --index 0 '/run/mcrelay 755 root'
	assert_line --index 1 '/run/mcrelay/control.sock 600 root'
	assert_line --index 2 --regexp '^\[ERROR:Control\] cannot listen on /run/mcrelay/control.sock: process [0-9]+ \(mcrelay\) uses it; '
	assert_line --index 3 'second: 1'
	assert_line --index 4 'ended with 0, left: '
	# killed outright: the next one finds its folder, and leaves it
	assert_line --index 5 'ended with 137, left: /run/mcrelay /run/mcrelay/control.sock'
	assert_line --index 6 'ended with 0, left: /run/mcrelay'
	assert_equal "${#lines[@]}" 7
}

@test "where nobody has asked for a socket and there can be none, the rule file is relayed without" {
	rule_file "$RULE" >"$WORK/rules.json"
	# shellcheck disable=SC2016
	untold 'mount -t tmpfs -o ro tmpfs /run
		"$RELAY" --stats-interval-ms 0 2>&1 && true
		echo "ended with $?"
		"$RELAY" --config "$WORK/rules.json" --stats-interval-ms 0 2>"$WORK/untold.log" &
		until grep -q "\] ready" "$WORK/untold.log"; do kill -0 $! || exit 1; sleep 0.01; done
		kill $!
		wait $!'
	assert_success
	assert_line --index 0 --regexp 'cannot listen on /run/mcrelay/control.sock: Read-only file system$'
	assert_line --index 1 'ended with 1'
	grep -q '^\[WARNING:Control\] goes on without a control socket; ' "$WORK/untold.log"
}

@test "a change of rules leaves a line in the log: what, and who" {
	local asked
	relay_start "$RULE" "${CONTROL[@]}"
	# the process that is to become mcrelayctl
	asked=$(bash -c 'echo $$; exec "$@" >/dev/null' - "$MCRELAYCTL" --socket-path "$WORK/control" add --rule-id two \
		--input-interface in0 --input-group 239.1.1.1 --input-port 7 --outputs 239.1.1.2:8:out0)
	grep -qx "\[INFO:Control\] rule \"two\" added by process $asked (mcrelayctl), user 0: 239.1.1.1:7 on in0 to 1 outputs" \
		"$WORK/relay.log"
	ctl add --rule-id two --input-interface in0 --input-group 239.1.1.1 --input-port 9 >/dev/null
	grep -qE '^\[INFO:Control\] rule "two" replaced by process [0-9]+ \(mcrelayctl\), user 0: 239.1.1.1:9 on in0 to 0 outputs$' \
		"$WORK/relay.log"
	ctl remove --rule-id two >/dev/null
	grep -qE '^\[INFO:Control\] rule "two" removed by process [0-9]+ \(mcrelayctl\), user 0$' "$WORK/relay.log"
	run ctl remove --rule-id two
	run ctl list
	assert_equal "$(grep -c '^\[INFO:Control\]' "$WORK/relay.log")" 3
	asked=$(bash -c 'echo $$; kill -HUP "$1"' - "$(pid_of relay)")
	ready relay "^\\[INFO:Config\\] SIGHUP came from process $asked( \\(bash\\))?, user 0$"
	relay_stop
}
