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
        self.assertEqual(Rule().shares(), [0.25, 0.25, 0.5])
        self.assertAlmostEqual(sum(paired.SPLIT.values()), 1.0)

    def test_nonsense_is_refused(self):
        for wrong, word in (({"estimator": "mode"}, "no estimator 'mode'"), ({"tolerance": 0.0}, "tolerance"),
                            ({"looks": ()}, "increasing"), ({"looks": (12, 6)}, "increasing"),
                            ({"looks": (5, 10)}, "odd"), ({"error": 0.0}, "error"),
                            ({"confirmation_error": 1.0}, "error")):
            with self.subTest(wrong), self.assertRaisesRegex(ValueError, word):
                Rule(**wrong)


class Verdicts(unittest.TestCase):
    def test_pass_at_the_first_look(self):
        decision = paired.decide(pairs(12))
        self.assertEqual((decision.verdict, decision.pairs, decision.block), (PASS, 12, "first"))
        self.assertGreater(decision.lower, -0.03)
        self.assertLess(decision.lower, decision.estimate)
        self.assertLess(decision.estimate, decision.upper)
        self.assertIn("3% or more is excluded", decision.reasons[0])

    def test_a_gain_passes(self):
        decision = paired.decide(pairs(12, loss=-0.3))
        self.assertEqual(decision.verdict, PASS)
        self.assertAlmostEqual(decision.estimate, 0.3, delta=0.02)

    def test_a_loss_within_the_tolerance_passes(self):
        self.assertEqual(paired.decide(pairs(24, loss=0.01)).verdict, PASS)

    def test_regression_only_once_it_is_confirmed(self):
        first = pairs(12, loss=0.12)
        decision = paired.decide(first)
        self.assertEqual((decision.verdict, decision.block, decision.needs, decision.pairs),
                         (MORE, "confirmation", 12, 12))
        self.assertLess(decision.upper, -0.03)
        self.assertIn("a loss of more than 3% is proven by 12 pairs, which is to be confirmed", decision.reasons[0])
        decision = paired.decide(first, pairs(12, loss=0.12, seed=2))
        self.assertEqual((decision.verdict, decision.pairs, decision.block), (REGRESSION, 24, "confirmation"))
        self.assertEqual(decision.by, "speed")
        self.assertIn("confirmed by 12 fresh", decision.reasons[0])
        self.assertLessEqual(decision.p_value, 0.01 * 0.05)

    def test_figures_of_a_regression_are_those_of_the_fresh_pairs(self):
        decision = paired.decide(pairs(12, loss=0.20), pairs(12, loss=0.10, seed=2))
        self.assertEqual(decision.verdict, REGRESSION)
        self.assertAlmostEqual(decision.estimate, -0.10, delta=0.01)
        self.assertEqual([look.block for look in decision.looks], ["first", "confirmation"])

    def test_not_confirmed_is_inconclusive_and_final(self):
        first = pairs(12, loss=0.12)
        for fresh in (pairs(12), pairs(48, loss=0.03, noise=0.03)):
            decision = paired.decide(first, fresh)
            self.assertEqual((decision.verdict, decision.needs), (INCONCLUSIVE, 0))
            self.assertIn("do not confirm", decision.reasons[0])

        self.assertIn("12 pairs, but 12 fresh", paired.decide(first, pairs(15)).reasons[0])

    def test_confirmation_takes_more_pairs_when_it_needs_them(self):
        first, fresh = pairs(12, loss=0.12), pairs(24, loss=0.07, noise=0.035, seed=2)
        decision = paired.decide(first, fresh[:12])
        self.assertEqual((decision.verdict, decision.block, decision.needs), (MORE, "confirmation", 24))
        self.assertEqual(paired.decide(first, fresh).verdict, REGRESSION)

    def test_inconclusive_at_the_last_look(self):
        decision = paired.decide(pairs(48, loss=0.03, noise=0.03))
        self.assertEqual((decision.verdict, decision.pairs), (INCONCLUSIVE, 48))
        self.assertEqual([look.pairs for look in decision.looks], [12, 24, 48])
        self.assertIn("neither excluded nor proven", decision.reasons[0])

    def test_more_before_each_look(self):
        observations = pairs(48, loss=0.03, noise=0.03)
        for n, needs in ((0, 12), (11, 12), (12, 24), (23, 24), (24, 48), (47, 48)):
            decision = paired.decide(observations[:n])
            self.assertEqual((decision.verdict, decision.block, decision.needs, decision.pairs),
                             (MORE, "first", needs, n))
            self.assertEqual(decision.estimate is None, n < 12)

    def test_what_comes_after_the_verdict_changes_nothing(self):
        decision = paired.decide(pairs(12) + pairs(20, loss=0.5))
        self.assertEqual((decision.verdict, decision.pairs), (PASS, 12))
        self.assertEqual(decision, paired.decide(pairs(12)))

    def test_one_wild_run_in_each_block_does_not_hide_a_loss(self):
        first, fresh = pairs(12, loss=0.12), pairs(12, loss=0.12, seed=2)
        first[3] -= 0.7
        fresh[8] += 0.7
        self.assertEqual(paired.decide(first, fresh).verdict, REGRESSION)

    def test_every_estimator(self):
        for estimator in ("hodges-lehmann", "median", "trimmed-30", "trimmed-20", "trimmed-10", "student"):
            rule = Rule(estimator, looks=(12, 24, 48))
            with self.subTest(estimator):
                self.assertEqual(paired.decide(pairs(12), rule=rule).verdict, PASS)
                self.assertEqual(paired.decide(pairs(12, loss=0.12), pairs(12, loss=0.12, seed=2),
                                               rule).verdict, REGRESSION)

    EARLY = Rule("hodges-lehmann", looks=(6, 12))

    def test_a_look_too_early_for_an_exact_bound(self):
        decision = paired.decide(pairs(12)[:6], rule=self.EARLY)
        self.assertEqual((decision.verdict, decision.lower, decision.upper), (MORE, -math.inf, math.inf))

    def test_another_tolerance(self):
        rule = Rule(tolerance=0.15)
        self.assertEqual(paired.decide(pairs(12, loss=0.12), rule=rule).verdict, PASS)

    def test_nonsense_is_refused(self):
        with self.assertRaisesRegex(ValueError, "finite"):
            paired.decide([0.0] * 5 + [math.nan])
        with self.assertRaisesRegex(ValueError, "not proven"):
            paired.decide(pairs(12), pairs(12))

    def test_every_verdict_has_its_figures(self):
        for blocks in ((pairs(12),), (pairs(12, loss=0.12), pairs(12, loss=0.12)), (pairs(48, 0.03, 0.03),)):
            decision = paired.decide(*blocks)
            found = json.loads(json.dumps(decision.as_dict(), allow_nan=False))
            for key in ("estimate", "lower", "upper", "smallest_visible_loss", "confidence"):
                self.assertIsInstance(found[key], float)
            line = paired.sentence(decision)
            self.assertTrue(line.startswith(decision.verdict))
            for word in ("against base", "bounds", "pairs", "could have seen"):
                self.assertIn(word, line)

    def test_no_bound_is_null(self):
        found = json.loads(json.dumps(paired.decide(pairs(12)[:6], rule=self.EARLY).as_dict(), allow_nan=False))
        self.assertEqual((found["lower"], found["looks"][0]["upper"]), (None, None))
        self.assertEqual(paired.decide([]).as_dict()["estimate"], None)


