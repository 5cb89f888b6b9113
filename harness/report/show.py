"""show.py FILE [--markdown]: prints a result.json or a verdict.json as a table for people.

--markdown for job summaries and pull requests.
"""

import argparse
import json
import os
import sys
from pathlib import Path

from harness.report.tables import load_line, machine_line, ns, number, paint, percent, pps, table
from harness.result import validity
from harness.verdict import cost
from harness.verdict.age import newest
from harness.verdict.floor.limits import LOSS_BEHIND
from harness.verdict.outcome import INVALID
from harness.verdict.terms import terms

PHASE4_KEYS = {  # our row -> key among the baseline's figures
    "generator": "generator_pps", "r1 ingress_pps": "relay1_ingress_pps",
    "r1 egress_pps": "relay1_egress_pps",
    "r1 buffer_exhaustion_ratio": "relay1_exhaustion_ratio",
}


# ------------------------------------------------------------------------------ verdict.json


def verdict_rows(verdict: dict, baseline: dict) -> list[list[str]]:
    figures = baseline["figures"]
    limits = baseline["tiers"][verdict["tier_asked"]]

    def row(name: str, label: str, summary: dict, show, more_is_better: bool, limit=None):
        bound = summary["lower" if more_is_better else "upper"]
        sign = ">=" if more_is_better else "<="
        limit_sign = ">=" if more_is_better else "<"
        return [label, show(summary["median"]), f"{sign} {show(bound)}" if bound is not None else "",
                show(figures.get(PHASE4_KEYS.get(name))),
                f"{limit_sign} {show(limit)}" if limit is not None else ""]

    rows = [
        row("control", "generator alone (control)", verdict["control_pps"], pps, True),
        row("generator", "generator, offered", verdict["offered_pps"], pps, True),
    ]
    for place, hop in enumerate(verdict["hops"], 1):
        name = f"relay {place}"
        first = place == 1
        rows.append(row(f"{hop['name']} ingress_pps", f"{name} ingress", hop["ingress_pps"], pps,
                        True, limits.get("ingress_pps_min") if first else None))
        if hop["egress_pps"]["median"] > 0:
            rows.append(row(f"{hop['name']} egress_pps", f"{name} egress", hop["egress_pps"], pps,
                            True, limits["egress_pps_min"] if first else None))
        else:
            rows.append(row(f"{hop['name']} matched", f"{name} received (terminus)",
                            hop["matched_pps"], pps, True))
        rows.append(row(f"{hop['name']} buffer_exhaustion_ratio", f"{name} exhaustion",
                        hop["buffer_exhaustion_ratio"], percent, False,
                        limits["exhaustion_ratio_max"] if first else None))
        if "loss_ratio" in hop:
            rows.append(row(f"{hop['name']} loss", f"{name} loss, all causes", hop["loss_ratio"],
                            percent, False, None if first else LOSS_BEHIND))
    whole = (verdict.get("machine") or {}).get("cost_ns_per_forwarded_packet")
    return rows + ([row("machine", "whole machine, per packet sent on", whole, ns, False)] if whole else [])


def margin_line(verdict: dict) -> str:
    tier = verdict["tier_asked"]
    if "egress_needed_pps" not in verdict:
        return f"relay 1 egress {verdict['margin']:+.1%} against tier {tier}"
    return f"relay 1 egress {verdict['margin']:+.1%} against the {pps(verdict['egress_needed_pps'])} that tier {tier} needs"


def verified_line(verified: dict) -> str:
    wrong = ", ".join(f"{name} {verified[name]:,}" for name in ("corrupt", "duplicated", "reordered"))
    return (f"read behind the last relay, at {pps(verified['rate_pps'])}: {verified['received']:,} of {verified['expected']:,} "
            f"packets whole; {wrong}")


def tightest_line(verdict: dict) -> str:
    tightest = verdict["tightest"]
    memory = tightest["autocorrelation"]
    return (f"tightest limit: {tightest['limit']} {tightest['found']}, {tightest['asked']} asked for, margin "
            f"{tightest['margin']:+.1%}; bounds are of the minute that was measured"
            + (f" (autocorrelation of its rounds {memory:+.2f})" if memory is not None else ""))


