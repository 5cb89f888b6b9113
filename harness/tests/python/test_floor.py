import json
import tempfile
import unittest
from pathlib import Path

from harness.tests.python.support import baseline, control_run, program, relay_run, schema, write_sitting
from harness.verdict.floor import floor
from harness.verdict.outcome import MORE


def rounds(n: int, **figures) -> tuple[list[dict], list[dict]]:
    """n quiet rounds: 0.1 % of noise around the figures."""
    def noisy(value: float, i: int) -> float:
        return value * (1 + (i * 7 % 11 - 5) * 0.0002)

    wanted = {"egress": 370_000, "ingress": 700_000, "exhaustion": 0.2, "offered": 733_000, **figures}
    return ([relay_run(**{key: noisy(value, i) for key, value in wanted.items()}) for i in range(n)],
            [control_run(noisy(733_000, i)) for i in range(n)])


def judge(relays: list[dict], controls: list[dict], tier: str = "target", limit: int = 14) -> dict:
    verdict = floor.judge(relays, controls, baseline(), tier, limit)
    if verdict["verdict"] != MORE:
        schema("verdict").validate(json.loads(json.dumps(verdict)))
    return verdict


class Verdicts(unittest.TestCase):
    def test_pass(self):
        verdict = judge(*rounds(10))
        self.assertEqual((verdict["exit"], verdict["verdict"], verdict["reasons"]), (0, "PASS", []))
        self.assertEqual((verdict["tier_asked"], verdict["tier_reached"]), ("target", "target"))
        self.assertAlmostEqual(verdict["margin"], 370 / 300 - 1, places=3)
        self.assertFalse(verdict["generator_bound"])

    def test_highest_tier_reached(self):
        for egress, exhaustion, reached in ((450_000, 0.2, "stretch"), (450_000, 0.35, "target"),
                                            (260_000, 0.45, "minimum"), (200_000, 0.2, None)):
            with self.subTest(reached=reached):
                verdict = judge(*rounds(10, egress=egress, exhaustion=exhaustion), tier="minimum")
                self.assertEqual(verdict["tier_reached"], reached)
                self.assertEqual(verdict["exit"], 0 if reached else 3)

    def test_regression_by_each_figure(self):
        # the drop of 68 % that the seeds tell of, and one figure at a time
        for change in ({"egress": 97_000, "exhaustion": 0.86}, {"egress": 299_000},
                       {"ingress": 480_000}, {"exhaustion": 0.41}):
            with self.subTest(change=change):
                verdict = judge(*rounds(10, **change))
                self.assertEqual((verdict["exit"], verdict["verdict"]), (3, "REGRESSION"))

    def test_one_error_in_one_round_is_a_regression(self):
        relays, controls = rounds(10)
        relays[4]["hops"][0]["errors"] = 1
        self.assertEqual(judge(relays, controls)["exit"], 3)

    def test_exactly_on_the_limits(self):
        relays = [relay_run(egress=300_000, ingress=490_000, exhaustion=0.399) for _ in range(10)]
        self.assertEqual(judge(relays, rounds(10)[1])["exit"], 0)
        relays = [relay_run(egress=300_000, ingress=490_000, exhaustion=0.4) for _ in range(10)]
        self.assertEqual(judge(relays, rounds(10)[1])["exit"], 3)

    def test_inconclusive_by_noise(self):
        relays, controls = rounds(14)
        for i, run in enumerate(relays):
            run["hops"][0]["egress_pps"] = 270_000 if i % 2 else 330_000
        verdict = judge(relays, controls)
        self.assertEqual((verdict["exit"], verdict["verdict"]), (4, "INCONCLUSIVE"))
        self.assertIn("both sides of a limit", verdict["reasons"][0])
        self.assertEqual(judge(relays[:10], controls[:10])["exit"], 10)

    def test_too_few_rounds_prove_nothing(self):
        self.assertEqual(judge(*rounds(3), limit=3)["exit"], 4)

    def test_generator_bound_is_said(self):
        self.assertTrue(judge(*rounds(10, egress=700_000))["generator_bound"])

    def test_more_before_each_look(self):
        for n in (1, 5, 9):
            self.assertEqual(judge(*rounds(n))["exit"], 10)
        self.assertEqual(judge(*rounds(10))["exit"], 0)
        relays, controls = rounds(13)
        self.assertEqual(judge(relays[:11], controls[:11])["exit"], 10)
        self.assertEqual(judge(*rounds(2), limit=2)["rounds_max"], 2)

    def test_shares_of_the_error_add_up(self):
        self.assertAlmostEqual(2 * 3 * (1 - floor.look_confidence((10, 14))), 0.01)


