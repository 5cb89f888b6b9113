"""Rates and costs of one hop, between two instants of steady state: what its counters say at both."""

from harness.result import ledger
from harness.result.documents import Faulty

NS_PER_MS = 1_000_000
COVERED_MIN = 0.8  # of the measured window, from the first sample inside it to the last: else it is a rate of something else
SAMPLE_COLUMNS = ("time_ns", "interface_rx", "received", "exhaustion_frames", "matched",
                  "egress_sent", "cpu_ns")
SAMPLE_COUNTERS = ("recv_packets", "exhaustion_frames", "matched", "egress_sent")
WORK_COUNTERS = ("system_calls", "submits", "sqes", "waits", "bursts", "gso_sends")


def measured_window(generator: dict, run: dict) -> tuple[int, int]:
    """(start, end) of steady state, CLOCK_MONOTONIC ns."""
    start = generator["start_ns"] + int(run["scenario"]["warmup_ms"]) * NS_PER_MS
    return start, start + run["window_ms"] * NS_PER_MS


def between(times: list[int], window: tuple[int, int], whose: str) -> tuple[int, int]:
    """Indices of the first and the last sample inside the window."""
    inside = [i for i, t in enumerate(times) if window[0] <= t <= window[1]]
    covered = (times[inside[-1]] - times[inside[0]]) / (window[1] - window[0]) if inside else 0.0
    if covered < COVERED_MIN:
        raise Faulty(f"the samples of {whose} cover {covered:.0%} of the measured window, {COVERED_MIN:.0%} are needed")
    return inside[0], inside[-1]


def rate(samples: list[list[int]], window: tuple[int, int], whose: str) -> float:
    """Packets per second of [[time_ns, total], ...] between two samples inside the window."""
    first, last = between([s[0] for s in samples], window, whose)
    (t0, n0), (t1, n1) = samples[first], samples[last]
    return (n1 - n0) * 1e9 / (t1 - t0)


def interface(report: dict, name: str) -> dict:
    for found in report["interfaces"]:
        if found["name"] == name:
            return found
    raise Faulty(f"no interface {name} in report {report['sequence']} of the relay")


def inputs(hop: dict) -> list[str]:
    """The interfaces that a hop receives on; runs from before it could be several name none."""
    return hop.get("inputs", ["in0"])


def came_in(report: dict, hop: dict, counter: str) -> int:
    return sum(interface(report, name)[counter] for name in inputs(hop))


def hop_samples(hop: dict, series: list[dict]) -> list[list[int]]:
    """What the rates come from, a row of SAMPLE_COLUMNS for each report of the relay."""
    return [[s["time_ns"], came_in(s, hop, "rx_packets"),
             *(s["total"][name] for name in SAMPLE_COUNTERS), s["cpu_ns"]] for s in series]


def copies(hop: dict) -> int:
    """Packets that a hop owes for each one: one to every group on every output, unless its rules say otherwise."""
    return hop["copies"] if "copies" in hop else len(hop["outputs"]) * hop["groups"]


def loss_ratio(owed: int, passed_on: int) -> float:
    """Of what arrived at a hop over the whole run, the share that it did not pass on, to any output,
    for any reason; a terminus passes on what it matches."""
    return 1.0 - passed_on / owed if owed else 0.0


def segments_per_send(count) -> float | None:
    """Packets per send of the relay. `count`: name of a counter -> its value."""
    sends = count("gso_sends") + count("egress_submitted") - count("gso_packets")
    return count("egress_submitted") / sends if sends > 0 else None


def hop_result(hop: dict, series: list[dict], final: dict, account: dict, aggregates: bool,
               window: tuple[int, int] | None) -> dict:
    """Rates and costs of one relay inside the window, and what became of its packets over the whole run. `account`: the ledger of its
    ingress. Without a window there are no rates: it was not to be disturbed by reports."""
    arrived = final["total"]["recv_packets"] + account["drops"]["buffer_exhaustion"]
    passed_on = final["total"]["egress_sent" if hop["outputs"] else "matched"]
    return {
        "name": hop["name"],
        "outputs": len(hop["outputs"]),
        "copies": copies(hop),
        **(relay_rates(hop, series, aggregates, window) if window else dict.fromkeys(RATES)),
        "loss_ratio": loss_ratio(arrived * max(copies(hop), 1), passed_on),
        "rss_bytes": final["rss_bytes"],
        "settings": final["settings"],
        "inputs": final["inputs"],
        "samples": hop_samples(hop, series),
    }