def print_verdict(verdict: dict, baseline: dict | None, markdown: bool) -> None:
    word = verdict["verdict"]
    if markdown:
        print(f"### Performance gate: {word}\n")
    if word == INVALID or "hops" not in verdict:
        print(paint(f"{word}: the measurement itself is broken", word))
    else:
        print(load_line(verdict))
        print(machine_line(verdict) + "\n")
        header = ["", "median", f"{verdict['confidence']:.0%} bound", "PHASE4",
                  f"tier {verdict['tier_asked']}"]
        print(table(header, verdict_rows(verdict, baseline), markdown) + "\n")
        reached = verdict["tier_reached"] or "none"
        print(paint(f"{word}", word) + f": tier {reached} reached, {verdict['tier_asked']} asked; "
              f"{margin_line(verdict)}; "
              f"{verdict['rounds']} rounds, every ledger closed "
              f"(largest residual {verdict['ledger_residual_ratio_max']:.4%})")
        if "verified" in verdict:
            print(verified_line(verdict["verified"]))
        if "tightest" in verdict:
            print(tightest_line(verdict))
        if "soak" in verdict:
            print(newest.said(verdict["soak"]))
        beyond = baseline["tiers"].get(reached, {}).get("not_judged_by_the_gate")
        if beyond:
            print(f"note: tier {reached} also asks for '{beyond}', which this gate does not judge")
        if verdict["generator_bound"]:
            print("note: relay 1 passes on at least 90 % of what the generator can offer: generator "
                  "or link is the limit")
        for note in cost.notes(verdict.get("machine")):
            print(f"note: {note}")
    for reason in [*verdict["reasons"], *(terms.lines(verdict["terms"]) if "terms" in verdict else [])]:
        print(f"  - {reason}")


# ------------------------------------------------------------------------------- result.json


def result_rows(result: dict) -> list[list[str]]:
    rows = []
    for hop in result["hops"]:
        arrived = hop["interface_pps"] if hop["ingress_pps"] is None else hop["ingress_pps"]
        rows.append([hop["name"], pps(arrived),
                     pps(hop["egress_pps"]) if hop["outputs"] else "(terminus)",
                     percent(hop["buffer_exhaustion_ratio"]), percent(hop.get("loss_ratio")),
                     number(hop["errors"]), number(hop["cpu_ns_per_packet"], " ns")])
    return rows


def ledger_rows(result: dict) -> list[list[str]]:
    rows = []
    for account in result["ledger"]:
        lost = {name: count for name, count in account["drops"].items() if count}
        rows.append([account["account"], f"{account['offered']:,}", f"{account['delivered']:,}",
                     ", ".join(f"{name} {count:,}" for name, count in lost.items()) or "none",
                     f"{account['residual']:,}", "yes" if account["closed"] else "NO"])
    return rows


def machine_said(machine: dict) -> str:
    """What all CPUs did, whatever ran on them."""
    if machine["cores_busy"] is None:
        return f"  whole machine: {machine['reason']}"
    shares = ", ".join(f"{name} {percent(machine[f'{name}_ratio'])}"
                       for name in ("user", "system", "irq", "softirq", "nice", "steal"))
    each = machine["busy_ns_per_packet_offered"]
    return (f"  whole machine: {machine['cores_busy']:.2f} cores busy"
            + (f", {ns(each)} per packet offered" if each is not None else f" ({machine['reason']})") + f"; {shares}")


def sink_line(sink: dict) -> str:
    """Who counted what at the end of the way; what nobody there could know is left out."""
    parts = [f"received {sink['received']:,} of {sink['expected']:,}"]
    parts += [f"{name} {sink[name]:,}" for name in ("duplicated", "reordered", "corrupt")
              if sink[name] is not None]
    latency = sink["latency_ns"]
    if latency:
        parts.append("latency " + ", ".join(f"{name.replace('_', '.')} {latency[name] / 1000:,.0f} us"
                                            for name in ("p50", "p99", "p99_9", "max")))
    if sink.get("longest_gap_ms") is not None:
        parts.append(f"longest gap {sink['longest_gap_ms']:,.1f} ms")
    return f"  sink ({sink['source']}): " + "; ".join(parts)


def print_result(result: dict, markdown: bool) -> None:
    print(load_line(result))
    print(machine_line(result) + "\n")
    print(f"  offered {pps(result['offered_pps'])}; {result['kind']} run of "
          f"{(result['window_ns'][1] - result['window_ns'][0]) / 1e9:g} s\n")
    if result["hops"]:
        first = "relay" if result["sut"]["name"] == "mcrelay" else "kernel"
        print(table([first, "ingress", "egress", "exhaustion", "loss", "errors", "CPU per packet"],
                    result_rows(result), markdown) + "\n")
    print(table(["ledger, whole run", "offered", "delivered", "drops", "residual", "closed"],
                ledger_rows(result), markdown) + "\n")
    print(sink_line(result["sink"]) + "\n")
    if "machine" in result:
        print(machine_said(result["machine"]) + "\n")
        for note in cost.notes(result["machine"]):
            print(f"  note: {note}")
    faults = validity.faults(result, result["kind"])
    word = "INVALID" if faults else "VALID"
    print(paint(word, word) + ("" if faults else ": every packet accounted for"))
    for fault in faults:
        print(f"  - {fault}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--baseline", type=Path, help="baseline of a verdict")
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args()
    try:
        document = json.loads(options.file.read_text())
        if "verdict" in document:
            baseline = json.loads(options.baseline.read_text()) if options.baseline else None
            print_verdict(document, baseline, options.markdown)
        else:
            print_result(document, options.markdown)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"show.py: cannot show {options.file}: {error!r}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
