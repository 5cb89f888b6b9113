"""all.py again RESULT.json: exit 10 when there is none, or that run lost what it was not to lose, to buffers that were full: the machine
may have stood still; measure it again. 0 otherwise.
all.py finish SITTING: the verdict on all scenarios, from the last run of each; writes all.json and all.md, prints the table.

A scenario passes when its run is valid, and loses nothing, or with `loss = full-buffers` nothing but what found a buffer full: no packet
twice, changed, out of order or on a way that it was not to take. With `holds = N`, and a rate that takes several values (`each`), what
leaves the first hop at the last one is at least N % of the most that left at any."""

import sys
from pathlib import Path

from harness.report.tables import machine_line, paint, percent, pps, table
from harness.result import runs, validity
from harness.result.documents import Faulty, write_json, write_text
from harness.verdict.outcome import INCONCLUSIVE, INVALID, MORE, PASS, REGRESSION, STATUS, USAGE, worst

FULL = ("buffer_exhaustion", "rx_dropped", "tx_dropped", "socket_drops")  # causes of a loss: a buffer was full
OURS = "socket_drops"  # the buffer of a receiver, which is the harness's
RETURNED_MAX = 0.01    # of what arrives, and REPORTS packets: reports of group membership go against the traffic
REPORTS = 100
CHANGES_MIN = 0.95     # of the changes of rules that are asked for


def losses(run: dict) -> tuple[dict[str, int], dict[str, int]]:
    """({what: packets} that found a buffer full, the same of what was lost otherwise)."""
    found = {f"{account['account']}: {cause}": count for account in run["ledger"]
             for cause, count in account["drops"].items() if count and cause not in ("foreign", "uncounted_headers")}
    full = {what: count for what, count in found.items() if what.endswith(tuple(f": {cause}" for cause in FULL))}
    return full, {what: count for what, count in found.items() if what not in full}


def told(found: dict[str, int]) -> list[str]:
    return [f"{count:,} packets: {what}" for what, count in found.items()]


def wrong_ways(run: dict) -> list[str]:
    sink = run["sink"]
    if sink.get("returned", 0) > RETURNED_MAX * sink["received"] + REPORTS:
        return [f"{sink['returned']:,} packets went back, the way that others come by"]
    return []


def uneven(run: dict) -> list[str]:
    """Receivers that got more than they are owed; with no loss allowed, also less."""
    none = run["declared"].get("loss") == "none"
    return [f"receiver {one['name']}: {one['received']:,} of {one['expected']:,} packets" for one in run["sink"].get("receivers", [])
            if one["received"] > one["expected"] or none and one["received"] < one["expected"]]


def changes(run: dict) -> tuple[str, list[str]]:
    found = run.get("changes")
    if not found:
        return PASS, []
    if found["refused_count"]:
        return REGRESSION, [f"{found['refused_count']} of {found['done']} changes of rules were refused: {found['refused'][0]}"]
    asked = found["per_s"] * found["seconds"]
    if found["done"] < CHANGES_MIN * asked:
        return INCONCLUSIVE, [f"{found['done']} of {asked:.0f} changes of rules were made: the machine was too slow"]
    return PASS, []


def judge(run: dict) -> tuple[str, list[str]]:
    if faults := validity.faults(run, "relay"):
        return INVALID, faults
    full, other = losses(run)
    reasons = told(other) + wrong_ways(run)
    if run["sink"]["reordered"]:
        reasons.append(f"{run['sink']['reordered']:,} packets arrived behind a later one of their flow")
    if reasons:
        return REGRESSION, reasons
    if run["declared"].get("loss") == "none" and (full or run["sink"]["lost"] or uneven(run)):
        reasons = [*told(full), *uneven(run)] or [f"{run['sink']['lost']:,} of {run['sink']['expected']:,} packets did not arrive"]
        return (INCONCLUSIVE if full and all(what.endswith(OURS) for what in full) else REGRESSION), reasons
    if reasons := uneven(run):
        return REGRESSION, reasons
    return changes(run)


def again(run: dict) -> bool:
    """May another run be better? Only where what was wrong may be the machine's: full buffers, too few changes."""
    word, _ = judge(run)
    _, other = losses(run)
    return word == INCONCLUSIVE or word == REGRESSION and not (other or wrong_ways(run) or run["sink"]["reordered"] or changes(run)[0] == REGRESSION)


