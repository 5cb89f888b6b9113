"""Sittings of the paired gate on this machine, one after another, each recorded.

python3 -m harness.selftest.live SCENARIO RECORD.ndjson [--same N] [--slower N] [--loss SHARE]
    N sittings of one program against itself, N against one that is slower by a calibrated share (default 0.1),
    in turn. A sitting is `bench compare --builds A B --scenario SCENARIO`; its verdict is appended to RECORD, a line
    each, whatever it is. Needs root, `make` and `make drill`. A sitting takes one to five minutes; Ctrl-C ends it, and
    what was recorded stays.

python3 -m harness.selftest.live --report RECORD.ndjson...
    the table of what became of them, in Markdown
python3 -m harness.selftest.live --noise SCENARIO RECORD.ndjson
    the pairs of one program against itself as noise for harness.selftest.power, those of the machine that was recorded last
"""

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from statistics import median

from harness.report.tables import table
from harness.run.child import bench, only
from harness.selftest import drilling
from harness.verdict.paired import paired

TOLERANCE_BEFORE = 0.05  # of records that do not say it


def sitting(scenario: str, delay_ns: int) -> dict:
    """One verdict; delay_ns 0: of the relay against itself."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mcrelay-live-") as results:
        options = ["--builds", drilling.RELAY, drilling.SLOW_RELAY if delay_ns else drilling.RELAY]
        if delay_ns:
            options += ["--head-options", f"--drill-delay-ns {delay_ns}"]
        status, words = bench("compare", *options, "--scenario", scenario, "--results", results,
                              environment=drilling.MEASURE_SAME)
        document = only(results, "compare.json")
    seconds = round(time.monotonic() - begun, 1)
    if document is None:
        return {"exit": status, "verdict": None, "reasons": [words], "seconds": seconds}
    verdict = document["scenarios"][scenario]
    keys = ("verdict", "by", "reasons", "estimate", "lower", "upper", "pairs", "smallest_visible_loss", "utc", "commit")
    return {"exit": status, **{key: verdict[key] for key in keys}, "seconds": seconds,
            "metric": verdict["metric"], "profile": (verdict["profile"] or {}).get("id", "unknown"), "builds": verdict["builds"],
            "observed": {block: [[pair["base"], pair["head"], pair["control_pps"]] for pair in pairs]
                         for block, pairs in verdict["blocks_raw"].items()},
            "lost": {block: [[pair["base_loss"], pair["head_loss"]] for pair in pairs]
                     for block, pairs in verdict["blocks_raw"].items()}}


def order(same: int, slower: int) -> list[bool]:
    """True: slower. Evenly mixed, so that a record that was cut short has both."""
    kinds = [((i + 0.5) / same, False) for i in range(same)] + [((i + 0.5) / slower, True) for i in range(slower)]
    return [kind for _, kind in sorted(kinds)]


def record(args: argparse.Namespace) -> None:
    drilling.prepare()
    kinds = order(args.same, args.slower)
    for i, slower in enumerate(kinds, 1):
        delay = drilling.calibrate(args.scenario, args.loss) if slower else 0  # what a packet costs may have changed
        found = {"schema": 1, "scenario": args.scenario, "loss": args.loss if slower else 0.0,
                 "tolerance": paired.RULE.tolerance, "delay_ns": delay} | sitting(args.scenario, delay)
        with open(args.record, "a", encoding="utf-8") as file:
            file.write(json.dumps(found) + "\n")
        print(f"{i} of {len(kinds)}: {'slower' if slower else 'same'}: {found['verdict']}, {found['seconds']:.0f} s",
              file=sys.stderr)


def report(paths: list[str]) -> str:
    """Rows of machine, scenario, tolerance and loss."""
    groups: dict[tuple[str, str, float, float], list[dict]] = {}
    for path in paths:
        for line in Path(path).read_text(encoding="utf-8").splitlines():
            found = json.loads(line)
            groups.setdefault((found.get("profile", "unknown"), found["scenario"], found.get("tolerance", TOLERANCE_BEFORE),
                               found["loss"]), []).append(found)
    rows = []
    for (machine, scenario, tolerance, loss), sittings in sorted(groups.items()):
        words = Counter(str(one["verdict"]) for one in sittings)
        estimates = [one["estimate"] for one in sittings if one.get("estimate") is not None]
        rows.append([machine, scenario, f"{tolerance * 100:g}%", f"{loss * 100:g}%", str(len(sittings)),
                     *(str(words.pop(word, 0)) for word in ("PASS", "REGRESSION", "INCONCLUSIVE", "UNFIT")),
                     str(sum(words.values())),
                     f"{median(estimates):+.1%} ({min(estimates):+.1%} to {max(estimates):+.1%})" if estimates else "",
                     f"{median(one['seconds'] for one in sittings) / 60:.1f} min",
                     f"{max(one['seconds'] for one in sittings) / 60:.1f} min"])
    return table(["machine", "scenario", "tolerance", "true loss", "sittings", "PASS", "REGRESSION", "INCONCLUSIVE", "UNFIT", "other",
                  "estimates: median (range)", "time, median", "longest"], rows, True)


def noise(scenario: str, path: str) -> dict:
    """Of twins, the run that had the first topology before that of its twin; both have the time of their sitting."""
    sittings = [found for found in map(json.loads, Path(path).read_text(encoding="utf-8").splitlines())
                if found["scenario"] == scenario and not found["loss"] and found.get("observed")]
    if not sittings:
        sys.exit(f"live: no sitting of {scenario} against itself in {path} that has its pairs")
    sittings = [found for found in sittings if found["profile"] == sittings[-1]["profile"]]
    runs = []
    for found in sittings:
        for i, (base, head, control) in enumerate(pair for pairs in found["observed"].values() for pair in pairs):
            values = (base, head) if paired.order(i)[0] == "base" else (head, base)
            runs += [{"utc": found["utc"], "value": value, "control": beside}
                     for value, beside in zip(values, (control, None))]
    return {"schema": 1, "profile": {"id": sittings[-1]["profile"]}, "scenario": scenario, "metric": sittings[-1]["metric"],
            "twins": True, "pair_seconds": round(sum(found["seconds"] for found in sittings) / (len(runs) / 2), 2),
            "runs": runs}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenario", nargs="?")
    parser.add_argument("record", nargs="?")
    parser.add_argument("--same", type=int, default=30)
    parser.add_argument("--slower", type=int, default=20)
    parser.add_argument("--loss", type=float, default=0.10)
    parser.add_argument("--report", nargs="+", metavar="RECORD")
    parser.add_argument("--noise", nargs=2, metavar=("SCENARIO", "RECORD"))
    parser.error = lambda message: (print(f"live: {message}; see 'python3 -m harness.selftest.live --help'", file=sys.stderr), sys.exit(64))
    args = parser.parse_args()
    if args.report:
        print(report(args.report))
        return 0
    if args.noise:
        json.dump(noise(*args.noise), sys.stdout, indent=1)
        print()
        return 0
    if args.record is None:
        parser.error("a scenario and a file to record in are needed, or --report RECORD...")
    if min(args.same, args.slower) < 0 or not 0.0 < args.loss < 0.9:
        parser.error("numbers of sittings from 0 on, a loss between 0 and 0.9")
    record(args)
    return 0


if __name__ == "__main__":
    sys.exit(main())
