"""The limits of a tier, and on which side of each the rounds of a sitting lie.

Of relay 1 they are PHASE4's: egress, ingress, exhaustion. PHASE4 says nothing of the relays behind it, so theirs is ours:
none of them may lose LOSS_BEHIND of what arrives at it, over the whole run and for whatever reason. Honest relays lose, in
16 sittings on three machines (2026-11-20 to -28, 2 cores): relay 2, which shares a core with relay 1, a median of 38 to
43 %, and 47 % in the worst of 188 rounds; relay 3 a median of 2 % at most, and 7 % in the worst round.

What is lost otherwise than by full buffers (arrival.py) is counted packet by packet: a tier allows `errors_max` of them in
a round, on the whole way. In the same 188 rounds there was not one.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from harness.verdict import stats
from harness.verdict.arrival import named_losses

LOSS_BEHIND = 0.5


@dataclass(frozen=True)
class Limit:
    hop: int      # from 0
    key: str      # of the hop
    figure: str   # for people
    value: float
    more_is_better: bool

    @property
    def name(self) -> str:
        return f"relay {self.hop + 1} {self.figure}"

    def samples(self, relays: list[dict]) -> list[float]:
        return [run["hops"][self.hop][self.key] for run in relays]

    def side(self, samples: list[float], confidence: float) -> int | None:
        """1: the median is proven to keep the limit; -1: proven to break it; None: undecided."""
        bounds = stats.median_bounds(samples, confidence)
        if bounds is None:
            return None
        lower, upper = bounds
        if self.more_is_better:
            return 1 if lower >= self.value else -1 if upper < self.value else None
        return 1 if upper < self.value else -1 if lower >= self.value else None

    def margin(self, samples: list[float]) -> float:
        """What gets through beyond what the limit demands, as a ratio of that: of all limits on one scale."""
        if self.more_is_better:
            return median(samples) / self.value - 1.0
        return (1.0 - median(samples)) / (1.0 - self.value) - 1.0 if self.value < 1.0 else 0.0

    def demand(self) -> str:
        if self.more_is_better:
            return f"at least {self.value:,.0f} pps"
        return f"less than {self.value:.0%}"


OF_RELAY_1 = {  # name in a tier -> (key of the hop, for people, does more mean better)
    "egress_pps_min": ("egress_pps", "egress", True),
    "ingress_pps_min": ("ingress_pps", "ingress", True),
    "exhaustion_ratio_max": ("buffer_exhaustion_ratio", "exhaustion", False),
}


def of_tier(tier: dict, hops: int) -> list[Limit]:
    """Of a pipeline of so many relays."""
    found = [Limit(0, key, figure, tier[name], more) for name, (key, figure, more) in OF_RELAY_1.items() if name in tier]
    return found + [Limit(hop, "loss_ratio", "loss", LOSS_BEHIND, False) for hop in range(1, hops)]


@dataclass(frozen=True)
class Judged:
    """A tier, held against the rounds of a sitting."""
    side: int | None            # of the whole tier: kept when all of its limits are, broken when one is
    broken: tuple[str, ...]     # a sentence each
    undecided: tuple[str, ...]  # names of limits
    tightest: Limit             # the one with the smallest margin
    margin: float


def judge(tier: dict, relays: list[dict], confidence: float) -> Judged:
    limits = of_tier(tier, len(relays[0]["hops"]))
    samples = [limit.samples(relays) for limit in limits]
    sides = [limit.side(found, confidence) for limit, found in zip(limits, samples)]
    broken = [f"{limit.name}: {shown(limit, median(found))}, {limit.demand()} is asked for"
              for limit, found, side in zip(limits, samples, sides) if side == -1]
    broken += losses_beyond(tier["errors_max"], relays)
    margins = [limit.margin(found) for limit, found in zip(limits, samples)]
    tightest = min(range(len(limits)), key=margins.__getitem__)
    side = -1 if broken else None if None in sides else 1
    undecided = tuple(limit.name for limit, one in zip(limits, sides) if one is None)
    return Judged(side, tuple(broken), undecided, limits[tightest], margins[tightest])


def shown(limit: Limit, value: float) -> str:
    return f"{value:,.0f} pps" if limit.more_is_better else f"{value:.1%}"


def losses_beyond(allowed: int, relays: list[dict]) -> Iterator[str]:
    """Each cause, over all rounds, once a round has lost more than that."""
    rounds = [named_losses(run) for run in relays]
    if max(sum(losses.values()) for losses in rounds) <= allowed:
        return
    total = Counter()
    for losses in rounds:
        total.update(losses)
    for what, count in total.most_common():
        among = sum(what in losses for losses in rounds)
        yield f"{what} lost {count:,} packets, in {among} of {len(rounds)} rounds; {allowed} are allowed"
