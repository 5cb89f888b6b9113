#!/usr/bin/env bats
# What people do with mcrelayctl beside changing rules: find the relay, watch it, save its rules; and what
# the relay says of who has changed what.

load ../lib/testbed

setup_file() {
	testbed build
}

build() {
	topology single
}

RULE=$(rule one "in0:$GROUP_IN:5000" "out0:$GROUP_OUT:6000")

# In a /run of their own: relays and clients that nobody has told where to meet.
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

# With all that a rule can say; one waits.
ALL_WORDS='{"id":"words","input":{"interface":"in0","group":"239.1.1.1","port":7,"sources":["10.1.0.0/16","10.9.9.9"]},
	"outputs":[{"interface":"out0","group":"239.1.1.1","port":6001,"ttl":"decrement","dscp":"keep"},
		{"interface":"out0","group":"239.1.1.2","port":6002,"ttl":7,"dscp":46,"source_port":6100,"source":"10.77.2.1"}]}
{"input":{"interface":"later","group":"239.1.1.1","port":7},"outputs":[]}'

@test "save: a relay that is started with the file has the same rules" {
	local before
	relay_start "$RULE$ALL_WORDS" "${CONTROL[@]}"
	ctl add --input-interface in0 --input-group 10.77.1.2 --input-port 8 \
		--outputs 239.1.1.1:6001:out0,10.77.2.2:6003:later:9 >/dev/null
	before=$(ctl list)
	assert_equal "$(gojq -c '[.rules[].state]' <<<"$before")" '["running","running","waiting","waiting"]'
	run --separate-stderr ctl save "$WORK/saved.json"
	assert_success
	assert_equal "$(gojq -c . <<<"$output") $stderr" '{"rules":4} '
	run ctl save -
	assert_success
	assert_equal "$output" "$(<"$WORK/saved.json")"
	relay_stop
	relay_start "$(gojq -c '.rules[]' "$WORK/saved.json")" "${CONTROL[@]}"
	assert_equal "$(ctl list)" "$before"
	relay_stop
}

@test "save: of no rules as well" {
	relay_start '' "${CONTROL[@]}"
	ctl save "$WORK/saved.json" >/dev/null
	assert_equal "$(gojq -c . "$WORK/saved.json")" '{"rules":[]}'
	relay_stop
	relay_start '' --config "$WORK/saved.json" "${CONTROL[@]}"
	assert_equal "$(ctl list | gojq -c .)" '{"rules":[]}'
	relay_stop
}

@test "save: an old file stays whole when the new one cannot be written" {
	relay_start "$RULE" "${CONTROL[@]}"
	mkdir "$WORK/folder"
	run --separate-stderr -1 ctl save "$WORK/folder"
	assert_one_line "^mcrelayctl: save: cannot write $WORK/folder: Is a directory$"
	run --separate-stderr -1 ctl save "$WORK/nowhere/rules.json"
	assert_one_line "^mcrelayctl: save: cannot write $WORK/nowhere/rules.json: No such file or directory$"
	run --separate-stderr -1 bash -c '"$@" >/dev/full' - "$MCRELAYCTL" --socket-path "$WORK/control" save -
	assert_one_line '^mcrelayctl: save: cannot write -: No space left on device$'
	relay_stop
	echo precious >"$WORK/saved.json"
	run --separate-stderr -1 ctl save "$WORK/saved.json"
	assert_one_line "^mcrelayctl: cannot reach a relay at $WORK/control: "
	assert_equal "$(<"$WORK/saved.json")" precious
}

# pictures N: so many have been shown, and one more has begun.
pictures() {
	(($(grep -c '^mcrelay, process ' "$WORK/watch.out") > $1))
}

