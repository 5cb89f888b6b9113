"""The runs of a sitting as they lie on disk: result.json of schema 1, each checked when it is read. A sitting has
rounds/NN/NAME/result.json; NAME is what was measured in each round: relay and control, a mode, a variant."""

import json
from pathlib import Path

from harness.result.documents import Faulty

NEEDED = {"scenario": str, "kind": str, "utc": str, "commit": str, "dirty": bool, "valid": bool, "problems": list,
          "hops": list, "ledger": list, "sut": dict, "profile": dict, "placement": dict, "declared": dict}


def load(path: Path) -> dict:
    """A result.json of the schema that is known here."""
    try:
        run = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Faulty(f"{path}: {error}") from error
    if not isinstance(run, dict) or run.get("schema") != 1:
        raise Faulty(f"{path}: not a result.json of schema 1")
    missing = [key for key, kind in NEEDED.items() if not isinstance(run.get(key), kind)]
    if missing or not all(isinstance(hop, dict) for hop in run["hops"]):
        raise Faulty(f"{path}: a result.json without {', '.join(missing) or 'hops'}")
    return run


def load_if_there(path: Path) -> dict | None:
    return load(path) if path.exists() else None


def of_kind(sitting: Path, kind: str) -> list[dict]:
    """Those of each round, which have to be there."""
    return [load(place / kind / "result.json") for place in sorted(sitting.glob("rounds/*"))]


def by_name(sitting: Path) -> dict[str, list[dict]]:
    """NAME -> its runs, in the order of the rounds; the names in the order in which they were measured."""
    runs = [(path.parts[-3], load(path), path.parent.name) for path in sorted(sitting.glob("rounds/*/*/result.json"))]
    found: dict[str, list[dict]] = {}
    for _, run, name in sorted(runs, key=lambda one: (one[0], one[1].get("window_ns", [0])[0])):  # not by the clock of the files
        found.setdefault(name, []).append(run)
    return found
