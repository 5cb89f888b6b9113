"""How much a device passes on: MLRsearch (RFC 9971), with FD.io CSIT's goals as defaults.

A trial offers a load for a time and finds the share of packets that was lost. A goal says what counts: a load is a *lower bound*
of what the device can do when, whatever trials may still come, at least half of the time loses no more than the goal's loss ratio; an *upper
bound* when it can no more; else it is not decided yet. The search ends when the two that matter lie within the goal's
width of each other. The *conditional throughput* is what came through at the lower bound, half of the time at least.

Pure: whoever makes the trials asks next_trial() and tells record() what came of it. The classification of loads and the
conditional throughput follow the RFC; which load is tried next it leaves to the implementation.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import sqrt


@dataclass(frozen=True)
class Goal:
    name: str
    loss_ratio: float          # that a trial may lose
    trial_s: float = 1.0       # the final trial duration: shorter ones count for less
    duration_sum_s: float = 21.0
    exceed_ratio: float = 0.5  # of the time, that may lose more
    width: float = 0.005       # of the bounds, relative to the upper one


NDR = Goal("ndr", 0.0)    # no drop rate
PDR = Goal("pdr", 0.005)  # partial drop rate
GOALS = {goal.name: goal for goal in (NDR, PDR)}

# What comes before the goal itself, each as (share of its duration sum, times its width): few trials tell roughly where to look.
PHASES = ((1 / 21, 16.0), (5 / 21, 4.0), (1.0, 1.0))
LOWER, UPPER, UNDECIDED = "lower", "upper", "undecided"
EXPANSION = 2.0  # of the step away from a bound that does not hold any more


@dataclass(frozen=True)
class Trial:
    load: float      # packets/s intended
    duration_s: float
    loss_ratio: float


def classify(trials: Iterable[Trial], goal: Goal) -> str:
    """What the trials at one load say of it."""
    low, high, short_low, short_high = 0.0, 0.0, 0.0, 0.0
    for trial in trials:
        full, good = trial.duration_s >= goal.trial_s, trial.loss_ratio <= goal.loss_ratio
        low += trial.duration_s * (full and good)
        high += trial.duration_s * (full and not good)
        short_low += trial.duration_s * (not full and good)
        short_high += trial.duration_s * (not full and not good)
    balancing = short_low * goal.exceed_ratio / (1.0 - goal.exceed_ratio)
    effective_high = high + max(0.0, short_high - balancing)
    whole = max(low + effective_high, goal.duration_sum_s)
    allowed = whole * goal.exceed_ratio
    if whole - low <= allowed:  # though all that is still to come were bad
        return LOWER
    return UPPER if effective_high > allowed else UNDECIDED


def conditional_throughput(trials: Iterable[Trial], goal: Goal) -> float | None:
    """Packets/s that came through at this load, for a share of the time of 1 - exceed ratio at least. None: there was no full trial."""
    full = sorted((trial for trial in trials if trial.duration_s >= goal.trial_s), key=lambda trial: trial.loss_ratio)
    if not full:
        return None
    remaining = max(goal.duration_sum_s, sum(trial.duration_s for trial in full)) * (1.0 - goal.exceed_ratio)
    quantile = None
    for trial in full:
        if quantile is not None and remaining <= 0.0:
            break
        quantile = trial.loss_ratio
        remaining -= trial.duration_s
    if remaining > 0.0:
        quantile = 1.0
    return full[0].load * (1.0 - quantile)


@dataclass(frozen=True)
class Result:
    goal: Goal
    lower: float | None   # packets/s; None: the least load loses too much already
    upper: float | None   # None: the most that can be offered is passed on
    complete: bool        # both lie within the goal's width, or there is nothing beyond
    throughput: float | None


class Search:
    """For several goals, one after another; each knows the trials of all."""

    def __init__(self, goals: Iterable[Goal], least: float, most: float):
        if not 0.0 < least < most:
            raise ValueError(f"loads from {least} to {most}: not increasing from above 0")
        self.goals = list(goals)
        self.least, self.most = least, most
        self.trials: list[Trial] = []
        self.steps = [replace(goal, duration_sum_s=max(goal.trial_s, share * goal.duration_sum_s), width=times * goal.width)
                      for goal in self.goals for share, times in PHASES]

    def record(self, load: float, duration_s: float, loss_ratio: float) -> None:
        if not (load > 0.0 and duration_s > 0.0 and 0.0 <= loss_ratio <= 1.0):
            raise ValueError(f"a trial of {load} packets/s for {duration_s} s that lost {loss_ratio} is none")
        self.trials.append(Trial(load, duration_s, loss_ratio))

    def next_trial(self) -> tuple[float, float] | None:
        """(packets/s, seconds); None: all goals are met."""
        for step in self.steps:
            load = self.wanted(step)
            if load is not None:
                return load, step.trial_s
        return None

    def result(self, goal: Goal) -> Result:
        lower, upper = self.bounds(goal)
        at_lower = [trial for trial in self.trials if trial.load == lower]
        complete = (lower == self.most or (lower is None and upper == self.least) or
                    (lower is not None and upper is not None and within(lower, upper, goal)))
        return Result(goal, lower, upper, complete, conditional_throughput(at_lower, goal) if at_lower else None)

    def bounds(self, goal: Goal) -> tuple[float | None, float | None]:
        """The least upper bound, and the greatest lower one below it."""
        found = {load: classify(trials, goal) for load, trials in self.by_load().items()}
        upper = min((load for load, kind in found.items() if kind == UPPER), default=None)
        lower = max((load for load, kind in found.items() if kind == LOWER and (upper is None or load < upper)), default=None)
        return lower, upper

    def by_load(self) -> dict[float, list[Trial]]:
        found: dict[float, list[Trial]] = {}
        for trial in self.trials:
            found.setdefault(trial.load, []).append(trial)
        return found

    def wanted(self, step: Goal) -> float | None:
        """The load that this step has to try next; None: its bounds are close enough."""
        lower, upper = self.bounds(step)
        if lower == self.most or upper == self.least:
            return None
        if lower is not None and upper is not None and within(lower, upper, step):
            return None
        # what is neither is tried again, the one that others were built on first
        open_loads = [load for load in self.by_load() if self.undecided(load, step, lower, upper)]
        if open_loads:
            return max(open_loads, key=lambda load: (self.known(load), load))
        if upper is None:
            return self.most if lower is None else self.above(lower, step)
        if lower is None:
            return self.below(upper, step)
        return sqrt(lower * upper)

    def undecided(self, load: float, step: Goal, lower: float | None, upper: float | None) -> bool:
        """Loads outside of the bounds do not matter any more."""
        between = (lower is None or load > lower) and (upper is None or load < upper)
        return between and classify([trial for trial in self.trials if trial.load == load], step) == UNDECIDED

    def known(self, load: float) -> float:
        """Seconds."""
        return sum(trial.duration_s for trial in self.trials if trial.load == load)

    def below(self, upper: float, step: Goal) -> float:
        """First what came through when too much was offered; then further and further down."""
        tried = sorted(load for load in self.by_load() if load >= upper)
        if len(tried) == 1:
            best = min(trial.loss_ratio for trial in self.trials if trial.load == upper)
            guess = upper * (1.0 - best) if best > step.width else upper * (1.0 - step.width)
        else:
            guess = upper - EXPANSION * (min(tried[1], upper * 1.5) - upper)
            guess = min(guess, upper * (1.0 - step.width))
        return max(self.least, guess)

    def above(self, lower: float, step: Goal) -> float:
        tried = sorted((load for load in self.by_load() if load <= lower), reverse=True)
        gap = lower - tried[1] if len(tried) > 1 else 0.0
        return min(self.most, max(lower / (1.0 - step.width), lower + EXPANSION * min(gap, 0.5 * lower)))


def within(lower: float, upper: float, goal: Goal) -> bool:
    return (upper - lower) / upper <= goal.width * (1.0 + 1e-9)
