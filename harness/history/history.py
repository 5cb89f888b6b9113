"""history.py append VERDICT HISTORY-FOLDER: appends a verdict to the history of its machine profile.
history.py list HISTORY-FOLDER [--profile ID]: prints all its lines, oldest first.

The history is append-only: HISTORY-FOLDER/PROFILE/YYYY-MM.ndjson, one verdict a line.
"""

import argparse
import fcntl
import json
import os
import sys
from pathlib import Path


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


def read(folder: Path, profile: str | None = None) -> list[dict]:
    """All lines of all months, oldest first; a damaged line is an error that names it."""
    lines = []
    for path in sorted(folder.glob(f"{profile or '*'}/*.ndjson")):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            try:
                lines.append(json.loads(line))
            except ValueError as error:
                raise ValueError(f"{path}:{number}: damaged line: {error}") from error
    return sorted(lines, key=lambda entry: entry["utc"])


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
            for entry in read(options.folder, options.profile):
                print(json.dumps(entry))
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
