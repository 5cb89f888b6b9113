"""What drill.py and live.py share: a relay that is slower by a wanted share.

The synthetic loss comes from build/drill/mcrelay (`make drill`), which spins for --drill-delay-ns per packet. It is
calibrated: what a packet costs here and now is measured first, and the delay is the wanted share of that.
"""

import os
import sys
import tempfile
from pathlib import Path
from statistics import median

from harness import ROOT
from harness.result import validity
from harness.result.runs import load
from harness.run.child import bench, end_by_signals

BUILD = Path(os.environ.get("BUILD", ROOT / "build"))
RELAY, SLOW_RELAY = BUILD / "mcrelay", BUILD / "drill/mcrelay"
CALIBRATION_RUNS = 8
MEASURE_SAME = {"BENCH_COMPARE_SAME": "1"}  # compare: a program against itself, too


def cost_ns(scenario: str) -> float:
    """Of a packet of the relay that can be slowed down and is not: its CPU time in nanoseconds. Of a flooded relay that is
    all the time that it has."""
    with tempfile.TemporaryDirectory(prefix="mcrelay-drill-") as results:
        status, words = bench("noise", scenario, CALIBRATION_RUNS, "--relay", SLOW_RELAY, "--results", results)
        runs = [load(path) for path in Path(results).glob("*/*/runs/*/relay/result.json")]
    faults = [fault for run in runs for fault in validity.faults(run, "relay")]
    if status != 0 or not runs or faults:
        sys.exit(f"drill: calibrating with {scenario}: {faults[0] if faults else words}")
    costs = [run["hops"][0]["cpu_ns_per_packet"] for run in runs]
    if None in costs:
        sys.exit(f"drill: {scenario} does not tell what a packet costs (its relays do not report within a run): slow it down by "
                 "a stall (live: --stall), or not at all (--slower 0)")
    return median(costs)


def calibrate(scenario: str, loss: float) -> int:
    """The --drill-delay-ns that makes this scenario's figure worse by `loss` (0.1: 10 %)."""
    return max(1, round(cost_ns(scenario) * loss / (1.0 - loss)))


def prepare() -> None:
    """Once, at the beginning."""
    end_by_signals()
    if not os.access(SLOW_RELAY, os.X_OK):
        print(f"drill: no program {SLOW_RELAY}; run: make drill", file=sys.stderr)
        sys.exit(64)
