"""Recorded noise, replayed through the paired gate's rules: how often would it be right?

Noise is a series of runs of one build, so every difference between them is noise. A replayed sitting is put
together from stretches of consecutive runs, so that drifts and bursts stay as they were; its runs get the
roles of base and head in the order of the gate, and head a known loss. Whole sittings are rows of an array:
estimators follow a shift exactly, so each sitting's bounds are computed once and serve for every loss.
tests/python/test_replay.py holds this against paired.decide(), sitting by sitting.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isfinite, log
from pathlib import Path

import numpy as np

from harness.result.documents import Faulty
from harness.verdict import stats
from harness.verdict.outcome import INCONCLUSIVE, PASS, REGRESSION
from harness.verdict.paired import paired
from harness.verdict.paired.paired import Rule

BLOCK_RUNS = 24   # of a stretch: 12 pairs, a minute or two
AT_A_TIME = 1000  # sittings; the Walsh averages of 48 pairs of each then take 9 MiB
VERDICTS = (PASS, REGRESSION, INCONCLUSIVE)
TOLD = (None, PASS, paired.SPEED, paired.TAILS)  # of a look; lost packets were not recorded

CANDIDATES = {name: Rule(name) for name in stats.ESTIMATORS}  # the rule in force with every estimator


@dataclass(frozen=True)
class Noise:
    name: str
    profile: dict
    scenario: str
    metric: str
    first_utc: str
    last_utc: str
    values: np.ndarray
    controls: np.ndarray  # those that were taken
    twins: bool           # the runs of a pair were made at the same time
    pair_seconds: float   # that a pair took, its share of the controls included

    def log_speed(self) -> np.ndarray:
        """More is faster, whatever the metric."""
        return paired.METRICS[self.metric] * np.log(self.values)


def require_keys(where: str, found, keys: set[str], optional: frozenset[str] = frozenset()) -> None:
    if not isinstance(found, dict):
        raise Faulty(f"{where} is not an object")
    for what, names in (("lacks", keys - found.keys()), ("has unknown", found.keys() - keys - optional)):
        if names:
            raise Faulty(f"{where} {what} {', '.join(sorted(names))}")


def positive(where: str, value) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not (isfinite(value) and value > 0):
        raise Faulty(f"{where} is {json.dumps(value)}, not a positive number")
    return float(value)


def when(where: str, value) -> datetime:
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise Faulty(f"{where} is {json.dumps(value)}, not a time like 2026-11-20T15:34:54Z") from None


def parse(name: str, found) -> Noise:
    """The recorded series, or Faulty with the place and what is wrong there."""
    require_keys(name, found, {"schema", "profile", "scenario", "metric", "runs", "twins"}, frozenset({"pair_seconds"}))
    if found["schema"] != 1:
        raise Faulty(f"{name}: schema is {json.dumps(found['schema'])}, not 1")
    if not isinstance(found["profile"], dict):
        raise Faulty(f"{name}: profile is not an object")
    if not isinstance(found["scenario"], str) or not found["scenario"]:
        raise Faulty(f"{name}: scenario is not a name")
    if not isinstance(found["metric"], str) or found["metric"] not in paired.METRICS:
        raise Faulty(f"{name}: metric is {json.dumps(found['metric'])}, "
                       f"not one of {', '.join(paired.METRICS)}")
    if not isinstance(found["twins"], bool):
        raise Faulty(f"{name}: twins is {json.dumps(found['twins'])}, neither true nor false")
    if not isinstance(found["runs"], list):
        raise Faulty(f"{name}: runs is not a list")
    if len(found["runs"]) < 2 * BLOCK_RUNS:
        raise Faulty(f"{name}: {len(found['runs'])} runs, at least {2 * BLOCK_RUNS} are needed")
    times, values, controls = [], [], []
    for i, run in enumerate(found["runs"]):
        where = f"{name}: runs[{i}]"
        require_keys(where, run, {"utc", "value", "control"}, frozenset({"latency_ns"}))
        times.append(when(f"{where}.utc", run["utc"]))
        if i and (times[-1].tzinfo is None) != (times[-2].tzinfo is None):
            raise Faulty(f"{where}.utc: some times name their zone, some do not")
        if i and times[-1] < times[-2]:
            raise Faulty(f"{where}.utc is earlier than the run before; the order of the runs must be kept")
        values.append(positive(f"{where}.value", run["value"]))
        if run["control"] is not None:
            controls.append(positive(f"{where}.control", run["control"]))
    last_pair = (len(times) - 2) // 2
    pair_seconds = found.get("pair_seconds", (times[2 * last_pair] - times[0]).total_seconds() / last_pair)
    return Noise(name, found["profile"], found["scenario"], found["metric"], found["runs"][0]["utc"],
                 found["runs"][-1]["utc"], np.array(values), np.array(controls), found["twins"],
                 positive(f"{name}: pair_seconds", pair_seconds))


def load(path: Path) -> Noise:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise Faulty(f"{path}: {error}") from error
    return parse(str(path), found)


def resample(series: np.ndarray, runs: int, sittings: int, rng: np.random.Generator, twins: bool = False) -> np.ndarray:
    """Sittings of so many runs, each of random stretches of BLOCK_RUNS consecutive ones. Pairs do not
    reach over the end of a stretch, which is even; those of twins stay the pairs that they were."""
    stretches, step = -(-runs // BLOCK_RUNS), 2 if twins else 1
    starts = step * rng.integers(0, (len(series) - BLOCK_RUNS) // step + 1, (sittings, stretches, 1))
    return series[starts + np.arange(BLOCK_RUNS)].reshape(sittings, -1)[:, :runs]


def add_bursts(speeds: np.ndarray, probability: float, slowdown: float,
               rng: np.random.Generator) -> np.ndarray:
    """Each run is slowed with this probability, as by a neighbour on the machine."""
    return speeds + log(1.0 - slowdown) * (rng.random(speeds.shape) < probability)


def slow_now_and_then(sittings: np.ndarray, probability: float, slowdown: float, rng: np.random.Generator) -> np.ndarray:
    """Observations of a head that is slower by `slowdown` in some of its runs."""
    return sittings + log(1.0 - slowdown) * (rng.random(sittings.shape) < probability)


def observations(speeds: np.ndarray) -> np.ndarray:
    """ln(head / base) of each two runs, in paired.order()."""
    couples = speeds.reshape(*speeds.shape[:-1], -1, 2)
    head_is_second = [1 if paired.order(pair)[1] == "head" else -1 for pair in range(couples.shape[-2])]
    return (couples[..., 1] - couples[..., 0]) * np.array(head_is_second)


def pairs_needed(rule: Rule) -> int:
    """The longest sitting: both blocks to their last looks."""
    return 2 * rule.looks[-1]


class Block:
    """The bounds of many sittings' block, starting `after` pairs, at all looks; and how likely chance is to leave as many
    pairs far below as there are."""

    def __init__(self, sittings: np.ndarray, after: int, error: float, rule: Rule):
        estimator = stats.ESTIMATORS[rule.estimator]
        self.looks = []
        for pairs, share in zip(rule.looks, rule.shares()):
            samples = sittings[:, after:after + pairs]
            _, lower, upper = estimator.bounds(samples, 1.0 - error * share * paired.SPLIT[paired.SPEED])
            below, above = stats.far_off(samples, -log(1.0 - paired.FAR))
            tails = stats.sign_p(below, below + above)
            doubted = tails <= (paired.DOUBT if pairs == rule.looks[-1] else paired.HELD_BACK)
            self.looks.append((pairs, lower, upper, doubted, tails <= error * share * paired.SPLIT[paired.TAILS]))

    def tell(self, limit: float, tests: Sequence[str] = paired.TESTS) -> tuple[np.ndarray, np.ndarray]:
        """Of each sitting (index in TOLD, pairs)."""
        told = np.zeros(len(self.looks[0][1]), dtype=int)
        pairs = np.full(len(told), self.looks[-1][0])
        for n, lower, upper, doubted, tails in self.looks:
            found = np.zeros_like(told)
            if paired.TAILS in tests:
                found[tails] = TOLD.index(paired.TAILS)
            if paired.SPEED in tests:
                found[(found == 0) & (lower > limit) & ~(doubted & (paired.TAILS in tests))] = TOLD.index(PASS)
                found[upper < limit] = TOLD.index(paired.SPEED)
            now = (told == 0) & (found != 0)
            told[now], pairs[now] = found[now], n
        return told, pairs


def replay(sittings: np.ndarray, losses: Sequence[float], rule: Rule) -> list[dict[str, np.ndarray]]:
    """For each loss: `verdict` (index in VERDICTS) and `pairs` of every sitting, and whether it ended
    `unconfirmed`. sittings: observations without a loss, pairs_needed() of each."""
    parts = [replay_some(sittings[i:i + AT_A_TIME], losses, rule)
             for i in range(0, len(sittings), AT_A_TIME)]
    return [{key: np.concatenate([part[i][key] for part in parts]) for key in parts[0][i]}
            for i in range(len(losses))]


def replay_some(sittings: np.ndarray, losses: Sequence[float], rule: Rule) -> list[dict[str, np.ndarray]]:
    first = Block(sittings, 0, rule.error, rule)
    fresh = {}  # confirmation by the look that asked for it: its pairs follow those
    found = []
    for loss in losses:
        limit = rule.limit - log(1.0 - loss)  # to shift the limit up is to shift all samples down
        told, told_after = first.tell(limit, rule.tests)
        pairs = told_after.copy()
        verdict = np.where(told == TOLD.index(PASS), 0, 2)
        unconfirmed = np.zeros(len(told), dtype=bool)
        for after in rule.looks:
            for test in (paired.SPEED, paired.TAILS):
                lost = np.flatnonzero((told == TOLD.index(test)) & (told_after == after))
                if not len(lost):
                    continue
                if after not in fresh:
                    fresh[after] = Block(sittings, after, rule.confirmation_error, rule)
                fresh_told, fresh_pairs = fresh[after].tell(limit, (test,))
                confirmed = fresh_told[lost] == TOLD.index(test)
                verdict[lost] = np.where(confirmed, 1, 2)
                unconfirmed[lost] = ~confirmed
                pairs[lost] += fresh_pairs[lost]
        found.append({"verdict": verdict, "pairs": pairs, "unconfirmed": unconfirmed})
    return found


def describe(noise: Noise) -> dict:
    """What the noise is like, and how often the controls would call the machine unfit."""
    speed = noise.log_speed()
    steps = observations(speed[:len(speed) // 2 * 2])
    centred = speed - speed.mean()
    return {
        "file": noise.name, "profile": noise.profile, "scenario": noise.scenario, "metric": noise.metric,
        "runs": len(speed), "twins": noise.twins, "pair_seconds": noise.pair_seconds, "first_utc": noise.first_utc, "last_utc": noise.last_utc,
        "sd": float(speed.std(ddof=1)), "pair_sd": float(steps.std(ddof=1)),
        "autocorrelation": float((centred[1:] * centred[:-1]).mean() / centred.var()) if centred.any() else 0.0,
        "controls": len(noise.controls), "unfit": {pairs: unfit(noise.controls, pairs) for pairs in paired.RULE.looks},
    }


def unfit(controls: np.ndarray, pairs: int) -> float | None:
    """Of all series of as many consecutive controls as stand beside so many pairs, the share for which the machine is
    unfit; None: there is no series that long."""
    beside = max(2, pairs // 2)
    found = [bool(paired.machine_reasons(controls[i:i + beside].tolist())) for i in range(len(controls) - beside + 1)]
    return float(np.mean(found)) if found else None
