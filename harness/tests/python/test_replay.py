import copy
import json
import math
import tempfile
import unittest
from pathlib import Path

import numpy as np

from harness.result.documents import Faulty
from harness.selftest import replay
from harness.tests.python.noise import synthetic
from harness.tests.python.support import HARNESS
from harness.verdict.paired import paired

LOSSES = (0.0, 0.03, 0.06, 0.10, 0.20)


class Format(unittest.TestCase):
    def test_what_is_recorded_is_read(self):
        for metric, sign in (("egress_pps", 1), ("cpu_ns_per_packet", -1)):
            recorded = synthetic(60, metric=metric)
            noise = replay.parse("x", recorded)
            self.assertEqual((noise.scenario, noise.metric, len(noise.values)), ("fanout-3", metric, 60))
            self.assertEqual(noise.log_speed()[7], sign * math.log(recorded["runs"][7]["value"]))

    def test_a_run_may_lack_its_control(self):
        recorded = synthetic(60)
        for run in recorded["runs"][::2]:
            run["control"] = None
        self.assertEqual(len(replay.parse("x", recorded).controls), 30)

    def test_each_mistake_is_named_with_its_place(self):
        def change(*path):
            *way, last, value = path
            def apply(recorded):
                for step in way:
                    recorded = recorded[step]
                if value is KeyError:
                    del recorded[last]
                else:
                    recorded[last] = value
            return apply

        for apply, message in (
                (change("schema", 2), "schema is 2, not 1"),
                (change("profile", "x"), "profile is not an object"),
                (change("scenario", ""), "scenario is not a name"),
                (change("metric", []), r"metric is \[\], not one of"),
                (change("metric", "pps"), 'metric is "pps", not one of egress_pps, cpu_ns_per_packet'),
                (change("runs", {}), "runs is not a list"),
                (change("runs", []), "0 runs, at least 48 are needed"),
                (change("metric", KeyError), "x lacks metric"),
                (change("extra", 1), "x has unknown extra"),
                (change("runs", 3, 7), r"runs\[3\] is not an object"),
                (change("runs", 3, "value", KeyError), r"runs\[3\] lacks value"),
                (change("runs", 3, "pps", 1), r"runs\[3\] has unknown pps"),
                (change("runs", 3, "value", 0), r"runs\[3\].value is 0, not a positive"),
                (change("runs", 3, "value", "7"), r'runs\[3\].value is "7", not a positive'),
                (change("runs", 3, "value", True), r"runs\[3\].value is true"),
                (change("runs", 3, "value", math.nan), r"runs\[3\].value is NaN"),
                (change("runs", 3, "control", -1), r"runs\[3\].control is -1"),
                (change("runs", 3, "utc", "noon"), r'runs\[3\].utc is "noon", not a time'),
                (change("runs", 3, "utc", 5), r"runs\[3\].utc is 5, not a time"),
                (change("runs", 3, "utc", "2026-11-20T12:00:12"), r"runs\[3\].utc: some times name"),
                (change("runs", 3, "utc", "2026-11-20T11:00:00Z"), r"runs\[3\].utc is earlier")):
            with self.subTest(message):
                recorded = copy.deepcopy(RECORDED)
                apply(recorded)
                with self.assertRaisesRegex(Faulty, message):
                    replay.parse("x", recorded)

    def test_files(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "noise.json"
            path.write_text(json.dumps(RECORDED))
            self.assertEqual(replay.load(path).name, str(path))
            path.write_text("{")
            for wrong in (path, Path(folder) / "missing"):
                with self.assertRaisesRegex(Faulty, str(wrong)):
                    replay.load(wrong)


RECORDED = synthetic(60)


class Resampling(unittest.TestCase):
    def test_neighbours_stay_neighbours(self):
        series = np.arange(100.0)
        rows = replay.resample(series, 192, 50, np.random.default_rng(1))
        self.assertEqual(rows.shape, (50, 192))
        steps = np.diff(rows, axis=1)
        inside = np.arange(191) % replay.BLOCK_RUNS != replay.BLOCK_RUNS - 1
        self.assertTrue((steps[:, inside] == 1).all())
        self.assertTrue((steps[:, ~inside] != 1).any())
        self.assertEqual((rows.min(), rows.max()), (0, 99))

    def test_length_that_is_no_whole_number_of_stretches(self):
        rows = replay.resample(np.arange(100.0), 30, 5, np.random.default_rng(1))
        self.assertEqual(rows.shape, (5, 30))

    def test_observations_follow_the_order_of_the_gate(self):
        speeds = np.log([[10.0, 11.0, 12.0, 10.0]])  # base head head base
        np.testing.assert_allclose(replay.observations(speeds), [[math.log(1.1), math.log(1.2)]])

    def test_bursts(self):
        speeds = replay.add_bursts(np.zeros((1000, 100)), 0.05, 0.20, np.random.default_rng(1))
        self.assertAlmostEqual((speeds < 0).mean(), 0.05, delta=0.003)
        np.testing.assert_allclose(np.unique(speeds), [math.log(0.8), 0.0])


class SameAsTheGate(unittest.TestCase):
    """The replay decides many sittings at once; each must end as paired.decide() ends it."""

    def decide(self, observations, rule):
        """As bench does it: asks for pairs until there is a verdict."""
        first, fresh, rest = [], [], list(observations)
        while (decision := paired.decide(first, fresh, rule)).verdict == paired.MORE:
            block = first if decision.block == "first" else fresh
            while len(block) < decision.needs:
                block.append(rest.pop(0))
        return decision

    def test_every_candidate(self):
        noise = replay.parse("x", synthetic(sd=0.035))
        rng = np.random.default_rng(5)
        for name, rule in replay.CANDIDATES.items():
            speeds = replay.resample(noise.log_speed(), 2 * replay.pairs_needed(rule), 12, rng)
            sittings = replay.observations(replay.add_bursts(speeds, 0.05, 0.2, rng))
            sittings[8:] = replay.slow_now_and_then(sittings[8:], 0.3, 0.5, rng)
            for loss, found in zip(LOSSES, replay.replay(sittings, LOSSES, rule)):
                for i, sitting in enumerate(sittings):
                    with self.subTest(name, loss=loss, sitting=i):
                        decision = self.decide(sitting + math.log(1 - loss), rule)
                        self.assertEqual(
                            (decision.verdict, decision.pairs),
                            (replay.VERDICTS[found["verdict"][i]], found["pairs"][i]))
                        self.assertEqual("do not confirm" in decision.reasons[0], found["unconfirmed"][i])

    def test_many_sittings_are_no_different_from_few(self):
        sittings = 0.05 * np.random.default_rng(1).standard_normal((2500, 96))
        whole = replay.replay(sittings, LOSSES, paired.RULE)
        half = replay.replay(sittings[:1234], LOSSES, paired.RULE)
        for a, b in zip(whole, half):
            for key in a:
                np.testing.assert_array_equal(a[key][:1234], b[key])


class Promises(unittest.TestCase):
    """The rule in force, on noise that is worse than that of twins usually is."""

    def sittings(self, **kind) -> np.ndarray:
        noise = replay.parse("x", synthetic(1000, **kind))
        return replay.observations(replay.resample(noise.log_speed(), 192, 2000, np.random.default_rng(9)))

    def share(self, sittings: np.ndarray, loss: float, verdict: str) -> float:
        found, = replay.replay(sittings, (loss,), paired.RULE)
        return float((found["verdict"] == replay.VERDICTS.index(verdict)).mean())

    KINDS = ({"sd": 0.02}, {"sd": 0.01, "bursts": 0.05}, {"sd": 0.01, "levels": 0.05}, {"sd": 0.02, "memory": 0.8})

    def test_no_false_alarm_and_seldom_inconclusive(self):
        for kind in self.KINDS:
            with self.subTest(kind):
                sittings = self.sittings(**kind)
                self.assertLessEqual(self.share(sittings, 0.0, paired.REGRESSION), 0.005)
                self.assertLessEqual(self.share(sittings, 0.0, paired.INCONCLUSIVE), 0.10)

    def test_a_loss_of_six_percent_is_found(self):
        for kind in self.KINDS:
            with self.subTest(kind):
                self.assertGreaterEqual(self.share(self.sittings(**kind), 0.06, paired.REGRESSION), 0.95)

    def test_a_loss_of_just_the_tolerance_seldom_passes(self):  # 1 %, and three standard errors
        for kind in self.KINDS:
            with self.subTest(kind):
                self.assertLessEqual(self.share(self.sittings(**kind), 0.03, paired.PASS), 0.017)

    def test_half_the_speed_in_a_quarter_of_the_runs_seldom_passes(self):
        for kind in self.KINDS:
            with self.subTest(kind):
                slow = replay.slow_now_and_then(self.sittings(**kind), 0.25, 0.5, np.random.default_rng(4))
                self.assertLessEqual(self.share(slow, 0.0, paired.PASS), 0.10)

    def test_nor_does_it_in_what_was_recorded(self):
        for path in sorted((HARNESS / "selftest/noise").glob("*-*.json")):
            with self.subTest(path.name):
                noise, rng = replay.load(path), np.random.default_rng(4)
                sittings = replay.observations(replay.resample(noise.log_speed(), 192, 2000, rng, noise.twins))
                self.assertLessEqual(self.share(replay.slow_now_and_then(sittings, 0.25, 0.5, rng), 0.0, paired.PASS), 0.10)
                self.assertLessEqual(self.share(sittings, 0.0, paired.REGRESSION), 0.005)


class Twins(unittest.TestCase):
    def test_pairs_stay_the_pairs_that_they_were(self):
        series = np.repeat(np.arange(60.0), 2)  # both runs of a pair alike, no two pairs
        kept = replay.resample(series, 48, 200, np.random.default_rng(1), twins=True)
        self.assertEqual(np.abs(replay.observations(kept)).max(), 0.0)
        mixed = replay.resample(series, 48, 200, np.random.default_rng(1))
        self.assertGreater(np.abs(replay.observations(mixed)).max(), 0.0)

    def test_every_stretch_can_be_drawn(self):
        starts = {int(row[0]) for row in replay.resample(np.arange(48.0), 24, 500, np.random.default_rng(1), twins=True)}
        self.assertEqual(starts, set(range(0, 25, 2)))

    def test_how_long_a_pair_takes_is_read_off_the_times(self):
        self.assertAlmostEqual(replay.parse("x", synthetic(100)).pair_seconds, 8.0)
        self.assertAlmostEqual(replay.parse("x", synthetic(101)).pair_seconds, 8.0)

    def test_twins_is_said_or_it_is_no_noise_file(self):
        for damage in ({}, {"twins": "yes"}, {"twins": None}):
            noise = {key: value for key, value in synthetic(100).items() if key != "twins"} | damage
            with self.subTest(damage), self.assertRaisesRegex(Faulty, "twins"):
                replay.parse("x", noise)


class Description(unittest.TestCase):
    def test_figures(self):
        found = replay.describe(replay.parse("x", synthetic(2000, sd=0.03, memory=0.5, bursts=0, drift=0)))
        self.assertAlmostEqual(found["sd"], 0.03, delta=0.003)
        self.assertAlmostEqual(found["pair_sd"], 0.03, delta=0.003)  # 0.03 * sqrt(2 (1 - 0.5))
        self.assertAlmostEqual(found["autocorrelation"], 0.5, delta=0.1)
        self.assertEqual(set(found["unfit"]), set(paired.RULE.looks))
        self.assertLess(max(found["unfit"].values()), 0.05)

    def test_unfit_stretches(self):
        recorded = synthetic(100)
        for i, run in enumerate(recorded["runs"]):
            run["control"] = 700_000.0 if i < 50 else 600_000.0
        found = replay.describe(replay.parse("x", recorded))["unfit"]
        self.assertAlmostEqual(found[12], 5 / 95)   # 6 controls: the step is in 5 of 95 series
        self.assertAlmostEqual(found[48], 21 / 77)  # 24: one control on either side of the step is left out
        for i, run in enumerate(recorded["runs"]):
            run["control"] = 700_000.0 if i == 0 else None
        self.assertIsNone(replay.describe(replay.parse("x", recorded))["unfit"][12])


if __name__ == "__main__":
    unittest.main()