# Of a hop: what is between two instants.
RATES = ("seconds", "interface_pps", "ingress_pps", "matched_pps", "egress_pps", "egress_interface_pps", "buffer_exhaustion",
         "exhaustion_frames", "buffer_exhaustion_ratio", "kernel_drops", "errors", "cpu_ns_per_packet", "cpu_ratio", "packets_per_frame",
         "segments_per_send", "work_per_1000_packets")


def relay_rates(hop: dict, series: list[dict], aggregates: bool, window: tuple[int, int]) -> dict:
    """RATES of one relay."""
    times = [s["time_ns"] for s in series]
    first, last = (series[i] for i in between(times, window, hop["name"]))
    seconds = (last["time_ns"] - first["time_ns"]) / 1e9

    def delta(counter: str) -> int:
        return last["total"][counter] - first["total"][counter]

    def interface_delta(name: str, counter: str) -> int:
        return interface(last, name)[counter] - interface(first, name)[counter]

    on_wire = sum(interface_delta(out, "tx_packets") for out in hop["outputs"])
    arrived_if = came_in(last, hop, "rx_packets") - came_in(first, hop, "rx_packets")
    received, matched, dropped = delta("recv_packets"), delta("matched"), delta("buffer_exhaustion")
    if aggregates:
        dropped = ledger.dropped_packets(arrived_if - received, delta("exhaustion_frames"))
    return {
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
            "rx": came_in(last, hop, "rx_dropped") - came_in(first, hop, "rx_dropped"),
            "tx": sum(interface_delta(out, "tx_dropped") for out in hop["outputs"])},
        "errors": delta("egress_errors"),
        "cpu_ns_per_packet": (last["cpu_ns"] - first["cpu_ns"]) / matched if matched else None,
        "cpu_ratio": (last["cpu_ns"] - first["cpu_ns"]) / (seconds * 1e9),
        "packets_per_frame": received / delta("recv_frames") if delta("recv_frames") else None,
        "segments_per_send": segments_per_send(delta),
        "work_per_1000_packets": {
            name: delta(name) * 1000 / matched if matched else None for name in WORK_COUNTERS},
    }


def kernel_hop_result(hop: dict, series: list[dict], arrived: int, passed_on: int,
                      window: tuple[int, int]) -> dict:
    """The same of a hop in which the kernel forwards: what its interfaces know, and nothing else.
    `arrived`, `passed_on`: packets over the whole run."""
    times = [s["time_ns"] for s in series]
    first, last = (series[i] for i in between(times, window, hop["name"]))
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
        "interface_pps": (came_in(last, hop, "rx_packets") - came_in(first, hop, "rx_packets")) / seconds,
        "egress_pps": egress,
        "egress_interface_pps": egress,
        "kernel_drops": {
            "rx": came_in(last, hop, "rx_dropped") - came_in(first, hop, "rx_dropped"),
            "tx": sum(interface_delta(out, "tx_dropped") for out in hop["outputs"])},
        "loss_ratio": loss_ratio(arrived * copies(hop), passed_on),
        **dict.fromkeys(("ingress_pps", "matched_pps", "buffer_exhaustion", "exhaustion_frames",
                         "buffer_exhaustion_ratio", "errors", "cpu_ns_per_packet", "cpu_ratio",
                         "packets_per_frame", "segments_per_send", "work_per_1000_packets",
                         "rss_bytes", "settings")),
        "inputs": [],
        "samples": [[s["time_ns"], came_in(s, hop, "rx_packets"), None, None, None, sent(s), None]
                    for s in series],
    }
