import json
import tempfile
import unittest
from pathlib import Path

from harness.report import sweep
from harness.tests.python.support import control_run, load, program, relay_run, schema

OWN = {"payload": "1400", "flows": "1", "fanout": "1"}


class Plan(unittest.TestCase):
    def test_one_change_at_a_time_in_each_profile(self):
        found = sweep.variants(OWN)
        self.assertEqual(len(found), 3 * (1 + 4 + 2 + 3))
        self.assertEqual(found[0], ("wire.as-is", {"profile": "wire"}))
        self.assertIn(("gro.payload-imix", {"profile": "gro", "payload_bytes": "imix"}), found)
        self.assertIn(("plain.fanout-50", {"profile": "plain", "fanout": "50"}), found)
        self.assertNotIn("wire.payload-1400", [name for name, _ in found])

    def test_a_dimension_that_a_scenario_does_not_have(self):
        found = sweep.variants({"payload": "1400", "flows": "8"})
        self.assertFalse([name for name, _ in found if "fanout" in name])
        self.assertIn("wire.flows-1", [name for name, _ in found])

    def test_program_prints_a_run_a_line(self):
        done = program("report.sweep", "plan", "s", "--payload", "1400", "--flows", "1", "--fanout=-",
                       "--rounds", "2")
        lines = done.stdout.splitlines()
        self.assertEqual((done.returncode, len(lines)), (0, 3 * 3 * 7))
        self.assertEqual(lines[:2], ["rounds/01/wire.as-is.control\ts\tcontrol\tprofile=wire\tcontrol_window_ms=2000",
                                     "rounds/01/wire.as-is\ts\trelay\tprofile=wire"])
        self.assertEqual(lines[-1], "rounds/02/plain.flows-64\ts\trelay\tprofile=plain\tflows=64")


class Show(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.sitting = Path(scratch.name)
        self.now = 0

    def write(self, name: str, number: int, of=relay_run, **figures) -> None:
        place = self.sitting / "rounds" / f"{number:02}" / name
        place.mkdir(parents=True)
        self.now += 1
        (place / "result.json").write_text(json.dumps(of(window_ns=[self.now, self.now + 1], **figures)))

    def test_medians(self):
        for number, egress in enumerate((300_000, 400_000, 200_000), 1):
            self.write("wire.as-is", number, egress=egress)
            self.write("gro.flows-8", number, egress=2 * egress)
        done = program("report.sweep", "show", self.sitting)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertRegex(done.stdout, r"wire +as-is .* 300,000 pps")
        self.assertRegex(done.stdout, r"gro +flows-8 .* 600,000 pps")
        document = load(self.sitting / "sweep.json")
        schema("sweep").validate(document)
        self.assertEqual([variant["egress_pps"] for variant in document["variants"]],
                         [300_000, 600_000])

    def test_a_control_tells_what_a_packet_costs_the_whole_machine(self):
        self.write("wire.as-is.control", 1, control_run, machine={"busy_ns_per_packet_offered": 500.0})
        for number in (1, 2):
            self.write("wire.as-is", number, machine={"cores_busy": 1.5}, offered=700_000)
            self.write("gro.as-is", number, machine={"cores_busy": 1.5}, offered=700_000)  # has none
        self.assertEqual(program("report.sweep", "show", self.sitting).returncode, 0)
        document = load(self.sitting / "sweep.json")
        schema("sweep").validate(document)
        forwarded = sum(hop["egress_pps"] for hop in relay_run()["hops"])
        self.assertEqual([(one["name"], one["machine_cost_ns_per_forwarded_packet"]) for one in document["variants"]],
                         [("wire.as-is", (1.5e9 - 500 * 700_000) / forwarded), ("gro.as-is", None)])

    def test_an_invalid_run_is_named(self):
        self.write("wire.as-is", 1, problems=["the generator sent nothing"])
        done = program("report.sweep", "show", self.sitting)
        self.assertEqual(done.returncode, 5)
        self.assertIn("wire.as-is, round 1: the generator sent nothing", done.stdout)

    def test_nothing_there(self):
        done = program("report.sweep", "show", self.sitting)
        self.assertEqual((done.returncode, done.stderr.count("\n")), (1, 1))


if __name__ == "__main__":
    unittest.main()
