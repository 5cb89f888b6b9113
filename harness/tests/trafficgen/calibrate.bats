#!/usr/bin/env bats
# trafficgen calibrate: two figures, in the time that it was given; what it cannot do it refuses.

# shellcheck disable=SC2154 # stderr is set by bats' run
load ../lib/testbed
load ../lib/json

setup_file() {
	testbed build
}

build() {
	node gen
}

@test "both figures, the best no worse than the median, on the terminal and as JSON" {
	run --separate-stderr -0 "$TRAFFICGEN" calibrate --duration 0.05 --json "$WORK/found.json"
	assert_equal "$stderr" ''
	assert_line --index 0 --regexp '^System call: [0-9]+ ns at best, [0-9]+ ns median$'
	assert_line --index 1 --regexp '^Memory copy: [0-9]+\.[0-9] GB/s at best, [0-9]+\.[0-9] GB/s median$'
	assert_json "$WORK/found.json" .schema=1 '.mode="calibrate"' '.system_call_ns.best > 0=true' \
		'.system_call_ns | .best <= .median=true' '.memory_copy_gb_per_s.median > 0=true' \
		'.memory_copy_gb_per_s | .best >= .median=true'
}

@test "what it cannot understand or write" {
	run --separate-stderr -64 "$TRAFFICGEN" calibrate --duration 61
	assert_one_line '--duration'
	run --separate-stderr -64 "$TRAFFICGEN" calibrate --nonsense
	assert_one_line "^trafficgen calibrate: unknown or ambiguous option '--nonsense'"
	mkfifo "$WORK/fifo"
	run --separate-stderr -1 "$TRAFFICGEN" calibrate --json "$WORK/fifo"
	assert_one_line "^trafficgen calibrate: cannot write $WORK/fifo: it is a FIFO"
	run --separate-stderr -1 "$TRAFFICGEN" calibrate --json "$WORK/nothing/found.json"
	assert_one_line "^trafficgen calibrate: cannot write $WORK/nothing/found.json: No such file"
}
