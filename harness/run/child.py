"""bench as a child: for whoever asks it again and again, bisect, drill and live."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from harness import HARNESS
from harness.verdict.outcome import INCONCLUSIVE, STATUS


def bench(*arguments: object, environment: dict[str, str] | None = None) -> tuple[int, str]:
    """Runs bench with results in a scratch folder; (exit status, its complaint, else what it said last). Its
    progress goes on to our stderr."""
    with subprocess.Popen([HARNESS / "bench", *map(str, arguments)], text=True, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, env=os.environ | (environment or {})) as child:
        last = complaint = ""
        try:
            for line in child.stderr:
                last = line.rstrip() or last
                if line.startswith("bench: "):
                    complaint = complaint or last
                if sys.stderr.isatty():
                    print(f"\r\033[K  {last[:110]}", end="", file=sys.stderr, flush=True)
            child.wait()
        except BaseException:
            child.terminate()  # it undoes what it did
            child.wait()
            raise
        finally:
            if sys.stderr.isatty():
                print("\r\033[K", end="", file=sys.stderr, flush=True)
    return child.returncode, (complaint or last).removeprefix("bench: ")


def require_results(folder: Path) -> None:
    """Before anything is measured: results can be kept there. Exits when they cannot."""
    place = next(path for path in (folder.resolve(), *folder.resolve().parents) if path.exists())
    if place.is_dir() and os.access(place, os.W_OK | os.X_OK):
        return
    print(f"bench: results cannot be kept in {folder}: {place} is {'not writable' if place.is_dir() else 'no folder'}; name a "
          f"writable one with --results", file=sys.stderr)
    sys.exit(STATUS[INCONCLUSIVE])


def only(folder: str, name: str) -> dict | None:
    """The one document of this name in a scratch folder of results."""
    found = [path for path in Path(folder).glob(f"*/*/{name}") if not path.parent.name.endswith(".partial")]
    return json.loads(found[0].read_text(encoding="utf-8")) if found else None


def end_by_signals() -> None:
    """Whatever ends us by a signal ends bench, too, and waits for it."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda got, _: sys.exit(128 + got))
