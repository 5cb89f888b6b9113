#!/usr/bin/env bats
# What must neither be lost nor doubled when a ring has several readers, one after the other or at a time.

load ../lib/testbed

setup_file() {
	testbed build
}

build() {
	topology single
}

IN=in0:$GROUP_IN:5000
RULE=$(rule one "$IN" "out0:$GROUP_OUT:6000")

@test "several workers do not receive what the relay and its host send" {
	# the second rule would send each packet back where it came from, and the first one forth again
	relay_start "$RULE$(rule back "out0:$GROUP_OUT:6000" "in0:$GROUP_IN:5000")" --num-workers 3
	receive_start sink
	send --verify --count 200 --flows 20
	relay_settle
	# the host's own packets on an input interface
	at r1 "$TRAFFICGEN" send --interface "$(node_address r1 in0)" --group "$GROUP_IN" --port 5000 \
		--size 200 --rate 20000 --count 50 --quiet >/dev/null
	receive_end sink
	assert_equal "$(received sink) $(received sink lost) $(received sink duplicated)" "200 0 0"
	relay_finish
	assert_counters arrived=200 matched=200 egress_sent=200 filtered=0 drop_no_match=0
}

@test "a worker that dies on a full ring leaves its successor in step with the kernel" {
	local try
	relay_start "$RULE" --ring-slots 32 --gso off
	for try in 1 2 3 4; do
		spawn "flood$try" gen "$TRAFFICGEN" send --interface "$(node_address gen out0)" \
			--group "$GROUP_IN" --port 5000 --size 200 --rate 3000000 --gso 1 --count 20000 --quiet
		eventually relay_saw $(((try - 1) * 20000 + 1000))
		kill_worker 0 "$try"
		wait_for "flood$try"
		relay_settle
	done
	receive_start sink
	send --verify --count 20
	relay_finish
	receive_end sink
	assert_intact sink 20
}

@test "a worker that dies leaves its successor a full ring, and each packet meets its rule" {
	local outputs=() i pid
	for ((i = 1; i <= 250; i++)); do
		outputs+=("out0:239.7.$((i / 100)).$((i % 100)):7000")
	done
	relay_start "$(rule many "$IN" "${outputs[@]}" "out0:$GROUP_OUT:6000")"
	receive_start sink
	pid=$(children relay)
	kill -STOP "${pid% }"
	send --verify --count 300 --rate 20000
	eventually node_settled r1
	kill -KILL "${pid% }"
	relay_settle
	receive_end sink
	relay_finish
	assert_counters arrived=300 matched=300 drop_no_match=0 drop_worker_died=0 egress_sent=$((300 * 251))
	assert_equal "$(received sink)" 300
}

# many_outputs PORT: eight rules with 256 outputs each, and one with 112: more than half of what rules may have.
many_outputs() {
	jq -nc --argjson port "$1" 'range(9) as $i | {id: "rule-\($i)",
		input: {interface: "in0", group: "239.255.1.1", port: (5000 + $i)},
		outputs: [range(if $i < 8 then 256 else 112 end) | {interface: "out0", group: "239.3.\($i).\(.)", port: $port}]}'
}

@test "a rule file with as many outputs as before, and all of them others" {
	relay_start "$(many_outputs 7000)"
	rule_file "$(many_outputs 7001)" >"$WORK/rules.json"
	signal HUP relay
	ready relay 'rules.json read again: 9 rules'
	send --count 9 --flows 9 --port-step 1 --batch 1 --size 100
	relay_finish
	assert_counters egress_sent=2160 egress_errors=0 '.outputs | map(.port) | unique | tostring=[7001]' \
		'.outputs | map(.sent) | unique | tostring=[1]'
}
