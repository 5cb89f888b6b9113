#!/usr/bin/env bats
# ci/test, on a tree made up of one test of each kind: what has to fail fails, whatever goes wrong.
# To itself: the host, whose settings it changes and looks at.

bats_load_library bats-support
bats_load_library bats-assert

ROOT=$(cd "$BATS_TEST_DIRNAME/../../.." && pwd)

setup() {
	TREE=$BATS_TEST_TMPDIR/tree
	mkdir -p "$TREE"/{ci,relay/{tests/worker,fuzz/corpus/thing},trafficgen/tests} \
		"$TREE"/harness/tests/{python,bench,relay}
	cp "$ROOT"/ci/{test,part,python_tests.py} "$TREE/ci"
	program ci/lint 'exit 0'
	program fuzzer 'for input; do [[ $input == -* ]] || echo "Executed $input in 0 ms"; done'
	program unit 'printf "1..2\nok 1 - one\nok 2 - two\n"'
	touch "$TREE"/relay/{tests/worker/test_thing.c,fuzz/fuzz_thing.c,fuzz/corpus/thing/input}
	cat >"$TREE/Makefile" <<-'END'
		.RECIPEPREFIX = >
		all drill:
		tsan asan:
		> mkdir -p build/$@/unit/relay/tests/worker build/$@/fuzz
		> cp unit build/$@/unit/relay/tests/worker/test_thing
		> cp fuzzer build/$@/fuzz/fuzz_thing
		threaded-tests:
		> @echo relay/tests/worker/test_thing.c
	END
	touch "$TREE"/harness/{,tests/{,python/}}__init__.py
	python 'self.assertTrue(True)'
	bats_file relay/some true
	bats_file bench/some true
}

# program FILE LINE
program() {
	printf '#!/usr/bin/env bash\n%s\n' "$2" >"$TREE/$1"
	chmod +x "$TREE/$1"
}

python() {
	printf 'import unittest\nclass Case(unittest.TestCase):\n    def test_it(self):\n        %s\n' "$1" \
		>"$TREE/harness/tests/python/test_some.py"
}

# bats_file NAME LINE; bench/some has the host to itself.
bats_file() {
	local first=''
	[[ $1 != bench/some ]] || first='# To itself: the host\n'
	printf "$first"'@test "it" {\n\t%s\n}\n' "$2" >"$TREE/harness/tests/$1.bats"
}

# suite [OPTION]...
suite() {
	run "$TREE/ci/test" --no-setup "$@" 3>&-
}

