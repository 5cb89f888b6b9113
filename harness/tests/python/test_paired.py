import json
import math
import unittest

import numpy as np

from harness.verdict.paired import paired
from harness.verdict.outcome import INCONCLUSIVE, MORE, PASS, REGRESSION, STATUS, UNFIT
from harness.verdict.paired.paired import Rule


def pairs(n: int, loss: float = 0.0, noise: float = 0.01, seed: int = 1) -> list[float]:
    """n observations: quiet, symmetric noise around a loss."""
    return list(math.log(1 - loss) + noise * np.random.default_rng(seed).standard_normal(n))


class Observation(unittest.TestCase):
    def test_faster_is_positive_in_every_metric(self):
        self.assertAlmostEqual(paired.observation("egress_pps", 300_000, 270_000), math.log(0.9))
        self.assertAlmostEqual(paired.observation("cpu_ns_per_packet", 900, 1000), math.log(0.9))

    def test_a_run_without_a_rate_is_refused(self):
        for base, head in ((0.0, 1.0), (1.0, 0.0), (1.0, math.nan), (math.inf, 1.0), (-1.0, 1.0)):
            with self.assertRaisesRegex(ValueError, "cannot be compared"):
                paired.observation("egress_pps", base, head)

    def test_order(self):
        first = "".join(paired.order(pair)[0][0] for pair in range(16))
        self.assertEqual(first, "bhhbhbbhhbbhbhhb")
        for pair in range(16):
            self.assertEqual(sorted(paired.order(pair)), ["base", "head"])

    def test_a_steady_drift_cancels_in_the_order(self):
        runs, rates = [], iter(np.exp(0.01 * np.arange(24)))
        for pair in range(12):
            rate = {who: next(rates) for who in paired.order(pair)}
            runs.append(paired.observation("egress_pps", rate["base"], rate["head"]))
        self.assertAlmostEqual(sum(runs), 0.0)


class Rules(unittest.TestCase):
    def test_shares_add_up(self):
        for looks in ((6, 12, 24, 48), (12, 24, 48), (8,)):
            self.assertAlmostEqual(sum(Rule(looks=looks).shares()), 1.0)
        self.assertEqual(Rule().shares(), [0.125, 0.125, 0.25, 0.5])

    def test_nonsense_is_refused(self):
        for wrong, word in (({"estimator": "mode"}, "no estimator 'mode'"), ({"tolerance": 0.0}, "tolerance"),
                            ({"looks": ()}, "increasing"), ({"looks": (12, 6)}, "increasing"),
                            ({"looks": (5, 10)}, "odd"), ({"error": 0.0}, "error"),
                            ({"confirmation_error": 1.0}, "error")):
            with self.subTest(wrong), self.assertRaisesRegex(ValueError, word):
                Rule(**wrong)


