"""last.py HISTORY MACHINE SCENARIO: what `bench capacity` found last of that scenario on that machine, packets/s: the lower bound of
pdr, else of ndr. Prints nothing when it has found none."""

import sys
from pathlib import Path

from harness.history import history
from harness.result.validity import is_rate

GOALS = ("pdr", "ndr")


def lower(folder: Path, machine: str, scenario: str) -> float | None:
    """Of the newest search that has one; lines that cannot be read are none."""
    found = [entry for path in folder.glob(f"{machine}/capacity/*.ndjson") for _, entry in history.read_lines(path)[0]
             if entry.get("scenario") == scenario and isinstance(entry.get("goals"), dict)]
    for entry in sorted(found, key=lambda one: one["utc"], reverse=True):
        bounds = [entry["goals"].get(name, {}).get("lower_pps") for name in GOALS]
        if known := [bound for bound in bounds if is_rate(bound)]:
            return known[0]
    return None


def main() -> int:
    bound = lower(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
    if bound is not None:
        print(round(bound))
    return 0


if __name__ == "__main__":
    sys.exit(main())
