"""fastpath.py plan TABLE --rounds N [--only ROW]...: what has to be measured for the rows of a table of
targets, a run a line: FOLDER, scenario, system, KEY=VALUE... (tabs between).
fastpath.py judge TABLE SITTING --rounds N [--only ROW]...: writes SITTING/fastpath.{json,md}, prints the
table, exits with 0 when every row is met, 3 when one is missed, 4 when the generator did not reach what
a row asks for, 5 when a run is invalid.

TABLE is scenarios/fastpath.json. A variant is a scenario with changes; those of one group are measured in
turn, round by round, so that what changes on the machine changes for all of them; a group is finished
before the next one begins. The runs are SITTING/rounds/NN/VARIANT/result.json. A row is the median of one
variant's runs, or its ratio to the median of another.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median

from harness.report.tables import machine_line, paint, pps, table
from harness.result import validity
from harness.result.documents import read_json, write_json
from harness.result.runs import by_name
from harness.verdict import arrival, control, cost, outcome
from harness.verdict.outcome import STATUS
from harness.verdict.terms import terms

MET, MISSED, UNFIT, INVALID = "met", "missed", "unfit", "invalid"
VERDICT = {MET: outcome.PASS, MISSED: outcome.REGRESSION, UNFIT: outcome.UNFIT, INVALID: outcome.INVALID}
PAINTED = VERDICT | {UNFIT: outcome.INVALID}  # in which colour
WORST_FIRST = (INVALID, MISSED, UNFIT, MET)


def micro(ns: float) -> str:
    return f"{ns / 1000:,.2f} us"


def share(value: float) -> str:
    return f"{value:.4%}" if value < 0.001 else f"{value:.1%}"


def ratio(value: float) -> str:
    return f"{value:.2f}"


METRICS: dict[str, tuple[str, Callable[[dict], float], Callable[[float], str]]] = {
    # name: unit, from a result, for people
    "egress_1": ("packets/s", lambda run: run["hops"][0]["egress_pps"], pps),
    "egress_2": ("packets/s", lambda run: run["hops"][1]["egress_pps"], pps),
    "exhaustion_1": ("ratio", lambda run: run["hops"][0]["buffer_exhaustion_ratio"], share),
    "loss": ("ratio", lambda run: run["sink"]["lost"] / run["sink"]["expected"], share),
    "cpu_1": ("ns", lambda run: run["hops"][0]["cpu_ns_per_packet"], micro),
    "latency_p50": ("ns", lambda run: run["sink"]["latency_ns"]["p50"], micro),
    "latency_p99": ("ns", lambda run: run["sink"]["latency_ns"]["p99"], micro),
}
LIMITS = {"at_least": (">=", lambda value, limit: value >= limit),
          "at_most": ("<=", lambda value, limit: value <= limit),
          "below": ("<", lambda value, limit: value < limit)}


def chosen(targets: dict, only: list[str]) -> list[dict]:
    """The rows asked for, in the order of the table; all when none is."""
    names = [row["name"] for row in targets["rows"]]
    for name in only:
        if name not in names:
            raise ValueError(f"--only: no row '{name}'; there are: {' '.join(names)}")
    return [row for row in targets["rows"] if not only or row["name"] in only]


def variants_of(row: dict) -> list[str]:
    return [row["variant"]] + ([row["against"]] if "against" in row else [])


def plan(targets: dict, rounds: int, only: list[str]) -> list[str]:
    needed = {name for row in chosen(targets, only) for name in variants_of(row)}
    groups: dict[str, list[dict]] = {}
    for variant in targets["variants"]:
        if variant["name"] in needed:
            groups.setdefault(variant["group"], []).append(variant)
    lines = []
    for group in groups.values():
        for number in range(1, rounds + 1):
            for variant in group:
                if number > 1 and variant.get("once"):
                    continue
                words = [f"{key}={value}" for key, value in variant["change"].items()]
                lines += [cost.control_plan(variant["name"], [variant["scenario"], *words])] if number == 1 else []
                lines.append("\t".join([f"rounds/{number:02}/{variant['name']}", variant["scenario"],
                                        variant.get("sut", "relay"), *words]))
    return lines


def limit_of(row: dict) -> tuple[str, float]:
    return next((name, row[name]) for name in LIMITS if name in row)


def problems_of(row: dict, runs: dict[str, list[dict]], rounds: int, once: set[str]) -> list[str]:
    """What makes a row's figures worthless."""
    found = []
    for name in variants_of(row):
        wanted = 1 if name in once else rounds
        if len(runs[name]) != wanted:
            found.append(f"{name}: {len(runs[name])} of {wanted} runs")
        found += [f"{name}, round {number}: {fault}" for number, run in enumerate(runs[name], 1)
                  for fault in [*validity.faults(run, "relay"), *arrival.damage_seen(run)]]
        if len({run["sut"]["sha256"] for run in runs[name]}) > 1:
            found.append(f"{name}: the binary changed between rounds")
    return found


