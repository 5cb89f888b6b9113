"""matrix.py SITTING [WHAT]: the runs of a `bench matrix`, mode by mode, as a table; of a `bench tuning`, setting by setting. Also in
SITTING/matrix.md.

SITTING holds rounds/NN/{control,MODE}/result.json, one folder NN per interleaved round. Each cell is the median over
the rounds; the rates of the single rounds stand behind it.
"""

import sys
from pathlib import Path
from statistics import median

from harness.report.tables import load_line, machine_line, ns, table
from harness.result import validity
from harness.result.documents import write_text
from harness.result.runs import by_name
from harness.verdict import cost
from harness.verdict.outcome import INVALID, PASS, STATUS, USAGE

WORK = ("system_calls", "submits", "sqes")


def rows(modes: dict[str, list[dict]], controls: list[dict]) -> list[list[str]]:
    """One row per mode, in the order of their first appearance."""
    lines = []
    for name, runs in modes.items():
        hops = [run["hops"][0] for run in runs]
        egress = [hop["egress_pps"] for hop in hops]
        own = [hop["cpu_ns_per_packet"] for hop in hops if hop["cpu_ns_per_packet"]]
        work = {key: [hop["work_per_1000_packets"][key] for hop in hops
                      if hop["work_per_1000_packets"][key] is not None] for key in WORK}
        lines.append([name, f"{median(egress):,.0f} pps",
                      f"{median(hop['buffer_exhaustion_ratio'] for hop in hops):.1%}",
                      f"{median(own):,.0f} ns" if own else "", ns(cost.middle(cost.costs(runs, controls))),
                      *(f"{median(work[key]):,.0f}" if work[key] else "" for key in WORK),
                      ", ".join(f"{rate / 1000:,.0f}k" for rate in egress)])
    return lines


def main() -> int:
    if len(sys.argv) not in (2, 3):
        print("usage: matrix.py SITTING [WHAT]", file=sys.stderr)
        return USAGE
    what = sys.argv[2] if len(sys.argv) == 3 else "mode"
    try:
        modes = by_name(Path(sys.argv[1]))
        controls = modes.pop("control", [])
        if not modes:
            print(f"matrix.py: no results in {sys.argv[1]}", file=sys.stderr)
            return 1
        first = next(iter(modes.values()))[0]
        header = [what, "egress, median", "exhaustion", "CPU per packet", "whole machine", "system calls", "submits", "entries", "rounds"]
        place = f"{load_line(first)}\n{machine_line(first)}"
        units = "system calls, submits and io_uring entries per 1,000 packets; what each packet sent on costs the whole machine"
        print(f"{place}\n\n{table(header, rows(modes, controls), False)}\n\n{units}")
        write_text(Path(sys.argv[1]) / "matrix.md", f"{place}\n\n{table(header, rows(modes, controls), True)}\n\n{units}\n")
        problems = [f"{name}: {fault}" for name, runs in [*modes.items(), ("control", controls)] for run in runs
                    for fault in validity.faults(run, "control" if runs is controls else "relay")]
    except (OSError, ValueError, KeyError) as error:
        print(f"matrix.py: {error!r}", file=sys.stderr)
        return 1
    for problem in problems:
        print(f"  - {problem}")
    return STATUS[INVALID if problems else PASS]


if __name__ == "__main__":
    sys.exit(main())