def holds(name: str, judged: list[dict]) -> list[str]:
    """Why a relay that is offered more than it can pass on falls behind what it passed on of less; nothing when it does not, or is
    not asked."""
    share = int(judged[0]["declared"].get("holds", 0))
    if not share:
        return []
    rates = [one["egress_pps"] for one in judged]
    if rates[-1] >= share / 100 * max(rates):
        return []
    return [f"{name}: {pps(rates[-1])} leave at {judged[-1]['variant']}, {rates[-1] / max(rates):.0%} of the {pps(max(rates))} that leave "
            f"at most; {share} % have to"]


def summary(name: str, tries: list[dict]) -> dict:
    """Of one scenario, with one value of its key: the last run counts."""
    run = tries[-1]
    word, reasons = judge(run)
    sink, hop = run["sink"], run["hops"][0]
    return {"name": name, "scenario": run["scenario"], "variant": ", ".join(f"{key} = {value}" for key, value in run["overrides"].items()),
            "verdict": word, "reasons": reasons, "tries": len(tries), "declared": run["declared"],
            "offered_pps": run["offered_pps"], "egress_pps": hop["egress_pps"], "expected": sink["expected"], "received": sink["received"],
            "lost_to_full_buffers": sum(losses(run)[0].values()), "latency_ns": sink["latency_ns"], "run_id": run["run_id"]}


def collect(sitting: Path) -> dict:
    found = runs.by_name(sitting)
    if not found:
        raise Faulty(f"{sitting}: no runs")
    rows = sorted((summary(name, tries) for name, tries in found.items()), key=lambda row: row["scenario"])  # variants in their order
    reasons = []
    words = [row["verdict"] for row in rows]
    for scenario in dict.fromkeys(row["scenario"] for row in rows):
        failed = holds(scenario, [row for row in rows if row["scenario"] == scenario])
        reasons += failed
        words += [REGRESSION] * bool(failed)
    first = next(iter(found.values()))[0]
    return {"schema": 1, "utc": first["utc"], "commit": first["commit"], "dirty": first["dirty"], "profile": first["profile"],
            "sut": first["sut"], "verdict": worst(words), "reasons": reasons, "rows": rows}


def shown(document: dict, markdown: bool) -> str:
    def row_of(row: dict) -> list[str]:
        latency = row["latency_ns"]
        return [row["name"], pps(row["offered_pps"]), pps(row["egress_pps"]), f"{row['received']:,} of {row['expected']:,}",
                percent(1 - row["received"] / row["expected"] if row["expected"] else None),
                f"{latency['p99'] / 1000:,.0f} us" if latency else "", row["verdict"] + (f" (try {row['tries']})" if row["tries"] > 1 else "")]
    return table(["scenario", "offered", "first hop sends", "arrived", "lost", "p99", "verdict"], [row_of(row) for row in document["rows"]], markdown)


def told_of(document: dict) -> list[str]:
    return [f"{row['name']}: {reason}" for row in document["rows"] for reason in row["reasons"]] + document["reasons"]


def main() -> int:
    if len(sys.argv) != 3 or sys.argv[1] not in ("again", "finish"):
        print("usage: all.py again RESULT.json | finish SITTING", file=sys.stderr)
        return USAGE
    command, path = sys.argv[1], Path(sys.argv[2])
    try:
        if command == "again":
            run = runs.load_if_there(path)
            return STATUS[MORE] if run is None or again(run) else STATUS[PASS]
        document = collect(path)
    except (Faulty, OSError) as error:
        print(f"all.py: {error}", file=sys.stderr)
        return STATUS[INVALID]
    write_json(path / "all.json", document)
    place = machine_line(document | {"placement": {}}).replace("; ; ", "; ")
    words = "\n".join(["", f"{document['verdict']}: {len(document['rows'])} runs", *(f"- {reason}" for reason in told_of(document))])
    write_text(path / "all.md", f"### Every scenario\n\n{place}\n\n{shown(document, True)}\n{words}\n")
    print(f"\n{place}\n\n{shown(document, False)}\n{paint(words, document['verdict'])}")
    return STATUS[document["verdict"]]


if __name__ == "__main__":
    sys.exit(main())
