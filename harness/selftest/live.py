"""Sittings of the paired gate on this machine, one after another, each recorded.

python3 -m harness.selftest.live SCENARIO RECORD.ndjson [--same N] [--slower N] [--loss SHARE | --stall US/BURSTS | --stall US/MSms]
    N sittings of one program against itself, N against one that is slower by a calibrated share (default 0.1), or that stands
    still so many microseconds after so many bursts, or each so many milliseconds, in turn. A sitting is `bench compare --builds A B --scenario SCENARIO`; its verdict is appended to RECORD, a line
    each, whatever it is. Needs root, `make` and `make drill`. A sitting takes one to five minutes; Ctrl-C ends it, and
    what was recorded stays.

python3 -m harness.selftest.live SCENARIO RECORD.ndjson --age [--same N]
    N sittings of `bench age SCENARIO --duration 20s`, as a commit is asked: a relay that does not age.

python3 -m harness.selftest.live SCENARIO RECORD.ndjson --capacity [--same N]
    N searches of `bench capacity SCENARIO`: how far do they agree?

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

from harness.run.child import bench, end_by_signals, only
from harness.selftest import drilling, recorded
from harness.verdict.paired import paired


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


def ageing(scenario: str) -> dict:
    """One verdict on a relay that lives on, which has no reason to get worse."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mcrelay-live-") as results:
        status, words = bench("age", scenario, "--duration", "20s", "--results", results)
        document = only(results, "age.json")
    seconds = round(time.monotonic() - begun, 1)
    found = {"schema": 1, "scenario": f"{scenario}, age", "loss": 0.0, "exit": status, "seconds": seconds}
    if document is None:
        return found | {"verdict": None, "reasons": [words]}
    speed = document["speed"] or {}
    return found | {"verdict": document["verdict"], "reasons": document["reasons"], "tolerance": document["tolerance"],
                    **{key: speed.get(key) for key in ("estimate", "lower", "upper", "pairs")},
                    **{key: document[key] for key in ("utc", "commit", "metric", "memory", "descriptors")}, "profile": document["profile"]["id"],
                    "packets": document["counters"]["packets"],
                    "changes": {name: [row["change"] for row in pairs] for name, pairs in document["pairs"].items()}}


def searching(scenario: str) -> dict:
    """One search for what passes."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mcrelay-live-") as results:
        status, words = bench("capacity", scenario, "--results", results)
        document = only(results, "capacity.json")
    found = {"schema": 1, "scenario": scenario, "metric": "capacity", "exit": status, "seconds": round(time.monotonic() - begun, 1)}
    if document is None:
        return found | {"verdict": None, "reasons": [words], "goals": {}}
    return found | {key: document[key] for key in ("verdict", "utc", "commit", "generator_pps", "goals")} | {
        "profile": document["profile"]["id"], "trials": len(document["trials"])}


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


def record_alike(args: argparse.Namespace, sit) -> None:
    """The same question again and again."""
    end_by_signals()
    for i in range(1, args.same + 1):
        found = sit(args.scenario)
        with open(args.record, "a", encoding="utf-8") as file:
            file.write(json.dumps(found) + "\n")
        print(f"{i} of {args.same}: {found['verdict']}, {found['seconds']:.0f} s", file=sys.stderr)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenario", nargs="?")
    parser.add_argument("record", nargs="?")
    parser.add_argument("--same", type=int, default=30)
    parser.add_argument("--slower", type=int, default=20)
    parser.add_argument("--loss", type=float, default=0.10)
    parser.add_argument("--stall", type=stall)
    parser.add_argument("--age", action="store_true")
    parser.add_argument("--capacity", action="store_true")
    parser.add_argument("--report", nargs="+", metavar="RECORD")
    parser.add_argument("--noise", nargs=2, metavar=("SCENARIO", "RECORD"))
    parser.error = lambda message: (print(f"live: {message}; see 'python3 -m harness.selftest.live --help'", file=sys.stderr), sys.exit(64))
    args = parser.parse_args()
    if args.report:
        print(recorded.report(args.report))
        return 0
    if args.noise:
        json.dump(recorded.noise(*args.noise), sys.stdout, indent=1)
        print()
        return 0
    if args.record is None:
        parser.error("a scenario and a file to record in are needed, or --report RECORD...")
    if min(args.same, args.slower) < 0 or not 0.0 < args.loss < 0.9:
        parser.error("numbers of sittings from 0 on, a loss between 0 and 0.9")
    if args.age or args.capacity:
        record_alike(args, ageing if args.age else searching)
    else:
        record(args)
    return 0


if __name__ == "__main__":
    sys.exit(main())
