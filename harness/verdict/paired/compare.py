"""compare.py ask DIR --metric METRIC --base SHA256 --head SHA256 [--question reference|shape]: the verdict over the runs in DIR so far,
written to DIR/verdict.json; while it needs more, prints a line "BLOCK NN WHO WHO" for each pair that comes
next, in the order in which the two builds are to run.
compare.py finish SITTING --base TEXT --head TEXT [--scenario NAME]... [--waivers FILE] [--note TEXT]...
    --base-sha256 SHA256 --head-sha256 SHA256 [--base-options TEXT] [--head-options TEXT] [--same-program]
    [--history FOLDER] [--reference FILE] [--shape FILE] [--head-commit COMMIT]: the verdict
over all scenarios of a sitting, those that were to be measured and those that were, SITTING/compare.json, and as a
table; each TEXT of --note is among the reasons of every scenario, and so are the sittings of the same two programs that lie
beside SITTING or are in the history, see sittings.py. --same-program: base and head are one program with the same options, and nothing was measured. Exits with 0
PASS or WAIVED (a loss that FILE allows for a time), 3 REGRESSION, 4 INCONCLUSIVE or UNFIT, 5 INVALID.

DIR is a scenario of the sitting: DIR/{first,confirmation}/NN/{base,head,control}/result.json, a control beside every
second pair. METRIC, which the scenario names: egress_pps, of a relay that is offered more than it can
pass on; cpu_ns_per_packet, of one that is offered less, and that has to pass on everything: each packet it loses
is charged as LOSS_CHARGE that it passes on (pairs.py); or latency, of packets that are read at the end of their way. The rules are in
paired.py and latency.py; of waits.py is what is made of the runs of the latter.
"""

import argparse
import json
import sys
from dataclasses import fields, replace
from datetime import date
from pathlib import Path
from statistics import median

from harness.report.tables import machine_line, paint, table
from harness.result.documents import Faulty, read, write_json
from harness.verdict import arrival, cost, outcome, waivers
from harness.verdict.outcome import INCONCLUSIVE, INVALID, MORE, PASS, REGRESSION, STATUS, WAIVED
from harness.verdict.paired import paired, reference, shape, sittings, waits
from harness.verdict.paired.pairs import LOSS_CHARGE, are_twins, invalid_reasons, loss_of, pairs_of, passed_on, rate_reasons, value_of
from harness.verdict.terms import terms

TIME = "the time that --budget gave is over"
BLOCKS = (paired.FIRST, paired.CONFIRMATION)
PROVENANCE = ("profile", "placement", "declared", "commit", "dirty", "utc")
LOSS_TOLD = 0.0005   # a difference of losses that is worth a remark


def remarks(pairs: list[dict]) -> tuple[str, ...]:
    """What the estimate alone does not tell, where there was time to spare."""
    loss = {who: median(loss_of(pair[who]) for pair in pairs) for who in ("base", "head")}
    if abs(loss["head"] - loss["base"]) <= LOSS_TOLD:
        return ()
    return (f"head loses {loss['head']:.2%} of the packets, base {loss['base']:.2%}, and the relay had time to spare: each is "
            f"charged as {LOSS_CHARGE}",)


def examine(blocks: dict[str, list[dict]], metric: str, rule: paired.Rule) -> paired.Decision:
    """The decision over the pairs so far, and whether this machine can answer at all."""
    observations = {name: [paired.observation(metric, value_of(pair["base"], metric),
                                              value_of(pair["head"], metric)) for pair in pairs]
                    for name, pairs in blocks.items()}
    spare = metric == "cpu_ns_per_packet"  # a flood is more than a relay can pass on
    lost = {name: [loss_of(pair["head"]) - loss_of(pair["base"]) for pair in pairs]
            for name, pairs in blocks.items()} if spare else {}
    decision = paired.decide(observations[paired.FIRST], observations[paired.CONFIRMATION], rule, lost)
    if decision.verdict == MORE:
        return decision
    everything = [pair for pairs in blocks.values() for pair in pairs]
    reasons = []
    if spare:
        decision = replace(decision, reasons=decision.reasons + remarks(everything))
        reasons = rate_reasons(everything, decision.verdict)
    if reasons:
        return paired.unfit(decision, reasons)
    return paired.fit(decision, [pair["control"]["offered_pps"] for pair in everything if pair["control"]],
                      () if spare else [passed_on(pair) for pair in everything],
                      twins=are_twins(everything[0]["base"]))


def describe(blocks: dict[str, list[dict]], metric: str) -> dict:
    """All raw pairs."""
    return {name: [{"pair": pair["pair"], "base": value_of(pair["base"], metric),
                    "head": value_of(pair["head"], metric), "base_loss": loss_of(pair["base"]),
                    "head_loss": loss_of(pair["head"]),
                    "control_pps": pair["control"]["offered_pps"] if pair["control"] else None,
                    "utc": pair["base"]["utc"]} | waits.of_pair(pair, metric) for pair in pairs]
            for name, pairs in blocks.items()}