def starved(row: dict, runs: dict[str, list[dict]], controls: dict[str, list[dict]]) -> tuple[list[str], bool]:
    """(variants whose generator did not reach the rate that they ask for; was it the relays that took it from each of them,
    since without them it does?)"""
    found, theirs = [], True
    for name in variants_of(row):
        asked = int(runs[name][0]["declared"]["rate_pps"])
        offered = median(run["offered_pps"] for run in runs[name])
        if asked < control.FLOOD_PPS and control.starved(offered, asked):
            alone = [run["offered_pps"] for run in controls.get(name, []) if not validity.faults(run, "control")]
            healthy = bool(alone) and not control.starved(median(alone), asked)
            theirs &= healthy
            found.append(f"{name}: the generator reached {offered:,.0f} of {asked:,} pps"
                         + (", and without the relay all of it" if healthy else ""))
    return found, theirs


def judge_row(row: dict, runs: dict[str, list[dict]], rounds: int, once: set[str], controls: dict[str, list[dict]]) -> dict:
    """A target that is missed beside a starving generator is missed by the relays, if it is they who starve it; one that is met
    there was not asked of all the load."""
    unit, metric, _ = METRICS[row["metric"]]
    name, limit = limit_of(row)
    sign, holds = LIMITS[name]
    judged = {"name": row["name"], "what": row["what"], "metric": row["metric"],
              "against": row.get("against"), "unit": "ratio" if "against" in row else unit,
              "sign": sign, "required": limit, "value": None, "samples": {}, "medians": {}, "reasons": []}
    judged["reasons"] = problems_of(row, runs, rounds, once)
    if judged["reasons"]:
        return {**judged, "verdict": INVALID}
    judged["samples"] = {name: [metric(run) for run in runs[name]] for name in variants_of(row)}
    judged["medians"] = {name: median(values) for name, values in judged["samples"].items()}
    value = judged["medians"][row["variant"]]
    if "against" in row:
        base = judged["medians"][row["against"]]
        if base <= 0:
            return {**judged, "verdict": INVALID, "reasons": [f"{row['against']}: nothing was sent"]}
        value /= base
    judged["value"] = value
    judged["reasons"], theirs = starved(row, runs, controls)
    met = holds(value, limit)
    if judged["reasons"] and (met or not theirs):
        return {**judged, "verdict": UNFIT}
    return {**judged, "verdict": MET if met else MISSED}


