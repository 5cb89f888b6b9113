"""budget.py: from perf's counts to a verdict."""

import json
import shutil
import tempfile
import unittest
from pathlib import Path

from harness.tests.python.support import agree, HARNESS, load, program, relay_run, schema, verified_run, write_verified
from harness.tests.python.test_instructions import write_counts
from harness.verdict.budget import budget


PERF = """# started on Fri Nov 20 18:00:00 2026

{syscalls},,raw_syscalls:sys_enter,1700000000,100.00,,
{writes},,syscalls:sys_enter_write,1700000000,100.00,,
0,,syscalls:sys_enter_writev,1700000000,100.00,,
3120,,context-switches,1700000000,100.00,,
2,,page-faults,1700000000,100.00,,
{mallocs},,mcrelay_budget:malloc,1700000000,100.00,,
0,,mcrelay_budget:calloc,1700000000,100.00,,
0,,mcrelay_budget:realloc,1700000000,100.00,,
0,,mcrelay_budget:mmap,1700000000,100.00,,
"""


class Scratch(unittest.TestCase):
    """A sitting on disk; test_validity.py damages it."""

    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.sitting = Path(scratch.name)
        self.baselines = self.sitting / "baselines"
        self.baseline = self.baselines / "budgets.json"
        self.baselines.mkdir()
        agree(self.sitting)
        write_counts(self.sitting / "instructions/here")
        write_verified(self.sitting / "verified", verified_run())

    def put(self, number: int, syscalls=9360, writes=0, mallocs=0, turns=3120, packets=200_000, loss=0.0, **changes):
        raw = self.sitting / f"rounds/{number:02}/relay/raw"
        raw.mkdir(parents=True, exist_ok=True)
        (raw / "perf.csv").write_text(PERF.format(syscalls=syscalls, writes=writes, mallocs=mallocs))
        (raw / "r1.stats.json").write_text(json.dumps({"total": {
            "matched": packets, "submits": 3120, "sqes": 3120, "bursts": turns, "waits": 1560}}))
        run = relay_run(**changes)
        run["hops"][0]["loss_ratio"] = loss
        (raw.parent / "result.json").write_text(json.dumps(run))

    def judge(self, *options: str):
        answer = program("verdict.budget.budget", self.sitting, self.baselines, *options)
        self.assertEqual(answer.stderr, "")
        document = load(self.sitting / "budget.json")
        schema("budget").validate(document)
        return answer.returncode, document, answer.stdout

    def accepted(self) -> None:
        for number in (1, 2, 3):
            self.put(number)
        self.assertEqual(self.judge("--accept")[0], 0)


