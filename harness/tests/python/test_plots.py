"""What gnuplot is told; test_history.py looks at the pictures."""

import re
import unittest

from harness.report import plots


class Rows(unittest.TestCase):
    def test_a_run_is_drawn_as_its_median_and_its_bounds(self):
        summary = {"median": 50, "lower": 40, "upper": 70, "samples": [30, 50, 90]}
        self.assertEqual(plots.run_row(summary), [50.0, 40.0, 70.0])

    def test_rounds_too_few_for_bounds_are_drawn_from_the_least_to_the_most(self):
        summary = {"median": 50, "lower": None, "upper": None, "samples": [50, 30, 90]}
        self.assertEqual(plots.run_row(summary), [50.0, 30.0, 90.0])


class Levels(unittest.TestCase):
    def test_lines_are_where_they_belong_and_labels_do_not_cover_each_other(self):
        text = plots.level_lines([("target", 300_000), ("minimum", 100_000), ("PHASE4", 307_000)], 1_000_000)
        self.assertEqual([float(y) for y in re.findall(r"arrow from graph 0, first (\S+) ", text)],
                         [100_000, 300_000, 307_000])
        self.assertEqual([(name, float(y)) for name, y in re.findall(r"label '(\w+)' at graph 1.01, first (\S+) ", text)],
                         [("minimum", 100_000), ("target", 300_000), ("PHASE4", 365_000)])


if __name__ == "__main__":
    unittest.main()
