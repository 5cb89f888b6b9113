"""compare.py ask DIR --metric METRIC --base SHA256 --head SHA256: the verdict over the runs in DIR so far,
written to DIR/verdict.json; while it needs more, prints a line "BLOCK NN WHO WHO" for each pair that comes
next, in the order in which the two builds are to run.
compare.py finish SITTING --base TEXT --head TEXT [--scenario NAME]... [--waivers FILE] [--note TEXT]...: the verdict
over all scenarios of a sitting, those that were to be measured and those that were, SITTING/compare.json, and as a
table; each TEXT of --note is among the reasons of every scenario. Exits with 0 PASS or WAIVED (a loss that FILE allows
for a time), 3 REGRESSION, 4 INCONCLUSIVE or UNFIT, 5 INVALID.

DIR is a scenario of the sitting: DIR/{first,confirmation}/NN/{base,head,control}/result.json, a control beside every
second pair. METRIC, which the scenario names: egress_pps, of a relay that is offered more than it can
pass on; or cpu_ns_per_packet, of one that is offered less, and that has to pass on everything: each packet it loses
is charged as LOSS_CHARGE that it passes on (pairs.py). The rule is in paired.py.
"""

import argparse
import json
import sys
from dataclasses import fields, replace
from datetime import date
from math import exp
from pathlib import Path
from statistics import median

from harness.report.tables import machine_line, paint, table
from harness.result.documents import Faulty, write_json
from harness.verdict import control, cost, outcome, waivers
from harness.verdict.outcome import INCONCLUSIVE, INVALID, MORE, REGRESSION, STATUS, UNFIT, WAIVED
from harness.verdict.paired import paired
from harness.verdict.paired.pairs import KIND, LOSS_CHARGE, are_twins, invalid_reasons, loss_of, pairs_of, passed_on, value_of
from harness.verdict.terms import terms

TIME = "the time that --budget gave is over"
BLOCKS = (paired.FIRST, paired.CONFIRMATION)
PROVENANCE = ("profile", "placement", "declared", "commit", "dirty", "utc")
LOSS_TOLD = 0.0005   # a difference of losses that is worth a remark
FAR_OFF = 0.15       # of a pair from the estimate


def offered(pairs: list[dict]) -> dict[str, float]:
    """What the generator typically reached at a fixed rate, packets/s."""
    rates = {who: [pair[who]["offered_pps"] for pair in pairs if pair[who]] for who in KIND}
    found = {"beside base": median(rates["base"]), "beside head": median(rates["head"])}
    return found | ({"alone": median(rates["control"])} if rates["control"] else {})


def remarks(pairs: list[dict], observations: list[float], decision: paired.Decision, metric: str) -> tuple[str, ...]:
    """What the estimate alone does not tell."""
    found = []
    loss = {who: median(loss_of(pair[who]) for pair in pairs) for who in ("base", "head")}
    if metric == "cpu_ns_per_packet" and abs(loss["head"] - loss["base"]) > LOSS_TOLD:
        found.append(f"head loses {loss['head']:.2%} of the packets, base {loss['base']:.2%}, and the relay had time to "
                     f"spare: each is charged as {LOSS_CHARGE}")
    if decision.estimate is not None:
        off = [exp(one) / (1.0 + decision.estimate) - 1.0 for one in observations]
        below, above = sum(one < -FAR_OFF for one in off), sum(one > FAR_OFF for one in off)
        if below > 1 and below > 2 * above:
            found.append(f"in {below} of {len(pairs)} pairs head is slower than this by more than {FAR_OFF:.0%}, in {above} "
                         f"faster: the verdict is on the typical run; is head slow now and then?")
    return tuple(found)


def examine(blocks: dict[str, list[dict]], metric: str) -> paired.Decision:
    """The decision over the pairs so far, and whether this machine can answer at all."""
    observations = {name: [paired.observation(metric, value_of(pair["base"], metric),
                                              value_of(pair["head"], metric)) for pair in pairs]
                    for name, pairs in blocks.items()}
    decision = paired.decide(observations[paired.FIRST], observations[paired.CONFIRMATION])
    controls = [pair["control"] for pairs in blocks.values() for pair in pairs if pair["control"]]
    if decision.verdict == MORE:
        return decision
    everything = [pair for pairs in blocks.values() for pair in pairs]
    decision = replace(decision, reasons=decision.reasons + remarks(
        everything, [one for block in observations.values() for one in block], decision, metric))
    reasons = []
    if metric == "cpu_ns_per_packet":  # a flood only has to be more than the relay passes on
        reasons = control.offered_reasons(offered(everything), everything[0]["base"]["declared"])
    if reasons:
        return replace(decision, verdict=UNFIT, reasons=tuple(reasons), p_value=1.0)
    return paired.fit(decision, [run["offered_pps"] for run in controls],
                      [passed_on(pair) for pair in everything] if metric == "egress_pps" else (),
                      twins=are_twins(everything[0]["base"]))


