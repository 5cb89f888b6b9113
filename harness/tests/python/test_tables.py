"""What tables for people are made of."""

import unittest

from harness.report import tables


class Tables(unittest.TestCase):
    def test_text_the_first_column_to_the_left_the_others_to_the_right(self):
        self.assertEqual(tables.table(["mode", "rate"], [["ring", "5"], ["uring", "1,234"]], False).splitlines(), [
            "  mode    rate",
            "  -----  -----",
            "  ring       5",
            "  uring  1,234"])

    def test_markdown_has_as_many_columns_in_each_line(self):
        self.assertEqual(tables.table(["mode", "rate", "CPU"], [["ring", "5", "6"]], True).splitlines(), [
            "| mode | rate | CPU |",
            "| --- | ---: | ---: |",
            "| ring | 5 | 6 |"])

    def test_numbers(self):
        self.assertEqual([tables.percent(value) for value in (None, 0, 0.0001, 0.0005, 0.25, 1)],
                         ["", "0.0%", "0.010%", "0.1%", "25.0%", "100.0%"])
        self.assertEqual([tables.pps(None), tables.pps(12345.6), tables.number(None, " ns"), tables.number(1234, " ns")],
                         ["", "12,346 pps", "", "1,234 ns"])

    def test_the_machine_and_the_load_in_a_line_each(self):
        document = {"profile": {"cpu": "a CPU", "cores": 2, "kernel": "6.1"}, "placement": {"gen": 0, "r1": None},
                    "commit": "abc", "dirty": True, "scenario": "short",
                    "declared": {"description": "a run", "payload_bytes": "200", "rate_pps": "20000"}}
        self.assertEqual(tables.machine_line(document),
                         "a CPU, 2 cores, Linux 6.1; gen on CPU 0, r1 unpinned; commit abc with changes")
        machine = {"family": "25", "model": "1", "stepping": "2", "hypervisor": "KVM"}
        self.assertIn("a CPU 25.1.2, KVM, 2 cores",
                      tables.machine_line(document | {"profile": document["profile"] | {"machine": machine}}))
        self.assertEqual(tables.load_line(document), "short: a run; 200-byte payloads, 20,000 pps offered, profile wire")
        document["declared"] |= {"payload_bytes": "imix", "flows": "8", "fanout": "3", "profile": "gro"}
        self.assertEqual(tables.load_line(document), "short: a run; IMIX, 8 flows, fan-out 3, 20,000 pps offered, profile gro")


if __name__ == "__main__":
    unittest.main()
