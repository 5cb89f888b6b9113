"""capacity.py next SITTING --hops JSON --goal NAME...: the load of the next trial, packets/s; nothing: the search is over.
capacity.py lower SITTING --hops JSON --goal NAME...: the last goal's lower bound so far; nothing: there is none.
capacity.py passes SITTING --hops JSON --goal NAME...: the same; while there is no bound, the greatest load that has passed in most of its trials.
capacity.py finish SITTING --hops JSON --goal NAME... [--history FOLDER]: SITTING/capacity.json and a table. Exits with 0 when each goal
has its bounds, 4 when time was over before, 5 when what was measured is none.

SITTING holds trials/{flood,001,002,...}/{trial,gen,links.before,links.after}.json, latency/NNN/result.json and raw/run.json. A trial's loss
is what has not left through the last hop's outputs, of what the generator sent; where that is less than SENT of what it was told
to send, of that: what cannot be offered has not been passed on, and the bound is the generator's then, which is said.
"""

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.history import history
from harness.report.tables import machine_line, number, paint, table
from harness.result.accounts import link_change
from harness.result.documents import Faulty, read_json, write_json, write_text
from harness.result.runs import load as load_run
from harness.verdict.capacity.mlrsearch import GOALS, Result, Search
from harness.verdict.outcome import INCONCLUSIVE, INVALID, PASS, STATUS
from harness.verdict.terms import terms

SENT = 0.99        # of the intended load: a generator that sends less is the limit
LEAST_SHARE = 0.001  # of what the generator can offer: the least load that is tried


@dataclass(frozen=True)
class Told:
    """What became of one trial."""
    name: str
    load_pps: float
    seconds: float
    sent: int
    passed_on: float  # packets, for each output
    loss_ratio: float


def told(folder: Path, hops: list[dict]) -> Told:
    """`hops`: as measure.bash describes them. Of several outputs, what each has had on average."""
    generator, trial = read_json(folder / "gen.json"), read_json(folder / "trial.json")
    before, after = read_json(folder / "links.before.json"), read_json(folder / "links.after.json")
    try:
        last = hops[-1]
        ends = [f"{last['name']}:{out}" for out in last["outputs"]]
        passed = sum(link_change(before, after, end)[0]["packets"] for end in ends)
        outputs = len(ends) * last["groups"]
        sent, load, seconds = generator["packets_sent"], float(trial["load_pps"]), float(trial["seconds"])
    except (KeyError, TypeError, IndexError) as error:
        raise Faulty(f"{folder}: not what a trial leaves: {error!r}") from error
    if not (outputs and sent > 0 and load > 0 and seconds > 0):
        raise Faulty(f"{folder}: {sent} packets were sent, to {outputs} outputs: this is no trial")
    passed_on = passed / outputs
    owed = sent if sent >= SENT * load * seconds else load * seconds
    return Told(folder.name, load, seconds, sent, passed_on, min(1.0, max(0.0, 1.0 - passed_on / owed)))


def trials_of(sitting: Path, hops: list[dict]) -> tuple[Told, list[Told]]:
    """(the flood, all others in their order)"""
    flood = told(sitting / "trials/flood", hops)
    return flood, [told(folder, hops) for folder in sorted((sitting / "trials").glob("[0-9]*"))]


def search_of(flood: Told, trials: list[Told], goals: list[str]) -> Search:
    most = float(round(flood.sent / flood.seconds))
    search = Search([GOALS[name] for name in goals], max(1.0, float(round(LEAST_SHARE * most))), most)
    for trial in trials:
        # what was asked for, not what the generator made of it: loads are compared with each other
        search.record(trial.load_pps, trial.seconds, trial.loss_ratio)
    return search


def next_load(search: Search) -> int | None:
    """Whole packets/s: what the generator is told, and what record() is told afterwards."""
    asked = search.next_trial()
    return None if asked is None else round(asked[0])


def generator_bound(search: Search, result: Result, trials: list[Told]) -> bool:
    """Does the generator limit what was found? It could not offer the upper bound's load, or there is none."""
    if result.upper is None:
        return result.lower is not None
    at_upper = [trial for trial in trials if trial.load_pps == result.upper]
    short = [trial for trial in at_upper if trial.sent < SENT * trial.load_pps * trial.seconds]
    return 2 * len(short) > len(at_upper)


def passes(search: Search, trials: list[Told], goal: str) -> float | None:
    """packets/s, for who needs a load that is carried, and not how near to the limit it is: a bound takes 21 s of trials at it."""
    bound_found = search.result(GOALS[goal]).lower
    if bound_found is not None:
        return bound_found
    carried = [point["load_pps"] for point in curve(trials) if point["loss_ratio"] <= GOALS[goal].loss_ratio]
    return max(carried, default=None)


def describe(search: Search, result: Result, trials: list[Told]) -> dict:
    return {"lower_pps": result.lower, "upper_pps": result.upper, "complete": result.complete, "throughput_pps": result.throughput,
            "loss_ratio": result.goal.loss_ratio, "width": result.goal.width, "trial_s": result.goal.trial_s,
            "duration_sum_s": result.goal.duration_sum_s, "exceed_ratio": result.goal.exceed_ratio,
            "generator_bound": generator_bound(search, result, trials)}


def curve(trials: list[Told]) -> list[dict]:
    """Of each load: what passed, medians."""
    found: dict[float, list[Told]] = {}
    for trial in trials:
        found.setdefault(trial.load_pps, []).append(trial)
    return [{"load_pps": load, "trials": len(ones), "passed_on_pps": middle([one.passed_on / one.seconds for one in ones]),
             "loss_ratio": middle([one.loss_ratio for one in ones])} for load, ones in sorted(found.items())]


