"""budget.py SITTING BASELINES [--accept]: work per 1,000 packets, and instructions, against what is budgeted.

SITTING holds verified/result.json, rounds/NN/relay/{result.json,raw/perf.csv,raw/r1.stats.json} and instructions/ (instructions.py).
Writes SITTING/budget.json, prints tables, exits with 0 PASS, 3 REGRESSION, 5 INVALID: among other things, when nobody has accepted any
budgets. Each figure is the median of the rounds; it may exceed its budget by the baseline's tolerance. Less work is a pass,
and said. --accept writes the figures into budgets.json and instructions.json of the folder BASELINES, to be reviewed and committed:
nothing else changes them.
"""

import argparse
import csv
import json
import sys
from pathlib import Path
from statistics import median

from harness.report.tables import load_line, machine_line, paint, table
from harness.result import documents, validity
from harness.result.documents import Faulty, write_json
from harness.result.runs import load
from harness.verdict import arrival, outcome
from harness.verdict.budget import instructions
from harness.verdict.outcome import INVALID, PASS, REGRESSION, STATUS
from harness.verdict.terms import terms

TOLERANCE, ABSOLUTE = 0.05, 1.0  # a ratio of the budget, and calls per 1,000 packets; the larger counts
LOSS_MAX = 0.001
LOST, DAMAGED = "packets lost", "packets damaged"  # beside the figures that have a budget

EVENTS = {  # what perf counts -> our name
    "raw_syscalls:sys_enter": "system calls",
    "context-switches": "context switches",
    "page-faults": "page faults",
}
SUMS = {
    "writes": ("syscalls:sys_enter_write", "syscalls:sys_enter_writev"),
    "allocations": tuple(f"mcrelay_budget:{name}" for name in ("malloc", "calloc", "realloc", "mmap")),
}
HARDWARE = {  # where the machine can count them -> our name; a kernel's are no budget of the relay's: they are shown
    "instructions:u": "instructions, user space",
    "instructions:k": "instructions, kernel",
}
COUNTERS = {  # of the relay's own report -> our name
    "submits": "io_uring submissions",
    "sqes": "io_uring entries",
    "bursts": "turns of the loop",
    "waits": "sleeps",
}


def perf_counts(path: Path) -> dict[str, float]:
    """perf writes words in angle brackets instead of a number where it could not count."""
    counts = {}
    try:
        with path.open(encoding="utf-8") as file:
            for row in csv.reader(line for line in file if "," in line and not line.startswith("#")):
                if not row[0].strip().isdigit():
                    raise Faulty(f"{path}: perf did not count {row[2]}: {row[0]}")
                counts[row[2]] = float(row[0])
    except (OSError, ValueError, IndexError, csv.Error) as error:
        raise Faulty(str(error)) from error
    missing = [event for event in (*EVENTS, *(event for events in SUMS.values() for event in events))
               if event not in counts]
    if missing:
        raise Faulty(f"{path}: perf did not count {', '.join(missing)}")
    return counts


def relay_counts(path: Path) -> dict[str, int]:
    """The relay's own counters; without a packet that matched there is nothing to divide by."""
    try:
        total = json.loads(path.read_text(encoding="utf-8"))["total"]
        counts = {name: int(total[name]) for name in ("matched", *COUNTERS)}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Faulty(f"{path}: not a report of the relay: {error!r}") from error
    if counts["matched"] <= 0:
        raise Faulty(f"{path}: no packet matched a rule")
    return counts


def figures(folder: Path) -> dict[str, float]:
    """Per 1,000 packets that matched a rule, of a whole run."""
    perf = perf_counts(folder / "raw/perf.csv")
    total = relay_counts(folder / "raw/r1.stats.json")
    packets = total["matched"]
    found = {name: perf[event] for event, name in EVENTS.items()}
    found |= {name: perf[event] for event, name in HARDWARE.items() if event in perf}
    found |= {name: sum(perf[event] for event in events) for name, events in SUMS.items()}
    found |= {name: total[counter] for counter, name in COUNTERS.items()}
    return {name: 1000 * count / packets for name, count in found.items()}


def judge(measured: dict[str, float], budgets: dict[str, dict]) -> dict[str, dict]:
    judged = {}
    for name, value in measured.items():
        budget = budgets.get(name)
        if budget is None and name in HARDWARE.values():
            judged[name] = {"value": value, "budget": None, "limit": None, "verdict": PASS}
            continue
        if budget is None:
            judged[name] = {"value": value, "budget": None, "limit": None, "verdict": INVALID}
            continue
        limit = budget["value"] + max(budget["value"] * budget["tolerance"], budget["absolute"])
        judged[name] = {"value": value, "budget": budget["value"], "limit": limit,
                        "verdict": PASS if value <= limit else REGRESSION}
    for name in budgets.keys() - measured.keys():
        judged[name] = {"value": None, "budget": budgets[name]["value"], "limit": None, "verdict": INVALID}
    return judged


def accept(path: Path, measured: dict[str, float], run: dict) -> None:
    known = budgets_of(path, run["scenario"]) if path.exists() else {}
    write_json(path, {
        "schema": 1, "scenario": run["scenario"], "unit": "per 1,000 packets",
        "source": {"commit": run["commit"], "utc": run["utc"], "profile": run["profile"]["id"]},
        "budgets": {name: {"tolerance": TOLERANCE, "absolute": ABSOLUTE} | known.get(name, {}) | {"value": round(value, 2)}
                    for name, value in measured.items() if name not in HARDWARE.values()}})


