"""result.py RAW RESULT: turns the raw files of one run into one result.json (schema 1).

RAW holds what run/measure.bash left:
  run.json                 what was run, by what, where
  gen.json                 the generator's report, with samples
  HOP.series.ndjson        the relay's counters, ten times a second; of the kernel, the interfaces'
  HOP.stats.json (the relay's only), HOP.log, HOP.sha256, HOP.exit
  NODE.recv.json           the report of the receiver in NODE, when the scenario asks for one
  links.{before,after}.json, offloads.{before,running,after}.json

Rates come from counters read at two instants inside the measured window; the ledger comes from
the counters of the whole run. Where interfaces aggregate, the packets that a ring dropped are
what its interface counted and the relay did not: the kernel counts the frames. `problems` lists everything that makes the run invalid.
"""

import json
import sys
from math import prod
from pathlib import Path

from harness.result import ledger
from harness.result.documents import write_json

SCHEMA = 1
NS_PER_MS = 1_000_000
SAMPLE_COLUMNS = ("time_ns", "interface_rx", "received", "exhaustion_frames", "matched",
                  "egress_sent", "cpu_ns")
SAMPLE_COUNTERS = ("recv_packets", "exhaustion_frames", "matched", "egress_sent")
ERRORS = ("[EMERGENCY:", "[ALERT:", "[CRITICAL:", "[ERROR:")  # the levels of the relay's log from error on
QUANTILES = ("p50", "p99", "p99_9", "max")
WORK_COUNTERS = ("system_calls", "submits", "sqes", "waits", "bursts", "gso_sends")
AGGREGATION = ("generic-receive-offload", "rx-udp-gro-forwarding")


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
             *(s["total"][name] for name in SAMPLE_COUNTERS), s["cpu_ns"]] for s in series]


def copies(hop: dict) -> int:
    """Packets that a hop owes for each one: one to every group on every output."""
    return len(hop["outputs"]) * hop["groups"]


def loss_ratio(owed: int, passed_on: int) -> float:
    """Of what arrived at a hop over the whole run, the share that it did not pass on, to any output,
    for any reason; a terminus passes on what it matches."""
    return 1.0 - passed_on / owed if owed else 0.0


def segments_per_send(count) -> float | None:
    """Packets per send of the relay. `count`: name of a counter -> its value."""
    sends = count("gso_sends") + count("egress_submitted") - count("gso_packets")
    return count("egress_submitted") / sends if sends > 0 else None


def hop_result(hop: dict, series: list[dict], final: dict, account: dict, aggregates: bool,
               window: tuple[int, int]) -> dict:
    """Rates and costs of one relay inside the window. `account`: the ledger of its ingress."""
    times = [s["time_ns"] for s in series]
    first, last = (series[i] for i in between(times, window))
    seconds = (last["time_ns"] - first["time_ns"]) / 1e9

    def delta(counter: str) -> int:
        return last["total"][counter] - first["total"][counter]

    def interface_delta(name: str, counter: str) -> int:
        return interface(last, name)[counter] - interface(first, name)[counter]

    on_wire = sum(interface_delta(out, "tx_packets") for out in hop["outputs"])
    arrived_if = interface_delta("in0", "rx_packets")
    received, matched, dropped = delta("recv_packets"), delta("matched"), delta("buffer_exhaustion")
    if aggregates:
        dropped = ledger.dropped_packets(arrived_if - received, delta("exhaustion_frames"))
    arrived = final["total"]["recv_packets"] + account["drops"]["buffer_exhaustion"]
    passed_on = final["total"]["egress_sent" if hop["outputs"] else "matched"]
    return {
        "name": hop["name"],
        "outputs": len(hop["outputs"]),
        "copies": copies(hop),
        "seconds": seconds,
        "interface_pps": arrived_if / seconds,
        "ingress_pps": (received + dropped) / seconds,
        "matched_pps": matched / seconds,
        "egress_pps": delta("egress_sent") / seconds,
        "egress_interface_pps": on_wire / seconds,
        "buffer_exhaustion": dropped,
        "exhaustion_frames": delta("exhaustion_frames"),
        "buffer_exhaustion_ratio": dropped / arrived_if if arrived_if else 0.0,
        "kernel_drops": {
            "rx": interface_delta("in0", "rx_dropped"),
            "tx": sum(interface_delta(out, "tx_dropped") for out in hop["outputs"])},
        "errors": delta("egress_errors"),
        "loss_ratio": loss_ratio(arrived * max(copies(hop), 1), passed_on),
        "cpu_ns_per_packet": (last["cpu_ns"] - first["cpu_ns"]) / matched if matched else None,
        "cpu_ratio": (last["cpu_ns"] - first["cpu_ns"]) / (seconds * 1e9),
        "packets_per_frame": received / delta("recv_frames") if delta("recv_frames") else None,
        "segments_per_send": segments_per_send(delta),
        "work_per_1000_packets": {
            name: delta(name) * 1000 / matched if matched else None for name in WORK_COUNTERS},
        "rss_bytes": final["rss_bytes"],
        "settings": final["settings"],
        "inputs": final["inputs"],
        "samples": hop_samples(series),
    }


