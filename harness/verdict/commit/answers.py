"""What the documents of the gates say, in short: for the table of all that a commit is asked."""

import json
from pathlib import Path

from harness.report.tables import pps
from harness.verdict.budget import instructions

# In the folder of a sitting, the document that has its verdict.
DOCUMENTS = ("verdict.json", "compare.json", "budget.json", "fastpath.json", "drill.json", "capacity.json", "age.json", "all.json",
             "chaos.json")


def document(folder: Path) -> dict | None:
    """The verdict that a sitting left, whatever its gate; None: none, or one that cannot be read."""
    for name in DOCUMENTS:
        try:
            found = json.loads((folder / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            continue
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None
    return None


def reasons(found: dict) -> list[str]:
    said = [str(reason) for reason in found.get("reasons", [])]
    for name, verdict in found.get("scenarios", {}).items():
        if verdict["verdict"] != "PASS":
            said += [f"{name}: {reason}" for reason in verdict["reasons"]]
    said += [f"{row['name']}: {reason}" for row in found.get("rows", []) for reason in row["reasons"]]
    if "drills" not in found:
        said += [f"{fault['name']}: {reason}" for fault in found.get("faults", []) for reason in fault["reasons"]]
    said += [f"{name}: {item['value']} of {item['limit']}" for name, item in found.get("figures", {}).items()
             if item["verdict"] != "PASS"]
    return said + instructions.reasons(found.get("instructions", {}))


def figures(found: dict) -> list[str]:
    """One for each thing that was judged, for people."""
    if "scenarios" in found:
        compared = times if found.get("question") == "shape" else change
        return [f"{name}: same program" if verdict.get("same_program") else f"{name} {compared(verdict)}"
                for name, verdict in found["scenarios"].items() if verdict.get("same_program") or verdict.get("estimate") is not None]
    if "goals" in found:
        return [f"{found['scenario']} {name} {pps(goal['lower_pps'])}" for name, goal in found["goals"].items()]
    if found.get("kind") in ("age", "soak"):
        return [age(found)]
    if "hops" in found:
        return [f"relay 1 {pps(found['hops'][0]['egress_pps']['median'])}, tier {found['tier_reached'] or 'none'}"]
    if "rows" in found:
        return [f"{sum(row['verdict'] in ('met', 'PASS') for row in found['rows'])} of {len(found['rows'])} rows met"]
    if "drills" in found:
        answers = [gate["right"] for drill in found["drills"] for gate in drill["gates"].values()]
        answers += [fault["right"] for fault in found["faults"]]
        return [f"{answers.count(True)} of {len(answers)} answers right"]
    if "faults" in found:
        return [f"{sum(fault['verdict'] == 'PASS' for fault in found['faults'])} of {len(found['faults'])} faults survived"]
    calls = found.get("figures", {}).get("system calls")
    said = [f"{calls['value']:.1f} system calls per 1,000 packets"] if calls else []
    return said + [f"{item['instructions']:,.1f} instructions a packet" for name, item in
                   found.get("instructions", {}).get("cases", {}).items() if name == instructions.FIRST]


def age(found: dict) -> str:
    """Of a relay that lived on."""
    speed = found["speed"] or {}
    beside = f"{signed(speed['estimate'])} ({signed(speed['lower'])} to {signed(speed['upper'])}, {speed['pairs']} pairs) when old, " \
        if speed.get("estimate") is not None else ""
    return (f"{found['scenario']} {beside}after {found['counters']['packets'] / 1e6:,.1f}M packets, memory "
            f"{found['memory']['growth'] / (1 << 20):+.1f} MiB")


def change(verdict: dict) -> str:
    return f"{signed(verdict['estimate'])} ({signed(verdict['lower'])} to {signed(verdict['upper'])}, {verdict['pairs']} pairs)"


def times(verdict: dict) -> str:
    """Of what is many times as fast."""
    lower, upper = (f"{1.0 + bound:.2f}" if bound is not None else "unbounded" for bound in (verdict["lower"], verdict["upper"]))
    return f"{1.0 + verdict['estimate']:.2f} times as fast as PHASE4's shape ({lower} to {upper}, {verdict['pairs']} pairs)"


def signed(ratio: float | None) -> str:
    return "unbounded" if ratio is None else f"{ratio:+.1%}"
