#!/usr/bin/env bats
# The budget of work per packet as a bats test, for runners that want TAP or JUnit:
#   sudo bats --report-formatter junit --output results harness/gates/budget.bats
# What could not be counted has not passed: without perf or without an accepted budget it fails, and says so.

@test "the relay does no more work per packet than is budgeted" {
	run "$BATS_TEST_DIRNAME/../bench" budget
	echo "$output"
	((status == 0))
}
