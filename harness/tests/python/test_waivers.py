"""waivers.py: which losses pass for a time; and in compare.py, what a verdict becomes."""

import json
import os
import shutil
import tempfile
import unittest
from datetime import date, timedelta
from pathlib import Path

from harness.result.documents import Faulty
from harness.tests.python.support import HARNESS, agree, load, program, schema
from harness.verdict import waivers

ENDS = ("--base", "a", "--head", "b", "--base-sha256", "b" * 64, "--head-sha256", "e" * 64)
DAY = date(2026, 11, 20)
WAIVER = {"scenario": "flood", "size": 0.08, "reason": "counts every flow now", "expires": "2027-01-31"}


class Scratch(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name) / "compare" / "sitting"  # nobody else's lie beside it
        self.folder.mkdir(parents=True)
        self.file = self.folder / "waivers.json"

    def put(self, *found: dict, **more) -> None:
        self.file.write_text(json.dumps({"schema": 1, "waivers": list(found), **more}))


class Files(Scratch):
    def test_the_one_in_git_is_sound(self):
        path = HARNESS.parent / "baselines/waivers.json"
        schema("waivers").validate(load(path))
        waivers.load(path)

    def test_no_file_and_an_empty_list_are_no_waivers(self):
        self.assertEqual(waivers.load(self.file), {})
        self.put()
        self.assertEqual(waivers.load(self.file), {})

    def test_by_scenario(self):
        self.put(WAIVER)
        self.assertEqual(waivers.load(self.file), {"flood": WAIVER})

    def test_what_is_not_understood_is_refused_with_its_place(self):
        for change, words in (({"colour": "blue"}, "waivers.json: waivers.0.: .*colour"),
                              ({"size": 8}, "waivers.json: waivers.0..size: 8"),
                              ({"size": 0}, "size: 0"), ({"size": "8%"}, "size: '8%'"),
                              ({"reason": " "}, "reason"), ({"expires": "soon"}, "expires: 'soon'"),
                              ({"expires": "2199-01-31"}, "flood: expires: 2199-01-31 is more than 184 days away"),
                              ({"expires": "2027-02-30"}, "flood: expires: '2027-02-30' is no date"),
                              ({"scenario": "../flood"}, "scenario")):
            with self.subTest(change):
                self.put(WAIVER | change)
                with self.assertRaisesRegex(Faulty, words):
                    waivers.load(self.file)
        for missing in WAIVER:
            with self.subTest(missing):
                self.put({key: value for key, value in WAIVER.items() if key != missing})
                with self.assertRaisesRegex(Faulty, missing):
                    waivers.load(self.file)

    def test_two_for_a_scenario(self):
        self.put(WAIVER, WAIVER | {"size": 0.5})
        with self.assertRaisesRegex(Faulty, "two waivers for scenario flood"):
            waivers.load(self.file)

    def test_damaged_files(self):
        for text, words in (("{", "cannot be read"), ("[]", "not of type 'object'"),
                            ('{"schema": 2, "waivers": []}', "schema: 1 was expected"),
                            ('{"schema": 1, "waivers": [{"size": NaN}]}', "NaN is not a number"),
                            ('{"schema": 1, "waivers": [], "more": 1}', "more")):
            with self.subTest(text):
                self.file.write_text(text)
                with self.assertRaisesRegex(Faulty, words):
                    waivers.load(self.file)

    def test_a_fifo_is_not_waited_for(self):
        os.mkfifo(self.file)
        with self.assertRaisesRegex(Faulty, "cannot be read: .*not a file"):
            waivers.load(self.file)


class Judging(unittest.TestCase):
    def test_a_loss_within_it(self):
        self.assertEqual(waivers.judge(WAIVER, 0.079, DAY), (True, [
            "waived until 2027-01-31: counts every flow now (loss of up to 8 % allowed)"]))

    def test_a_loss_that_may_be_as_large_or_larger_is_not_covered(self):
        for loss in (0.08, 0.123):
            covered, said = waivers.judge(WAIVER, loss, DAY)
            self.assertFalse(covered)
            self.assertIn("does not reach", said[0])
            self.assertIn(f"{loss:.1%}".replace("%", " %"), said[0])

    def test_in_force_up_to_its_last_day(self):
        self.assertTrue(waivers.judge(WAIVER, 0.06, date(2027, 1, 31))[0])
        self.assertEqual(waivers.judge(WAIVER, 0.06, date(2027, 2, 1)),
                         (False, ["waiver for flood expired on 2027-01-31"]))

    def test_no_waiver_and_no_loss(self):
        self.assertEqual(waivers.judge(None, 0.5, DAY), (False, []))
        self.assertEqual(waivers.judge(WAIVER, None, DAY), (False, []))

    def test_days_left(self):
        self.assertEqual([waivers.days_left(WAIVER, date(2027, 1, day)) for day in (1, 31)], [30, 0])


