"""The verdict of the paired gate: did head lose speed against base? Pure functions over what was measured.

An observation is ln(head / base) of two adjacent runs, one of each build, positive where head is faster. Three
tests look for a loss:

  speed    of the typical run: bounds of a robust centre against ln(1 - tolerance)
  tails    now and then: pairs that are slower than their median by FAR against pairs that are as much faster. When both
           programs are alike, a pair is as likely to be the one as the other: a sign test
  packets  where there is time to spare: of the packets of a run head loses LOSS_RISE more than base. A sign test of the
           pairs in which it does against those in which it does not, which asks nothing of the noise

A sitting goes like this:

  first block         looks after 12, 24 and 48 pairs, until one of them tells
      lower bound above ln(1 - tolerance), no doubt    PASS: a loss of the tolerance or more is excluded
      a test has proven a loss                         on to the confirmation
      neither, at the last look                        INCONCLUSIVE
  confirmation        fresh pairs, judged by themselves by the same test, at the same looks
      it proves a loss                                 REGRESSION
      anything else                                    INCONCLUSIVE, and never another try

A doubt holds a PASS back: as many pairs far below as far above, or more; such a rise of lost packets in half of the pairs, or
more. At the last look it has to be what chance does in no more than DOUBT of all sittings.

A sitting may claim a loss where there is none, or none of more than the tolerance, with a probability of `error` in the
first block. The tests share it (SPLIT), and the looks share what each test has in proportion to the pairs that each adds
(Bonferroni: the sum of the parts is the whole, however they depend on each other). Looks that come early get
little of it, which costs a quiet machine nothing and leaves a noisy one the most for its last look. The
confirmation is more lenient, since both must agree: 1 % of 5 % is 0.05 %.
harness.selftest.power replays recorded noise through these rules; its report says why they are what they are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import expm1, isfinite, log, log1p
from types import MappingProxyType

import numpy as np

from harness.verdict import control, stats
from harness.verdict.outcome import INCONCLUSIVE, MORE, PASS, REGRESSION, UNFIT

FIRST, CONFIRMATION = "first", "confirmation"

METRICS = {"egress_pps": 1, "cpu_ns_per_packet": -1, "latency": -1}  # 1: more is better, -1: less is

CONTROL_OUTER = 0.05   # of the controls on each side that the spread leaves out, from 20 on: a range only grows, and
                       # of 48 pairs beside which a neighbour woke once, none would count
POWER = 0.99           # of the bound in visible_loss()
FEWER = ((24, 1.2), (12, 1.25), (0, 1.35))  # from so many pairs on, but not all of them: what visible_loss() has to be
                                            # wider for that; by simulation, which tests/python/test_paired.py repeats
FAMILY_ERROR = 0.005   # of all scenarios together, see share_out()

SPEED, TAILS, PACKETS = "speed", "tails", "packets"
SPLIT = {SPEED: 0.6, TAILS: 0.2, PACKETS: 0.2}  # of the error, what each test may spend
TESTS = tuple(SPLIT)
FAR = 0.15           # of a pair from the median: slower by this, or faster by what makes up for it
LOSS_RISE = 0.001    # of all packets
DOUBT = 0.05         # how likely chance is to look as bad, for what is left open at the last look
HELD_BACK = 0.75     # the same before that: as soon as there are as many bad pairs as others


@dataclass(frozen=True)
class Rule:
    estimator: str = "trimmed-30"
    tolerance: float = 0.03
    looks: tuple[int, ...] = (12, 24, 48)
    error: float = 0.01
    confirmation_error: float = 0.05
    tests: tuple[str, ...] = TESTS

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
REFERENCE = Rule(tolerance=0.05)  # against the pinned reference: what many small losses may add up to
SHAPE = Rule(tolerance=0.02, tests=(SPEED,))  # against PHASE4's shape: its target tier is 98 % of what PHASE4 did; pairs of
                                              # such unequal programs lie far apart, which is nobody's fault
RULES = {"change": RULE, "reference": REFERENCE, "shape": SHAPE}


@dataclass(frozen=True)
class Look:
    block: str
    pairs: int                  # of this block
    confidence: float           # of each of the two bounds alone
    estimate: float             # these three as a change of head against base: -0.1 is 10 % slower
    lower: float
    upper: float
    far_below: int              # pairs, from their median
    far_above: int
    rises: int | None           # pairs in which head loses LOSS_RISE more than base; None: it may lose what it likes
    p_values: dict[str, float]  # of each test: of pairs this bad where there is no such loss, at this look alone
    told: str | None            # PASS, or the test that has proven a loss


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
    by: str | None                       # the test that has proven the loss; None: none has
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


def take_look(block: str, observations: np.ndarray, risen: np.ndarray, error: float, rule: Rule,
              tests: Sequence[str]) -> Look:
    """Only `tests` are asked; all three could spend `error`."""
    estimate, lower, upper = bounds(observations, 1.0 - error * SPLIT[SPEED], rule)
    below, above = map(int, stats.far_off(observations, -log(1.0 - FAR)))
    rises = int(np.count_nonzero(risen))
    p_values = {SPEED: stats.ESTIMATORS[rule.estimator].p_below(observations, rule.limit),
                TAILS: float(stats.sign_p(below, below + above)), PACKETS: float(stats.sign_p(rises, len(risen)))}
    proven = {SPEED: upper < rule.limit, **{test: p_values[test] <= error * SPLIT[test] for test in (TAILS, PACKETS)}}
    told = next((test for test in tests if proven[test]), None)
    if told is None and SPEED in tests and lower > rule.limit and not doubts(p_values, len(observations), rule, tests):
        told = PASS
    return Look(block, len(observations), 1.0 - error * SPLIT[SPEED], change(estimate), change(lower), change(upper), below,
                above, rises if len(risen) else None, p_values, told)


def doubts(p_values: Mapping[str, float], pairs: int, rule: Rule, tests: Sequence[str]) -> list[str]:
    """Those of the tests that speak against a PASS after so many pairs, though the typical run keeps the tolerance."""
    allowed = DOUBT if pairs == rule.looks[-1] else HELD_BACK
    return [test for test in tests if test != SPEED and p_values[test] <= allowed]


def examine(block: str, observations: np.ndarray, lost: np.ndarray, error: float, rule: Rule,
            tests: Sequence[str] = ()) -> tuple[str | None, int, list[Look]]:
    """(Look.told of the last look, pairs at the look that is still to come or 0, the looks taken). What comes after the
    look that told is not looked at. `tests`: these alone instead of the rule's."""
    looks = []
    for pairs, share in zip(rule.looks, rule.shares()):
        if len(observations) < pairs:
            return None, pairs, looks
        look = take_look(block, observations[:pairs], lost[:pairs] > LOSS_RISE, error * share, rule, tests or rule.tests)
        looks.append(look)
        if look.told:
            return look.told, 0, looks
    return None, 0, looks


