#!/usr/bin/python3
"""The closed account of every packet of a run: offered = delivered + each named drop.

Pure functions over counters; result.py feeds them, tests/test_ledger.py checks them.
"""

TOLERANCE = 0.001  # of what was offered


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


def receiver(name: str, arrived: int, report: dict) -> dict:
    """From a node's interface to the program there. `report`: of trafficgen recv."""
    return close(name, "packets received", arrived, report["received"],
                 {what: report[what] for what in
                  ("socket_drops", "duplicated", "stale", "corrupt", "foreign")})


def hop_in(name: str, arrived: int, total: dict) -> dict:
    """From a hop's interface to its rules. `arrived`: packets its interface received; `total`: the
    relay's counters."""
    return close(name, "packets received", arrived, total["matched"], {
        "buffer_exhaustion": total["buffer_exhaustion"],
        "malformed": total["drop_malformed"],
        "fragment": total["drop_fragment"],
        "truncated": total["drop_truncated"],
        "checksum": total["drop_checksum"],
        "no_match": total["drop_no_match"],
    })


def hop_out(name: str, outputs: int, total: dict) -> dict:
    """From a hop's rules to its sockets: each matched packet is owed to every output."""
    return close(name, "packets sent", total["matched"] * outputs, total["egress_sent"],
                 {"egress_errors": total["egress_errors"]})
