#!/usr/bin/env bats
# The paired verdict as bats tests, one per scenario that says what to compare, for runners that want TAP or JUnit:
#   sudo BENCH_COMPARE_OPTIONS="--budget 15" bats --report-formatter junit --output results harness/gates/paired.bats
# One sitting measures all of them before the first test: they share its error, and none is measured in vain.
# What is not proven has not passed: a verdict that is inconclusive or unfit fails, or is skipped with the reason where
# BENCH_ALLOW_SKIP=1 says so. No verdict is a failure.

setup_file() {
	local options
	read -ra options <<<"${BENCH_COMPARE_OPTIONS:-}"
	"$BATS_TEST_DIRNAME/../bench" compare "${options[@]}" >"$BATS_FILE_TMPDIR/out" 2>&1 || true # each test tells
}

# paired SCENARIO: what the sitting says of it.
paired() {
	local compare word reasons
	cat "$BATS_FILE_TMPDIR/out" # bats shows it when the test fails
	compare=$(sed -n 's/^results: //p' "$BATS_FILE_TMPDIR/out")/compare.json
	if [[ ! -s $compare ]]; then
		echo "no verdict was reached"
		return 1
	fi
	word=$(gojq -r --arg name "$1" '.scenarios[$name].verdict' "$compare")
	reasons=$(gojq -r --arg name "$1" '.scenarios[$name].reasons // [] | join("; ")' "$compare")
	case $word in
	PASS | WAIVED) ;;
	INCONCLUSIVE | UNFIT)
		[[ ${BENCH_ALLOW_SKIP:-} != 1 ]] || skip "${word,,}: $reasons"
		echo "${word,,}: $reasons"
		return 1
		;;
	null)
		[[ ${BENCH_COMPARE_OPTIONS:-} != *--scenario* ]] || skip "not among the scenarios that were asked for"
		echo "$1 was not compared"
		return 1
		;;
	*) return 1 ;;
	esac
}

@test "fanout-3-flood is not slower than base" {
	paired fanout-3-flood
}

@test "single-hop is not slower than base" {
	paired single-hop
}

@test "every scenario that is compared at each commit has a test here" {
	local file name
	# shellcheck source=/dev/null
	source "$BATS_TEST_DIRNAME/../scenario/scenario.bash"
	for file in "${BENCH_SCENARIOS:-$BATS_TEST_DIRNAME/../scenario}"/*.conf; do
		name=$(basename "$file" .conf)
		[[ $(scenario_value when <"$file") != night ]] || continue
		if scenario_value compare <"$file" && ! grep -qx "	paired $name" "$BATS_TEST_FILENAME"; then
			echo "no test of $name"
			return 1
		fi
	done
}
