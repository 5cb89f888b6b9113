"""What the whole machine did in a run, and what forwarding cost it."""

import json
import unittest

from harness.result.machine import SHARES, TWINS, machine
from harness.tests.python.support import control_run, relay_run, schema
from harness.verdict import cost

SECOND = 1_000_000_000


def generator(*rows: tuple[int, ...]) -> dict:
    return {"cpu_ticks_per_s": 100, "cpu_samples": [list(row) for row in rows]}


#         time       user nice system idle iowait irq softirq steal
BEFORE = (1 * SECOND, 100, 10, 200, 500, 40, 5, 60, 7)
FIRST = (2 * SECOND, 200, 10, 300, 500, 40, 5, 160, 7)
LAST = (4 * SECOND, 230, 14, 370, 700, 40, 6, 260, 15)  # 2 s of two CPUs, and some ticks that were counted late
AFTER = (6 * SECOND, 900, 90, 900, 900, 90, 90, 900, 90)
WINDOW = (2 * SECOND, 4 * SECOND + SECOND // 4)


class Machine(unittest.TestCase):
    def machine(self, *rows: tuple[int, ...], offered: float = 500_000, twin: bool = False) -> dict:
        found = machine(generator(*rows), WINDOW, offered, twin)
        part = schema("result").schema["properties"]["machine"]
        type(schema("result"))(part).validate(json.loads(json.dumps(found)))
        return found

    def test_the_window_counts_and_nothing_else(self):
        found = self.machine(BEFORE, FIRST, LAST, AFTER)
        self.assertEqual(found["seconds"], 2.0)
        self.assertAlmostEqual(found["cores_busy"], 2.01 / 2)  # 30 + 70 + 1 + 100 ticks
        self.assertAlmostEqual(found["busy_ns_per_packet_offered"], 2.01 / 2 * 1e9 / 500_000)
        whole = 30 + 4 + 70 + 200 + 1 + 100 + 8
        for name, ticks in (("user", 30), ("nice", 4), ("system", 70), ("irq", 1), ("softirq", 100), ("steal", 8)):
            self.assertAlmostEqual(found[f"{name}_ratio"], ticks / whole)
        self.assertIsNone(found["reason"])

    def test_what_is_not_known_says_why(self):
        for rows, reason in (((), "could not read /proc/stat"), ((FIRST,), "cover 0% of the measured window"),
                             ((FIRST, (4 * SECOND, *FIRST[1:])), "did not go forward"),
                             (((2 * SECOND, *LAST[1:]), (4 * SECOND, *FIRST[1:])), "did not go forward")):
            with self.subTest(reason):
                found = self.machine(*rows)
                self.assertIn(reason, found["reason"])
                self.assertIsNone(found["cores_busy"])
        self.assertIn("did not read", machine({}, WINDOW, 5.0, False)["reason"])

    def test_the_kernel_may_take_idle_time_back(self):
        found = self.machine(FIRST, (*LAST[:4], FIRST[4] - 1, FIRST[5] - 1, *LAST[6:]))
        self.assertAlmostEqual(found["cores_busy"], 2.01 / 2)
        self.assertAlmostEqual(found["user_ratio"], 30 / (30 + 4 + 70 + 1 + 100 + 8))

    def test_of_two_runs_at_once_it_is_nobodys(self):
        found = self.machine(FIRST, LAST, twin=True)
        self.assertAlmostEqual(found["cores_busy"], 1.005)
        self.assertEqual((found["busy_ns_per_packet_offered"], found["reason"]), (None, TWINS))

    def test_without_packets_there_is_no_cost_of_one(self):
        found = self.machine(FIRST, LAST, offered=0)
        self.assertEqual((found["busy_ns_per_packet_offered"], found["reason"]), (None, "nothing was offered"))


def busy(cores: float, offered: float, **ratios: float) -> dict:
    return {"cores_busy": cores, "busy_ns_per_packet_offered": cores * 1e9 / offered, "nice_ratio": 0.0, "steal_ratio": 0.0,
            **ratios}


class Cost(unittest.TestCase):
    def setUp(self):
        # the generator and the links take 0.5 us a packet, the relay and what is done for it 1.5 us for each sent on
        self.controls = [control_run(offered=800_000, machine=busy(cores, 800_000)) for cores in (0.4, 0.4, 0.7)]
        relay = relay_run(egress=400_000, offered=600_000, machine=busy(0.3 + 0.9, 600_000))
        relay["hops"] = [relay["hops"][0] | {"egress_pps": pps} for pps in (400_000, 200_000, 0)]
        self.relay = relay

    def test_what_the_control_takes_is_no_cost_of_forwarding(self):
        """A packet counts at each relay that sends it on; an odd control is none among three."""
        self.assertAlmostEqual(cost.control_ns(self.controls), 500.0)
        [found] = cost.costs([self.relay], self.controls)
        self.assertAlmostEqual(found, 1500.0)

    def test_a_run_that_does_not_count_tells_nothing(self):
        broken = [run | {"valid": False} for run in self.controls]
        self.assertIsNone(cost.control_ns(broken))
        self.assertEqual(cost.costs([self.relay], [*broken, self.controls[0]]), cost.costs([self.relay], self.controls[:1]))
        self.assertEqual(cost.costs([self.relay | {"valid": False}, self.relay | {"problems": ["why"]}], self.controls), [])

    def test_beside_programs_that_fill_all_cores_it_is_not_known(self):
        def filled(idle: float) -> dict:
            shares = {f"{name}_ratio": 0.0 for name in SHARES} | {"user_ratio": 0.75, "softirq_ratio": 0.25 - idle}
            return control_run(offered=800_000, machine=busy(2.0, 800_000, **shares))

        self.assertIsNone(cost.control_ns([filled(0.005)]))
        self.assertEqual(cost.costs([self.relay], [filled(0.0)] * 3), [])
        self.assertAlmostEqual(cost.control_ns([filled(0.02)]), 2500.0)
        self.assertAlmostEqual(cost.control_ns([*self.controls, filled(0.0)]), 500.0)

    def test_of_twins_both_together(self):
        halves = [self.relay | {"offered_pps": 300_000, "hops": [self.relay["hops"][0] | {"egress_pps": pps}]}
                  for pps in (250_000, 350_000)]
        self.assertAlmostEqual(cost.per_forwarded_packet(halves, 500.0), 1500.0)

    def test_of_a_comparison_both_together_or_each(self):
        one = self.relay | {"offered_pps": 300_000, "hops": [self.relay["hops"][0] | {"egress_pps": 300_000}]}
        pairs = [{"base": one, "head": one, "control": control} for control in (*self.controls, None)]
        found = cost.of_pairs(pairs, twins=True)
        self.assertAlmostEqual(found["cost_ns_per_forwarded_packet"].pop("both"), 1500.0)
        self.assertEqual(found["cost_ns_per_forwarded_packet"], {"base": None, "head": None})
        self.assertEqual((found["control_busy_ns_per_packet"], found["cores_busy"], found["steal_ratio"]), (500.0, 1.2, 0.0))
        found = cost.of_pairs([pair | {"head": self.relay} for pair in pairs], twins=False)["cost_ns_per_forwarded_packet"]
        self.assertEqual((found["both"], round(found["base"]), round(found["head"])), (None, 3500, 1500))

    def test_runs_that_do_not_know_have_none(self):
        old = {key: value for key, value in self.relay.items() if key != "machine"}
        unknown = self.relay | {"machine": {"cores_busy": None, "reason": "..."}}
        idle = self.relay | {"hops": [self.relay["hops"][0] | {"egress_pps": 0.0}]}
        kernel = self.relay | {"hops": [self.relay["hops"][0] | {"egress_pps": None}]}
        self.assertEqual(cost.costs([old, unknown, idle, kernel], self.controls), [])
        self.assertEqual(cost.costs([self.relay], [control_run()]), [])
        self.assertEqual(cost.costs([self.relay], []), [])

    def test_what_others_take_is_said_from_one_percent_on(self):
        self.assertEqual(cost.notes(None), [])
        self.assertEqual(cost.notes({"nice_ratio": None, "steal_ratio": None}), [])
        self.assertEqual(cost.notes({"nice_ratio": 0.01, "steal_ratio": 0.01}), [])
        [steal, nice] = cost.notes({"nice_ratio": 0.25, "steal_ratio": 0.0112})
        self.assertIn("1.1% of its time (steal)", steal)
        self.assertIn("25.0% of its time (nice)", nice)


if __name__ == "__main__":
    unittest.main()
