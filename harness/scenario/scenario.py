"""Scenarios as Python sees them: which there are, and what they say. The grammar is that of scenario.bash, which also
refuses what it does not understand; here that is passed over."""

import re
from pathlib import Path

LINE = re.compile(r"([a-z0-9_-]+) *= *(.*\S|)\s*")


def names(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.conf"))


def values(folder: Path, name: str) -> dict[str, str]:
    return read((folder / f"{name}.conf").read_text(encoding="utf-8", errors="replace"))


def read(text: str) -> dict[str, str]:
    """What the text of a scenario says, key by key."""
    return {found[1]: found[2] for line in text.split("\n") if (found := LINE.fullmatch(line))}
