"""age.py ask SITTING --metric METRIC --sha256 SHA256: while the old relay's pairs have not told, a line "BLOCK NN" for each that comes next.
age.py finish SITTING --kind age|soak --metric METRIC --sha256 SHA256 [--history FOLDER]: SITTING/age.json and a table. Exits with 0 PASS, 3
REGRESSION, 4 INCONCLUSIVE or UNFIT, 5 INVALID.

SITTING holds what age.bash says. Is the relay worse now that it is old? Of each of these the end is judged:

  speed        its pairs beside fresh relays, when it is old, by the rule of the paired gate (paired.py) with RULE's tolerance: neighbours
               on the host, which make rates drift by 5 to 10 %, do the same to both. Those of when it was young, and between, show since when
  memory       its processes' own memory grows by more than MEMORY_BYTES after the first load
  descriptors  they have more than DESCRIPTORS more after the second load: rules came and went in between
  counters     one that has gone backwards
  workers      one that was started again
  rules        a change that was refused
  arrival      where receivers read: packets that were damaged, doubled or swapped
  latency      there, of each pair of the old one, a quantile is longer than the fresh one's by more than LATENCY_RISE
  loss         soak: of the last third of the loads, LOSS_RISE more than of the first
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from statistics import median

from harness.history import history
from harness.result import validity
from harness.result.documents import Faulty, write_json, write_text
from harness.result.runs import load as load_run, load_if_there
from harness.verdict import arrival, outcome
from harness.verdict.age import evidence
from harness.verdict.age.show import show
from harness.verdict.outcome import INCONCLUSIVE, INVALID, MORE, REGRESSION, STATUS
from harness.verdict.paired import latency, paired
from harness.verdict.paired.pairs import loss_of, rate_reasons, run_reasons, value_of
from harness.verdict.terms import terms

# A copy of a program that lives on is for all of its life a little faster or slower than others: in which pages it lies. Fresh ones
# are made anew for each pair.
RULE = paired.Rule(estimator="trimmed-10", tolerance=0.05, looks=(6, 12))
MEMORY_BYTES = 1 << 20
DESCRIPTORS = 3
SOAK_LOSS = 0.005  # of the packets of a soak: more than what its capacity was found with
LATENCY_RISE = {"p50": 1.0, "p99": 4.0}  # 1: twice as long
BLOCKS = ("young", "between", "old", "confirmation", "read-young", "read-old")
LATENCIES = ("p50", "p99", "p99_9", "max")


def pairs_of(folder: Path) -> list[dict]:
    """{"pair", "base": of the fresh relay, "head": of the one that lives on, "control": None}; those of which both ran."""
    found = []
    for place in sorted(folder.glob("[0-9]*")):
        runs = {who: load_if_there(place / who / "result.json") for who in ("base", "head")}
        if all(runs.values()):
            found.append({"pair": f"{folder.name}/{place.name}", "control": None, **runs})
    return found


def blocks_of(sitting: Path) -> dict[str, list[dict]]:
    return {name: pairs_of(sitting / name) for name in BLOCKS}


def loads_of(sitting: Path) -> list[dict]:
    """In the order in which they were made, however many."""
    return [load_run(path) for path in sorted((sitting / "load").glob("*/result.json"), key=lambda path: int(path.parent.name))]


def speed(blocks: dict[str, list[dict]], metric: str) -> paired.Decision:
    """Over the pairs of the old relay."""
    judged = {paired.FIRST: blocks["old"], paired.CONFIRMATION: blocks["confirmation"]}
    observed = {name: [paired.observation(metric, value_of(pair["base"], metric), value_of(pair["head"], metric)) for pair in pairs]
                for name, pairs in judged.items()}
    spare = metric != "egress_pps"  # to lose nothing
    lost = {name: [loss_of(pair["head"]) - loss_of(pair["base"]) for pair in pairs] for name, pairs in judged.items()} if spare else {}
    if metric == "latency":
        decision, _ = latency.decide(*(latency.observed(pairs) for pairs in judged.values()), lost)
    else:
        decision = paired.decide(observed[paired.FIRST], observed[paired.CONFIRMATION], RULE, lost)
    everything = judged[paired.FIRST] + judged[paired.CONFIRMATION]
    if decision.verdict == MORE or not spare:
        return decision
    reasons = rate_reasons(everything, decision.verdict)
    return paired.unfit(decision, reasons) if reasons else decision


def invalid_reasons(blocks: dict[str, list[dict]], loads: list[dict], metric: str, sha256: str) -> list[str]:
    everything = [pair for pairs in blocks.values() for pair in pairs]
    reasons = []
    for pairs in blocks.values():  # those of a block are asked the same
        reasons += [f"{pair['pair']}, {'fresh relay' if who == 'base' else 'old relay'}: {reason}" for pair in pairs for who in ("base", "head")
                    for reason in run_reasons(who, pair[who], pairs[0], everything[0]["base"]["scenario"], metric,
                                              {"base": sha256, "head": sha256})]
    reasons += [f"load/{i:02}: {reason}" for i, run in enumerate(loads, 1) for reason in validity.faults(run, "relay")]
    if not loads:
        reasons.append("nothing has made the relay older")
    return reasons


def ask(sitting: Path, metric: str, sha256: str) -> list[tuple[str, int]]:
    """The pairs that come next: (block, number). Where one does not count, none."""
    blocks = blocks_of(sitting)
    if invalid_reasons(blocks, loads_of(sitting), metric, sha256):
        return []
    decision = speed(blocks, metric)
    if decision.verdict != MORE:
        return []
    name = {paired.FIRST: "old", paired.CONFIRMATION: "confirmation"}[decision.block]
    return [(name, i + 1) for i in range(len(blocks[name]), decision.needs)]


def thirds(values: list[float]) -> tuple[float, float] | None:
    """(median of the first third, of the last)"""
    count = len(values) // 3
    return (median(values[:count]), median(values[-count:])) if count else None


def losses(loads: list[dict], kind: str) -> tuple[list[str], list[str]]:
    """Of a soak, (what is proven, what is open). A flood is more than a relay can pass on."""
    if kind != "soak" or not loads:
        return [], []
    lost = [loss_of(run) or 0.0 for run in loads]
    parts = thirds(lost)
    if parts and parts[1] - parts[0] > paired.LOSS_RISE:
        return [f"loss: the last loads lost {parts[1]:.3%} of their packets, the first ones {parts[0]:.3%}"], []
    whole = sum(run["sink"]["lost"] for run in loads) / max(1, sum(run["sink"]["expected"] for run in loads))
    return [], [f"loss: {whole:.2%} of the packets of the soak were lost, at 70 % of the rate of which {1 - SOAK_LOSS:.1%} pass; "
                f"this machine, or the relay, was not what it was"] if whole > SOAK_LOSS else []


def worse(document: dict) -> list[str]:
    """What is proven of it besides its speed."""
    memory, descriptors, told = document["memory"], document["descriptors"], document["counters"]
    found = []
    if memory["growth"] > memory["allowed"]:
        found.append(f"memory: its processes have {memory['growth'] / (1 << 20):,.1f} MiB more of their own than after the first load "
                     f"({memory['first'] / (1 << 20):,.1f} -> {memory['last'] / (1 << 20):,.1f}); {memory['allowed'] / (1 << 20):.0f} MiB are allowed")
    if descriptors["growth"] > descriptors["allowed"]:
        found.append(f"descriptors: {descriptors['first']} -> {descriptors['last']}, while rules came and went: "
                     f"{document['changes']['made']} changes")
    names = sorted({step["counter"] for step in told["backwards"]})
    if names:
        step = told["backwards"][0]
        found.append(f"counters went backwards: {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}; {step['counter']} from "
                     f"{step['from']:,} to {step['to']:,}")
    if told["restarts"]:
        found.append(f"workers were started again, {told['restarts']} times")
    if document["changes"]["refused"]:
        found.append(f"rules: {document['changes']['refused']} of {document['changes']['made'] + document['changes']['refused']} changes were "
                     f"refused: {document['changes']['first_refusal']}")
    return found


def damaged(blocks: dict[str, list[dict]]) -> list[str]:
    return [f"{pair['pair']}: {what}" for pairs in blocks.values() for pair in pairs if not arrival.damage_seen(pair["base"])
            for what in arrival.damage_seen(pair["head"])]


def slower(pairs: list[dict]) -> list[str]:
    """Of the rows of pairs that were read: quantiles that are longer in each of them."""
    rises = {key: [row["head_latency_ns"][key] / row["base_latency_ns"][key] - 1.0 for row in pairs
                   if row["head_latency_ns"] and row["base_latency_ns"]] for key in LATENCY_RISE}
    return [f"latency: {key} is {min(found) + 1:.1f} times as long as a fresh relay's, or more, in each of {len(found)} pairs; less than "
            f"{LATENCY_RISE[key] + 1:g} times is allowed" for key, found in rises.items() if found and min(found) > LATENCY_RISE[key]]


def pair_row(pair: dict, metric: str) -> dict:
    base, head = (value_of(pair[who], metric) for who in ("base", "head"))
    row = {"pair": pair["pair"], "utc": pair["head"]["utc"], "base": base, "head": head, "base_loss": loss_of(pair["base"]),
           "head_loss": loss_of(pair["head"]),
           "change": paired.change(paired.observation(metric, base, head)) if base and head else None}
    for who in ("base", "head"):
        told = pair[who]["sink"].get("latency_ns")
        row[f"{who}_latency_ns"] = {key: told[key] for key in LATENCIES if key in told} if told else None
        row[f"{who}_longest_gap_ms"] = pair[who]["sink"].get("longest_gap_ms")
    return row


def load_row(run: dict, name: str) -> dict:
    hop = run["hops"][0]
    return {"load": name, "utc": run["utc"], "offered_pps": run["offered_pps"], "seconds": hop["seconds"], "loss_ratio": loss_of(run),
            **{key: hop[key] for key in ("ingress_pps", "egress_pps", "cpu_ns_per_packet", "buffer_exhaustion_ratio")}}


def decide(document: dict, blocks: dict[str, list[dict]], loads: list[dict], metric: str, sha256: str) -> dict:
    """verdict, reasons, and the decision on speed."""
    broken = invalid_reasons(blocks, loads, metric, sha256)
    proven = worse(document) + damaged(blocks) + slower(document["pairs"]["read-old"])
    decision = None
    if not broken:
        lost, open_ones = losses(loads, document["kind"])
        proven += lost
        decision = speed(blocks, metric)
        if decision.verdict == MORE:
            decision = replace(decision, verdict=INCONCLUSIVE, reasons=("the sitting ended before its pairs had told", *decision.reasons))
        if decision.verdict == REGRESSION:
            proven.insert(0, f"speed: {'; '.join(decision.reasons)}")
    if proven:
        verdict, reasons = REGRESSION, proven + broken
    elif broken:
        verdict, reasons = INVALID, broken
    else:
        verdict, reasons = decision.verdict, list(decision.reasons)
        if open_ones:
            verdict, reasons = outcome.worst([verdict, INCONCLUSIVE]), reasons + open_ones
    return {"verdict": verdict, "reasons": reasons, "speed": decision.as_dict() if decision else None}


def conclude(sitting: Path, kind: str, metric: str, sha256: str) -> dict:
    blocks, loads, agreed = blocks_of(sitting), loads_of(sitting), terms.of(sitting)
    runs = [pair["head"] for pairs in blocks.values() for pair in pairs] + loads
    if not runs:
        raise Faulty(f"{sitting}: not one run")
    processes = evidence.snapshots(sitting)
    first = runs[0]
    document = {
        "schema": 1, "kind": kind, "scenario": first["scenario"], "metric": metric,
        "tolerance": None if metric == "latency" else RULE.tolerance,  # latency.py has one for each figure
        "utc": max(run["utc"] for run in runs), "seconds": (processes[-1]["uptime_ms"] - processes[0]["uptime_ms"]) / 1000,
        **{key: first[key] for key in ("commit", "dirty", "profile", "placement", "declared", "sut")},
        "load_pps": int(loads[0]["declared"]["rate_pps"]) if loads else None,
        "memory": evidence.grown(processes, "own_bytes", 1, MEMORY_BYTES), "descriptors": evidence.grown(processes, "descriptors", 2, DESCRIPTORS),
        "processes": processes, "counters": evidence.counters(sitting), "changes": evidence.changes(sitting),
        "loads": [load_row(run, f"load/{i:02}") for i, run in enumerate(loads, 1)],
        "pairs": {name: [pair_row(pair, metric) for pair in pairs] for name, pairs in blocks.items()}}
    return terms.under(document | decide(document, blocks, loads, metric, sha256), agreed)


def remember(document: dict, folder: Path) -> None:
    """A line of the history."""
    path = folder / document["profile"]["id"] / "age" / f"{document['utc'][:7]}.ndjson"
    keys = ("schema", "kind", "verdict", "scenario", "metric", "utc", "commit", "dirty", "profile", "sut", "seconds", "load_pps", "memory",
            "descriptors", "reasons")
    speed_of = document["speed"] or {}
    history.append_line(path, {key: document[key] for key in keys} | {
        "gate": document["kind"], "packets": document["counters"]["packets"],
        "speed": {key: speed_of.get(key) for key in ("verdict", "estimate", "lower", "upper", "pairs")}})


def finish(sitting: Path, kind: str, metric: str, sha256: str, past: Path | None) -> int:
    document = conclude(sitting, kind, metric, sha256)
    write_json(sitting / "age.json", document)
    write_text(sitting / "age.md", show(document, True))
    print(show(document, False), end="")
    if past and document["terms"]["official"]:
        try:
            remember(document, past)
        except OSError as error:
            print(f"bench: this sitting is missing in the history {past}: {error}", file=sys.stderr)
    return STATUS[document["verdict"]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["ask", "finish"])
    parser.add_argument("sitting", type=Path)
    parser.add_argument("--kind", choices=["age", "soak"])
    parser.add_argument("--metric", choices=list(paired.METRICS), required=True)
    parser.add_argument("--sha256", required=True)
    parser.add_argument("--history", type=Path)
    args = parser.parse_args()
    try:
        if args.command == "finish":
            return finish(args.sitting, args.kind, args.metric, args.sha256, args.history)
        for block, pair in ask(args.sitting, args.metric, args.sha256):
            print(block, f"{pair:02}")
    except Faulty as fault:
        print(f"age.py: {fault}", file=sys.stderr)
        return STATUS[INVALID]
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        print(f"age.py: {args.sitting}: not what a sitting leaves: {error!r}", file=sys.stderr)
        return STATUS[INVALID]
    return 0


if __name__ == "__main__":
    sys.exit(main())
