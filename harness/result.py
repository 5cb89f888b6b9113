#!/usr/bin/python3
"""result.py RAW RESULT: turns the raw files of one run into one result.json (schema 1).

RAW holds what lib/measure.bash left:
  run.json                 what was run, by what, where
  gen.json                 the generator's report, with samples
  HOP.series.ndjson        the relay's counters, ten times a second
  HOP.stats.json, HOP.log, HOP.sha256, HOP.exit
  NODE.recv.json           the report of the receiver in NODE, when the scenario asks for one
  links.{before,after}.json, offloads.{before,after}.json

Rates come from counters read at two instants inside the measured window; the ledger comes from
the counters of the whole run. `problems` lists everything that makes the run invalid.
"""

import json
import os
import sys
from math import prod
from pathlib import Path

import ledger

SCHEMA = 1
NS_PER_MS = 1_000_000
SAMPLE_COLUMNS = ("time_ns", "interface_rx", "arrived", "matched", "egress_sent",
                  "buffer_exhaustion", "cpu_ns")
QUANTILES = ("p50", "p99", "p99_9", "max")
WORK_COUNTERS = ("system_calls", "submits", "sqes", "waits", "bursts", "gso_sends")


class Unusable(Exception):
    """The raw data lacks something that no result can do without."""


def read_json(path: Path):
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise Unusable(f"{path}: {error}") from error


def read_series(path: Path) -> list[dict]:
    try:
        return [json.loads(line) for line in path.read_text().splitlines()]
    except (OSError, ValueError) as error:
        raise Unusable(f"{path}: {error}") from error


def measured_window(generator: dict, run: dict) -> tuple[int, int]:
    """(start, end) of steady state, CLOCK_MONOTONIC ns."""
    start = generator["start_ns"] + int(run["scenario"]["warmup_ms"]) * NS_PER_MS
    return start, start + run["window_ms"] * NS_PER_MS


def between(times: list[int], window: tuple[int, int]) -> tuple[int, int]:
    """Indices of the first and the last sample inside the window."""
    inside = [i for i, t in enumerate(times) if window[0] <= t <= window[1]]
    if len(inside) < 2:
        raise Unusable(f"{len(inside)} samples in the measured window, two are needed")
    return inside[0], inside[-1]


def rate(samples: list[list[int]], window: tuple[int, int]) -> float:
    """Packets per second of [[time_ns, total], ...] between two samples inside the window."""
    first, last = between([s[0] for s in samples], window)
    (t0, n0), (t1, n1) = samples[first], samples[last]
    return (n1 - n0) * 1e9 / (t1 - t0)


def interface(report: dict, name: str) -> dict:
    for found in report["interfaces"]:
        if found["name"] == name:
            return found
    raise Unusable(f"no interface {name} in report {report['sequence']} of the relay")


def hop_samples(series: list[dict]) -> list[list[int]]:
    """What the rates come from, a row of SAMPLE_COLUMNS for each report of the relay."""
    return [[s["time_ns"], interface(s, "in0")["rx_packets"],
             *(s["total"][name] for name in SAMPLE_COLUMNS[2:-1]), s["cpu_ns"]] for s in series]


def loss_ratio(outputs: int, total: dict) -> float:
    """Of what arrived at a hop over the whole run, the share that it did not pass on, to any output,
    for any reason; a terminus passes on what it matches."""
    owed = total["arrived"] * max(outputs, 1)
    passed_on = total["egress_sent"] if outputs else total["matched"]
    return 1.0 - passed_on / owed if owed else 0.0


def hop_result(hop: dict, series: list[dict], final: dict, window: tuple[int, int]) -> dict:
    """Rates and costs of one hop inside the window."""
    times = [s["time_ns"] for s in series]
    first, last = (series[i] for i in between(times, window))
    seconds = (last["time_ns"] - first["time_ns"]) / 1e9

    def delta(counter: str) -> int:
        return last["total"][counter] - first["total"][counter]

    def interface_delta(name: str, counter: str) -> int:
        return interface(last, name)[counter] - interface(first, name)[counter]

    on_wire = sum(interface_delta(out, "tx_packets") for out in hop["outputs"])
    arrived_if = interface_delta("in0", "rx_packets")
    matched = delta("matched")
    return {
        "name": hop["name"],
        "outputs": len(hop["outputs"]),
        "seconds": seconds,
        "interface_pps": arrived_if / seconds,
        "ingress_pps": delta("arrived") / seconds,
        "matched_pps": matched / seconds,
        "egress_pps": delta("egress_sent") / seconds,
        "egress_interface_pps": on_wire / seconds,
        "buffer_exhaustion": delta("buffer_exhaustion"),
        "buffer_exhaustion_ratio": delta("buffer_exhaustion") / arrived_if if arrived_if else 0.0,
        "kernel_drops": {
            "rx": interface_delta("in0", "rx_dropped"),
            "tx": sum(interface_delta(out, "tx_dropped") for out in hop["outputs"])},
        "errors": delta("egress_errors"),
        "loss_ratio": loss_ratio(len(hop["outputs"]), final["total"]),
        "cpu_ns_per_packet": (last["cpu_ns"] - first["cpu_ns"]) / matched if matched else None,
        "cpu_ratio": (last["cpu_ns"] - first["cpu_ns"]) / (seconds * 1e9),
        "work_per_1000_packets": {
            name: delta(name) * 1000 / matched if matched else None for name in WORK_COUNTERS},
        "rss_bytes": final["rss_bytes"],
        "settings": final["settings"],
        "inputs": final["inputs"],
        "samples": hop_samples(series),
    }


