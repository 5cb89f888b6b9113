"""drift.py HISTORY-FOLDER MACHINE [--no-alerts]: has the relay been slipping, commit by commit?

Looks for change points in the history of one machine: in the speed of each commit beside the pinned reference (bench compare
--reference), which other machines and hours hardly move, and in the floor gate's ln(egress of relay 1 / control), each entry's
medians, oldest first. A slow leak that no single comparison can prove is one here, once it adds up.
Prints a table, and appends what it told to HISTORY-FOLDER/MACHINE/drift/alerts.ndjson (not with --no-alerts): alerts.py.
Exits with 0 when nothing new has become slower, 3 when something has, 4 when the history is too short to say, 5 when it
cannot be read. A damaged line is named and left out. Advisory: what one commit did is `bench compare`'s to prove.

The method is E-divisive (Matteson and James 2014): the split that makes both sides most different, by the energy
distance, is a change point when fewer than one in a thousand random orders of the same entries have a split that good;
then both sides are looked at in the same way. No shape of the noise is assumed. A side has at least 5
entries; change points smaller than 3 % are taken back, the smallest first, so that small steps that add up are one.

Such a split says that there is a change, and not exactly where: of a large one it is sure when it has seen two entries
behind it, and puts it five from the end. So each is placed anew among all entries from the change point before it to the
one behind it, with the places that fit nearly as well. The change came after the last commit before all these places, with
the first one behind them at the latest. Nobody is told before there are five entries on either side of all of them.
"""

import argparse
import re
import sys
from dataclasses import dataclass
from functools import lru_cache
from math import expm1, isfinite, log, log1p, nan
from pathlib import Path
from statistics import median

import numpy as np

from harness.history import alerts, history
from harness.history.alerts import ChangePoint, News
from harness.report.tables import paint, table
from harness.result.documents import Faulty
from harness.result.profile import speeds_apart
from harness.verdict.outcome import INCONCLUSIVE, INVALID, PASS, REGRESSION, STATUS

REFERENCE = "reference"  # the gate of an entry
SEGMENT_MIN = 5       # entries on each side of a change point
P_MAX = 0.001
ORDERS = 1999         # random ones: the smallest p-value is 1 / 2000
MAGNITUDE_MIN = 0.03
NEWEST = 200          # entries that are looked at
SETTLED = 100         # entries after which an alert stays: of what was before it, less and less is looked at
AS_LIKELY = 0.01      # a place that is less likely than the best one by this factor is not where it changed
COMMIT = re.compile(r"[0-9a-f]{7,40}")  # what git was not asked for, or did not tell, is called "unknown"


@dataclass(frozen=True)
class Found:
    point: ChangePoint
    certain: bool  # SEGMENT_MIN entries on either side of all places where it may be
    place: int     # of the likeliest first entry after it


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


def places(values: np.ndarray, split: int, newest: bool) -> tuple[int, int, int]:
    """Of values with one change, split there at the best: the likeliest first one after it, the first and the last that may be
    it. Less than SEGMENT_MIN from an end only where a split could not go, and among the newest, of which a large change is
    only the last few: at the other ends it would be an outlier. The noise is taken for Laplace's, whose likelihood is in the
    sum of the distances to the median: outliers weigh little."""
    def distances(side: np.ndarray) -> float:
        return float(np.abs(side - np.median(side)).sum())

    n = len(values)
    allowed = np.arange(1 if split <= SEGMENT_MIN else SEGMENT_MIN,
                        n if newest or split >= n - SEGMENT_MIN else n - SEGMENT_MIN + 1)
    costs = np.array([distances(values[:k]) + distances(values[k:]) for k in allowed])
    as_good = allowed[costs - costs.min() <= -log(AS_LIKELY) * costs.min() / n]
    return int(allowed[costs.argmin()]), int(as_good[0]), int(as_good[-1])


