#!/usr/bin/env bats
# bench drill: measurements that it breaks are invalid, and for the reason that was meant; options of the relay that its
# drills use reach the relay. Whether the gates answer as they have to is the drill's own business.

load ../lib/bench

@test "broken measurements are invalid, and say why" {
	need_root
	local fault said
	while IFS='|' read -r fault said; do
		export BENCH_FAULT=$fault
		case $fault in
		dead-relay) # of a run that would never end
			scenario short window_ms=9999999
			BUILD=$PROGRAMS measure run short
			;;
		offload)
			scenario short
			measure run short
			;;
		lossy-link) # some 40 are lost, of which 5 are too many
			GENERATOR_PACKETS=4000 measure run short
			;;
		esac
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
	scenario paired compare=cpu_ns_per_packet compare_window_ms=200000
	with_clock
	run --separate-stderr "$BENCH" compare --builds "$PROGRAMS/mcrelay" "$PROGRAMS/mcrelay" \
		--base-options '--queue-depth 512' --head-options '--send-batch 32' --budget 0.1 --results "$RESULTS"
	assert_failure 4 # one pair tells nothing
	folder=$(echo "$RESULTS"/compare/*)
	run gojq -r .sut.options "$folder"/paired/first/01/base/result.json "$folder"/paired/first/01/head/result.json
	assert_output $'--exclusive --queue-depth 512\n--exclusive --send-batch 32'
	run gojq -r '.base, .head' "$folder/compare.json"
	assert_line --index 0 --regexp 'with --queue-depth 512$'
	assert_line --index 1 --regexp 'with --send-batch 32$'
}

@test "SIGTERM during a drill: bench has cleaned up, nothing is written" {
	need_root
	mkdir "$BUILD/drill"
	ln -s "$PROGRAMS/mcrelay" "$BUILD/drill/mcrelay"
	scenario single-hop
	mkfifo "$WORK/hold"
	GENERATOR_HOLD=$WORK/hold start drill --short
	hear "$WORK/hold" # of its first broken measurement
	assert_equal "$(ip netns list | grep -c '^mcr-[0-9]*-gen')" 1
	kill -TERM "$BENCH_PID"
	ended 143
	lock_free
	assert_equal "$(sysctls)" "$SYSCTLS"
	assert_no_namespace
	assert_nothing_left
}