class Sitting(Scratch):
    def test_a_relay_that_damages_packets_is_a_regression(self):
        self.accepted()
        shutil.rmtree(self.sitting / "verified")
        write_verified(self.sitting / "verified", verified_run({"corrupt": 75}))
        code, document, said = self.judge()
        self.assertEqual((code, document["verdict"], document["figures"]["packets damaged"]["value"]), (3, "REGRESSION", 0.75))
        self.assertIn("verified run: 75 of 100,000 packets: sink socket: corrupt", said)
        self.assertEqual(self.judge("--accept")[0], 5)
        shutil.rmtree(self.sitting / "verified")
        self.assertEqual(self.judge()[0], 5)

    def test_without_a_baseline_it_is_invalid(self):
        self.put(1)
        code, document, text = self.judge()
        self.assertEqual((code, document["verdict"]), (5, "INVALID"))
        self.assertIn("--accept", text)
        self.assertFalse(self.baseline.exists())

    def test_what_was_accepted_passes(self):
        self.accepted()
        code, document, _ = self.judge()
        self.assertEqual((code, document["verdict"]), (0, "PASS"))
        self.assertAlmostEqual(document["figures"]["system calls"]["value"], 46.8)

    def test_one_round_is_a_measurement(self):
        self.put(1)
        self.assertEqual(self.judge("--accept")[0], 0)

    def test_one_more_of_anything_per_packet_is_a_regression(self):
        for what, figure in (("syscalls", "system calls"), ("writes", "writes"), ("mallocs", "allocations")):
            with self.subTest(what):
                self.accepted()
                for number in (1, 2, 3):
                    self.put(number, **{what: 209_360})
                code, document, text = self.judge()
                self.assertEqual((code, document["verdict"]), (3, "REGRESSION"))
                self.assertEqual(document["figures"][figure]["verdict"], "REGRESSION")
                self.assertIn(figure, text)

    def test_instructions_count_as_the_rest_does(self):
        self.accepted()
        write_counts(self.sitting / "instructions/here", {"forward.c: fan_out_one": 90})
        code, document, text = self.judge()
        self.assertEqual((code, document["verdict"], document["instructions"]["verdict"]), (3, "REGRESSION", "REGRESSION"))
        self.assertIn("one rule: 190.0 instructions instead of 180.0 for each packet: forward.c: fan_out_one +10.0", text)
        (self.sitting / "instructions/here/callgrind.out.2").unlink()
        self.assertEqual(self.judge()[0], 5)

    def test_instructions_of_a_relay_of_elsewhere_are_not_counted(self):
        self.accepted()
        (self.sitting / "instructions/reason").write_text("there is no packet_path beside /old/mcrelay\n")
        code, document, text = self.judge()
        self.assertEqual((code, document["instructions"]["verdict"]), (0, "PASS"))
        self.assertIn("instructions: not counted: there is no packet_path beside /old/mcrelay", text)

    def test_what_hardware_counts_is_shown(self):
        self.accepted()
        for number in (1, 2, 3):
            raw = self.sitting / f"rounds/{number:02}/relay/raw/perf.csv"
            raw.write_text(raw.read_text() + "100000000,,instructions:u,1,100.00,,\n900000000,,instructions:k,1,100.00,,\n")
        code, document, _ = self.judge()
        self.assertEqual((code, document["figures"]["instructions, kernel"]["value"]), (0, 4_500_000))
        self.assertEqual(self.judge("--accept")[0], 0)
        self.assertNotIn("instructions, kernel", load(self.baseline)["budgets"])

    def test_twice_the_turns_is_a_regression(self):
        self.accepted()
        for number in (1, 2, 3):
            self.put(number, turns=6240)
        self.assertEqual(self.judge()[0], 3)

    def test_one_round_of_three_may_be_off(self):
        self.accepted()
        self.put(2, syscalls=30_000)
        self.assertEqual(self.judge()[0], 0)

    def test_less_work_passes(self):
        self.accepted()
        for number in (1, 2, 3):
            self.put(number, turns=1560)
        self.assertEqual(self.judge()[0], 0)

    def test_a_figure_without_a_budget_and_a_budget_without_a_figure_are_invalid(self):
        self.accepted()
        document = load(self.baseline)
        document["budgets"]["copies"] = document["budgets"].pop("sleeps")
        self.baseline.write_text(json.dumps(document))
        code, document, _ = self.judge()
        self.assertEqual(code, 5)
        self.assertEqual(document["figures"]["copies"]["verdict"], "INVALID")
        self.assertEqual(document["figures"]["sleeps"]["verdict"], "INVALID")

    def test_an_invalid_run_is_no_measurement(self):
        self.accepted()
        self.put(1, problems=["the ledger is open"], valid=False)
        code, document, text = self.judge()
        self.assertEqual((code, document["verdict"]), (5, "INVALID"))
        self.assertIn("the ledger is open", text)

    def test_packets_that_are_lost_do_no_work(self):
        self.accepted()
        for loss, expected, said in ((0.0009, 0, "PASS"), (0.0011, 3, "packets lost"), (None, 5, "not known whether")):
            with self.subTest(loss):
                self.put(2, loss=loss)
                self.put(1, loss=loss)
                code, _, text = self.judge()
                self.assertEqual(code, expected)
                self.assertIn(said, text)

    def test_the_work_of_a_relay_that_loses_packets_is_not_accepted(self):
        self.put(1, loss=0.01)
        code, document, text = self.judge("--accept")
        self.assertEqual((code, document["verdict"], self.baseline.exists()), (5, "INVALID", False))
        self.assertIn("is not accepted", text)

    def test_budgets_that_would_allow_anything_are_invalid(self):
        self.accepted()
        before = load(self.baseline)
        for change in ({"tolerance": 4}, {"absolute": 900}, {"value": None}, {"value": -1}, {"surprise": 1}):
            with self.subTest(change):
                document = load(self.baseline)
                document["budgets"]["sleeps"] |= change
                self.baseline.write_text(json.dumps(document))
                code, _, text = self.judge()
                self.assertEqual(code, 5)
                self.assertIn("budgets.sleeps", text)
                self.baseline.write_text(json.dumps(before))

    def test_the_budgets_in_force_are_as_the_schema_says(self):
        schema("budgets").validate(load(HARNESS.parent / "baselines/budgets.json"))

    def test_tolerances_of_the_baseline_count(self):
        tight = {"tolerance": 0.05, "absolute": 1.0}
        judged = budget.judge({"a": 105.1, "b": 1.9, "c": 110.0},
                              {"a": {"value": 100, **tight}, "b": {"value": 1, **tight},
                               "c": {"value": 100, "tolerance": 0.1, "absolute": 1.0}})
        self.assertEqual({name: item["verdict"] for name, item in judged.items()},
                         {"a": "REGRESSION", "b": "PASS", "c": "PASS"})

    def test_the_schema_refuses_what_is_wrong(self):
        self.accepted()
        _, document, _ = self.judge()
        for change in ({"verdict": "MORE"}, {"reasons": ["why"]}, {"rounds": []}, {"figures": {}}, {"unit": "all"},
                       {"rounds": [{"sleeps": 1}]}, {"figures": {"sleeps": {"value": 1}}}, {"surprise": 1}):
            with self.subTest(change):
                self.assertFalse(schema("budget").is_valid({**document, **change}))
        self.assertFalse(schema("budget").is_valid({"schema": 1, "verdict": "PASS"}))
        self.assertFalse(schema("budget").is_valid({"schema": 1, "verdict": "PASS", "reasons": ["why"]}))


if __name__ == "__main__":
    unittest.main()