def slow(n: int, which, size: float = 0.5, **noise) -> list[float]:
    """Pairs in some of which head is slower by `size`, or faster by what makes up for it."""
    found = pairs(n, **noise)
    for i, sign in dict(which).items():
        found[i] += sign * math.log(1 - size)
    return found


class NowAndThen(unittest.TestCase):
    """A head that is slow in some of its runs, and as fast as base in the others."""

    def test_it_is_not_passed_before_it_was_looked_at_again(self):
        decision = paired.decide(slow(12, {3: 1}))
        self.assertEqual((decision.verdict, decision.block, decision.needs), (MORE, "first", 24))
        self.assertGreater(decision.lower, -0.03)
        self.assertEqual((decision.looks[0].far_below, decision.looks[0].far_above), (1, 0))
        self.assertEqual(paired.decide(slow(12, {3: 1, 5: -1, 8: -1})).verdict, PASS)

    def test_one_wild_pair_of_a_whole_sitting_is_no_doubt(self):
        decision = paired.decide(slow(48, {3: 1}))
        self.assertEqual((decision.verdict, decision.pairs), (PASS, 48))

    def test_a_quarter_of_the_runs_at_half_the_speed_is_a_regression(self):
        first = slow(48, dict.fromkeys(range(0, 48, 4), 1))
        decision = paired.decide(first)
        self.assertEqual((decision.verdict, decision.block, decision.needs), (MORE, "confirmation", 12))
        self.assertIn("slower now and then, by more than 15%", decision.reasons[0])
        decision = paired.decide(first, slow(48, dict.fromkeys(range(1, 48, 4), 1), seed=2))
        self.assertEqual((decision.verdict, decision.by), (REGRESSION, "tails"))
        self.assertIn("(sign test: 12 far below the median, 0 far above)", decision.reasons[0])
        self.assertLessEqual(decision.p_value, 0.01 * 0.05)
        self.assertAlmostEqual(decision.estimate, 0.0, delta=0.02)

    def test_fresh_pairs_that_do_not_confirm_it(self):
        first = slow(48, dict.fromkeys(range(0, 48, 4), 1))
        self.assertEqual(paired.decide(first, pairs(12)).verdict, MORE)  # which a typical run cannot disprove
        decision = paired.decide(first, pairs(48))
        self.assertEqual((decision.verdict, decision.by), (INCONCLUSIVE, None))
        self.assertIn("48 fresh ones do not confirm it", decision.reasons[0])

    def test_a_typical_loss_does_not_confirm_it(self):
        first = slow(48, dict.fromkeys(range(0, 48, 4), 1))
        self.assertEqual(paired.decide(first, pairs(48, loss=0.12)).verdict, INCONCLUSIVE)

    def test_more_than_chance_does_and_less_than_proof_is_inconclusive(self):
        decision = paired.decide(slow(48, dict.fromkeys(range(0, 48, 8), 1)))
        self.assertEqual((decision.verdict, decision.pairs), (INCONCLUSIVE, 48))
        self.assertIn("after 48 pairs that head is slower now and then, by more than 15%, is neither excluded nor proven "
                      "(sign test: 6 far below the median, 0 far above)", decision.reasons[0])

    def test_wild_noise_on_both_sides_is_none(self):
        for n in (12, 48):
            wild = {i: 1 if i % 8 == 1 else -1 for i in range(1, n, 4)} | {2: -1, 3: -1}
            self.assertEqual(paired.decide(slow(n, wild)).verdict, PASS)


