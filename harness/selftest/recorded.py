"""What live.py has recorded: tables of it, and its sittings of one program against itself as noise."""

import json
import sys
from collections import Counter
from pathlib import Path
from statistics import median

from harness.report.tables import table
from harness.verdict.paired import paired

TOLERANCE_BEFORE = 0.05  # of records that do not say it


def report(paths: list[str]) -> str:
    """The tables of all that was recorded."""
    found = [json.loads(line) for path in paths for line in Path(path).read_text(encoding="utf-8").splitlines()]
    searches = [one for one in found if one.get("metric") == "capacity"]
    sittings = [one for one in found if one.get("metric") != "capacity"]
    return "\n\n".join(([of_sittings(sittings)] if sittings else []) + ([of_searches(searches)] if searches else []))


def of_sittings(found: list[dict]) -> str:
    """Rows of machine, scenario, tolerance and what was slower."""
    groups: dict[tuple[str, str, str, str], list[dict]] = {}
    for one in found:
        tolerance = "" if one.get("metric") == "latency" else f"{one.get('tolerance', TOLERANCE_BEFORE) * 100:g}%"
        groups.setdefault((one.get("profile", "unknown"), one["scenario"], tolerance, one.get("stall") or f"{one['loss'] * 100:g}%"),
                          []).append(one)
    rows = []
    for (machine, scenario, tolerance, loss), sittings in sorted(groups.items()):
        words = Counter(str(one["verdict"]) for one in sittings)
        estimates = [one["estimate"] for one in sittings if one.get("estimate") is not None]
        rows.append([machine, scenario, tolerance, loss, str(len(sittings)),
                     *(str(words.pop(word, 0)) for word in ("PASS", "REGRESSION", "INCONCLUSIVE", "UNFIT")),
                     str(sum(words.values())),
                     f"{median(estimates):+.1%} ({min(estimates):+.1%} to {max(estimates):+.1%})" if estimates else "",
                     f"{median(one['seconds'] for one in sittings) / 60:.1f} min",
                     f"{max(one['seconds'] for one in sittings) / 60:.1f} min"])
    return table(["machine", "scenario", "tolerance", "true loss", "sittings", "PASS", "REGRESSION", "INCONCLUSIVE", "UNFIT", "other",
                  "estimates: median (range)", "time, median", "longest"], rows, True)


def of_searches(found: list[dict]) -> str:
    """Of each scenario and goal: how far the searches agree."""
    groups: dict[tuple[str, str, str], list[dict]] = {}
    for one in found:
        for name, goal in one["goals"].items():
            groups.setdefault((one["profile"], one["scenario"], name), []).append(goal | {"seconds": one["seconds"]})
    rows = []
    for (machine, scenario, name), goals in sorted(groups.items()):
        bounds = [goal["lower_pps"] for goal in goals if goal["lower_pps"]]
        rows.append([machine, scenario, name, str(len(goals)), str(sum(goal["complete"] for goal in goals)),
                     *([f"{median(bounds):,.0f} pps", f"{min(bounds):,.0f} to {max(bounds):,.0f}", f"{(max(bounds) - min(bounds)) / median(bounds):.1%}"]
                       if bounds else ["", "", ""]), f"{median(goal['seconds'] for goal in goals) / 60:.1f} min"])
    return table(["machine", "scenario", "goal", "searches", "complete", "lower bound, median", "range", "spread", "time, median"], rows,
                 True)


def noise(scenario: str, path: str) -> dict:
    """Of twins, the run that had the first topology before that of its twin; both have the time of their sitting."""
    sittings = [found for found in map(json.loads, Path(path).read_text(encoding="utf-8").splitlines())
                if found["scenario"] == scenario and not found.get("loss") and not found.get("stall") and found.get("observed")]
    if not sittings:
        sys.exit(f"live: no sitting of {scenario} against itself in {path} that has its pairs")
    sittings = [found for found in sittings if found["profile"] == sittings[-1]["profile"]]
    runs = []
    for found in sittings:
        for i, (base, head, control) in enumerate(pair for pairs in found["observed"].values() for pair in pairs):
            values = (base, head) if paired.order(i)[0] == "base" else (head, base)
            runs += [{"utc": found["utc"], "value": value, "control": beside}
                     for value, beside in zip(values, (control, None))]
    return {"schema": 1, "profile": {"id": sittings[-1]["profile"]}, "scenario": scenario, "metric": sittings[-1]["metric"],
            "twins": True, "pair_seconds": round(sum(found["seconds"] for found in sittings) / (len(runs) / 2), 2),
            "runs": runs}
