"""What a relay that lives on leaves besides its runs: what its processes had, what its counters did, which changes of rules it took."""

import json
from pathlib import Path

from harness.result.documents import Faulty, read_json
from harness.verdict.age.counters import PASSING, backwards


def snapshots(sitting: Path) -> list[dict]:
    """What all processes of the relays had together, in the order of time: {"when", "own_bytes", "rss_bytes", "descriptors", "threads",
    "processes"}."""
    found: dict[str, dict] = {}
    path = sitting / "processes.ndjson"
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            process = json.loads(line)
            one = found.setdefault(process["when"], {"when": process["when"], "uptime_ms": process["uptime_ms"], "own_bytes": 0, "rss_bytes": 0,
                                                     "descriptors": 0, "threads": 0, "processes": 0})
            for key in ("own_bytes", "rss_bytes", "descriptors", "threads"):
                one[key] += process[key]
            one["processes"] += 1
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Faulty(f"{path}: {error!r}") from error
    return list(found.values())


def after_load(found: list[dict], number_of: int) -> dict | None:
    """The snapshot behind the so manieth load."""
    return next((one for one in found if one["when"] == f"load/{number_of:02}"), None)


def grown(found: list[dict], key: str, since: int, allowed: int) -> dict:
    """From behind the so manieth load (the first one, where there are not as many) to the end."""
    first = after_load(found, since) or after_load(found, 1) or found[0]
    return {"first": first[key], "last": found[-1][key], "growth": found[-1][key] - first[key], "allowed": allowed,
            "highest": max(one[key] for one in found)}


def counters(sitting: Path) -> dict:
    """Over all of its life: {"reports", "backwards", "restarts"}; also from the end of one run to the beginning of the next."""
    documents = [read_json(path) for path in (*sitting.glob("*/*/head/counters.json"), *sitting.glob("load/*/counters.json"))]
    steps, reports, restarts = [], 0, 0
    hops = sorted({hop for document in documents for hop in document["hops"]})
    for hop in hops:
        runs = sorted((document["hops"][hop] for document in documents), key=lambda run: (run["first"]["cpu_ns"], run["last"]["cpu_ns"]))
        reports += sum(run["reports"] for run in runs)
        steps += [{"hop": hop, **step} for run in runs for step in run["backwards"]]
        steps += [{"hop": hop, **step, "time_ns": None} for before, after in zip(runs, runs[1:])
                  for step in backwards(before["last"], after["first"], PASSING)]
        restarts += sum(value for name, value in runs[-1]["last"].items() if name.endswith(".restarts"))
    return {"reports": reports, "backwards": steps, "restarts": restarts,
            "packets": max((run["last"]["total.recv_packets"] for document in documents for run in document["hops"].values()), default=0)}


def changes(sitting: Path) -> dict:
    """Of its rules."""
    path = sitting / "changes.log"
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
    refused = [line for line in lines if not line.endswith(" ok")]
    return {"made": len(lines) - len(refused), "refused": len(refused), "first_refusal": refused[0] if refused else None}