class LostPackets(unittest.TestCase):
    """Where there is time to spare."""

    def decide(self, first, fresh=(), n: int = 12):
        lost = {"first": first} | ({"confirmation": fresh} if len(fresh) else {})
        return paired.decide(pairs(n), pairs(len(fresh), seed=2), lost=lost)

    def test_a_rise_is_a_regression_though_the_speed_keeps_the_tolerance(self):
        decision = self.decide([0.004] * 12)
        self.assertEqual((decision.verdict, decision.block), (MORE, "confirmation"))
        decision = self.decide([0.004] * 12, [0.004] * 12)
        self.assertEqual((decision.verdict, decision.by), (REGRESSION, "packets"))
        self.assertIn("that head loses more packets, by more than 0.1% of all, is proven by 12 pairs (sign test: in 12 of 12)",
                      decision.reasons[0])
        self.assertLessEqual(decision.p_value, 0.01 * 0.05)
        self.assertGreater(decision.lower, -0.03)

    def test_a_pair_or_two_that_the_machine_disturbed_do_not_hide_it(self):
        lost = [0.004] * 48
        lost[3], lost[9] = -0.3, 0.0
        self.assertEqual(self.decide(lost, lost, 48).by, "packets")

    def test_a_rise_of_no_more_than_a_thousandth_passes(self):
        for rise in (0.0, 0.001, -0.02):
            self.assertEqual(self.decide([rise] * 12).verdict, PASS)

    def test_fresh_pairs_that_do_not_confirm_it(self):
        self.assertEqual(self.decide([0.004] * 12, [0.0] * 48).verdict, INCONCLUSIVE)

    def test_half_of_the_pairs_are_not_passed_before_they_were_looked_at_again(self):
        lost = [0.004, 0.0] * 24
        self.assertEqual(self.decide(lost[:12]).needs, 24)
        self.assertEqual(self.decide(lost, n=48).verdict, PASS)
        self.assertIn("loses more packets", self.decide([0.004, 0.004, 0.0] * 16, n=48).reasons[0])

    def test_a_rise_that_is_exactly_allowed_is_seldom_claimed(self):
        """As often above as below, with tails that no mean would bear."""
        rng, claimed = np.random.default_rng(5), 0
        for _ in range(500):
            lost = 0.001 + 0.01 * rng.standard_cauchy(48)
            claimed += paired.examine("first", np.array(pairs(48)), lost, 0.01, paired.RULE)[0] == "packets"
        self.assertLessEqual(claimed / 500, 0.002 + 3 * math.sqrt(0.002 / 500))

    def test_losses_of_other_pairs_are_refused(self):
        with self.assertRaisesRegex(ValueError, "12 pairs, but the losses of 3"):
            self.decide([0.0] * 3)
        with self.assertRaisesRegex(ValueError, "finite"):
            self.decide([math.nan] * 12)


