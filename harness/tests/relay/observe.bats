#!/usr/bin/env bats
# What an operator sees of a relay and tells it from outside: SIGHUP, log levels and formats, /metrics
# and /health, the service manager's socket, capabilities, rates; and unicast at both ends.

load ../lib/testbed

setup_file() {
	testbed build
}

build() {
	topology single
	link r1 extra 10.77.9.1 gen spare 10.77.9.2
	# ::1, which sends nothing on any link
	run ip netns exec "$(namespace r1)" sysctl -qw net.ipv6.conf.lo.disable_ipv6=0
	# unicast without ARP among the packets we count
	neighbour gen out0 r1 in0
	neighbour r1 in0 gen out0
	neighbour r1 out0 sink in0
	neighbour sink in0 r1 out0
}

# neighbour NODE INTERFACE PEER INTERFACE: NODE knows its peer's link address.
neighbour() {
	local address
	address=$(ip -n "$(namespace "$3")" -j link show "$4" | gojq -r '.[0].address')
	ip -n "$(namespace "$1")" neighbour replace "$(node_address "$3" "$4")" lladdr "$address" \
		dev "$2" nud permanent
}

RULE=$(rule one "in0:$GROUP_IN:5000" "out0:$GROUP_OUT:6000")
HTTP=127.0.0.1:9464
PYTHON=/usr/bin/python3

# rules_write RULE...: the rule file as it will be read again.
rules_write() {
	rule_file "$*" >"$WORK/rules.new"
	mv "$WORK/rules.new" "$WORK/rules.json"
}

ids() {
	ctl list | gojq -r '[.rules[].id] | sort | join(",")'
}

lines() {
	wc -l <"$1"
}

# log_count PATTERN: lines of the relay's log that match.
log_count() {
	grep -c -- "$1" "$WORK/relay.log" || true
}

# logged N PATTERN: for eventually.
logged() {
	[[ $(log_count "$2") == "$1" ]]
}

# levels JQ: is true of the levels that the last command printed.
levels() {
	assert_success
	assert_equal "$stderr" ''
	gojq -se "length == 1 and (.[0].levels | $1)" <<<"$output" >/dev/null || fail "not '$1': $output"
}

# ---- SIGHUP -------------------------------------------------------------------------------------

@test "SIGHUP under traffic: a new rule relays, a removed one does not, the untouched one loses nothing" {
	local old new
	old=$(rule old in0:239.255.1.8:5000 out0:239.255.2.8:6008)
	new=$(rule new in0:239.255.1.7:5000 out0:239.255.2.7:6007)
	relay_start "$RULE$old" "${CONTROL[@]}"
	listen_start old sink receive 10.77.2.2 239.255.2.8 6008
	listen_start new sink receive 10.77.2.2 239.255.2.7 6007
	stream_start
	send --count 50 --size 100 --group 239.255.1.8
	send --count 30 --size 100 --group 239.255.1.7
	relay_unasked 30
	relay_settle
	# what was added meanwhile over the socket is gone as well
	ctl add --rule-id other --input-interface in0 --input-group 239.255.1.9 --input-port 5000 >/dev/null
	rules_write "$RULE" "$new"
	signal HUP relay
	eventually logged 1 '^\[INFO:Config\] .*read again: 2 rules$'
	assert_equal "$(ids)" new,one
	run ip_at r1 maddr show dev in0
	refute_output --partial 239.255.1.8
	assert_output --partial 239.255.1.7
	send --count 50 --size 100 --group 239.255.1.8
	relay_unasked 50
	send --count 40 --size 100 --group 239.255.1.7
	# ten times more
	for _ in {1..10}; do
		signal HUP relay
		stream_more 8
	done
	stream_more 16
	stream_end
	assert_stream_intact
	listen_end old sink
	listen_end new sink
	assert_equal "old $(lines "$WORK/old.out") new $(lines "$WORK/new.out")" 'old 50 new 40'
	assert_equal "$(gojq -c '[.rules[] | select(.id == "new") | .matched]' "$WORK/relay.json")" '[40]'
}

