"""The changes that a gate has to catch: each fits this tree; what becomes of one is told from the answers."""

import subprocess
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from harness import ROOT
from harness.result.documents import Faulty
from harness.selftest import planted
from harness.verdict.commit import commit

HARMLESS, BAD = {"harmless": True}, {}


def answers(*words: str) -> list[dict]:
    return [{"verdict": word, "why": f"it is {word}"} for word in words]


class Changes(unittest.TestCase):
    def test_each_fits_this_tree_and_asks_what_there_is(self):
        questions = {question["name"] for question in commit.questions_of(ROOT / "baselines")}
        names = [change["name"] for change in planted.changes()]
        self.assertEqual(len(set(names)), len(names))
        self.assertGreaterEqual(len([change for change in planted.changes() if "open" not in change]), 13)
        for change in planted.changes():
            with self.subTest(change["name"]):
                self.assertLessEqual(set(change["gates"]), questions)
                self.assertTrue("open" in change or change.get("edit") or change.get("remove"))
                for edit in change.get("edit", []):
                    self.assertEqual((ROOT / edit["file"]).read_text().count(edit["old"]), 1, edit)
                for name in change.get("remove", []):
                    self.assertTrue((ROOT / name).exists())


class Outcomes(unittest.TestCase):
    def test_of_a_change_that_has_to_be_caught(self):
        for words, outcome in ((("REGRESSION",), "caught"), (("PASS", "INVALID"), "not told"), (("PASS", "PASS"), "MISSED"),
                               (("PASS", "INCONCLUSIVE"), "not told"), (("UNFIT", "PASS"), "not told"), (("exit 1",), "MISSED"),
                               (("CRASHED",), "MISSED")):
            self.assertEqual(planted.conclude(BAD, answers(*words)), outcome)

    def test_invalid_catches_it_by_what_it_says(self):
        for texts, outcome in (([], "not told"), (["lost"], "not told"), (["lost", "is INV"], "caught")):
            self.assertEqual(planted.conclude({"invalid": texts}, answers("PASS", "INVALID")), outcome)

    def test_inconclusive_holds_it_back_by_what_it_says(self):
        change = {"inconclusive": ["is INCON"], "invalid": ["is INV"]}
        for words, outcome in ((("INCONCLUSIVE",), "held back"), (("PASS", "INCONCLUSIVE"), "held back"),
                               (("INVALID", "INCONCLUSIVE"), "caught"), (("UNFIT",), "not told")):
            self.assertEqual(planted.conclude(change, answers(*words)), outcome)

    def test_of_one_that_is_none(self):
        for words, outcome in ((("PASS", "PASS"), "passed"), (("PASS", "REGRESSION"), "FALSE ALARM"), (("INVALID",), "FALSE ALARM"),
                               (("PASS", "UNFIT"), "not told"), (("exit 1",), "not told")):
            self.assertEqual(planted.conclude(HARMLESS, answers(*words)), outcome)

    def test_of_all(self):
        for outcomes, word in ((["caught", "passed", "open", "held back"], "PASS"), (["caught", "MISSED", "not told"], "REGRESSION"),
                               (["FALSE ALARM"], "REGRESSION"), (["caught", "not told"], "INCONCLUSIVE")):
            self.assertEqual(planted.overall(outcomes), word)

    def test_an_open_one_is_listed_and_not_asked(self):
        entry = planted.examine({"name": "x", "what": "y", "open": "why", "gates": []}, None, Path())
        self.assertEqual((entry["outcome"], entry["answers"]), ("open", []))
        text = planted.show({"verdict": "PASS", "changes": [entry]}, True)
        self.assertIn("| x | y | open |", text)
        self.assertIn("- x: open: why", text)


class InACopy(unittest.TestCase):
    """Without a compiler, and without a bench: what is committed there, and what is asked."""

    def setUp(self):
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.tree, self.results = folder / "tree", folder / "results"
        (folder / "origin").mkdir()
        for command in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "one")):
            if command[0] == "add":
                (folder / "origin/file").write_text("one two\n")
            subprocess.run(["git", "-C", folder / "origin", "-c", "user.name=t", "-c", "user.email=t@localhost", *command], check=True)
        self.enterContext(mock.patch.object(planted, "ROOT", folder / "origin"))
        self.copy = planted.Copy(self.tree)
        run = planted.Copy.run
        self.copy.run = lambda *command, **more: "" if command[0] == "make" else run(*command, **more)

    def plant(self, old: str, new: str) -> None:
        self.copy.plant({"name": "x", "edit": [{"file": "file", "old": old, "new": new}]})

    def test_one_commit_on_top_of_the_base_each_time(self):
        self.plant("two", "{old} three")
        self.assertEqual((self.tree / "file").read_text(), "one two three\n")
        self.plant("one ", "")
        self.assertEqual((self.tree / "file").read_text(), "two\n")
        self.assertEqual(self.copy.git("rev-parse", "HEAD~1"), self.copy.base)

    def test_what_does_not_fit_is_an_error(self):
        for old in ("four", "o"):
            with self.assertRaisesRegex(Faulty, "mend harness/selftest/planted.toml"):
                self.plant(old, "x")

    def bench(self, script: str) -> dict:
        (self.tree / "harness").mkdir(exist_ok=True)
        bench = self.tree / "harness/bench"
        bench.write_text(f"#!/bin/bash\nresults=${{@: -1}}\n{script}\n")
        bench.chmod(0o755)
        return self.copy.ask("floor", self.results)

    def test_the_answer_is_that_of_the_document(self):
        found = self.bench("""mkdir -p "$results/verdict/a"
            echo '{"answers": [{"verdict": "REGRESSION", "figures": ["slow"], "said": "too slow"}]}' >"$results/verdict/a/commit.json"
            exit 3""")
        self.assertEqual((found["verdict"], found["why"]), ("REGRESSION", "slow; too slow"))
        # what an earlier question left is no answer
        self.assertEqual(self.bench("exit 1")["verdict"], "exit 1")

    def test_what_is_refused_before_any_question(self):
        found = self.bench("echo 'bench: INVALID: gone here' >&2; exit 5")
        self.assertEqual((found["verdict"], found["why"]), ("INVALID", "bench: INVALID: gone here"))


if __name__ == "__main__":
    unittest.main()
