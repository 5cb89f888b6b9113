import json
import re
import tempfile
import unittest
import xml.etree.ElementTree
from pathlib import Path
from unittest import mock

from harness.selftest import power, replay
from harness.tests.python.noise import synthetic
from harness.tests.python.support import program
from harness.verdict.paired import paired

SITTINGS = 300


class Power(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        scratch = tempfile.TemporaryDirectory()
        cls.addClassCleanup(scratch.cleanup)
        cls.folder = Path(scratch.name)
        cls.quiet, cls.cpu = cls.folder / "it's \"quiet\".json", cls.folder / "cpu.json"
        cls.quiet.write_text(json.dumps(synthetic(240, sd=0.01)))
        cls.cpu.write_text(json.dumps(synthetic(100, sd=0.02, metric="cpu_ns_per_packet")))
        cls.out = cls.folder / "out"
        cls.done = program("selftest.power", cls.quiet, cls.cpu, "--sittings", SITTINGS, "--out", cls.out)
        if cls.done.returncode == 0:
            cls.found = json.loads((cls.out / "power.json").read_text())
            cls.report = (cls.out / "power.md").read_text()

    def setUp(self):
        self.assertEqual((self.done.returncode, self.done.stderr), (0, ""))

    def test_says_where_the_report_is(self):
        self.assertEqual(self.done.stdout, f"{self.out / 'power.md'}\n")

    def test_leaves_nothing_else(self):
        self.assertEqual(sorted(path.name for path in self.out.iterdir()),
                         ["power-1.png", "power-1.svg", "power-2.png", "power-2.svg", "power.json", "power.md"])

    def test_every_noise_every_candidate_with_and_without_bursts(self):
        cases = {(case["noise"], case["bursts"], case["candidate"]) for case in self.found["cases"]}
        self.assertEqual(cases, {(noise, bursts, name) for noise in (0, 1) for bursts in (False, True)
                                 for name in replay.CANDIDATES})

    def test_shares_are_shares(self):
        for case in self.found["cases"]:
            self.assertEqual([row["loss"] for row in case["curve"]], [0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.15])
            for row in [*case["curve"], case["slow"]]:
                self.assertAlmostEqual(sum(row[name] for name in replay.VERDICTS), 1.0)
                self.assertLessEqual(row["unconfirmed"], row["INCONCLUSIVE"] + 1e-12)
                self.assertLessEqual(row["minutes_median"], row["minutes_90"])

    def test_quiet_noise_meets_every_demand(self):
        case = next(case for case in self.found["cases"] if case["noise"] == 0 and not case["bursts"]
                    and case["candidate"] == paired.RULE.estimator)
        rows = {row["loss"]: row for row in case["curve"]}
        self.assertEqual((rows[0]["PASS"], rows[0.1]["REGRESSION"], rows[0.15]["REGRESSION"]), (1.0, 1.0, 1.0))
        self.assertLess(rows[0]["minutes_median"], 2)
        self.assertLessEqual(case["slow"]["PASS"], 0.1)
        self.assertEqual(power.unmet(case), [])

    def test_report(self):
        for heading in ("## Noise", "## The rule in force", "## The candidates"):
            self.assertIn(heading, self.report)
        for name in replay.CANDIDATES:
            self.assertIn(f"`{name}`", self.report)
        self.assertIn("Noise 2: fewer than 200 runs", self.report)
        self.assertIn("This noise favours", self.report)
        self.assertIn("](power-2.png)", self.report)

    def test_every_table_is_one(self):
        width = None
        for line in self.report.splitlines():
            if not line.startswith("|"):
                width = None
                continue
            self.assertEqual(line.count("|"), width or line.count("|"), line)
            width = line.count("|")

    def test_pictures(self):
        for number in (1, 2):
            self.assertTrue((self.out / f"power-{number}.png").read_bytes().startswith(b"\x89PNG"))
            text = (self.out / f"power-{number}.svg").read_text()
            xml.etree.ElementTree.fromstring(text)
            self.assertIn("REGRESSION", text)

    def test_what_is_drawn_is_what_was_found(self):
        drawn = []

        def gnuplot(command, input, **_):
            drawn.append(Path(re.search(r"'([^']*/data)'", input)[1]).read_text())
            Path(re.search(r"set output '([^']*)'", input)[1]).touch()

        with tempfile.TemporaryDirectory() as folder, mock.patch.object(power.subprocess, "run", gnuplot):
            power.draw(self.found, 1, Path(folder))
        curves = {case["bursts"]: case["curve"] for case in self.found["cases"] if case["noise"] == 1
                  and case["candidate"] == paired.RULE.estimator}
        for line, quiet, burst in zip(drawn[0].splitlines(), curves[False], curves[True], strict=True):
            self.assertEqual([float(word) for word in line.split()], [100 * quiet["loss"], *(
                part[key] * scale for part in (quiet, burst) for key, scale in (
                    ("PASS", 100), ("REGRESSION", 100), ("INCONCLUSIVE", 100), ("minutes_median", 1), ("minutes_90", 1)))])

    def test_a_demand_is_met_at_its_bound(self):
        bounds = {(loss, figure): bound for loss, figure, _, bound in power.DEMANDS.values()}
        with mock.patch.object(power, "at", lambda case, loss, figure: bounds[loss, figure]):
            self.assertEqual(power.unmet({"bursts": False}), [])

    def test_same_seed_same_figures(self):
        again = self.folder / "again"
        done = program("selftest.power", self.quiet, self.cpu, "--sittings", SITTINGS, "--out", again)
        self.assertEqual(done.returncode, 0)
        self.assertEqual((again / "power.json").read_text(), (self.out / "power.json").read_text())


class Usage(unittest.TestCase):
    def test_help_has_the_format(self):
        done = program("selftest.power", "--help")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for word in ('"schema": 1', '"profile"', '"runs"', '"control"', "cpu_ns_per_packet", "--sittings"):
            self.assertIn(word, done.stdout)

    def test_wrong_arguments(self):
        for arguments in ((), ("x.json",), ("--out", "y"), ("x.json", "--out", "y", "--sittings", "7"),
                          ("x.json", "--out", "y", "--sittings", "many"), ("x.json", "--out", "y", "--frob")):
            with self.subTest(arguments):
                done = program("selftest.power", *arguments)
                self.assertEqual((done.returncode, done.stdout, done.stderr.count("\n")), (64, "", 1))

    def test_unusable_noise_is_one_line(self):
        with tempfile.TemporaryDirectory() as folder:
            path, out = Path(folder) / "noise.json", Path(folder) / "out"
            for text, message in (("{", "Expecting"), ("[]", "not an object"),
                                  (json.dumps(synthetic(20)), "20 runs, at least 48")):
                path.write_text(text)
                done = program("selftest.power", path, "--out", out)
                self.assertEqual((done.returncode, done.stdout, done.stderr.count("\n")), (1, "", 1))
                self.assertIn(message, done.stderr)
                self.assertFalse(out.exists())

    def test_a_folder_that_cannot_be(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "noise.json"
            path.write_text(json.dumps(synthetic(60)))
            done = program("selftest.power", path, "--out", path / "out")
            self.assertEqual((done.returncode, done.stderr.count("\n")), (1, 1))


if __name__ == "__main__":
    unittest.main()
