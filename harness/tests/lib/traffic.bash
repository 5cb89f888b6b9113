# shellcheck shell=bash
# traffic: packets from gen to the relay and from the relay to the sinks: trafficgen, frames.py, stream.py. Nothing is
# over before each packet that crossed a link has been through the node behind it.

GROUP_IN=239.255.1.1 GROUP_OUT=239.255.2.2

# send [OPTION]...: trafficgen at gen, a report in $WORK/send.json. A later --group or the like wins.
send() {
	at gen taskset -c "$SEND_CPU" "$TRAFFICGEN" send --interface "${ADDRESS[gen:out0]}" \
		--group "$GROUP_IN" --port 5000 --rate 20000 --json "$WORK/send.json" --quiet "$@" \
		>"$WORK/send.out" 2>"$WORK/send.log"
}

sent() {
	json_value "$WORK/send.json" .packets_sent
}

# receive_start NODE [OPTION]...: trafficgen at NODE until receive_end, a report in $WORK/NODE.json.
receive_start() {
	local node=$1
	# shellcheck disable=SC2004 # an associative array
	SKEW[$node]=$(node_backlog "$node")
	# shellcheck disable=SC2004
	RX_BEFORE[$node]=$(rx_packets "$node" in0)
	spawn "$node" "$node" "$TRAFFICGEN" recv --interface "${ADDRESS[$node:in0]}" \
		--group "$GROUP_OUT" --port 6000 --duration 3600 --verify --quiet --json "$WORK/$node.json" \
		"${@:2}"
	ready "$node" '^Listening on'
}

# receive_end NODE: all that crossed the node's link has been received; then the end.
receive_end() {
	eventually node_settled "$1"
	stop "$1"
}

# Each packet that crossed the node's links has been through its IP stack, its sockets are empty.
node_settled() {
	local lines line
	(($(node_backlog "$1") <= ${SKEW[$1]:-0})) || return 1
	mapfile -t lines <"/proc/${ANCHOR[$1]}/net/udp"
	for line in "${lines[@]:1}"; do
		# state 07, unconnected; a connected one is an output of a relay, which keeps what the kernel
		# tells it besides send(2)
		[[ ! $line =~ ^\ *[0-9]+:\ [^\ ]+\ [^\ ]+\ 07\ [0-9A-F]+:0*[1-9A-F] ]] || return 1
	done
}

# Packets between link and IP stack; frames that are not IP, and interfaces made anew, leave a rest in
# this number, which is the node's SKEW when nothing is on its way. A relay that ends leaves its groups by two reports, up to a
# second apart: one may just be on its way when SKEW is read, and less is left later. InNoECTPkts counts an aggregate as its
# packets, InReceives would not.
node_backlog() {
	local names values lines line i link=0
	mapfile -t lines <"/proc/${ANCHOR[$1]}/net/netstat"
	for line in "${lines[@]}"; do
		[[ $line == IpExt:* ]] || continue
		names=("${values[@]}")
		read -ra values <<<"$line"
	done
	for i in "${!names[@]}"; do
		[[ ${names[i]} != InNoECTPkts ]] || break
	done
	mapfile -t lines <"/proc/${ANCHOR[$1]}/net/dev"
	for line in "${lines[@]}"; do
		[[ ! $line =~ ^\ *(in|out)[0-9]+:\ *[0-9]+\ +([0-9]+) ]] || ((link += BASH_REMATCH[2]))
	done
	printf '%s' "$((link - values[i]))"
}

# rx_packets NODE INTERFACE, tx_packets NODE INTERFACE: counters of the link.
rx_packets() {
	link_counter "$1" "$2" 1
}

tx_packets() {
	link_counter "$1" "$2" 9
}

# link_counter NODE INTERFACE COLUMN: of /proc/net/dev.
link_counter() {
	local lines line values
	mapfile -t lines <"/proc/${ANCHOR[$1]}/net/dev"
	for line in "${lines[@]}"; do
		[[ $line =~ ^\ *"$2":(.*) ]] || continue
		read -ra values <<<"${BASH_REMATCH[1]}"
		printf '%s' "${values[$3]}"
		return
	done
	return 1
}

