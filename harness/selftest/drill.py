"""The gates, shown what they are there to catch: bench drill [--short] [--only NAME]... [--results FOLDER]

Three gates look at each known regression, a setting of the relay or a calibrated delay per packet:
  budget   work per packet against baselines/budgets.json          `bench budget`, needs perf
  paired   this relay against the same with the setting            `bench compare`
  floor    the PHASE4 pipeline against baselines/phase4.json       `bench gate`
and `bench run` or `bench gate` at each broken measurement, which has to be INVALID.

A drill says of each gate what it has to answer; where it says nothing the answer is only reported: some settings
that ruined another relay cost this one nothing, and no floor sees a loss smaller than its margin. The relay against itself,
and a loss well below the tolerance, must never be a REGRESSION.

--short leaves out the floor, and all of the paired verdicts but two: about five minutes.
Needs root, `make` and `make drill`. Writes FOLDER/drill/TIME-COMMIT/{drill.json,drill.md}, prints the table. Exits with
0 when the gates answered as they have to, 3 when one cannot be trusted, 4 when one could not answer, 64 usage.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote

from harness import HARNESS, ROOT
from harness.report.tables import paint, table
from harness.result.keep import keep, utc_now
from harness.run.child import bench, only, require_results
from harness.selftest import drilling
from harness.selftest.drilling import RELAY, SLOW_RELAY
from harness.verdict import outcome
from harness.verdict.budget.budget import worst
from harness.verdict.outcome import INCONCLUSIVE, INVALID, PASS, REGRESSION, STATUS, UNFIT

GATES = ("budget", "paired", "floor")
CANNOT_TELL = (INCONCLUSIVE, UNFIT)
ANSWERS = (PASS, REGRESSION, *CANNOT_TELL)
NO_REGRESSION = "no REGRESSION"  # a duty that PASS and a gate that cannot tell both keep
SHORT, FULL = True, False


@dataclass
class Drill:
    name: str
    options: str = ""            # of the relay that is drilled
    base_options: str = ""       # of both, for the paired gate; such a drill has no budget and no floor
    scenario: str = "fanout-3-flood"
    loss: float = 0.0            # true loss of a calibrated delay
    build: Path = RELAY          # that is drilled; SLOW_RELAY has the options of a drill build
    must: dict = field(default_factory=dict)  # gate -> the word that it has to say
    short: tuple = ("budget",)   # gates that --short asks
    gates: tuple = GATES

    def __post_init__(self):
        if self.loss:
            self.build = SLOW_RELAY

    def asked(self, short: bool) -> tuple:
        return tuple(gate for gate in self.gates if gate in self.short) if short else self.gates


DRILLS = (
    Drill("as it is", must={"budget": PASS, "paired": PASS, "floor": PASS}, scenario="single-hop",
          short=("budget", "paired")),
    Drill("as it is, flooded", must={"paired": PASS}, gates=("paired",)),
    Drill("the drill's own build, no delay", build=SLOW_RELAY, scenario="single-hop", must={"paired": PASS},
          gates=("paired",)),
    Drill("a log line per packet", "--log-packets",
          must={"budget": REGRESSION, "paired": REGRESSION, "floor": REGRESSION}),
    Drill("batches of 32 instead of 64", "--send-batch 32", must={"budget": REGRESSION}),
    Drill("one send per packet", "--gso off", must={"budget": REGRESSION, "paired": REGRESSION}),
    Drill("a system call per packet", "--drill-syscalls 1", build=SLOW_RELAY, scenario="single-hop",
          must={"budget": REGRESSION}, gates=("budget", "paired")),
    Drill("an allocation per packet", "--drill-allocations 1", build=SLOW_RELAY, scenario="single-hop",
          must={"budget": REGRESSION}, gates=("budget", "paired")),
    *(Drill(name, f"--drill-{what}-every 1000", build=SLOW_RELAY, scenario="single-hop", short=("paired",),
            must={"budget": REGRESSION, "paired": REGRESSION, "floor": REGRESSION})
      for name, what in (("another bit in one packet of 1,000", "corrupt"), ("a byte less in one packet of 1,000", "cut"),
                         ("one packet of 1,000 behind the next", "swap"))),
    Drill("io_uring depth 64 instead of 1024", "--queue-depth 64"),
    Drill("SO_SNDBUF 212992 instead of 4 MiB", "--socket-sndbuf 212992"),
    Drill("reaping one turn late", "--egress-reap deferred"),
    Drill("a pool for 1:1 under 1:3", "--buffer-pool-small 340", base_options="--ingress uring", gates=("paired",)),
    Drill("buffers for a third of the burst", "--num-recv-buffers 11", base_options="--ingress uring",
          gates=("paired",)),
    Drill("as it is, latency", scenario="single-hop-latency", must={"paired": NO_REGRESSION}, gates=("paired",)),
    Drill("a stall of 5 ms each 4,096 bursts", "--drill-stall-us 5000 --drill-stall-bursts 4096", build=SLOW_RELAY,
          scenario="single-hop-latency", must={"paired": REGRESSION}, gates=("paired",)),
    *(Drill(f"{loss:.0%} slower, single hop", loss=loss, scenario="single-hop", gates=("paired",),
            must={0.02: {"paired": NO_REGRESSION}, 0.03: {}}.get(loss, {"paired": REGRESSION}),
            short=("paired",) if loss == 0.1 else ()) for loss in (0.02, 0.03, 0.05, 0.10, 0.20)),
    *(Drill(f"{loss:.0%} slower, flooded", loss=loss, must={"paired": REGRESSION}, short=())
      for loss in (0.10, 0.20, 0.50)),
)

# Reports, after its time, that it has sent nothing.
SILENT = """#!/usr/bin/python3
import json, sys, time
option = dict(zip(sys.argv[2:], sys.argv[3:]))
start = time.monotonic_ns()
samples = []
while time.monotonic_ns() < start + float(option["--duration"]) * 1e9:
    samples.append([time.monotonic_ns(), 0])
    time.sleep(0.05)
