"""mlrsearch.py: against the rules of RFC 9971, and against simulated devices whose capacity is known."""

import random
import unittest
from dataclasses import replace

from harness.verdict.capacity.mlrsearch import (LOWER, NDR, PDR, UNDECIDED, UPPER, Goal, Search, Trial, classify,
                                                conditional_throughput)

PATIENCE = 600  # trials; the searches below take 11 to 200


class Device:
    """Passes on `capacity` packets/s, give or take `noise` from trial to trial; less for so many seconds in the beginning (a warm-up),
    and less in the trial after one that offered a tenth too much."""

    def __init__(self, capacity: float, seed: int, noise: float = 0.0, warm_up_s: float = 0.0, hysteresis: float = 0.0):
        self.capacity, self.noise, self.warm_up_s, self.hysteresis = capacity, noise, warm_up_s, hysteresis
        self.random, self.seconds, self.overloaded = random.Random(seed), 0.0, False

    def trial(self, load: float, duration_s: float) -> float:
        capacity = self.capacity * (1.0 + self.random.gauss(0.0, self.noise))
        capacity *= (0.7 if self.seconds < self.warm_up_s else 1.0) * (1.0 - self.hysteresis * self.overloaded)
        self.overloaded, self.seconds = load > 1.1 * self.capacity, self.seconds + duration_s
        return max(0.0, 1.0 - capacity / load)


def searched(device: Device, *goals: Goal, most: float = 2e6) -> tuple[Search, int]:
    search = Search(goals, 1000.0, most)
    for count in range(PATIENCE):
        asked = search.next_trial()
        if asked is None:
            return search, count
        search.record(*asked, device.trial(*asked))
    raise AssertionError(f"no end after {PATIENCE} trials")


class Classification(unittest.TestCase):
    def kind(self, good: int, bad: int, goal: Goal = PDR, short: tuple[int, int] = (0, 0)) -> str:
        trials = [Trial(100.0, 1.0, 0.0)] * good + [Trial(100.0, 1.0, 0.5)] * bad
        trials += [Trial(100.0, 0.5, 0.0)] * short[0] + [Trial(100.0, 0.5, 0.5)] * short[1]
        return classify(trials, goal)

    def test_half_of_the_time_decides_whatever_is_still_to_come(self):
        for good, bad, expected in ((0, 0, UNDECIDED), (10, 0, UNDECIDED), (11, 0, LOWER), (11, 10, LOWER), (10, 10, UNDECIDED),
                                    (0, 10, UNDECIDED), (0, 11, UPPER), (10, 11, UPPER), (30, 29, LOWER), (29, 31, UPPER)):
            with self.subTest((good, bad)):
                self.assertEqual(self.kind(good, bad), expected)

    def test_trials_that_are_too_short_can_only_speak_against_a_load(self):
        self.assertEqual(self.kind(0, 0, short=(100, 0)), UNDECIDED)
        self.assertEqual(self.kind(0, 0, short=(0, 22)), UPPER)
        self.assertEqual(self.kind(0, 0, short=(22, 22)), UNDECIDED)  # as many good ones balance them

    def test_what_a_goal_forgives(self):
        trials = [Trial(100.0, 1.0, 0.005)] * 11
        self.assertEqual((classify(trials, PDR), classify(trials, NDR)), (LOWER, UPPER))

    def test_conditional_throughput_is_what_came_through_half_of_the_time(self):
        goal = replace(PDR, duration_sum_s=4.0)
        trials = [Trial(1000.0, 1.0, loss) for loss in (0.0, 0.1, 0.2, 0.3)]
        self.assertAlmostEqual(conditional_throughput(trials, goal), 900.0)
        self.assertEqual(conditional_throughput(trials[:1], goal), 0.0)  # of the rest nothing is known
        self.assertIsNone(conditional_throughput([Trial(1000.0, 0.5, 0.0)], goal))


class Devices(unittest.TestCase):
    def test_the_truth_is_found(self):
        for capacity in (5e3, 3.1e5, 1.234e6):
            for goal in (NDR, PDR):
                search, count = searched(Device(capacity, 1), goal)
                found = search.result(goal)
                truth = capacity / (1.0 - goal.loss_ratio)  # the load that loses just as much as it may
                with self.subTest((capacity, goal.name)):
                    self.assertTrue(found.complete)
                    self.assertLessEqual(found.lower, truth * (1.0 + 1e-9))
                    self.assertGreaterEqual(found.upper, truth)
                    self.assertLessEqual((found.upper - found.lower) / found.upper, goal.width * (1.0 + 1e-9))
                    self.assertAlmostEqual(found.throughput / capacity, 1.0, delta=goal.width)
                    self.assertLess(count, 200)

    def test_beside_noise_a_warm_up_and_hysteresis(self):
        for seed in range(10):
            for noise, more in ((0.005, {}), (0.02, {}), (0.005, {"warm_up_s": 3.0, "hysteresis": 0.1})):
                found = searched(Device(3.1e5, seed, noise, **more), PDR)[0].result(PDR)
                with self.subTest((seed, noise, more)):
                    self.assertTrue(found.complete)
                    self.assertAlmostEqual(found.throughput / 3.1e5, 1.0, delta=0.005 + noise)
                    self.assertAlmostEqual(found.lower / 3.1e5, 1.005, delta=0.005 + noise)

    def test_one_that_passes_on_all_that_can_be_offered(self):
        search, count = searched(Device(9e6, 1), PDR)
        found = search.result(PDR)
        self.assertEqual((found.lower, found.upper, found.complete, found.throughput), (2e6, None, True, 2e6))
        self.assertEqual(count, 11)

    def test_one_that_passes_on_nothing(self):
        search, _ = searched(Device(0.5, 1), PDR)
        found = search.result(PDR)
        self.assertEqual((found.lower, found.upper, found.complete), (None, 1000.0, True))

    def test_several_goals_share_their_trials(self):
        both, count = searched(Device(1e6, 7, 0.003), NDR, PDR)
        alone = sum(searched(Device(1e6, 7, 0.003), goal)[1] for goal in (NDR, PDR))
        self.assertLess(count, alone)
        self.assertLess(both.result(NDR).lower, both.result(PDR).lower)

    def test_bounds_that_it_has_when_time_is_over(self):
        device, search = Device(1e6, 3), Search([PDR], 1000.0, 2e6)
        for _ in range(30):
            asked = search.next_trial()
            search.record(*asked, device.trial(*asked))
        found = search.result(PDR)
        self.assertFalse(found.complete)
        self.assertGreater(found.upper or 2e6, 1e6)

    def test_what_is_no_trial_and_no_range(self):
        search = Search([PDR], 1.0, 2.0)
        for load, duration, loss in ((0.0, 1.0, 0.0), (1.0, 0.0, 0.0), (1.0, 1.0, 1.1), (1.0, 1.0, -0.1), (1.0, 1.0, float("nan"))):
            with self.assertRaises(ValueError):
                search.record(load, duration, loss)
        for least, most in ((0.0, 1.0), (2.0, 2.0), (3.0, 2.0)):
            with self.assertRaises(ValueError):
                Search([PDR], least, most)


if __name__ == "__main__":
    unittest.main()
