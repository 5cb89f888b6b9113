import json
import tempfile
import unittest
from pathlib import Path

import numpy as np

from harness.tests.python.support import ROOT, baseline, control_run, program, relay_run, schema, verified_run, write_sitting
from harness.verdict import stats
from harness.verdict.floor import floor
from harness.verdict.outcome import MORE


def rounds(n: int, **figures) -> tuple[list[dict], list[dict]]:
    """n quiet rounds: 0.1 % of noise around the figures."""
    def noisy(value: float, i: int) -> float:
        return value * (1 + (i * 7 % 11 - 5) * 0.0002)

    wanted = {"egress": 560_000, "ingress": 700_000, "exhaustion": 0.2, "offered": 733_000, **figures}
    return ([relay_run(**{key: noisy(value, i) for key, value in wanted.items()}) for i in range(n)],
            [control_run(noisy(733_000, i)) for i in range(n)])


def judge(relays: list[dict], controls: list[dict], tier: str = "target", limit: int = 14, verified=None) -> dict:
    verdict = floor.judge(relays, controls, baseline(), tier, limit, verified or verified_run())
    if verdict["verdict"] != MORE:
        schema("verdict").validate(json.loads(json.dumps(verdict)))
    return verdict


def lose(run: dict, account: str, cause: str, packets: int) -> None:
    next(one for one in run["ledger"] if one["account"] == account)["drops"][cause] = packets


class Verdicts(unittest.TestCase):
    def test_pass(self):
        verdict = judge(*rounds(10))
        self.assertEqual((verdict["exit"], verdict["verdict"], verdict["reasons"]), (0, "PASS", []))
        self.assertEqual((verdict["tier_asked"], verdict["tier_reached"]), ("target", "stretch"))
        self.assertFalse(verdict["generator_bound"])

    def test_the_whole_machine_s_cost_stands_beside_it(self):
        relays, controls = rounds(10)
        self.assertIsNone(judge(relays, controls)["machine"]["cost_ns_per_forwarded_packet"])  # recorded before it was measured
        for run, cores in [(run, 1.9) for run in relays] + [(run, 0.8) for run in controls]:
            run["machine"] = {"cores_busy": cores, "busy_ns_per_packet_offered": cores * 1e9 / run["offered_pps"],
                              "nice_ratio": 0.0, "steal_ratio": 0.02}
        found = judge(relays, controls)["machine"]
        forwarded = sum(hop["egress_pps"] for hop in relays[5]["hops"])
        self.assertAlmostEqual(found["cost_ns_per_forwarded_packet"]["median"], 1.1e9 / forwarded, delta=1)
        self.assertEqual((len(found["cost_ns_per_forwarded_packet"]["samples"]), found["steal_ratio"]), (10, 0.02))

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
        lose(relays[4], "r1 out", "egress_errors", 1)
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
        self.assertAlmostEqual(2 * 5 * (1 - floor.look_confidence((10, 14), 5)), 0.01)


