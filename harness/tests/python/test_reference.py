"""The pinned reference: what it is, what it may leave out, when it moves, what the history keeps."""

import json
import tempfile
import unittest
from pathlib import Path

from harness import ROOT
from harness.history import drift, history
from harness.result.documents import Faulty, validate
from harness.tests.python.support import agreed, program
from harness.verdict.paired import paired, reference, shape

OLD, NEW, NEWER = "a" * 40, "b" * 40, "c" * 40
FIRST = {"schema": 1, "commit": OLD, "why": "the first", "left_out": {"--new-option": "off is what it was"}, "chain": []}
HELP = "Usage: mcrelay\n  --config FILE\n  --send-batch N, --gso off|on\n  --ring-slots=N  slots\n"


def look(**more) -> dict:
    return {"verdict": "PASS", "estimate": 0.01, "lower": -0.01, "upper": 0.03, "pairs": 12, "metric": "egress_pps", "utc": "2026-11-28T10:00:00Z",
            "commit": "b" * 12, "dirty": False, "profile": {"id": "some-2c"}, "reasons": []} | more


def comparison(**more) -> dict:
    return {"schema": 1, "verdict": "PASS", "reference": OLD, "head_commit": NEW, "scenarios": {"hop": look()}, "terms": agreed()} | more


class Options(unittest.TestCase):
    def known(self, *words: str):
        return reference.known(FIRST, HELP, list(words))

    def test_what_it_knows_it_gets(self):
        words = ["--send-batch", "32", "--gso", "off", "--ring-slots", "9", "--ring-slots=9"]
        self.assertEqual(self.known(*words), (words, []))

    def test_what_means_the_same_without_is_left_out_and_said(self):
        self.assertEqual(self.known("--gso", "off", "--new-option", "1", "--send-batch", "2"),
                         (["--gso", "off", "--send-batch", "2"], ["--new-option 1: off is what it was"]))

    def test_what_it_does_not_know_is_an_error(self):
        for word in ("--send", "--other", "--ring-slots-more"):
            with self.assertRaisesRegex(Faulty, f"does not know {word}; .*left_out"):
                self.known(word, "1")


class File(unittest.TestCase):
    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.file = self.folder / "reference.json"
        self.write(FIRST)

    def write(self, document: dict) -> None:
        self.file.write_text(json.dumps(document))

    def test_the_one_in_git_is_sound(self):
        self.assertRegex(reference.load(ROOT / "baselines/reference.json")["commit"], "^[0-9a-f]{40}$")

    def test_a_commit_that_was_edited_by_hand(self):
        document = reference.moved(FIRST, comparison(), "faster", "me", "2026-11-28T11:00:00Z")
        self.write(document | {"commit": NEWER})
        with self.assertRaisesRegex(Faulty, "the chain ends at bbbbbbbbbbbb, and not at cccccccccccc"):
            reference.load(self.file)

    def test_a_link_that_is_missing(self):
        one = reference.moved(FIRST, comparison(), "faster", "me", "2026-11-28T11:00:00Z")
        two = reference.moved(one, comparison(reference=NEW, head_commit=NEWER), "again", "me", "2026-11-29T11:00:00Z")
        self.write(two)
        self.assertEqual(reference.load(self.file)["commit"], NEWER)
        two["chain"][1]["from"] = OLD
        self.write(two)
        with self.assertRaisesRegex(Faulty, "a link is missing"):
            reference.load(self.file)

    def test_a_move_keeps_what_was_measured(self):
        document = reference.moved(FIRST, comparison(), "faster", "me", "2026-11-28T11:00:00Z")
        validate(document, "reference", "reference.json")
        self.assertEqual(document["commit"], NEW)
        self.assertEqual(document["chain"][0]["scenarios"]["hop"]["lower"], -0.01)

    def test_what_does_not_move_it(self):
        for wrong, why in ((comparison(reference=None), "not one with the reference"), (comparison(reference=NEWER), "not one with"),
                           (comparison(verdict="REGRESSION"), "REGRESSION"), (comparison(verdict="WAIVED"), "WAIVED"),
                           (comparison(terms=agreed(None, ["only scenario hop"])), "unofficial: only scenario hop")):
            with self.assertRaisesRegex(Faulty, why):
                reference.moved(FIRST, wrong, "x", "me", "2026-11-28T11:00:00Z")

    def test_the_program(self):
        self.assertEqual(program("verdict.paired.reference", "commit", self.file).stdout.strip(), OLD)
        (self.folder / "mcrelay").write_text(f"#!/bin/bash\ncat <<'END'\n{HELP}\nEND\n")
        (self.folder / "mcrelay").chmod(0o755)
        answer = program("verdict.paired.reference", "known", self.file, self.folder / "mcrelay", "--gso", "off", "--new-option")
        self.assertEqual((answer.returncode, answer.stdout), (0, "--gso off\n--new-option: off is what it was\n"))
        answer = program("verdict.paired.reference", "known", self.file, self.folder / "mcrelay", "--other")
        self.assertEqual(answer.returncode, 5)
        self.write({"schema": 1})
        self.assertEqual(program("verdict.paired.reference", "commit", self.file).returncode, 5)


