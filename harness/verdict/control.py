"""What the controls of a sitting tell of it. A control is the same traffic over the same links without a relay: it shows
what the generator can do on this machine at this time, and whether that is steady. The limits of all verdicts."""

from collections.abc import Sequence
from statistics import median

from harness.verdict import stats

SPREAD_MAX, DRIFT_MAX = 0.10, 0.05  # of the rates of the controls of one sitting
OFFERED_MIN = 0.97                  # of the rate that the scenario asks for
LINK_BOUND = 0.90                   # a relay at this share of the control: generator or link is the limit
FLOOD_PPS = 3_000_000               # asks for more than a generator can send: as fast as it can


def unsteady(offered: Sequence[float], outer: float = 0.0) -> list[str]:
    """Why this machine, at this time, cannot answer. `outer`: the share of the controls on each side that the spread
    leaves out."""
    reasons = []
    spread = stats.spread(stats.without_outer(offered, outer))
    if spread > SPREAD_MAX:
        reasons.append(f"the controls spread over {spread:.1%}, more than {SPREAD_MAX:.0%}")
    drift = stats.drift(offered)
    if drift > DRIFT_MAX:
        reasons.append(f"the controls drift by {drift:.1%}, more than {DRIFT_MAX:.0%}")
    return reasons


def starved(offered: float, asked: float) -> bool:
    """Did the generator miss the rate that the scenario asks for?"""
    return offered < OFFERED_MIN * asked


def link_bound(passed_on: Sequence[float], offered: Sequence[float]) -> float | None:
    """The share of the controls' rate that a relay passed on, where generator or link was its limit; else None."""
    share = median(passed_on) / median(offered)
    return share if share >= LINK_BOUND else None


def offered_reasons(found: dict[str, float], declared: dict) -> list[str]:
    """A fixed rate has to be reached, wherever the generator was."""
    asked = float(declared["rate_pps"])
    return [f"the generator {where} offers {rate:,.0f} of {asked:,.0f} pps" for where, rate in found.items()
            if starved(rate, asked)]
