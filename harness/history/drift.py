"""drift.py HISTORY-FOLDER PROFILE-ID [--no-alerts]: has the relay been slipping, commit by commit?

Looks for change points in the floor gate's history of one machine: in ln(egress of relay 1 / control), each
entry's medians, oldest first. A slow leak that no single comparison can prove is one here, once it adds up.
Prints a table, and appends each change point that was not reported before to
HISTORY-FOLDER/PROFILE-ID/drift/alerts.ndjson (not with --no-alerts). Exits with 0 when nothing new has become slower,
3 when something has, 4 when the history is too short to say, 5 when a line of it is damaged. Advisory: what one commit did
is `bench compare`'s to prove.

The method is E-divisive (Matteson and James 2014): the split that makes both sides most different, by the energy
distance, is a change point when fewer than one in a thousand random orders of the same entries have a split that good;
then both sides are looked at in the same way. No shape of the noise is assumed. A side has at least 5
entries; change points smaller than 3 % are taken back, the smallest first, so that small steps that add up are one.

Such a split says that there is a change, and not exactly where: a side may have fewer entries than five. So each is placed
anew among all entries from the change point before it to the one behind it, with the places that fit nearly as well. Told
are the last commit before all these places and the first one behind them: the change came after the one, with the other at
the latest.
"""

import argparse
import re
import sys
from dataclasses import asdict, dataclass
from functools import lru_cache
from math import expm1, isfinite, log
from pathlib import Path
from statistics import median

import numpy as np

from harness.history import history
from harness.report.tables import paint, table
from harness.result.documents import Faulty
from harness.verdict.outcome import INCONCLUSIVE, INVALID, PASS, REGRESSION, STATUS

SEGMENT_MIN = 5       # entries on each side of a change point
P_MAX = 0.001
ORDERS = 1999         # random ones: the smallest p-value is 1 / 2000
MAGNITUDE_MIN = 0.03
NEWEST = 200          # entries that are looked at
AS_LIKELY = 0.01      # a place that is less likely than the best one by this factor is not where it changed
COMMIT = re.compile(r"[0-9a-f]{7,40}")  # what git was not asked for, or did not tell, is called "unknown"


@dataclass(frozen=True)
class ChangePoint:
    scenario: str
    good: str          # the last commit that is before it for sure
    bad: str           # the first one that is not
    utc: str           # of the likeliest first entry after it
    change: float      # of the median: -0.05 is 5 % slower
    p_value: float
    conditions: tuple[str, ...]  # of the machine, that are not the same on both sides


