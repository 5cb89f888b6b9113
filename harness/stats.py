"""Statistics of the floor gate. Pure functions, checked against scipy and against simulated coverage
in tests/test_stats.py."""

from math import comb, inf
from statistics import median


def median_bound_confidence(n: int, k: int) -> float:
    """Confidence that the k-th smallest of n independent samples (k from 1) lies at or below the
    median of what they were drawn from, whatever its distribution: it fails only when fewer than k
    of the n fall below the median, each with probability 1/2."""
    return 1.0 - sum(comb(n, i) for i in range(k)) / 2.0**n


def median_bounds(samples: list[float], confidence: float) -> tuple[float, float] | None:
    """(lower, upper): each alone is a one-sided bound of the median at `confidence`. None when
    there are too few samples for one: 7 are needed for 99 %."""
    ordered = sorted(samples)
    n = len(ordered)
    best = 0
    for k in range(1, n + 1):
        if median_bound_confidence(n, k) < confidence:
            break
        best = k
    if best == 0:
        return None
    return ordered[best - 1], ordered[n - best]


def relative(difference: float, whole: float) -> float:
    if difference == 0:
        return 0.0
    return difference / whole if whole else inf


def spread(samples: list[float]) -> float:
    """(largest - smallest) / median."""
    return relative(max(samples) - min(samples), median(samples))


def drift(samples: list[float]) -> float:
    """Change from the first third to the last, as a ratio of the median; 0 for fewer than three."""
    third = len(samples) // 3
    if third == 0:
        return 0.0
    return relative(abs(median(samples[-third:]) - median(samples[:third])), median(samples))
