"""python3 -m harness.selftest.latency NOISE.json... [--sittings N] [--seed N]: what latency could be held to, in Markdown.

NOISE.json is what `bench noise single-hop-latency RUNS` has recorded: one program against itself, as twins whose packets are read. Of
each figure and each estimator its pairs are replayed as sittings (replay.py) of the rule in force (verdict/paired/latency.py):

  least rise   the smallest that could be allowed, so that CLEAR of all sittings without one pass
  in force     what is allowed; of sittings without a rise, how many pass and how many are false alarms
  found        of sittings in which head takes FOUND times as long as is allowed, how many end in REGRESSION
"""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from harness.report.tables import table
from harness.result.documents import Faulty
from harness.selftest import replay
from harness.verdict import stats
from harness.verdict.outcome import PASS, REGRESSION
from harness.verdict.paired import latency
from harness.verdict.paired.paired import Rule

CLEAR, FOUND = 0.95, 2.0
RISES = (0.05, 0.1, 0.15, 0.2, 0.25, 0.35, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 9.0)


def noise_of(path: Path, figure: str) -> replay.Noise:
    """The recording as one of this figure alone."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        runs = [{"utc": run["utc"], "value": run["latency_ns"][figure], "control": run["control"]} for run in found["runs"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Faulty(f"{path}: no recording of latency: {error!r}") from error
    return replay.parse(str(path), found | {"runs": runs})


def sittings_of(noise: replay.Noise, count: int, rule: Rule, rng: np.random.Generator) -> np.ndarray:
    return replay.observations(replay.resample(noise.log_speed(), 2 * replay.pairs_needed(rule), count, rng, noise.twins))


def shares(sittings: np.ndarray, rule: Rule, times: float) -> dict[str, float]:
    """Of sittings in which head takes `times` as long: the share of each verdict."""
    told = replay.replay(sittings, [1.0 - 1.0 / times], rule)[0]["verdict"]
    return {word: float(np.mean(told == i)) for i, word in enumerate(replay.VERDICTS)}


def allowing(rule: Rule, rise: float) -> Rule:
    return replace(rule, tolerance=rise / (1.0 + rise))


def least_rise(sittings: np.ndarray, rule: Rule) -> float | None:
    return next((rise for rise in RISES if shares(sittings, allowing(rule, rise), 1.0)[PASS] >= CLEAR), None)


def rows(path: Path, count: int, rng: np.random.Generator) -> list[list[str]]:
    found = []
    for figure in latency.FIGURES:
        noise = noise_of(path, figure.key)
        sittings = sittings_of(noise, count, figure.rule, rng)
        sd = float(sittings[:, 0].std())
        best = {name: least_rise(sittings, replace(figure.rule, estimator=name)) for name in stats.ESTIMATORS}
        same, worse = shares(sittings, figure.rule, 1.0), shares(sittings, figure.rule, 1.0 + FOUND * figure.rise)
        found.append([path.name, figure.title, f"{np.median(noise.values) / 1000:,.0f} us", f"{sd:.0%}",
                      *("more" if best[name] is None else f"{best[name]:.0%}" for name in stats.ESTIMATORS),
                      f"{figure.rise:.0%}", f"{same[PASS]:.1%}", f"{same[REGRESSION]:.2%}", f"{worse[REGRESSION]:.1%}"])
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("noise", nargs="+", type=Path, metavar="NOISE.json")
    parser.add_argument("--sittings", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    try:
        found = [row for path in args.noise for row in rows(path, args.sittings, rng)]
    except Faulty as fault:
        print(f"latency: {fault}", file=sys.stderr)
        return 1
    print(table(["noise", "figure", "median", "pairs vary by", *(f"least rise, {name}" for name in stats.ESTIMATORS), "allowed", "pass at 0",
                 "false alarms", f"found at {FOUND:g} times that"], found, True))
    return 0


if __name__ == "__main__":
    sys.exit(main())