def block_p_value(looks: list[Look], test: str, rule: Rule) -> float:
    """Over all looks: a look's p-value weighs the less the smaller its share is. Within what the test may spend in this
    block exactly when a look has proven a loss."""
    shares = dict(zip(rule.looks, rule.shares()))
    return min([1.0] + [look.p_values[test] / shares[look.pairs] for look in looks])


def joint_p_value(first: list[Look], confirmation: list[Look], rule: Rule) -> float:
    """Of both blocks together. They are independent, so a rule that asks of the p-value of a test in each block that it is
    within t of what the test may spend there is wrong with a probability of at most t² times the product of both, in
    all the sum of that over the tests; this is that of the smallest t that would still say REGRESSION."""
    test = confirmation[-1].told
    t = max(block_p_value(first, test, rule) / (rule.error * SPLIT[test]),
            block_p_value(confirmation, test, rule) / (rule.confirmation_error * SPLIT[test]))
    return min(1.0, t * t * rule.error * rule.confirmation_error * sum(share**2 for share in SPLIT.values()))


def visible_loss(observations: np.ndarray, rule: Rule) -> float | None:
    """The smallest loss that a sitting with this noise proves, at its last look at the latest, in 95 of 100
    cases; the bound is at 99 % for that, since this sitting and that one only estimate their noise. The noise of
    the pairs at hand stands for that of as many pairs as the sitting may take. Such a loss lies below the limit by
    what the bound reaches beyond the estimate, and once more by what the estimate itself may err."""
    noise = np.resize(observations, rule.looks[-1])
    estimate, _, upper = bounds(noise, 1.0 - rule.error * SPLIT[SPEED] * rule.shares()[-1], rule)
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


