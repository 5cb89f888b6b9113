"""baseline.py check BASELINES SCENARIOS: is the folder of baselines sound? A line on stderr for each fault.
baseline.py capture SITTING CAPTURES: sums a sitting up in SITTING/captures.json; says what is still missing to a
proposal, with the sittings in CAPTURES.
baseline.py show BASELINES PROFILE [SCENARIO]...: the baselines and waivers in force for the machine PROFILE (JSON).
baseline.py diff BASELINES CAPTURES SCENARIO... [--captured] [--markdown] [--expectations JSON]: what the captures propose
against what is in force. --captured: of these scenarios, those that were captured.
baseline.py accept BASELINES CAPTURES SCENARIO... [--captured] --reason TEXT --by NAME: writes the proposals into
BASELINES/PROFILE-ID/SCENARIO.json, to be reviewed and committed: nothing else does.

Exit status: 0; 3 a metric got worse by more than 5 % and no waiver covers it (diff); 4 refused: captures are
missing, unfit, disagree or were made under other conditions, or there are no baselines of this machine; 5 an
invalid run or file.
"""

import argparse
import json
import os
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.report.tables import paint, table
from harness.result.documents import Faulty, validate, write_json
from harness.result.keep import utc_now
from harness.result.profile import different, profiles_apart
from harness.verdict import waivers
from harness.verdict.baseline import captures, stored
from harness.verdict.baseline.captures import COUNTED, Proposal
from harness.verdict.outcome import INCONCLUSIVE, INVALID, PASS, REGRESSION, STATUS, UNFIT, WAIVED
from harness.verdict.terms import terms

TOLERANCE = 0.05
BETTER = {"egress_pps": 1, "cpu_ns_per_packet": -1}  # the metrics that are judged: 1, more is better; -1, less is

LABELS = {
    "egress_pps": "packets/s sent", "cpu_ns_per_packet": "CPU time per packet, ns",
    "buffer_exhaustion_ratio": "exhaustion", "last_hop_pps": "packets/s at the last hop",
    "latency_p50_ns": "latency, median, ns", "latency_p99_ns": "latency, 99th percentile, ns",
    "control_pps": "packets/s of the control",
}


class Refused(Exception):
    """There is no answer; the message says why and what to do."""