class Verdicts(unittest.TestCase):
    def test_pass_at_the_first_look(self):
        decision = paired.decide(pairs(6))
        self.assertEqual((decision.verdict, decision.pairs, decision.block), (PASS, 6, "first"))
        self.assertGreater(decision.lower, -0.05)
        self.assertLess(decision.lower, decision.estimate)
        self.assertLess(decision.estimate, decision.upper)
        self.assertIn("5% or more is excluded", decision.reasons[0])

    def test_a_gain_passes(self):
        decision = paired.decide(pairs(6, loss=-0.3))
        self.assertEqual(decision.verdict, PASS)
        self.assertAlmostEqual(decision.estimate, 0.3, delta=0.02)

    def test_a_loss_within_the_tolerance_passes(self):
        self.assertEqual(paired.decide(pairs(24, loss=0.02)).verdict, PASS)

    def test_regression_only_once_it_is_confirmed(self):
        first = pairs(6, loss=0.12)
        decision = paired.decide(first)
        self.assertEqual((decision.verdict, decision.block, decision.needs, decision.pairs),
                         (MORE, "confirmation", 6, 6))
        self.assertLess(decision.upper, -0.05)
        decision = paired.decide(first, pairs(6, loss=0.12, seed=2))
        self.assertEqual((decision.verdict, decision.pairs, decision.block), (REGRESSION, 12, "confirmation"))
        self.assertIn("confirmed by 6 fresh", decision.reasons[0])
        self.assertLessEqual(decision.p_value, 0.01 * 0.05)

    def test_figures_of_a_regression_are_those_of_the_fresh_pairs(self):
        decision = paired.decide(pairs(6, loss=0.20), pairs(6, loss=0.10, seed=2))
        self.assertEqual(decision.verdict, REGRESSION)
        self.assertAlmostEqual(decision.estimate, -0.10, delta=0.01)
        self.assertEqual([look.block for look in decision.looks], ["first", "confirmation"])

    def test_not_confirmed_is_inconclusive_and_final(self):
        first = pairs(6, loss=0.12)
        for fresh in (pairs(6), pairs(48, loss=0.05, noise=0.03)):
            decision = paired.decide(first, fresh)
            self.assertEqual((decision.verdict, decision.needs), (INCONCLUSIVE, 0))
            self.assertIn("do not confirm", decision.reasons[0])

        self.assertIn("6 pairs, but 6 fresh", paired.decide(first, pairs(9)).reasons[0])

    def test_confirmation_takes_more_pairs_when_it_needs_them(self):
        first, fresh = pairs(6, loss=0.12), pairs(12, loss=0.10, noise=0.035, seed=2)
        decision = paired.decide(first, fresh[:6])
        self.assertEqual((decision.verdict, decision.block, decision.needs), (MORE, "confirmation", 12))
        self.assertEqual(paired.decide(first, fresh).verdict, REGRESSION)

    def test_inconclusive_at_the_last_look(self):
        decision = paired.decide(pairs(48, loss=0.05, noise=0.03))
        self.assertEqual((decision.verdict, decision.pairs), (INCONCLUSIVE, 48))
        self.assertEqual([look.pairs for look in decision.looks], [6, 12, 24, 48])
        self.assertIn("neither excluded nor proven", decision.reasons[0])

    def test_more_before_each_look(self):
        observations = pairs(48, loss=0.05, noise=0.03)
        for n, needs in ((0, 6), (5, 6), (6, 12), (11, 12), (12, 24), (47, 48)):
            decision = paired.decide(observations[:n])
            self.assertEqual((decision.verdict, decision.block, decision.needs, decision.pairs),
                             (MORE, "first", needs, n))
            self.assertEqual(decision.estimate is None, n < 6)

    def test_what_comes_after_the_verdict_changes_nothing(self):
        decision = paired.decide(pairs(6) + pairs(20, loss=0.5))
        self.assertEqual((decision.verdict, decision.pairs), (PASS, 6))
        self.assertEqual(decision, paired.decide(pairs(6)))

    def test_one_wild_run_in_each_block_changes_nothing(self):
        for loss, verdict in ((0.0, PASS), (0.12, REGRESSION)):
            first, fresh = pairs(12, loss=loss), pairs(12, loss=loss, seed=2)
            first[3] -= 0.7
            fresh[8] += 0.7
            decision = paired.decide(first, fresh if verdict == REGRESSION else ())
            self.assertEqual(decision.verdict, verdict)

    def test_every_estimator(self):
        for estimator in ("hodges-lehmann", "median", "trimmed-30", "trimmed-20", "trimmed-10", "student"):
            rule = Rule(estimator, looks=(12, 24, 48))
            with self.subTest(estimator):
                self.assertEqual(paired.decide(pairs(12), rule=rule).verdict, PASS)
                self.assertEqual(paired.decide(pairs(12, loss=0.12), pairs(12, loss=0.12, seed=2),
                                               rule).verdict, REGRESSION)

    def test_a_look_too_early_for_an_exact_bound(self):
        decision = paired.decide(pairs(6), rule=Rule("hodges-lehmann"))
        self.assertEqual((decision.verdict, decision.lower, decision.upper), (MORE, -math.inf, math.inf))

    def test_another_tolerance(self):
        rule = Rule(tolerance=0.15)
        self.assertEqual(paired.decide(pairs(12, loss=0.12), rule=rule).verdict, PASS)

    def test_nonsense_is_refused(self):
        with self.assertRaisesRegex(ValueError, "finite"):
            paired.decide([0.0] * 5 + [math.nan])
        with self.assertRaisesRegex(ValueError, "not proven"):
            paired.decide(pairs(6), pairs(6))

    def test_every_verdict_has_its_figures(self):
        for blocks in ((pairs(6),), (pairs(6, loss=0.12), pairs(6, loss=0.12)), (pairs(48, 0.05, 0.03),)):
            decision = paired.decide(*blocks)
            found = json.loads(json.dumps(decision.as_dict(), allow_nan=False))
            for key in ("estimate", "lower", "upper", "smallest_visible_loss", "confidence"):
                self.assertIsInstance(found[key], float)
            line = paired.sentence(decision)
            self.assertTrue(line.startswith(decision.verdict))
            for word in ("against base", "bounds", "pairs", "could have seen"):
                self.assertIn(word, line)

    def test_no_bound_is_null(self):
        found = json.loads(json.dumps(paired.decide(pairs(6), rule=Rule("hodges-lehmann")).as_dict(),
                                      allow_nan=False))
        self.assertEqual((found["lower"], found["looks"][0]["upper"]), (None, None))
        self.assertEqual(paired.decide([]).as_dict()["estimate"], None)