json.dump({"start_ns": start, "packets_sent": 0, "send_errors": 0, "packet_rate_pps": 0, "schedule_slip_ms": 0,
           "gso": {"requested": 1, "segments": 1, "fallback": False}, "samples": samples}, open(option["--json"], "w"))
"""


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# ------------------------------------------------------------------------------ broken measurements

def program(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return path


def run_fault(name: str) -> tuple:
    return ("run", "single-hop"), {"BENCH_FAULT": name}


def wrong_binary(scratch: Path) -> tuple:
    """What is started hands over to another program than the one that was hashed."""
    other = scratch / "other"
    shutil.copy(RELAY, other)
    with other.open("ab") as file:
        file.write(b"x")
    return ("run", "single-hop", "--relay", program(scratch / "relay", f'#!/bin/sh\nexec {quote(str(other))} "$@"\n')), {}


def silent_generator(scratch: Path) -> tuple:
    build = scratch / "silent"
    build.mkdir()
    (build / "mcrelay").symlink_to(RELAY.resolve())
    program(build / "trafficgen", SILENT)
    return ("run", "single-hop"), {"BUILD": str(build)}


def deleted_scenario(scratch: Path) -> tuple:
    """One that has a baseline is not there any more."""
    scenarios, baselines = scratch / "scenarios", scratch / "baselines"
    shutil.copytree(HARNESS / "scenario", scenarios)
    shutil.copytree(ROOT / "baselines", baselines)
    (scenarios / "single-hop.conf").unlink()
    return ("gate",), {"BENCH_SCENARIOS": str(scenarios), "BENCH_BASELINES": str(baselines)}


FAULTS = {  # what is broken -> (how, what has to be said of it: another reason would be another fault)
    "a relay that dies": (lambda scratch: run_fault("dead-relay"), "the relay of r1 died"),
    "another program than the one built": (wrong_binary, "is not the one that was built"),
    "a scenario that was deleted": (deleted_scenario, "has no scenario single-hop"),
    "a generator that sends nothing": (silent_generator, "the generator sent nothing"),
    "an offload that is switched back on": (lambda scratch: run_fault("offload"), "tx-udp-segmentation is on"),
    "a link that loses packets": (lambda scratch: run_fault("lossy-link"), "does not close"),
}


def break_measurements() -> list[dict]:
    found = []
    for name, (prepare, reason) in FAULTS.items():
        say(f"drill: {name}")
        with tempfile.TemporaryDirectory(prefix="mcrelay-drill-") as folder:
            scratch = Path(folder)
            command, environment = prepare(scratch)
            results = scratch / "results"
            status, words = bench(*command, "--results", results, environment=environment)
            result = only(str(results), "result.json")
        if result and result["problems"]:
            words = next((problem for problem in result["problems"] if reason in problem), result["problems"][0])
        found.append({"name": name, "must": INVALID, "verdict": outcome.word_of(status), "why": words,
                      "right": status == STATUS[INVALID] and reason in words})
    return found


# ------------------------------------------------------------------------------ known regressions

def ask_budget(drill: Drill, delay: int, results: str) -> tuple[int, str]:
    options = drill.options + (f" --drill-delay-ns {delay}" if delay else "")
    status, words = bench("budget", "--rounds", 1, "--results", results,
                          *(("--relay-options", options.strip()) if options else ()),
                          "--relay", drill.build)
    document = only(results, "budget.json")
    return status, words if document is None else worst(document.get("figures", {}))


def ask_paired(drill: Drill, delay: int, results: str) -> tuple[int, str]:
    head = f"{drill.base_options} {drill.options}" + (f" --drill-delay-ns {delay}" if delay else "")
    options = ["--builds", RELAY, drill.build, "--scenario", drill.scenario]
    if drill.base_options:
        options += ["--base-options", drill.base_options]
    if head.strip():
        options += ["--head-options", head.strip()]
    status, words = bench("compare", *options, "--results", results, environment=drilling.MEASURE_SAME)
    document = only(results, "compare.json")
    if document is None:
        return status, words
    verdict = document["scenarios"][drill.scenario]
    if verdict["estimate"] is None:
        return status, "; ".join(verdict["reasons"])
    return status, (f"{verdict['estimate']:+.1%} ({verdict['lower']:+.1%} to {verdict['upper']:+.1%}), "
                    f"{verdict['pairs']} pairs")


def ask_floor(drill: Drill, delay: int, results: str) -> tuple[int, str]:
    options = drill.options + (f" --drill-delay-ns {delay}" if delay else "")
    status, words = bench("gate", "--results", results, *(("--relay-options", options.strip()) if options else ()),
                          "--relay", drill.build)
    document = only(results, "verdict.json")
    if document is None or not document.get("hops"):
        return status, words
    return status, f"{document['hops'][0]['egress_pps']['median'] / 1000:,.0f}k pps, {document['margin']:+.0%} of what the tier needs"


ASK = {"budget": ask_budget, "paired": ask_paired, "floor": ask_floor}


def judge(must: str | None, word: str) -> bool | None:
    """True: as it has to be; False: the gate cannot be trusted; None: it could not tell. What a gate ends with beside
    its verdicts (a crash, a signal, a command that it does not understand) is no answer. Without a duty, each is one."""
    if word not in ANSWERS:
        return False
    if must is None:
        return True
    if must == NO_REGRESSION:
        return word != REGRESSION
    if word in CANNOT_TELL:
        return None
    return word == must


def ask(drill: Drill, gate: str, perf: bool) -> dict:
    if gate == "budget" and not perf:
        return {"verdict": INCONCLUSIVE, "must": drill.must.get(gate), "right": None, "figure": "there is no perf",
                "delay_ns": 0, "seconds": 0.0}
    say(f"drill: {drill.name}: {gate}")
    begun = time.monotonic()
    delay = drilling.calibrate(drill.scenario, drill.loss) if drill.loss else 0
    with tempfile.TemporaryDirectory(prefix="mcrelay-drill-") as results:
        status, figure = ASK[gate](drill, delay, results)
    word = outcome.word_of(status)
    must = drill.must.get(gate)
    return {"verdict": word, "must": must, "right": judge(must, word), "figure": figure, "delay_ns": delay,
            "seconds": round(time.monotonic() - begun, 1)}


# ------------------------------------------------------------------------------ the table

def cell(found: dict | None) -> str:
    if found is None:
        return ""
    mark = {True: "", False: ", WRONG", None: ", not told"}[found["right"]]
    return found["verdict"] + mark + (f": {found['figure']}" if found["figure"] else "")


def show(document: dict, markdown: bool) -> str:
    blocks = [table(["drill", "settings", "gate", "answer"],
                    [[drill["name"] if i == 0 else "", drill["settings"] if i == 0 else "", gate, cell(found)]
                     for drill in document["drills"] for i, (gate, found) in enumerate(drill["gates"].items())],
                    markdown)]
    if document["faults"]:
        blocks.append(table(["broken measurement", "answer"],
                            [[fault["name"], cell(fault | {"figure": fault["why"]})] for fault in document["faults"]],
                            markdown))
    word = document["verdict"]
    ends = {PASS: "the gates answer as they have to", REGRESSION: "a gate is not to be trusted: see above",
            INCONCLUSIVE: "a gate could not answer; again, on a quieter machine"}
    blocks.append(f"**{word}**: {ends[word]}" if markdown else f"{paint(word, word)}: {ends[word]}")
    return "\n\n".join(blocks) + "\n"


def settings(drill: Drill) -> str:
    parts = [f"both {drill.base_options}"] if drill.base_options else []
    return ", ".join(parts + [text for text in (drill.options, drill.loss and "--drill-delay-ns") if text])


def overall(answers: list[bool | None]) -> str:
    return REGRESSION if False in answers else INCONCLUSIVE if None in answers else PASS


def has_perf() -> bool:
    return shutil.which("perf") is not None and subprocess.run(
        ["perf", "--version"], capture_output=True, check=False).returncode == 0


def git(*arguments: str) -> str:
    answer = subprocess.run(["git", "-c", f"safe.directory={ROOT}", "-C", ROOT, *arguments], capture_output=True,
                            text=True, check=False)
    return answer.stdout.strip()


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench drill", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.error = lambda message: (say(f"bench: drill: {message}; see 'harness/bench help'"), sys.exit(64))
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--results", type=Path, default=ROOT / "results")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="drills whose name has this in it")
    args = parser.parse_args()
    drilling.prepare()
    require_results(args.results)
    perf = has_perf()
    if not perf:
        say("drill: no perf here, so the budget gate cannot answer (Debian: apt install linux-perf)")
    begun = time.monotonic()
    drills = []
    wanted = [drill for drill in DRILLS if not args.only or any(text in drill.name for text in args.only)]
    if not wanted:
        parser.error(f"no drill with '{args.only[0]}' in its name; there are: {', '.join(d.name for d in DRILLS)}")
    faults = [] if args.only else break_measurements()
    for drill in wanted:
        found = {gate: ask(drill, gate, perf) for gate in drill.asked(args.short)}
        if found:
            drills.append({"name": drill.name, "settings": settings(drill), "scenario": drill.scenario,
                           "loss": drill.loss, "gates": found})
    answers = [fault["right"] for fault in faults]
    answers += [found["right"] for drill in drills for found in drill["gates"].values()]
    document = {"schema": 1, "verdict": overall(answers), "utc": utc_now(),
                "commit": git("rev-parse", "--short=12", "HEAD") or "unknown", "short": args.short,
                "seconds": round(time.monotonic() - begun, 1), "drills": drills, "faults": faults}
    folder = keep(args.results, "drill", document["commit"], "drill", document, show)
    print(show(document, False))
    print(f"results: {folder}")
    return STATUS[document["verdict"]]


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