@lru_cache(maxsize=4)
def weights(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """What splits() of n values needs of each [k, m], whatever the values: is that a split; and the factors of the
    distances between both sides, within the first, within the second. It is asked for two thousand orders of the same."""
    k, m = np.meshgrid(np.arange(n + 1), np.arange(n + 1), indexing="ij")
    allowed = (k >= SEGMENT_MIN) & (m - k >= SEGMENT_MIN)
    k, m, behind = (np.where(allowed, count, SEGMENT_MIN) for count in (k, m, m - k))
    return allowed, 2 / m, behind / (m * (k - 1)), k / (m * (behind - 1))


def splits(values: np.ndarray) -> np.ndarray:
    """[k, m]: how different the first k values and those behind them up to the m-th are: the energy distance between
    both, times k (m - k) / m; for each m, since the level may have come back before the end. -inf where a side is
    shorter than SEGMENT_MIN."""
    n = len(values)
    sums = np.zeros((n + 1, n + 1))  # [i, j]: distances of the first i values to the first j
    np.cumsum(np.cumsum(np.abs(values[:, None] - values[None, :]), axis=0), axis=1, out=sums[1:, 1:])
    whole = np.diag(sums)
    first = whole[:, None]                                 # all pairs of a side, each in both orders
    between = sums - first
    second = whole[None, :] - first - 2 * between
    allowed, of_between, of_first, of_second = weights(n)
    return np.where(allowed, of_between * between - of_first * first - of_second * second, -np.inf)


def best_split(values: np.ndarray, rng: np.random.Generator) -> tuple[int, float] | None:
    """(values before the split, p-value; of one that is none, P_MAX); None: too few for one."""
    if len(values) < 2 * SEGMENT_MIN:
        return None
    found = splits(values)
    best = found.max()
    as_good = 0
    for _ in range(ORDERS):
        as_good += bool(splits(rng.permutation(values)).max() >= best - 1e-12)
        if (1 + as_good) / (1 + ORDERS) >= P_MAX:
            break  # the others cannot make it one any more
    return int(np.unravel_index(found.argmax(), found.shape)[0]), (1 + as_good) / (1 + ORDERS)


def change_points(values: np.ndarray, rng: np.random.Generator) -> list[tuple[int, float]]:
    """[(first entry after it, p-value)] in their order, however small."""
    split = best_split(values, rng)
    if split is None or split[1] >= P_MAX:
        return []
    at = split[0]
    return (change_points(values[:at], rng) + [split]
            + [(at + i, p_value) for i, p_value in change_points(values[at:], rng)])


def without_small(values: np.ndarray, points: list[tuple[int, float]]) -> list[tuple[int, float, float]]:
    """[(first entry after it, p-value, change of the median)]: those of at least MAGNITUDE_MIN."""
    while points:
        edges = [0, *(at for at, _ in points), len(values)]
        level = [median(values[a:b]) for a, b in zip(edges, edges[1:])]
        changes = [expm1(after - before) for before, after in zip(level, level[1:])]
        smallest = min(range(len(points)), key=lambda i: abs(changes[i]))
        if abs(changes[smallest]) >= MAGNITUDE_MIN:
            return [(at, p_value, change) for (at, p_value), change in zip(points, changes)]
        points = points[:smallest] + points[smallest + 1:]
    return []


def places(values: np.ndarray, split: int) -> tuple[int, int, int]:
    """Of values with one change, split there at the best: the likeliest first one after it, the first and the last that may be
    it. A side has fewer than SEGMENT_MIN only where the split could not go further. The noise is taken for Laplace's,
    whose likelihood is in the sum of the distances to the median: outliers weigh little."""
    def distances(side: np.ndarray) -> float:
        return float(np.abs(side - np.median(side)).sum())

    n = len(values)
    allowed = np.arange(1 if split <= SEGMENT_MIN else SEGMENT_MIN,
                        n if split >= n - SEGMENT_MIN else n - SEGMENT_MIN + 1)
    costs = np.array([distances(values[:k]) + distances(values[k:]) for k in allowed])
    as_good = allowed[costs - costs.min() <= -log(AS_LIKELY) * costs.min() / n]
    return int(allowed[costs.argmin()]), int(as_good[0]), int(as_good[-1])


def is_usable(entry: dict) -> bool:
    """A verdict with figures, of a commit as it is."""
    return bool(entry.get("hops") and not entry.get("dirty", True) and COMMIT.fullmatch(entry["commit"])
                and egress(entry) > 0 and control(entry) > 0)


def egress(entry: dict) -> float:
    return figure(entry["hops"][0]["egress_pps"]["median"])


def control(entry: dict) -> float:
    return figure(entry["control_pps"]["median"])


def figure(value) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not isfinite(value):
        raise TypeError(f"{value!r} is not a number of packets per second")
    return value


def series(entries: list[dict]) -> np.ndarray:
    return np.array([log(egress(entry) / control(entry)) for entry in entries])


def conditions(before: dict, after: dict) -> tuple[str, ...]:
    return tuple(key for key in after["profile"] if before["profile"].get(key) != after["profile"][key])


def find(scenario: str, entries: list[dict]) -> list[ChangePoint]:
    """Usable entries, oldest first. The same history always has the same change points."""
    values = series(entries)
    points = without_small(values, change_points(values, np.random.default_rng(1)))
    start, found = 0, []
    for (split, p_value, change), end in zip(points, [*(at for at, _, _ in points[1:]), len(values)]):
        at, first, last = (start + place for place in places(values[start:end], split - start))
        before, after = entries[first - 1], entries[last]
        found.append(ChangePoint(scenario, before["commit"], after["commit"], entries[at]["utc"], change, p_value,
                                 conditions(before, after)))
        start = at
    return found


def is_known(point: ChangePoint, alerts: list[dict], entries: list[dict]) -> bool:
    """More entries move a change point by one or two: the same direction less than a segment away is the same one."""
    place = {entry["utc"]: i for i, entry in enumerate(entries)}
    return any(alert["scenario"] == point.scenario and (alert["change"] < 0) == (point.change < 0)
               and alert["utc"] in place and abs(place[alert["utc"]] - place[point.utc]) < SEGMENT_MIN
               for alert in alerts)


def read_alerts(path: Path) -> list[dict]:
    alerts = []
    for where, alert in history.read_lines(path) if path.exists() else []:
        try:
            alerts.append({"scenario": str(alert["scenario"]), "utc": alert["utc"], "change": float(alert["change"])})
        except (ValueError, KeyError, TypeError) as error:
            raise Faulty(f"{where}: not an alert: {error!r}; mend it or remove it") from error
    return alerts


def by_scenario(lines: list[tuple[str, dict]]) -> dict[str, list[dict]]:
    """The usable entries of each."""
    found: dict[str, list[dict]] = {}
    for where, entry in lines:
        try:
            if is_usable(entry):
                if not isinstance(entry["scenario"], str) or not isinstance(entry["profile"], dict):
                    raise TypeError("'scenario' is a name, 'profile' an object")
                found.setdefault(entry["scenario"], []).append(entry)
        except (KeyError, TypeError, AttributeError, IndexError, OverflowError) as error:
            raise Faulty(f"{where}: the entry lacks what drift needs: {error!r}; mend it or remove it") from error
    return {scenario: entries[-NEWEST:] for scenario, entries in found.items()}


def show(lines: dict[str, list[dict]], found: list[tuple[ChangePoint, bool]]) -> str:
    """found: [(change point, is it new)]"""
    parts = [f"{scenario}: {len(entries)} entries, {entries[0]['utc'][:10]} to {entries[-1]['utc'][:10]}"
             for scenario, entries in sorted(lines.items())]
    if found:
        parts.append("\n" + table(
            ["scenario", "after commit", "with commit, at the latest", "since", "change", "p", "also changed", ""],
            [[point.scenario, point.good, point.bad, point.utc[:10], f"{point.change:+.1%}", f"{point.p_value:.4f}",
              ", ".join(point.conditions) or "nothing", "new" if new else "known"] for point, new in found], False))
    return "\n".join(parts) + "\n"


def advice(found: list[tuple[ChangePoint, bool]]) -> list[str]:
    return [f"which commit: sudo harness/bench bisect {point.good} {point.bad}" if point.good != point.bad else
            f"no commit: {point.good} was measured before and after it; what else has changed on this machine?"
            for point, new in found if new and point.change < 0]


def others(folder: Path, profile: str) -> str:
    """What a machine without a history may be a wrong name for."""
    names = sorted({path.parent.name for path in folder.glob("*/*.ndjson")} - {profile})
    return f"; {folder} has a history of: {', '.join(names)}" if names else ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("history", type=Path)
    parser.add_argument("profile")
    parser.add_argument("--no-alerts", action="store_true")
    args = parser.parse_args()
    path = args.history / args.profile / "drift" / "alerts.ndjson"
    try:
        lines = by_scenario(history.read(args.history, args.profile))
        alerts = read_alerts(path)
        found = [(point, not is_known(point, alerts, entries)) for scenario, entries in sorted(lines.items())
                 for point in find(scenario, entries)]
    except (OSError, Faulty) as error:
        print(f"drift.py: {error}", file=sys.stderr)
        return STATUS[INVALID]
    longest = max(map(len, lines.values()), default=0)
    print(f"history of {args.profile}")
    if lines:
        print(show(lines, found))
    if longest < 2 * SEGMENT_MIN:
        print(f"{paint(INCONCLUSIVE, INCONCLUSIVE)}: {longest} entries of one scenario at most; {2 * SEGMENT_MIN} are "
              f"needed. Every bench gate of a clean tree adds one{'' if lines else others(args.history, args.profile)}")
        return STATUS[INCONCLUSIVE]
    slower = [point for point, new in found if new and point.change < 0]
    word = REGRESSION if slower else PASS
    print(f"{paint(word, word)}: " + (f"{len(slower)} change{'s' * (len(slower) > 1)} to slower that nobody was told of yet"
                                      if slower else "nothing new has become slower"))
    print("\n".join(advice(found)), end="\n" if advice(found) else "", flush=True)
    for point, new in found:  # known is what was printed: whoever could not be told is told again
        if new and not args.no_alerts:
            try:
                history.append_line(path, asdict(point))
            except OSError as error:
                print(f"drift.py: that this was told could not be noted, and it will be told again: {error}", file=sys.stderr)
    return STATUS[word]


if __name__ == "__main__":
    sys.exit(main())