def judge(targets: dict, runs: dict[str, list[dict]], rounds: int, only: list[str],
          controls: dict[str, list[dict]]) -> dict:
    """`runs`, `controls`: by variant, in the order of the rounds."""
    once = {variant["name"] for variant in targets["variants"] if variant.get("once")}
    rows = [judge_row(row, runs, rounds, once, controls) for row in chosen(targets, only)]
    verdict = next(word for word in WORST_FIRST if word in [row["verdict"] for row in rows])
    measured = {name: found for name, found in runs.items() if found}
    first = next(iter(measured.values()))[0] if measured else {}
    return {
        "schema": 1,
        "verdict": verdict,
        "exit": STATUS[VERDICT[verdict]],
        "rounds": rounds,
        **{key: first[key] for key in ("utc", "commit", "dirty", "profile") if key in first},
        "rows": rows,
        "variants": {name: {
            "scenario": found[0]["scenario"], "sut": found[0]["sut"],
            "link_profile": found[0]["link_profile"], "declared": found[0]["declared"],
            "placement": found[0]["placement"], "offered_pps": median(
                run["offered_pps"] for run in found),
            "machine_cost_ns_per_forwarded_packet": cost.middle(cost.costs(found, controls.get(name, []))),
            "runs": [run["run_id"] for run in found]} for name, found in measured.items()},
    }


def table_rows(document: dict) -> list[list[str]]:
    rows = []
    for row in document["rows"]:
        show = METRICS[row["metric"]][2]
        limit = ratio if row["against"] else show
        rows.append([row["what"], " : ".join(show(value) for value in row["medians"].values()),
                     ratio(row["value"]) if row["against"] and row["value"] is not None else "",
                     machine_cell(document, row),
                     f"{row['sign']} {limit(row['required'])}", row["verdict"]])
    return rows


def machine_cell(document: dict, row: dict) -> str:
    """What a packet sent on cost the whole machine, of the same variants as the figure."""
    found = [document["variants"][name]["machine_cost_ns_per_forwarded_packet"] for name in row["medians"]]
    return "" if None in found else " : ".join(map(micro, found))


def heading(document: dict) -> str:
    variants = document["variants"].values()
    placement = {name: cpu for variant in variants for name, cpu in variant["placement"].items()
                 if cpu is not None}
    return (f"fast path, medians of {document['rounds']} interleaved rounds, {document['utc'][:10]}\n"
            + machine_line({**document, "placement": placement}))


def render(document: dict, markdown: bool) -> str:
    text = "" if "utc" not in document else heading(document) + "\n\n"
    text += table(["", "measured", "ratio", "machine per packet", "required", "verdict"], table_rows(document), markdown)
    reasons = [f"  - {row['name']}: {reason}" for row in document["rows"] for reason in row["reasons"]]
    reasons += [f"  - {line}" for line in (terms.lines(document["terms"]) if "terms" in document else [])]
    return "\n".join([text, *([""] if reasons else []), *reasons])


def load_runs(targets: dict, sitting: Path) -> tuple[dict[str, list[dict]], dict[str, list[dict]]]:
    """(runs, controls), of all variants"""
    runs, controls = cost.part_controls(by_name(sitting))
    return {variant["name"]: runs.get(variant["name"], []) for variant in targets["variants"]}, controls


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("what", choices=("plan", "judge"))
    parser.add_argument("table", type=Path)
    parser.add_argument("sitting", type=Path, nargs="?")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", action="append", default=[])
    options = parser.parse_args()
    try:
        targets = read_json(options.table)
        if options.what == "plan":
            print("\n".join(plan(targets, options.rounds, options.only)))
            return 0
        runs, controls = load_runs(targets, options.sitting)
        document = judge(targets, runs, options.rounds, options.only, controls)
        document = terms.under(document, terms.of(options.sitting), (MET,), UNFIT)
        write_json(options.sitting / "fastpath.json", document)
        (options.sitting / "fastpath.md").write_text(render(document, True) + "\n")
        print(render(document, False) + "\n")
        print(paint(document["verdict"], PAINTED[document["verdict"]]) + f": {sum(r['verdict'] == MET for r in document['rows'])}"
            f" of {len(document['rows'])} rows met")
    except (ValueError, KeyError, TypeError, IndexError, StopIteration) as error:
        text = error if isinstance(error, ValueError) else f"{options.table}, or a run of it, lacks what a row needs: {error!r}"
        print(f"fastpath.py: {text}", file=sys.stderr)
        return outcome.USAGE if options.what == "plan" else STATUS[outcome.INVALID]
    return document["exit"]


if __name__ == "__main__":
    sys.exit(main())