def say(text: str) -> None:
    """What is written and what is exited with does not depend on whether anybody reads it."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def figure(name: str, value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.2%}" if name.endswith("ratio") else f"{value:,.0f}"


def share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def signed(value: float | None) -> str:
    return "" if value is None else f"{value:+.1%}"


# ------------------------------------------------------------------------------ conditions


def conditions_differ(baseline: dict, capture: dict) -> list[str]:
    """Machine and load. The relay is what is compared: its program and options may be others."""
    return profiles_apart(baseline["profile"], capture["profile"]) + [
        f"scenario, {line}" for line in different(captures.measured(baseline["declared"]),
                                                    captures.measured(capture["declared"]))
        if not line.startswith(("description:", "relay_options"))]


def find_baseline(baselines: Path, name: str, capture: dict) -> dict | None:
    """The one in force; None: a new scenario. Where other machines have baselines and this one has none, that is no
    new scenario: it has to be told apart."""
    profile = capture["profile"]
    path = baselines / profile["id"] / f"{name}.json"
    if path.exists():
        return stored.load(path, baselines)
    others = [folder for folder in stored.profile_folders(baselines) if (folder / f"{name}.json").exists()]
    if not path.parent.is_dir() and others:
        baseline = stored.load(others[-1] / f"{name}.json", baselines)
        raise Refused(f"no baseline of {profile['id']}; that of {others[-1].name} was measured under other "
                      f"conditions: {'; '.join(conditions_differ(baseline, capture))}")
    return None


# ------------------------------------------------------------------------------ check


def check(args: argparse.Namespace) -> int:
    faults = stored.faults(args.baselines, args.scenarios)
    for fault in faults:
        print(fault, file=sys.stderr)
    return STATUS[INVALID if faults else PASS]


# ------------------------------------------------------------------------------ capture


def sitting_name(folder: Path) -> str:
    return folder.name.removesuffix(".partial")


def capture(args: argparse.Namespace) -> int:
    document = json.loads(json.dumps(captures.summarise(args.sitting)))
    validate(document, "captures", "captures.json")
    write_json(args.sitting / "captures.json", document)
    found = document["scenarios"]
    rows = [[name, LABELS[metric], str(one["runs"]), *summary_cells(metric, captures.figure(samples)),
             one["verdict"]] for name, one in found.items() for metric, samples in one["metrics"].items()]
    say(table(["scenario", "figure", "runs", "median", "spread", "low", "high", "capture"], rows, False) + "\n")
    for name, one in found.items():
        for reason in one["reasons"]:
            say(f"  {name}: {one['verdict']}: {reason}")
        if one["dirty"]:
            say(f"  {name}: the source tree has changes that are in no commit: this cannot be accepted")
    known = captures.load_all(args.captures)
    for name, one in found.items():
        mine = one | {"sitting": sitting_name(args.sitting)}
        proposal = captures.propose([mine, *known.get(name, [])])
        say(f"  {name}: {proposal.problem or 'ready; see: bench baseline diff'}")
    verdicts = {one["verdict"] for one in found.values()}
    return STATUS[INVALID if captures.INVALID in verdicts else PASS if verdicts == {COUNTED} else UNFIT]


def summary_cells(metric: str, figures: dict) -> list[str]:
    return [figure(metric, figures["median"]), share(figures["spread"]), figure(metric, figures["low"]),
            figure(metric, figures["high"])]


# ------------------------------------------------------------------------------ show


def provenance(name: str, baseline: dict) -> list[str]:
    source, change = baseline["source"], baseline["changes"][-1]
    return [name, source["utc"], source["commit"], source["relay_sha256"][:12], str(baseline["runs"]),
            f"{change['by']}, {change['utc'][:10]}", change["reason"]]


def waiver_lines(found: dict[str, dict]) -> list[str]:
    day = waivers.today()
    rows = []
    for name, waiver in found.items():
        left = waivers.days_left(waiver, day)
        rows.append([name, f"{waiver['size'] * 100:g} %", waiver["expires"],
                     "expired" if left < 0 else str(left), waiver["reason"]])
    if not rows:
        return ["no waivers"]
    return [table(["waiver", "loss allowed", "expires", "days left", "reason"], rows, False)]


def show(args: argparse.Namespace) -> int:
    profile = json.loads(args.profile)
    folder = args.baselines / profile["id"]
    if not folder.is_dir():
        others = ", ".join(other.name for other in stored.profile_folders(args.baselines)) or "none"
        raise Refused(f"no baselines of this machine, {profile['id']}; there are: {others}; "
                      f"make some with bench baseline capture and accept")
    paths = sorted(folder.glob("*.json"))
    if args.scenarios:
        paths = [folder / f"{name}.json" for name in args.scenarios]
        for path in paths:
            if not path.exists():
                raise Refused(f"no baseline of {path.stem} for {profile['id']}")
    found = {path.stem: stored.load(path, args.baselines) for path in paths}
    say(f"baselines of {profile['id']}\n")
    say(table(["scenario", "figure", "median", "spread", "low", "high"],
              [[name, LABELS[metric], *summary_cells(metric, baseline["metrics"][metric])]
               for name, baseline in found.items() for metric in baseline["metrics"]], False) + "\n")
    say(table(["scenario", "measured", "commit", "relay", "runs", "accepted by", "reason"],
              [provenance(name, baseline) for name, baseline in found.items()], False) + "\n")
    say("\n".join(waiver_lines(waivers.load(args.baselines / "waivers.json"))))
    for name, baseline in found.items():
        differ = profiles_apart(baseline["profile"], profile)
        if differ:
            say(f"  {name}: measured under other conditions than there are now: {'; '.join(differ)}")
    return STATUS[PASS]


# ------------------------------------------------------------------------------ diff


def change_of(before: float, after: float) -> float | None:
    return 0.0 if before == after else after / before - 1 if before else None


def beyond(before: dict, after: dict) -> str:
    """Is the change larger than what either of the two spreads by?"""
    change = change_of(before["median"], after["median"])
    spreads = (before["spread"], after["spread"])
    if change is None or None in spreads:
        return ""
    return "yes" if abs(change) > max(spreads) else "no"


@dataclass(frozen=True)
class Outcome:
    word: str
    reasons: list[str]
    rows: list[list[str]]  # of the table, without the scenario's name
    sources: list[str] = field(default_factory=list)


def compare_with(baseline: dict, proposal: Proposal, waiver: dict | None) -> Outcome:
    after = proposal.figures()
    before = baseline["metrics"]
    rows, losses, reasons = [], {}, []
    for metric in sorted(before.keys() | after.keys(), key=list(LABELS).index):
        if metric not in before or metric not in after:
            where = "the proposal" if metric not in after else "the baseline"
            reasons.append(f"{LABELS[metric]}: not in {where}")
            if metric in BETTER:
                raise Refused(f"{LABELS[metric]}: not in {where}; what cannot be measured cannot be compared")
            continue
        change = change_of(before[metric]["median"], after[metric]["median"])
        rows.append([LABELS[metric], figure(metric, before[metric]["median"]),
                     figure(metric, after[metric]["median"]), signed(change),
                     beyond(before[metric], after[metric])])
        if change is not None and -change * BETTER.get(metric, 0) > TOLERANCE:
            losses[metric] = -change * BETTER[metric]
    covered, said = waivers.judge(waiver, max(losses.values(), default=None), waivers.today())
    reasons += [f"{LABELS[metric]}: worse by {loss:.1%}" for metric, loss in losses.items()] + said
    word = PASS if not losses else WAIVED if covered else REGRESSION
    return Outcome(word, reasons, rows)


def chosen(args: argparse.Namespace, known: dict[str, list[dict]]) -> list[str]:
    names = [name for name in args.scenarios if not args.captured or name in known]
    if not names:
        raise Refused("nothing captured; run: bench baseline capture")
    return names


def program(source: dict) -> str:
    return f"commit {source['commit']}, relay {source['relay_sha256'][:12]}, {source['utc']}"


def proposed(proposal: Proposal) -> str:
    newest = proposal.newest
    return (f"proposed: {program(newest | {'relay_sha256': newest['sut']['sha256']})}, "
            f"{proposal.runs} runs in {len(proposal.sittings)} sittings")


def examine(name: str, args: argparse.Namespace, known: dict, waived: dict) -> Outcome:
    proposal = captures.propose(known.get(name, []))
    try:
        if proposal.problem:
            raise Refused(proposal.problem)
        baseline = find_baseline(args.baselines, name, proposal.newest)
        if baseline is None:
            return Outcome(NEW, [], [[LABELS[metric], "", figure(metric, figures["median"]), "", ""]
                                       for metric, figures in proposal.figures().items()], [proposed(proposal)])
        differ = conditions_differ(baseline, proposal.newest)
        if differ:
            raise Refused(f"the baseline was measured under other conditions: {'; '.join(differ)}")
        outcome = compare_with(baseline, proposal, waived.get(name))
        return replace(outcome, sources=[f"in force: {program(baseline['source'])}", proposed(proposal)])
    except Refused as refusal:
        return Outcome(REFUSED, [str(refusal)], [])


NEW, REFUSED = "new", "refused"
VERDICT = {NEW: PASS, REFUSED: INCONCLUSIVE}  # what these two amount to
WORST_FIRST = (REGRESSION, REFUSED, WAIVED, PASS, NEW)


def diff(args: argparse.Namespace) -> int:
    known = captures.load_all(args.captures)
    waived = waivers.load(args.baselines / "waivers.json")
    rows, lines, words = [], [], set()
    for name in chosen(args, known):
        one = examine(name, args, known, waived)
        words.add(one.word)
        rows += [[name, *row, one.word] for row in one.rows]
        lines += [f"{name}: {'; '.join([one.word, *one.reasons])}", *(f"{name}: {text}" for text in one.sources)]
    if rows:
        say(table(["scenario", "figure", "in force", "proposed", "change", "beyond both spreads", ""], rows,
                  args.markdown) + "\n")
    worst = next(word for word in WORST_FIRST if word in words)
    if args.expectations:
        agreed = {"unofficial": [], "expectations": args.expectations}
        lines += terms.lines(agreed)
        worst = terms.under({"verdict": worst}, agreed, (NEW, PASS, WAIVED), REFUSED)["verdict"]
    say(f"**{worst}**" if args.markdown else paint(worst, VERDICT.get(worst, worst)))
    say("\n".join(f"{'- ' if args.markdown else '  '}{line}" for line in lines))
    return STATUS[VERDICT.get(worst, worst)]


# ------------------------------------------------------------------------------ accept


def accepted(name: str, proposal: Proposal, baseline: dict | None, reason: str, by: str) -> dict:
    """The new document; what the file said before stays in `changes`."""
    newest, figures = proposal.newest, proposal.figures()
    now = utc_now()
    change = {"utc": now, "commit": newest["commit"], "by": by, "reason": reason,
              "conditions": conditions_differ(baseline, newest) if baseline else [],
              "before": stored.medians(baseline) if baseline else None,
              "after": {metric: values["median"] for metric, values in figures.items()}}
    return {
        "schema": 1, "scenario": name, "profile": newest["profile"], "declared": newest["declared"],
        "source": {"utc": newest["utc"], "commit": newest["commit"], "relay_sha256": newest["sut"]["sha256"],
                   "options": newest["sut"]["options"]},
        "runs": proposal.runs,
        "sittings": [{"sitting": one["sitting"], "utc": one["utc"], "commit": one["commit"], "runs": one["runs"],
                      "metrics": {metric: one["metrics"][metric] for metric in figures}}
                     for one in reversed(proposal.sittings)],
        "metrics": figures,
        "changes": [*(baseline["changes"] if baseline else []), change]}


def acceptable(name: str, known: dict) -> Proposal:
    proposal = captures.propose(known.get(name, []))
    if proposal.problem:
        raise Refused(f"{name}: {proposal.problem}")
    for one in proposal.sittings:
        if one["dirty"] or one["commit"] == "unknown":
            raise Refused(f"{name}: sitting {one['sitting']} was captured from a source tree with changes that are "
                          f"in no commit; commit them and capture again")
    return proposal


def accept(args: argparse.Namespace) -> int:
    """All of them or none."""
    known = captures.load_all(args.captures)
    rows, documents = [], {}
    for name in chosen(args, known):
        proposal = acceptable(name, known)
        path = args.baselines / proposal.newest["profile"]["id"] / f"{name}.json"
        before = stored.load(path, args.baselines) if path.exists() else None
        document = accepted(name, proposal, before, args.reason, args.by)
        validate(json.loads(json.dumps(document)), "baseline", stored.label(path, args.baselines))
        documents[path] = document
        old = stored.medians(before) if before else {}
        rows += [[name, LABELS[metric], figure(metric, old.get(metric)), figure(metric, value),
                  signed(change_of(old[metric], value) if metric in old else None)]
                 for metric, value in stored.medians(document).items()]
    for path, document in documents.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, document)
    say(table(["scenario", "figure", "before", "after", "change"], rows, False) + "\n")
    for path in documents:
        say(f"written: {path}")
    say("review it and commit it")
    return STATUS[PASS]


# ------------------------------------------------------------------------------ the command line


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)

    def command(run, *folders: str) -> argparse.ArgumentParser:
        one = commands.add_parser(run.__name__)
        for folder in folders:
            one.add_argument(folder, type=Path)
        one.set_defaults(run=run)
        return one

    command(check, "baselines", "scenarios")
    command(capture, "sitting", "captures")
    one = command(show, "baselines")
    one.add_argument("profile")
    one.add_argument("scenarios", nargs="*")
    for run in (diff, accept):
        one = command(run, "baselines", "captures")
        one.add_argument("scenarios", nargs="+")
        one.add_argument("--captured", action="store_true")
        if run is diff:
            one.add_argument("--markdown", action="store_true")
            one.add_argument("--expectations", type=lambda text: json.loads(text or "null"), help="JSON of harness.verdict.terms.expectations")
        else:
            one.add_argument("--reason", required=True)
            one.add_argument("--by", required=True)
    return parser.parse_args()


def main() -> int:
    args = parse()
    try:
        return args.run(args)
    except Refused as refusal:
        print(f"baseline.py: {refusal}", file=sys.stderr)
        return STATUS[INCONCLUSIVE]
    except Faulty as fault:
        print(f"baseline.py: {fault}", file=sys.stderr)
        return STATUS[INVALID]
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        print(f"baseline.py: a result or baseline is not what it should be: {error!r}", file=sys.stderr)
        return STATUS[INVALID]


if __name__ == "__main__":
    sys.exit(main())
