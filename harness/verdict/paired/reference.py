"""The pinned reference: baselines/reference.json names one frozen commit of the relay. Every commit is compared with it as twins, so
that many small losses add up to one; and how fast a commit is beside it means the same on every machine and in every year.

reference.py commit FILE: prints the commit.
reference.py show FILE: prints where it stands, and how it came there.
reference.py known FILE PROGRAM OPTION...: prints those words that PROGRAM understands; leaves out the options that FILE lists as
    meaning the same when they are absent. What else PROGRAM does not know is an error (5).
reference.py move FILE COMPARE.json --reason TEXT --by NAME: the head of that comparison, whose base was the reference, becomes it;
    the comparison stays in the file. To be reviewed and committed: nothing else moves it.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from harness.history import history
from harness.report.tables import table
from harness.result.documents import Faulty, read, validate, write_json
from harness.result.keep import utc_now
from harness.verdict.outcome import INVALID, PASS, STATUS

GAIN = 0.05       # proven: so much faster than the reference that it should move, or the gain can be lost unseen
LABEL = "baselines/reference.json"
FIGURES = ("metric", "estimate", "lower", "upper", "pairs")


def load(path: Path) -> dict:
    """One that contradicts itself was edited by hand."""
    document = read(path, "reference", LABEL)
    chain = document["chain"]
    for before, after in zip(chain, chain[1:]):
        if before["to"] != after["from"]:
            raise Faulty(f"{LABEL}: chain: {before['to'][:12]} is followed by {after['from'][:12]}: a link is missing")
    if chain and chain[-1]["to"] != document["commit"]:
        raise Faulty(f"{LABEL}: the chain ends at {chain[-1]['to'][:12]}, and not at {document['commit'][:12]}; move it with "
                     f"bench reference move")
    return document


def options_in(words: list[str]) -> list[list[str]]:
    """The words of a command line, option by option, each with its value."""
    found: list[list[str]] = []
    for word in words:
        if word.startswith("--") or not found:
            found.append([word])
        else:
            found[-1].append(word)
    return found


def known(document: dict, help_text: str, words: list[str]) -> tuple[list[str], list[str]]:
    """(the words that a program with this --help understands, what was left out). What it does not know, and what is not the
    same without it, is an error."""
    kept, left_out = [], []
    for option in options_in(words):
        name = option[0].partition("=")[0]
        if not name.startswith("--") or name in help_text.replace(",", " ").replace("=", " ").split():
            kept += option
        elif name in document.get("left_out", {}):
            left_out.append(f"{' '.join(option)}: {document['left_out'][name]}")
        else:
            raise Faulty(f"the reference does not know {name}; if it does the same without, say why in {LABEL}, left_out")
    return kept, left_out


def gain(verdicts: dict[str, dict]) -> list[str]:
    """What there is to say when head is proven to be faster than the reference."""
    found = [f"{name} by {verdict['lower']:.1%} at least" for name, verdict in verdicts.items()
             if verdict["verdict"] == PASS and verdict["lower"] is not None and verdict["lower"] > GAIN]
    return [f"faster than the reference: {', '.join(found)}: move it (bench reference move), or this gain can be lost unseen"] if found else []


def since_first(document: dict, name: str, estimate: float) -> float:
    """A change against the first reference there was, through all that came between: a scenario that a link of the chain did not
    compare is taken for unchanged there."""
    factor = 1.0 + estimate
    for link in document["chain"]:
        factor *= 1.0 + (link["scenarios"].get(name, {}).get("estimate") or 0.0)
    return factor - 1.0


def entries(document: dict, pinned: dict) -> list[dict]:
    """Lines for the history, of compare.json: of an official comparison with the reference, as far as it was measured. `pinned`:
    reference.json."""
    if not document["reference"] or not document["terms"]["official"]:
        return []
    return [{"schema": 1, "gate": "reference", "utc": verdict["utc"], "commit": verdict["commit"], "dirty": verdict["dirty"],
             "profile": verdict["profile"], "scenario": name, "reference": document["reference"], "verdict": verdict["verdict"],
             "since_first": since_first(pinned, name, verdict["estimate"]), **{key: verdict[key] for key in FIGURES}}
            for name, verdict in document["scenarios"].items() if verdict["profile"] and verdict["estimate"] is not None]


def remember(document: dict, pinned: dict, past: Path) -> None:
    for entry in entries(document, pinned):
        history.append(entry, past)


def moved(document: dict, comparison: dict, reason: str, by: str, utc: str) -> dict:
    """reference.json with the head of that comparison as the reference."""
    if comparison.get("reference") != document["commit"]:
        raise Faulty(f"this comparison is not one with the reference, {document['commit'][:12]}; run: bench compare --reference")
    if not comparison["terms"]["official"]:
        raise Faulty(f"this comparison is unofficial: {'; '.join(comparison['terms']['unofficial'])}")
    if comparison["verdict"] != PASS:
        raise Faulty(f"this comparison is {comparison['verdict']}: only what is not slower becomes the reference")
    first = next(iter(comparison["scenarios"].values()))
    link = {"from": document["commit"], "to": comparison["head_commit"], "utc": utc, "by": by, "reason": reason,
            "profile": first["profile"]["id"],
            "scenarios": {name: {key: one[key] for key in FIGURES} for name, one in comparison["scenarios"].items()}}
    return document | {"commit": comparison["head_commit"], "chain": [*document["chain"], link]}


def show(document: dict) -> str:
    rows = [[link["utc"][:10], link["from"][:12], link["to"][:12], name, f"{one['estimate']:+.1%}", f"{one['lower']:+.1%}", link["profile"],
             f"{link['by']}: {link['reason']}"] for link in document["chain"] for name, one in link["scenarios"].items()]
    first = document["chain"][0]["from"] if document["chain"] else document["commit"]
    lines = [f"reference {document['commit'][:12]}; the first one was {first[:12]}: {document['why']}"]
    if rows:
        lines += ["", table(["moved", "from", "to", "scenario", "faster by", "at least", "machine", "why"], rows, False)]
    return "\n".join(lines)


def help_of(program: str) -> str:
    answer = subprocess.run([program, "--help"], capture_output=True, text=True, check=False, timeout=60)
    if answer.returncode:
        raise Faulty(f"{program} --help ended with {answer.returncode}")
    return answer.stdout


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("commit", "known", "show", "move"):
        commands.add_parser(name).add_argument("file", type=Path)
    commands.choices["known"].add_argument("program")
    commands.choices["known"].add_argument("words", nargs=argparse.REMAINDER)
    commands.choices["move"].add_argument("comparison", type=Path)
    commands.choices["move"].add_argument("--reason", required=True)
    commands.choices["move"].add_argument("--by", required=True)
    args = parser.parse_args()
    try:
        if args.command == "commit":
            print(load(args.file)["commit"])
        elif args.command == "known":
            kept, left_out = known(load(args.file), help_of(args.program), args.words)
            print("\n".join([" ".join(kept), *left_out]))
        elif args.command == "show":
            print(show(load(args.file)))
        else:
            document = moved(load(args.file), read(args.comparison, "compare"), args.reason, args.by,
                             utc_now())
            validate(document, "reference", LABEL)
            write_json(args.file, document)
            print(f"{args.file}: {document['commit'][:12]}; review and commit it")
    except Faulty as fault:
        print(f"bench: INVALID: {fault}", file=sys.stderr)
        return STATUS[INVALID]
    except (OSError, subprocess.TimeoutExpired) as error:
        print(f"bench: {error}", file=sys.stderr)
        return STATUS[INVALID]
    return 0


if __name__ == "__main__":
    sys.exit(main())
