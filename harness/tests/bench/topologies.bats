#!/usr/bin/env bats
# Each topology, and each scenario: who gets what, how often; and `bench all`.

load ../lib/bench

# delivers TOPOLOGY RECEIVERS COPIES [KEY=VALUE]...: so many receivers, and of what all sources sent so many copies, each once.
delivers() {
	need_root
	scenario short topology="$1" sink=receive loss=none "${@:4}"
	measure run short
	assert_equal "$status" 0
	assert_schema result "$RESULTS"/short/*/result.json
	assert_equal "$(result '.sink | .source, .lost, .duplicated, .reordered, .corrupt')" $'trafficgen recv\n0\n0\n0\n0'
	assert_equal "$(result ".sink.received == $3 * .generator.packets_sent")" true
	assert_equal "$(result '[.sink.receivers // [1] | .[]] | length')" "$2"
	assert_equal "$(result '[.sink.receivers // [] | .[] | select(.expected != .received or .received == 0)]')" '[]'
	assert_equal "$(result '.sink.returned < 50')" true
}

@test "converge3: three sources, each with a group of its own and all with one that they share" {
	delivers converge3 4 2 flows=2
	assert_equal "$(result '[.sink.receivers[] | select(.name == "shared") | .received] == [.generator.packets_sent]')" true
	assert_equal "$(result '.hops[0].copies')" 2
}

@test "tree: once behind each leaf" {
	delivers tree 3 3
	assert_equal "$(result '[.hops[].copies] | join(" ")')" '3 1 1 1'
}

@test "diamond: twice, once by each way" {
	delivers diamond 2 2
}

@test "mesh: six directed flows, each packet once, none returns" {
	delivers mesh 3 1 flows=2
	assert_equal "$(result '[.ledger[] | select(.account | test("^r. out. -> r.$")) | .delivered > 0] | all, length')" $'true\n6'
}

@test "bridge: what the relay passes on, the kernel of its host drops" {
	delivers bridge 1 1
	scenario short topology=bridge
	measure run short --sut kernel
	assert_equal "$status" 5
	assert_output --partial "ledger of 'r1 forwarding' does not close: residual 320 of 320 packets"
}

@test "streams: a rule for each of many, and each packet finds its own" {
	delivers single 1 1 streams=40
	assert_equal "$(gojq '.rules | length' "$RESULTS"/short/*/raw/r1.rules.json)" 40
	assert_equal "$(gojq '[.rules[].matched] | min, max' "$RESULTS"/short/*/raw/r1.stats.json)" $'8\n8'
}

@test "a row of relays of the kernel's, with a receiver" {
	need_root
	scenario short topology=pipeline3 sink=receive
	measure run short --sut kernel
	assert_equal "$status" 0
	assert_equal "$(result '.sink | .lost, .duplicated')" $'0\n0'
}

@test "the kernel, and a search for a capacity, are refused where hops are in no row" {
	need_root
	scenario short topology=mesh
	measure run short --sut kernel
	assert_equal "$status" 64
	assert_among_said 'topology mesh is none'
	measure capacity short
	assert_equal "$status" 64
	assert_among_said 'capacity offers packets to hops in a row, and topology mesh is none'
}

@test "rules that change beside the traffic: none is refused, the last one goes, and nothing is lost" {
	need_root
	scenario short sink=receive rule_changes_per_s=20
	measure run short
	assert_equal "$status" 0
	assert_schema result "$RESULTS"/short/*/result.json
	assert_equal "$(result '.changes | .refused_count, (.done > 0), .done % 2')" $'0\ntrue\n0'
	assert_equal "$(result '.sink.lost')" 0
}

@test "all: each value in turn, in one document" {
	need_root
	scenario short each='payload_bytes 18 1473' loss=none sink=receive
	scenario other
	measure all --markdown "$WORK/all.md"
	assert_equal "$status" 0
	assert_schema all "$RESULTS"/all/*/all.json
	assert_equal "$(gojq -r '.verdict, (.rows[] | .name + " " + .verdict)' "$RESULTS"/all/*/all.json)" \
		$'PASS\nother PASS\nshort.payload-bytes.18 PASS\nshort.payload-bytes.1473 PASS'
	grep -q 'short.payload-bytes.1473' "$WORK/all.md"
}

@test "all: a loss that is not allowed is measured three times, and is a regression" {
	need_root
	# 46 packets of one send on the relay's core, and a ring for 16
	scenario short loss=none gso_segments=46 two_cores='gen=0 r1=0' relay_options='--exclusive --ring-slots 16'
	measure all
	assert_equal "$status" 3
	assert_equal "$(gojq -r '.verdict, .rows[0].tries' "$RESULTS"/all/*/all.json)" $'REGRESSION\n3'
	assert_output --partial 'r1 in: buffer_exhaustion'
}

@test "all: what a file says wrongly is told before anything is measured" {
	local change expected
	while IFS='|' read -r change expected; do
		scenario short "$change"
		measure all
		assert_equal "$status" 64
		assert_among_said "$expected"
	done <<-'END'
		each=nonsense 1 2|unknown key 'nonsense'
		each=payload_bytes 18 9999|payload_bytes: found '9999', expected a size
		each=payload_bytes|each: found 'payload_bytes', expected a key, and the values
		loss=some|loss: found 'some', expected none or full-buffers
		holds=100|holds: found '100', expected 1 to 99 percent
		streams=0|streams: found '0', expected 1 to 1000 streams
	END
	measure all --only nothing
	assert_equal "$status" 64
	assert_among_said "no scenario 'nothing'"
}

@test "tuning: untuned, tuned, and each setting alone; the host has its own again" {
	need_root
	measure tuning short --rounds 1 --only wmem_max --only txqueuelen
	assert_equal "$status" 0
	assert_output --partial 'wmem-max'
	assert_equal "$(sysctls)" "$SYSCTLS"
	assert_equal "$(grep -c 'net.core.wmem_max=16777216' "$WORK/sysctl.log")" 3 # in the beginning, all, it alone
	assert_equal "$(gojq -r .declared.tuning "$RESULTS"/short/*/rounds/01/txqueuelen/result.json)" txqueuelen
	assert_equal "$(gojq -r .sut.options "$RESULTS"/short/*/rounds/01/untuned/result.json)" '--exclusive --socket-sndbuf 212992'
}