@test "watch: pictures until Ctrl-C, of the next relay too when one has gone" {
	relay_start "$RULE" "${CONTROL[@]}"
	spawn watch r1 "$MCRELAYCTL" --socket-path "$WORK/control" watch --interval 0.1
	eventually pictures 1
	send --count 300 --size 100
	eventually grep -qE '^sent +[0-9]+ +[0-9.]+ +300$' "$WORK/watch.out"
	eventually grep -qE '^one: 239.255.1.1:5000 on in0 +[0-9]+ +[0-9.]+ +300$' "$WORK/watch.out"
	eventually grep -qE '^  to 239.255.2.2:6000 on out0 +[0-9]+ +[0-9.]+ +300$' "$WORK/watch.out"
	frames gen inject out0 10.77.1.1 "$GROUP_IN" 5000 bad-checksum:100 bad-ip-checksum:100 >/dev/null
	eventually grep -qE '^drop_checksum +[0-9]+ +2$' "$WORK/watch.out"
	ctl add --rule-id two --input-interface later --input-group "$GROUP_IN" --input-port 5000 >/dev/null
	eventually grep -q '^two: 239.255.1.1:5000 on later ' "$WORK/watch.out"
	eventually grep -q '^  waiting: interface later is absent$' "$WORK/watch.out"
	eventually grep -q '^2 rules, 1 waiting, 0 stopped; 1 outputs, 1 workers$' "$WORK/watch.out"
	relay_stop
	ready watch "^mcrelayctl: watch: cannot reach a relay at $WORK/control: .*; waiting for it$"
	relay_start '' "${CONTROL[@]}"
	eventually grep -q '^0 rules, 0 waiting, 0 stopped; 0 outputs, 1 workers$' "$WORK/watch.out"
	stop watch INT
	assert_equal "${EXIT[watch]}" 0
	assert_equal "$(wc -l <"$WORK/watch.log")" 1
	assert_equal "$(tail -n 1 "$WORK/watch.out")" ''
	refute grep -q $'\e' "$WORK/watch.out"
	relay_stop
	run --separate-stderr -1 ctl watch
	assert_one_line "^mcrelayctl: watch: cannot reach a relay at $WORK/control: "
}

# A terminal of LINES COLUMNS, and the command.
TERMINAL='
import fcntl, os, pty, struct, sys, termios
pid, fd = pty.fork()
if pid == 0:
    fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", int(sys.argv[1]), int(sys.argv[2]), 0, 0))
    os.execv(sys.argv[3], sys.argv[3:])
seen = b""
while seen.count(b"\x1b[J") < 2:
    seen += os.read(fd, 65536)
