"""The closed account of every packet of a run: offered = delivered + each named drop.

Pure functions over counters; result.py feeds them, tests/python/test_ledger.py checks them.
"""

TOLERANCE = 0.001  # of what was offered
AGGREGATE_MAX = 64  # packets that the kernel puts into one aggregate (UDP_GRO_CNT_MAX)


def close(name: str, unit: str, offered: int, delivered: int, drops: dict[str, int]) -> dict:
    """One account. `residual` is what no counter explains; positive: packets vanished, negative:
    packets came from nowhere. `closed` when it is within TOLERANCE of what was offered."""
    residual = offered - delivered - sum(drops.values())
    ratio = abs(residual) / offered if offered > 0 else 0.0
    return {
        "account": name,
        "unit": unit,
        "offered": offered,
        "delivered": delivered,
        "drops": drops,
        "residual": residual,
        "residual_ratio": ratio,
        "closed": offered > 0 and ratio <= TOLERANCE,
    }


def link(name: str, sent: int, tx: dict, rx: dict) -> dict:
    """A link: what a program says it sent, against the counters of the two interfaces.

    tx, rx: {"packets": n, "dropped": n} of the sending and of the receiving end."""
    return close(name, "packets on the wire", sent, rx["packets"],
                 {"tx_dropped": tx["dropped"], "rx_dropped": rx["dropped"]})


ETHERNET_BYTES = 14
HEADER_BYTES = ETHERNET_BYTES + 20 + 8  # IPv4, UDP
BYTES = "bytes on the wire"


def whole(name: str, payload_bytes: int, tx: dict, aggregates: bool) -> dict:
    """The packets that went onto a link ("packets", "bytes"), held against the size that each should have: somebody cut them
    off where bytes are missing, or sent more than there was. A veth link counts the bytes of packets that its receiving
    end may aggregate, those that a program sent, without their Ethernet headers."""
    size = tx["packets"] * (payload_bytes + HEADER_BYTES)
    headers = min(max(size - tx["bytes"], 0), tx["packets"] * ETHERNET_BYTES) if aggregates else 0
    return close(name, BYTES, size, tx["bytes"], {"uncounted_headers": headers})


def receiver(name: str, arrived: int, reports: list[dict], aggregates: bool) -> dict:
    """From a node's interface to the programs that read there. `reports`: of trafficgen recv, which counts an
    aggregate that found its socket full as one."""
    received = sum(report["received"] for report in reports)
    drops = {what: sum(report[what] for report in reports) for what in
             ("socket_drops", "duplicated", "stale", "corrupt", "foreign")}
    if aggregates:
        missing = arrived - received - sum(drops.values()) + drops["socket_drops"]
        drops["socket_drops"] = dropped_packets(missing, drops["socket_drops"])
    return close(name, "packets received", arrived, received, drops)


DROPS = {"malformed": "drop_malformed", "fragment": "drop_fragment",
         "truncated": "drop_truncated", "checksum": "drop_checksum", "no_match": "drop_no_match",
         "worker_died": "drop_worker_died"}


def named_drops(total: dict) -> dict[str, int]:
    """What is not matched, by its name."""
    return {name: total[counter] for name, counter in DROPS.items()} | if_any(total, "joined_fragments") \
        | if_any(total, "drop_source")


def if_any(total: dict, counter: str) -> dict[str, int]:
    """A counter that older relays do not have, named only where it is not 0."""
    return {counter.removeprefix("drop_"): total[counter]} if total.get(counter) else {}


def hop_in(name: str, arrived: int, total: dict) -> dict:
    """From a hop's interface to its rules. `arrived`: packets its interface received; `total`: the
    relay's counters, exact where each frame is a packet."""
    return close(name, "packets received", arrived, total["matched"],
                 {"buffer_exhaustion": total["buffer_exhaustion"], **named_drops(total)})


def dropped_packets(missing: int, frames: int) -> int:
    """How many packets `frames` dropped frames held, when `missing` are: as many as can be. No frame,
    no packet; each held from 1 to AGGREGATE_MAX."""
    return min(max(missing, frames), frames * AGGREGATE_MAX)


def hop_in_aggregated(name: str, arrived: int, foreign: int, total: dict) -> dict:
    """The same where the interface aggregates. The kernel counts the frames that found the ring full;
    the packets in them are what the interface received, the relay did not, and was meant for it
    (`foreign`: what was not). What those frames cannot have held stays open."""
    dropped = dropped_packets(arrived - foreign - total["recv_packets"], total["exhaustion_frames"])
    return close(name, "packets received", arrived, total["matched"],
                 {"buffer_exhaustion": dropped, "foreign": foreign, **named_drops(total)})


def forwarded(name: str, arrived: int, outputs: list[dict]) -> dict:
    """Through a hop of the kernel's: each packet is owed to every output. `outputs`: {"packets": n,
    "dropped": n} sent by each."""
    return close(name, "packets on the wire", arrived * len(outputs),
                 sum(out["packets"] for out in outputs),
                 {"tx_dropped": sum(out["dropped"] for out in outputs)})


def hop_out(name: str, outputs: int, total: dict) -> dict:
    """From a hop's rules to its sockets: each matched packet is owed to every output."""
    return close(name, "packets sent", total["matched"] * outputs, total["egress_sent"],
                 {"egress_errors": total["egress_errors"], "handoff": total["drop_handoff"],
                  **if_any(total, "drop_ttl"), **if_any(total, "drop_loop")})