def kernel_hop_result(hop: dict, series: list[dict], arrived: int, passed_on: int,
                      window: tuple[int, int]) -> dict:
    """The same of a hop in which the kernel forwards: what its interfaces know, and nothing else.
    `arrived`, `passed_on`: packets over the whole run."""
    times = [s["time_ns"] for s in series]
    first, last = (series[i] for i in between(times, window))
    seconds = (last["time_ns"] - first["time_ns"]) / 1e9

    def interface_delta(name: str, counter: str) -> int:
        return interface(last, name)[counter] - interface(first, name)[counter]

    def sent(row: dict) -> int:
        return sum(interface(row, out)["tx_packets"] for out in hop["outputs"])

    egress = (sent(last) - sent(first)) / seconds
    return {
        "name": hop["name"],
        "outputs": len(hop["outputs"]),
        "copies": copies(hop),
        "seconds": seconds,
        "interface_pps": interface_delta("in0", "rx_packets") / seconds,
        "egress_pps": egress,
        "egress_interface_pps": egress,
        "kernel_drops": {
            "rx": interface_delta("in0", "rx_dropped"),
            "tx": sum(interface_delta(out, "tx_dropped") for out in hop["outputs"])},
        "loss_ratio": loss_ratio(arrived * copies(hop), passed_on),
        **dict.fromkeys(("ingress_pps", "matched_pps", "buffer_exhaustion", "exhaustion_frames",
                         "buffer_exhaustion_ratio", "errors", "cpu_ns_per_packet", "cpu_ratio",
                         "packets_per_frame", "segments_per_send", "work_per_1000_packets",
                         "rss_bytes", "settings")),
        "inputs": [],
        "samples": [[s["time_ns"], interface(s, "in0")["rx_packets"], None, None, None, sent(s), None]
                    for s in series],
    }


def link_change(before: dict, after: dict, end: str) -> tuple[dict, dict]:
    """({tx packets, dropped}, {rx packets, dropped}) of one end of a link over the run."""
    def change(direction: str) -> dict:
        return {what: after[end][f"{direction}_{what}"] - before[end][f"{direction}_{what}"]
                for what in ("packets", "dropped")}
    return change("tx"), change("rx")


class Accounts:
    """The accounts of a run in the order of the packet's way; `into`: that of the link into an interface;
    `of_ingress`: that of the way from a hop's interface to its rules."""

    def __init__(self, before: dict, after: dict, aggregating: list[str]):
        self.before, self.after, self.aggregating = before, after, aggregating
        self.all, self.into, self.of_ingress = [], {}, {}

    def change(self, end: str) -> tuple[dict, dict]:
        return link_change(self.before, self.after, end)

    def link(self, name: str, packets: int, source: str, end: str) -> None:
        self.into[end] = ledger.link(name, packets, self.change(source)[0], self.change(end)[1])
        self.all.append(self.into[end])

    def relay(self, hop: dict, final: dict) -> None:
        """A relay, behind the link that its packets came by, and the links behind it."""
        name, total = hop["name"], final["total"]
        arrived = self.change(f"{name}:in0")[1]["packets"]
        if f"{name}:in0" in self.aggregating:
            # what the link delivered beyond what was sent to this relay
            foreign = max(-self.into[f"{name}:in0"]["residual"], 0)
            account = ledger.hop_in_aggregated(f"{name} in", arrived, foreign, total)
        else:
            account = ledger.hop_in(f"{name} in", arrived, total)
        self.of_ingress[name] = account
        self.all.append(account)
        if not hop["outputs"]:
            return
        self.all.append(ledger.hop_out(f"{name} out", copies(hop), total))
        sent_through = dict.fromkeys(hop["outputs"], 0)
        for output in final["outputs"]:
            sent_through[output["interface"]] += output["sent"]
        self.links(hop, [sent_through[out] for out in hop["outputs"]])

    def kernel(self, hop: dict) -> None:
        sent = [self.change(f"{hop['name']}:{out}")[0] for out in hop["outputs"]]
        if not sent:
            return
        arrived = self.change(f"{hop['name']}:in0")[1]["packets"]
        self.all.append(ledger.forwarded(f"{hop['name']} forwarding", arrived, sent))
        self.links(hop, [change["packets"] + change["dropped"] for change in sent])

    def links(self, hop: dict, sent: list[int]) -> None:
        for out, end, packets in zip(hop["outputs"], hop["downstream"], sent):
            self.link(f"{hop['name']} {out} -> {end.split(':')[0]}", packets,
                      f"{hop['name']}:{out}", end)


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
    expected = sent * prod(copies(hop) for hop in hops if hop["outputs"])
    if receivers:
        reports = list(receivers.values())
        return sink_result("trafficgen recv", expected,
                           sum(report["received"] for report in reports), reports)
    outputs = len(hops[-1]["outputs"])
    if outputs == 0 and finals:
        return sink_result("terminus relay", expected, finals[-1]["total"]["matched"], [])
    return sink_result("interface counters", expected,
                       sum(account["delivered"] for account in accounts[-max(outputs, 1):]), [])


