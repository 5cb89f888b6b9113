"""history.py append VERDICT HISTORY-FOLDER: appends a verdict to the history of its machine profile.
history.py list HISTORY-FOLDER [--profile ID]: prints all its lines, oldest first.

The history is append-only: HISTORY-FOLDER/PROFILE/YYYY-MM.ndjson, one verdict a line. Branches append to it side by side and
are merged: git keeps the lines of both (.gitattributes), in whatever order. So lines are sorted by their time, and one that
stands twice counts once: a run is known by its time, its commit, its program and its scenario. A damaged line is named as
FILE:LINE on stderr, and left out. Exits with 4 when a file cannot be written, with 5 when one cannot be read or is no verdict.
"""

import argparse
import fcntl
import json
import os
import re
import sys
from datetime import datetime
from pathlib import Path

from harness.result.documents import Faulty, parse as parse_json, read_json, require_file
from harness.verdict.outcome import INCONCLUSIVE, INVALID, PASS, STATUS

SCHEMA = 1  # the version of verdict.schema.json
UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
CONFLICT = ("<<<<<<<", "|||||||", "=======", ">>>>>>>")  # what git leaves where a merge was not finished


def append(verdict: dict, folder: Path) -> Path:
    """Adds the verdict to its month; returns the file."""
    path = folder / verdict["profile"]["id"] / f"{verdict['utc'][:7]}.ndjson"
    append_line(path, verdict)
    return path


def append_line(path: Path, document: dict) -> None:
    """Adds one line, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps(document, separators=(",", ":")).encode() + b"\n"
    with open(path, "a+b", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        size = os.fstat(file.fileno()).st_size
        if size > 0 and os.pread(file.fileno(), 1, size - 1) != b"\n":
            line = b"\n" + line  # somebody was killed in the middle of a line: spoil no second one
        try:
            if file.write(line) != len(line):
                raise OSError(f"{path}: disk full")
        except OSError:
            os.ftruncate(file.fileno(), size)
            raise


def is_utc(text: str) -> bool:
    try:
        return bool(UTC.fullmatch(text) and datetime.fromisoformat(text))
    except ValueError:
        return False


def parse(line: bytes) -> dict:
    """One line of a file of the history; a ValueError says what is wrong with it."""
    text = line.decode("utf-8")
    if text.startswith(CONFLICT):
        raise ValueError("a merge was left unfinished here: keep the lines of both sides, and remove git's marker")
    entry = parse_json(text)
    if not isinstance(entry, dict) or not is_utc(str(entry.get("utc"))):
        raise ValueError("no entry with a time of its own ('utc': '2026-11-20T14:00:00Z')")
    if entry.get("schema", SCHEMA) != SCHEMA:
        raise ValueError(f"'schema': {entry['schema']!r} is not the format that this bench knows, {SCHEMA}: if a newer one "
                         f"wrote it, use that")
    return entry


def read_lines(path: Path) -> tuple[list[tuple[str, dict]], list[str]]:
    """([(FILE:LINE, entry)] of one file, what is wrong with its other lines). An empty line is none."""
    require_file(path)
    found, damaged = [], []
    for number, line in enumerate(path.read_bytes().split(b"\n"), 1):
        try:
            if line.strip():
                found.append((f"{path}:{number}", parse(line)))
        except ValueError as error:
            damaged.append(f"{path}:{number}: damaged line, left out: {error}; mend it or remove it")
    return found, damaged


def run_of(entry: dict) -> tuple[str, ...]:
    """Which run an entry is of; sorts by time."""
    profile, sut = (found if isinstance(found, dict) else {} for found in (entry.get("profile"), entry.get("sut")))
    return tuple(str(one) for one in (entry["utc"], entry.get("scenario"), entry.get("commit"), entry.get("gate"),
                                      profile.get("id"), sut.get("sha256")))


def read(folder: Path, machine: str | None = None) -> tuple[list[tuple[str, dict]], list[str]]:
    """([(FILE:LINE, entry)] of all months, oldest first, each run once; what is wrong, a line each)"""
    places = [folder / machine] if machine else sorted(folder.glob("*"))
    found: dict[tuple[str, ...], tuple[str, dict]] = {}
    warnings = []
    for path in [path for place in places for path in sorted(place.glob("*.ndjson"))]:
        lines, damaged = read_lines(path)
        warnings += damaged
        for where, entry in lines:
            first, kept = found.setdefault(run_of(entry), (where, entry))
            if kept != entry:
                warnings.append(f"{where}: left out, it says something else of the run in {first}; remove one of them")
    return [found[key] for key in sorted(found)], warnings


def warn(warnings: list[str]) -> None:
    """Whatever is left out is told, on stderr."""
    for one in warnings:
        print(f"warning: {one}", file=sys.stderr)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("append")
    command.add_argument("verdict", type=Path)
    command.add_argument("folder", type=Path)
    command = commands.add_parser("list")
    command.add_argument("folder", type=Path)
    command.add_argument("--profile")
    options = parser.parse_args()
    return append_verdict(options.verdict, options.folder) if options.command == "append" else \
        list_entries(options.folder, options.profile)


def append_verdict(path: Path, folder: Path) -> int:
    try:
        verdict = read_json(path)
        print(append(verdict, folder))
    except Faulty as fault:
        print(f"history.py: {fault}", file=sys.stderr)
        return STATUS[INVALID]
    except OSError as error:
        print(f"history.py: {error}", file=sys.stderr)
        return STATUS[INCONCLUSIVE]
    except (KeyError, TypeError) as error:
        print(f"history.py: {path}: not a verdict with a machine profile: {error!r}", file=sys.stderr)
        return STATUS[INVALID]
    return STATUS[PASS]


def list_entries(folder: Path, machine: str | None) -> int:
    try:
        entries, warnings = read(folder, machine)
    except (OSError, Faulty) as fault:
        print(f"history.py: {fault}", file=sys.stderr)
        return STATUS[INVALID]
    for _, entry in entries:
        print(json.dumps(entry))
    warn(warnings)
    return STATUS[PASS]


if __name__ == "__main__":
    sys.exit(main())