class VisibleLoss(unittest.TestCase):
    def test_above_the_tolerance_and_grows_with_the_noise(self):
        losses = [paired.visible_loss(np.array(pairs(48, noise=noise)), paired.RULE)
                  for noise in (0.0, 0.01, 0.02, 0.04)]
        self.assertAlmostEqual(losses[0], 0.05)
        self.assertEqual(losses, sorted(losses))
        self.assertLess(losses[-1], 0.10)

    def test_such_a_loss_is_found_in_95_of_100_sittings(self):
        noise, sittings = np.random.default_rng(3), 1200
        for pairs_at_hand in paired.RULE.looks:
            found = 0
            for _ in range(sittings):
                seen = paired.visible_loss(0.05 * noise.standard_normal(pairs_at_hand), paired.RULE)
                fresh = 0.05 * noise.standard_normal(48) + math.log(1 - seen)
                found += paired.examine("first", fresh, 0.01, paired.RULE)[0] == -1
            with self.subTest(pairs_at_hand):
                self.assertGreaterEqual(found / sittings, 0.931)  # three standard errors

    def test_fewer_pairs_know_less_of_the_noise(self):
        rule = paired.RULE
        series = np.tile(pairs(6, noise=0.02), 8)
        losses = [paired.visible_loss(series[:n], rule) for n in (6, 12, 24, 48)]
        self.assertEqual(losses, sorted(losses, reverse=True))


class PValue(unittest.TestCase):
    def test_within_the_error_exactly_when_a_loss_is_proven(self):
        for loss in np.linspace(0.04, 0.1, 25):
            side, _, looks = paired.examine("first", np.array(pairs(48, loss, 0.03)), 0.01, paired.RULE)
            self.assertEqual(side == -1, paired.block_p_value(looks, paired.RULE) <= 0.01)

    def test_falls_with_the_loss(self):
        found = [paired.decide(pairs(6, loss), pairs(6, loss, seed=2)).p_value for loss in (0.1, 0.15, 0.3)]
        self.assertEqual(found, sorted(found, reverse=True))


