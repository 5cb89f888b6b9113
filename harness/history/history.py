"""history.py append VERDICT HISTORY-FOLDER: appends a verdict to the history of its machine profile.
history.py list HISTORY-FOLDER [--profile ID]: prints all its lines, oldest first.

The history is append-only: HISTORY-FOLDER/PROFILE/YYYY-MM.ndjson, one verdict a line. Branches append to it side by side and
are merged: git keeps the lines of both (.gitattributes), in whatever order. So lines are sorted by their time, and one that
stands twice counts once. Exits with 5 when a line is damaged, which is named; 1 when a file cannot be read or written.
"""

import argparse
import fcntl
import json
import os
import re
import sys
from datetime import datetime
from pathlib import Path

from harness.result.documents import Faulty, parse as parse_json, require_file
from harness.verdict.outcome import INVALID, STATUS

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


def read_lines(path: Path) -> list[tuple[str, dict]]:
    """[(FILE:LINE, entry)] of one file. A damaged line is an error that names it; an empty one is none."""
    require_file(path)
    found = []
    for number, line in enumerate(path.read_bytes().split(b"\n"), 1):
        try:
            if line.strip():
                found.append((f"{path}:{number}", parse(line)))
        except ValueError as error:
            raise Faulty(f"{path}:{number}: damaged line: {error}; mend it or remove it") from error
    return found


def read(folder: Path, profile: str | None = None) -> list[tuple[str, dict]]:
    """[(FILE:LINE, entry)] of all months, oldest first, each entry once."""
    places = [folder / profile] if profile else sorted(folder.glob("*"))
    found: dict[tuple[str, str], tuple[str, dict]] = {}
    for path in [path for place in places for path in sorted(place.glob("*.ndjson"))]:
        for where, entry in read_lines(path):
            found.setdefault((entry["utc"], json.dumps(entry, sort_keys=True)), (where, entry))
    return [found[key] for key in sorted(found)]


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
    try:
        if options.command == "append":
            print(append(json.loads(options.verdict.read_text()), options.folder))
        else:
            for _, entry in read(options.folder, options.profile):
                print(json.dumps(entry))
    except Faulty as fault:
        print(f"history.py: {fault}", file=sys.stderr)
        return STATUS[INVALID]
    except (OSError, ValueError) as error:
        print(f"history.py: {error}", file=sys.stderr)
        return 1
    except (KeyError, TypeError) as error:
        print(f"history.py: {options.verdict}: not a verdict with a machine profile: {error!r}",
              file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
