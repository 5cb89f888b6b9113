"""Losses that are allowed for a time: baselines/waivers.json, which is written by hand and reviewed. A waiver in
force lets a proven loss pass as long as it is smaller than the waiver's size, and under a word of its own."""

from datetime import date, datetime, timezone
from pathlib import Path

from harness.result.documents import Faulty, read

DAYS_MAX = 184  # what is accepted for longer is a new baseline


def today() -> date:
    return datetime.now(timezone.utc).date()


def load(path: Path, label: str = "") -> dict[str, dict]:
    """Scenario -> its waiver. No file is no waiver."""
    if not path.exists():
        return {}
    label = label or str(path)
    found: dict[str, dict] = {}
    for waiver in read(path, "waivers", label)["waivers"]:
        name = waiver["scenario"]
        if name in found:
            raise Faulty(f"{label}: two waivers for scenario {name}; keep one")
        try:
            date.fromisoformat(waiver["expires"])
        except ValueError as error:
            raise Faulty(f"{label}: {name}: expires: '{waiver['expires']}' is no date: {error}") from error
        if days_left(waiver, today()) > DAYS_MAX:
            raise Faulty(f"{label}: {name}: expires: {waiver['expires']} is more than {DAYS_MAX} days away; a loss that stays "
                         f"is accepted as a new baseline")
        found[name] = waiver
    return found


def days_left(waiver: dict, day: date) -> int:
    """0 on its last day, negative once it has expired."""
    return (date.fromisoformat(waiver["expires"]) - day).days


def judge(waiver: dict | None, loss: float | None, day: date) -> tuple[bool, list[str]]:
    """(is a loss of this size waived, what there is to say). `loss`: the largest that it can be, a ratio;
    None: there is none to waive."""
    if waiver is None:
        return False, []
    if days_left(waiver, day) < 0:
        return False, [f"waiver for {waiver['scenario']} expired on {waiver['expires']}"]
    if loss is None:
        return False, []
    size = f"{waiver['size'] * 100:g} %"
    if loss < waiver["size"]:
        return True, [f"waived until {waiver['expires']}: {waiver['reason']} (loss of up to {size} allowed)"]
    return False, [f"the waiver until {waiver['expires']} allows a loss of up to {size} and does not reach this "
                   f"one, which may be {loss * 100:.1f} %"]
