"""sweep.py plan SCENARIO --payload P --flows N --fanout N|- --rounds N [--only NAME]...: the runs of a sweep, one a line:
FOLDER, scenario, system, KEY=VALUE... (tabs between). In each link profile the scenario as it is, then
with another payload, number of flows, number of outputs, one at a time; round by round.
sweep.py show SITTING: writes SITTING/sweep.json, prints the table; exit 5 when a run is invalid.
"""

import argparse
import sys
from pathlib import Path
from statistics import median

from harness.report.tables import load_line, machine_line, number, percent, pps, table
from harness.result import validity
from harness.result.documents import write_json
from harness.result.runs import by_name
from harness.verdict import cost
from harness.verdict.outcome import INVALID, PASS, STATUS

PROFILES = ("wire", "gro", "plain")
PAYLOADS = ("64", "512", "1400", "8900", "imix")
FLOWS = ("1", "8", "64")
FANOUTS = ("1", "3", "10", "50")
DIMENSIONS = {"payload": ("payload_bytes", PAYLOADS), "flows": ("flows", FLOWS),
              "fanout": ("fanout", FANOUTS)}


def variants(own: dict[str, str]) -> list[tuple[str, dict[str, str]]]:
    """(name, changes) of each variant. `own`: what the scenario has itself, by dimension; a dimension
    that it does not have is not varied."""
    found = []
    for profile in PROFILES:
        found.append((f"{profile}.as-is", {"profile": profile}))
        found += [(f"{profile}.{name}-{value}", {"profile": profile, key: value})
                  for name, (key, values) in DIMENSIONS.items() if name in own
                  for value in values if value != own[name]]
    return found


def plan(scenario: str, own: dict[str, str], rounds: int, only: list[str]) -> list[str]:
    """`only`: variants whose names have one of these in them; all, when there is none. In the first round each has a control."""
    lines = []
    for place in range(1, rounds + 1):
        for name, changes in variants(own):
            if only and not any(text in name for text in only):
                continue
            words = [f"{key}={value}" for key, value in changes.items()]
            lines += [cost.control_plan(name, [scenario, *words])] if place == 1 else []
            lines.append("\t".join([f"rounds/{place:02}/{name}", scenario, "relay", *words]))
    return lines


def known_median(values: list) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def summary(name: str, runs: list[dict], controls: list[dict]) -> dict:
    """The medians of a variant's runs; rates of the first hop, losses of the whole way."""
    hops = [run["hops"][0] for run in runs]
    profile, _, change = name.partition(".")
    return {"name": name, "link_profile": profile, "change": change,
            "declared": runs[0]["declared"], "mtu_bytes": runs[0]["mtu_bytes"],
            "offered_pps": median(run["offered_pps"] for run in runs),
            **{key: known_median([hop[key] for hop in hops]) for key in (
                "egress_pps", "cpu_ns_per_packet", "packets_per_frame", "segments_per_send",
                "loss_ratio")},
            "machine_cost_ns_per_forwarded_packet": cost.middle(cost.costs(runs, controls)),
            "egress_pps_samples": [hop["egress_pps"] for hop in hops],
            "end_to_end_loss_ratio": median(
                max(run["sink"]["lost"], 0) / max(run["sink"]["expected"], 1) for run in runs),
            "problems": [f"{name}, round {i}: {fault}" for i, run in enumerate(runs, 1)
                         for fault in validity.faults(run, "relay")]}


def collect(sitting: Path) -> dict:
    runs, controls = cost.part_controls(by_name(sitting))
    if not runs:
        raise ValueError(f"no results in {sitting}")
    first = next(iter(runs.values()))[0]
    return {"schema": 1,
            **{key: first[key] for key in ("scenario", "utc", "commit", "dirty", "sut", "profile",
                                           "placement", "declared")},
            "rounds": max(map(len, runs.values())),
            "variants": [summary(name, found, controls.get(name, [])) for name, found in runs.items()]}


def render(document: dict) -> str:
    def fixed(value: float | None) -> str:
        return "" if value is None else f"{value:.1f}"

    rows = [[variant["link_profile"], variant["change"], pps(variant["offered_pps"]),
             pps(variant["egress_pps"]), number(variant["cpu_ns_per_packet"], " ns"),
             number(variant["machine_cost_ns_per_forwarded_packet"], " ns"),
             fixed(variant["packets_per_frame"]), fixed(variant["segments_per_send"]),
             percent(variant["loss_ratio"]), percent(variant["end_to_end_loss_ratio"])]
            for variant in document["variants"]]
    problems = [f"  - {text}" for variant in document["variants"] for text in variant["problems"]]
    return "\n".join([load_line(document), machine_line(document), "",
                      table(["profile", "change", "offered", "relay 1 egress", "CPU per packet in", "whole machine, per packet out",
                             "packets a frame", "packets a send", "relay 1 loss", "end to end"],
                            rows, False), *problems])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("plan")
    command.add_argument("scenario")
    for name in DIMENSIONS:
        command.add_argument(f"--{name}", required=True)
    command.add_argument("--rounds", type=int, default=3)
    command.add_argument("--only", action="append", default=[])
    commands.add_parser("show").add_argument("sitting", type=Path)
    options = parser.parse_args()
    try:
        if options.command == "plan":
            own = {name: getattr(options, name) for name in DIMENSIONS if getattr(options, name) != "-"}
            print("\n".join(plan(options.scenario, own, options.rounds, options.only)))
            return 0
        document = collect(options.sitting)
        write_json(options.sitting / "sweep.json", document)
        print(render(document))
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        print(f"sweep.py: {error!r}", file=sys.stderr)
        return 1
    return STATUS[INVALID if any(variant["problems"] for variant in document["variants"]) else PASS]


if __name__ == "__main__":
    sys.exit(main())
