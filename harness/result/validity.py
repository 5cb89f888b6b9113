"""What every verdict asks of a run before it looks at its figures. Whoever answers no says INVALID."""

import json
from math import isfinite
from pathlib import Path

NEEDED = {"scenario": str, "kind": str, "utc": str, "commit": str, "dirty": bool, "valid": bool, "problems": list,
          "hops": list, "ledger": list, "sut": dict, "profile": dict, "placement": dict, "declared": dict}


class Unusable(ValueError):
    """A file that is not what it should be."""


def load(path: Path) -> dict:
    """A result.json of the schema that is known here."""
    try:
        run = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Unusable(f"{path}: {error}") from error
    if not isinstance(run, dict) or run.get("schema") != 1:
        raise Unusable(f"{path}: not a result.json of schema 1")
    missing = [key for key, kind in NEEDED.items() if not isinstance(run.get(key), kind)]
    if missing or not all(isinstance(hop, dict) for hop in run["hops"]):
        raise Unusable(f"{path}: a result.json without {', '.join(missing) or 'hops'}")
    return run


def faults(run: dict, kind: str) -> list[str]:
    """Why a run, which was to be one of the relay or a control, does not count; nothing when it does."""
    if run["kind"] != kind or bool(run["hops"]) != (kind == "relay"):
        return [f"this is a run of kind {run['kind']} with {len(run['hops'])} hops, not one of kind {kind}"]
    if not run["problems"] and run["valid"] is not True:
        return ["the run is not valid, and does not say why"]
    if not run["problems"] and not is_rate(run.get("offered_pps")):
        return [f"the generator offered {run.get('offered_pps')} packets/s"]
    return list(run["problems"])


def is_number(value) -> bool:
    return isinstance(value, (int, float)) and isfinite(value)


def is_rate(value) -> bool:
    return is_number(value) and value > 0