def link_change(before: dict, after: dict, end: str) -> tuple[dict, dict]:
    """({tx packets, dropped}, {rx packets, dropped}) of one end of a link over the run."""
    def change(direction: str) -> dict:
        return {what: after[end][f"{direction}_{what}"] - before[end][f"{direction}_{what}"]
                for what in ("packets", "dropped")}
    return change("tx"), change("rx")


def ledgers(hops: list[dict], finals: list[dict], sent: int, before: dict, after: dict) -> list[dict]:
    """The accounts of a run in the order of the packet's way."""
    def link(name: str, packets: int, source: str, sink: str) -> dict:
        return ledger.link(name, packets, link_change(before, after, source)[0],
                           link_change(before, after, sink)[1])

    accounts = []
    if hops:
        accounts.append(link(f"gen -> {hops[0]['name']}", sent, "gen:out0",
                             f"{hops[0]['name']}:in0"))
    for hop, final in zip(hops, finals):
        arrived = link_change(before, after, f"{hop['name']}:in0")[1]["packets"]
        accounts.append(ledger.hop_in(f"{hop['name']} in", arrived, final["total"]))
        if not hop["outputs"]:
            continue
        accounts.append(ledger.hop_out(f"{hop['name']} out", len(hop["outputs"]), final["total"]))
        sent_through = {output["interface"]: output["sent"] for output in final["outputs"]}
        for out, end in zip(hop["outputs"], hop["downstream"]):
            accounts.append(link(f"{hop['name']} {out} -> {end.split(':')[0]}", sent_through[out],
                                 f"{hop['name']}:{out}", end))
    return accounts


def worst_latency(latencies: list[dict]) -> dict | None:
    """Over several receivers: the worst of each quantile."""
    heard = [latency for latency in latencies if latency["count"] > 0]
    if not heard:
        return None
    return {"count": sum(latency["count"] for latency in heard),
            **{name: max(latency[name] for latency in heard) for name in QUANTILES}}


def sink_result(source: str, expected: int, received: int, reports: list[dict]) -> dict:
    """What became of the packets at the end of their way. Only a receiver (`reports`) knows more than
    how many came."""
    def total(name: str) -> int | None:
        return sum(report[name] for report in reports) if reports else None

    return {"source": source, "expected": expected, "received": received,
            "lost": expected - received,
            "duplicated": total("duplicated"), "reordered": total("reordered"),
            "corrupt": total("corrupt"), "socket_drops": total("socket_drops"),
            "latency_ns": worst_latency([report["latency_ns"] for report in reports])}


def sink(hops: list[dict], finals: list[dict], sent: int, accounts: list[dict],
         receivers: dict[str, dict]) -> dict:
    """The end of the last hop: receivers, the hop itself when it sends nowhere, or the interfaces
    behind its outputs. Without a hop (a control): the interface at the other end of the link."""
    if not hops:
        return sink_result("interface counters", sent, accounts[-1]["delivered"], [])
    expected = sent * prod(len(hop["outputs"]) for hop in hops if hop["outputs"])
    if receivers:
        reports = list(receivers.values())
        return sink_result("trafficgen recv", expected,
                           sum(report["received"] for report in reports), reports)
    outputs = len(hops[-1]["outputs"])
    if outputs == 0:
        return sink_result("terminus relay", expected, finals[-1]["total"]["matched"], [])
    return sink_result("interface counters", expected,
                       sum(account["delivered"] for account in accounts[-outputs:]), [])


