"""outcome.py: each word has one exit status, the same for Python, for bash and in what bench says of itself."""

import re
import unittest

from harness import HARNESS
from harness.verdict import outcome

BASH = {"PASS": outcome.PASS, "REGRESSION": outcome.REGRESSION, "INCONCLUSIVE": outcome.INCONCLUSIVE,
        "INVALID": outcome.INVALID, "MORE": outcome.MORE}


class Outcome(unittest.TestCase):
    def test_what_the_contract_says(self):
        self.assertEqual(outcome.STATUS, {"PASS": 0, "WAIVED": 0, "REGRESSION": 3, "INCONCLUSIVE": 4, "UNFIT": 4,
                                          "INVALID": 5, "MORE": 10})

    def test_bash_has_the_same_numbers(self):
        text = (HARNESS / "host/common.bash").read_text()
        found = {name: int(status) for name, status in re.findall(r"\bEXIT_(\w+)=(\d+)", text)}
        self.assertEqual(found, {name: outcome.STATUS[word] for name, word in BASH.items()} | {"USAGE": outcome.USAGE})

    def test_help_has_the_same_numbers(self):
        text = (HARNESS / "options.bash").read_text()
        self.assertIn("Exit status: 0 pass, 3 regression or a target missed, 4 inconclusive or machine unfit, "
                      "5 invalid measurement, 64 usage.", text)

    def test_the_worst_of_several(self):
        order = ["PASS", "WAIVED", "INCONCLUSIVE", "UNFIT", "REGRESSION", "INVALID"]
        for worse in range(1, len(order) + 1):
            self.assertEqual(outcome.worst(order[:worse]), order[worse - 1])
        with self.assertRaises(StopIteration):
            outcome.worst([])

    def test_what_a_status_says(self):
        self.assertEqual([outcome.word_of(status) for status in (0, 3, 4, 5, 1, 64, 137)],
                         ["PASS", "REGRESSION", "INCONCLUSIVE", "INVALID", "1", "64", "137"])


if __name__ == "__main__":
    unittest.main()
