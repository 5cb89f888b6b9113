"""All that a commit is asked: in order, whatever one answers, and the worst of it."""

import json
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from harness import ROOT
from harness.result.documents import Faulty, validate
from harness.tests.python.support import agreed
from harness.verdict.commit import answers, commit
from harness.verdict.terms import expectations

BASE = "a" * 40
EXPECTED = agreed()["expectations"]
FLOOR = {"name": "floor", "asks": "Is it fast?", "when": "commit", "minutes": 1, "command": ["gate", "--base", "{base}"]}
ADVICE = {"name": "drift", "asks": "Has it slipped?", "when": "commit", "minutes": 1, "command": ["drift"], "advisory": True}
NIGHT = {"name": "all", "asks": "All?", "when": "night", "minutes": 9, "command": ["drill"]}


class Asked(unittest.TestCase):
    def setUp(self):
        self.results = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.commands = []

    def bench(self, status: int, document: dict | None = None, name: str = "verdict.json"):
        """Stands for bench: ends with this status, and leaves this document in a sitting of its own, and a line in the history."""
        def run(*command, results=None):
            self.commands.append([str(word) for word in command])
            (self.results / "history/a-machine").mkdir(parents=True, exist_ok=True)
            if document is not None:
                folder = self.results / "scenario" / f"{len(self.commands):03}"
                folder.mkdir(parents=True)
                (folder / name).write_text(json.dumps(document))
            return status, "its last word"
        return lambda *arguments: run(*arguments)

    def ask(self, status: int, document: dict | None = None, question: dict = FLOOR, base: str | None = BASE) -> dict:
        return commit.ask(question, base, self.results, self.bench(status, document))

    def conclude(self, *found: dict, only: tuple = (), expected: dict = EXPECTED) -> dict:
        document = commit.conclude(list(found), expected, False, list(only), "abc", False, "2026-11-28T10:00:00Z")
        validate(json.loads(json.dumps(document)), "commit", "commit.json")
        commit.show(document, True)
        return document


class Words(Asked):
    def test_each_status(self):
        for status, word in ((0, "PASS"), (3, "REGRESSION"), (4, "INCONCLUSIVE"), (5, "INVALID"), (1, "CRASHED"), (64, "CRASHED"),
                             (137, "CRASHED"), (143, "CRASHED"), (2, "CRASHED"), (10, "CRASHED"), (-9, "CRASHED")):
            with self.subTest(status):
                self.assertEqual(self.ask(status)["verdict"], word)

    def test_the_document_has_the_word_where_several_share_a_status(self):
        self.assertEqual(self.ask(4, {"verdict": "UNFIT"})["verdict"], "UNFIT")
        self.assertEqual(self.ask(0, {"verdict": "WAIVED"})["verdict"], "WAIVED")

    def test_a_document_of_another_status_is_not_believed(self):
        self.assertEqual(self.ask(3, {"verdict": "PASS"})["verdict"], "REGRESSION")
        self.assertEqual(self.ask(4, {"verdict": "nonsense"})["verdict"], "INCONCLUSIVE")

    def test_an_unofficial_pass_is_none(self):
        self.assertEqual(self.ask(0, {"verdict": "PASS", "terms": agreed()})["verdict"], "PASS")
        self.assertEqual(self.ask(0, {"verdict": "PASS", "terms": agreed(None, ["--relay x"])})["verdict"], "INCONCLUSIVE")
        self.assertEqual(self.ask(3, {"verdict": "REGRESSION", "terms": agreed(None, ["--relay x"])})["verdict"], "REGRESSION")