class VisibleLoss(unittest.TestCase):
    def test_above_the_tolerance_and_grows_with_the_noise(self):
        losses = [paired.visible_loss(np.array(pairs(48, noise=noise)), paired.RULE)
                  for noise in (0.0, 0.01, 0.02, 0.04)]
        self.assertAlmostEqual(losses[0], 0.03)
        self.assertEqual(losses, sorted(losses))
        self.assertLess(losses[-1], 0.08)

    def test_such_a_loss_is_found_in_95_of_100_sittings(self):
        noise, sittings = np.random.default_rng(3), 1200
        for pairs_at_hand in paired.RULE.looks:
            found = 0
            for _ in range(sittings):
                seen = paired.visible_loss(0.05 * noise.standard_normal(pairs_at_hand), paired.RULE)
                fresh = 0.05 * noise.standard_normal(48) + math.log(1 - seen)
                found += paired.examine("first", fresh, np.array([]), 0.01, paired.RULE)[0] == "speed"
            with self.subTest(pairs_at_hand):
                self.assertGreaterEqual(found / sittings, 0.931)  # three standard errors

    def test_fewer_pairs_know_less_of_the_noise(self):
        rule = paired.RULE
        series = np.tile(pairs(12, noise=0.02), 4)
        losses = [paired.visible_loss(series[:n], rule) for n in (12, 24, 48)]
        self.assertEqual(losses, sorted(losses, reverse=True))


