"""All that a commit is asked: bench verdict [--night] [--base COMMIT] [--only NAME]... [--results FOLDER] [--markdown FILE]

Asks the questions of baselines/questions.json, as the base of the change has them, one after another: each is a command of bench,
and whatever one answers, the next is asked. --night: those of the night besides. Ends in one table, one document,
FOLDER/verdict/TIME-COMMIT/commit.json, and one exit status, the worst of:

  70 a question crashed, which is no answer      5 INVALID     3 REGRESSION     4 INCONCLUSIVE or UNFIT     0 PASS

An answer that is unofficial (of files that are in no commit, of another build) passes nothing: INCONCLUSIVE. Needs root. A
commit takes about a quarter of an hour, a night some hours.
"""

import argparse
import shlex
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from harness import ROOT
from harness.report.tables import paint, table
from harness.result.documents import Faulty, read
from harness.result.keep import keep, utc_now
from harness.run.child import bench, end_by_signals, require_results
from harness.verdict import outcome
from harness.verdict.commit import answers
from harness.verdict.outcome import INCONCLUSIVE, INVALID, PASS, STATUS, USAGE
from harness.verdict.paired.commits import Absent
from harness.verdict.terms import expectations, terms

CRASHED = "CRASHED"
STATUS_OF = STATUS | {CRASHED: 70}
WORST_FIRST = (CRASHED, *outcome.WORST_FIRST)
WHEN = ("commit", "night")


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def words(question: dict, base: str | None) -> list[str] | None:
    """The question's command; None: it is about the base, and there is none."""
    if base is None and any("{base}" in word for word in question["command"]):
        return None
    return [word.replace("{base}", base or "") for word in question["command"]]


def sittings(results: Path) -> set[Path]:
    """The folders of results that are complete. What a machine has in the history is none."""
    return {folder for folder in results.glob("*/*/") if folder.suffix not in (".partial", ".failed") and folder.parent.name != "history"}


def word_of(status: int, found: dict | None) -> str:
    """What an answer amounts to. The document has the word itself; a status that is none of a verdict is a crash."""
    if status not in (STATUS[word] for word in outcome.WORST_FIRST):
        return CRASHED
    word = (found or {}).get("verdict")
    if word not in STATUS or STATUS[word] != status:
        word = outcome.word_of(status)
    if word == PASS and found and not found.get("terms", {}).get("official", True):
        return INCONCLUSIVE
    return word


def ask(question: dict, base: str | None, results: Path, run: Callable[..., tuple[int, str]]) -> dict:
    """One question, as an entry of commit.json. `run`: bench, or what stands for it."""
    answer = {"name": question["name"], "asks": question["asks"], "advisory": question.get("advisory", False)}
    command = words(question, base)
    if command is None:
        return answer | {"command": shlex.join(question["command"]), "verdict": INCONCLUSIVE, "exit": None, "seconds": 0.0,
                         "said": "there is no base to ask about", "figures": [], "folder": None, "terms": None}
    before, begun = sittings(results), time.monotonic()
    status, last = run(*command, "--results", results)
    folder = next(iter(sorted(sittings(results) - before)), None)
    found = answers.document(folder) if folder else None
    verdict = word_of(status, found)
    return answer | {
        "command": shlex.join(command), "verdict": verdict, "exit": status, "seconds": round(time.monotonic() - begun, 1),
        "said": "; ".join(answers.reasons(found)) if found else last, "figures": answers.figures(found) if found else [],
        "folder": str(folder.relative_to(results)) if folder else None, "terms": found.get("terms") if found else None}


def in_short(answer: dict) -> str:
    """An answer while others are asked. What was not measured says why."""
    told = answer["figures"] or ([answer["said"]] if answer["verdict"] != PASS and answer["said"] else [])
    return ": ".join([answer["verdict"], *(["; ".join(told)] if told else [])])