class Questions(Asked):
    def test_the_base_is_named(self):
        self.ask(0)
        self.assertEqual(self.commands, [["gate", "--base", BASE, "--results", str(self.results)]])

    def test_without_a_base_it_is_not_asked_and_not_passed(self):
        answer = self.ask(0, base=None)
        self.assertEqual((answer["verdict"], answer["exit"], self.commands), ("INCONCLUSIVE", None, []))
        self.assertEqual(self.ask(0, question=ADVICE, base=None)["verdict"], "PASS")

    def test_what_an_earlier_sitting_left_is_no_answer(self):
        (self.results / "scenario/000").mkdir(parents=True)
        (self.results / "scenario/000/verdict.json").write_text(json.dumps({"verdict": "PASS"}))
        (self.results / "scenario/001.partial").mkdir()
        answer = self.ask(5)
        self.assertEqual((answer["folder"], answer["said"]), (None, "its last word"))

    def test_those_of_the_night_come_besides(self):
        both = [FLOOR, NIGHT]
        self.assertEqual(commit.chosen(both, False, []), [FLOOR])
        self.assertEqual(commit.chosen(both, True, []), both)
        self.assertEqual(commit.chosen(both, False, ["all"]), [NIGHT])
        with self.assertRaisesRegex(ValueError, "no question 'x'; there are: floor all"):
            commit.chosen(both, False, ["x"])

    def test_those_in_git_are_sound(self):
        questions = commit.questions_of(ROOT / "baselines")
        self.assertGreater(len(commit.chosen(questions, False, [])), 3)

    def test_two_of_a_name(self):
        (self.results / "questions.json").write_text(json.dumps({"schema": 1, "questions": [FLOOR, FLOOR]}))
        with self.assertRaisesRegex(Faulty, "two questions are called 'floor'"):
            commit.questions_of(self.results)

    def test_one_that_is_taken_out_is_gone(self):
        there = {"baselines/questions.json": json.dumps({"questions": [FLOOR, NIGHT]}).encode()}
        here = {"baselines/questions.json": json.dumps({"questions": [FLOOR]}).encode()}
        self.assertEqual(expectations.compare(there, here, [], BASE).gone, ["baselines/questions.json: questions.all"])


class Conclusion(Asked):
    def test_a_crash_before_5_before_3_before_4_before_0(self):
        found = [self.ask(status) for status in (0, 4, 3, 5, 1)]
        for worst, status in zip(range(1, 6), (0, 4, 3, 5, 70)):
            self.assertEqual(self.conclude(*found[:worst])["exit"], status)
        self.assertEqual(self.conclude(*reversed(found))["exit"], 70)

    def test_nothing_was_asked(self):
        self.assertEqual(self.conclude()["exit"], 5)

    def test_advice_does_not_count_but_a_crash_of_it_does(self):
        good = self.ask(0)
        for status, then in ((3, 0), (4, 0), (5, 5), (1, 70)):
            self.assertEqual(self.conclude(good, self.ask(status, question=ADVICE))["exit"], then)

    def test_advice_alone_counts(self):
        for status in (0, 3, 4, 5):
            self.assertEqual(self.conclude(self.ask(status, question=ADVICE))["exit"], status)

    def test_expectations_unproven(self):
        document = self.conclude(self.ask(0), expected=agreed("a tarball")["expectations"])
        self.assertEqual((document["verdict"], document["exit"]), ("INCONCLUSIVE", 4))
        self.assertIn("expectations unproven: a tarball", commit.show(document, False))

    def test_what_was_unofficial_anywhere_is_told(self):
        document = self.conclude(self.ask(0, {"verdict": "PASS", "terms": agreed(None, ["changes"])}), only=("floor",))
        self.assertEqual(document["terms"]["unofficial"], ["changes", "only floor"])
        self.assertEqual(document["exit"], 4)

    def test_every_answer_is_in_the_table_with_what_it_said(self):
        text = commit.show(self.conclude(self.ask(0), self.ask(3, {"verdict": "REGRESSION", "reasons": ["too slow"]})), True)
        self.assertIn("| Is it fast? | REGRESSION |", text)
        self.assertIn("too slow", text)
        self.assertIn("**REGRESSION**", text)


