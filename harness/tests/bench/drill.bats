#!/usr/bin/env bats
# bench drill: measurements that it breaks are invalid, and for the reason that was meant; options of the relay that its
# drills use reach the relay. Whether the gates answer as they have to is the drill's own business.

load ../lib/bench

@test "broken measurements are invalid, and say why" {
	need_root
	local fault said
	scenario short rate_pps=100000
	while IFS='|' read -r fault said; do
		export BENCH_FAULT=$fault
		measure run short
		assert_equal "$fault: $status" "$fault: 5"
		[[ "$output$stderr" =~ $said ]] || fail "$fault: found '$output$stderr', expected '$said'"
		rm -r "$RESULTS"
	done <<-'END'
		dead-relay|the relay of r1 died during the run
		offload|gen:out0: tx-udp-segmentation is on during the run
		lossy-link|ledger of 'gen -> r1' does not close
	END
}

@test "a fault that there is not" {
	need_root
	BENCH_FAULT=earthquake measure run short
	assert_equal "$status" 64
	assert_said "BENCH_FAULT: 'earthquake' is not one of dead-relay, offload, lossy-link"
	assert_nothing_left
}

@test "--relay-options come on top of the scenario's, and are on record" {
	need_root
	measure run short --relay-options '--send-batch 32'
	assert_equal "$status" 0
	assert_equal "$(result '.sut.options, .overrides.relay_options')" $'--exclusive --send-batch 32\n--exclusive --send-batch 32'
	assert_schema result "$RESULTS"/short/*/result.json
}

@test "--base-options and --head-options: each has its own" {
	need_root
	local folder
	scenario paired compare=cpu_ns_per_packet
	run --separate-stderr "$BENCH" compare --builds "$PROGRAMS/mcrelay" "$PROGRAMS/mcrelay" \
		--base-options '--queue-depth 512' --head-options '--send-batch 32' --budget 0.1 --results "$RESULTS"
	[[ $status == [04] ]] || fail "exit status $status: $output $stderr"
	folder=$(echo "$RESULTS"/compare/*)
	run jq -r .sut.options "$folder"/paired/first/01/base/result.json "$folder"/paired/first/01/head/result.json
	assert_output $'--exclusive --queue-depth 512\n--exclusive --send-batch 32'
	run jq -r '.base, .head' "$folder/compare.json"
	assert_line --index 0 --regexp 'with --queue-depth 512$'
	assert_line --index 1 --regexp 'with --send-batch 32$'
}

@test "Ctrl-C during a drill: bench has cleaned up, nothing is written" {
	need_root
	[[ -x $PROGRAMS/drill/mcrelay ]] || make -s -C "$ROOT" drill
	scenario single-hop window_ms=5000
	start drill --short
	eventually partial_run
	mapfile -t STARTED </dev/null
	kill -TERM "$BENCH_PID"
	local status=0
	wait "$BENCH_PID" || status=$?
	assert_equal "$status" 143
	eventually lock_free
	assert_equal "$(sysctls)" "$SYSCTLS"
	assert_no_namespace
	assert_nothing_left
}

# The drill's first run has its topology: its journal names a namespace.
partial_run() {
	grep -qs namespace_remove "$STATE_ROOT"/[0-9]*/undo
}