# rx_new NODE: what has crossed its link since receive_start.
rx_new() {
	local now
	now=$(rx_packets "$1" in0)
	printf '%s' $((now - RX_BEFORE[$1]))
}

received() {
	json_value "$WORK/$1.json" ".${2:-received}"
}

# assert_intact NODE N: N packets, each once, in order, not a byte changed; nothing else came.
assert_intact() {
	local name
	assert_equal "$1 received $(received "$1")" "$1 received $2"
	for name in lost duplicated reordered stale corrupt unverified foreign socket_drops; do
		assert_equal "$1 $name $(received "$1" "$name")" "$1 $name 0"
	done
	assert_equal "$1 link $(rx_new "$1")" "$1 link $2"
}

# occupy NAME NODE ADDRESS PORT: a UDP socket that is bound there and reads nothing.
occupy() {
	spawn "$1" "$2" /usr/bin/python3 -uc "import signal, socket, sys
somebody = socket.socket(type=socket.SOCK_DGRAM)
somebody.bind((sys.argv[1], int(sys.argv[2])))
print('ready')
signal.pause()" "$3" "$4"
	ready "$1" '^ready'
}

# frames NODE COMMAND ARGUMENT...: frames.py in the foreground.
frames() {
	at "$1" "$FRAMES" "${@:2}"
}

# listen_start NAME NODE capture|receive ARGUMENT...: frames.py until listen_end, lines in $WORK/NAME.out.
listen_start() {
	SKEW[$2]=$(node_backlog "$2")
	spawn "$1" "$2" "$FRAMES" "${@:3}"
	ready "$1" '^ready'
}

# listen_end NAME NODE
listen_end() {
	eventually node_settled "$2"
	stop "$1"
	assert_equal "${EXIT[$1]}" 0
}

# stream_start [OPTION]...: packets of the first group to the second from gen to sink, none before there is
# room for it on the way, until stream_end; for the options see stream.py. Returns when they flow.
stream_start() {
	SKEW[sink]=$(node_backlog sink)
	RX_BEFORE[sink]=$(rx_packets sink in0)
	spawn stream gen taskset -c "$SEND_CPU" "$STREAM" "$@" "${ADDRESS[gen:out0]}" "$GROUP_IN:5000" \
		"/run/netns/$(namespace sink)" "${ADDRESS[sink:in0]}" "$GROUP_OUT:6000"
	ready stream '^flowing$'
}

# stream_more N: until so many more have come to the sink.
stream_more() {
	eventually at_least rx_packets sink in0 $(($(rx_packets sink in0) + $1))
}

# stream_stop: sends no more; stream_end: and ends, with the relay, when all that was sent has been relayed.
stream_stop() {
	signal INT stream
	ready stream '^sent '
}

stream_end() {
	stream_stop
	relay_finish
	eventually node_settled sink
	stop stream
	assert_equal "${EXIT[stream]}" 0
}

# stream_flows: how many packets of each flow have arrived so far.
stream_flows() {
	local lines
	lines=$(grep -c '^arrived ' "$WORK/stream.out") || true
	signal USR1 stream
	eventually at_least grep -c '^arrived ' "$WORK/stream.out" $((lines + 1))
	sed -n 's/^arrived //p' "$WORK/stream.out" | tail -n 1
}

# streamed_lost: of each flow.
streamed_lost() {
	sed -n 's/^lost //p' "$WORK/stream.out"
}

# streamed NAME: sent, received, lost, duplicated, reordered or corrupt.
streamed() {
	local report
	report=$(tail -n 1 "$WORK/stream.out")
	[[ $report =~ \"$1\":\ ([0-9]+) ]] || return 1
	printf '%s' "${BASH_REMATCH[1]}"
}

# assert_stream_intact: each packet came once, in order, not a byte changed; and some did.
assert_stream_intact() {
	local sent
	sent=$(streamed sent)
	((sent > 0)) || fail 'nothing was sent'
	assert_equal "$(tail -n 1 "$WORK/stream.out")" \
		"{\"sent\": $sent, \"received\": $sent, \"lost\": 0, \"duplicated\": 0, \"reordered\": 0, \"corrupt\": 0}"
}