# reload_refused PATTERN: one line about it, and the rules are as before.
reload_refused() {
	local before log
	before=$(ctl list)
	log=$(lines "$WORK/relay.log")
	signal HUP relay
	eventually at_least lines "$WORK/relay.log" $((log + 1))
	assert_equal "$(ctl list)" "$before"
	assert_equal "$(lines "$WORK/relay.log")" $((log + 1))
	run tail -n 1 "$WORK/relay.log"
	assert_output --regexp "^\[ERROR:Config\] $WORK/rules\.json.*$1.*; the rules stay as they are$"
}

@test "SIGHUP with a broken rule file: one line, the old rules stay and relay" {
	local file=$WORK/rules.json
	relay_start "$RULE" "${CONTROL[@]}"
	receive_start sink
	echo '{"rules": [' >"$file"
	reload_refused ''
	rules_write "$RULE" "$(rule two no/such:239.255.1.7:5000)"
	reload_refused no/such
	rules_write "$RULE" "$(rule two in0:239.255.1.7:5000 no/such:239.255.2.7:6000)"
	reload_refused no/such
	rules_write "$RULE" "$RULE"
	reload_refused one
	rm "$file"
	reload_refused 'No such file'
	send --count 100 --size 100 --verify
	relay_settle
	receive_end sink
	assert_intact sink 100
	# mended: it is as if nothing had been
	rules_write "$RULE"
	signal HUP relay
	eventually logged 1 'read again: 1 rules$'
	receive_start sink
	send --count 100 --size 100 --verify
	relay_finish
	receive_end sink
	assert_intact sink 100
	assert_counters '.rules[0].matched=200'
}

@test "SIGHUP without a rule file: a warning, the rules stay" {
	relay_start '' "${CONTROL[@]}"
	ctl add --rule-id a --input-interface in0 --input-group 239.1.1.1 --input-port 1 >/dev/null
	signal HUP relay
	eventually logged 1 '^\[WARNING:Config\] there is no --config FILE'
	assert_equal "$(ids)" a
	relay_stop
}

# ---- the log ------------------------------------------------------------------------------------

@test "log-level set: one facility or all, seen in the log; what is wrong is refused in one line" {
	local before
	relay_start '' "${CONTROL[@]}"
	run --separate-stderr ctl log-level get
	levels 'length == 8 and all(. == "info")'
	assert_equal "$(log_count DEBUG)" 0
	run --separate-stderr ctl log-level set debug Control
	levels '.Control == "debug" and (del(.Control) | all(. == "info"))'
	assert_equal "$(ctl ping)" pong
	assert_equal "$(log_count '^\[DEBUG:Control\] ping$')" 1
	run --separate-stderr ctl log-level set INFO control # the case does not matter
	levels 'all(. == "info")'
	assert_equal "$(ctl ping)" pong
	assert_equal "$(log_count '^\[DEBUG:Control\] ping$')" 1
	run --separate-stderr ctl log-level set debug
	levels 'all(. == "debug")'
	before=$(ctl log-level get)
	for wrong in 'nonsense' 'debug Nowhere' 'nonsense Control' 'debug,info' '7'; do
		# shellcheck disable=SC2086 # one or two words
		run --separate-stderr -1 ctl log-level set $wrong
		assert_one_line '^mcrelayctl: log-level: found .*, expected a level'
		assert_output ''
	done
	run --separate-stderr -64 ctl log-level set debug Control more
	assert_one_line '^mcrelayctl'
	assert_equal "$(ctl log-level get)" "$before"
	# an error level silences reports as well
	ctl log-level set error >/dev/null
	before=$(lines "$WORK/relay.log")
	relay_report
	assert_equal "$(lines "$WORK/relay.log")" "$before"
	relay_stop
	assert_equal "$(log_count FINAL)" 0
}

@test "--log-level: of all and of one facility; a wrong one is refused" {
	spawn relay r1 "$RELAY" "${CONTROL[@]}" --log-level warning,Control=debug,stats=error
	eventually ctl ping
	run --separate-stderr ctl log-level get
	levels '.Control == "debug" and .Stats == "error" and (del(.Control, .Stats) | all(. == "warning"))'
	relay_stop
	assert_equal "$(grep -cv '^\[DEBUG:Control\] ' "$WORK/relay.log")" 0
	for wrong in loud info,Nowhere=debug Egress=loud '' 'info,'; do
		run --separate-stderr -64 at r1 "$RELAY" "${CONTROL[@]}" --log-level "$wrong"
		assert_one_line '^mcrelay: --log-level: '
	done
	run --separate-stderr -64 at r1 "$RELAY" "${CONTROL[@]}" --log-format xml
	assert_one_line '^mcrelay: --log-format: '
}

