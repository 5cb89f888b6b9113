#!/usr/bin/env bats
# ci/verdict and ci/publish: which base is asked about, what ends how, what is kept.

bats_load_library bats-support
bats_load_library bats-assert

setup() {
	ROOT=$(cd "$BATS_TEST_DIRNAME/../../.." && pwd)
	TREE=$BATS_TEST_TMPDIR/tree
	mkdir -p "$TREE/ci" "$TREE/harness"
	cp "$ROOT/ci/verdict" "$ROOT/ci/publish" "$TREE/ci"
	printf '.PHONY: all drill\nall:\n\t@echo made\ndrill:\n\t@:\n' >"$TREE/Makefile"
	# shellcheck disable=SC2016 # what stands for bench says what it is asked
	printf '#!/bin/bash\necho "bench $*"\n[[ $1 != verdict ]] || exit "${ENDS:-0}"\n[[ $1 != plot ]] || exit 1\n' >"$TREE/harness/bench"
	chmod +x "$TREE/harness/bench"
	git -C "$TREE" init -q
	git -C "$TREE" -c user.name=test -c user.email=test@localhost commit -q --allow-empty -m one
}

@test "the exit status is the verdict's, whatever becomes of the pictures" {
	local status_asked
	for status_asked in 0 3 4 5 70; do
		ENDS=$status_asked run "$TREE/ci/verdict" --no-setup --night
		assert_equal "$status" "$status_asked"
		assert_output 'made
bench verdict --night
bench plot history'
	done
}

@test "a build that fails asks nothing" {
	printf 'all drill:\n\tfalse\n' >"$TREE/Makefile"
	run "$TREE/ci/verdict" --no-setup
	assert_failure
	refute_output --partial bench
}

@test "the commit before a push: named, none of a new branch, fetched when a force-push has left it behind" {
	local there gone
	there=$(git -C "$TREE" rev-parse HEAD)
	run "$TREE/ci/verdict" --no-setup --before "$there"
	assert_line "bench verdict --base $there"
	run "$TREE/ci/verdict" --no-setup --before 0000000000000000000000000000000000000000
	assert_line "bench verdict"
	git init -q "$BATS_TEST_TMPDIR/origin"
	git -C "$BATS_TEST_TMPDIR/origin" -c user.name=test -c user.email=test@localhost commit -q --allow-empty -m left
	git -C "$BATS_TEST_TMPDIR/origin" config uploadpack.allowAnySHA1InWant true
	gone=$(git -C "$BATS_TEST_TMPDIR/origin" rev-parse HEAD)
	git -C "$BATS_TEST_TMPDIR/origin" -c user.name=test -c user.email=test@localhost commit -q --amend --allow-empty -m other
	git -C "$TREE" remote add origin "file://$BATS_TEST_TMPDIR/origin"
	run "$TREE/ci/verdict" --no-setup --before "$gone"
	assert_line "bench verdict --base $gone"
	git -C "$TREE" cat-file -e "$gone"
	# what cannot be had is bench's to say
	run "$TREE/ci/verdict" --no-setup --before 0123456789abcdef0123456789abcdef01234567
	assert_line "bench verdict --base 0123456789abcdef0123456789abcdef01234567"
	run "$TREE/ci/verdict" --before
	assert_failure 64
}

@test "publish: the newest answer, the sittings that it is from without raw data, the history" {
	local results="$BATS_TEST_TMPDIR/re sults"
	mkdir -p "$results"/verdict/20260101T000000Z-a "$results"/verdict/20260202T000000Z-b "$results"/compare/x/raw "$results"/drill/y \
		"$results"/history/m
	printf '{' >"$results/verdict/20260101T000000Z-a/commit.json"
	printf '{"answers": [{"folder": "compare/x"}, {"folder": null}]}' >"$results/verdict/20260202T000000Z-b/commit.json"
	touch "$results"/compare/x/{a.json,b.md,raw/c.json} "$results"/drill/y/drill.json "$results"/history/m/1
	run "$TREE/ci/publish" "$BATS_TEST_TMPDIR/kept" "$results"
	assert_success
	assert_equal "$(cd "$BATS_TEST_TMPDIR/kept" && find . -type f | sort)" './commit.json
./compare/x/a.json
./compare/x/b.md
./history/m/1'
	grep -q compare/x "$BATS_TEST_TMPDIR/kept/commit.json"
}

@test "publish: nothing was answered" {
	mkdir -p "$BATS_TEST_TMPDIR/empty"
	run "$TREE/ci/publish" "$BATS_TEST_TMPDIR/kept" "$BATS_TEST_TMPDIR/empty"
	assert_success
	assert_output --partial 'nothing was answered'
}