def is_usable(entry: dict) -> bool:
    """A verdict with figures, of a commit as it is."""
    if not (entry.get("hops") or entry.get("gate") == REFERENCE) or entry.get("dirty", True) or not COMMIT.fullmatch(entry["commit"]):
        return False
    return isfinite(value_of(entry))


def value_of(entry: dict) -> float:
    """What may drift: the speed beside the pinned reference, whichever that was then; of the floor, relay 1's egress beside the
    control."""
    if entry.get("gate") == REFERENCE:
        return log1p(figure(entry["since_first"]))
    return log(egress(entry) / control(entry)) if egress(entry) > 0 and control(entry) > 0 else nan


def name_of(entry: dict) -> str:
    """The series that an entry belongs to."""
    if not isinstance(entry["scenario"], str) or not isinstance(entry["profile"], dict):
        raise TypeError("'scenario' is a name, 'profile' an object")
    return f"{entry['scenario']} beside the reference" if entry.get("gate") == REFERENCE else entry["scenario"]


def egress(entry: dict) -> float:
    return figure(entry["hops"][0]["egress_pps"]["median"])


def control(entry: dict) -> float:
    return figure(entry["control_pps"]["median"])


def figure(value) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not isfinite(value):
        raise TypeError(f"{value!r} is not a number of packets per second")
    return value


def series(entries: list[dict]) -> np.ndarray:
    return np.array([value_of(entry) for entry in entries])


def conditions(before: dict, after: dict) -> tuple[str, ...]:
    """By name; a kernel's patch level may well be what made it slower."""
    there, here = before["profile"], after["profile"]
    found = [key for key in here if key != "calibration" and there.get(key) != here[key]]
    return (*found, *(["calibration"] if speeds_apart(there, here) else []))


def find(scenario: str, entries: list[dict]) -> list[Found]:
    """Usable entries, oldest first. The same history always has the same change points."""
    values = series(entries)
    points = without_small(values, change_points(values, np.random.default_rng(1)))
    start, found = 0, []
    for (split, p_value, change), end in zip(points, [*(at for at, _, _ in points[1:]), len(values)]):
        at, first, last = (start + place for place in places(values[start:end], split - start, end == len(values)))
        before, after = entries[first - 1], entries[last]
        point = ChangePoint(scenario, before["commit"], after["commit"], entries[first]["utc"], entries[at]["utc"],
                            after["utc"], change, p_value, conditions(before, after))
        found.append(Found(point, first - start >= SEGMENT_MIN and end - last >= SEGMENT_MIN, at))
        start = at
    return found


def news(scenario: str, entries: list[dict], found: list[Found], told: list[ChangePoint]) -> list[News]:
    """What each change point is to those who were told before; and of what they were told, what was none."""
    place = {entry["utc"]: i for i, entry in enumerate(entries)}
    left = [point for point in told if point.scenario == scenario and point.utc in place]
    said = []
    for one in found:
        point = one.point
        same = [old for old in left if (old.change < 0) == (point.change < 0)
                and abs(place[old.utc] - one.place) < SEGMENT_MIN]
        left = [old for old in left if old not in same]
        right = [old for old in same if old.first_utc <= point.utc <= old.last_utc]
        if right or (same and not one.certain):
            said.append(News(alerts.KNOWN, (right or same)[0]))
        elif same:
            said.append(News(alerts.CORRECTED, point, same[0]))
        else:
            said.append(News(alerts.NEW if one.certain else alerts.EARLY, point))
    return said + [News(alerts.WITHDRAWN, old) for old in left if place[old.utc] >= len(entries) - SETTLED]


def by_scenario(lines: list[tuple[str, dict]]) -> tuple[dict[str, list[dict]], list[str]]:
    """(the usable entries of each, those that are none: a line each)"""
    found: dict[str, list[dict]] = {}
    damaged = []
    for where, entry in lines:
        try:
            if is_usable(entry):
                found.setdefault(name_of(entry), []).append(entry)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
            damaged.append(f"{where}: left out, the entry lacks what drift needs: {error!r}; mend it or remove it")
    return {scenario: entries[-NEWEST:] for scenario, entries in found.items()}, damaged


