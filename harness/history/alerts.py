"""What drift.py has told: HISTORY-FOLDER/MACHINE/drift/alerts.ndjson, append-only, a line for each thing that was told.

  new         a change point that nobody was told of yet
  corrected   one that was told in the wrong place: more entries show it elsewhere ("of": the utc of what was wrong)
  withdrawn   one that was none: more entries do not show it any more

Branches append side by side, so lines are taken in the order in which they were told. What is in force is what was told
and neither corrected nor withdrawn since.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

from harness.history import history
from harness.result.keep import utc_now

NEW, CORRECTED, WITHDRAWN = "new", "corrected", "withdrawn"
KNOWN = "known"  # nothing to tell
EARLY = "early"  # there is a change; where, a few more entries will show


@dataclass(frozen=True)
class ChangePoint:
    scenario: str
    good: str          # the last commit that is before it for sure
    bad: str           # the first one that is not
    first_utc: str     # of the first entry that may be the first one after it
    utc: str           # of the likeliest
    last_utc: str      # of the last
    change: float      # of the median: -0.05 is 5 % slower
    p_value: float
    conditions: tuple[str, ...]  # of the machine, that are not the same on both sides

    @property
    def key(self) -> tuple[str, bool, str]:
        return self.scenario, self.change < 0, self.utc


@dataclass(frozen=True)
class News:
    state: str
    point: ChangePoint
    of: ChangePoint | None = None  # what is corrected

    @property
    def is_told(self) -> bool:
        return self.state in (NEW, CORRECTED, WITHDRAWN)


def point_of(line: dict) -> ChangePoint:
    """Lines from before there were ranges have only the likeliest entry."""
    return ChangePoint(str(line["scenario"]), str(line["good"]), str(line["bad"]), str(line.get("first_utc", line["utc"])),
                       line["utc"], str(line.get("last_utc", line["utc"])), float(line["change"]), float(line["p_value"]),
                       tuple(map(str, line["conditions"])))


def in_force(lines: list[dict]) -> list[ChangePoint]:
    found: dict[tuple[str, bool, str], ChangePoint] = {}
    order = (NEW, CORRECTED, WITHDRAWN)
    for line in sorted(lines, key=lambda line: (line["told_utc"], order.index(line["state"]), line["utc"])):
        point = line["point"]
        if line["state"] == CORRECTED:
            found.pop((*point.key[:2], line["of"]), None)
        found.pop(point.key, None)
        if line["state"] != WITHDRAWN:
            found[point.key] = point
    return list(found.values())


def read(path: Path) -> tuple[list[ChangePoint], list[str]]:
    """(what is in force, what is wrong with the file: a line each)"""
    lines, damaged = history.read_lines(path) if path.exists() else ([], [])
    found = []
    for where, line in lines:
        try:
            state = line.get("state", NEW)
            if state not in (NEW, CORRECTED, WITHDRAWN):
                raise ValueError(f"'state': {state!r}")
            found.append({"state": state, "told_utc": str(line.get("told_utc", "")), "of": str(line.get("of")),
                          "utc": line["utc"], "point": point_of(line)})
        except (ValueError, KeyError, TypeError) as error:
            damaged.append(f"{where}: not an alert, left out: {error!r}; mend it or remove it")
    return in_force(found), damaged


def append(path: Path, news: News) -> None:
    of = {"of": news.of.utc} if news.of else {}
    told_utc = utc_now()
    history.append_line(path, {"state": news.state, "told_utc": told_utc, **of, **asdict(news.point)})
