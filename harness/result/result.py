"""result.py RAW RESULT: turns the raw files of one run into one result.json (schema 1).

RAW holds what run/measure.bash left:
  run.json                 what was run, by what, where
  gen.json                 the generator's report, with samples; of several, NODE.json each
  changes.json             how often rules were changed meanwhile, when the scenario asks for it
  routes.txt               who sends, what each relay passes on, who receives, see topology/routes.bash
  HOP.series.ndjson        the relay's counters, ten times a second; of the kernel, the interfaces'
  HOP.stats.json (the relay's only), HOP.log, HOP.sha256, HOP.exit; of a relay that lives on: series, log and sha256
  NODE.recv.json           the report of the receiver in NODE, when the scenario asks for one
  softnet.{before,after}.txt
  links.{before,after}.json, offloads.{before,running,after}.json

Rates come from counters read at two instants inside the measured window; the ledger comes from
the counters of the whole run. Where interfaces aggregate, the packets that a ring dropped are
what its interface counted and the relay did not: the kernel counts the frames. `problems` lists everything that makes the run invalid.
"""

import sys
from collections import Counter
from pathlib import Path

from harness.result.accounts import Accounts
from harness.result.documents import Faulty, write_json
from harness.result.hops import SAMPLE_COLUMNS, hop_result, kernel_hop_result, measured_window, rate
from harness.result.living import change
from harness.result.machine import machine
from harness.result.problems import hop_problems, offload_problems
from harness.result.raw import read_json, read_series
from harness.result.routes import of_run
from harness.result.sink import sink
from harness.result.softnet import softnet
from harness.result.validity import is_rate
from harness.verdict.outcome import INVALID, STATUS, USAGE

SCHEMA = 1


def rated(run: dict) -> bool:
    """Do the relays report within the run? What takes their core for a millisecond would be among the slowest packets."""
    return int(run["scenario"].get("report_interval_ms", 0)) <= run["window_ms"]


def final(raw: Path, hop: str, living: bool) -> dict:
    """What a relay said of all of the run."""
    if living:
        return change(read_series(raw / f"{hop}.series.ndjson"), hop)
    return read_json(raw / f"{hop}.stats.json")


def together(generators: list[dict]) -> dict:
    """Several generators as one: the report of the first one, with what all of them sent."""
    if len(generators) == 1:
        return generators[0]
    total = {name: sum(report[name] for report in generators) for name in ("packets_sent", "send_errors", "packet_rate_pps")}
    return generators[0] | total | {"schedule_slip_ms": max(report["schedule_slip_ms"] for report in generators)}


def rule_changes(raw: Path) -> dict:
    """What came of the changes of rules beside the traffic, where there were any."""
    path = raw / "changes.json"
    return {"changes": read_json(path)} if path.exists() else {}


def sent_to_ports(generators: dict[str, dict]) -> Counter:
    """{(node, port): packets}"""
    sent: Counter = Counter()
    for node, report in generators.items():
        for flow in report.get("flows", []):  # of a generator that sent nothing there may be none
            sent[node, flow["port"]] += flow["packets_sent"]
    return sent