class PValue(unittest.TestCase):
    def test_within_the_error_exactly_when_a_loss_is_proven(self):
        for loss in np.linspace(0.02, 0.08, 25):
            told, _, looks = paired.examine("first", np.array(pairs(48, loss, 0.03)), np.array([]), 0.01, paired.RULE)
            self.assertEqual(told == "speed", paired.block_p_value(looks, "speed", paired.RULE) <= 0.006)

    def test_falls_with_the_loss(self):
        found = [paired.decide(pairs(12, loss), pairs(12, loss, seed=2)).p_value for loss in (0.1, 0.15, 0.3)]
        self.assertEqual(found, sorted(found, reverse=True))


class Machine(unittest.TestCase):
    def fit(self, controls, base=(), blocks=None) -> paired.Decision:
        return paired.fit(paired.decide(*(blocks or (pairs(12),))), controls, base)

    def test_steady(self):
        decision = paired.decide(pairs(12))
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
        lost = (pairs(12, 0.12), pairs(12, 0.12))
        self.assertEqual(paired.decide(*lost).verdict, REGRESSION)
        decision = self.fit([600_000, 500_000], blocks=lost)
        self.assertEqual((decision.verdict, decision.p_value), (UNFIT, 1.0))

    def test_generator_is_the_limit(self):
        decision = self.fit([600_000] * 6, [560_000] * 6)
        self.assertEqual(decision.verdict, UNFIT)
        self.assertIn("the generator is the limit, this scenario cannot show", decision.reasons[0])
        self.assertEqual(self.fit([600_000] * 6, [539_000] * 6).verdict, PASS)

    def test_a_loss_proven_in_spite_of_the_limit_stands(self):
        lost = (pairs(12, 0.3), pairs(12, 0.3))
        self.assertEqual(self.fit([600_000] * 6, [590_000] * 6, lost).verdict, REGRESSION)

    def test_a_control_without_a_rate_is_refused(self):
        for rate in (0.0, -1.0, float("inf"), float("nan")):
            with self.assertRaisesRegex(ValueError, "not a positive"):
                self.fit([600_000, rate])


class Scenarios(unittest.TestCase):
    def lost(self, loss: float) -> paired.Decision:
        return paired.decide(pairs(12, loss), pairs(12, loss, seed=2))

    def test_a_few_scenarios_keep_their_verdicts(self):
        decisions = {"a": self.lost(0.1), "b": paired.decide(pairs(12)), "c": self.lost(0.12),
                     "d": paired.decide(pairs(48, 0.03, 0.03))}
        decisions = {name: decision.as_dict() for name, decision in decisions.items()}
        self.assertEqual(paired.share_out(decisions), decisions)
        self.assertEqual(paired.share_out({}), {})

    def test_what_chance_does_among_many_is_inconclusive(self):
        losses = [loss for loss in np.arange(0.03, 0.08, 0.0005) if paired.decide(pairs(12, loss)).needs == 12
                  and paired.decide(pairs(12, loss)).block == "confirmation"]
        weak = next(found for loss in losses if (found := self.lost(loss)).verdict == REGRESSION)
        self.assertGreater(weak.p_value, 0.005 / 40)
        decisions = {"weak": weak, "strong": self.lost(0.3)}
        decisions |= {str(i): paired.decide(pairs(12)) for i in range(40)}
        final = paired.share_out({name: decision.as_dict() for name, decision in decisions.items()})
        self.assertEqual((final["weak"]["verdict"], final["strong"]["verdict"]), (INCONCLUSIVE, REGRESSION))
        self.assertIn("within what chance does", final["weak"]["reasons"][-1])
        self.assertEqual(final["weak"]["estimate"], weak.estimate)

    def test_ten_scenarios_lose_nothing_by_it(self):
        rule = paired.RULE
        self.assertLessEqual(rule.error * rule.confirmation_error, paired.FAMILY_ERROR / 10 + 1e-12)

    def test_not_before_all_are_measured(self):
        with self.assertRaisesRegex(ValueError, "no verdict yet: b"):
            paired.share_out({"a": paired.decide(pairs(12)).as_dict(), "b": paired.decide(pairs(11)).as_dict()})


if __name__ == "__main__":
    unittest.main()
