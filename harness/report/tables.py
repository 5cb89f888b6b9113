"""What tables for people are made of: numbers with their units, the machine and the load in a line each, a table as
text or as Markdown, verdicts in colour on a terminal."""

import os
import sys

COLOURS = {"PASS": "32", "REGRESSION": "31", "WAIVED": "33", "INCONCLUSIVE": "33", "UNFIT": "33",
           "INVALID": "35", "VALID": "32"}


def pps(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f} pps"


def percent(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.3%}" if 0 < value < 0.0005 else f"{value:.1%}"


def paint(text: str, word: str) -> str:
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR") or word not in COLOURS:
        return text
    return f"\033[1;{COLOURS[word]}m{text}\033[0m"


def table(header: list[str], rows: list[list[str]], markdown: bool) -> str:
    """First column left-aligned, the others right-aligned."""
    if markdown:
        lines = ["| " + " | ".join(header) + " |",
                 "| --- |" + " ---: |" * (len(header) - 1)]
        return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])
    widths = [max(len(row[i]) for row in [header] + rows) for i in range(len(header))]
    return "\n".join(
        "  " + "  ".join(cell.ljust(w) if i == 0 else cell.rjust(w)
                         for i, (cell, w) in enumerate(zip(row, widths))).rstrip()
        for row in [header, ["-" * w for w in widths]] + rows)


def number(value: float | None, unit: str = "") -> str:
    return "" if value is None else f"{value:,.0f}{unit}"


def ns(value: float | None) -> str:
    return number(value, " ns")


def cpu_of(profile: dict) -> str:
    """With what its name hides, where that is known."""
    found = profile.get("machine")
    return profile["cpu"] + (f" {found['family']}.{found['model']}.{found['stepping']}, {found['hypervisor']}" if found else "")


def machine_line(document: dict) -> str:
    profile = document["profile"]
    placement = ", ".join(f"{name} on CPU {cpu}" if cpu is not None else f"{name} unpinned"
                          for name, cpu in document["placement"].items())
    return (f"{cpu_of(profile)}, {profile['cores']} cores, Linux {profile['kernel']}; {placement}; "
            f"commit {document['commit']}{' with changes' if document['dirty'] else ''}")


def load_line(document: dict) -> str:
    declared = document["declared"]
    payload = declared["payload_bytes"]
    sizes = "IMIX" if payload == "imix" else f"{payload}-byte payloads"
    flows = int(declared.get("flows", 1))
    return (f"{document['scenario']}: {declared['description']}; {sizes}, "
            + (f"{flows} flows, " if flows > 1 else "")
            + (f"fan-out {declared['fanout']}, " if "fanout" in declared else "")
            + f"{int(declared['rate_pps']):,} pps offered, profile {declared.get('profile', 'wire')}")