def conclude(found: list[dict], expected: dict, night: bool, only: list[str], commit: str, dirty: bool, utc: str) -> dict:
    """commit.json. Advisory answers decide nothing, unless nothing else was asked."""
    counting = [answer["verdict"] for answer in found if not answer["advisory"] or answer["verdict"] in (CRASHED, INVALID)]
    counting = counting or [answer["verdict"] for answer in found]
    verdict = next((word for word in WORST_FIRST if word in counting), INVALID)
    document = {"schema": 1, "verdict": verdict, "utc": utc, "commit": commit, "dirty": dirty, "night": night,
                "seconds": round(sum(answer["seconds"] for answer in found), 1), "answers": found}
    unofficial = sorted({line for answer in found if answer["terms"] for line in answer["terms"]["unofficial"]})
    unofficial += [f"only {' '.join(only)}"] if only else []
    document = terms.under(document, {"schema": 1, "official": not unofficial, "unofficial": unofficial, "expectations": expected})
    return document | {"exit": STATUS_OF[document["verdict"]]}


def show(document: dict, markdown: bool) -> str:
    rows = [[answer["asks"], answer["verdict"] + (" (advisory)" if answer["advisory"] else ""), "; ".join(answer["figures"]),
             f"{answer['seconds'] / 60:.1f} min"] for answer in document["answers"]]
    lines = [f"commit {document['commit']}{' with changes' if document['dirty'] else ''}, base "
             f"{(document['terms']['expectations']['base'] or 'none')[:12]}", "",
             table(["question", "answer", "figure", "took"], rows, markdown), ""]
    word = document["verdict"]
    lines.append(f"**{word}**" if markdown else paint(word, word if word in STATUS else INVALID))
    mark = "- " if markdown else "  - "
    lines += [f"{mark}{answer['asks']} {answer['verdict']}: {answer['said']}" for answer in document["answers"]
              if answer["verdict"] != PASS and answer["said"]]
    lines += [f"{mark}{line}" for line in terms.lines(document["terms"])]
    return "\n".join(lines) + "\n"


def questions_of(baselines: Path) -> list[dict]:
    """What is asked, in order."""
    label = "baselines/questions.json"
    questions = read(baselines / "questions.json", "questions", label)["questions"]
    names = [question["name"] for question in questions]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise Faulty(f"{label}: two questions are called '{twice}'; keep one")
    return questions


def chosen(questions: list[dict], night: bool, only: list[str]) -> list[dict]:
    names = [question["name"] for question in questions]
    for name in only:
        if name not in names:
            raise ValueError(f"--only: no question '{name}'; there are: {' '.join(names)}")
    if only:
        return [question for question in questions if question["name"] in only]
    return [question for question in questions if question["when"] == WHEN[0] or night]


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench verdict", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.error = lambda message: (say(f"bench: verdict: {message}; see 'harness/bench help'"), sys.exit(USAGE))
    parser.add_argument("--night", action="store_true")
    parser.add_argument("--base")
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--results", type=Path, default=ROOT / "results")
    parser.add_argument("--markdown", type=Path)
    parser.add_argument("--commit", default="unknown", help="as bench knows it")
    parser.add_argument("--dirty", action="store_true")
    args = parser.parse_args()
    require_results(args.results)
    try:
        if args.markdown:  # what cannot be written is told now, not instead of the verdict
            args.markdown.open("a", encoding="utf-8").close()
    except OSError as error:
        parser.error(f"--markdown: cannot write '{args.markdown}': {error.strerror}")
    end_by_signals()
    try:
        expected = expectations.find(args.base)
        if expected.gone:
            say("\n".join(expectations.complaints(expected)))
            return STATUS[INVALID]
        with tempfile.TemporaryDirectory(prefix="mcrelay-verdict-") as folder:
            expectations.take(expected, Path(folder))
            questions = chosen(questions_of(Path(folder) / "baselines"), args.night, args.only)
    except Absent as absent:
        say(f"bench: {'--base: ' if args.base else ''}{absent}")
        return absent.status
    except Faulty as fault:
        say(f"bench: INVALID: {fault}")
        return STATUS[INVALID]
    except ValueError as error:
        parser.error(str(error))
    utc = utc_now()
    found = []
    for number, question in enumerate(questions, 1):
        say(f"question {number} of {len(questions)}: {question['asks']} (about {question['minutes']:g} min)")
        found.append(ask(question, expected.base, args.results, bench))
        say(f"  {in_short(found[-1])}")
    document = conclude(found, expected.as_dict(), args.night, args.only, args.commit, args.dirty, utc)
    folder = keep(args.results, "verdict", args.commit, "commit", document, show)
    if args.markdown:
        with args.markdown.open("a", encoding="utf-8") as file:
            file.write(show(document, True))
    print(show(document, False))
    print(f"results: {folder}")
    return document["exit"]


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