def show(lines: dict[str, list[dict]], said: list[News]) -> str:
    parts = [f"{scenario}: {len(entries)} entries, {entries[0]['utc'][:10]} to {entries[-1]['utc'][:10]}"
             for scenario, entries in sorted(lines.items())]
    if said:
        parts.append("\n" + table(
            ["scenario", "after commit", "with commit, at the latest", "since", "change", "p", "also changed", ""],
            [[one.point.scenario, one.point.good, one.point.bad, one.point.utc[:10], f"{one.point.change:+.1%}",
              f"{one.point.p_value:.4f}", ", ".join(one.point.conditions) or "nothing", one.state] for one in said], False))
    return "\n".join(parts) + "\n"


def advice(said: list[News]) -> list[str]:
    found = []
    for state, point, of in ((one.state, one.point, one.of) for one in said):
        if state == alerts.CORRECTED:
            found.append(f"corrected: the change that was told as {of.good} to {of.bad} is {point.good} to {point.bad}")
        if state == alerts.WITHDRAWN:
            found.append(f"withdrawn: {point.change:+.1%}, told as {point.good} to {point.bad}; with more entries there is no "
                         f"change there")
        if state == alerts.EARLY:
            found.append(f"early: {point.change:+.1%} after {point.good}; it is told with {SEGMENT_MIN} entries on either side")
        if state in (alerts.NEW, alerts.CORRECTED) and point.change < 0:
            found.append(f"which commit: sudo harness/bench bisect {point.good} {point.bad}" if point.good != point.bad else
                         f"no commit: {point.good} was measured before and after it; what else has changed on this machine?")
    return found


def others(folder: Path, profile: str) -> str:
    """What a machine without a history may be a wrong name for."""
    names = sorted({path.parent.name for path in folder.glob("*/*.ndjson")} - {profile})
    return f"; {folder} has a history of: {', '.join(names)}" if names else ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("history", type=Path)
    parser.add_argument("machine")
    parser.add_argument("--no-alerts", action="store_true")
    args = parser.parse_args()
    path = args.history / args.machine / "drift" / "alerts.ndjson"
    try:
        entries, damaged = history.read(args.history, args.machine)
        lines, unusable = by_scenario(entries)
        told, unreadable = alerts.read(path)
    except (OSError, Faulty) as error:
        print(f"drift.py: {error}", file=sys.stderr)
        return STATUS[INVALID]
    said = [one for scenario, found in sorted(lines.items()) for one in news(scenario, found, find(scenario, found), told)]
    longest = max(map(len, lines.values()), default=0)
    print(f"history of {args.machine}")
    history.warn([*damaged, *unusable, *unreadable])
    if lines:
        print(show(lines, said))
    if longest < 2 * SEGMENT_MIN:
        print(f"{paint(INCONCLUSIVE, INCONCLUSIVE)}: {longest} entries of one scenario at most; {2 * SEGMENT_MIN} are "
              f"needed. Every bench gate and bench compare --reference of a clean tree adds one{'' if lines else others(args.history, args.machine)}")
        return STATUS[INCONCLUSIVE]
    slower = [one for one in said if one.state in (alerts.NEW, alerts.CORRECTED) and one.point.change < 0]
    word = REGRESSION if slower else PASS
    print(f"{paint(word, word)}: " + (f"{len(slower)} change{'s' * (len(slower) > 1)} to slower that nobody was told of yet"
                                      if slower else "nothing new has become slower"))
    print("\n".join(advice(said)), end="\n" if advice(said) else "", flush=True)
    for one in said:  # known is what was printed: whoever could not be told is told again
        if one.is_told and not args.no_alerts:
            try:
                alerts.append(path, one)
            except OSError as error:
                print(f"drift.py: that this was told could not be noted, and it will be told again: {error}", file=sys.stderr)
    return STATUS[word]


if __name__ == "__main__":
    sys.exit(main())