def verdict(word: str, lower: float | None, **more) -> dict:
    return {"schema": 1, "confidence": 0.99, "block": "first", "needs": 0, "looks": [], "verdict": word, "reasons": [], "estimate": lower, "lower": lower, "upper": lower, "pairs": 12,
            "smallest_visible_loss": 0.05, "p_value": 1e-9 if word == "REGRESSION" else 1.0, "by": "speed" if word == "REGRESSION" else None, "metric": "egress_pps",
            "profile": None, **more}


class Verdicts(Scratch):
    """compare.py finish."""

    def finish(self, verdicts: dict[str, dict], *found: dict) -> tuple[int, dict, str]:
        self.put(*found)
        agree(self.folder)
        for name, one in verdicts.items():
            (self.folder / name).mkdir()
            (self.folder / name / "verdict.json").write_text(json.dumps(one | {"scenario": name}))
        answer = program("verdict.paired.compare", "finish", self.folder, *ENDS, "--waivers", self.file)
        document = self.folder / "compare.json"
        return answer.returncode, load(document) if document.exists() else {}, answer.stdout + answer.stderr

    def test_waived(self):
        code, document, text = self.finish({"flood": verdict("REGRESSION", -0.07)}, soon())
        self.assertEqual((code, document["verdict"]), (0, "WAIVED"))
        self.assertIn("WAIVED", text)
        self.assertIn("(loss of up to 8 % allowed)", text)

    def test_a_loss_that_is_not_of_the_typical_run_has_no_size_to_waive(self):
        for by in ("tails", "packets"):
            shutil.rmtree(self.folder / "flood", ignore_errors=True)
            code, document, _ = self.finish({"flood": verdict("REGRESSION", -0.01, by=by)}, soon())
            self.assertEqual((code, document["verdict"]), (3, "REGRESSION"))

    def test_a_loss_that_the_waiver_does_not_reach(self):
        code, document, text = self.finish({"flood": verdict("REGRESSION", -0.09)}, soon())
        self.assertEqual((code, document["verdict"]), (3, "REGRESSION"))
        self.assertIn("does not reach", text)

    def test_expired(self):
        code, document, text = self.finish({"flood": verdict("REGRESSION", -0.07)},
                                           WAIVER | {"expires": "2020-01-31"})
        self.assertEqual((code, document["verdict"]), (3, "REGRESSION"))
        self.assertIn("waiver for flood expired on 2020-01-31", text)

    def test_of_another_scenario(self):
        code, document, _ = self.finish({"hop": verdict("REGRESSION", -0.07)}, soon())
        self.assertEqual((code, document["verdict"]), (3, "REGRESSION"))

    def test_nothing_but_a_regression_is_waived(self):
        for word, code in (("PASS", 0), ("INCONCLUSIVE", 4), ("UNFIT", 4), ("INVALID", 5)):
            with self.subTest(word):
                (self.folder / word).mkdir()
                self.addCleanup(setattr, self, "folder", self.folder)
                outside, self.folder = self.folder, self.folder / word
                self.assertEqual(self.finish({"flood": verdict(word, -0.06)}, soon())[:2][0], code)
                self.assertEqual(load(self.folder / "compare.json")["verdict"], word)
                self.folder = outside

    def test_ranks_between_inconclusive_and_pass(self):
        code, document, _ = self.finish({"flood": verdict("REGRESSION", -0.07), "good": verdict("PASS", 0.0)}, soon())
        self.assertEqual((code, document["verdict"]), (0, "WAIVED"))
        (self.folder / "noisy").mkdir()
        (self.folder / "noisy" / "verdict.json").write_text(json.dumps(verdict("INCONCLUSIVE", -0.2) | {"scenario": "noisy"}))
        answer = program("verdict.paired.compare", "finish", self.folder, *ENDS, "--waivers", self.file)
        self.assertEqual(answer.returncode, 4)

    def test_a_damaged_file_is_no_pass(self):
        code, document, text = self.finish({"flood": verdict("PASS", 0.0)}, WAIVER | {"colour": "blue"})
        self.assertEqual((code, document), (5, {}))
        self.assertIn("colour", text)


def soon() -> dict:
    return WAIVER | {"expires": (waivers.today() + timedelta(days=30)).isoformat()}


if __name__ == "__main__":
    unittest.main()
