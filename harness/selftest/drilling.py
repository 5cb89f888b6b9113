"""What drill.py, live.py and bisection.py share: bench as a child, and a relay that is slower by a wanted share.

The synthetic loss comes from build/drill/mcrelay (`make drill`), which spins for --drill-delay-ns per packet. It is
calibrated: what a packet costs here and now is measured first, and the delay is the wanted share of that.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from harness import HARNESS, ROOT

BUILD = Path(os.environ.get("BUILD", ROOT / "build"))
RELAY, SLOW_RELAY = BUILD / "mcrelay", BUILD / "drill/mcrelay"
CALIBRATION_RUNS = 8


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


def copy_of_relay(folder: str) -> Path:
    """The relay against itself is two files, as two builds are: what pages they happen to lie in is part of the noise."""
    return Path(shutil.copy(RELAY, Path(folder) / "mcrelay"))


def only(folder: str, name: str) -> dict | None:
    """The one document of this name in a scratch folder of results."""
    found = [path for path in Path(folder).glob(f"*/*/{name}") if not path.parent.name.endswith(".partial")]
    return json.loads(found[0].read_text(encoding="utf-8")) if found else None


def cost_ns(scenario: str) -> float:
    """Of a packet of the relay that can be slowed down and is not: its CPU time in nanoseconds. Of a flooded relay that is
    all the time that it has."""
    with tempfile.TemporaryDirectory(prefix="mcrelay-drill-") as results:
        status, words = bench("noise", scenario, CALIBRATION_RUNS, "--relay", SLOW_RELAY, "--results", results)
        runs = [json.loads(path.read_text(encoding="utf-8"))
                for path in Path(results).glob("*/*/runs/*/relay/result.json")]
    if status != 0 or not runs:
        sys.exit(f"drill: calibrating with {scenario}: {words}")
    return median(run["hops"][0]["cpu_ns_per_packet"] for run in runs)


def calibrate(scenario: str, loss: float) -> int:
    """The --drill-delay-ns that makes this scenario's figure worse by `loss` (0.1: 10 %)."""
    return max(1, round(cost_ns(scenario) * loss / (1.0 - loss)))


def end_by_signals() -> None:
    """Whatever ends us by a signal ends bench, too, and waits for it."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda got, _: sys.exit(128 + got))


def prepare() -> None:
    """Once, at the beginning."""
    end_by_signals()
    if not os.access(SLOW_RELAY, os.X_OK):
        print(f"drill: no program {SLOW_RELAY}; run: make drill", file=sys.stderr)
        sys.exit(64)
