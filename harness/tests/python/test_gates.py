"""gates/*.bats: what they make of a verdict. In the place of bench stands a script that has measured already."""

import json
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from harness.tests.python.support import HARNESS


@unittest.skipUnless(shutil.which("bats") and shutil.which("gojq"), "needs bats and gojq")
class Gates(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)
        shutil.copytree(HARNESS / "gates", self.folder / "gates")
        shutil.copytree(HARNESS / "scenario", self.folder / "scenario")

    def bench(self, status: int, said: str) -> None:
        """A bench that notes how it was called."""
        program = self.folder / "bench"
        (self.folder / "said").write_text(said)
        program.write_text(f"#!/bin/sh\necho \"$@\" >>'{self.folder}/calls'\ncat '{self.folder}/said'\n"
                           f"exit {status}\n")
        program.chmod(0o755)

    def compared(self, status: int, **verdicts: str) -> None:
        (self.folder / "compare.json").write_text(json.dumps({"scenarios": {
            name.replace("_", "-"): {"verdict": verdict, "reasons": [f"why {verdict}"]}
            for name, verdict in verdicts.items()}}))
        self.bench(status, f"the table\n\nresults: {self.folder}\n")

    def run_gate(self, name: str, **environment: str) -> tuple[int, list[str]]:
        own = {key: value for key, value in os.environ.items() if not key.startswith(("BATS", "BENCH"))}
        done = subprocess.run(["bats", "--tap", self.folder / "gates" / name], text=True, capture_output=True,
                              check=False, env={**own, **environment})
        return done.returncode, done.stdout.splitlines()

    def said(self, name: str, **environment: str) -> list[str]:
        return [line for line in self.run_gate(name, **environment)[1] if line.startswith(("ok", "not ok"))]

    def test_a_pass_and_a_waiver(self):
        self.compared(0, fanout_3_flood="PASS", single_hop="WAIVED")
        code, lines = self.run_gate("paired.bats", BENCH_COMPARE_OPTIONS="--budget 15")
        self.assertEqual((code, lines), (0, [
            "1..3", "ok 1 fanout-3-flood is not slower than base", "ok 2 single-hop is not slower than base",
            "ok 3 every scenario that is compared at each commit has a test here"]))
        self.assertEqual((self.folder / "calls").read_text(), "compare --budget 15\n")  # once

    def test_a_regression_shows_the_table_and_the_other_scenario_its_own_verdict(self):
        self.compared(3, fanout_3_flood="UNFIT", single_hop="REGRESSION")
        code, lines = self.run_gate("paired.bats", BENCH_ALLOW_SKIP="1")
        self.assertEqual(code, 1)
        self.assertIn("ok 1 fanout-3-flood is not slower than base # skip unfit: why UNFIT", lines)
        self.assertIn("not ok 2 single-hop is not slower than base", lines)
        self.assertIn("# the table", lines)

    def test_what_is_not_proven_fails(self):
        for word in ("INCONCLUSIVE", "UNFIT"):
            self.compared(4, fanout_3_flood=word, single_hop="PASS")
            for allowed in ({}, {"BENCH_ALLOW_SKIP": ""}, {"BENCH_ALLOW_SKIP": "0"}):
                code, lines = self.run_gate("paired.bats", **allowed)
                self.assertEqual(code, 1)
                self.assertIn("not ok 1 fanout-3-flood is not slower than base", lines)
                self.assertIn(f"# {word.lower()}: why {word}", lines)

    def test_where_it_may_inconclusive_is_skipped_and_invalid_fails(self):
        self.compared(5, fanout_3_flood="INCONCLUSIVE", single_hop="INVALID")
        lines = self.said("paired.bats", BENCH_ALLOW_SKIP="1")
        self.assertTrue(lines[0].endswith("# skip inconclusive: why INCONCLUSIVE"))
        self.assertTrue(lines[1].startswith("not ok 2"))

    def test_a_scenario_that_was_not_compared(self):
        self.compared(0, single_hop="PASS")
        self.assertTrue(self.said("paired.bats")[0].startswith("not ok 1"))
        self.assertIn("# skip not among", self.said("paired.bats", BENCH_COMPARE_OPTIONS="--scenario single-hop")[0])

    def test_a_sitting_without_a_verdict(self):
        for status in (4, 0):  # which is not looked at
            self.bench(status, "bench: another bench is measuring on this machine\n")
            for line in self.said("paired.bats")[:2]:
                self.assertTrue(line.startswith("not ok"), line)

    def test_a_scenario_without_a_test(self):
        self.compared(0, fanout_3_flood="PASS", single_hop="PASS")
        (self.folder / "scenario/new.conf").write_text("compare = egress_pps\n")
        _, lines = self.run_gate("paired.bats")
        self.assertIn("not ok 3 every scenario that is compared at each commit has a test here", lines)
        self.assertIn("# no test of new", lines)

    def test_budget(self):
        for status, said, expected in ((0, "PASS\n", "ok 1"), (3, "REGRESSION\n", "not ok 1"),
                                       (5, "INVALID: no file y\n", "not ok 1"),
                                       (4, "bench: there is no perf\n", "not ok 1")):
            self.bench(status, said)
            self.assertIn(expected, self.said("budget.bats")[0])

    def test_floor(self):
        title = "ok 1 pipeline-phase4 keeps tier target of PHASE4"
        for status, said, may_skip, expected in (
                (0, "PASS", "", title), (3, "REGRESSION", "1", f"not {title}"), (5, "INVALID", "1", f"not {title}"),
                (4, "INCONCLUSIVE\n  - noise", "", f"not {title}"), (4, "UNFIT\n  - noise", "", f"not {title}"),
                (4, "INCONCLUSIVE\n  - noise", "1", f"{title} # skip INCONCLUSIVE:   - noise"),
                (4, "UNFIT: tier\n  - noise", "1", f"{title} # skip UNFIT:   - noise"),
                (4, "bench: making network namespaces needs root", "1", f"not {title}")):
            self.bench(status, said + "\n")
            self.assertEqual(self.said("floor.bats", BENCH_ALLOW_SKIP=may_skip)[0], expected)


if __name__ == "__main__":
    unittest.main()
