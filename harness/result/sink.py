"""The end of the packets' way: what arrived there, and what became of it."""

from math import prod
from statistics import median

from harness.result.hops import copies

QUANTILES = ("p50", "p99", "p99_9", "max")


def worst_latency(latencies: list[dict]) -> dict | None:
    """Over several receivers: the worst of each quantile."""
    heard = [latency for latency in latencies if latency["count"] > 0]
    if not heard:
        return None
    return {"count": sum(latency["count"] for latency in heard),
            **{name: max(latency[name] for latency in heard) for name in QUANTILES}}


def worst_of_second(reports: list[dict]) -> dict:
    """The median of what each whole second had as its longest, over several receivers the worst; nothing where no second was whole."""
    seconds = [report.get("slowest_ns", [])[:-1] for report in reports]  # receivers from before it was recorded have none
    found = [median(ones) for ones in seconds if ones]
    return {"worst_of_second": max(found)} if found else {}


def longest_gap_ms(reports: list[dict]) -> float | None:
    gaps = [report["longest_gap_ns"] / 1e6 for report in reports if "longest_gap_ns" in report]
    return max(gaps, default=None)


def sink_result(source: str, expected: int, received: int, reports: list[dict]) -> dict:
    """What became of the packets at the end of their way. Only a receiver (`reports`) knows more than
    how many came."""
    def total(name: str) -> int | None:
        return sum(report[name] for report in reports) if reports else None

    latency = worst_latency([report["latency_ns"] for report in reports])
    return {"source": source, "expected": expected, "received": received,
            "lost": expected - received,
            "duplicated": total("duplicated"), "reordered": total("reordered"),
            "corrupt": total("corrupt"), "socket_drops": total("socket_drops"),
            "longest_gap_ms": longest_gap_ms(reports),
            "latency_ns": latency and latency | worst_of_second(reports)}


def read(owed: dict[str, int], receivers: dict[str, dict]) -> dict:
    """The receivers, of which each is owed so many packets; where there are several, also one by one: what one got too much must not
    hide what another one lacks."""
    found = sink_result("trafficgen recv", sum(owed.values()), sum(report["received"] for report in receivers.values()),
                        list(receivers.values()))
    if len(receivers) > 1:
        found["receivers"] = [{"name": name, "expected": owed[name], "received": report["received"]}
                              for name, report in receivers.items()]
    return found


def sink(hops: list[dict], finals: list[dict], sent: int, accounts: list[dict],
         receivers: dict[str, dict], owed: dict[str, int] | None = None) -> dict:
    """The end of the last hop: receivers, the hop itself when it sends nowhere, or the interfaces
    behind its outputs. Without a hop (a control): a receiver at the other end of the generator's link, or the interface there.
    `owed`: packets that each receiver is to get, where the run had routes that tell."""
    if owed and receivers:
        return read(owed, receivers)
    if not hops and receivers:
        reports = list(receivers.values())
        return sink_result("trafficgen recv", sent, sum(report["received"] for report in reports), reports)
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