class Arrival(unittest.TestCase):
    """What arrives at the end, of all that was sent, over the whole run."""

    def regression(self, relays: list[dict], *words: str) -> None:
        verdict = judge(relays, rounds(len(relays))[1])
        self.assertEqual((verdict["exit"], verdict["verdict"]), (3, "REGRESSION"))
        for word in words:
            self.assertIn(word, " ".join(verdict["reasons"]))

    def test_a_relay_behind_the_first_that_loses_nearly_everything(self):
        for hop, name in ((1, "relay 2"), (2, "relay 3")):
            relays, _ = rounds(10)
            for run in relays:
                run["hops"][hop]["loss_ratio"] = 0.99
            self.regression(relays, f"{name} loss: 99.0%, less than 50% is asked for")

    def test_what_honest_relays_lose_behind_the_first_is_allowed(self):
        relays, controls = rounds(10)
        for i, run in enumerate(relays):
            run["hops"][1]["loss_ratio"], run["hops"][2]["loss_ratio"] = 0.37 + 0.01 * i, 0.01 * i
        self.assertEqual(judge(relays, controls)["exit"], 0)

    def test_a_loss_of_half_is_one_too_many(self):
        relays, _ = rounds(10)
        for run in relays:
            run["hops"][1]["loss_ratio"] = 0.5
        self.regression(relays, "relay 2 loss")

    def test_each_cause_of_a_loss_that_is_no_full_buffer_at_each_relay_and_link(self):
        for account, cause in (("r2 out", "egress_errors"), ("r2 in", "no_match"), ("r3 in", "checksum"),
                               ("r3 in", "truncated"), ("r1 in", "malformed"), ("r2 out", "handoff"),
                               ("r1 out0 -> r2", "tx_dropped"), ("gen -> r1", "rx_dropped")):
            relays, _ = rounds(10)
            lose(relays[6], account, cause, 1)
            with self.subTest(account=account, cause=cause):
                self.regression(relays, f"{account}: {cause} lost 1 packets, in 1 of 10 rounds; 0 are allowed")

    def test_losses_of_all_rounds_are_told_together(self):
        relays, _ = rounds(10)
        for run in relays:
            lose(run, "r2 out", "egress_errors", 50_000)
        self.regression(relays, "r2 out: egress_errors lost 500,000 packets, in 10 of 10 rounds")

    def test_a_full_buffer_is_what_the_tiers_limit(self):
        relays, controls = rounds(10)
        for run in relays:
            lose(run, "r1 in", "buffer_exhaustion", 1)
            lose(run, "r1 in", "foreign", 1)
        self.assertEqual(judge(relays, controls)["exit"], 0)

    def test_packets_that_vanish_a_few_at_each_place(self):
        relays, controls = rounds(10)
        for account in relays[3]["ledger"]:
            account["residual"] = account["offered"] // 1100  # of each within its own tolerance
        verdict = judge(relays, controls)
        self.assertEqual(verdict["exit"], 5)
        self.assertIn("round 4: ", verdict["reasons"][0])
        self.assertIn("packets vanished on the whole way", verdict["reasons"][0])

    def test_a_relay_without_a_figure_is_invalid(self):
        relays, controls = rounds(10)
        relays[1]["hops"][2]["loss_ratio"] = None
        verdict = judge(relays, controls)
        self.assertEqual((verdict["exit"], verdict["reasons"]), (5, ["round 2: relay 3 has no loss_ratio"]))

    def test_a_relay_that_is_missing_in_a_round_is_invalid(self):
        relays, controls = rounds(10)
        del relays[5]["hops"][2]
        self.assertIn("not the same number of relays in each round", judge(relays, controls)["reasons"])


class Verified(unittest.TestCase):
    """The run in which what arrives was read."""

    def test_a_corrupt_packet_is_a_regression_at_once(self):
        verdict = judge(*rounds(1), verified=verified_run({"corrupt": 75}))
        self.assertEqual((verdict["exit"], verdict["verdict"], verdict["tier_reached"]), (3, "REGRESSION", None))
        self.assertEqual(verdict["reasons"], ["verified run: 75 of 100,000 packets: sink socket: corrupt"])

    def test_on_an_unfit_machine_too(self):
        relays, _ = rounds(10)
        verdict = judge(relays, [control_run(600_000)] * 10, verified=verified_run(sink={"reordered": 2}))
        self.assertEqual(verdict["verdict"], "REGRESSION")

    def test_what_was_not_read_has_not_passed(self):
        few = verified_run(sink={"received": 10})
        self.assertEqual(judge(*rounds(10), verified=few)["verdict"], "INCONCLUSIVE")
        self.assertEqual(judge(*rounds(10, egress=90_000), verified=few)["verdict"], "REGRESSION")
        self.assertEqual(judge(*rounds(9), verified=few)["exit"], 10)

    def test_without_it_or_of_another_relay_it_is_invalid(self):
        self.assertEqual(floor.judge(*rounds(10), baseline(), "target")["reasons"],
                         ["verified run: no run in which what arrives is read"])
        for key, value in (("sha256", "0" * 64), ("options", "--other")):
            other = verified_run()
            other["sut"] = {**other["sut"], key: value}
            self.assertIn("of another program, or with other options, than the rounds",
                          judge(*rounds(10), verified=other)["reasons"][0])

    def test_its_figures_are_in_the_verdict(self):
        self.assertEqual(judge(*rounds(10))["verified"], {"rate_pps": 50_000, "expected": 100_000, "received": 100_000,
                                                           "corrupt": 0, "duplicated": 0, "reordered": 0})