class Unfit(unittest.TestCase):
    def unfit(self, relays: list[dict], controls: list[dict], word: str) -> None:
        verdict = judge(relays, controls)
        self.assertEqual(verdict["exit"], 4)
        self.assertIn(word, " ".join(verdict["reasons"]))

    def test_control_below_the_load(self):
        self.unfit(rounds(10)[0], [control_run(700_000)] * 10, "without a relay")

    def test_controls_spread(self):
        self.unfit(rounds(10)[0], [control_run(733_000 - 90_000 * (i == 4)) for i in range(10)],
                   "spread over")

    def test_controls_drift(self):
        self.unfit(rounds(10)[0], [control_run(720_000 + 6_000 * i) for i in range(10)], "drift by")

    def test_generator_starved_beside_the_relays(self):
        relays, controls = rounds(10, offered=650_000)
        self.unfit(relays, controls, "beside the relays")

    def test_an_unfit_machine_hides_no_pass_and_no_regression(self):
        for egress in (450_000, 90_000):
            relays, _ = rounds(10, egress=egress)
            self.assertEqual(judge(relays, [control_run(600_000)] * 10)["exit"], 4)


class Invalid(unittest.TestCase):
    def invalid(self, relays: list[dict], controls: list[dict], word: str) -> None:
        verdict = judge(relays, controls)
        self.assertEqual((verdict["exit"], verdict["verdict"]), (5, "INVALID"))
        self.assertIn(word, " ".join(verdict["reasons"]))

    def test_each_problem_of_a_run_is_passed_on_with_its_round(self):
        for problem in ("ledger of 'r1 in' does not close: residual 9 of 10 packets",
                        "r1: the binary that ran (1) is not the one that was built (2)",
                        "r1:in0: tx-udp-segmentation is on after the run, the scenario declares off",
                        "r1: [ERROR:Main] no", "the generator sent nothing",
                        "r1: the relay ended with exit code 1"):
            with self.subTest(problem=problem):
                relays, controls = rounds(10)
                relays[2]["problems"] = [problem]
                self.invalid(relays, controls, f"round 3: {problem}")

    def test_a_broken_control_counts_too(self):
        relays, controls = rounds(10)
        controls[0]["problems"] = ["the generator sent nothing"]
        self.invalid(relays, controls, "round 1: the generator sent nothing")

    def test_it_does_not_wait_for_the_look(self):
        self.invalid([relay_run(problems=["broken"])], [control_run()], "broken")

    def test_baseline_of_another_scenario(self):
        relays, controls = rounds(10)
        self.invalid([{**run, "scenario": "single-hop"} for run in relays], controls,
                     "'phase4' is for pipeline-phase4, the runs are of single-hop")

    def test_load_differs(self):
        for key, value in (("rate_pps", "700000"), ("payload_bytes", "1300")):
            relays, controls = rounds(10)
            for run in relays:
                run["declared"] = {**run["declared"], key: value}
            self.invalid(relays, controls, "is not the baseline's")

    def test_binary_changed_between_rounds(self):
        relays, controls = rounds(10)
        relays[7]["sut"] = {**relays[7]["sut"], "sha256": "0" * 64}
        self.invalid(relays, controls, "binary changed")

    def test_a_missing_control(self):
        relays, controls = rounds(10)
        self.invalid(relays, controls[:9], "10 runs of the relays, but 9 controls")

    def test_no_round_at_all(self):
        self.invalid([], [], "no round has been measured")


class Program(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.sitting = Path(scratch.name)
        self.baseline = self.sitting / "baseline.json"
        self.baseline.write_text(json.dumps(baseline()))

    def run_floor(self, relays: list[dict], controls: list[dict], *options):
        write_sitting(self.sitting, relays, controls)
        return program("verdict.floor.floor", self.sitting, self.baseline, *options)

    def test_exit_code_is_the_verdict(self):
        for figures, code in (({}, 0), ({"egress": 90_000}, 3), ({"offered": 600_000}, 4)):
            with self.subTest(code=code), tempfile.TemporaryDirectory() as folder:
                write_sitting(Path(folder), *rounds(10, **figures))
                done = program("verdict.floor.floor", folder, self.baseline)
                self.assertEqual((done.returncode, done.stderr), (code, ""))
                verdict = json.loads((Path(folder) / "verdict.json").read_text())
                self.assertEqual(verdict["exit"], code)
                schema("verdict").validate(verdict)

    def test_more_leaves_no_verdict(self):
        self.assertEqual(self.run_floor(*rounds(2)).returncode, 10)
        self.assertFalse((self.sitting / "verdict.json").exists())

    def test_empty_sitting_is_invalid(self):
        self.assertEqual(self.run_floor([], []).returncode, 5)

    def test_a_damaged_result_is_invalid_and_one_line(self):
        for damage in ("{", "[]", "{}", '{"problems": [], "scenario": "pipeline-phase4"}'):
            with self.subTest(damage=damage), tempfile.TemporaryDirectory() as folder:
                write_sitting(Path(folder), *rounds(10))
                (Path(folder) / "rounds/03/relay/result.json").write_text(damage)
                done = program("verdict.floor.floor", folder, self.baseline)
                self.assertEqual(done.returncode, 5)
                self.assertEqual(done.stderr.count("\n"), 1)
                self.assertFalse((Path(folder) / "verdict.json").exists())

    def test_missing_baseline_is_invalid(self):
        self.baseline.unlink()
        self.assertEqual(self.run_floor(*rounds(10)).returncode, 5)


if __name__ == "__main__":
    unittest.main()
