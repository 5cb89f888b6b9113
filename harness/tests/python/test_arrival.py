"""What arrives at the end: what a verified run says, and what each gate makes of it."""

import tempfile
import unittest
from pathlib import Path

from harness.tests.python.support import relay_run, verified_run, write_verified
from harness.verdict import arrival

CORRUPT = {"losses": {"corrupt": 75}, "sink": {"corrupt": 75, "received": 99_925, "lost": 75}}


class Judged(unittest.TestCase):
    def judge(self, run: dict | None) -> tuple[str, str]:
        word, reasons = arrival.judge(run)
        return word, "; ".join(reasons)

    def test_all_as_it_was_sent(self):
        self.assertEqual(self.judge(verified_run()), ("PASS", ""))

    def test_one_packet_of_all_that_is_not(self):
        for losses, sink, why in (({"corrupt": 1}, {}, "1 of 100,000 packets: sink socket: corrupt"),
                                  ({"duplicated": 1}, {}, "1 of 100,000 packets: sink socket: duplicated"),
                                  ({"stale": 1}, {}, "1 of 100,000 packets: sink socket: stale"),
                                  ({"foreign": 1}, {}, "1 of 100,000 packets: arrived that the generator did not make"),
                                  ({}, {"reordered": 1}, "1 of 100,000 packets: arrived behind a later one")):
            with self.subTest(why=why):
                self.assertEqual(self.judge(verified_run(losses, sink)), ("REGRESSION", why))

    def test_a_loss_on_the_way_that_is_no_full_buffer(self):
        run = verified_run()
        run["ledger"][1]["drops"]["no_match"] = 3
        self.assertEqual(self.judge(run), ("REGRESSION", "3 of 100,000 packets: r1 in: no_match"))

    def test_full_buffers_are_the_matter_of_other_runs(self):
        run = verified_run({"socket_drops": 20_000}, {"received": 50_000})
        run["ledger"][1]["drops"]["buffer_exhaustion"] = 30_000
        self.assertEqual(self.judge(run)[0], "PASS")

    def test_too_few_to_have_seen_much(self):
        word, why = self.judge(verified_run(sink={"received": 49_999}))
        self.assertEqual(word, "INCONCLUSIVE")
        self.assertIn("of 100,000 packets 49,999 arrived to be read", why)

    def test_no_run_at_all_or_one_that_does_not_count_or_that_nobody_read(self):
        for run, why in ((None, "no run in which what arrives is read"),
                         (verified_run(problems=["a ledger is open"], valid=False), "a ledger is open"),
                         (verified_run(kind="control"), "not one of kind relay"),
                         (relay_run(), "what arrives is counted by terminus relay and read by nobody")):
            word, said = self.judge(run)
            self.assertEqual(word, "INVALID")
            self.assertIn(why, said)


class Builds(unittest.TestCase):
    SHA256 = {"base": "b" * 64, "head": "e" * 64}

    def over(self, base: dict | None, head: dict | None, word: str = "PASS") -> dict:
        with tempfile.TemporaryDirectory() as folder:
            for who, run in (("base", base), ("head", head)):
                if run:
                    write_verified(Path(folder) / "verified" / who,
                                   {**run, "sut": {**run["sut"], "sha256": run["sut"].get("as", self.SHA256[who])}})
            return arrival.over({"verdict": word, "reasons": ["as it was"], "p_value": 0.3, "builds": self.SHA256}, Path(folder))

    def test_nothing_to_say_of_two_that_are_right(self):
        for word in ("PASS", "REGRESSION", "INCONCLUSIVE", "MORE"):
            verdict = self.over(verified_run(), verified_run(), word)
            self.assertEqual((verdict["verdict"], verdict["reasons"], verdict["p_value"]), (word, ["as it was"], 0.3))

    def test_a_head_that_damages_packets_is_a_regression_however_fast(self):
        for word in ("MORE", "PASS", "UNFIT", "INCONCLUSIVE"):
            verdict = self.over(verified_run(), verified_run(**CORRUPT), word)
            self.assertEqual((verdict["verdict"], verdict["p_value"]), ("REGRESSION", 0.0))
            self.assertEqual(verdict["reasons"], ["verified run of head: 75 of 100,000 packets: sink socket: corrupt"])

    def test_where_base_does_it_too_nothing_is_measured(self):
        verdict = self.over(verified_run(**CORRUPT), verified_run(sink={"reordered": 5}))
        self.assertEqual((verdict["verdict"], verdict["reasons"][-1]), ("INVALID", "base does it, too"))

    def test_a_head_that_mends_it_passes_and_base_is_told_of(self):
        verdict = self.over(verified_run(**CORRUPT), verified_run())
        self.assertEqual(verdict["verdict"], "PASS")
        self.assertIn("verified run of base: 75 of", verdict["reasons"][-1])

    def test_too_few_to_have_seen_much_is_no_pass(self):
        few = verified_run(sink={"received": 10})
        self.assertEqual(self.over(verified_run(), few)["verdict"], "INCONCLUSIVE")
        self.assertEqual(self.over(verified_run(), few, "REGRESSION")["verdict"], "REGRESSION")

    def test_a_missing_a_broken_or_another_programs_run_is_invalid(self):
        for base, head, why in ((None, verified_run(), "verified run of base: no run"),
                                (verified_run(), None, "verified run of head: no run"),
                                (verified_run(), {**verified_run(), "sut": {"as": "0" * 64}}, "of another program")):
            verdict = self.over(base, head)
            self.assertEqual(verdict["verdict"], "INVALID")
            self.assertIn(why, " ".join(verdict["reasons"]))
        with tempfile.TemporaryDirectory() as folder:
            for who in ("base", "head"):
                write_verified(Path(folder) / "verified" / who, {})
            self.assertEqual(arrival.over({"verdict": "PASS", "reasons": [], "builds": self.SHA256}, Path(folder))["verdict"],
                             "INVALID")

    def test_what_is_invalid_for_other_reasons_stays_so(self):
        self.assertEqual(self.over(None, None, "INVALID")["reasons"], ["as it was"])


if __name__ == "__main__":
    unittest.main()
