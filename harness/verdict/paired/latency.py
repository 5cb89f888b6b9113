"""The verdict of the paired gate on latency: did head let packets wait longer than base? Pure functions over what was measured.

Each pair of twins has receivers, and four figures: the median, two quantiles of the tail, and the longest wait of a typical second.
The mean of seconds shows none of what users of a relay call a glitch: a stall of 5 ms five times a second is 2.5 % of its time.

Each figure is a test of its own, by the rule of paired.py: an observation is -ln(head / base), positive where head is faster, the figure
may rise by RISES, and the figures share the error. RISES is what the noise of twins allows, not what users would like: quantiles of the
tail differ between two runs of one program, on a machine that others use as well, by their half. harness.selftest.latency replays
recorded noise, and says what each figure could be held to. A rise that is larger is proven within the first pairs.

The figures are asked together. One that has proven a rise asks for its confirmation, by fresh pairs, whatever the others say; without it
the sitting is INCONCLUSIVE, as it is when one is not told at the last look. PASS is what all of them say.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness.verdict.outcome import INCONCLUSIVE, MORE, PASS, REGRESSION
from harness.verdict.paired import paired
from harness.verdict.paired.paired import CONFIRMATION, FIRST, Decision, Rule
from harness.verdict.paired.pairs import waits_of

LOOKS = (8, 16)
ERROR = 0.01


@dataclass(frozen=True)
class Figure:
    key: str         # of latency_ns in a result.json
    title: str       # for people
    rise: float      # that is allowed: 1.0 is twice as long
    estimator: str

    @property
    def rule(self) -> Rule:
        """As a loss of speed: twice as long is half as fast."""
        tests = (paired.SPEED, paired.PACKETS) if self.key == "p50" else (paired.SPEED,)
        return Rule(estimator=self.estimator, tolerance=self.rise / (1.0 + self.rise), looks=LOOKS, error=ERROR / len(RISES), tests=tests)


RISES = {"p50": 0.25, "p99": 1.0, "p99_9": 2.0, "worst_of_second": 2.0}
FIGURES = tuple(Figure(key, title, RISES[key], "trimmed-20") for key, title in (
    ("p50", "half of the packets"), ("p99", "99 % of the packets"), ("p99_9", "99.9 % of the packets"),
    ("worst_of_second", "the slowest packet of a second")))


def observed(pairs: Sequence[dict]) -> dict[str, list[float]]:
    """The observations of each figure, of pairs of runs with receivers."""
    waits = [{who: waits_of(pair[who]) for who in ("base", "head")} for pair in pairs]
    return {figure.key: [paired.observation("latency", *(pair[who].get(figure.key, float("nan")) for who in ("base", "head")))
                         for pair in waits] for figure in FIGURES}


def rise(change: float | None) -> float | None:
    """A change of speed as one of waiting: half as fast is twice as long."""
    return None if change is None or change <= -1.0 else -change / (1.0 + change)


def decide(first: Mapping[str, Sequence[float]], confirmation: Mapping[str, Sequence[float]],
           lost: Mapping[str, Sequence[float]]) -> tuple[Decision, dict[str, Decision]]:
    """(what all figures come to, what each says). `first`, `confirmation`: the observations of each figure; `lost` as in paired.decide()."""
    found = {figure.key: one(figure, first[figure.key], confirmation[figure.key], lost) for figure in FIGURES}
    return combine(found), found


def one(figure: Figure, first: Sequence[float], confirmation: Sequence[float], lost: Mapping[str, Sequence[float]]) -> Decision:
    """One figure, which has nothing to confirm when it is another one that has proven a rise."""
    packets = paired.PACKETS in figure.rule.tests
    alone = paired.decide(first, (), figure.rule, {FIRST: lost[FIRST]} if packets and FIRST in lost else {})
    if alone.verdict == MORE and alone.block == CONFIRMATION:
        alone = paired.decide(first, confirmation, figure.rule, lost if packets else {})
    return replace(alone, reasons=tuple(f"{figure.title}: {said(reason, figure)}" for reason in alone.reasons))


def said(reason: str, figure: Figure) -> str:
    """paired.py speaks of a loss of speed."""
    tolerance = f"{figure.rule.tolerance * 100:g}%"
    for text, new in ((f"a loss of more than {tolerance}", f"a wait that is longer by more than {figure.rise:.0%}"),
                      (f"a loss of {tolerance}", f"a wait that is longer by {figure.rise:.0%}")):
        reason = reason.replace(text, new)
    return reason


def combine(found: Mapping[str, Decision]) -> Decision:
    """Of all figures, the one that speaks for them: the worst that is proven, then what is being confirmed, what was not confirmed,
    what needs more pairs, what stays open."""
    def of(*tests) -> list[Decision]:
        return [decision for decision in found.values() if all(test(decision) for test in tests)]

    proven = of(lambda d: d.verdict == REGRESSION)
    confirming = of(lambda d: d.verdict == MORE, lambda d: d.block == CONFIRMATION)
    unconfirmed = of(lambda d: d.verdict == INCONCLUSIVE, lambda d: d.block == CONFIRMATION)
    if proven:
        return replace(min(proven, key=lambda d: d.p_value), reasons=tuple(reason for d in proven for reason in d.reasons))
    if confirming:
        return max(confirming, key=lambda d: d.needs)
    if unconfirmed:
        return unconfirmed[0]
    if waiting := of(lambda d: d.verdict == MORE):
        return max(waiting, key=lambda d: d.needs)
    if still_open := of(lambda d: d.verdict == INCONCLUSIVE):
        return replace(still_open[0], reasons=tuple(reason for d in still_open for reason in d.reasons))
    decisions = list(found.values())
    return replace(decisions[0], verdict=PASS, pairs=max(d.pairs for d in decisions), reasons=(allowed(),))


def allowed() -> str:
    return "a wait that is longer is excluded, by these rises or more: " + ", ".join(
        f"{figure.title} {figure.rise:.0%}" for figure in FIGURES)
