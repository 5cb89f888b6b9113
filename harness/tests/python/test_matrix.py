"""The table of `bench matrix`: a row for each mode, medians over its rounds."""

import json
import os
import tempfile
import unittest
from pathlib import Path

from harness.tests.python.support import control_run, program, relay_run


class Matrix(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.sitting = Path(scratch.name)

    def write(self, mode: str, number: int, of=relay_run, **figures) -> None:
        place = self.sitting / "rounds" / f"{number:02}" / mode
        place.mkdir(parents=True)
        (place / "result.json").write_text(json.dumps(of(**figures)))

    def test_a_row_for_each_mode_with_the_median_of_its_rounds(self):
        for number, egress in enumerate((300_000, 500_000, 400_000), 1):
            self.write("ring", number, egress=egress, exhaustion=0.1 * number)
            self.write("uring", number, egress=egress / 2)
        done = program("report.matrix", self.sitting)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertRegex(done.stdout, r"(?m)^  ring +400,000 pps +20.0% .* 300k, 500k, 400k$")
        self.assertRegex(done.stdout, r"(?m)^  uring +200,000 pps +20.0% .* 150k, 250k, 200k$")

    def test_modes_stand_in_the_order_of_their_measurement_whatever_the_clock_did(self):
        for number, mode in enumerate(("uring", "ring", "split")):
            self.write(mode, 1, window_ns=[number, number + 1])
            os.utime(self.sitting / "rounds/01" / mode / "result.json", (1000 - number, 1000 - number))
        modes = [line.split()[0] for line in program("report.matrix", self.sitting).stdout.splitlines() if " pps " in line]
        self.assertEqual(modes[-3:], ["uring", "ring", "split"])

    def test_a_run_with_a_problem_is_named_and_invalid(self):
        self.write("ring", 1, problems=["the generator sent nothing"])
        done = program("report.matrix", self.sitting)
        self.assertEqual(done.returncode, 5)
        self.assertIn("  - ring: the generator sent nothing", done.stdout)

    def test_a_control_is_no_mode_and_tells_what_a_packet_costs_the_whole_machine(self):
        self.write("control", 1, control_run, machine={"busy_ns_per_packet_offered": 500.0})
        self.write("ring", 1, egress=400_000, machine={"cores_busy": 1.5}, offered=700_000)
        self.write("uring", 1, egress=200_000)
        done = program("report.matrix", self.sitting)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        forwarded = sum(hop["egress_pps"] for hop in relay_run(egress=400_000)["hops"])
        self.assertRegex(done.stdout, rf"(?m)^  ring .* ns +{(1.5e9 - 500 * 700_000) / forwarded:,.0f} ns .* 400k$")
        self.assertNotIn("  control ", done.stdout)
        self.write("control", 2, control_run, problems=["the generator sent nothing"])
        self.assertEqual(program("report.matrix", self.sitting).returncode, 5)

    def test_nothing_there_and_no_argument(self):
        done = program("report.matrix", self.sitting)
        self.assertEqual((done.returncode, done.stderr), (1, f"matrix.py: no results in {self.sitting}\n"))
        self.assertEqual(program("report.matrix").returncode, 64)


if __name__ == "__main__":
    unittest.main()
