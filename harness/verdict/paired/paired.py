"""The verdict of the paired gate: did head lose speed against base? Pure functions over what was measured.

An observation is ln(head / base) of two adjacent runs, one of each build, positive where head is faster. A
sitting goes like this:

  first block         looks after 6, 12, 24 and 48 pairs, until one of them tells
      lower bound above ln(1 - tolerance)   PASS: a loss of the tolerance or more is excluded
      upper bound below it                  a loss is proven: on to the confirmation
      neither, at the last look             INCONCLUSIVE
  confirmation        fresh pairs, judged by themselves, at the same looks
      upper bound below it                  REGRESSION
      anything else                         INCONCLUSIVE, and never another try

A sitting may be wrong about a loss of exactly the tolerance, the hardest case, with a probability of `error`
in the first block. The looks share it in proportion to the pairs that each adds (Bonferroni: the sum of the
parts is the whole, however the looks depend on each other). Looks that come early get little of it, which
costs a quiet machine nothing and leaves a noisy one the most for its last look. The confirmation is more
lenient, since both must agree: 1 % of 5 % is 0.05 %.
harness.selftest.power replays recorded noise through these rules; its report says why they are what they are.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from math import expm1, isfinite, log

import numpy as np

from harness.verdict import control, stats
from harness.verdict.outcome import INCONCLUSIVE, MORE, PASS, REGRESSION, UNFIT

FIRST, CONFIRMATION = "first", "confirmation"

METRICS = {"egress_pps": 1, "cpu_ns_per_packet": -1}  # 1: more is better, -1: less is

CONTROL_OUTER = 0.05   # of the controls on each side that the spread leaves out, from 20 on: a range only grows, and
                       # of 48 pairs beside which a neighbour woke once, none would count
POWER = 0.99           # of the bound in visible_loss()
FEWER = ((24, 1.2), (12, 1.25), (0, 1.35))  # from so many pairs on, but not all of them: what visible_loss() has to be
                                            # wider for that; by simulation, which tests/python/test_paired.py repeats
FAMILY_ERROR = 0.005   # of all scenarios together, see share_out()


@dataclass(frozen=True)
class Rule:
    estimator: str = "trimmed-30"
    tolerance: float = 0.05
    looks: tuple[int, ...] = (6, 12, 24, 48)
    error: float = 0.01
    confirmation_error: float = 0.05

    def __post_init__(self):
        if self.estimator not in stats.ESTIMATORS:
            raise ValueError(f"no estimator '{self.estimator}'; there are {', '.join(stats.ESTIMATORS)}")
        if not 0.0 < self.tolerance < 1.0:
            raise ValueError(f"tolerance {self.tolerance}: not between 0 and 1")
        if not self.looks or any(b <= a for a, b in zip((0,) + self.looks, self.looks)):
            raise ValueError(f"looks {self.looks}: not increasing")
        if any(pairs % 2 for pairs in self.looks):
            raise ValueError(f"looks {self.looks}: an odd number of pairs leaves the order unfinished")
        for value in (self.error, self.confirmation_error):
            if not 0.0 < value < 0.5:
                raise ValueError(f"error {value}: not between 0 and 0.5")

    @property
    def limit(self) -> float:
        return log(1.0 - self.tolerance)

    def shares(self) -> list[float]:
        """Of the error, what each look may spend; 1 in all."""
        return [(pairs - before) / self.looks[-1]
                for before, pairs in zip((0,) + self.looks, self.looks)]


RULE = Rule()


@dataclass(frozen=True)
class Look:
    block: str
    pairs: int         # of this block
    confidence: float  # of each of the two bounds alone
    estimate: float    # these three as a change of head against base: -0.1 is 10 % slower
    lower: float
    upper: float
    p_value: float     # of samples this low at a loss of no more than the tolerance, at this look alone


@dataclass(frozen=True)
class Decision:
    verdict: str
    reasons: tuple[str, ...]
    pairs: int                           # of all blocks
    estimate: float | None               # as in the last look; None before the first one
    lower: float | None
    upper: float | None
    confidence: float | None
    smallest_visible_loss: float | None  # this sitting could have seen: visible_loss()
    p_value: float                       # of the verdict REGRESSION; 1 for every other one
    block: str                           # what the last look was at; with MORE, what needs more pairs
    needs: int                           # with MORE: pairs of that block at its next look
    looks: tuple[Look, ...]

    def as_dict(self) -> dict:
        """For JSON, which knows no infinity: a bound that is not there is null."""
        def finite(value):
            if isinstance(value, dict):
                return {key: finite(item) for key, item in value.items()}
            if isinstance(value, (list, tuple)):
                return [finite(item) for item in value]
            return None if isinstance(value, float) and not isfinite(value) else value
        return finite(asdict(self))


def order(pair: int) -> tuple[str, str]:
    """Who runs first and second in a pair, counted from 0 over the whole sitting. Two pairs are always base
    head head base or its mirror image, so a steady drift cancels. Which of both follows the sequence of Thue
    and Morse, which has no period: noise with a memory gives neighbouring pairs of an unchanging order
    something in common. Replayed from the recording with the most memory, a loss of exactly the tolerance was claimed
    in 1.3 % of sittings instead of 3.9 %; from others the order makes no difference that they could show."""
    return ("base", "head") if pair.bit_count() % 2 == 0 else ("head", "base")


def observation(metric: str, base: float, head: float) -> float:
    for name, value in (("base", base), ("head", head)):
        if not (isfinite(value) and value > 0):
            raise ValueError(f"{metric} of {name} is {value}: a run without a rate cannot be compared")
    return METRICS[metric] * log(head / base)


def change(log_ratio: float) -> float:
    return expm1(log_ratio) if isfinite(log_ratio) else log_ratio


def bounds(observations: np.ndarray, confidence: float, rule: Rule) -> tuple[float, float, float]:
    return tuple(map(float, stats.ESTIMATORS[rule.estimator].bounds(observations, confidence)))


def take_look(block: str, observations: np.ndarray, confidence: float, rule: Rule) -> tuple[int, Look]:
    """(1: the tolerance is kept, -1: a loss is proven, 0: neither; the look)"""
    estimate, lower, upper = bounds(observations, confidence, rule)
    side = 1 if lower > rule.limit else -1 if upper < rule.limit else 0
    return side, Look(block, len(observations), confidence, change(estimate), change(lower), change(upper),
                      stats.ESTIMATORS[rule.estimator].p_below(observations, rule.limit))


def examine(block: str, observations: np.ndarray, error: float, rule: Rule) -> tuple[int, int, list[Look]]:
    """(side as of take_look(), pairs at the look that is still to come or 0, the looks taken). What comes
    after the look that told is not looked at."""
    looks = []
    for pairs, share in zip(rule.looks, rule.shares()):
        if len(observations) < pairs:
            return 0, pairs, looks
        side, look = take_look(block, observations[:pairs], 1.0 - error * share, rule)
        looks.append(look)
        if side:
            return side, 0, looks
    return 0, 0, looks


def block_p_value(looks: list[Look], rule: Rule) -> float:
    """Over all looks: a look's p-value weighs the less the smaller its share is. Within the block's error
    exactly when a look has proven a loss."""
    shares = dict(zip(rule.looks, rule.shares()))
    return min([1.0] + [look.p_value / shares[look.pairs] for look in looks])


def joint_p_value(first: list[Look], confirmation: list[Look], rule: Rule) -> float:
    """Of both blocks together. They are independent, so a rule that asks of each p-value that it is
    within t of its error is wrong with a probability of at most t² error confirmation_error; this is that of
    the smallest t that would still say REGRESSION."""
    t = max(block_p_value(first, rule) / rule.error,
            block_p_value(confirmation, rule) / rule.confirmation_error)
    return min(1.0, t * t * rule.error * rule.confirmation_error)


def visible_loss(observations: np.ndarray, rule: Rule) -> float | None:
    """The smallest loss that a sitting with this noise proves, at its last look at the latest, in 95 of 100
    cases; the bound is at 99 % for that, since this sitting and that one only estimate their noise. The noise of
    the pairs at hand stands for that of as many pairs as the sitting may take. Such a loss lies below the limit by
    what the bound reaches beyond the estimate, and once more by what the estimate itself may err."""
    noise = np.resize(observations, rule.looks[-1])
    estimate, _, upper = bounds(noise, 1.0 - rule.error * rule.shares()[-1], rule)
    _, _, power = bounds(noise, POWER, rule)
    reach = (upper - estimate) + (power - estimate)
    if len(observations) < rule.looks[-1]:
        reach *= next(wider for pairs, wider in FEWER if len(observations) >= pairs)
    return -expm1(rule.limit - reach) if isfinite(reach) else None


def figures(blocks: dict[str, np.ndarray], block: str, needs: int, looks: list[Look], rule: Rule) -> dict:
    """What every decision says, whatever its verdict: the last look, and how many pairs were measured for it.
    A block that needs more counts with all of its pairs, one that is over with those that were looked at."""
    used = {look.block: look.pairs for look in looks}
    if needs:
        used[block] = len(blocks[block])
    known = {"pairs": sum(used.values()), "estimate": None, "lower": None, "upper": None, "confidence": None,
             "smallest_visible_loss": None}
    if looks:
        last = looks[-1]
        known |= {key: getattr(last, key) for key in ("estimate", "lower", "upper", "confidence")}
        known["smallest_visible_loss"] = visible_loss(blocks[last.block][:last.pairs], rule)
    return known


def decide(first: Sequence[float], confirmation: Sequence[float] = (), rule: Rule = RULE) -> Decision:
    """The verdict over the pairs so far. MORE: measure until `block` has `needs` pairs."""
    blocks = {FIRST: np.asarray(first, dtype=float), CONFIRMATION: np.asarray(confirmation, dtype=float)}
    for block, observations in blocks.items():
        if observations.ndim != 1 or not np.isfinite(observations).all():
            raise ValueError(f"{block} block: an observation is not a finite number")

    side, needs, looks = examine(FIRST, blocks[FIRST], rule.error, rule)
    if len(confirmation) and side != -1:
        raise ValueError("pairs to confirm a loss that the first block has not proven")
    block, fresh = FIRST, []
    if side == -1:
        block = CONFIRMATION
        side, needs, fresh = examine(CONFIRMATION, blocks[CONFIRMATION], rule.confirmation_error, rule)

    p_value, size = 1.0, f"{rule.tolerance * 100:g}%"
    if needs:
        verdict, reason = MORE, f"the {block} block needs {needs} pairs for its next look"
    elif block == FIRST and side == 1:
        verdict, reason = PASS, f"a loss of {size} or more is excluded"
    elif block == FIRST:
        verdict = INCONCLUSIVE
        reason = f"after {looks[-1].pairs} pairs a loss of {size} is neither excluded nor proven"
    elif side == -1:
        verdict, p_value = REGRESSION, joint_p_value(looks, fresh, rule)
        reason = (f"a loss of more than {size} is proven by {looks[-1].pairs} pairs and confirmed by "
                  f"{fresh[-1].pairs} fresh ones")
    else:
        verdict = INCONCLUSIVE
        reason = (f"a loss of more than {size} was proven by {looks[-1].pairs} pairs, but {fresh[-1].pairs} "
                  f"fresh ones do not confirm it")
    return Decision(verdict=verdict, reasons=(reason,), p_value=p_value, block=block, needs=needs,
                    looks=tuple(looks + fresh), **figures(blocks, block, needs, looks + fresh, rule))


def machine_reasons(controls: Sequence[float]) -> list[str]:
    """Why this machine, at this time, cannot answer: the control is the same traffic without a relay."""
    if any(not (isfinite(rate) and rate > 0) for rate in controls):
        raise ValueError("a control is not a positive number")
    if len(controls) < 2:
        return [f"{len(controls)} controls do not show whether the machine is steady"]
    return control.unsteady(controls, CONTROL_OUTER)


def generator_reasons(base: Sequence[float], controls: Sequence[float]) -> list[str]:
    """base: packets/s that the base build passed on, per output. A head alone that comes this near to the
    control is faster than the base was, which needs no further proof."""
    share = control.link_bound(base, controls)
    if share is None:
        return []
    return [f"the relay reaches {share:.0%} of the control: the generator is the limit, this scenario "
            f"cannot show a regression of the relay"]


def fit(decision: Decision, controls: Sequence[float], base: Sequence[float] = (), twins: bool = False) -> Decision:
    """The decision, or UNFIT with its figures kept. An unsteady machine proves nothing of two builds that ran one
    after the other; `twins` ran at the same time, and met the same machine. A base that the generator holds
    back makes losses look smaller than they are: that hides regressions, but makes none, so one that is
    proven stands. `base` only where its rate is to be limited by the relay."""
    reasons = [] if twins else machine_reasons(controls)
    if not reasons and base and decision.verdict != REGRESSION:
        reasons = generator_reasons(base, controls)
    return replace(decision, verdict=UNFIT, reasons=tuple(reasons), p_value=1.0) if reasons else decision


def share_out(verdicts: dict[str, dict], error: float = FAMILY_ERROR) -> dict[str, dict]:
    """Final verdicts over several scenarios, each as of Decision.as_dict(): among all of them, the chance that a
    REGRESSION is false stays within `error`, whatever was measured (Holm). Up to ten scenarios, the confirmation
    pays for that already. PASS needs no share: a change passes when all scenarios do, so the one that has
    lost must be missed."""
    open_ones = [name for name, verdict in verdicts.items() if verdict["verdict"] == MORE]
    if open_ones:
        raise ValueError(f"no verdict yet: {', '.join(open_ones)}")
    rejected = stats.holm([verdict["p_value"] for verdict in verdicts.values()], error)
    reason = f"with {len(verdicts)} scenarios, one loss proven like this is within what chance does"
    return {name: verdict if sure or verdict["verdict"] != REGRESSION else
            verdict | {"verdict": INCONCLUSIVE, "reasons": [*verdict["reasons"], reason]}
            for (name, verdict), sure in zip(verdicts.items(), rejected)}


def sentence(decision: Decision) -> str:
    """The decision in one line for people."""
    def percent(value: float | None) -> str:
        return "none" if value is None or not isfinite(value) else f"{value:+.1%}"

    parts = [f"{decision.verdict}: {'; '.join(decision.reasons)}"]
    if decision.estimate is not None:
        parts.append(f"head {percent(decision.estimate)} against base, {decision.confidence:.2%} bounds "
                     f"{percent(decision.lower)} and {percent(decision.upper)}")
    parts.append(f"{decision.pairs} pairs")
    if decision.smallest_visible_loss is not None:
        parts.append(f"smallest loss this sitting could have seen: {decision.smallest_visible_loss:.1%}")
    return "; ".join(parts)