def broken(reasons: list[str], pairs: int = 0) -> dict:
    """Instead of a decision: the measurement has no figures."""
    return paired.Decision(INVALID, tuple(reasons), pairs, None, None, None, None, None, 1.0, None, paired.FIRST, 0,
                           ()).as_dict()


def judge(blocks: dict[str, list[dict]], scenario: str, metric: str, expected: dict[str, str],
          rule: paired.Rule = paired.RULE) -> dict:
    """Whatever is wrong with what was measured is a verdict, and never a traceback."""
    everything = [pair for pairs in blocks.values() for pair in pairs]
    try:
        reasons = invalid_reasons(everything, scenario, metric, expected)
        if reasons:
            return broken(reasons, len(everything))
        if metric == "latency":
            decision, told = waits.examine(blocks)
            return decision.as_dict() | {"figures": told}
        return examine(blocks, metric, rule).as_dict()
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        return broken([f"the results are not what they should be: {error!r}"], len(everything))


def ask(args: argparse.Namespace) -> int:
    folder = Path(args.sitting)
    try:
        blocks = {name: pairs_of(folder / name) for name in BLOCKS}
        verdict = judge(blocks, folder.name, args.metric, {"base": args.base, "head": args.head},
                        paired.RULES[args.question])
    except Faulty as error:
        blocks, verdict = {name: [] for name in BLOCKS}, broken([str(error)])
    everything = [pair for pairs in blocks.values() for pair in pairs]
    first = everything[0]["base"] if everything else {}
    verdict = arrival.over(verdict | {
        "schema": 1, "scenario": folder.name, "metric": args.metric, "blocks_raw": describe(blocks, args.metric),
        "same_program": False, "builds": {"base": args.base, "head": args.head},
        "machine": cost.of_pairs(everything, are_twins(first)) if everything and verdict["verdict"] != INVALID else None,
        **{key: first.get(key) for key in PROVENANCE}}, folder)
    write_json(folder / "verdict.json", verdict)
    if verdict["verdict"] == MORE:
        have = len(blocks[verdict["block"]])
        for i in range(have, verdict["needs"]):
            print(verdict["block"], f"{i + 1:02}", *paired.order(len(everything) - have + i))
    return 0


def final(verdicts: dict[str, dict]) -> dict[str, dict]:
    """A scenario that was stopped by the clock has no verdict; then several scenarios share the error."""
    return paired.share_out({
        name: verdict if verdict["verdict"] != MORE else
        verdict | {"verdict": INCONCLUSIVE, "reasons": [TIME, *verdict["reasons"]], "smallest_visible_loss": None}
        for name, verdict in verdicts.items()})


def waive(decided: dict[str, dict], found: dict[str, dict], day: date) -> dict[str, dict]:
    """A loss of the typical run that is proven, and cannot be larger than a waiver in force allows. What happens now and
    then, or to packets that are lost, has no such size."""
    result = {}
    for name, verdict in decided.items():
        loss = None
        if verdict["verdict"] == REGRESSION and verdict["by"] == paired.SPEED:
            loss = 1.0 if verdict["lower"] is None else -verdict["lower"]
        covered, said = waivers.judge(found.get(name), loss, day)
        result[name] = verdict | {"verdict": WAIVED if covered else verdict["verdict"],
                                  "reasons": [*verdict["reasons"], *said]}
    return result


def percent(value: float | None) -> str:
    return "" if value is None else f"{value:+.1%}"


LABELS = {"egress_pps": "packets/s sent, flooded", "cpu_ns_per_packet": "CPU time per packet, reversed",
          "latency": "time on the way, reversed"}


def rows(decided: dict[str, dict]) -> list[list[str]]:
    return [[name, LABELS.get(verdict["metric"], ""), percent(verdict["estimate"]), percent(verdict["lower"]),
             percent(verdict["upper"]), str(verdict["pairs"]),
             "" if verdict["smallest_visible_loss"] is None else f"{verdict['smallest_visible_loss']:.1%}",
             verdict["verdict"]] for name, verdict in decided.items()]


def show(document: dict, markdown: bool) -> str:
    decided = document["scenarios"]
    header = ["scenario", "figure", "head against base", "at least", "at most", "pairs",
              "smallest loss visible", "verdict"]
    some = next((v for v in decided.values() if v["profile"]), None)
    lines = [f"base {document['base']}, head {document['head']}"]
    if some:
        lines.append(machine_line(some))
    lines += ["", table(header, rows(decided), markdown), ""]
    for name, verdict in decided.items():
        if verdict.get("figures"):
            lines += [f"{name}: how long packets are on their way; a rise of head against base", "", waits.show(verdict["figures"], markdown), ""]
    word = document["verdict"]
    lines.append(f"**{word}**" if markdown else paint(word, word))
    lines += [f"{'- ' if markdown else '  '}{name}: {reason}" for name, verdict in decided.items()
              for reason in [*verdict["reasons"], *cost.said_of_pairs(verdict.get("machine"))]]
    lines += [f"{'- ' if markdown else '  '}{line}" for line in (terms.lines(document["terms"]) if "terms" in document else [])]
    return "\n".join(lines) + "\n"