class Margins(unittest.TestCase):
    def test_the_target_is_in_truth_what_the_exhaustion_lets_through(self):
        verdict = judge(*rounds(10, ingress=733_000, exhaustion=0.2, egress=0.8 * 733_000))
        self.assertAlmostEqual(verdict["egress_needed_pps"], 0.6 * 733_000, delta=100)
        self.assertAlmostEqual(verdict["margin"], 0.8 / 0.6 - 1, places=3)

    def test_of_little_ingress_the_tier_needs_its_own_limit(self):
        self.assertEqual(judge(*rounds(10, ingress=450_000))["egress_needed_pps"], 300_000)

    def test_the_tightest_limit(self):
        for change, loss, limit, margin in (({"exhaustion": 0.38}, 0.0, "relay 1 exhaustion", 0.62 / 0.6 - 1),
                                            ({"egress": 310_000}, 0.0, "relay 1 egress", 310 / 300 - 1),
                                            ({"ingress": 500_000}, 0.0, "relay 1 ingress", 500 / 490 - 1),
                                            ({}, 0.45, "relay 2 loss", 0.55 / 0.5 - 1),
                                            ({"exhaustion": 0.44}, 0.0, "relay 1 exhaustion", 0.56 / 0.6 - 1)):
            relays, controls = rounds(10, **change)
            for run in relays:
                run["hops"][1]["loss_ratio"] = loss
            tightest = judge(relays, controls)["tightest"]
            with self.subTest(limit=limit):
                self.assertEqual(tightest["limit"], limit)
                self.assertAlmostEqual(tightest["margin"], margin, places=3)

    def test_it_is_shown(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "verdict.json"
            path.write_text(json.dumps(judge(*rounds(10, ingress=733_000, exhaustion=0.3, egress=0.7 * 733_000))))
            said = program("report.show", path, "--baseline", ROOT / "baselines/phase4.json").stdout
        self.assertIn("relay 1 egress +16.7% against the 439,844 pps that tier target needs", said)
        self.assertRegex(said, r"tightest limit: relay 2 loss 44\.4%, less than 50% asked for, margin \+11\.2%; bounds are of the "
                               r"minute that was measured")


class Memory(unittest.TestCase):
    """Rounds that have something of the round before, and bounds that are made for rounds that have not."""

    def errors(self, memory: float, sittings: int = 4000, fine: int = 3) -> tuple[float, float]:
        """How often a lower bound lies above the median: that of the measured minute, and that of all times. A round is one
        in `fine` instants of its minute."""
        random = np.random.default_rng(1)
        step = memory ** (1 / fine)
        level = np.empty((sittings, 14 * fine))
        level[:, 0] = random.standard_normal(sittings)
        for i in range(1, level.shape[1]):
            level[:, i] = step * level[:, i - 1] + (1 - step**2) ** 0.5 * random.standard_normal(sittings)
        confidence = floor.look_confidence((10, 14), 5)
        of_minute, of_all = np.zeros(sittings, bool), np.zeros(sittings, bool)
        for rounds_ in (10, 14):
            _, lower, _ = stats.sample_median(level[:, :rounds_ * fine:fine], confidence)
            of_minute |= lower > np.median(level[:, :rounds_ * fine], axis=1)
            of_all |= lower > 0.0
        return float(of_minute.mean()), float(of_all.mean())

    def test_bounds_hold_for_the_minute_whatever_the_memory(self):
        for memory in (0.0, 0.3, 0.59, 0.78, 0.9):
            self.assertLessEqual(self.errors(memory)[0], 0.01, memory)

    def test_they_do_not_hold_for_all_times(self):
        self.assertLessEqual(self.errors(0.0)[1], 0.01)
        self.assertGreater(self.errors(0.59)[1], 0.03)
        self.assertGreater(self.errors(0.78)[1], 0.09)

    def test_the_memory_of_the_rounds_is_in_the_verdict(self):
        relays, controls = rounds(14)
        for i, run in enumerate(relays):
            run["hops"][0]["buffer_exhaustion_ratio"] = 0.37 + 0.001 * i
        self.assertGreater(judge(relays, controls)["tightest"]["autocorrelation"], 0.7)
        for i, run in enumerate(relays):
            run["hops"][0]["buffer_exhaustion_ratio"] = 0.37 + 0.01 * (i % 2)
        self.assertLess(judge(relays, controls)["tightest"]["autocorrelation"], -0.7)


class Unfit(unittest.TestCase):
    def unfit(self, relays: list[dict], controls: list[dict], why: str, word: str = "UNFIT") -> None:
        verdict = judge(relays, controls)
        self.assertEqual((verdict["exit"], verdict["verdict"]), (4, word))
        self.assertIn(why, " ".join(verdict["reasons"]))

    def test_control_below_the_load(self):
        self.unfit(rounds(10)[0], [control_run(700_000)] * 10, "without a relay")

    def test_controls_spread(self):
        self.unfit(rounds(10)[0], [control_run(733_000 - 90_000 * (i == 4)) for i in range(10)],
                   "spread over")

    def test_controls_drift(self):
        self.unfit(rounds(10)[0], [control_run(720_000 + 6_000 * i) for i in range(10)], "drift by")

    def test_generator_starved_beside_the_relays(self):
        relays, controls = rounds(10, offered=650_000)
        self.unfit(relays, controls, "beside the relays", "INCONCLUSIVE")

    def test_an_unfit_machine_passes_nothing_and_blames_nobody(self):
        for egress in (450_000, 90_000):
            relays, _ = rounds(10, egress=egress)
            self.assertEqual(judge(relays, [control_run(600_000)] * 10)["verdict"], "UNFIT")

    def test_relays_that_starve_the_generator_and_break_a_limit_are_a_regression(self):
        # a log line per packet: it takes the generator's core, too
        verdict = judge(*rounds(10, egress=190_000, ingress=500_000, exhaustion=0.6, offered=520_000))
        self.assertEqual((verdict["exit"], verdict["verdict"]), (3, "REGRESSION"))
        self.assertIn("beside the relays the generator reaches 520,", verdict["reasons"][-1])

    def test_a_generator_that_is_starved_everywhere_is_no_doing_of_the_relays(self):
        relays, _ = rounds(10, egress=190_000, offered=520_000)
        self.assertEqual(judge(relays, [control_run(530_000)] * 10)["verdict"], "UNFIT")

    def test_what_is_undecided_beside_a_starving_generator_is_measured_on(self):
        relays, controls = rounds(14, offered=650_000)
        for i, run in enumerate(relays):
            run["hops"][0]["egress_pps"] = 270_000 if i % 2 else 330_000
        self.assertEqual(judge(relays[:10], controls[:10])["exit"], 10)
        verdict = judge(relays, controls)
        self.assertEqual(verdict["verdict"], "INCONCLUSIVE")
        self.assertEqual(len(verdict["reasons"]), 2)


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


class Bound(unittest.TestCase):
    """The scenario is the baseline's whole."""

    def judge(self, change=None, **override):
        relays, controls = rounds(10)
        conditions = {key: value for key, value in relays[0]["declared"].items() if key not in ("name", "description", "baseline")}
        for run in relays:
            run["declared"] |= override
            run["overrides"] |= change or {}
        return floor.judge(relays, controls, baseline() | {"conditions": conditions}, "target", verified=verified_run())

    def test_each_condition_that_differs(self):
        self.assertEqual(self.judge()["verdict"], "PASS")
        for key, value in (("topology", "single"), ("profile", "gro"), ("offload_generic-receive-offload", "on"),
                           ("relay_options", "--send-batch 1"), ("relay_options_wire", "--ring-slots 9"), ("window_ms", "100"),
                           ("sink", "receive")):
            with self.subTest(key):
                found = self.judge(**{key: value})
                self.assertEqual(found["verdict"], "INVALID")
                self.assertIn(f"is for {key} = ", found["reasons"][0])

    def test_what_was_asked_for_on_purpose(self):
        self.assertEqual(self.judge({"profile": "gro"}, profile="gro")["verdict"], "PASS")

    def test_what_a_comparison_changes_is_no_condition(self):
        self.assertEqual(self.judge(compare_rate_pps="1")["verdict"], "PASS")


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