def offload_problems(scenario: dict, ends: list[str], raw: Path) -> list[str]:
    """Interfaces (of all `ends`) whose settings are not what the scenario declares, before or after
    the run."""
    declared = {key.removeprefix("offload_"): value for key, value in scenario.items()
                if key.startswith("offload_")}
    problems = []
    for when in ("before", "after"):
        offloads = read_json(raw / f"offloads.{when}.json")
        for end in ends:
            for name, value in declared.items():
                found = offloads.get(end, {}).get(name, "unknown")
                if found != value:
                    problems.append(f"{end}: {name} is {found} {when} the run, "
                                    f"the scenario declares {value}")
    return problems


def hop_problems(hop: str, run: dict, raw: Path) -> list[str]:
    """A wrong binary, an unclean end, an error in the log."""
    problems = []
    ran = (raw / f"{hop}.sha256").read_text().strip()
    if ran != run["relay"]["sha256"]:
        problems.append(f"{hop}: the binary that ran ({ran[:12]}) is not the one that was built "
                        f"({run['relay']['sha256'][:12]})")
    status = (raw / f"{hop}.exit").read_text().strip()
    if status != "0":
        problems.append(f"{hop}: the relay ended with exit code {status}")
    for line in (raw / f"{hop}.log").read_text(errors="replace").splitlines():
        if line.startswith("[ERROR"):
            problems.append(f"{hop}: {line}")
            break
    return problems


def build(raw: Path) -> dict:
    run = read_json(raw / "run.json")
    scenario = run["scenario"]
    generator = read_json(raw / "gen.json")
    before, after = read_json(raw / "links.before.json"), read_json(raw / "links.after.json")
    window = measured_window(generator, run)
    hops = run["hops"] if run["kind"] == "relay" else []
    finals = [read_json(raw / f"{hop['name']}.stats.json") for hop in hops]
    receivers = {name: read_json(raw / f"{name}.recv.json") for name in run["sinks"]} if hops else {}
    first_hop = run["hops"][0]["name"]

    accounts = ledgers(hops, finals, generator["packets_sent"], before, after)
    if run["kind"] == "control":
        accounts = [ledger.link(f"gen -> {first_hop}", generator["packets_sent"],
                                link_change(before, after, "gen:out0")[0],
                                link_change(before, after, f"{first_hop}:in0")[1])]

    sink_summary = sink(hops, finals, generator["packets_sent"], accounts, receivers)
    for name, report in receivers.items():
        accounts.append(ledger.receiver(
            f"{name} socket", link_change(before, after, f"{name}:in0")[1]["packets"], report))

    problems = offload_problems(scenario, sorted(before), raw)
    if generator["packets_sent"] == 0:
        problems.append("the generator sent nothing")
    for hop in hops:
        problems += hop_problems(hop["name"], run, raw)
    for account in accounts:
        if not account["closed"]:
            problems.append(f"ledger of '{account['account']}' does not close: residual "
                            f"{account['residual']} of {account['offered']} packets")

    results = [hop_result(hop, read_series(raw / f"{hop['name']}.series.ndjson"), final, window)
               for hop, final in zip(hops, finals)]
    return {
        "schema": SCHEMA,
        "scenario": scenario["name"],
        "kind": run["kind"],
        "run_id": run["run_id"],
        "utc": run["utc"],
        "commit": run["commit"],
        "dirty": run["dirty"],
        "sut": {"name": "mcrelay", "sha256": run["relay"]["sha256"],
                "options": scenario.get("relay_options", "")},
        "profile": run["profile"],
        "declared": scenario,
        "placement": run["placement"],
        "offered_pps": rate(generator["samples"], window),
        "window_ns": list(window),
        "generator": {key: generator[key] for key in (
            "packets_sent", "send_errors", "packet_rate_pps", "gso", "schedule_slip_ms", "samples")},
        "sample_columns": list(SAMPLE_COLUMNS),
        "hops": results,
        "sink": sink_summary,
        "ledger": accounts,
        "valid": not problems,
        "problems": problems,
        "raw": sorted(p.name for p in raw.iterdir()),
    }


def main() -> int:
    if len(sys.argv) != 3:
        print("usage: result.py RAW-FOLDER RESULT.json", file=sys.stderr)
        return 64
    raw, target = Path(sys.argv[1]), Path(sys.argv[2])
    try:
        result = build(raw)
        temporary = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            temporary.write_text(json.dumps(result, indent=1) + "\n")
            temporary.rename(target)
        finally:
            temporary.unlink(missing_ok=True)
    except (Unusable, OSError) as error:
        print(f"result.py: {error}", file=sys.stderr)
        return 1
    except (KeyError, ValueError, TypeError, AttributeError, IndexError) as error:
        print(f"result.py: {raw}: not what it should hold: {error!r}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
