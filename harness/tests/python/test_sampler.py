import json
import signal
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

from harness.run.sut import sampler
from harness.tests.python.support import ROOT, command, process, program

TABLE = """Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:       0       0    0    0    0     0          0         0        0       0    0    0    0     0       0          0
  out0:     516       6    0    1    0     0          0         0 10104618  700742    0    2    0     0       0          0
"""


class Sampler(unittest.TestCase):
    def test_columns(self):
        self.assertEqual(sampler.interfaces(TABLE)[1], {
            "name": "out0", "rx_packets": 6, "rx_dropped": 1, "tx_packets": 700742, "tx_dropped": 2})

    def test_whole_lines_until_sigterm(self):
        with tempfile.TemporaryDirectory() as folder:
            series = Path(folder) / "series"
            running = subprocess.Popen(command("run.sut.sampler", series), cwd=ROOT)
            deadline = time.monotonic() + 20
            while not series.exists() or series.read_text().count("\n") < 3:
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.02)
            running.send_signal(signal.SIGTERM)
            self.assertEqual(running.wait(), 0)
            rows = [json.loads(line) for line in series.read_text().splitlines()]
            self.assertEqual(sorted(row["time_ns"] for row in rows), [row["time_ns"] for row in rows])
            self.assertIn("lo", [found["name"] for found in rows[0]["interfaces"]])

    def test_usage_and_a_file_that_cannot_be(self):
        self.assertEqual(program("run.sut.sampler").returncode, 64)
        done = process("run.sut.sampler", "/nowhere/series")
        self.assertEqual((done.returncode, done.stderr.count("\n")), (1, 1))


if __name__ == "__main__":
    unittest.main()
