"""Tables of what live.py has recorded."""

import json
import tempfile
import unittest
from pathlib import Path

from harness.selftest import live, recorded

SITTING = {"scenario": "single-hop", "profile": "m", "loss": 0.0, "tolerance": 0.03, "verdict": "PASS", "estimate": 0.01, "seconds": 60.0,
           "metric": "cpu_ns_per_packet", "utc": "2026-11-29T00:00:00Z", "observed": {"first": [[1.0, 2.0, None], [3.0, 4.0, 9.0]]}}
SEARCH = {"scenario": "single-hop", "profile": "m", "metric": "capacity", "seconds": 120.0,
          "goals": {"pdr": {"lower_pps": 100_000.0, "complete": True}, "ndr": {"lower_pps": None, "complete": False}}}


class Recorded(unittest.TestCase):
    def setUp(self):
        self.path = Path(self.enterContext(tempfile.TemporaryDirectory())) / "record.ndjson"

    def record(self, *found: dict) -> str:
        self.path.write_text("".join(json.dumps(one) + "\n" for one in found))
        return recorded.report([str(self.path)])

    def test_sittings(self):
        text = self.record(SITTING, SITTING | {"loss": 0.06, "verdict": "REGRESSION"}, SITTING | {"metric": "latency", "stall": "--drill-stall-us 300"})
        self.assertEqual(len(text.splitlines()), 5)
        self.assertIn("| m | single-hop | 3% | 0% | 1 | 1 | 0 | 0 | 0 | 0 | +1.0% (+1.0% to +1.0%) | 1.0 min | 1.0 min |", text)
        self.assertIn("| m | single-hop |  | --drill-stall-us 300 | 1 |", text)

    def test_searches(self):
        other = SEARCH | {"goals": SEARCH["goals"] | {"pdr": {"lower_pps": 104_000.0, "complete": True}}}
        text = self.record(SEARCH, other)
        self.assertIn("| m | single-hop | pdr | 2 | 2 | 102,000 pps | 100,000 to 104,000 | 3.9% | 2.0 min |", text)
        self.assertIn("| m | single-hop | ndr | 2 | 0 |  |  |  | 2.0 min |", text)

    def test_noise_is_of_a_program_beside_itself(self):
        self.record(SEARCH, SITTING, SITTING | {"loss": 0.06}, SITTING | {"stall": "x"})
        found = recorded.noise("single-hop", str(self.path))
        self.assertEqual([run["value"] for run in found["runs"]], [1.0, 2.0, 4.0, 3.0])
        with self.assertRaises(SystemExit):
            recorded.noise("another", str(self.path))

    def test_a_stall(self):
        self.assertEqual(live.stall("5000/4096"), "--drill-stall-us 5000 --drill-stall-bursts 4096")
        self.assertEqual(live.stall("300/100ms"), "--drill-stall-us 300 --drill-stall-ms 100")


if __name__ == "__main__":
    unittest.main()