class Gain(unittest.TestCase):
    def test_only_a_proven_one_above_five_percent(self):
        for more, said in (({"lower": 0.051}, True), ({"lower": 0.049, "estimate": 0.2}, False), ({"lower": None}, False),
                           ({"lower": 0.2, "verdict": "UNFIT"}, False)):
            self.assertEqual(bool(reference.gain({"hop": look(**more)})), said)
        self.assertIn("hop by 12.0% at least", reference.gain({"hop": look(lower=0.12)})[0])


class History(unittest.TestCase):
    def test_a_line_for_each_scenario_that_was_measured(self):
        document = comparison(scenarios={"hop": look(), "flood": look(verdict="UNFIT"), "none": look(profile=None, estimate=None)})
        with tempfile.TemporaryDirectory() as folder:
            for entry in reference.entries(document, FIRST):
                history.append(entry, Path(folder))
            found = [entry for _, entry in history.read(Path(folder))[0]]
        self.assertEqual({entry["scenario"]: entry["verdict"] for entry in found}, {"hop": "PASS", "flood": "UNFIT"})
        self.assertEqual({entry["gate"] for entry in found}, {"reference"})
        self.assertEqual({entry["reference"] for entry in found}, {OLD})


    def test_neither_unofficial_ones_nor_those_with_another_base(self):
        for more in ({"terms": agreed(None, ["x"])}, {"reference": None}):
            self.assertEqual(reference.entries(comparison(**more), FIRST), [])

    def test_through_all_moves_of_the_reference(self):
        document = reference.moved(FIRST, comparison(scenarios={"hop": look(estimate=0.1, lower=0.06)}), "faster", "me", "2026-11-28T11:00:00Z")
        self.assertAlmostEqual(reference.since_first(document, "hop", 0.1), 0.21)
        self.assertAlmostEqual(reference.since_first(document, "other", 0.1), 0.1)

    def test_drift_sees_a_slow_leak_beside_the_reference(self):
        lines = []
        for number in range(20):
            speed = (0.0 if number < 10 else -0.06) + 0.002 * (number * 7 % 5 - 2)
            document = comparison(scenarios={"hop": look(estimate=speed, commit=f"{number:012x}", utc=f"2026-11-{number + 1:02}T10:00:00Z")})
            lines += [("file:1", entry) for entry in reference.entries(document, FIRST)]
        found, damaged = drift.by_scenario([*lines, ("file:99", lines[0][1] | {"since_first": -2.0})])
        self.assertEqual((list(found), len(damaged)), (["hop beside the reference"], 1))
        points = drift.find("hop", found["hop beside the reference"])
        self.assertEqual([(one.point.good, one.point.bad) for one in points], [(f"{9:012x}", f"{10:012x}")])


class Shape(unittest.TestCase):
    FLOOR = json.loads((ROOT / "baselines/phase4.json").read_text())

    def test_each_tier_asks_for_the_share_that_it_asks_of_phase4(self):
        self.assertEqual({tier: round(share, 3) for tier, share in shape.shares(self.FLOOR).items()},
                         {"minimum": 0.814, "target": 0.977, "stretch": 1.303})
        for lower, tier in ((-0.2, None), (-0.18, "minimum"), (-0.02, "target"), (0.3, "target"), (0.31, "stretch"), (None, None)):
            self.assertEqual(shape.reached(self.FLOOR, lower), tier)

    def test_the_rule_is_the_target(self):
        self.assertAlmostEqual(1.0 - paired.SHAPE.tolerance, shape.shares(self.FLOOR)["target"], delta=0.005)

    def test_pairs_that_lie_far_apart_say_nothing_against_it(self):
        pairs = [0.9, 0.85, 1.1, 0.8, 0.85, 1.1, 1.1, 1.15, 1.2, 0.8, 1.1, 1.1]  # three times as fast, in this hour
        self.assertEqual(paired.decide(pairs, rule=paired.SHAPE).verdict, "PASS")
        self.assertEqual(paired.decide(pairs).verdict, "MORE")

    def test_the_options_are_those_that_bash_gives(self):
        self.assertIn(f"BUILD_OPTIONS[base]='{shape.OPTIONS}'", (ROOT / "harness/verdict/paired/reference.bash").read_text())
        self.assertIn(f"CHOSEN=({shape.SCENARIO})", (ROOT / "harness/verdict/paired/reference.bash").read_text())

    def test_what_is_said(self):
        self.assertIn("3.00 times as fast, at least 2.50 times: tier stretch", shape.said(self.FLOOR, look(estimate=2.0, lower=1.5))[0])
        self.assertEqual(shape.said(self.FLOOR, look(verdict="UNFIT")), [])


if __name__ == "__main__":
    unittest.main()