def build(raw: Path) -> dict:
    run = read_json(raw / "run.json")
    scenario = run["scenario"]
    routes = of_run(raw)
    generators = {source.node: read_json(raw / source.report) for source in routes.sources} if routes else \
        {"gen": read_json(raw / "gen.json")}
    generator = together(list(generators.values()))
    before, after = read_json(raw / "links.before.json"), read_json(raw / "links.after.json")
    window = measured_window(generator, run)
    hops = run["hops"] if run["kind"] == "relay" else []
    if routes:
        hops = [hop | {"copies": routes.copies(hop["name"])} for hop in hops]
    relay = run["sut"]["name"] == "mcrelay"
    finals = [final(raw, hop["name"], run.get("living", False)) for hop in hops if relay]
    receivers = {name: read_json(raw / f"{name}.recv.json") for name in run["sinks"]}
    sent = generator["packets_sent"]

    size = scenario["payload_bytes"]
    accounts = Accounts(before, after, run["aggregating"], None if size == "imix" else int(size))
    for node, report in generators.items():
        end = routes.links[f"{node}:out0"] if routes else f"{run['hops'][0]['name']}:in0"
        accounts.all.append(accounts.link(f"{node} -> {end.split(':')[0]}", report["packets_sent"], f"{node}:out0", end))
    if relay:
        accounts.relays(hops, finals)
    else:
        for hop in hops:
            accounts.kernel(hop)

    sink_summary = sink(hops, finals, sent, accounts.all, receivers, routes and routes.owed(sent_to_ports(generators)))
    if routes and hops and relay:
        sink_summary["returned"] = sum(accounts.change(end)[1]["packets"] for end in routes.back())
    accounts.receivers(receivers, {name: routes.receivers[name].end if routes else f"{name}:in0" for name in receivers})
    accounts.all += accounts.bytes

    problems = offload_problems(run, sorted(before), raw)
    offered_pps = sum(rate(report["samples"], window, f"the generator {node}") for node, report in generators.items())
    if sent == 0:
        problems.append("the generator sent nothing")
    elif not is_rate(offered_pps):
        problems.append("the generator sent nothing in the measured window")
    for hop in hops:
        if relay or hop["outputs"]:
            problems += hop_problems(hop["name"], run, raw)
    for account in accounts.all:
        if account["offered"] <= 0:
            problems.append(f"ledger of '{account['account']}' is empty: no packet got that far")
        elif not account["closed"]:
            problems.append(f"ledger of '{account['account']}' does not close: residual "
                            f"{account['residual']} of {account['offered']} {account['unit'].split()[0]}")

    results = []
    for i, hop in enumerate(hops):
        series = read_series(raw / f"{hop['name']}.series.ndjson")
        if relay:
            results.append(hop_result(hop, series, finals[i], accounts.of_ingress[hop["name"]],
                                      accounts.aggregated(hop), window if rated(run) else None))
        else:
            passed_on = sum(accounts.change(f"{hop['name']}:{out}")[0]["packets"]
                            for out in hop["outputs"])
            results.append(kernel_hop_result(hop, series, accounts.arrived(hop), passed_on, window))
    return {
        "schema": SCHEMA,
        "scenario": scenario["name"],
        "kind": run["kind"],
        "run_id": run["run_id"],
        "utc": run["utc"],
        "commit": run["commit"],
        "dirty": run["dirty"],
        "sut": {key: run["sut"][key] for key in ("name", "sha256", "options")},
        "link_profile": scenario["profile"],
        "mtu_bytes": run["mtu_bytes"],
        "overrides": run["overrides"],
        "profile": run["profile"],
        "declared": scenario,
        "placement": run["placement"],
        "offered_pps": offered_pps,
        "machine": machine(generator, window, offered_pps, run.get("twin", False)),
        "window_ns": list(window),
        "generator": {key: generator[key] for key in (
            "packets_sent", "send_errors", "packet_rate_pps", "gso", "schedule_slip_ms", "samples")},
        "sample_columns": list(SAMPLE_COLUMNS),
        "hops": results,
        "sink": sink_summary,
        "ledger": accounts.all,
        **rule_changes(raw),
        **softnet(raw),
        "valid": not problems,
        "problems": problems,
        "raw": sorted(p.name for p in raw.iterdir()),
    }


def main() -> int:
    if len(sys.argv) != 3:
        print("usage: result.py RAW-FOLDER RESULT.json", file=sys.stderr)
        return USAGE
    raw, target = Path(sys.argv[1]), Path(sys.argv[2])
    try:
        found = build(raw)
    except (Faulty, OSError) as error:
        print(f"result.py: {error}", file=sys.stderr)
        return STATUS[INVALID]
    except (KeyError, ValueError, TypeError, AttributeError, IndexError) as error:
        print(f"result.py: {raw}: not what it should hold: {error!r}", file=sys.stderr)
        return STATUS[INVALID]
    write_json(target, found)  # where it cannot be written, start.py says so
    return 0


if __name__ == "__main__":
    sys.exit(main())
