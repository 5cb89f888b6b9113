"""noise.py SITTING --metric METRIC: SITTING/runs/NNNN/{relay,control}/result.json of one program ->
SITTING/noise.json, as power.py reads it.
"""

import argparse
import sys
from pathlib import Path

from harness.result import validity
from harness.result.documents import write_json
from harness.result.runs import load_if_there
from harness.verdict.outcome import INVALID, STATUS
from harness.verdict.paired.paired import METRICS
from harness.verdict.paired.pairs import are_twins, value_of, waits_of


def main() -> int:
    """Pairs of which a run is not valid are left out, and counted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sitting")
    parser.add_argument("--metric", choices=list(METRICS), required=True)
    args = parser.parse_args()
    runs, left_out, some = [], 0, None
    places = sorted((Path(args.sitting) / "runs").glob("[0-9]*"))
    for pair in zip(places[::2], places[1::2]):
        found = [load_if_there(place / "relay/result.json") for place in pair]
        if not all(run and not validity.faults(run, "relay") and value_of(run, args.metric) for run in found):
            left_out += 2
            continue
        some, beside = found[0], load_if_there(pair[0] / "control/result.json")
        twins = are_twins(some)
        for i, run in enumerate(found):
            runs.append({"utc": found[0 if twins else i]["utc"], "value": value_of(run, args.metric),
                         "control": beside["offered_pps"] if i == 0 and beside and not validity.faults(beside, "control")
                         else None} | ({"latency_ns": waits_of(run)} if args.metric == "latency" else {}))
    if some is None:
        print("noise.py: no valid run", file=sys.stderr)
        return STATUS[INVALID]
    write_json(Path(args.sitting) / "noise.json", {
        "schema": 1, "profile": some["profile"], "scenario": some["scenario"], "metric": args.metric,
        "twins": twins, "runs": runs})
    print(f"{len(runs)} runs, {left_out} left out")
    return 0


if __name__ == "__main__":
    sys.exit(main())