# fails PATTERN: one test has failed, and its text is among what is repeated at the end.
fails() {
	suite "${@:2}"
	assert_failure 1
	[[ ${output#*== what failed} =~ $1 ]] || fail "not said under 'what failed': $1"
	[[ ${lines[-1]} =~ ^[0-9]+\ passed,\ [1-9][0-9]*\ failed,\ [0-9]+\ skipped$ ]] || fail "last line: ${lines[-1]}"
}

need_root() {
	((EUID == 0)) || skip "network namespaces need root"
}

@test "everything passes: exit status 0, each test counted, time and CPU said" {
	need_root
	suite
	assert_success
	# makes, lints, unit tests under ASan and TSan, inputs, Python, bats
	assert_equal "${lines[-1]}" "$((3 + 5 + 2 + 2 + 1 + 1 + 2)) passed, 0 failed, 0 skipped"
	assert_output --regexp '== total: [0-9]+:[0-9]{2} wall, [0-9.]+ s CPU'
}

@test "a test that fails, of each kind" {
	need_root
	program ci/lint '[[ $1 != shell ]] || { echo "line 7 is odd"; exit 1; }'
	fails 'line 7 is odd'
	program ci/lint 'exit 0'
	program unit 'printf "1..2\nok 1 - one\nnot ok 2 - two\n"; exit 1'
	fails 'not ok 2 - two'
	program unit 'printf "1..2\nok 1 - one\nok 2 - two\n"'
	program fuzzer 'echo "Executed some"; exit 77'
	fails 'exit status 77'
	program fuzzer 'for input; do [[ $input == -* ]] || echo "Executed $input in 0 ms"; done'
	python 'self.assertEqual(1, 2)'
	fails '1 != 2'
	python 'self.assertTrue(True)'
	bats_file relay/some 'echo not so; false'
	fails 'not so'
	bats_file relay/some true
	sed -i 's/^all drill:$/&; false/' "$TREE/Makefile"
	fails 'not run: host build harness/tests/bench/some.bats'
}

@test "a runner that dies, or stops before its last test" {
	program unit 'printf "1..2\nok 1 - one\n"'
	fails 'after 1 of 2 tests' --no-root
	program unit 'printf "1..2\nok 1 - one\nok 2 - two\n"; kill -SEGV $$'
	fails 'ended with exit status 139' --no-root
	program unit true
	fails "after 0 of . tests" --no-root
}

@test "no tests at all of one kind" {
	need_root
	rm "$TREE/harness/tests/python/test_some.py"
	fails 'no test of the kind "python" has passed'
	python 'self.assertTrue(True)'
	rm "$TREE/relay/fuzz/corpus/thing/input"
	fails 'corpus/thing is empty'
	touch "$TREE/relay/fuzz/corpus/thing/input"
	rm "$TREE"/harness/tests/*/*.bats
	fails 'no test of the kind "bats" has passed'
	bats_file relay/some 'skip "not here"'
	fails 'no test of the kind "bats" has passed'
	bats_file relay/some true
	rm "$TREE"/relay/tests/worker/*
	sed -i '/echo relay/d' "$TREE/Makefile"
	fails 'no test of the kind "unit" has passed'
}

@test "without root: a failure, unless it was asked for" {
	need_root
	chmod -R a+rX "$BATS_RUN_TMPDIR" "$BATS_TEST_TMPDIR"
	run setpriv --reuid 65534 --regid 65534 --clear-groups "$TREE/ci/test" --no-setup
	assert_failure 1
	assert_output --partial "ci/test --no-root"
	assert_equal "${lines[-1]}" "0 passed, 1 failed, 0 skipped"
	suite --no-root
	assert_success
	assert_equal "${lines[-1]}" "14 passed, 0 failed, 2 skipped"
}

@test "a part that hangs is ended, with all that it started" {
	need_root
	bats_file relay/some 'setsid sleep 987654 & trap "" TERM; sleep 987654'
	sed -i 's/LIMIT_SECONDS=900/LIMIT_SECONDS=2/' "$TREE/ci/test"
	fails 'ended with exit status'
	assert_none_left
}

# interrupted SIGNAL: ci/test, which gets the signal alone once something has made the file `started`; sets `status`. It is
# the sender's and not the terminal's signal that may get lost: the terminal gives it to all.
interrupted() {
	rm -f "$BATS_TEST_TMPDIR/started"
	mkdir -p "$BATS_TEST_TMPDIR/scratch"
	TMPDIR=$BATS_TEST_TMPDIR/scratch /usr/bin/python3 -c 'import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])' "$TREE/ci/test" --no-setup >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	until [[ -e $BATS_TEST_TMPDIR/started ]]; do
		kill -0 $! || fail "it has ended: $(<"$BATS_TEST_TMPDIR/out")"
		sleep 0.02
	done
	kill "-$1" $!
	status=0
	timeout --signal=KILL 600 tail --pid=$! -f /dev/null || kill -KILL $!
	wait $! || status=$?
}

@test "Ctrl-C and SIGTERM end everything, and nothing is left in the scratch folder" {
	need_root
	local signal
	local -A exit_status=([INT]=130 [TERM]=143)
	bats_file relay/some "touch '$BATS_TEST_TMPDIR/started'; setsid sleep 987654 & sleep 987654"
	for signal in INT TERM; do
		interrupted "$signal"
		assert_equal "$signal $status" "$signal ${exit_status[$signal]}"
		assert_none_left
		assert_equal "$(ls "$BATS_TEST_TMPDIR/scratch")" ''
	done
}

@test "Ctrl-C and SIGTERM while it waits for a command" {
	need_root
	local signal
	local -A exit_status=([INT]=130 [TERM]=143)
	sed -i "/^threaded-tests/a > @touch '$BATS_TEST_TMPDIR/started'; sleep 987654" "$TREE/Makefile"
	for signal in INT TERM; do
		interrupted "$signal"
		assert_equal "$signal $status" "$signal ${exit_status[$signal]}"
		assert_none_left
	done
}

# Of the processes that the made-up test has started.
assert_none_left() {
	local found
	found=$(grep -lzx 987654 /proc/[0-9]*/cmdline 2>/dev/null || true)
	assert_equal "$found" ''
}

@test "a setting of the host that a test leaves behind is a failure, and put back" {
	need_root
	local before
	before=$(sysctl -n net.core.netdev_max_backlog)
	bats_file bench/some "sysctl -w net.core.netdev_max_backlog=$((before + 1))"
	fails 'not ok - the host is as it was'
	assert_equal "$(sysctl -n net.core.netdev_max_backlog)" "$before"
}

@test "bats files do not meet: each has its own /run, and its own processes" {
	need_root
	bats_file relay/some 'ip netns add thing; [[ $(ip netns list) == thing ]]; [[ $(ps -e | wc -l) -lt 20 ]]'
	bats_file relay/other 'ip netns add thing; [[ $(ip netns list) == thing ]]; [[ $(ps -e | wc -l) -lt 20 ]]'
	suite
	assert_success
}

@test "--shuffle says its seed, and the seed makes the same order again" {
	suite --no-root --shuffle --list
	run "$TREE/ci/test" --shuffle=7 --list
	local first=$output
	run "$TREE/ci/test" --shuffle=7 --list
	assert_equal "$output" "$first"
	suite --no-root --shuffle=7
	assert_line 'shuffled with --shuffle=7'
}

@test "--list: a plan that cannot be made ends it, and nothing is run" {
	rm "$TREE/Makefile"
	suite --list
	assert_failure
	refute_output --partial passed
}

@test "--only: parts that match; none is a usage error" {
	suite --no-root --only '^unit'
	assert_success
	assert_equal "${lines[-1]}" "7 passed, 0 failed, 0 skipped"
	suite --only nothing-like-this
	assert_failure 64
}
