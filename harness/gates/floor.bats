#!/usr/bin/env bats
# The floor gate as bats tests, one per scenario that has a baseline, for runners that want TAP or JUnit:
#   sudo bats --report-formatter junit --output results harness/gates
# A verdict that is inconclusive is neither pass nor failure: it is reported as skipped, with the reason. No verdict is a
# failure.

@test "pipeline-phase4 keeps tier target of PHASE4" {
	run "$BATS_TEST_DIRNAME/../bench" gate
	echo "$output"
	((status != 4)) || ! grep -q '^INCONCLUSIVE' <<<"$output" || skip "inconclusive: $(grep '^  - ' <<<"$output")"
	((status == 0))
}
