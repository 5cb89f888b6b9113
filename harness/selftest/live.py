"""Sittings of the paired gate on this machine, one after another, each recorded.

python3 -m harness.selftest.live SCENARIO RECORD.ndjson [--same N] [--slower N] [--loss SHARE | --stall US/BURSTS | --stall US/MSms]
    N sittings of one program against itself, N against one that is slower by a calibrated share (default 0.1), or that stands
    still so many microseconds after so many bursts, or each so many milliseconds, in turn. A sitting is `bench compare --builds A B --scenario SCENARIO`; its verdict is appended to RECORD, a line
    each, whatever it is. Needs root, `make` and `make drill`. A sitting takes one to five minutes; Ctrl-C ends it, and
    what was recorded stays.

python3 -m harness.selftest.live --report RECORD.ndjson...
    the table of what became of them, in Markdown
python3 -m harness.selftest.live --noise SCENARIO RECORD.ndjson
    the pairs of one program against itself as noise for harness.selftest.power, those of the machine that was recorded last
"""

import argparse
import json
import re
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


def sitting(scenario: str, drill: str) -> dict:
    """One verdict; `drill`: options of the drill build, none: of the relay against itself."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mcrelay-live-") as results:
        options = ["--builds", drilling.RELAY, drilling.SLOW_RELAY if drill else drilling.RELAY]
        if drill:
            options += ["--head-options", drill]
        status, words = bench("compare", *options, "--scenario", scenario, "--results", results,
                              environment=drilling.MEASURE_SAME)
        document = only(results, "compare.json")
    seconds = round(time.monotonic() - begun, 1)
    if document is None:
        return {"exit": status, "verdict": None, "reasons": [words], "seconds": seconds}
    verdict = document["scenarios"][scenario]
    keys = ("verdict", "by", "reasons", "estimate", "lower", "upper", "pairs", "smallest_visible_loss", "utc", "commit")
    return {"exit": status, **{key: verdict[key] for key in keys}, "verdict": document["verdict"], "seconds": seconds,
            **({"scenarios": figures(document)} if verdict["metric"] == "latency" else {}),
            "metric": verdict["metric"], "profile": (verdict["profile"] or {}).get("id", "unknown"), "builds": verdict["builds"],
            "observed": {block: [[pair["base"], pair["head"], pair["control_pps"]] for pair in pairs]
                         for block, pairs in verdict["blocks_raw"].items()},
            "lost": {block: [[pair["base_loss"], pair["head_loss"]] for pair in pairs]
                     for block, pairs in verdict["blocks_raw"].items()}}


def figures(document: dict) -> dict:
    """Of latency, what each scenario said of each figure, and what was measured of each pair."""
    return {name: {"verdict": one["verdict"], "reasons": one["reasons"], "pairs": one["pairs"],
                   "figures": {key: {part: told[part] for part in ("verdict", "rise", "base_ns", "head_ns", "direct_ns")}
                               for key, told in one.get("figures", {}).items()},
                   "waits": [pair["latency_ns"] for pairs in one["blocks_raw"].values() for pair in pairs]}
            for name, one in document["scenarios"].items()}


def stall(text: str) -> str:
    """5000/4096: 5,000 us after every 4,096th burst. 300/100ms: 300 us each 100 ms. As options of the drill build."""
    found = re.fullmatch(r"([1-9][0-9]*)/([1-9][0-9]*)(ms)?", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text} is neither US/BURSTS nor US/MSms")
    return f"--drill-stall-us {found[1]} --drill-stall-{'ms' if found[3] else 'bursts'} {found[2]}"


def order(same: int, slower: int) -> list[bool]:
    """True: slower. Evenly mixed, so that a record that was cut short has both."""
    kinds = [((i + 0.5) / same, False) for i in range(same)] + [((i + 0.5) / slower, True) for i in range(slower)]
    return [kind for _, kind in sorted(kinds)]


def record(args: argparse.Namespace) -> None:
    drilling.prepare()
    kinds = order(args.same, args.slower)
    for i, slower in enumerate(kinds, 1):
        drill, delay = args.stall if slower and args.stall else "", 0
        if slower and not args.stall:  # what a packet costs may have changed
            delay = drilling.calibrate(args.scenario, args.loss)
            drill = f"--drill-delay-ns {delay}"
        found = {"schema": 1, "scenario": args.scenario, "loss": args.loss if delay else 0.0, "stall": drill if not delay else "",
                 "tolerance": paired.RULE.tolerance, "delay_ns": delay} | sitting(args.scenario, drill)
        with open(args.record, "a", encoding="utf-8") as file:
            file.write(json.dumps(found) + "\n")
        print(f"{i} of {len(kinds)}: {'slower' if slower else 'same'}: {found['verdict']}, {found['seconds']:.0f} s",
              file=sys.stderr)


def report(paths: list[str]) -> str:
    """Rows of machine, scenario, tolerance and what was slower."""
    groups: dict[tuple[str, str, str, str], list[dict]] = {}
    for path in paths:
        for line in Path(path).read_text(encoding="utf-8").splitlines():
            found = json.loads(line)
            tolerance = "" if found.get("metric") == "latency" else f"{found.get('tolerance', TOLERANCE_BEFORE) * 100:g}%"
            groups.setdefault((found.get("profile", "unknown"), found["scenario"], tolerance,
                               found.get("stall") or f"{found['loss'] * 100:g}%"), []).append(found)
    rows = []
    for (machine, scenario, tolerance, loss), sittings in sorted(groups.items()):
        words = Counter(str(one["verdict"]) for one in sittings)
        estimates = [one["estimate"] for one in sittings if one.get("estimate") is not None]
        rows.append([machine, scenario, tolerance, loss, str(len(sittings)),
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
    parser.add_argument("--stall", type=stall)
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