class Machine(unittest.TestCase):
    def fit(self, controls, base=(), blocks=None) -> paired.Decision:
        return paired.fit(paired.decide(*(blocks or (pairs(6),))), controls, base)

    def test_steady(self):
        decision = paired.decide(pairs(6))
        self.assertEqual(paired.fit(decision, [600_000] * 6, [300_000] * 6), decision)

    def test_unfit(self):
        for controls, word in (([600_000] * 5 + [530_000], "spread over 11.7%"),
                               ([600_000] * 3 + [640_000] * 3, "drift by 6.5%"),
                               ([600_000], "1 controls do not show"), ([], "0 controls")):
            with self.subTest(word):
                decision = self.fit(controls)
                self.assertEqual((decision.verdict, STATUS[decision.verdict]), (UNFIT, 4))
                self.assertIn(word, " ".join(decision.reasons))
                self.assertIsNotNone(decision.estimate)

    def test_an_unsteady_machine_hides_pass_and_regression(self):
        lost = (pairs(6, 0.12), pairs(6, 0.12))
        self.assertEqual(paired.decide(*lost).verdict, REGRESSION)
        decision = self.fit([600_000, 500_000], blocks=lost)
        self.assertEqual((decision.verdict, decision.p_value), (UNFIT, 1.0))

    def test_generator_is_the_limit(self):
        decision = self.fit([600_000] * 6, [560_000] * 6)
        self.assertEqual(decision.verdict, UNFIT)
        self.assertIn("the generator is the limit, this scenario cannot show", decision.reasons[0])
        self.assertEqual(self.fit([600_000] * 6, [539_000] * 6).verdict, PASS)

    def test_a_loss_proven_in_spite_of_the_limit_stands(self):
        lost = (pairs(6, 0.3), pairs(6, 0.3))
        self.assertEqual(self.fit([600_000] * 6, [590_000] * 6, lost).verdict, REGRESSION)

    def test_a_control_without_a_rate_is_refused(self):
        for rate in (0.0, -1.0, float("inf"), float("nan")):
            with self.assertRaisesRegex(ValueError, "not a positive"):
                self.fit([600_000, rate])


class Scenarios(unittest.TestCase):
    def lost(self, loss: float) -> paired.Decision:
        return paired.decide(pairs(6, loss), pairs(6, loss, seed=2))

    def test_a_few_scenarios_keep_their_verdicts(self):
        decisions = {"a": self.lost(0.1), "b": paired.decide(pairs(6)), "c": self.lost(0.12),
                     "d": paired.decide(pairs(48, 0.05, 0.03))}
        decisions = {name: decision.as_dict() for name, decision in decisions.items()}
        self.assertEqual(paired.share_out(decisions), decisions)
        self.assertEqual(paired.share_out({}), {})

    def test_what_chance_does_among_many_is_inconclusive(self):
        losses = [loss for loss in np.arange(0.05, 0.1, 0.0005) if paired.decide(pairs(6, loss)).needs == 6
                  and paired.decide(pairs(6, loss)).block == "confirmation"]
        weak = next(found for loss in losses if (found := self.lost(loss)).verdict == REGRESSION)
        self.assertGreater(weak.p_value, 0.005 / 40)
        decisions = {"weak": weak, "strong": self.lost(0.3)}
        decisions |= {str(i): paired.decide(pairs(6)) for i in range(40)}
        final = paired.share_out({name: decision.as_dict() for name, decision in decisions.items()})
        self.assertEqual((final["weak"]["verdict"], final["strong"]["verdict"]), (INCONCLUSIVE, REGRESSION))
        self.assertIn("within what chance does", final["weak"]["reasons"][-1])
        self.assertEqual(final["weak"]["estimate"], weak.estimate)

    def test_ten_scenarios_lose_nothing_by_it(self):
        rule = paired.RULE
        self.assertLessEqual(rule.error * rule.confirmation_error, paired.FAMILY_ERROR / 10 + 1e-12)

    def test_not_before_all_are_measured(self):
        with self.assertRaisesRegex(ValueError, "no verdict yet: b"):
            paired.share_out({"a": paired.decide(pairs(6)).as_dict(), "b": paired.decide(pairs(5)).as_dict()})


if __name__ == "__main__":
    unittest.main()