def middle(values: list[float]) -> float:
    ordered = sorted(values)
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2.0


def latencies(sitting: Path) -> list[dict]:
    found = []
    for folder in sorted((sitting / "latency").glob("[0-9]*")):
        run = load_run(folder / "result.json")
        found.append({"share": int(folder.name) / 100, "load_pps": float(run["declared"]["rate_pps"]), "valid": run["valid"],
                      "problems": run["problems"], "latency_ns": run["sink"]["latency_ns"], "lost": run["sink"]["lost"],
                      "expected": run["sink"]["expected"]})
    return found


def conclude(sitting: Path, hops: list[dict], goals: list[str]) -> dict:
    run, agreed = read_json(sitting / "raw/run.json"), terms.of(sitting)
    flood, trials = trials_of(sitting, hops)
    search = search_of(flood, trials, goals)
    results = {name: search.result(GOALS[name]) for name in goals}
    complete = all(result.complete for result in results.values())
    return terms.under({
        "schema": 1, "verdict": PASS if complete else INCONCLUSIVE, "scenario": run["scenario"]["name"], "utc": run["utc"],
            "commit": run["commit"], "dirty": run["dirty"], "profile": run["profile"], "placement": run["placement"],
            "declared": run["scenario"], "sut": {key: run["sut"][key] for key in ("name", "sha256", "options")},
            "outputs": len(hops[-1]["outputs"]) * hops[-1]["groups"], "generator_pps": flood.sent / flood.seconds,
            "flood": asdict(flood), "seconds": sum(trial.seconds for trial in trials),
            "goals": {name: describe(search, result, trials) for name, result in results.items()},
            "trials": [asdict(trial) for trial in trials], "curve": curve(trials), "latency": latencies(sitting)}, agreed)


def bound(value: float | None, nothing: str) -> str:
    return nothing if value is None else f"{value:,.0f} pps"


def show(document: dict, markdown: bool) -> str:
    rows = [[f"{name}: {goal['loss_ratio']:.1%} of the packets may be lost" if goal["loss_ratio"] else f"{name}: no packet may be lost", bound(goal["lower_pps"], "below the least load"),
             bound(goal["upper_pps"], "all that can be offered"), bound(goal["throughput_pps"], ""),
             "complete" if goal["complete"] else "time was over"] for name, goal in document["goals"].items()]
    lines = [f"{document['scenario']}: {document['declared']['description']}; the generator can offer {document['generator_pps']:,.0f} pps",
             machine_line(document), "",
             table(["goal", "lower bound", "upper bound", "conditional throughput", "search"], rows, markdown), ""]
    if document["latency"]:
        lines += [table(["latency", "median", "99 %", "99.9 %", "longest", "lost"],
                        [[f"at {one['share']:.0%}, {one['load_pps']:,.0f} pps",
                          *[us((one["latency_ns"] or {}).get(key)) for key in ("p50", "p99", "p99_9", "max")],
                          number(one["lost"])] for one in document["latency"]], markdown), ""]
        if any(one["lost"] for one in document["latency"]):
            lines += ["Lost with receivers, which the search does without: where they take time of its core, the relay's ring overflows.", ""]
    lines.append(f"{len(document['trials'])} trials, {document['seconds']:.0f} s")
    word = document["verdict"]
    lines.append(f"**{word}**" if markdown else paint(word, word))
    mark = "- " if markdown else "  - "
    lines += [f"{mark}{name}: the generator is the limit, not what was measured" for name, goal in document["goals"].items()
              if goal["generator_bound"]]
    lines += [f"{mark}{line}" for line in terms.lines(document["terms"])]
    return "\n".join(lines) + "\n"


def us(value: float | None) -> str:
    return "" if value is None else f"{value / 1000:,.0f} us"


def remember(document: dict, folder: Path) -> None:
    """A line of the history: what somebody plots over the years."""
    path = folder / document["profile"]["id"] / "capacity" / f"{document['utc'][:7]}.ndjson"
    history.append_line(path, {key: document[key] for key in ("schema", "verdict", "scenario", "utc", "commit", "dirty", "profile", "sut",
                                                              "outputs", "generator_pps", "goals")} | {"gate": "capacity"})


def finish(sitting: Path, hops: list[dict], goals: list[str], past: Path | None) -> int:
    document = conclude(sitting, hops, goals)
    write_json(sitting / "capacity.json", document)
    write_text(sitting / "capacity.md", show(document, True))
    print(show(document, False), end="")
    if past and document["terms"]["official"]:
        try:
            remember(document, past)
        except OSError as error:
            print(f"bench: this search is missing in the history {past}: {error}", file=sys.stderr)
    return STATUS[document["verdict"]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["next", "lower", "passes", "finish"])
    parser.add_argument("sitting", type=Path)
    parser.add_argument("--hops", type=json.loads, required=True)
    parser.add_argument("--goal", nargs="+", choices=list(GOALS), required=True)
    parser.add_argument("--history", type=Path)
    args = parser.parse_args()
    try:
        if args.command == "finish":
            return finish(args.sitting, args.hops, args.goal, args.history)
        flood, trials = trials_of(args.sitting, args.hops)
        search = search_of(flood, trials, args.goal)
    except Faulty as fault:
        print(f"capacity.py: {fault}", file=sys.stderr)
        return STATUS[INVALID]
    if args.command == "next":
        load = next_load(search)
    elif args.command == "passes":
        load = passes(search, trials, args.goal[-1])
    else:
        load = search.result(GOALS[args.goal[-1]]).lower
    if load is not None:
        print(round(load))
    return 0


if __name__ == "__main__":
    sys.exit(main())