def describe(blocks: dict[str, list[dict]], metric: str) -> dict:
    """All raw pairs."""
    return {name: [{"pair": pair["pair"], "base": value_of(pair["base"], metric),
                    "head": value_of(pair["head"], metric), "base_loss": loss_of(pair["base"]),
                    "head_loss": loss_of(pair["head"]),
                    "control_pps": pair["control"]["offered_pps"] if pair["control"] else None,
                    "utc": pair["base"]["utc"]} for pair in pairs]
            for name, pairs in blocks.items()}


def broken(reasons: list[str], pairs: int = 0) -> dict:
    """Instead of a decision: the measurement has no figures."""
    return paired.Decision(INVALID, tuple(reasons), pairs, None, None, None, None, None, 1.0, paired.FIRST, 0,
                           ()).as_dict()


def judge(blocks: dict[str, list[dict]], scenario: str, metric: str, expected: dict[str, str]) -> dict:
    """Whatever is wrong with what was measured is a verdict, and never a traceback."""
    everything = [pair for pairs in blocks.values() for pair in pairs]
    try:
        reasons = invalid_reasons(everything, scenario, metric, expected)
        return broken(reasons, len(everything)) if reasons else examine(blocks, metric).as_dict()
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        return broken([f"the results are not what they should be: {error!r}"], len(everything))


def ask(args: argparse.Namespace) -> int:
    folder = Path(args.sitting)
    try:
        blocks = {name: pairs_of(folder / name) for name in BLOCKS}
        verdict = judge(blocks, folder.name, args.metric, {"base": args.base, "head": args.head})
    except Faulty as error:
        blocks, verdict = {name: [] for name in BLOCKS}, broken([str(error)])
    everything = [pair for pairs in blocks.values() for pair in pairs]
    first = everything[0]["base"] if everything else {}
    write_json(folder / "verdict.json", verdict | {
        "schema": 1, "scenario": folder.name, "metric": args.metric, "blocks_raw": describe(blocks, args.metric),
        "builds": {"base": args.base, "head": args.head},
        "machine": cost.of_pairs(everything, are_twins(first)) if everything and verdict["verdict"] != INVALID else None,
        **{key: first.get(key) for key in PROVENANCE}})
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
    """A loss that is proven, and cannot be larger than a waiver in force allows."""
    result = {}
    for name, verdict in decided.items():
        loss = None
        if verdict["verdict"] == REGRESSION:
            loss = 1.0 if verdict["lower"] is None else -verdict["lower"]
        covered, said = waivers.judge(found.get(name), loss, day)
        result[name] = verdict | {"verdict": WAIVED if covered else verdict["verdict"],
                                  "reasons": [*verdict["reasons"], *said]}
    return result


def percent(value: float | None) -> str:
    return "" if value is None else f"{value:+.1%}"


LABELS = {"egress_pps": "packets/s sent, flooded", "cpu_ns_per_packet": "CPU time per packet, reversed"}


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
    return {**broken([reason]), "schema": 1, "scenario": folder.name, "metric": None, "blocks_raw": {
        name: [] for name in BLOCKS}, "builds": None, **dict.fromkeys(PROVENANCE)}


def finish(args: argparse.Namespace) -> int:
    sitting = Path(args.sitting)
    names = sorted({*args.scenario, *(path.parent.name for path in sitting.glob("*/verdict.json"))})
    if not names:
        print(f"compare.py: no verdict in {sitting}", file=sys.stderr)
        return STATUS[INVALID]
    try:
        found = waivers.load(Path(args.waivers)) if args.waivers else {}
    except Faulty as fault:
        print(f"compare.py: {fault}", file=sys.stderr)
        return STATUS[INVALID]
    verdicts = {name: verdict_of(sitting / name) for name in names}
    decided = {name: verdict | {"reasons": [*verdict["reasons"], *args.note]}
               for name, verdict in waive(final(verdicts), found, waivers.today()).items()}
    try:
        document = terms.under({"schema": 1, "base": args.base, "head": args.head, "verdict": outcome.worst(
            verdict["verdict"] for verdict in decided.values()), "scenarios": decided}, terms.of(sitting))
    except Faulty as fault:
        print(f"compare.py: {fault}", file=sys.stderr)
        return STATUS[INVALID]
    write_json(sitting / "compare.json", document)
    (sitting / "compare.md").write_text(show(document, True), encoding="utf-8")
    print(show(document, False), end="")
    return STATUS[document["verdict"]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("ask")
    command.add_argument("sitting")
    command.add_argument("--metric", choices=list(paired.METRICS), required=True)
    command.set_defaults(run=ask)
    other = commands.add_parser("finish")
    other.add_argument("sitting")
    other.add_argument("--scenario", action="append", default=[], help="that was to be measured")
    other.add_argument("--waivers")
    other.add_argument("--note", action="append", default=[], help="on how the verdict came to be")
    other.set_defaults(run=finish)
    for parser_of in (command, other):
        parser_of.add_argument("--base", required=True)
        parser_of.add_argument("--head", required=True)
    args = parser.parse_args()
    return args.run(args)


if __name__ == "__main__":
    sys.exit(main())