os.write(fd, b"\x03")
print("ended with", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
for picture in seen.split(b"\x1b[J")[:2]:
    head, *lines = picture.split(b"\x1b[H")[1].split(b"\x1b[K\r\n")
    print(len(lines), max(len(line) for line in [head, *lines]))'

@test "watch: on a terminal one picture replaces the other, cut to its size" {
	relay_start "$RULE" "${CONTROL[@]}"
	run at r1 /usr/bin/python3 -c "$TERMINAL" 6 40 "$MCRELAYCTL" --socket-path "$WORK/control" watch --interval 0.1
	assert_success
	assert_output "ended with 0
5 40
5 40"
	# one that does not know its size: the whole picture of one rule with one output, in 80 columns
	run at r1 /usr/bin/python3 -c "$TERMINAL" 0 0 "$MCRELAYCTL" --socket-path "$WORK/control" watch --interval 0.1
	assert_success
	assert_output "ended with 0
11 80
11 80"
	relay_stop
}

@test "a change of rules leaves a line in the log: what, and who" {
	local asked
	relay_start "$RULE" "${CONTROL[@]}"
	# the process that is to become mcrelayctl
	asked=$(bash -c 'echo $$; exec "$@" >/dev/null' - "$MCRELAYCTL" --socket-path "$WORK/control" add --rule-id two \
		--input-interface in0 --input-group 239.1.1.1 --input-port 7 --outputs 239.1.1.2:8:out0)
	grep -qx "\[INFO:Control\] rule \"two\" added by user 0, process $asked (mcrelayctl): 239.1.1.1:7 on in0 to 239.1.1.2:8 on out0" \
		"$WORK/relay.log"
	ctl add --rule-id two --input-interface in0 --input-group 239.1.1.1 --input-port 9 >/dev/null
	grep -qE '^\[INFO:Control\] rule "two" replaced by user 0, process [0-9]+ \(mcrelayctl\): 239.1.1.1:9 on in0 to nowhere$' \
		"$WORK/relay.log"
	ctl remove --rule-id two >/dev/null
	grep -qE '^\[INFO:Control\] rule "two" removed by user 0, process [0-9]+ \(mcrelayctl\)$' "$WORK/relay.log"
	run ctl remove --rule-id two
	run ctl list
	assert_equal "$(grep -c '^\[INFO:Control\]' "$WORK/relay.log")" 3
	asked=$(bash -c 'echo $$; kill -HUP "$1"' - "$(pid_of relay)")
	ready relay "^\\[INFO:Config\\] SIGHUP came from user 0, process $asked( \\(bash\\))?$"
	# who makes the log silent is the last to be named
	ctl log-level set error >/dev/null
	ctl log-level set warning >/dev/null
	ctl log-level set notice >/dev/null
	assert_equal "$(sed -nE 's/^\[NOTICE:Supervisor\] log level set to (\S+) by user 0, process [0-9]+ \(mcrelayctl\)$/\1/p' \
		"$WORK/relay.log" | xargs)" 'error notice'
	relay_stop
}

@test "a comma in the name of an output's interface" {
	undo_push ip -n "$(namespace r1)" link del out,1
	ip_at r1 link add out,1 type veth peer name comma-peer
	ip_at r1 addr add 10.77.8.1/24 dev out,1
	ip_at r1 link set out,1 up
	relay_start '' "${CONTROL[@]}"
	ctl add --input-interface in0 --input-group "$GROUP_IN" --input-port 5000 \
		--outputs 239.1.1.1:6001:out,1:9,239.1.1.2:6002:out0,239.1.1.3:6003:out,1 >/dev/null
	assert_equal "$(ctl list | gojq -c '[.rules[0].outputs[] | .interface, .port, .ttl]')" \
		'["out,1",6001,9,"out0",6002,1,"out,1",6003,1]'
	relay_stop
}

# In the place of a relay: answers each request with these bytes (escapes of printf) and hangs up; without any, it does not
# answer, and "full": does not even accept.
FAKE='
import os, socket, sys, time
path, answer = sys.argv[1:]
server = socket.socket(socket.AF_UNIX)
server.bind(path)
server.listen(0 if answer == "full" else 8)
waiting = []
while answer == "full":
    client = socket.socket(socket.AF_UNIX)
    client.setblocking(False)
    try:
        client.connect(path)
    except BlockingIOError:
        break
    waiting.append(client)
print("ready", flush=True)
while answer != "full":
    client, _ = server.accept()
    waiting.append(client)
    if not answer:
        continue
    try:
        client.recv(65536)
        while answer == "drip":
            client.sendall(b" ")
            time.sleep(0.01)
        client.sendall(answer.encode().decode("unicode_escape").encode("latin-1"))
        client.close()
    except ConnectionError:  # it has seen enough
        pass
time.sleep(1000)'

# fake ANSWER
fake() {
	spawn fake r1 /usr/bin/python3 -c "$FAKE" "$WORK/control" "$1"
	ready fake '^ready'
}

# fake_end: it is gone.
fake_end() {
	stop fake
	rm "$WORK/control"
}

@test "a relay that is stopped, hangs up or talks nonsense: what was waited for, and how long" {
	local answer
	fake ''
	run --separate-stderr -1 ctl --timeout 0.05 ping
	assert_one_line "^mcrelayctl: no answer from the relay at $WORK/control for 0.05 s; is it stopped\?$"
	fake_end
	fake full
	run --separate-stderr -1 ctl --timeout 0.05 ping
	assert_one_line "^mcrelayctl: the relay at $WORK/control has accepted no connection for 0.05 s; is it stopped\?$"
	fake_end
	# the time is that of the whole answer
	fake drip
	run --separate-stderr -1 at r1 timeout 100 "$MCRELAYCTL" --socket-path "$WORK/control" --timeout 0.05 ping
	assert_one_line "^mcrelayctl: no answer from the relay at $WORK/control for 0.05 s; is it stopped\?$"
	fake_end
	for answer in ' ' '{\"ok\":true}'; do
		fake "$answer"
		run --separate-stderr -1 ctl ping
		assert_one_line "^mcrelayctl: no answer from the relay at $WORK/control: it closed the connection$"
		fake_end
	done
	fake 'pong\n'
	run --separate-stderr -1 ctl ping
	assert_one_line "^mcrelayctl: no answer from the relay at $WORK/control: what it says is not JSON$"
	fake_end
}

@test "whatever an answer has in it, no terminal is told anything" {
	local nasty='\\u001b[2J\\u009b31m\\u009d0;x\\u0007\x7f\xc2\x9b31m\xc3\xa9'
	fake "{\"ok\":true,\"rules\":[\"$nasty\"]}\\n"
	run --separate-stderr -0 ctl list
	refute_output --regexp $'[^ -~\n]'
	assert_equal "$(gojq -c '.rules[0] | explode' <<<"$output")" \
		'[27,91,50,74,155,51,49,109,157,48,59,120,7,127,155,51,49,109,233]'
	run --separate-stderr -0 ctl save -
	refute_output --regexp $'[^ -~\n]'
	fake_end
	fake "{\"ok\":false,\"error\":\"$nasty\"}\\n"
	run --separate-stderr -1 ctl list
	assert_one_line '^mcrelayctl: list: [?]\[2J[?]+31m[?]+0;x[?][?][?]+31mé$'
	fake_end
	fake "{\"ok\":true,\"stats\":{\"time_ns\":1,\"rules\":[{\"id\":\"$nasty\",\"input\":{}}]}}\\n"
	spawn watch r1 "$MCRELAYCTL" --socket-path "$WORK/control" watch
	ready watch '31m'
	stop watch
	refute grep -qP '[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]' "$WORK/watch.out"
}