class Figures(Asked):
    def test_while_others_are_asked(self):
        for figures, said, verdict, expected in ((["31.2 calls"], "", "PASS", "PASS: 31.2 calls"), ([], "", "PASS", "PASS"),
                                                 ([], "no perf", "INVALID", "INVALID: no perf"),
                                                 (["+1 %"], "why", "REGRESSION", "REGRESSION: +1 %")):
            self.assertEqual(commit.in_short({"figures": figures, "said": said, "verdict": verdict}), expected)

    def test_of_each_gate(self):
        look = {"estimate": -0.012, "lower": -0.03, "upper": None, "pairs": 12, "verdict": "PASS", "reasons": []}
        for document, said in (
                ({"scenarios": {"hop": look}}, ["hop -1.2% (-3.0% to unbounded, 12 pairs)"]),
                ({"scenarios": {"hop": look | {"estimate": None, "same_program": True}}}, ["hop: same program"]),
                ({"scenarios": {"hop": look | {"estimate": 1.5, "lower": 1.2}}, "question": "shape"},
                 ["hop 2.50 times as fast as PHASE4's shape (2.20 to unbounded, 12 pairs)"]),
                ({"hops": [{"egress_pps": {"median": 500000}}], "tier_reached": None}, ["relay 1 500,000 pps, tier none"]),
                ({"rows": [{"verdict": "met", "name": "a", "reasons": []}, {"verdict": "missed", "name": "b", "reasons": []}]},
                 ["1 of 2 rows met"]),
                ({"figures": {"system calls": {"value": 31.2, "limit": 40, "verdict": "PASS"}}}, ["31.2 system calls per 1,000 packets"]),
                ({"faults": [{"name": "a", "verdict": "PASS", "reasons": []}, {"name": "b", "verdict": "REGRESSION", "reasons": ["c"]}]},
                 ["1 of 2 faults survived"]),
                ({"drills": [{"gates": {"floor": {"right": True}, "budget": {"right": None}}}], "faults": [{"right": True}]},
                 ["2 of 3 answers right"]),
                ({"verdict": "INVALID"}, [])):
            self.assertEqual(answers.figures(document), said)

    def test_why(self):
        self.assertEqual(answers.reasons({"scenarios": {"hop": {"verdict": "UNFIT", "reasons": ["noise"]},
                                                        "flood": {"verdict": "PASS", "reasons": ["fine"]}}}), ["hop: noise"])

    def test_a_document_that_cannot_be_read_is_none(self):
        (self.results / "compare.json").write_text("{")
        self.assertIsNone(answers.document(self.results))


class Program(Asked):
    def test_it_asks_all_and_leaves_table_and_document(self):
        with mock.patch.object(commit, "bench", self.bench(3)), \
                mock.patch.object(commit.expectations, "find", lambda base: self.expected()), \
                mock.patch.object(commit, "end_by_signals"), mock.patch("sys.stdout"), mock.patch("sys.stderr"), \
                mock.patch("sys.argv", ["verdict", "--results", str(self.results), "--markdown", str(self.results / "md")]):
            self.assertEqual(commit.main(), 3)
        found = list(self.results.glob("verdict/*/commit.json"))
        self.assertEqual(len(found), 1)
        validate(json.loads(found[0].read_text()), "commit", "commit.json")
        self.assertEqual((self.results / "md").read_text(), (found[0].parent / "commit.md").read_text())
        self.assertEqual(len(self.commands), 2)

    def test_what_cannot_be_written_is_told_before_anything_is_asked(self):
        file = self.results / "file"
        file.write_text("")
        for words, status in ((["--results", str(file)], 4), (["--results", str(self.results), "--markdown", str(self.results)], 64)):
            with self.subTest(words), mock.patch.object(commit, "bench", self.bench(0)), \
                    mock.patch.object(commit, "end_by_signals"), mock.patch("sys.stdout"), mock.patch("sys.stderr"), \
                    mock.patch("sys.argv", ["verdict", *words]), self.assertRaises(SystemExit) as ended:
                commit.main()
            self.assertEqual((ended.exception.code, self.commands), (status, []))

    @staticmethod
    def expected() -> expectations.Expectations:
        text = json.dumps({"schema": 1, "questions": [FLOOR, ADVICE, NIGHT]}).encode()
        return expectations.Expectations(BASE, None, files={"baselines/questions.json": text})


if __name__ == "__main__":
    unittest.main()
