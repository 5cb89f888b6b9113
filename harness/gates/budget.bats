#!/usr/bin/env bats
# The budget of work per packet as a bats test, for runners that want TAP or JUnit:
#   sudo bats --report-formatter junit --output results harness/gates/budget.bats
# Without perf or without an accepted budget it is reported as skipped, with the reason.

@test "the relay does no more work per packet than is budgeted" {
	run "$BATS_TEST_DIRNAME/../bench" budget
	echo "$output"
	((status != 4)) || skip "$(grep -m 1 -E '^(INCONCLUSIVE|bench): ' <<<"$output")"
	((status == 0))
}