def verdict_of(folder: Path) -> dict:
    """What ask() left there; whatever else is there, or nothing, is INVALID."""
    path = folder / "verdict.json"
    reason = f"scenario {folder.name} was to be compared and was not measured"
    if path.exists():
        try:
            verdict = json.loads(path.read_text(encoding="utf-8"))
            if (verdict["schema"], verdict["scenario"]) == (1, folder.name) and verdict["verdict"] in STATUS \
                    and verdict.keys() >= {field.name for field in fields(paired.Decision)} | {"metric", "profile"}:
                return verdict
            reason = f"{path} is not a verdict of {folder.name}"
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            reason = f"{path} cannot be read: {error!r}"
    return unmeasured(folder.name, broken([reason]))


def unmeasured(name: str, decision: dict) -> dict:
    """The verdict on a scenario of which there is not one pair."""
    return {**decision, "schema": 1, "scenario": name, "metric": None, "blocks_raw": {block: [] for block in BLOCKS},
            "same_program": False, "builds": None, **dict.fromkeys(PROVENANCE)}


def same(name: str, builds: dict[str, str]) -> dict:
    """A program is as fast as itself."""
    reason = f"same program: base and head are {builds['head'][:12]} with the same options, and nothing was measured"
    return unmeasured(name, broken([reason])) | {"verdict": PASS, "same_program": True, "builds": builds}


def finish(args: argparse.Namespace) -> int:
    sitting = Path(args.sitting)
    names = sorted({*args.scenario, *(path.parent.name for path in sitting.glob("*/verdict.json"))})
    if not names:
        print(f"compare.py: no verdict in {sitting}", file=sys.stderr)
        return STATUS[INVALID]
    try:
        found = waivers.load(Path(args.waivers)) if args.waivers else {}
        pinned = reference.load(Path(args.reference)) if args.reference else None
    except Faulty as fault:
        print(f"compare.py: {fault}", file=sys.stderr)
        return STATUS[INVALID]
    past = Path(args.history) if args.history else None
    builds = {"base": args.base_sha256, "head": args.head_sha256}
    options = {"base": args.base_options, "head": args.head_options}
    question = "reference" if pinned else "shape" if args.shape else "change"
    before, notes = sittings.earlier(sitting, past, question, builds, options)
    verdicts = {name: same(name, builds) if args.same_program else verdict_of(sitting / name) for name in names}
    decided = {}
    for name, verdict in waive(final(verdicts), found, waivers.today()).items():
        others = before.get(name, [])
        gained = reference.gain({name: verdict}) if pinned else []
        gained += shape.said(read(Path(args.shape), "floor"), verdict) if args.shape else []
        decided[name] = verdict | {"earlier": others,
                                   "reasons": [*verdict["reasons"], *gained, *sittings.remark(others), *notes, *args.note]}
    try:
        document = terms.under({"schema": 1, "question": question, "base": args.base, "head": args.head, "builds": builds,
                                "options": options, "reference": pinned["commit"] if pinned else None, "head_commit": args.head_commit,
                                "verdict": outcome.worst(verdict["verdict"] for verdict in decided.values()),
                                "scenarios": decided}, terms.of(sitting))
    except Faulty as fault:
        print(f"compare.py: {fault}", file=sys.stderr)
        return STATUS[INVALID]
    write_json(sitting / "compare.json", document)
    (sitting / "compare.md").write_text(show(document, True), encoding="utf-8")
    print(show(document, False), end="")
    try:
        if past:
            sittings.remember(document, sitting, past)
            if pinned:
                reference.remember(document, pinned, past)
    except OSError as error:
        print(f"bench: this comparison is missing in the history {past}: {error}", file=sys.stderr)
    return STATUS[document["verdict"]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("ask")
    command.add_argument("sitting")
    command.add_argument("--metric", choices=list(paired.METRICS), required=True)
    command.add_argument("--question", choices=list(paired.RULES), default="change")
    command.set_defaults(run=ask)
    other = commands.add_parser("finish")
    other.add_argument("sitting")
    other.add_argument("--scenario", action="append", default=[], help="that was to be measured")
    other.add_argument("--waivers")
    other.add_argument("--note", action="append", default=[], help="on how the verdict came to be")
    for who in ("base", "head"):
        other.add_argument(f"--{who}-sha256", required=True)
        other.add_argument(f"--{who}-options", default="", help="besides those of the scenario")
    other.add_argument("--same-program", action="store_true")
    other.add_argument("--reference", help="reference.json, when base is the commit that it pins")
    other.add_argument("--shape", help="PHASE4's baseline, when base is head in PHASE4's shape")
    other.add_argument("--head-commit", help="all of its hash, if head is one")
    other.add_argument("--history", help="folder: earlier sittings, and this one")
    other.set_defaults(run=finish)
    for parser_of in (command, other):
        parser_of.add_argument("--base", required=True)
        parser_of.add_argument("--head", required=True)
    args = parser.parse_args()
    return args.run(args)


if __name__ == "__main__":
    sys.exit(main())