def worst(judged: dict[str, dict]) -> str:
    """The figure that exceeds its budget most, for people."""
    over = [(item["value"] / max(item["budget"], ABSOLUTE), name, item) for name, item in judged.items()
            if item["verdict"] == REGRESSION]
    if not over:
        return ""
    _, name, item = max(over)
    return f"{name}: {item['value']:,.1f} instead of {item['budget']:,.1f}"


def judge_loss(runs: list[dict]) -> dict:
    """Figures are per packet that a rule matched: what is lost before that makes them no worse. At a rate far below what a relay
    can carry, one that loses packets is one that does too much, whatever it is."""
    value = 1000 * median(run["hops"][0]["loss_ratio"] for run in runs)
    return {"value": value, "budget": 0.0, "limit": 1000 * LOSS_MAX, "verdict": PASS if value <= 1000 * LOSS_MAX else REGRESSION}


def judge_damage(verified: dict) -> dict:
    """Of the run in which what arrives was read."""
    value = 1000 * sum(arrival.damages(verified).values()) / verified["sink"]["expected"]
    return {"value": value, "budget": 0.0, "limit": 0.0, "verdict": PASS if value == 0 else REGRESSION}


def loss_faults(run: dict) -> list[str]:
    if validity.is_number(run["hops"][0].get("loss_ratio")):
        return []
    return ["it is not known whether the relay lost packets"]


def measurement(sitting: Path) -> tuple[list[dict], list[dict[str, float]]]:
    """The runs of a sitting and their figures; why they are none, a line each."""
    places = sorted((sitting / "rounds").glob("*/relay"))
    runs = [load(place / "result.json") for place in places]
    arrived, found = arrival.judge(arrival.of_sitting(sitting))
    faults = [] if arrived in (PASS, REGRESSION) else arrival.told(found)
    faults += [f"round {i}: {fault}" for i, run in enumerate(runs, 1)
              for fault in validity.faults(run, "relay") or loss_faults(run)]
    if not runs or faults:
        raise Faulty("\n".join(faults) or "no run")
    if len({(run["scenario"], run["sut"]["sha256"]) for run in runs}) > 1:
        raise Faulty("the scenario or the relay's binary changed between rounds")
    return runs, [figures(place) for place in places]


def budgets_of(path: Path, scenario: str) -> dict[str, dict]:
    if not path.exists():
        raise Faulty(f"no file {path}; restore it, or write one with --accept, and commit it")
    baseline = documents.read(path, "budgets")
    if baseline["scenario"] != scenario:
        raise Faulty(f"{path} is for {baseline['scenario']}, the runs are of {scenario}")
    return baseline["budgets"]


def spread(rounds: list[dict[str, float]], name: str) -> tuple[str, str]:
    values = [one[name] for one in rounds if name in one]
    return (text(min(values)), text(max(values))) if values else ("", "")


def text(value: float | None) -> str:
    return "" if value is None else f"{value:,.2f}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sitting", type=Path)
    parser.add_argument("baselines", type=Path)
    parser.add_argument("--accept", action="store_true")
    args = parser.parse_args()
    try:
        agreed = terms.of(args.sitting)
        runs, rounds = measurement(args.sitting)
        counted = instructions.of_sitting(args.sitting / "instructions", args.baselines)
        measured = {name: median(one[name] for one in rounds) for name in rounds[0]}
        verified = arrival.of_sitting(args.sitting)
        beside = {LOST: judge_loss(runs), DAMAGED: judge_damage(verified)}
        if args.accept and any(item["verdict"] != PASS for item in beside.values()):
            raise Faulty("the relay loses or damages packets at a rate far below what it can carry: its work per packet is not "
                         "accepted")
        if args.accept:
            accept(args.baselines / "budgets.json", measured, runs[0])
            counted = instructions.accept(args.sitting / "instructions", args.baselines, runs[0])
        budgets = budgets_of(args.baselines / "budgets.json", runs[0]["scenario"])
    except Faulty as error:
        reasons = str(error).splitlines()
        write_json(args.sitting / "budget.json", {"schema": 1, "verdict": INVALID, "reasons": reasons})
        print(f"{paint(INVALID, INVALID)}: {'; '.join(reasons)}")
        return STATUS[INVALID]
    judged = judge(measured, budgets) | beside
    document = terms.under({
        "schema": 1, "verdict": outcome.worst([counted["verdict"], *(item["verdict"] for item in judged.values())]), "scenario": runs[0]["scenario"], "commit": runs[0]["commit"],
        "profile": runs[0]["profile"], "unit": "per 1,000 packets", "figures": judged, "rounds": rounds,
        "instructions": counted}, agreed)
    verdict = document["verdict"]
    write_json(args.sitting / "budget.json", document)
    print(load_line(runs[0]))
    print(machine_line(runs[0]) + "\n")
    print(table(["work per 1,000 packets", "median", f"least of {len(rounds)}", "most", "budget", "limit", "verdict"],
                [[name, text(item["value"]), *spread([one | {LOST: 1000 * run["hops"][0]["loss_ratio"]}
                                                      for one, run in zip(rounds, runs)], name), text(item["budget"]), text(item["limit"]),
                  item["verdict"]] for name, item in judged.items()], False) + "\n")
    print(instructions.shown(counted) + "\n")
    print("\n  - ".join([paint(verdict, verdict), *arrival.told(arrival.damage(verified)), *instructions.reasons(counted),
                         *terms.lines(agreed)]))
    return STATUS[verdict]


if __name__ == "__main__":
    sys.exit(main())
