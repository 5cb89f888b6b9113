"""capacity.py: from the trials of a sitting to bounds, with files on disk."""

import json
import tempfile
import unittest
from pathlib import Path

from harness.report import curve
from harness.tests.python.support import agree, load, program, relay_run, schema

HOPS = [{"name": "r1", "outputs": ["out0"], "downstream": ["sink:in0"], "groups": 1}]
FANOUT = [{"name": "r1", "outputs": ["out0", "out1", "out2"], "downstream": ["a:in0", "b:in0", "c:in0"], "groups": 1}]
GENERATOR = 900_000  # packets/s, the most


class Sitting(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)
        self.hops = HOPS
        agree(self.folder)
        run = relay_run()
        (self.folder / "raw").mkdir()
        (self.folder / "raw/run.json").write_text(json.dumps({
            "scenario": run["declared"] | {"name": run["scenario"]}, "utc": run["utc"], "commit": run["commit"], "dirty": False,
            "profile": run["profile"], "placement": run["placement"], "sut": run["sut"] | {"path": "/x"}}))

    def trial(self, name: str, load_pps: int, capacity: float) -> None:
        """One second, of a device that passes on `capacity` packets/s to each output."""
        folder = self.folder / "trials" / name
        folder.mkdir(parents=True)
        sent = min(load_pps, GENERATOR)
        passed = round(min(sent, capacity))
        ends = [f"r1:{out}" for out in self.hops[0]["outputs"]]
        counted = {"tx_packets": 100, "tx_bytes": 0, "tx_dropped": 0, "rx_packets": 0, "rx_dropped": 0}
        (folder / "trial.json").write_text(json.dumps({"load_pps": load_pps, "seconds": 1.0}))
        (folder / "gen.json").write_text(json.dumps({"packets_sent": sent}))
        (folder / "links.before.json").write_text(json.dumps(dict.fromkeys(ends, counted)))
        (folder / "links.after.json").write_text(json.dumps(dict.fromkeys(ends, counted | {"tx_packets": 100 + passed})))

    def ask(self, command: str, *goals: str):
        return program("verdict.capacity.capacity", command, self.folder, "--hops", json.dumps(self.hops), "--goal", *(goals or ("pdr",)))

    def search(self, capacity: float, *goals: str, most: int = 300) -> int:
        self.trial("flood", 99_999_999, capacity)
        for number in range(1, most):
            answer = self.ask("next", *goals)
            self.assertEqual((answer.returncode, answer.stderr), (0, ""))
            if not answer.stdout:
                return number - 1
            self.trial(f"{number:03}", int(answer.stdout), capacity)
        return most - 1

    def test_what_passes_while_there_is_no_bound(self):
        self.trial("flood", 99_999_999, 500_000)
        self.assertEqual(self.ask("passes").stdout, "")
        self.trial("001", 800_000, 500_000)
        self.trial("002", 400_000, 500_000)
        self.assertEqual((self.ask("passes").stdout, self.ask("lower").stdout), ("400000\n", ""))

    def finish(self, *goals: str):
        answer = self.ask("finish", *goals)
        self.assertEqual(answer.stderr, "")
        document = load(self.folder / "capacity.json")
        schema("capacity").validate(document)
        return answer.returncode, document, answer.stdout


class Search(Sitting):
    def test_the_truth_with_table_and_picture(self):
        self.search(400_000, "ndr", "pdr")
        code, document, said = self.finish("ndr", "pdr")
        self.assertEqual((code, document["verdict"], document["generator_pps"]), (0, "PASS", GENERATOR))
        for goal, truth in (("ndr", 400_000), ("pdr", 400_000 / 0.995)):
            found = document["goals"][goal]
            self.assertLessEqual(found["lower_pps"], truth)
            self.assertGreaterEqual(found["upper_pps"], truth)
            self.assertFalse(found["generator_bound"])
        self.assertIn("| ndr: no packet may be lost |", (self.folder / "capacity.md").read_text())
        self.assertIn("trials,", said)
        self.assertEqual([path.name for path in curve.draw(document, self.folder, curve.phase4_of(document))], ["curve.svg", "curve.png"])
        self.assertIn("PHASE4", (self.folder / "curve.svg").read_text())

    def test_every_output_counts(self):
        self.hops = FANOUT
        self.search(200_000)
        code, document, _ = self.finish()
        self.assertEqual((code, document["outputs"]), (0, 3))
        self.assertAlmostEqual(document["goals"]["pdr"]["throughput_pps"], 200_000, delta=1000)
        self.assertIsNone(curve.phase4_of(document))

    def test_a_generator_that_is_the_limit_is_said_to_be(self):
        self.search(5e6)
        code, document, said = self.finish()
        self.assertEqual((code, document["goals"]["pdr"]["upper_pps"]), (0, None))
        self.assertIn("the generator is the limit", said)

    def test_time_that_was_over_before_is_inconclusive_with_the_bounds_it_has(self):
        self.search(400_000, most=12)
        code, document, said = self.finish()
        self.assertEqual((code, document["verdict"], document["goals"]["pdr"]["complete"]), (4, "INCONCLUSIVE", False))
        self.assertIn("time was over", said)

    def test_the_lower_bound_for_what_comes_after(self):
        self.assertEqual(self.ask("lower").returncode, 5)  # there is not even the flood
        self.trial("flood", 99_999_999, 400_000)
        self.assertEqual(self.ask("lower").stdout, "")
        for number in range(11):
            self.trial(f"{number:03}", 300_000, 400_000)
        self.assertEqual(self.ask("lower").stdout, "300000\n")

    def test_the_history_remembers_what_is_official(self):
        self.search(400_000)
        for unofficial, expected in ((("--payload",), 0), ((), 1)):
            agree(self.folder, unofficial=unofficial)
            program("verdict.capacity.capacity", "finish", self.folder, "--hops", json.dumps(HOPS), "--goal", "pdr",
                    "--history", self.folder / "history")
            lines = [line for path in self.folder.glob("history/*/capacity/*.ndjson") for line in path.read_text().splitlines()]
            self.assertEqual(len(lines), expected)
        self.assertEqual(json.loads(lines[0])["goals"].keys(), {"pdr"})

    def test_trials_that_are_none(self):
        self.trial("flood", 1000, 400_000)
        for file, text, said in (("gen.json", "{}", "not what a trial leaves"), ("gen.json", "{", "cannot be read"),
                                 ("links.after.json", "{}", "not what a trial leaves"),
                                 ("trial.json", '{"load_pps": 0, "seconds": 1}', "this is no trial"),
                                 ("gen.json", '{"packets_sent": 0}', "this is no trial")):
            with self.subTest(said):
                before = (self.folder / "trials/flood" / file).read_text()
                (self.folder / "trials/flood" / file).write_text(text)
                answer = self.ask("next")
                self.assertEqual(answer.returncode, 5)
                self.assertIn(said, answer.stderr)
                (self.folder / "trials/flood" / file).write_text(before)


if __name__ == "__main__":
    unittest.main()