def offload_problems(run: dict, ends: list[str], raw: Path) -> list[str]:
    """Interfaces (of all `ends`) whose settings are not what the scenario declares, before, during or
    after the run. Those in `aggregating` are to aggregate during the run, and only then."""
    declared = {key.removeprefix("offload_"): (value, "the scenario declares")
                for key, value in run["scenario"].items() if key.startswith("offload_")}
    aggregates = dict.fromkeys(AGGREGATION, ("on", f"profile {run['scenario']['profile']} asks for"))
    problems = []
    for file, when in (("before", "before"), ("running", "during"), ("after", "after")):
        offloads = read_json(raw / f"offloads.{file}.json")
        for end in ends:
            wanted = dict(declared)
            if file == "running" and end in run["aggregating"]:
                wanted |= aggregates
            for name, (value, whose) in wanted.items():
                found = offloads.get(end, {}).get(name, "unknown")
                if found != value:
                    problems.append(f"{end}: {name} is {found} {when} the run, {whose} {value}")
    return problems


def hop_problems(hop: str, run: dict, raw: Path) -> list[str]:
    """A wrong binary, an unclean end, an error in the log, which of smcrouted holds nothing else."""
    problems = []
    relay = run["sut"]["name"] == "mcrelay"
    ran = (raw / f"{hop}.sha256").read_text().strip()
    if ran != run["sut"]["sha256"]:
        problems.append(f"{hop}: the binary that ran ({ran[:12]}) is not the one that was built "
                        f"({run['sut']['sha256'][:12]})")
    status = (raw / f"{hop}.exit").read_text().strip()
    if status != "0":
        problems.append(f"{hop}: {'the relay' if relay else 'smcrouted'} ended with exit code {status}")
    for line in (raw / f"{hop}.log").read_text(errors="replace").splitlines():
        if line.startswith(ERRORS) or not relay:
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
    relay = run["sut"]["name"] == "mcrelay"
    finals = [read_json(raw / f"{hop['name']}.stats.json") for hop in hops if relay]
    receivers = {name: read_json(raw / f"{name}.recv.json") for name in run["sinks"]} if hops else {}
    first_hop = run["hops"][0]["name"]
    sent = generator["packets_sent"]

    accounts = Accounts(before, after, run["aggregating"])
    accounts.link(f"gen -> {first_hop}", sent, "gen:out0", f"{first_hop}:in0")
    for i, hop in enumerate(hops):
        if relay:
            accounts.relay(hop, finals[i])
        else:
            accounts.kernel(hop)

    sink_summary = sink(hops, finals, sent, accounts.all, receivers)
    for name, report in receivers.items():
        accounts.all.append(ledger.receiver(
            f"{name} socket", accounts.change(f"{name}:in0")[1]["packets"], report,
            f"{name}:in0" in run["aggregating"]))

    problems = offload_problems(run, sorted(before), raw)
    if sent == 0:
        problems.append("the generator sent nothing")
    for hop in hops:
        if relay or hop["outputs"]:
            problems += hop_problems(hop["name"], run, raw)
    for account in accounts.all:
        if account["offered"] <= 0:
            problems.append(f"ledger of '{account['account']}' is empty: no packet got that far")
        elif not account["closed"]:
            problems.append(f"ledger of '{account['account']}' does not close: residual "
                            f"{account['residual']} of {account['offered']} packets")

    results = []
    for i, hop in enumerate(hops):
        series = read_series(raw / f"{hop['name']}.series.ndjson")
        if relay:
            results.append(hop_result(hop, series, finals[i], accounts.of_ingress[hop["name"]],
                                      f"{hop['name']}:in0" in run["aggregating"], window))
        else:
            arrived = accounts.change(f"{hop['name']}:in0")[1]["packets"]
            passed_on = sum(accounts.change(f"{hop['name']}:{out}")[0]["packets"]
                            for out in hop["outputs"])
            results.append(kernel_hop_result(hop, series, arrived, passed_on, window))
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
        "offered_pps": rate(generator["samples"], window),
        "window_ns": list(window),
        "generator": {key: generator[key] for key in (
            "packets_sent", "send_errors", "packet_rate_pps", "gso", "schedule_slip_ms", "samples")},
        "sample_columns": list(SAMPLE_COLUMNS),
        "hops": results,
        "sink": sink_summary,
        "ledger": accounts.all,
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
        write_json(target, build(raw))
    except (Unusable, OSError) as error:
        print(f"result.py: {error}", file=sys.stderr)
        return 1
    except (KeyError, ValueError, TypeError, AttributeError, IndexError) as error:
        print(f"result.py: {raw}: not what it should hold: {error!r}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
