"""age.json for people: the blocks of pairs, the loads, memory and descriptors, the verdict."""

from statistics import median

from harness.report.tables import machine_line, number, paint, table
from harness.verdict.terms import terms


def middle(values: list) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def signed(value: float | None) -> str:
    return "" if value is None else f"{value:+.1%}"


def us(rows: list[dict], key: str) -> str:
    """Head's against base's."""
    found = [middle([(row[f"{who}_latency_ns"] or {}).get(key) for row in rows]) for who in ("head", "base")]
    return "" if None in found else f"{found[0] / 1000:,.0f} / {found[1] / 1000:,.0f} us"


def phases(document: dict) -> list[list[str]]:
    """A row for each block of pairs, and for the first and the last load."""
    rows = []
    for name, pairs in document["pairs"].items():
        if pairs:
            rows.append([f"{name}, {len(pairs)} pairs", signed(middle([row["change"] for row in pairs])),
                         f"{middle([row['head'] for row in pairs]):,.0f} / {middle([row['base'] for row in pairs]):,.0f}",
                         f"{middle([row['head_loss'] for row in pairs]):.2%}", us(pairs, "p50"), us(pairs, "p99")])
    return rows


def load_rows(document: dict) -> list[list[str]]:
    loads = document["loads"]
    shown = loads if len(loads) <= 6 else [loads[0], loads[len(loads) // 2], loads[-1]]
    return [[row["load"], number(row["offered_pps"], " pps"), number(row["egress_pps"], " pps"), number(row["cpu_ns_per_packet"], " ns"),
             "" if row["loss_ratio"] is None else f"{row['loss_ratio']:.3%}"] for row in shown]


UNITS = {"egress_pps": "packets/s sent", "cpu_ns_per_packet": "CPU per packet, ns", "latency": "99 % of the packets, ns"}


def show(document: dict, markdown: bool) -> str:
    memory, descriptors = document["memory"], document["descriptors"]
    lines = [f"{document['scenario']}: one relay for {document['seconds'] / 60:.1f} min and {document['counters']['packets']:,} packets, "
             f"{'at 70 % of its capacity' if document['kind'] == 'soak' else 'flooded'}, beside fresh ones",
             machine_line(document), "",
             table(["", "beside a fresh one", f"{UNITS.get(document['metric'], document['metric'])}: old / fresh", "lost", "p50: old / fresh",
                    "p99: old / fresh"], phases(document), markdown), "",
             table(["load", "offered", "sent on", "CPU per packet", "lost"], load_rows(document), markdown), "",
             f"memory of its own: {memory['first'] / (1 << 20):,.1f} -> {memory['last'] / (1 << 20):,.1f} MiB; descriptors: "
             f"{descriptors['first']} -> {descriptors['last']}; {document['changes']['made']} changes of rules; "
             f"{document['counters']['reports']:,} reports read, {len(document['counters']['backwards'])} counters went backwards", ""]
    word = document["verdict"]
    mark = "- " if markdown else "  - "
    lines.append(f"**{word}**" if markdown else paint(word, word))
    lines += [f"{mark}{reason}" for reason in document["reasons"]]
    lines += [f"{mark}{line}" for line in terms.lines(document["terms"])]
    return "\n".join(lines) + "\n"