@test "--log-format json: every line is an object with utc, level, facility and message" {
	rule_file "$RULE" >"$WORK/rules.json"
	RELAY_SAW=$(input_packets)
	spawn relay r1 "$RELAY" --config "$WORK/rules.json" "${CONTROL[@]}" --log-format json \
		--log-level debug --log-packets --stats-interval-ms 0 --stats-file "$WORK/relay.json"
	ready relay '"message":"ready'
	send --count 10 --size 100
	relay_settle
	# names with all that JSON and terminals cannot have
	printf '{"rules": "\\u0001\xff\x1b[31m\\"\\\\"' >"$WORK/rules.json"
	signal HUP relay
	eventually logged 1 'the rules stay'
	run ctl remove --rule-id $'"\\\t\xff'
	assert_failure
	kill -KILL "$(children relay)"
	eventually logged 1 'starting worker 0 again'
	relay_stop
	gojq -ne '[inputs] | length > 10 and all((keys == ["facility", "level", "message", "utc"]) and
		(.utc | test("^[0-9-]{10}T[0-9:]{8}[.][0-9]{3}Z$")) and
		(.level | IN("error", "warning", "notice", "info", "debug")) and
		(.facility | IN("Supervisor", "Worker", "Ingress", "Egress", "Control", "Stats", "Config", "Http")) and
		(.message | type == "string" and length > 0))' "$WORK/relay.log" || fail "not so: $(<"$WORK/relay.log")"
	assert_equal "$(gojq -c . "$WORK/relay.log" | wc -l)" "$(lines "$WORK/relay.log")"
	assert_equal "$(gojq -r 'select(.facility == "Stats" and (.message | test("FINAL"))) | .level' \
		"$WORK/relay.log" | paste -sd,)" info,info
	assert_equal "$(gojq -r 'select(.message | startswith("packet to ")) | .facility' "$WORK/relay.log" | wc -l)" 10
}

@test "--log-packets: a line for each packet that is relayed, until the workers are told otherwise" {
	relay_start "$RULE" "${CONTROL[@]}" --log-packets --num-workers 2
	send --count 20 --size 100
	send --count 7 --size 333
	frames gen inject out0 10.77.1.1 "$GROUP_IN" 5001 fragments:100 fragments:100 >/dev/null
	relay_settle
	assert_equal "$(log_count '^\[INFO:Worker\] packet to 239[.]255[.]1[.]1:5000, 100 bytes$')" 20
	assert_equal "$(log_count '^\[INFO:Worker\] packet to 239[.]255[.]1[.]1:5000, 333 bytes$')" 7
	ctl log-level set warning Worker >/dev/null
	send --count 20 --size 100
	relay_settle
	ctl log-level set info Worker >/dev/null
	send --count 3 --size 44
	relay_finish
	assert_equal "$(log_count '\] packet to ')" 30
	assert_counters egress_sent=50 matched=50
}

# ---- HTTP ---------------------------------------------------------------------------------------

# get PATH [OPTION]...: the page in $WORK/page; prints the status.
get() {
	at r1 curl --silent --max-time "$PATIENCE_S" --output "$WORK/page" --write-out '%{http_code}' "${@:2}" "http://$HTTP$1" || true
}

# metric REGEX: sum of all samples whose name and labels match.
metric() {
	awk -v what="$1" '/^[^#]/ && $0 ~ what {n++; sum += $NF} END {print n ? sum : "none"}' "$WORK/page"
}

