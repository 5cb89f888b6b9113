"""Who is owed how many packets: result/routes.py, from tables as topology/routes.bash writes them."""

import unittest

from harness.result.documents import Faulty
from harness.result.routes import Routes

ROW = """\
source gen 239.255.77.1:5000 1
route r1 bench in0 239.255.77.1:5000 out0 239.255.78.1:5000
route r2 bench in0 239.255.78.1:5000 - 239.255.79.1:5000
link gen:out0 r1:in0
link r1:in0 gen:out0
link r1:out0 r2:in0
link r2:in0 r1:out0
"""

DIAMOND = """\
source gen 239.255.77.1:5000
route r1 both in0 239.255.77.1:5000 out0 239.255.78.2:5000
route r1 both in0 239.255.77.1:5000 out1 239.255.78.3:5000
route r2 way in0 239.255.78.2:5000 out0 239.255.79.1:5000
route r3 way in0 239.255.78.3:5000 out0 239.255.79.1:5000
receiver by-r2 sink in0 239.255.79.1:5000
receiver by-r3 sink in1 239.255.79.1:5000
link gen:out0 r1:in0
link r1:out0 r2:in0
link r1:out1 r3:in0
link r2:out0 sink:in0
link r3:out0 sink:in1
"""

TWO_SOURCES = """\
source gen 239.255.77.1:5000 2
source gen2 239.255.77.1:5000
route r1 a in0 239.255.77.1:5000 out0 239.255.79.1:5000
route r1 b in0 239.255.77.1:5001 out0 239.255.79.1:5001
route r1 c in1 239.255.77.1:5000 out0 239.255.79.1:5000
receiver both sink in0 239.255.79.1:5000 2
receiver first sink in0 239.255.79.1:5000
link gen:out0 r1:in0
link gen2:out0 r1:in1
link r1:out0 sink:in0
"""


class Owed(unittest.TestCase):
    def test_each_way_of_a_diamond_brings_every_packet(self):
        routes = Routes(DIAMOND)
        self.assertEqual(routes.owed({("gen", 5000): 7}), {"by-r2": 7, "by-r3": 7})
        self.assertEqual([routes.copies(hop) for hop in ("r1", "r2", "r3")], [2, 1, 1])

    def test_ports_and_sources_are_told_apart(self):
        self.assertEqual(Routes(TWO_SOURCES).owed({("gen", 5000): 1, ("gen", 5001): 10, ("gen2", 5000): 100}),
                         {"both": 111, "first": 101})

    def test_what_no_source_sent_is_owed_to_nobody(self):
        self.assertEqual(Routes(TWO_SOURCES).owed({}), {"both": 0, "first": 0})

    def test_without_a_relay_in_between(self):
        """A control: the receiver is where the first hop would be."""
        self.assertEqual(Routes(ROW + "receiver r1 r1 in0 239.255.77.1:5000\n").owed({("gen", 5000): 5}), {"r1": 5})

    def test_a_terminus_owes_nothing(self):
        self.assertEqual(Routes(ROW).copies("r2"), 0)

    def test_ends_that_only_send(self):
        self.assertEqual(Routes(ROW).back(), ["gen:out0", "r1:out0"])

    def test_a_circle_is_refused(self):
        circle = ROW.replace("route r2 bench in0 239.255.78.1:5000 - 239.255.79.1:5000",
                             "route r2 bench in0 239.255.78.1:5000 out0 239.255.77.1:5000") + "link r2:out0 r1:in0\n"
        with self.assertRaisesRegex(Faulty, "in a circle"):
            Routes(circle).owed({("gen", 5000): 1})

    def test_rules_of_a_hop_that_owe_differently(self):
        with self.assertRaisesRegex(Faulty, r"r1 has rules of \[1, 2\] outputs"):
            Routes(TWO_SOURCES + "route r1 a in0 239.255.77.1:5000 out0 239.255.80.1:5000\n").copies("r1")

    def test_lines_that_are_none(self):
        for line in ("nonsense a b", "route r1 a in0 239.255.77.1:5000", "source gen 239.255.77.1", "link a",
                     "route r1 bench in1 239.255.77.1:5000 out0 239.255.78.1:5000"):
            with self.subTest(line), self.assertRaisesRegex(Faulty, f"line 8: '{line}' is none"):
                Routes(ROW + line)


if __name__ == "__main__":
    unittest.main()