def claim(test: str, rule: Rule) -> str:
    return {SPEED: f"a loss of more than {rule.tolerance * 100:g}%",
            TAILS: f"that head is slower now and then, by more than {FAR * 100:g}%,",
            PACKETS: f"that head loses more packets, by more than {LOSS_RISE * 100:g}% of all,"}[test]


def seen(test: str, look: Look) -> str:
    """What a look rests on, in brackets."""
    return {SPEED: "", TAILS: f" (sign test: {look.far_below} far below the median, {look.far_above} far above)",
            PACKETS: f" (sign test: in {look.rises} of {look.pairs})"}[test]


def undecided(look: Look, rule: Rule) -> str:
    """Why the last look has not told."""
    reasons = [f"{claim(test, rule)} is neither excluded nor proven{seen(test, look)}"
               for test in doubts(look.p_values, look.pairs, rule, rule.tests)]
    if not reasons or log1p(look.lower) <= rule.limit:
        reasons.insert(0, f"a loss of {rule.tolerance * 100:g}% is neither excluded nor proven")
    return f"after {look.pairs} pairs " + ", and ".join(reasons)


def decide(first: Sequence[float], confirmation: Sequence[float] = (), rule: Rule = RULE,
           lost: Mapping[str, Sequence[float]] = MappingProxyType({})) -> Decision:
    """The verdict over the pairs so far. MORE: measure until `block` has `needs` pairs. `lost`: of each block's pairs, what
    head lost more than base, as a share of the packets; nothing where a relay may lose packets."""
    blocks = {FIRST: np.asarray(first, dtype=float), CONFIRMATION: np.asarray(confirmation, dtype=float)}
    rises = {block: np.asarray(lost.get(block, ()), dtype=float) for block in blocks}
    for block, observations in blocks.items():
        if observations.ndim != 1 or not np.isfinite(observations).all() or not np.isfinite(rises[block]).all():
            raise ValueError(f"{block} block: an observation is not a finite number")
        if block in lost and len(rises[block]) != len(observations):
            raise ValueError(f"{block} block: {len(observations)} pairs, but the losses of {len(rises[block])}")

    told, needs, looks = examine(FIRST, blocks[FIRST], rises[FIRST], rule.error, rule)
    test = told if told in TESTS else None
    if len(confirmation) and not test:
        raise ValueError("pairs to confirm a loss that the first block has not proven")
    block, fresh = FIRST, []
    if test:
        block = CONFIRMATION
        told, needs, fresh = examine(CONFIRMATION, blocks[CONFIRMATION], rises[CONFIRMATION], rule.confirmation_error, rule,
                                     (test,))
        proven = f"{claim(test, rule)} is proven by {looks[-1].pairs} pairs{seen(test, looks[-1])}"

    p_value, by = 1.0, None
    if needs:
        verdict, reason = MORE, f"the {block} block needs {needs} pairs for its next look"
        reason = f"{proven}, which is to be confirmed: {reason}" if test else reason
    elif not test and told == PASS:
        verdict, reason = PASS, f"a loss of {rule.tolerance * 100:g}% or more is excluded"
    elif not test:
        verdict, reason = INCONCLUSIVE, undecided(looks[-1], rule)
    elif told == test:
        verdict, by, p_value = REGRESSION, test, joint_p_value(looks, fresh, rule)
        reason = f"{proven} and confirmed by {fresh[-1].pairs} fresh ones{seen(test, fresh[-1])}"
    else:
        verdict = INCONCLUSIVE
        reason = f"{proven}, but {fresh[-1].pairs} fresh ones do not confirm it{seen(test, fresh[-1])}"
    return Decision(verdict=verdict, reasons=(reason,), p_value=p_value, by=by, block=block, needs=needs,
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
    return unfit(decision, reasons) if reasons else decision


def unfit(decision: Decision, reasons: Sequence[str]) -> Decision:
    return replace(decision, verdict=UNFIT, reasons=tuple(reasons), p_value=1.0, by=None)


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
