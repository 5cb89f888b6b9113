"""What every verdict asks of a run before it looks at its figures. Whoever answers no says INVALID."""

from math import isfinite


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
