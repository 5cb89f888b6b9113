import io
import json
import os
import signal
import subprocess
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from harness.run.sut import sampler
from harness.tests.python.support import ROOT, command, program

TABLE = """Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:       0       0    0    0    0     0          0         0        0       0    0    0    0     0       0          0
  out0:     516       6    0    1    0     0          0         0 10104618  700742    0    2    0     0       0          0
"""


class Sampler(unittest.TestCase):
    def test_columns(self):
        self.assertEqual(sampler.interfaces(TABLE)[1], {
            "name": "out0", "rx_packets": 6, "rx_dropped": 1, "tx_packets": 700742, "tx_dropped": 2})

    def test_a_row_for_each_pause_of_its_own_time(self):
        class Over(Exception):
            pass

        counters, series, times, pauses = io.StringIO(TABLE), io.StringIO(), iter((10, 20, 30)), []

        def pause():
            pauses.append(series.getvalue().count("\n"))  # each row is whole before the next one is waited for
            if len(pauses) == 3:
                raise Over

        with self.assertRaises(Over):
            sampler.sample(counters, series, lambda: next(times), pause)
        self.assertEqual(pauses, [1, 2, 3])
        rows = [json.loads(line) for line in series.getvalue().splitlines()]
        self.assertEqual([row["time_ns"] for row in rows], [10, 20, 30])
        self.assertEqual({row["interfaces"][1]["tx_packets"] for row in rows}, {700742})

    def test_as_a_program_until_sigterm(self):
        with tempfile.TemporaryDirectory() as folder:
            series = Path(folder) / "series"
            os.mkfifo(series)  # a row has been read when the program says so, whenever that is
            with subprocess.Popen(command("run.sut.sampler", series, 1), cwd=ROOT) as running:
                with open(series, encoding="ascii") as rows:
                    row = json.loads(rows.readline())
                    running.send_signal(signal.SIGTERM)
                    rows.read()
                self.assertEqual(running.wait(), 0)
            self.assertIn("lo", [found["name"] for found in row["interfaces"]])

    def test_usage_and_a_file_that_cannot_be(self):
        self.assertEqual(program("run.sut.sampler").returncode, 64)
        self.assertEqual(program("run.sut.sampler", "series", "soon").returncode, 64)
        with mock.patch("signal.signal"):
            done = program("run.sut.sampler", "/nowhere/series", 100)
        self.assertEqual((done.returncode, done.stderr.count("\n")), (1, 1))


if __name__ == "__main__":
    unittest.main()