# Counters of the page that differ from mcrelayctl's, or are missing.
metrics_differ() {
	gojq -r '.stats.total | del(.arrived, .filtered, .histograms, .waits, .bursts, .system_calls) |
		to_entries[] | "\(.key) \(.value)"' "$WORK/stats" | awk '
		FILENAME == "-" {
			name = $1
			if (!(name in sum)) name = $1 "_packets"
			if (!(name in sum)) name = $1 "_bytes"
			if (!(name in sum) || sum[name] != $2) print
			next
		}
		/^mcrelay_dropped_packets_total[{].*cause="/ {
			cause = $0; sub(/.*cause="/, "", cause); sub(/".*/, "", cause)
			sum[cause == "buffer_exhaustion" ? cause : "drop_" cause] += $NF
			next
		}
		/^mcrelay_[a-z_]*_total[{]worker=/ {
			name = $0; sub(/^mcrelay_/, "", name); sub(/_total[{].*/, "", name)
			sum[name] += $NF
		}' "$WORK/page" -
}

@test "/metrics: each family has HELP and TYPE, and the counters are those of mcrelayctl stats" {
	local other
	other=$(rule "tw\"o\\" "in0:239.255.1.7:5007" "out0:239.255.2.7:6007:3" "out0:$GROUP_OUT:6000")
	relay_start "$RULE$other" "${CONTROL[@]}" --http "$HTTP" --num-workers 2
	send --count 300 --size 100 --flows 4
	send --count 200 --size 150 --flows 4 --group 239.255.1.7 --port 5007
	frames gen inject out0 10.77.1.1 "$GROUP_IN" 5009 fragments:150 fragments:150 >/dev/null
	relay_settle
	ctl stats >"$WORK/stats"
	assert_equal "$(get /metrics --dump-header "$WORK/header")" 200
	grep -qi '^content-type: text/plain; version=0.0.4' "$WORK/header"
	assert_equal "$(gojq -c '.stats.total | [.matched, .egress_sent]' "$WORK/stats")" '[500,700]'
	assert_equal "$(metrics_differ)" ''
	assert_equal "$(metric '^mcrelay_matched_packets_total[{]worker="[01]"[}] ')" 500
	assert_equal "$(metric '^mcrelay_rule_packets_total[{]rule="one",interface="in0",group="239.255.1.1",port="5000"')" 300
	assert_equal "$(metric '^mcrelay_rule_bytes_total[{]rule="tw\\\\"o\\\\\\\\",.*port="5007"')" 30000
	assert_equal "$(metric '^mcrelay_output_packets_total[{]interface="out0",group="239.255.2.7",port="6007",ttl="3"')" 200
	assert_equal "$(metric '^mcrelay_output_packets_total[{]interface="out0",group="239.255.2.2",port="6000",ttl="1"')" 500
	assert_equal "$(metric '^mcrelay_output_bytes_total[{].*port="6000"')" 60000
	assert_equal "$(metric '^mcrelay_worker_up')" 2
	assert_equal "$(metric '^mcrelay_rules')" 2
	run awk '/^# HELP / {if (help[$3]++ || NF < 4) print; next}
		/^# TYPE / {if (type[$3] || !help[$3] || $4 !~ /^(counter|gauge|histogram)$/) print; type[$3] = $4; next}
		{name = $0; sub(/[{ ].*/, "", name); base = name; sub(/_(bucket|sum|count)$/, "", base)
		 if (!type[name] && type[base] != "histogram") print
		 if ($NF !~ /^[0-9]+([.][0-9]+)?$/) print
		 labels = $0; sub(/ [^ ]*$/, "", labels); if (seen[labels]++) print}' "$WORK/page"
	assert_output ''
	relay_stop
}

health() {
	gojq -c "$1" "$WORK/page"
}

@test "HTTP: 200, 404, 405, HEAD; an address that is in use, or is none" {
	relay_start "$RULE" --http "$HTTP"
	assert_equal "$(get /health)" 200
	assert_equal "$(health '[.status, .reasons, .workers.configured, .workers.alive, .workers.restarts, .rules]')" \
		'["ok",[],1,1,0,1]'
	assert_equal "$(health '.last_packet_age_seconds')" null
	assert_equal "$(get /)" 404
	assert_equal "$(get /metrics/../../etc/passwd --path-as-is)" 404
	assert_equal "$(get "/$(printf 'x%.0s' {1..5000})")" 404
	assert_equal "$(get /metrics --head)" 200
	assert_equal "$(get /metrics --request POST --data x=1 --dump-header "$WORK/header")" 405
	grep -qi '^allow: GET, HEAD' "$WORK/header"
	assert_equal "$(get /health --request DELETE)" 405
	run --separate-stderr -1 at r1 "$RELAY" --config "$WORK/rules.json" --http "$HTTP" --stats-interval-ms 0 "${NO_CONTROL[@]}"
	assert_one_line "^\[ERROR:Http\] cannot listen on $HTTP: Address already in use; see 'ss -tlnp' for who has it$"
	for wrong in 127.0.0.1 127.0.0.1:0 127.0.0.1:70000 nonsense:80 ::1:9464 '[::1]' '[::1]:0' '[::1%lo]:80'; do
		run --separate-stderr -64 at r1 "$RELAY" --config "$WORK/rules.json" --http "$wrong"
		assert_one_line '^mcrelay: --http: '
	done
	send --count 5 --size 100
	relay_settle
	get_age() { get /health >/dev/null && health '.last_packet_age_seconds | type'; }
	eventually same get_age '"number"'
	relay_stop
}

# status_at ADDR:PORT: of its /health; 000: nobody is there.
status_at() {
	at r1 curl --silent --globoff --max-time "$PATIENCE_S" --output "$WORK/page" --write-out '%{http_code}' \
		"http://$1/health" || true
}

@test "HTTP: on ::1 for IPv6 alone, on [::] for IPv4 as well" {
	local address
	relay_start "$RULE" --http '[::1]:9464'
	assert_equal "$(status_at '[::1]:9464')" 200
	assert_equal "$(status_at 127.0.0.1:9464)" 000
	run --separate-stderr -1 at r1 "$RELAY" --config "$WORK/rules.json" --http '[::1]:9464' --stats-interval-ms 0 \
		"${NO_CONTROL[@]}"
	assert_one_line '^\[ERROR:Http\] cannot listen on \[::1\]:9464: Address already in use; see .ss -tlnp. for who has it$'
	run --separate-stderr -1 at r1 "$RELAY" --config "$WORK/rules.json" --http '[2001:db8::1]:9464' \
		--stats-interval-ms 0 "${NO_CONTROL[@]}"
	assert_one_line '^\[ERROR:Http\] cannot listen on \[2001:db8::1\]:9464: Cannot assign requested address; no interface has this address, see .ip addr.$'
	relay_stop
	relay_start "$RULE" --http '[::]:9464'
	for address in '[::1]:9464' 127.0.0.1:9464 10.77.9.1:9464; do
		assert_equal "$address $(status_at "$address")" "$address 200"
	done
	relay_stop
}

# healthy STATUS JQ: /health has this status, and JQ is true of the page.
healthy() {
	[[ $(get /health) == "$1" ]] && gojq -e "$2" "$WORK/page" >/dev/null
}

@test "/health: degraded with its reason while a worker is gone and while an interface is down" {
	local restarts program=$WORK/mcrelay
	cp "$RELAY" "$program"
	RELAY=$program relay_start "$RULE$(rule two extra:239.255.1.7:5000)" --http "$HTTP"
	assert_equal "$(get /health)" 200
	# a worker is started as this program, and so it cannot be
	chmod a-x "$program"
	kill -KILL "$(children relay)"
	eventually healthy 503 '.status == "degraded" and .workers.alive == 0 and
		.reasons == ["worker 0 does not run"]'
	chmod a+x "$program"
	eventually healthy 200 '.workers.alive == 1 and .workers.restarts > 0 and
		.workers.list[0].restarts == .workers.restarts'
	restarts=$(health .workers.restarts)
	assert_equal "$(get /metrics)" 200
	assert_equal "$(metric '^mcrelay_worker_restarts_total')" "$restarts"
	ip_at r1 link set extra down
	eventually healthy 503 '.reasons == ["interface extra is down"]'
	ip_at r1 link set extra up
	eventually healthy 200 '.status == "ok"'
	# and it relays
	send --count 20 --size 100
	relay_finish
	assert_counters .rules[0].matched=20
}

# A part of a request on each of 200 connections, which stay open as long as the relay lets them; says
# "too many" when it has closed those that are more than may be.
HALF='
import signal, socket, time
MAX = 128
clients = []
for i in range(200):
    clients.append(socket.create_connection(("127.0.0.1", 9464)))
    clients[-1].setblocking(False)
    try:
        clients[-1].send(b"GET /metrics HTTP/1.1\r\nHost: x"[:3 + i % 12])
    except OSError:
        pass # closed at once
def is_closed(client):
    try:
        return client.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
while sum(map(is_closed, clients)) < len(clients) - MAX:
    time.sleep(0.005)
print("too many", flush=True)
signal.pause()'

@test "200 half-sent requests, of which 128 may be: packets, control socket and other clients go on" {
	relay_start "$RULE" "${CONTROL[@]}" --http "$HTTP" --log-level info,Http=debug
	stream_start
	spawn half r1 "$PYTHON" -c "$HALF"
	ready half '^too many$'
	# and not because their time was over
	grep -q '^\[DEBUG:Http\] connection shut down: too many have not asked for anything yet$' "$WORK/relay.log"
	assert_equal "$(get /health)" 200
	assert_equal "$(health .workers.restarts)" 0
	assert_equal "$(get /metrics)" 200
	assert_equal "$(ctl ping)" pong
	process_alive "${PROCESS[half]}"
	stream_more 16
	stop half
	stream_end
	assert_stream_intact
}

# In each round: 140 connections send a byte more of their requests, those that were closed come again, so that
# all places are taken; then somebody else of the same host wants his pages.
DRIP='
import http.client, socket
def connect():
    client = socket.create_connection(("127.0.0.1", 9464))
    client.setblocking(False)
    client.send(b"GET /metrics HTTP/1.1\r\nHost: x")
    return client
def is_closed(client):
    try:
        client.send(b"x")
        return client.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
def get(path):
    server = http.client.HTTPConnection("127.0.0.1", 9464)
    server.request("GET", path)
    answer = server.getresponse()
    return answer.status, answer.read().decode()
drips = [connect() for _ in range(140)]
for i in range(5):
    drips = [connect() if is_closed(drip) else drip for drip in drips]
    status, page = get("/metrics")
    assert status == 200 and "mcrelay_worker_up{worker=\"0\"} 1\n" in page, page
    assert get("/health")[0] == 200
print("served")'

@test "140 clients that drip their requests and come again: each scrape from the same address is served" {
	relay_start "$RULE" "${CONTROL[@]}" --http "$HTTP"
	stream_start
	run at r1 "$PYTHON" -c "$DRIP"
	assert_success
	assert_output served
	assert_equal "$(ctl ping)" pong
	assert_equal "$(get /health)" 200
	stream_more 16
	stream_end
	assert_stream_intact
}

# ---- unicast ------------------------------------------------------------------------------------

@test "unicast in and unicast or broadcast out: every byte as it was, between multicast and those in all ways" {
	local way from to
	for way in "10.77.1.2 10.77.2.2" "10.77.1.2 $GROUP_OUT" "$GROUP_IN 10.77.2.2" "$GROUP_IN 10.77.2.255"; do
		read -r from to <<<"$way"
		printf 'from %s to %s\n' "$from" "$to"
		relay_start "$(rule one "in0:$from:5000" "out0:$to:6000:7")"
		# the host's own stack sees what comes to its address, and somebody listens
		spawn host r1 "$TRAFFICGEN" recv --interface 10.77.1.2 --group 10.77.1.2 --port 5000 \
			--duration 3600 --verify --quiet --json "$WORK/host.json"
		ready host '^Listening on'
		receive_start sink --group "$to"
		send --count 100 --size 700 --verify --group "$from"
		relay_finish
		receive_end sink
		assert_intact sink 100
		stop host
		[[ $from == "$GROUP_IN" ]] || assert_equal "$(received host)" 100
		assert_counters arrived=100 matched=100 egress_sent=100
		assert_ledger_closed
		rm "$WORK"/*.json
	done
}

# ---- the service manager ------------------------------------------------------------------------

# Prints what it is told, a line for each datagram.
LISTEN='
import socket, sys
sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
sock.bind(sys.argv[1].replace("@", "\0"))
print("listening", flush=True)
while True:
    print(sock.recv(4096).decode().replace("\n", " "), flush=True)'

@test "sd_notify: READY=1 once it receives, STOPPING=1 at SIGTERM, of a path or an abstract name" {
	local name
	for name in "$WORK/notify" "@mcr-test-$RUN_ID"; do
		spawn manager r1 "$PYTHON" -c "$LISTEN" "$name"
		ready manager '^listening'
		RELAY_WRAPPER="env NOTIFY_SOCKET=$name" relay_start "$RULE" "${CONTROL[@]}"
		eventually grep -qx READY=1 "$WORK/manager.out"
		assert_equal "$(grep -c STOPPING "$WORK/manager.out")" 0
		ctl add --rule-id two --input-interface in0 --input-group 239.1.1.1 --input-port 1 >/dev/null
		relay_stop
		eventually grep -q '^STOPPING=1' "$WORK/manager.out"
		stop manager
		assert_equal "$(grep -oE '^(READY=1|STATUS=. rules|STOPPING=1)' "$WORK/manager.out" | paste -sd,)" \
			'STATUS=1 rules,READY=1,STATUS=2 rules,STOPPING=1'
	done
	# nobody there: said, and that is all
	RELAY_WRAPPER="env NOTIFY_SOCKET=$WORK/nobody" relay_start "$RULE"
	send --count 10 --size 100
	relay_finish
	assert_counters matched=10
	assert_equal "$(log_count "^\[WARNING:Supervisor\] cannot tell the service manager at $WORK/nobody: ")" 3
}

# ---- capabilities -------------------------------------------------------------------------------

# supervisor FIELD: of its /proc/PID/status.
supervisor() {
	sed -n "s/^$1:\s*//p" "/proc/$(pid_of relay)/status"
}

# assert_capabilities HEX EXTRA: effective and permitted; the bounding set is without EXTRA.
assert_capabilities() {
	assert_equal "$(supervisor CapEff) $(supervisor CapPrm)" "$(printf '%016x %016x' "$1" "$1")"
	assert_equal "$(supervisor CapBnd)" "$(printf '%016x' $(($1 & ~$2)))"
	assert_equal "$((0x$(supervisor CapInh) | 0x$(supervisor CapAmb)))" 0
	assert_equal "$(supervisor NoNewPrivs)" 1
}

@test "the supervisor keeps NET_RAW, NET_ADMIN, NET_BIND_SERVICE, IPC_LOCK, SETUID, SETGID and KILL, and more only for a reason" {
	local kept=$((1 << 14 | 1 << 13 | 1 << 12 | 1 << 10 | 1 << 7 | 1 << 6 | 1 << 5)) bpf=$((1 << 39)) override=$((1 << 1))
	relay_start "$RULE"
	assert_capabilities $kept 0
	relay_stop
	relay_start "$RULE" --exclusive
	assert_capabilities $((kept | bpf)) 0
	relay_stop
	# workers that stay root: nobody else to become, and to end
	relay_start "$RULE" --user root
	assert_capabilities $((kept & ~(1 << 7 | 1 << 5))) 0
	relay_stop
	# no io_uring
	relay_start "$RULE" --egress sendmmsg
	assert_capabilities $((kept & ~(1 << 14))) 0
	relay_stop
	assert_equal "$(log_count DAC_OVERRIDE)" 0
	# a rule file that root can read only as root
	mkdir "$WORK/theirs"
	rule_file "$RULE" >"$WORK/theirs/rules.json"
	chown -R nobody "$WORK/theirs"
	chmod 700 "$WORK/theirs"
	chmod 600 "$WORK/theirs/rules.json"
	relay_start "$RULE" --config "$WORK/theirs/rules.json"
	assert_capabilities $((kept | override)) $override
	assert_equal "$(log_count '^\[INFO:Supervisor\] keeps CAP_DAC_OVERRIDE')" 1
	signal HUP relay
	eventually logged 1 'read again: 1 rules$'
	relay_stop
	# the same in a folder of root's; and a series that is another's
	chown root "$WORK/theirs"
	relay_start "$RULE" --config "$WORK/theirs/rules.json"
	assert_capabilities $((kept | override)) $override
	signal HUP relay
	eventually logged 1 'read again: 1 rules$'
	relay_stop
	relay_start "$RULE" --stats-series "$WORK/theirs/rules.json"
	assert_capabilities $((kept | override)) $override
	relay_stop
}

# ---- rates --------------------------------------------------------------------------------------

rates() {
	ctl stats >"$WORK/stats"
	gojq -e ".stats | $1" "$WORK/stats" >/dev/null
}

# Milliseconds, to ten.
uptime_ms() {
	local uptime
	read -r uptime _ </proc/uptime
	printf '%s' "${uptime/./}0"
}

@test "stats: rates and work per 1,000 packets, of all and of the worker; null or 0 without packets" {
	local before ready asked answered
	before=$(uptime_ms)
	relay_start "$RULE" "${CONTROL[@]}"
	ready=$(uptime_ms)
	eventually rates '.receive_rate.pps == 0 and .send_rate.bits_per_second == 0 and
		.work_per_1000_packets.system_calls == null and .rules[0].rate.pps == 0'
	mv "$WORK/stats" "$WORK/idle"
	send --count 500 --size 200
	relay_settle
	asked=$(uptime_ms)
	ctl stats >"$WORK/stats"
	answered=$(uptime_ms)
	# they began to be counted between the first two instants, and were looked at between the last two; what was
	# done before the packets came may count or not
	run gojq -c --slurpfile idle "$WORK/idle" --argjson longest $((answered - before + 20)) \
		--argjson shortest $((asked - ready - 20)) '
		def rounded: . >= 500000 / $longest - 1 and ($shortest <= 0 or . <= 500000 / $shortest + 1);
		def of_size($bytes): (.pps | rounded) and (.bits_per_second - 8 * $bytes * .pps | fabs) <= 4 * $bytes + 1;
		def work($name): .work_per_1000_packets[$name] as $work | (.total // .counters)[$name] as $count |
			$count > 0 and $work <= 2 * $count and $work >= 2 * ($count - ($idle[0].stats.total[$name]));
		.stats | {
			time: (.rates_over_ms <= $longest and .rates_over_ms >= $shortest),
			frames: ([., .workers[0]] | all(.receive_rate | of_size(242))),
			payloads: ([.send_rate, .workers[0].send_rate, .rules[0].rate, .outputs[0].rate] | all(of_size(200))),
			work: ([., .workers[0]] | all((.work_per_1000_packets | keys) == ["sqes", "submits", "system_calls", "waits"]
				and work("sqes") and work("submits") and work("system_calls"))),
			drops: ([., .workers[0]] | all(.drops | type == "object" and length > 0 and all(. == 0)))
		} | with_entries(select(.value | not))' "$WORK/stats"
	assert_output '{}'
	relay_stop
}

@test "stats: rates are those since the last report at an interval" {
	relay_start "$RULE" "${CONTROL[@]}" --stats-interval-ms 100
	send --count 100 --size 200
	eventually rates '.total.egress_sent == 100 and .receive_rate.pps == 0 and .rules[0].rate.pps == 0 and
		.work_per_1000_packets.system_calls == null'
	relay_stop
}

# of_kernel NAME, of_relay NAME: an interface's counters.
of_kernel() {
	ip -n "$(namespace r1)" -j -s link show dev "$1" | gojq -c '.[0].stats64 |
		[.rx.packets, .rx.bytes, .rx.dropped, .tx.packets, .tx.bytes, .tx.dropped]'
}

of_relay() {
	ctl stats | gojq -c --arg name "$1" '.stats.interfaces // .interfaces | .[] | select(.name == $name) |
		[.rx_packets, .rx_bytes, .rx_dropped, .tx_packets, .tx_bytes, .tx_dropped]'
}

# agree NAME: while nothing came in between (memberships are reported now and then).
agree() {
	local before told
	before=$(of_kernel "$1")
	told=$(of_relay "$1")
	printf 'kernel %s, relay %s\n' "$before" "$told" >"$WORK/counters.$1"
	[[ $before == "$(of_kernel "$1")" && $told == "$before" ]]
}

@test "stats: the counters of an interface are the kernel's" {
	relay_start "$RULE" "${CONTROL[@]}"
	send --count 50 --size 200
	relay_settle
	eventually agree in0
	eventually agree out0
	relay_stop
}
