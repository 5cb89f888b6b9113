"""The verdict on every scenario: verdict/all/all.py, from runs as result.py writes them."""

import copy
import json
import tempfile
import unittest
from pathlib import Path

from harness.tests.python.support import DATA, schema
from harness.verdict.all import all as verdict
from harness.verdict.outcome import INCONCLUSIVE, INVALID, PASS, REGRESSION

RUN = json.loads((DATA / "pipeline-relay.result.json").read_text())


def run(loss: str = "none", **changes) -> dict:
    """A run in which nothing was lost, but for `changes` of its sink."""
    found = copy.deepcopy(RUN)
    for account in found["ledger"]:
        account["drops"] = dict.fromkeys(account["drops"], 0)
    found["declared"]["loss"] = loss
    found["overrides"] = {}
    found["sink"] |= {"received": found["sink"]["expected"], "lost": 0, "reordered": 0, "duplicated": 0} | changes
    return found


def dropping(found: dict, cause: str, count: int = 7) -> dict:
    found["ledger"][1]["drops"][cause] = count
    return found


class Judge(unittest.TestCase):
    def assert_judged(self, found: dict, word: str, reason: str, again: bool) -> None:
        self.assertEqual((verdict.judge(found)[0], verdict.again(found)), (word, again))
        self.assertRegex("; ".join(verdict.judge(found)[1]), reason)

    def test_nothing_lost(self):
        self.assert_judged(run(), PASS, "^$", False)

    def test_a_loss_to_full_buffers_may_be_allowed(self):
        self.assert_judged(dropping(run("full-buffers"), "buffer_exhaustion"), PASS, "^$", False)
        self.assert_judged(dropping(run(), "buffer_exhaustion"), REGRESSION, "7 packets: r1 in: buffer_exhaustion", True)

    def test_any_other_loss_is_not_and_is_not_measured_again(self):
        for loss in ("none", "full-buffers"):
            self.assert_judged(dropping(run(loss), "no_match"), REGRESSION, "7 packets: r1 in: no_match", False)

    def test_the_receivers_own_buffer_says_nothing_of_the_relay(self):
        self.assert_judged(dropping(run(), "socket_drops"), INCONCLUSIVE, "socket_drops", True)
        self.assert_judged(dropping(dropping(run(), "socket_drops"), "buffer_exhaustion"), REGRESSION, "buffer_exhaustion", True)

    def test_packets_that_nobody_lost_and_nobody_got(self):
        self.assert_judged(run(received=1, lost=9), REGRESSION, "9 of .* packets did not arrive", True)

    def test_order(self):
        self.assert_judged(run("full-buffers", reordered=3), REGRESSION, "3 packets arrived behind a later one", False)

    def test_packets_that_return(self):
        received = RUN["sink"]["expected"]
        self.assert_judged(run(returned=received // 200), PASS, "^$", False)
        self.assert_judged(run(returned=received // 50), REGRESSION, "went back", False)

    def test_what_one_receiver_got_too_much_does_not_hide_what_another_lacks(self):
        uneven = [{"name": "a", "expected": 10, "received": 11}, {"name": "b", "expected": 10, "received": 9}]
        self.assert_judged(run(receivers=uneven), REGRESSION, "a: 11 of 10 packets; receiver b: 9 of 10", True)
        self.assert_judged(run("full-buffers", receivers=uneven), REGRESSION, "a: 11 of 10 packets$", True)
        self.assert_judged(run("full-buffers", receivers=uneven[1:]), PASS, "^$", False)

    def test_changes_of_rules(self):
        changes = {"per_s": 100, "seconds": 3.0, "done": 300, "refused": [], "refused_count": 0, "slowest_ms": 1.0}
        self.assert_judged(run() | {"changes": changes}, PASS, "^$", False)
        self.assert_judged(run() | {"changes": changes | {"done": 200}}, INCONCLUSIVE, "200 of 300 changes", True)
        self.assert_judged(run() | {"changes": changes | {"refused": ["no"], "refused_count": 1}}, REGRESSION, "1 of 300 .*: no", False)

    def test_a_run_that_is_not_valid(self):
        self.assert_judged(run() | {"problems": ["a ledger does not close"], "valid": False}, INVALID, "a ledger does not close", False)


class Collect(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.sitting = Path(folder.name)

    def keep(self, place: str, found: dict) -> None:
        (self.sitting / "rounds" / place).mkdir(parents=True)
        (self.sitting / "rounds" / place / "result.json").write_text(json.dumps(found))

    def keep_rates(self, rates: list[int]) -> None:
        for number, rate in enumerate(rates):
            found = run("full-buffers") | {"overrides": {"rate_pps": str(number)}, "window_ns": [number, number + 1]}
            found["declared"]["holds"] = "90"
            found["hops"][0]["egress_pps"] = rate
            self.keep(f"01/flood.rate-pps.{number}", found)

    def test_the_last_try_counts(self):
        self.keep("01/one", dropping(run(), "buffer_exhaustion"))
        self.keep("02/one", run())
        document = verdict.collect(self.sitting)
        schema("all").validate(document)
        self.assertEqual((document["verdict"], document["rows"][0]["tries"]), (PASS, 2))
        self.assertIn("PASS (try 2)", verdict.shown(document, False))

    def test_the_worst_is_the_verdict(self):
        self.keep("01/one", run())
        self.keep("01/two", dropping(run(), "no_match"))
        self.assertEqual(verdict.collect(self.sitting)["verdict"], REGRESSION)

    def test_a_relay_that_holds_under_overload(self):
        self.keep_rates([100, 1000, 950])
        self.assertEqual(verdict.collect(self.sitting)["verdict"], PASS)

    def test_a_relay_that_does_not(self):
        self.keep_rates([100, 1000, 800])
        document = verdict.collect(self.sitting)
        self.assertEqual(document["verdict"], REGRESSION)
        self.assertRegex(verdict.told_of(document)[0], "800 pps leave at rate_pps = 2, 80% of the 1,000 pps")

    def test_variants_stand_in_the_order_of_their_measurement(self):
        for number, name in enumerate(("b.x.2", "b.x.1", "b.x.10")):
            self.keep(f"01/{name}", run() | {"window_ns": [number, number + 1]})
        self.assertEqual([row["name"] for row in verdict.collect(self.sitting)["rows"]], ["b.x.2", "b.x.1", "b.x.10"])


if __name__ == "__main__":
    unittest.main()
